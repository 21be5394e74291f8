"""The compiled loops.  `KIND` says which form is loaded: "compiled" or "python".

FEBE_KERNEL=python in the environment runs the source even where compiled modules lie beside it.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

__all__ = ["KIND", "MODULES"]

_FOLDER = Path(__file__).parent

MODULES = tuple(sorted(path.stem for path in _FOLDER.glob("*.py") if path.stem != "__init__"))
"""The kernel's modules, by file name."""


class SourceFinder:
    """Finds the kernel's modules as source, never as extension modules."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        return spec_from_file_location(name, _FOLDER / f"{module}.py") if package == __name__ else None


if os.environ.get("FEBE_KERNEL") == "python":
    sys.meta_path.insert(0, SourceFinder)

from febe._kernel import encode, frames, parameters, rows  # noqa: E402 - the finder comes first

KIND = "compiled" if all(module.COMPILED for module in (encode, frames, parameters, rows)) else "python"
