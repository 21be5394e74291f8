"""What outlives the process: rows, transactions that somebody still needs, slots.  One SQLite file."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from febe.publish.table import Cells

FIRST_LSN = 0x1000000
PART = 1 << 20
"""About how many bytes of a transaction are kept, and read, at a time."""
_SCHEMA = """
create table if not exists meta (name text primary key, value integer);
create table if not exists rows (relation integer, key text, cells text, primary key (relation, key));
create table if not exists log (lsn integer primary key, xid integer, at integer, relations text);
create table if not exists changes (lsn integer, part integer, data blob, primary key (lsn, part));
create table if not exists slots (name text primary key, confirmed integer, two_phase integer, failover integer);
"""


@dataclass(slots=True, kw_only=True)
class Slot:
    """A subscription's place: everything up to `confirmed` is safe with it."""

    name: str
    confirmed: int
    two_phase: bool = False
    failover: bool = False


@dataclass(slots=True, kw_only=True)
class Logged:
    """A transaction; `lsn` is its commit's position, `end` the one after it, `relations` what it is about."""

    lsn: int
    xid: int
    at: int
    relations: list[int]

    @property
    def end(self) -> int:
        return self.lsn + 0x10


class Store:
    """Any thread may call; every method is a transaction of its own, or none at all.

    Readers see a state of their own while others write (SQLite, "Write-Ahead Logging").
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        # what a subscription has seen may not be forgotten, whatever happens to this machine
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA)
        with self._transaction():
            self.system_id = self._number("system_id", secrets.randbits(62))
            self.end = self._number("end", FIRST_LSN)
            self._xid = self._number("xid", 1000)

    def _number(self, name: str, default: int) -> int:
        found = self._db.execute("select value from meta where name = ?", (name,)).fetchone()
        if found is None:
            self._db.execute("insert into meta values (?, ?)", (name, default))
            return default
        return int(found[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Rows and transactions

    def commit(self, changes: Sequence[bytes], relations: Iterable[int], rows: Iterable[tuple[int, str, Cells | None]],
               emptied: Iterable[int], at: int) -> Logged:
        """Log a transaction and bring the rows up to date, both or neither."""
        with self._transaction():
            made = Logged(lsn=self.end + 0x20, xid=self._xid + 1, at=at, relations=sorted(relations))
            for oid in emptied:
                self._db.execute("delete from rows where relation = ?", (oid,))
            gone, there = list[tuple[int, str]](), list[tuple[int, str, str]]()
            for oid, key, cells in rows:
                if cells is None:
                    gone.append((oid, key))
                else:
                    there.append((oid, key, _text(cells)))
            self._db.executemany("delete from rows where relation = ? and key = ?", gone)
            self._db.executemany("insert or replace into rows values (?, ?, ?)", there)
            if self._needed():
                self._db.execute("insert into log values (?, ?, ?, ?)",
                                 (made.lsn, made.xid, at, json.dumps(made.relations)))
                self._db.executemany("insert into changes values (?, ?, ?)", (
                    (made.lsn, part, data) for part, data in enumerate(_parts(changes))))
            self._db.execute("update meta set value = ? where name = 'xid'", (made.xid,))
            self._db.execute("update meta set value = ? where name = 'end'", (made.end,))
        self.end, self._xid = made.end, made.xid
        return made

    def fill(self, oid: int, rows: Iterator[tuple[str, Cells]]) -> None:
        """Put in what a table holds before anything is logged."""
        with self._transaction():
            self._db.executemany("insert into rows values (?, ?, ?)",
                                 ((oid, key, _text(cells)) for key, cells in rows))

    def cells(self, oid: int, key: str) -> Cells | None:
        """One row, None when there is none."""
        with self._lock:
            found = self._db.execute("select cells from rows where relation = ? and key = ?", (oid, key)).fetchone()
        return None if found is None else _cells(found[0])

    def rows(self, oid: int) -> list[Cells]:
        """All of a table, as it is now."""
        with self._lock:
            return [_cells(text) for (text,) in self._db.execute("select cells from rows where relation = ?", (oid,))]

    def frozen(self) -> Frozen:
        """All rows as they are now, and where that is, whatever is written meanwhile."""
        with self._lock:
            return Frozen(sqlite3.connect(self._path, check_same_thread=False, isolation_level=None))

    def since(self, lsn: int, most: int = 100) -> list[Logged]:
        """Transactions that end after a position, in order."""
        with self._lock:
            return [Logged(lsn=at, xid=xid, at=when, relations=json.loads(relations))
                    for at, xid, when, relations in self._db.execute(
                        "select lsn, xid, at, relations from log where lsn + 16 > ? order by lsn limit ?", (lsn, most))]

    def changes(self, lsn: int) -> Iterator[bytes]:
        """What a transaction consists of, a part at a time."""
        part = 0
        while True:
            with self._lock:
                found = self._db.execute("select data from changes where lsn = ? and part = ?", (lsn, part)).fetchone()
            if found is None:
                return
            yield found[0]
            part += 1

    # Slots

    def slot(self, name: str) -> Slot | None:
        with self._lock:
            found = self._db.execute("select * from slots where name = ?", (name,)).fetchone()
        return None if found is None else Slot(name=found[0], confirmed=found[1], two_phase=bool(found[2]),
                                               failover=bool(found[3]))

    def create(self, slot: Slot) -> Frozen:
        """Keep a slot that begins now, and the rows as they are now."""
        with self._lock:
            slot.confirmed = self.end
            self.save(slot)
            return self.frozen()

    def save(self, slot: Slot) -> None:
        """Note a slot; what no slot needs any more is forgotten."""
        with self._transaction():
            self._db.execute("insert or replace into slots values (?, ?, ?, ?)",
                             (slot.name, slot.confirmed, slot.two_phase, slot.failover))
            self._forget()

    def drop(self, name: str) -> None:
        with self._transaction():
            self._db.execute("delete from slots where name = ?", (name,))
            self._forget()

    def _needed(self) -> int | None:
        """What every slot has; None where there is no slot, and nobody needs what is logged."""
        found: int | None = self._db.execute("select min(confirmed) from slots").fetchone()[0]
        return found

    def _forget(self) -> None:
        needed = self._needed() or 1 << 62
        self._db.execute("delete from changes where lsn in (select lsn from log where lsn + 16 <= ?)", (needed,))
        self._db.execute("delete from log where lsn + 16 <= ?", (needed,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")


class Frozen:
    """A state of the store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("begin")
        self.end = int(db.execute("select value from meta where name = 'end'").fetchone()[0])

    def rows(self, oid: int, most: int) -> Iterator[list[Cells]]:
        """A table's rows, some at a time."""
        cursor = self._db.execute("select cells from rows where relation = ?", (oid,))
        while found := cursor.fetchmany(most):
            yield [_cells(text) for (text,) in found]

    def close(self) -> None:
        """Let go of it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _parts(changes: Sequence[bytes]) -> Iterator[bytes]:
    held, size = list[bytes](), 0
    for change in changes:
        held.append(change)
        size += len(change)
        if size >= PART:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _text(cells: Cells) -> str:
    return json.dumps([None if cell is None else cell.decode() for cell in cells])


def _cells(text: str) -> Cells:
    return [None if cell is None else cell.encode() for cell in json.loads(text)]


__all__ = ["Frozen", "Logged", "Slot", "Store"]
