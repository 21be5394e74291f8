"""How a conversation goes: one file for each operation, written once as coroutines that suspend only at the port."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_SELDOM = frozenset({"arrow", "copy", "copy_arrow", "cursor", "function", "large_object", "many", "transaction"})
"""What a connection may do without: it is loaded when it is first used."""


class _Later:
    """Stands for a module until something of it is used."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)
        return value


def __getattr__(name: str) -> Any:
    if name in _SELDOM:
        return _Later(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
