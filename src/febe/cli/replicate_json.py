"""Changes as JSON lines, in a file that goes on where it ends, or on standard output."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from febe.cli.query_formats import json_writer, types_for
from febe.protocol.lsn import format_lsn, parse_lsn
from febe.replication import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Event,
    Insert,
    Message,
    Relation,
    Truncate,
    Update,
)
from febe.replication.changes import end_of
from febe.replication.copies import Copy

__all__ = ["JSONLines"]

_NOTED = 16 << 20
"""A file gets a line when the server's log has gone on so far without a change for it."""
_Row = Callable[[Sequence[Any]], str]


class JSONLines(Copy):
    """An object for each event, on a line of its own; without a `path`, on standard output.

    A transaction whose commit is not in the file is cut off when the file is opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.types = types_for("jsonl")
        self._path = path
        self._rows: dict[Relation, _Row] = {}
        self._out: BinaryIO = sys.stdout.buffer
        if path is not None:
            there = path.exists()
            self._out = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
            self._out.truncate(self._find_end())
            self._out.seek(0, os.SEEK_END)
            self.copying = there and not self.position

    def _find_end(self) -> int:
        """The end of the last transaction that is complete, and its position."""
        end = place = 0
        with io.BufferedReader(io.FileIO(self._out.fileno(), closefd=False)) as lines:
            for line in lines:
                place += len(line)
                if line.endswith(b"}\n") and (line.startswith(b'{"change": "commit"') or b'"end": "' in line[-40:]):
                    said = json.loads(line)
                    if "end" in said:
                        end, self.position = place, parse_lsn(said["end"])
        return end

    def start_copying(self) -> None:
        self.position, self.copying = 0, True

    def apply(self, batch: Sequence[Event]) -> None:
        lines = list[str]()
        position = self.position
        for event in batch:
            if isinstance(event, Begin) and event.kind == "snapshot" and self._path is not None:
                lines.clear()
                self._out.truncate(0)
                self._out.seek(0)
            line = self._line(event)
            if line:
                lines.append(line)
            position = max(position, end_of(event))
        view = memoryview("".join(lines).encode())
        while view:
            view = view[self._out.write(view):]
        if self._path is None:
            self._out.flush()
        elif position > self.position:
            os.fsync(self._out.fileno())
        if position > self.position:
            self.position, self.copying = position, False

    def rest(self, position: int) -> None:
        if self._path is None:
            self.position = max(self.position, position)
        elif position > self.position + _NOTED:
            self._out.write(_object(change="position", end=format_lsn(position)).encode())
            os.fsync(self._out.fileno())
            self.position = position

    def close(self) -> None:
        if self._path is not None:
            self._out.close()

    # Lines

    def _line(self, event: Event) -> str:
        if isinstance(event, Insert):
            return (f'{{"change": "insert", {self._table(event.relation)}, '
                    f'"new": {self._row(event.relation, event.new)}}}\n')
        if isinstance(event, Update):
            old = "" if event.old is None else f', "old": {self._old(event.relation, event.old, event.identity)}'
            left = [name for name, value in zip(event.relation.names, event.new, strict=True) if value is UNCHANGED]
            unchanged = f', "unchanged": {json.dumps(left, ensure_ascii=False)}' if left else ""
            return (f'{{"change": "update", {self._table(event.relation)}, "new": '
                    f'{self._row(event.relation, event.new)}{old}{unchanged}}}\n')
        if isinstance(event, Delete):
            return (f'{{"change": "delete", {self._table(event.relation)}, '
                    f'"old": {self._old(event.relation, event.old, event.identity)}}}\n')
        if isinstance(event, Truncate):
            return _object(change="truncate", tables=[relation.full_name for relation in event.relations])
        if isinstance(event, Begin):
            return _object(change="begin", kind=event.kind, xid=event.xid, lsn=format_lsn(event.lsn),
                           time=event.time.isoformat())
        if isinstance(event, Commit):
            return _object(change="commit", xid=event.xid, lsn=format_lsn(event.lsn), end=format_lsn(event.end_lsn))
        if isinstance(event, Message):
            end = {} if event.transactional else {"end": format_lsn(event.end_lsn)}
            return _object(change="message", prefix=event.prefix, content=event.content.decode(errors="replace"),
                           lsn=format_lsn(event.lsn), **end)
        if isinstance(event, Relation):
            return _object(change="table", table=event.full_name,
                           columns={column.name: column.type_name for column in event.columns},
                           key=[event.names[place] for place in event.key])
        return ""

    def _table(self, relation: Relation) -> str:
        return f'"table": {json.dumps(relation.full_name, ensure_ascii=False)}'

    def _row(self, relation: Relation, row: Sequence[Any]) -> str:
        write = self._rows.get(relation)
        if write is None:
            write = self._rows[relation] = self._writer(relation)
        return write(row)

    def _old(self, relation: Relation, row: Sequence[Any], identity: str | None) -> str:
        """The old row, or its key: the other columns were not sent."""
        if identity == "K":
            row = [value if place in relation.key else UNCHANGED for place, value in enumerate(row)]
        return self._row(relation, row)

    def _writer(self, relation: Relation) -> _Row:
        parts = [(f"{json.dumps(column.name, ensure_ascii=False)}: ",
                  json_writer(self.types.by_oid(column.type_oid), self.types)) for column in relation.columns]

        def write(row: Sequence[Any]) -> str:
            return "{" + ", ".join([name + ("null" if value is None else one(value)) for (name, one), value in
                                    zip(parts, row, strict=True) if value is not UNCHANGED]) + "}"

        return write


def _object(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"
