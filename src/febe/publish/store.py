"""What outlives the process: rows, transactions that somebody still needs, slots.  One SQLite file."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from febe.publish.table import Cells

FIRST_LSN = 0x1000000
_SCHEMA = """
create table if not exists meta (name text primary key, value integer);
create table if not exists rows (relation integer, key text, cells text, primary key (relation, key));
create table if not exists log (lsn integer primary key, xid integer, at integer, changes blob);
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
    """A transaction; `lsn` is its commit's position, `end` the one after it."""

    lsn: int
    xid: int
    at: int
    changes: list[bytes]

    @property
    def end(self) -> int:
        return self.lsn + 0x10


class Store:
    """Every method is a transaction of its own, or none at all."""

    def __init__(self, path: str | Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)
        self.system_id = self._number("system_id", secrets.randbits(62))
        self.end = self._db.execute("select coalesce(max(lsn) + 16, ?) from log",
                                    (self._number("end", FIRST_LSN),)).fetchone()[0]
        self._xid = self._number("xid", 1000)

    def _number(self, name: str, default: int) -> int:
        found = self._db.execute("select value from meta where name = ?", (name,)).fetchone()
        if found is None:
            self._db.execute("insert into meta values (?, ?)", (name, default))
            return default
        return int(found[0])

    def close(self) -> None:
        self._db.close()

    # Rows and transactions

    def commit(self, changes: list[bytes], rows: list[tuple[int, str, Cells | None]], emptied: list[int],
               at: int) -> Logged:
        """Log a transaction and bring the rows up to date, both or neither."""
        made = Logged(lsn=self.end + 0x20, xid=self._xid + 1, at=at, changes=changes)
        with self._transaction():
            for oid in emptied:
                self._db.execute("delete from rows where relation = ?", (oid,))
            for oid, key, cells in rows:
                if cells is None:
                    self._db.execute("delete from rows where relation = ? and key = ?", (oid, key))
                else:
                    text = json.dumps([None if cell is None else cell.decode() for cell in cells])
                    self._db.execute("insert or replace into rows values (?, ?, ?)", (oid, key, text))
            packed = b"".join(len(change).to_bytes(4, "big") + change for change in changes)
            self._db.execute("insert into log values (?, ?, ?, ?)", (made.lsn, made.xid, at, packed))
            self._db.execute("update meta set value = ? where name = 'xid'", (made.xid,))
            self._db.execute("update meta set value = ? where name = 'end'", (made.end,))
        self.end, self._xid = made.end, made.xid
        return made

    def fill(self, oid: int, rows: Iterator[tuple[str, Cells]]) -> None:
        """Put in what a table holds before anything is logged."""
        with self._transaction():
            for key, cells in rows:
                text = json.dumps([None if cell is None else cell.decode() for cell in cells])
                self._db.execute("insert into rows values (?, ?, ?)", (oid, key, text))

    def cells(self, oid: int, key: str) -> Cells | None:
        """One row, None when there is none."""
        found = self._db.execute("select cells from rows where relation = ? and key = ?", (oid, key)).fetchone()
        return None if found is None else _cells(found[0])

    def rows(self, oid: int) -> list[Cells]:
        """All of a table, as it is now."""
        return [_cells(text) for (text,) in self._db.execute("select cells from rows where relation = ?", (oid,))]

    def since(self, lsn: int, most: int = 100) -> list[Logged]:
        """Transactions that end after a position, in order."""
        found = []
        for at, xid, when, packed in self._db.execute(
                "select lsn, xid, at, changes from log where lsn + 16 > ? order by lsn limit ?", (lsn, most)):
            changes, pos = [], 0
            while pos < len(packed):
                size = int.from_bytes(packed[pos:pos + 4], "big")
                changes.append(packed[pos + 4:pos + 4 + size])
                pos += 4 + size
            found.append(Logged(lsn=at, xid=xid, at=when, changes=changes))
        return found

    # Slots

    def slot(self, name: str) -> Slot | None:
        found = self._db.execute("select * from slots where name = ?", (name,)).fetchone()
        return None if found is None else Slot(name=found[0], confirmed=found[1], two_phase=bool(found[2]),
                                               failover=bool(found[3]))

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

    def _forget(self) -> None:
        self._db.execute("delete from log where lsn + 16 <= (select min(confirmed) from slots)")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("commit" if error is None else "rollback")


def _cells(text: str) -> Cells:
    return [None if cell is None else cell.encode() for cell in json.loads(text)]


__all__ = ["Logged", "Slot", "Store"]
