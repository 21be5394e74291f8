"""A published table: its columns, and its rows in the text form that both COPY and the stream carry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import TypeAlias

from febe._kernel.row import Row, row_type
from febe._kernel.rows import RowEncoder, decode_value
from febe.protocol import logical
from febe.protocol.tuples import NULL, Cell
from febe.server.typenames import oid_of
from febe.types._codec import Codec
from febe.types.registry import TYPES

_LENGTH = Struct("!i").unpack_from

Cells: TypeAlias = "list[bytes | None]"


class Texts(list["bytes | None"]):
    """A row whose values are given as the texts that PostgreSQL reads."""


class Table:
    """One table.  `key` are the places of the columns that identify a row; none is replica identity nothing.

    `kept` says that the store keeps its rows; those of others are where they came from.
    """

    def __init__(self, name: str, columns: Mapping[str, str], key: Sequence[str], *, oid: int,
                 where: Callable[[Row], bool] | None = None, kept: bool = True) -> None:
        self.where = where
        self.kept = kept
        self._row = row_type(tuple(columns))
        schema, dot, table = name.rpartition(".")
        self.schema, self.name = (schema if dot else "public"), table
        self.oid = oid
        self.columns = tuple(columns)
        self.types = tuple(oid_of(text) for text in columns.values())
        self.codecs = tuple(TYPES.by_oid(found) for found in self.types)
        unknown = set(key) - set(self.columns)
        if unknown:
            raise ValueError(f"no such column: {', '.join(sorted(unknown))}")
        self.key = tuple(self.columns.index(column) for column in key)
        self._encoder = RowEncoder([codec.encode_text or str.encode for codec in self.codecs])

    @property
    def full_name(self) -> str:
        """With its schema."""
        return f"{self.schema}.{self.name}"

    @property
    def identity(self) -> str:
        """pg_class.relreplident."""
        return "d" if self.key else "n"

    def admits(self, row: Sequence[object]) -> bool:
        """Whether a row is one of those that are published."""
        return self.where is None or bool(self.where(self._row(self.values(row) if isinstance(row, Texts) else row)))

    def cells(self, row: Sequence[object]) -> Cells:
        """A row's values in text.  Errors: ValueEncodeError, MalformedRow."""
        if isinstance(row, Texts):
            return row
        data = self._encoder.encode([row])
        found: Cells = []
        pos = 7
        for _ in self.columns:
            size = _LENGTH(data, pos)[0]
            pos += 4
            found.append(None if size < 0 else data[pos:pos + size])
            pos += max(size, 0)
        return found

    def values(self, cells: Cells) -> list[object]:
        """A row's values as Python's: they were given so, and are kept in text."""
        return [self.value(cell, codec) for codec, cell in zip(self.codecs, cells, strict=True)]

    @staticmethod
    def value(cell: bytes | None, codec: Codec) -> object:
        """One of them.  Errors: ValueError, OverflowError, ValueDecodeError."""
        decode = codec.decode_text
        if cell is None or decode is None:
            return None if cell is None else cell.decode()
        return decode(cell) if callable(decode) else decode_value(decode, cell)

    def key_of(self, cells: Cells) -> str:
        """What rows are kept by; without a key, all of the row."""
        chosen = [cells[place] for place in self.key] if self.key else cells
        return json.dumps([None if cell is None else cell.decode() for cell in chosen])

    def only_key(self, cells: Cells) -> Cells:
        """The key's values, NULL elsewhere."""
        return [cell if place in self.key else None for place, cell in enumerate(cells)]

    def relation(self) -> logical.Relation:
        """How the stream describes it."""
        return logical.Relation(
            oid=self.oid, namespace=self.schema, name=self.name, replica_identity=self.identity,
            columns=[logical.RelationColumn(flags=place in self.key, name=column, type_oid=type_oid)
                     for place, (column, type_oid) in enumerate(zip(self.columns, self.types, strict=True))])


def as_tuple(cells: Cells) -> list[Cell]:
    """Cells as a message has them."""
    return [NULL if cell is None else Cell("t", cell) for cell in cells]


__all__ = ["Cells", "Table", "Texts", "as_tuple"]
