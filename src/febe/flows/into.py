"""What rows are made into: a row factory takes the columns' names and gives what makes one row of a tuple."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Make: TypeAlias = "Callable[[tuple[str, ...]], Callable[[tuple[Any, ...]], T]]"


def scalar(row: tuple[Any, ...]) -> Any:
    """The first value, for results of one column."""
    return row[0]


def factory(target: Callable[..., T]) -> Make[T]:
    """How rows become `target`.

    dict has the columns by name; tuple, list and `scalar` take the values; anything else is called with the columns as
    keyword arguments, as dataclasses, pydantic models and named tuples want it.
    """
    if target is dict:
        return lambda names: lambda row: dict(zip(names, row, strict=True))  # type: ignore[return-value]
    if target in (tuple, list, scalar):
        return lambda names: target
    return lru_cache(64)(lambda names: lambda row: target(**dict(zip(names, row, strict=True))))


__all__ = ["Make", "factory", "scalar"]
