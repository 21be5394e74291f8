"""Publications: named sets of tables, of which a subscription takes one or several (manual: "CREATE PUBLICATION")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, TypeAlias

from febe._kernel.row import Row, row_type
from febe.protocol import logical
from febe.protocol.tuples import Cell, OldTuple, TruncatedTables
from febe.publish.table import Cells, Table
from febe.server.engine import EngineError

OPERATIONS = ("insert", "update", "delete", "truncate")
_BODY = 30
"""Where a change begins in its message: after type, length, w, two positions and a time."""
_INT32 = Struct("!i").unpack_from
_OID = Struct("!I").unpack_from
_HEAD = Struct("!ci").pack
_STREAMED = frozenset((logical.STREAM,))
_NAMES = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')

Condition: TypeAlias = Callable[[Row], bool]


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """What a publication has of a table: places of its columns (None: all), and which rows."""

    table: Table
    operations: frozenset[str]
    columns: tuple[int, ...] | None = None
    where: Condition | None = None
    _row: Callable[[Iterable[Any]], Row] = field(init=False)
    _places: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        table = self.table
        changes = self.operations & {"update", "delete"}
        if self.columns is not None and changes and not set(table.key) <= set(self.columns):
            raise ValueError(f"the columns of {table.full_name} have to include its key, by which updates and deletes "
                             "find their rows")
        # of a row that was updated or deleted its key is all that is known
        self._places = table.key if changes else tuple(range(len(table.columns)))
        self._row = row_type(tuple(table.columns[place] for place in self._places))

    def admits(self, cells: Cells) -> bool:
        """Whether a row is one of those that are published."""
        if self.where is None:
            return True
        values = self.table.values(cells)
        return bool(self.where(self._row([values[place] for place in self._places])))


class Publication:
    """Some tables; with `every`, all there are and will be, or those of them that it names in full."""

    def __init__(self, name: str, *, operations: Iterable[str] = OPERATIONS,
                 every: bool | Iterable[str] = False) -> None:
        self.name = name
        self.operations = frozenset(operations)
        self.parts: dict[int, Part] = {}
        self._every = every if isinstance(every, bool) else frozenset(every)
        unknown = self.operations - set(OPERATIONS)
        if unknown:
            raise ValueError(f"no such operation: {min(unknown)}")

    def add(self, table: Table, columns: Sequence[str] | None = None, where: Condition | None = None) -> None:
        """Have it publish a table.  Errors: ValueError."""
        places = None
        if columns is not None:
            unknown = set(columns) - set(table.columns)
            if unknown:
                raise ValueError(f"{table.full_name} has no column {min(unknown)}")
            places = tuple(sorted(table.columns.index(column) for column in columns))
            if len(places) == len(table.columns):
                places = None
        self.parts[table.oid] = Part(table=table, operations=self.operations, columns=places, where=where)

    @property
    def names(self) -> frozenset[str]:
        """The tables that it names without having seen them."""
        return self._every if isinstance(self._every, frozenset) else frozenset()

    @property
    def is_everything(self) -> bool:
        """Whether it has all of every table."""
        return self._every is True and len(self.operations) == len(OPERATIONS)

    def part(self, table: Table) -> Part | None:
        """What it has of a table."""
        found = self.parts.get(table.oid)
        if found is None and (self._every is True or (self._every and table.full_name in self._every)):
            found = self.parts[table.oid] = Part(table=table, operations=self.operations)
        return found


class Chosen:
    """What some publications have together, for a subscription to them all; `tables` are those there are by OID."""

    def __init__(self, publications: Sequence[Publication], tables: Mapping[int, Table]) -> None:
        self._publications, self._tables = publications, tables
        self._found: dict[int, list[Part]] = {}

        self.everything = any(publication.is_everything for publication in publications)
        """Whether every change of every table is published as it is."""

    def _of(self, oid: int) -> list[Part]:
        found = self._found.get(oid)
        if found is None:
            table = self._tables[oid]
            parts = [publication.part(table) for publication in self._publications]
            found = self._found[oid] = [part for part in parts if part is not None]
        return found

    def has(self, oid: int) -> bool:
        """Whether a table is published."""
        return bool(self._of(oid))

    def columns(self, oid: int) -> tuple[int, ...] | None:
        """The places of a table's columns; None: all of them.  Errors: EngineError (0A000)."""
        lists = {part.columns for part in self._of(oid)}
        if len(lists) > 1:
            raise EngineError(f'cannot use different column lists for table "{self._tables[oid].full_name}" in '
                              "different publications", sqlstate="0A000")
        return lists.pop()

    def is_whole(self, oid: int) -> bool:
        """Whether every row, column and operation of a table is published."""
        return any(part.where is None and part.columns is None and len(part.operations) == len(OPERATIONS)
                   for part in self._of(oid))

    def has_conditions(self, oid: int) -> bool:
        """Whether only some rows of a table are published."""
        return all(part.where is not None for part in self._of(oid))

    def copies(self, oid: int, cells: Cells) -> bool:
        """Whether a row belongs to the table's initial copy, whatever operations are published."""
        return any(part.admits(cells) for part in self._of(oid))

    def relation(self, table: Table) -> logical.Relation | None:
        """How a table is described; None where it is not published.  Errors: EngineError (0A000)."""
        if not self.has(table.oid):
            return None
        described = table.relation()
        places = self.columns(table.oid)
        if places is not None:
            described.columns = [described.columns[place] for place in places]
        return described

    def admits(self, oid: int, cells: Cells, operation: str = "insert") -> bool:
        """Whether a row is published as it is inserted, updated or deleted.

        Of several publications' conditions one has to hold (manual: "Row Filters", Combining Multiple Row Filters).
        """
        return any(part.admits(cells) for part in self._of(oid) if operation in part.operations)

    def pass_on(self, frames: bytes, streamed: bool) -> bytes:
        """Those of some changes, as messages of the stream, that are published; `streamed`: each has its xid."""
        return b"".join(self._frames(frames, streamed))

    def _frames(self, frames: bytes, streamed: bool) -> Iterator[bytes]:
        pos, at = 0, _BODY + (5 if streamed else 1)
        while pos < len(frames):
            after = pos + 1 + int(_INT32(frames, pos + 1)[0])
            kind = frames[pos + _BODY]
            if kind == 0x54:  # Truncate
                yield self._truncated(frames[pos:after], streamed)
            elif kind in b"IUD":
                oid = int(_OID(frames, pos + at)[0])
                if self.has(oid):
                    whole = frames[pos:after]
                    yield whole if self.is_whole(oid) else self._changed(whole, oid, streamed)
            else:
                yield frames[pos:after]
            pos = after

    def _truncated(self, whole: bytes, streamed: bool) -> bytes:
        found = logical.Truncate.decode(whole, _BODY + 1, len(whole), _STREAMED if streamed else frozenset())
        kept = [oid for oid in found.tables.oids
                if any("truncate" in part.operations for part in self._of(oid))]
        found.tables = TruncatedTables(found.tables.flags, kept)
        return _framed(whole, found) if kept else b""

    def _changed(self, whole: bytes, oid: int, streamed: bool) -> bytes:
        cls: type[Any] = {0x49: logical.Insert, 0x55: logical.Update, 0x44: logical.Delete}[whole[_BODY]]
        change: Any = cls.decode(whole, _BODY + 1, len(whole), _STREAMED if streamed else frozenset())
        operation = cls.__name__.lower()
        if not any(operation in part.operations for part in self._of(oid)):
            return b""
        if cls is logical.Update:
            change = self._updated(change)
        elif not self.admits(oid, _cells(change.new if cls is logical.Insert else change.old.cells), operation):
            return b""
        if change is None:
            return b""
        places = self.columns(oid)
        if places is not None:
            if not isinstance(change, logical.Delete):
                change.new = [change.new[place] for place in places]
            old = getattr(change, "old", None)
            if old is not None:
                change.old = OldTuple(old.kind, [old.cells[place] for place in places])
        return _framed(whole, change)

    def _updated(self, change: logical.Update) -> logical.Insert | logical.Update | logical.Delete | None:
        """An update that brings a row in is an insert, one that takes it out a delete (pgoutput_row_filter)."""
        oid = change.relation
        new = _cells(change.new)
        old = new if change.old is None else _cells(change.old.cells)
        before, now = self.admits(oid, old, "update"), self.admits(oid, new, "update")
        if now:
            return change if before else logical.Insert(xid=change.xid, relation=oid, new=change.new)
        if not before or change.old is None:
            return None
        return logical.Delete(xid=change.xid, relation=oid, old=change.old)


def chosen(known: Mapping[str, Publication], names: Iterable[str], tables: Mapping[int, Table]) -> Chosen:
    """What the publications of these names have together.  Errors: EngineError (42704) for one that is not there."""
    found = []
    for name in dict.fromkeys(names):
        if name not in known:
            raise EngineError(f'publication "{name}" does not exist', sqlstate="42704")
        found.append(known[name])
    return Chosen(found, tables)


def names_in(text: str) -> list[str]:
    """The names of an option publication_names (varlena.c, SplitIdentifierString)."""
    return [match[1].replace('""', '"') if match[1] is not None else match[2].lower()
            for match in _NAMES.finditer(text)]


def _framed(whole: bytes, change: logical.Insert | logical.Update | logical.Delete | logical.Truncate) -> bytes:
    data = change.encode()
    return _HEAD(b"d", len(data) + _BODY - 1) + whole[5:_BODY] + data


def _cells(found: Sequence[Cell]) -> Cells:
    return [None if cell.kind == "n" else cell.data for cell in found]


__all__ = ["OPERATIONS", "Chosen", "Condition", "Part", "Publication", "chosen", "names_in"]
