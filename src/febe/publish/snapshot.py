"""The rows of published tables as they were at one position, as COPY sends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from febe.publish.publication import Chosen
from febe.publish.store import Frozen
from febe.publish.table import Table
from febe.types import oids
from febe.types._codec import Codec
from febe.types.copy import CopyColumn, CopyEncoder, CopyFormat

ROWS = 1000
_AS_IT_IS = Codec(oid=oids.TEXT, name="text")


class Snapshot(Protocol):
    """A state that does not change any more."""

    def pieces(self, table: Table, places: Sequence[int], binary: bool,
               chosen: Chosen) -> Iterator[tuple[bytes | bytearray, int]]:
        """CopyData messages with the columns at some places, and how many rows they are.  Called from a thread."""
        ...

    def close(self) -> None:
        """Let go of it."""


class KeptRows:
    """A snapshot of the store."""

    def __init__(self, frozen: Frozen) -> None:
        self._frozen = frozen

    def pieces(self, table: Table, places: Sequence[int], binary: bool,
               chosen: Chosen) -> Iterator[tuple[bytes | bytearray, int]]:
        """The rows that are kept."""
        encoder = CopyEncoder(CopyFormat(format="binary" if binary else "text"), [
            CopyColumn(name=table.columns[place], codec=table.codecs[place] if binary else _AS_IT_IS)
            for place in places])
        some = chosen.has_conditions(table.oid)
        for cells in self._frozen.rows(table.oid, ROWS):
            rows = list[list[object]]()
            for row in cells:
                if not some or chosen.copies(table.oid, row):
                    values = table.values(row) if binary else [None if cell is None else cell.decode() for cell in row]
                    rows.append([values[place] for place in places])
            if rows:
                yield encoder.encode(rows), len(rows)
        yield encoder.finish(), 0

    def close(self) -> None:
        """Let go of it."""
        self._frozen.close()


__all__ = ["KeptRows", "Snapshot"]
