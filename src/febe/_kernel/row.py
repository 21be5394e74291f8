"""Rows that are tuples and also know their columns' names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any


class Row(tuple[Any, ...]):
    """A row: a tuple whose values are also there as `row["name"]` and `row.name`.

    Of several columns with one name the first is meant.  Names that tuple or Row use themselves, and names starting
    with an underscore, are reached by `row["name"]` only.
    """

    __slots__ = ()

    _fields: tuple[str, ...] = ()
    _places: dict[str, int] = {}  # noqa: RUF012 - every row type has its own

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            try:
                key = self._places[key]
            except KeyError:
                raise KeyError(key) from None
        return tuple.__getitem__(self, key)

    def keys(self) -> tuple[str, ...]:
        """Give the columns' names in order."""
        return self._fields

    def items(self) -> Iterator[tuple[str, Any]]:
        """Give (name, value) pairs in the columns' order."""
        return zip(self._fields, self, strict=True)

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._fields, tuple(self))


def _restore(names: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    return tuple.__new__(row_type(names), values)


_TAKEN = frozenset(dir(Row))


@lru_cache(maxsize=512)
def row_type(names: tuple[str, ...]) -> type[Row]:
    """Give the row type of these column names; the 512 used last are kept."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    members: dict[str, Any] = {"__slots__": (), "__module__": Row.__module__, "_fields": names, "_places": places}
    for name, place in places.items():
        if name not in _TAKEN and not name.startswith("_"):
            members[name] = property(itemgetter(place))
    return type("Row", (Row,), members)
