"""Changes as JSON lines, the shape that `febe replicate` writes, into a publisher: what was taken is noted with it, so
that nothing is taken twice when the lines come again.

    {"change": "table", "table": "public.stock", "columns": {"item": "text", "number": "int4"}, "key": ["item"]}
    {"change": "insert", "table": "public.stock", "new": {"item": "fig", "number": 1}}
    {"change": "update", "table": "public.stock", "new": {"item": "fig", "number": 2}}
    {"change": "delete", "table": "public.stock", "old": {"item": "fig"}}
    {"change": "truncate", "tables": ["public.stock"]}

`begin` and `commit` lines hold what is between them together; other changes are committed one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from febe._kernel.errors import ValueDecodeError
from febe.protocol.errors import ProtocolError
from febe.protocol.lsn import parse_lsn
from febe.publish.publisher import Publisher
from febe.publish.table import Table, Texts
from febe.publish.transaction import PublishError, Transaction
from febe.server.engine import EngineError
from febe.server.typenames import oid_of
from febe.types import oids
from febe.types._codec import Codec
from febe.types._shapes import ArrayOf, CompositeOf
from febe.types.registry import TYPES

OFFSET, POSITION = "feed offset", "feed position"
"""Notes in the store: bytes of a file that were read, and the log's position where lines tell one (`end`)."""
_JSON = frozenset((oids.JSON, oids.JSONB))
Change = dict[str, Any]


class FeedError(ValueError):
    """A line that cannot be taken, with its number."""


class Feed:
    """Takes lines; `offset` is where the next one begins in what is read."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._tables = {table.full_name: table for table in publisher.current()}
        self._block: list[Change] | None = None
        self._snapshot = False
        self.line = 0
        self.offset = self._taken = int(publisher.store.note(OFFSET) or 0)
        self._position = int(publisher.store.note(POSITION) or 0)
        for name in (publisher.store.note("feed tables") or "").split("\n"):
            if name:
                self._declare(json.loads(name))

    def take(self, line: bytes) -> None:
        """Take a line.  Errors: FeedError."""
        self.line += 1
        self.offset += len(line)
        if not line.strip():
            return
        try:
            self._take(json.loads(line, parse_int=_Number, parse_float=_Number, parse_constant=_Number))
        except KeyError as missing:
            raise FeedError(f"line {self.line}: there is no {missing}") from None
        except (ValueError, TypeError, AttributeError, PublishError, EngineError, ProtocolError) as error:
            raise FeedError(f"line {self.line}: {error}") from error

    def rewind(self) -> None:
        """What came since the last commit is not what it was: it will come again, from `offset` on."""
        self._block, self.offset = None, self._taken

    def _take(self, change: Change) -> None:
        kind = change["change"]
        if kind == "begin":
            self._block, self._snapshot = [], change.get("kind") == "snapshot"
        elif kind == "commit":
            self._commit(self._block or (), change.get("end"))
            self._block = None
        elif kind == "table":
            self._declare(change)
            self._note_tables(change)
        elif kind in ("message", "position"):
            return
        elif kind not in _APPLY:
            raise ValueError(f"no such change: {kind}")
        elif self._block is not None:
            self._block.append(change)
        else:
            self._commit([change], change.get("end"))

    def _commit(self, changes: Sequence[Change], end: str | None) -> None:
        position = 0 if end is None else parse_lsn(end)
        if position and position <= self._position:
            return
        emptied: set[str] = set()
        with self._publisher.transaction() as made:
            for change in changes:
                if self._snapshot and change["table"] not in emptied:
                    # a copy that begins anew: what was there before is gone
                    emptied.add(change["table"])
                    table = self._table(change["table"])
                    if self._publisher.store.has_any(table.oid):
                        made.truncate(table)
                _APPLY[change["change"]](self, made, change)
            made.notes[OFFSET] = str(self.offset)
            if position:
                made.notes[POSITION] = str(position)
        self._taken = self.offset
        self._snapshot = False
        self._position = max(self._position, position)

    # Tables

    def _declare(self, change: Change) -> None:
        name, columns = change["table"], change["columns"]
        there = self._tables.get(name)
        if there is not None:
            if there.columns != tuple(columns):
                raise ValueError(f"{name} has other columns than it had")
            return
        self._tables[name] = self._publisher.table(name, {column: _known(kind) for column, kind in columns.items()},
                                                   key=change["key"])

    def _note_tables(self, change: Change) -> None:
        noted = (self._publisher.store.note("feed tables") or "").split("\n")
        text = json.dumps(change)
        if text not in noted:
            self._publisher.store.keep({"feed tables": "\n".join([one for one in noted if one] + [text])})

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise ValueError(f"no table {name} is published")
        return self._tables[name]

    # Changes

    def _insert(self, made: Transaction, change: Change) -> None:
        table = self._table(change["table"])
        made.insert(table, _row(table, change["new"]))

    def _update(self, made: Transaction, change: Change) -> None:
        table = self._table(change["table"])
        old = None if change.get("old") is None else _row(table, change["old"], table.key)
        new = _row(table, change["new"])
        left = change.get("unchanged") or ()
        if left:
            before = made.row(table, new if old is None else old)
            if before is None:
                raise PublishError(f"{table.full_name} has no row to take {', '.join(left)} of")
            for name in left:
                place = table.columns.index(name)
                new[place] = before[place]
        made.update(table, new, old=old)

    def _delete(self, made: Transaction, change: Change) -> None:
        table = self._table(change["table"])
        made.delete(table, _row(table, change["old"], table.key))

    def _truncate(self, made: Transaction, change: Change) -> None:
        made.truncate(*map(self._table, change["tables"]))


_APPLY: dict[str, Callable[[Feed, Transaction, Change], None]] = {
    "insert": Feed._insert, "update": Feed._update, "delete": Feed._delete, "truncate": Feed._truncate}


def _known(kind: str) -> str:
    """A type's name; those of a server's own travel as their text."""
    try:
        oid_of(kind)
    except EngineError:
        return "text"
    return kind


class _Number(str):
    """A number as it was written."""


def _row(table: Table, values: Mapping[str, Any], places: Sequence[int] = ()) -> Texts:
    """A row's texts; only those at some places count, where they are given."""
    unknown = values.keys() - set(table.columns)
    if unknown:
        raise ValueError(f"{table.full_name} has no column {min(unknown)}")
    missing = [table.columns[place] for place in places or table.key if table.columns[place] not in values]
    if missing:
        raise ValueError(f"{table.full_name}: the key's column {missing[0]} is not there")
    row = Texts(_cell(values.get(name), codec) for name, codec in zip(table.columns, table.codecs, strict=True))
    for name, codec, cell in zip(table.columns, table.codecs, row, strict=True):
        try:
            if cell is not None and b"\0" in cell:
                raise ValueError("a zero byte")
            table.value(cell, codec)  # what is no value of its type would stop every subscription
        except (ValueError, OverflowError, ValueDecodeError) as error:
            raise ValueError(f"{table.full_name}: {values[name]!r} is no {codec.name} for {name} ({error})") from None
    return row


def _cell(value: Any, codec: Codec) -> bytes | None:
    """A JSON value as the text that PostgreSQL reads for a type (json_writer is the other way)."""
    if value is None:
        return None
    if codec.oid in _JSON:
        return _json(value).encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, str):
        return value.encode()
    shape = codec.shape
    if isinstance(value, list) and (isinstance(shape, ArrayOf) or codec.oid == oids.TEXT):
        element = TYPES.by_oid(shape.element) if isinstance(shape, ArrayOf) else codec
        return b"{" + b",".join([b"NULL" if one is None else _cell(one, codec) or b"" if isinstance(one, list)
                                 else _quoted(_cell(one, element) or b"") for one in value]) + b"}"
    if isinstance(value, dict) and (isinstance(shape, CompositeOf) or codec.oid == oids.TEXT):
        kinds = dict(shape.fields) if isinstance(shape, CompositeOf) else {}
        return b"(" + b",".join([b"" if one is None else _quoted(_cell(one, TYPES.by_oid(kinds.get(name, oids.TEXT)))
                                                                 or b"") for name, one in value.items()]) + b")"
    raise ValueError(f"{value!r} is no value of type {codec.name}")


def _quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _json(value: Any) -> str:
    """JSON again, with numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_json(one)}"
                               for name, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


__all__ = ["Feed", "FeedError"]
