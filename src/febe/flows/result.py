"""What a statement gives beside rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from febe._kernel.row import Row
from febe.protocol.simple import FieldDescription


class Result(str):
    """The command tag of a statement, such as `INSERT 0 1`, with the rows that came before it.

    `results` are those of every statement of a query string, this one being the last.
    """

    rows: Sequence[Any]
    columns: tuple[FieldDescription, ...]
    results: tuple[Result, ...]

    def __new__(cls, tag: str, rows: Sequence[Row] = (), columns: Sequence[FieldDescription] = ()) -> Result:
        """Take the tag and what came with it."""
        made = super().__new__(cls, tag)
        made.rows, made.columns, made.results = rows, tuple(columns), (made,)
        return made

    @property
    def rowcount(self) -> int | None:
        """How many rows it was, as the tag tells; None when it does not."""
        return rowcount(self)


def rowcount(tag: str) -> int | None:
    """How many rows a command tag tells; None when it does not."""
    number = tag.rpartition(" ")[2]
    return int(number) if number.isascii() and number.isdigit() else None


__all__ = ["Result", "rowcount"]
