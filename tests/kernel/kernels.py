"""Both forms of the kernel in one process: the compiled one as installed, the source under its own set of modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TypeVar

import febe
import febe._kernel

T = TypeVar("T")
MODULES = (
    "array_writers", "arrays", "binary", "cells", "changes", "characters", "copy_assembly", "copy_binary",
    "copy_encode", "copy_fields", "copy_lines", "decimals", "dialogue", "encode", "errors", "field_writer",
    "fields", "fill", "floats", "frames", "kinds", "nested", "number_writers", "parameters", "parse", "ranges",
    "records", "row", "rows", "text", "text_writers", "time_writers", "usual",
)


def _load() -> SimpleNamespace:
    names = SimpleNamespace(KIND=import_module("febe._kernel").KIND)
    for module in MODULES:
        setattr(names, module, import_module(f"febe._kernel.{module}"))
    return names


def as_source(load: Callable[[], T], package: str = "febe._kernel") -> T:
    """What `load` gives when it imports modules of `package` anew, with the kernel interpreted."""
    def ours() -> dict[str, ModuleType]:
        # Dates and times are values, which both kernels take and give.
        return {name: module for name, module in sys.modules.items()
                if name.startswith(package) and name != "febe._kernel.far"}

    loaded, finders, asked = ours(), list(sys.meta_path), os.environ.get("FEBE_KERNEL")
    for name in loaded:
        del sys.modules[name]
    os.environ["FEBE_KERNEL"] = "python"
    try:
        return load()
    finally:
        for name in ours():
            del sys.modules[name]
        sys.modules.update(loaded)
        sys.meta_path[:] = finders
        for name, module in loaded.items():
            package_of, _, child = name.rpartition(".")
            if package_of in sys.modules:
                setattr(sys.modules[package_of], child, module)
        febe._kernel = sys.modules["febe._kernel"]
        del os.environ["FEBE_KERNEL"]
        if asked is not None:
            os.environ["FEBE_KERNEL"] = asked


COMPILED = _load() if febe._kernel.KIND == "compiled" else None
SOURCE = as_source(_load)
