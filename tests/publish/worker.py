"""A publisher to be killed: serves, and changes its tables at random, until it is told to stop changing.

    python -m tests.publish.worker FILE PORT SEED
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading

from febe.publish import Publisher, Table
from febe.publish.publisher import Transaction

LIMIT = 50_000
"""Some of the transactions are sent while they are in progress."""
COLUMNS = {"id": "int4", "name": "text", "amount": "numeric", "at": "timestamptz", "flag": "bool"}
KEYS = range(1, 400)


class Undone(Exception):
    """Raised to undo."""


class Changing:
    """Random transactions on two tables."""

    def __init__(self, publisher: Publisher, tables: list[Table], chosen: random.Random) -> None:
        self.publisher, self.tables, self.chosen = publisher, tables, chosen
        self.stop = threading.Event()
        self.kept = {table.oid: {int(cells[0]) for cells in publisher.store.rows(table.oid) if cells[0] is not None}
                     for table in tables}

    def run(self) -> None:
        while not self.stop.wait(self.chosen.random() * 0.01):
            what = self.chosen.random()
            if what < 0.1:
                self.prepare()
            elif what < 0.2:
                self.end_prepared(most=1)
            else:
                self.change(self.chosen.choice((1, 1, 3, 10, 300)))
        self.end_prepared(most=None)
        print("stopped", flush=True)
        for table in self.tables:
            rows = [[None if cell is None else cell.decode() for cell in cells]
                    for cells in self.publisher.store.rows(table.oid)]
            print(json.dumps(sorted(rows, key=lambda row: int(row[0] or 0))), flush=True)

    def change(self, size: int) -> None:
        """A transaction; some are undone, and parts of some."""
        before = {oid: set(keys) for oid, keys in self.kept.items()}
        try:
            with self.publisher.transaction() as change:
                for _ in range(size):
                    self.step(change, self.chosen.choice(self.tables))
                if self.chosen.random() < 0.3:
                    self.undone(change, size)
                    self.step(change, self.chosen.choice(self.tables))
                if self.chosen.random() < 0.1:
                    raise Undone
        except Undone:
            self.kept = before

    def undone(self, change: Transaction, size: int) -> None:
        before = {oid: set(keys) for oid, keys in self.kept.items()}
        try:
            with change.savepoint():
                for _ in range(size):
                    self.step(change, self.chosen.choice(self.tables))
                raise Undone
        except Undone:
            self.kept = before

    def prepare(self) -> None:
        """A transaction on rows of its own: nobody else may touch them until its end, which may be long after."""
        first = 1_000_000 + self.publisher.store.begin() * 100
        with self.publisher.transaction(prepare=f"{first} {self.chosen.random()}") as change:
            for number in range(self.chosen.choice((1, 90))):
                for table in self.tables:
                    change.insert(table, (first + number, "prepared", None, None, None))

    def end_prepared(self, most: int | None) -> None:
        for prepared in self.publisher.prepared_transactions[:most]:
            if self.chosen.random() < 0.7:
                self.publisher.commit_prepared(prepared.gid)
            else:
                self.publisher.rollback_prepared(prepared.gid)

    def step(self, change: Transaction, table: Table) -> None:
        chosen, kept = self.chosen, self.kept[table.oid]
        key = chosen.choice(KEYS)
        row = (key, f"n{chosen.random()}" * chosen.choice((1, 1, 40)), chosen.choice((None, key / 4)), None,
               chosen.random() < 0.5)
        what = chosen.random()
        if what < 0.002 and not self.publisher.prepared_transactions:
            change.truncate(table)
            kept.clear()
        elif key not in kept:
            change.insert(table, row)
            kept.add(key)
        elif what < 0.5:
            change.update(table, row)
        elif what < 0.6 and (new := chosen.choice(KEYS)) not in kept:
            change.update(table, (new, *row[1:]), old=row)
            kept ^= {key, new}
        else:
            change.delete(table, row)
            kept.discard(key)


async def main(path: str, port: str, seed: str) -> None:
    publisher = Publisher(path, publication="febe", logical_decoding_work_mem=LIMIT)
    tables = [publisher.table(f"public.{name}", COLUMNS, key=["id"],
                              rows=[(number, f"first {number}", None, None, True) for number in range(-200, 0)])
              for name in ("t", "u")]
    async with await publisher.serve(port=int(port)) as listener:
        changing = Changing(publisher, tables, random.Random(seed))
        print(listener.port, flush=True)
        working = asyncio.create_task(asyncio.to_thread(changing.run))
        await asyncio.to_thread(sys.stdin.readline)
        changing.stop.set()
        await working
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
