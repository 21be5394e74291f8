"""A copy of tables, kept in step by the changes of a subscription; and random changes to keep it busy."""

from __future__ import annotations

import random
from typing import Any

from febe import replication
from febe.replication import Begin, Delete, Event, Insert, Relation, Truncate, Update

TABLES = """
drop publication if exists copied; drop table if exists plain, whole, wide;
create table plain (id int primary key, name text, amount numeric(12,2), at timestamptz, flag bool);
create table whole (id int, label text, data bytea); alter table whole replica identity full;
create table wide (id int primary key, body text, n int); alter table wide alter body set storage external;
create publication copied for table plain, whole, wide"""
NAMES = ("plain", "whole", "wide")


class Copy:
    """What a program that applies changes has: rows by key, a multiset where the whole row is the key."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, list[tuple[Any, ...]]]] = {name: {} for name in NAMES}
        self.commits: list[int] = []
        self.snapshots = 0
        self.prepared: dict[str, list[Event]] = {}
        self._preparing: list[Event] | None = None

    def apply(self, event: Event) -> None:
        if isinstance(event, Begin):
            self._preparing = [] if event.kind == "prepared" else None
        if isinstance(event, replication.Prepare):
            assert self._preparing is not None
            assert event.gid not in self.prepared, "prepared twice"
            self.prepared[event.gid], self._preparing = self._preparing, None
        elif isinstance(event, replication.CommitPrepared):
            for change in self.prepared.pop(event.gid):
                self._apply(change)
        elif isinstance(event, replication.RollbackPrepared):
            del self.prepared[event.gid]
        elif self._preparing is not None:
            self._preparing.append(event)
        else:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Begin) and event.kind == "snapshot":
            self.snapshots += 1
            self.tables = {name: {} for name in NAMES}
        elif isinstance(event, Insert):
            self._put(event.relation, event.new)
        elif isinstance(event, Update):
            old = event.old if event.old is not None else event.new
            row = self._take(event.relation, old)
            new = tuple(row[place] if value is replication.UNCHANGED else value
                        for place, value in enumerate(event.new))
            self._put(event.relation, new)
        elif isinstance(event, Delete):
            self._take(event.relation, event.old)
        elif isinstance(event, Truncate):
            for relation in event.relations:
                self.tables[relation.name].clear()
        elif isinstance(event, replication.Commit):
            assert event.end_lsn not in self.commits, "handed out twice"
            self.commits.append(event.end_lsn)

    def _key(self, relation: Relation, row: tuple[Any, ...]) -> Any:
        return tuple(row) if relation.replica_identity == "f" else row[0]

    def _put(self, relation: Relation, row: tuple[Any, ...]) -> None:
        rows = self.tables[relation.name].setdefault(self._key(relation, row), [])
        assert relation.replica_identity == "f" or not rows, "inserted twice"
        rows.append(tuple(row))

    def _take(self, relation: Relation, row: tuple[Any, ...]) -> tuple[Any, ...]:
        key = self._key(relation, row)
        rows = self.tables[relation.name][key]
        found = rows.pop()
        if not rows:
            del self.tables[relation.name][key]
        return found

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        return sorted((row for rows in self.tables[name].values() for row in rows), key=repr)


def statements(chosen: random.Random, count: int, *, truncate: bool = True, prepare: bool = False) -> list[str]:
    """Transactions of random changes, each a query string; some large enough to be streamed, some rolled back, some
    prepared and then either.

    TRUNCATE is not MVCC-safe (manual: "Caveats"): none may run while a snapshot is copied.
    """
    found = []
    for _ in range(count):
        parts = [_statement(chosen, truncate) for _ in range(chosen.randint(1, 4))]
        if chosen.random() < 0.3:
            void = f"savepoint s; {_statement(chosen, truncate)}; rollback to s"
            parts.insert(chosen.randrange(len(parts) + 1), void)
        end = "rollback" if chosen.random() < 0.15 else "commit"
        if prepare and chosen.random() < 0.2:
            gid = f"p{chosen.random()}"
            found += f"begin; {'; '.join(parts)}; prepare transaction '{gid}'", f"{end} prepared '{gid}'"
        else:
            found.append(f"begin; {'; '.join(parts)}; {end}")
    return found


def _statement(chosen: random.Random, truncate: bool) -> str:
    first = chosen.randint(1, 2000)
    match chosen.randrange(10):
        case 0 | 1:
            return (f"insert into plain select g, 'n' || g, g / 7.0, timestamptz '2024-01-01 UTC' + g * interval '1 s',"
                    f" g % 2 = 0 from generate_series({first}, {first + chosen.randint(0, 30)}) g "
                    "on conflict do nothing")
        case 2:
            return (f"update plain set name = md5(id::text || '{first}'), amount = amount + 1 "
                    f"where id % 97 = {first % 97}")
        case 3:
            return (f"update plain set id = -id where id = {first} "
                    f"and not exists (select from plain where id = {-first})")
        case 4:
            return f"delete from plain where id % 53 = {first % 53}"
        case 5:
            return f"insert into whole select {first % 50}, 'label', '\\x00ff' from generate_series(1, 3)"
        case 6:
            return (f"update whole set label = 'l{first}' where id % 7 = {first % 7}; "
                    f"delete from whole where id = {first % 50}")
        case 7:
            return (f"insert into wide values ({first}, repeat(md5('{first}'), 200), 0) "
                    "on conflict (id) do update set n = 1")
        case 8:
            return f"update wide set n = n + 1 where id % 3 = {first % 3}"
        case _:
            if truncate and chosen.random() < 0.1:
                return "truncate wide"
            return (f"insert into plain select g, repeat('x', 100) from generate_series({first + 10000}, "
                    f"{first + 11500}) g on conflict do nothing; delete from plain where id > 9000 and id % 5 <> 0")
