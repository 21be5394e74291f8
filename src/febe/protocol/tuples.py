"""A row inside a message of logical replication (manual: "Logical Replication Message Formats", TupleData)."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from febe._kernel.errors import MalformedMessage
from febe._kernel.fields import insufficient
from febe.protocol.errors import LocalProtocolError
from febe.protocol.fields import (
    BYTE1,
    INT8,
    INT16,
    INT32,
    NOTHING_HIDDEN,
    OID,
    Counted,
    Hide,
    Kind,
    trace_bytes,
)


class Cell(NamedTuple):
    """One value of a tuple: `kind` t (text) or b (binary) with its data, n (NULL), u (a TOASTed value that was not
    changed, and is not sent)."""

    kind: str
    data: bytes = b""


NULL, UNCHANGED = Cell("n"), Cell("u")


class _Cell(Kind[Cell]):
    notation = "Byte1 n, u, or Byte1 t, b, Int32, Byten"

    def read(self, data: bytes, pos: int, end: int) -> tuple[Cell, int]:
        kind, pos = BYTE1.read(data, pos, end)
        if kind in "nu":
            return NULL if kind == "n" else UNCHANGED, pos
        if kind not in "tb":
            raise MalformedMessage(f"invalid kind of tuple column {kind!r}")
        length, pos = INT32.read(data, pos, end)
        if length < 0 or length > end - pos:
            raise insufficient()
        return Cell(kind, data[pos:pos + length]), pos + length

    def write(self, out: bytearray, value: Cell) -> None:
        if value.kind not in ("n", "u", "t", "b") or (value.data and value.kind in "nu"):
            raise LocalProtocolError(f"invalid tuple column {value!r}")
        BYTE1.write(out, value.kind)
        if value.kind in "tb":
            INT32.write(out, len(value.data))
            out += value.data

    def trace(self, value: Cell, hide: Hide = NOTHING_HIDDEN) -> str:
        shown = f" '{trace_bytes(value.data)}'" if value.kind in "tb" else ""
        return f" {value.kind}{shown}"


_CELLS: Kind[list[Cell]] = Counted(INT16, _Cell(), least=1)


class _New(Kind[list[Cell]]):
    notation = f"Byte1 N, {_CELLS.notation}"

    def read(self, data: bytes, pos: int, end: int) -> tuple[list[Cell], int]:
        kind, pos = BYTE1.read(data, pos, end)
        if kind != "N":
            raise MalformedMessage(f"invalid kind of tuple {kind!r} where N is due")
        return _CELLS.read(data, pos, end)

    def write(self, out: bytearray, value: list[Cell]) -> None:
        out += b"N"
        _CELLS.write(out, value)

    def trace(self, value: list[Cell], hide: Hide = NOTHING_HIDDEN) -> str:
        return f" N{_CELLS.trace(value, hide)}"


class OldTuple(NamedTuple):
    """What identifies a row that was changed: `kind` K, its key, the other columns NULL; or O, all of it."""

    kind: str
    cells: list[Cell]


class _Old(Kind["OldTuple"]):
    notation = f"Byte1 K, O, {_CELLS.notation}"

    def read(self, data: bytes, pos: int, end: int) -> tuple[OldTuple, int]:
        kind, pos = BYTE1.read(data, pos, end)
        if kind not in "KO":
            raise MalformedMessage(f"invalid kind of tuple {kind!r} where K or O is due")
        cells, pos = _CELLS.read(data, pos, end)
        return OldTuple(kind, cells), pos

    def write(self, out: bytearray, value: OldTuple) -> None:
        if value.kind not in ("K", "O"):
            raise LocalProtocolError(f"invalid kind of tuple {value.kind!r}")
        BYTE1.write(out, value.kind)
        _CELLS.write(out, value.cells)

    def trace(self, value: OldTuple, hide: Hide = NOTHING_HIDDEN) -> str:
        return f" {value.kind}{_CELLS.trace(value.cells, hide)}"


class _OldIfThere(Kind["OldTuple | None"]):
    notation = f"[{_Old.notation}]"
    _old = _Old()

    def read(self, data: bytes, pos: int, end: int) -> tuple[OldTuple | None, int]:
        if pos < end and data[pos] in b"KO":
            return self._old.read(data, pos, end)
        return None, pos

    def write(self, out: bytearray, value: OldTuple | None) -> None:
        if value is not None:
            self._old.write(out, value)

    def trace(self, value: OldTuple | None, hide: Hide = NOTHING_HIDDEN) -> str:
        return "" if value is None else self._old.trace(value, hide)


class TruncatedTables(NamedTuple):
    """Which tables, by OID, and how: `flags` 1 is CASCADE, 2 RESTART IDENTITY."""

    flags: int
    oids: list[int]


class _Tables(Kind[TruncatedTables]):
    notation = "Int32 n, Int8 flags, n x (Int32)"

    def read(self, data: bytes, pos: int, end: int) -> tuple[TruncatedTables, int]:
        count, pos = INT32.read(data, pos, end)
        flags, pos = INT8.read(data, pos, end)
        if count < 0 or count * 4 > end - pos:
            raise insufficient()
        after = pos + count * 4
        return TruncatedTables(flags, [OID.read(data, at, end)[0] for at in range(pos, after, 4)]), after

    def write(self, out: bytearray, value: TruncatedTables) -> None:
        INT32.write(out, len(value.oids))
        INT8.write(out, value.flags)
        for oid in value.oids:
            OID.write(out, oid)

    def trace(self, value: TruncatedTables, hide: Hide = NOTHING_HIDDEN) -> str:
        return f" {len(value.oids)} {value.flags}" + "".join([OID.trace(oid, hide) for oid in value.oids])


New = Annotated[list[Cell], _New()]
Old = Annotated[OldTuple, _Old()]
OldIfThere = Annotated[OldTuple | None, _OldIfThere()]
Tables = Annotated[TruncatedTables, _Tables()]

__all__ = ["NULL", "UNCHANGED", "Cell", "New", "Old", "OldIfThere", "OldTuple", "Tables",
           "TruncatedTables"]
