"""What outlives the process: rows, transactions that somebody still needs, slots.  One SQLite file.

A transaction's changes are written in parts, when it ends or, of one that is large, while it is in progress; the rows
that it makes are pending then, beside those that are committed, until it is.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from febe.publish.entry import ENDS, Entry, Kind, Progress, after
from febe.publish.table import Cells

FIRST_LSN = 0x1000000
PART = 1 << 20
"""About how many bytes of a transaction are kept, and read, at a time."""
_SCHEMA = """
create table if not exists meta (name text primary key, value integer);
create table if not exists relations (oid integer primary key, name text unique, shape text);
create table if not exists rows (relation integer, key text, cells text, primary key (relation, key));
create table if not exists log (lsn integer primary key, kind text, xid integer, at integer, detail text);
create table if not exists changes (xid integer, part integer, data blob, primary key (xid, part));
create table if not exists transactions (xid integer primary key, gid text, detail text);
create table if not exists pending (xid integer, depth integer, relation integer, key text, cells text,
                                    primary key (xid, depth, relation, key));
create index if not exists pending_rows on pending (relation, key);
create table if not exists slots (name text primary key, confirmed integer, two_phase integer, failover integer,
                                  two_phase_at integer);
create table if not exists notes (name text primary key, value text);
"""
_ENDS = ", ".join(f"'{kind}'" for kind in sorted(ENDS))

Rows = Iterable[tuple[int, str, "Cells | None"]]
"""Relation, key, and what is there now; None when nothing is."""

ABSENT: Final = "absent"
_NO_NOTES: Mapping[str, str] = {}


@dataclass(slots=True, kw_only=True)
class Slot:
    """A subscription's place: everything up to `confirmed` is safe with it.

    With `two_phase`, transactions prepared from `two_phase_at` on are sent when they are prepared.
    """

    name: str
    confirmed: int
    two_phase: bool = False
    failover: bool = False
    two_phase_at: int = 0


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
            self.end = self._next_end = self._number("end", FIRST_LSN)
            self._xid = self._number("xid", 1000)
            self._recover()
        self.prepared = {progress.gid: progress for progress in self._open()}
        """The prepared transactions, by name."""

    def _number(self, name: str, default: int) -> int:
        found = self._db.execute("select value from meta where name = ?", (name,)).fetchone()
        if found is None:
            self._db.execute("insert into meta values (?, ?)", (name, default))
            return default
        return int(found[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # Transactions

    def begin(self) -> int:
        """The number of a transaction, or of a subtransaction, that begins."""
        with self._lock:
            self._xid += 1
            return self._xid

    def commit(self, progress: Progress, changes: Sequence[bytes], rows: Rows, at: int,
               notes: Mapping[str, str] = _NO_NOTES) -> Entry:
        """Log a transaction, bring the rows up to date and keep notes, all or nothing."""
        with self._transaction():
            self._note(notes)
            self._apply(progress, rows)
            made = self._end(Kind.COMMIT, progress, changes, at)
        return made

    def grow(self, progress: Progress, changes: Sequence[bytes], layers: Sequence[Rows], at: int) -> Entry:
        """Write what a transaction in progress consists of so far; `layers` are its rows, a subtransaction's deeper."""
        first = progress.parts
        with self._in_progress():
            progress.streamed = True
            for depth, rows in enumerate(layers):
                self._pend(progress.xid, depth, rows)
            self._write(progress, changes)
            made = self._log(Kind.BLOCK, progress, at, first=first)
            self._keep(progress)
        return made

    def undo(self, progress: Progress, depth: int, void: Sequence[int], at: int) -> Entry | None:
        """Forget a subtransaction's pending rows; `void` are those whose changes were written."""
        with self._in_progress():
            self._db.execute("delete from pending where xid = ? and depth = ?", (progress.xid, depth))
            if not void:
                return None
            progress.void += void
            made = self._log(Kind.SUBABORT, progress, at, void=list(void))
            self._keep(progress)
        return made

    def merge(self, progress: Progress, depth: int, emptied: Iterable[int]) -> None:
        """A subtransaction's pending rows are those of the one around it from now on."""
        with self._in_progress():
            for oid in emptied:
                self.forget_pending(progress, depth - 1, oid)
            self._db.execute("update or replace pending set depth = ? where xid = ? and depth = ?",
                             (depth - 1, progress.xid, depth))

    def abort(self, progress: Progress, at: int) -> Entry:
        """Forget a transaction in progress of which something was written."""
        with self._in_progress():
            made = self._log(Kind.ABORT, progress, at)
            self._db.execute("delete from log where xid = ? and kind <> ?", (progress.xid, Kind.ABORT))
            self._erase(progress.xid)
        return made

    def prepare(self, progress: Progress, changes: Sequence[bytes], rows: Rows, at: int,
                notes: Mapping[str, str] = _NO_NOTES) -> Entry:
        """Keep a transaction, whatever happens, until it is committed or rolled back by its name."""
        with self._transaction():
            self._note(notes)
            self._pend(progress.xid, 0, rows)
            self._write(progress, changes)
            progress.prepare_lsn, progress.prepared_at = self.end + 0x20, at
            made = self._log(Kind.PREPARE, progress, at)
            self._keep(progress)
        self.prepared[progress.gid] = progress
        return made

    def commit_prepared(self, gid: str, at: int) -> Entry:
        """Commit a prepared transaction.  Errors: KeyError."""
        progress = self.prepared[gid]
        with self._transaction():
            self._apply(progress, ())
            made = self._end(Kind.COMMIT_PREPARED, progress, (), at)
        del self.prepared[gid]
        return made

    def rollback_prepared(self, gid: str, at: int) -> Entry:
        """Forget a prepared transaction.  Errors: KeyError."""
        progress = self.prepared[gid]
        with self._transaction():
            made = self._end(Kind.ROLLBACK_PREPARED, progress, (), at)
        del self.prepared[gid]
        return made

    def pending(self, xid: int, depth: int, oid: int, key: str) -> Cells | Literal["absent"] | None:
        """A row that a subtransaction has made; None where it deleted one, ABSENT where it did neither."""
        with self._lock:
            found = self._db.execute("select cells from pending where xid = ? and depth = ? and relation = ? and "
                                     "key = ?", (xid, depth, oid, key)).fetchone()
        return ABSENT if found is None else None if found[0] is None else _cells(found[0])

    def forget_pending(self, progress: Progress, depth: int, oid: int) -> None:
        """A table was emptied: the rows that a subtransaction made in it are gone."""
        with self._lock:
            self._db.execute("delete from pending where xid = ? and depth = ? and relation = ?",
                             (progress.xid, depth, oid))

    def holder(self, oid: int, key: str | None) -> str | None:
        """The prepared transaction that a row, or any row of a table, waits for."""
        which, values = ("", [oid]) if key is None else (" and key = ?", [oid, key])
        with self._lock:
            found = self._db.execute("select gid from transactions where xid in (select xid from pending where "
                                     f"relation = ?{which}) and gid <> ''", values).fetchone()
        if found is None:
            return next((gid for gid, progress in self.prepared.items() if oid in progress.emptied), None)
        return str(found[0])

    def keep(self, notes: Mapping[str, str]) -> None:
        """Keep notes without a transaction."""
        with self._transaction():
            self._note(notes)

    def note(self, name: str) -> str | None:
        """The note of a name."""
        with self._lock:
            found = self._db.execute("select value from notes where name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    # Inside of transactions

    def _note(self, notes: Mapping[str, str]) -> None:
        if notes:
            self._db.executemany("insert or replace into notes values (?, ?)", notes.items())

    def _end(self, kind: Kind, progress: Progress, changes: Sequence[bytes], at: int) -> Entry:
        """Log what ends a transaction, for those who need it."""
        needed = self._needed() is not None
        if needed:
            self._write(progress, changes)
        made = self._log(kind, progress, at)
        if progress.is_written:
            for table in ("pending", "transactions") if needed else ("pending", "transactions", "changes"):
                self._db.execute(f"delete from {table} where xid = ?", (progress.xid,))
        return made

    def _log(self, kind: Kind, progress: Progress, at: int, **others: Any) -> Entry:
        detail: dict[str, Any] = {
            "relations": sorted(progress.relations), "parts": progress.parts, "streamed": progress.streamed,
            "void": progress.void, "gid": progress.gid, "prepare_lsn": progress.prepare_lsn,
            "prepared_at": progress.prepared_at} | others
        detail = {name: value for name, value in detail.items() if value}
        made = Entry(lsn=self.end + 0x20, kind=kind, xid=progress.xid, at=at, **detail)
        if self._needed() is not None:
            self._db.execute("insert into log values (?, ?, ?, ?, ?)",
                             (made.lsn, kind, made.xid, at, json.dumps(detail)))
        self._db.execute("update meta set value = ? where name = 'xid'", (self._xid,))
        self._db.execute("update meta set value = ? where name = 'end'", (made.end,))
        self._next_end = made.end
        return made

    def _write(self, progress: Progress, changes: Sequence[bytes]) -> None:
        for data in _parts(changes):
            self._db.execute("insert into changes values (?, ?, ?)", (progress.xid, progress.parts, data))
            progress.parts += 1

    def _keep(self, progress: Progress) -> None:
        self._db.execute("insert or replace into transactions values (?, ?, ?)",
                         (progress.xid, progress.gid, progress.to_json()))

    def _pend(self, xid: int, depth: int, rows: Rows) -> None:
        self._db.executemany("insert or replace into pending values (?, ?, ?, ?, ?)", (
            (xid, depth, oid, key, None if cells is None else _text(cells)) for oid, key, cells in rows))

    def _apply(self, progress: Progress, rows: Rows) -> None:
        for oid in progress.emptied:
            self._db.execute("delete from rows where relation = ?", (oid,))
        if progress.is_written:
            self._db.execute("delete from rows where (relation, key) in (select relation, key from pending "
                             "where xid = ? and cells is null)", (progress.xid,))
            self._db.execute("insert or replace into rows select relation, key, cells from pending "
                             "where xid = ? and cells is not null", (progress.xid,))
        gone, there = list[tuple[int, str]](), list[tuple[int, str, str]]()
        for oid, key, cells in rows:
            if cells is None:
                gone.append((oid, key))
            else:
                there.append((oid, key, _text(cells)))
        self._db.executemany("delete from rows where relation = ? and key = ?", gone)
        self._db.executemany("insert or replace into rows values (?, ?, ?)", there)

    def _erase(self, xid: int) -> None:
        for table in ("changes", "pending", "transactions"):
            self._db.execute(f"delete from {table} where xid = ?", (xid,))

    def _open(self) -> list[Progress]:
        return [Progress.from_json(detail) for (detail,) in
                self._db.execute("select detail from transactions order by xid")]

    def _recover(self) -> None:
        """What was in progress when the process ended is void: nobody is connected who was sent any of it."""
        for progress in self._open():
            if not progress.gid:
                self._db.execute("delete from log where xid = ?", (progress.xid,))
                self._erase(progress.xid)

    # Rows

    def relation(self, name: str, shape: str, first: int) -> int:
        """The number of a table, by which its rows and changes are kept; the first one is `first`.

        Errors: ValueError for a table that had another shape, which what is logged of it still has.
        """
        with self._transaction():
            found = self._db.execute("select oid, shape from relations where name = ?", (name,)).fetchone()
            if found is None:
                self._db.execute("insert into relations select coalesce(max(oid) + 1, ?), ?, ? from relations",
                                 (first, name, shape))
                found = self._db.execute("select oid, shape from relations where name = ?", (name,)).fetchone()
        if found[1] != shape:
            raise ValueError(f"{name} had other columns, or another key, when the file was written")
        return int(found[0])

    def fill(self, oid: int, rows: Iterator[tuple[str, Cells]]) -> None:
        """Put in what a table holds before anything is logged."""
        with self._transaction():
            self._db.executemany("insert into rows values (?, ?, ?)",
                                 ((oid, key, _text(cells)) for key, cells in rows))
            self._note({f"filled {oid}": "yes"})

    def cells(self, oid: int, key: str) -> Cells | None:
        """One row, None when there is none."""
        with self._lock:
            found = self._db.execute("select cells from rows where relation = ? and key = ?", (oid, key)).fetchone()
        return None if found is None else _cells(found[0])

    def has_rows(self, oid: int) -> bool:
        """Whether a table has been filled, or has rows."""
        with self._lock:
            return self.note(f"filled {oid}") is not None or self.has_any(oid)

    def has_any(self, oid: int) -> bool:
        """Whether a table has rows now."""
        with self._lock:
            return self._db.execute("select 1 from rows where relation = ? limit 1", (oid,)).fetchone() is not None

    def rows(self, oid: int) -> list[Cells]:
        """All of a table, as it is now."""
        with self._lock:
            return [_cells(text) for (text,) in self._db.execute("select cells from rows where relation = ?", (oid,))]

    def frozen(self) -> Frozen:
        """All rows as they are now, and where that is, whatever is written meanwhile."""
        with self._lock:
            return Frozen(sqlite3.connect(self._path, check_same_thread=False, isolation_level=None))

    def since(self, lsn: int, most: int = 100) -> list[Entry]:
        """What was logged after a position, in order."""
        with self._lock:
            return [Entry(lsn=at, kind=Kind(kind), xid=xid, at=when, **json.loads(detail))
                    for at, kind, xid, when, detail in self._db.execute(
                        "select * from log where lsn > ? order by lsn limit ?", (lsn - after(0), most))]

    def changes(self, xid: int, first: int, parts: int) -> Iterator[bytes]:
        """What a transaction consists of, a part at a time; one that is rolled back meanwhile ends early."""
        for part in range(first, parts):
            with self._lock:
                found = self._db.execute("select data from changes where xid = ? and part = ?", (xid, part)).fetchone()
            if found is None:
                return
            yield found[0]

    # Slots

    def slot(self, name: str) -> Slot | None:
        with self._lock:
            found = self._db.execute("select * from slots where name = ?", (name,)).fetchone()
        return None if found is None else Slot(name=found[0], confirmed=found[1], two_phase=bool(found[2]),
                                               failover=bool(found[3]), two_phase_at=found[4])

    def create(self, slot: Slot) -> Frozen:
        """Keep a slot that begins now, and the rows as they are now."""
        with self._lock:
            slot.confirmed = slot.two_phase_at = self.end
            self.save(slot)
            return self.frozen()

    def save(self, slot: Slot) -> None:
        """Note a slot; what no slot needs any more is forgotten."""
        with self._transaction():
            self._db.execute("insert or replace into slots values (?, ?, ?, ?, ?)",
                             (slot.name, slot.confirmed, slot.two_phase, slot.failover, slot.two_phase_at))
            self._forget()

    def drop(self, name: str) -> None:
        with self._transaction():
            self._db.execute("delete from slots where name = ?", (name,))
            self._forget()

    @property
    def is_needed(self) -> bool:
        """Whether there is a slot."""
        with self._lock:
            return self._needed() is not None

    def _needed(self) -> int | None:
        """What every slot has; None where there is no slot, and nobody needs what is logged."""
        found: int | None = self._db.execute("select min(confirmed) from slots").fetchone()[0]
        return found

    def _forget(self) -> None:
        needed = self._needed()
        upto = 1 << 62 if needed is None else needed - after(0)
        # The changes of a transaction that has not ended are needed even by who has confirmed to be past them.
        self._db.execute(f"delete from changes where xid in (select xid from log where lsn <= ? and kind in ({_ENDS}))",
                         (upto,))
        self._db.execute("delete from log where lsn <= ?", (upto,))

    @contextlib.contextmanager
    def _in_progress(self) -> Iterator[None]:
        """The same for what is void when the process ends: it need not be on disk before what makes it valid is."""
        with self._lock:
            self._db.execute("pragma synchronous = normal")
            try:
                with self._transaction():
                    yield
            finally:
                self._db.execute("pragma synchronous = full")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                self._next_end = self.end
                raise
            self._db.execute("commit")
            self.end = self._next_end


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


__all__ = ["ABSENT", "Frozen", "Rows", "Slot", "Store"]
