"""Builds the kernel.  FEBE_KERNEL=auto (default) falls back to the source where compiling fails; require; off."""

import os
from pathlib import Path

from setuptools import setup

KERNEL = os.environ.get("FEBE_KERNEL", "auto")
if KERNEL not in ("auto", "require", "off"):
    raise SystemExit(f"FEBE_KERNEL is auto, require or off, not {KERNEL}")

# Interpreted in every case: the package itself, what stands in for C, and what no loop runs through.
SOURCE_ONLY = {"__init__", "shim", "wire", "errors", "kinds", "parse", "row", "far", "plan"}

extensions = []
if KERNEL != "off":
    from Cython.Build import cythonize
    from setuptools import Extension

    flags = [] if os.name == "nt" else ["-O3"]
    extensions = cythonize(
        [
            Extension(f"febe._kernel.{path.stem}", [path.as_posix()], extra_compile_args=flags)
            for path in sorted(Path("src/febe/_kernel").glob("*.py"))
            if path.stem not in SOURCE_ONLY
        ],
        include_path=["src"],
        build_dir="build",
        compiler_directives={"language_level": 3, "boundscheck": True, "wraparound": False, "initializedcheck": False},
    )
    for extension in extensions:
        extension.optional = KERNEL == "auto"  # cythonize() drops it

setup(ext_modules=extensions)
