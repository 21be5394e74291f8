"""A subscription to PostgreSQL 13 to 18, random changes against a copy, with and without connections cut."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import febe
from febe import replication
from febe.replication import Commit, Insert, subscribe
from tests.peers.postgres import Postgres
from tests.replication.copies import NAMES, TABLES, Copy, statements

MARK = "-1000000"


@pytest.fixture
def client(publisher: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(publisher.dsn()) as connection:
        connection.execute(TABLES)
        yield connection
        drop_slots(connection)


def drop_slots(connection: febe.Connection) -> None:
    connection.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid is not null")
    for _ in range(200):
        try:
            connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
            return
        except febe.PostgresError:
            connection.execute("select pg_sleep(0.02)")


def follow(subscription: replication.Subscription, copied: threading.Event) -> Copy:
    """Apply changes until the mark is there; tell when the snapshot is over."""
    copy = Copy()
    marked = False
    for event in subscription:
        copy.apply(event)
        if isinstance(event, Insert) and event.relation.name == "plain" and event.new[0] == int(MARK):
            marked = True
        if isinstance(event, Commit):
            copied.set()
            if marked:
                return copy
    raise AssertionError("the stream ended")


def expected(connection: febe.Connection, name: str) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, connection.fetch(f"select * from {name}")), key=repr)


def modes(major: int) -> list[dict[str, Any]]:
    """Every version of the protocol and every way of streaming that a server has."""
    found: list[dict[str, Any]] = [{"proto_version": 1, "streaming": "off"}]
    if major >= 14:
        found += [{"proto_version": 2, "streaming": "off", "binary": True}, {"proto_version": 2, "streaming": "on"}]
    if major >= 15:
        found += [{"proto_version": 3, "streaming": streaming, "two_phase": True} for streaming in ("off", "on")]
    if major >= 16:
        found += [{"proto_version": 4, "streaming": "off"}, {"proto_version": 4, "streaming": "on", "binary": True},
                  {"proto_version": 4, "streaming": "parallel"},
                  {"proto_version": 4, "streaming": "parallel", "two_phase": True}]
    return found


# Each server in every mode with its connections cut, and the newest undisturbed too; most of it is for CI.
CASES = [pytest.param(major, number, cut, marks=() if cut and number == len(modes(major)) - 1 else (pytest.mark.slow,))
         for major in (13, 14, 15, 16, 17, 18) for number in range(len(modes(major)))
         for cut in ((True, False) if major == 18 and number in (0, 7) else (True,))]


@pytest.mark.parametrize(("major", "number", "cut"), CASES)
def test_random_changes_end_equal(publishers: Callable[[int], Postgres], major: int, number: int, cut: bool) -> None:
    server = publishers(major)
    chosen = random.Random(f"{major}-{number}-{cut}")
    with febe.connect(server.dsn()) as connection:
        connection.execute(TABLES)
        for sql in statements(chosen, 20):
            connection.execute(sql)
        failures: list[BaseException] = []
        copied = threading.Event()

        def change() -> None:
            try:
                with febe.connect(server.dsn()) as other:
                    first = statements(chosen, 30, truncate=False, prepare=True)
                    for place, sql in enumerate(first + statements(chosen, 30, prepare=True)):
                        if place == len(first):
                            copied.wait()
                        other.execute(sql)
                        if cut and place % 12 == 5:
                            other.execute("select pg_terminate_backend(active_pid) from pg_replication_slots "
                                          "where active_pid is not null")
            except BaseException as failure:
                failures.append(failure)
            finally:
                with febe.connect(server.dsn()) as other:
                    other.execute(f"insert into plain values ({MARK})")

        worker = threading.Thread(target=change)
        worker.start()
        try:
            copy = follow(subscribe(server.dsn(), slot="copying", publication="copied", snapshot=True,
                                    queue_bytes=100_000, **modes(major)[number]), copied)
        finally:
            copied.set()
            worker.join()
            drop_slots(connection)
        assert failures == []
        assert copy.prepared == {}
        for name in NAMES:
            assert copy.rows(name) == expected(connection, name)


def test_the_same_from_a_coroutine(client: febe.Connection, publisher: Postgres) -> None:
    async def main() -> list[str]:
        found = []
        async for event in subscribe(publisher.dsn(), slot="a", publication="copied", create=True, snapshot=True):
            found.append(type(event).__name__)
            if found.count("Commit") == 1 and found[-1] == "Commit":
                await asyncio.to_thread(client.execute, "insert into plain values (1, 'x')")
            if found.count("Commit") == 2:
                break
        return found

    assert asyncio.run(main()) == ["Begin", "Relation", "Relation", "Relation", "Commit", "Begin", "Insert", "Commit"]


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_transaction_undone_is_not_seen(publishers: Callable[[int], Postgres], version: int) -> None:
    """Without streaming; PostgreSQL 18.6 tells of its subtransaction (bug 19616)."""
    server = publishers(18)
    with febe.connect(server.dsn()) as connection:
        connection.execute(TABLES)
        subscription = subscribe(server.dsn(), slot="undone", publication="copied", create=True, snapshot=True,
                                 streaming="off", proto_version=version)
        with subscription:
            events = iter(subscription)
            while not isinstance(next(events), Commit):
                pass
            connection.execute(
                "begin; insert into plain values (1, 'x'); savepoint s; insert into plain values (2, 'y'); release s; "
                "insert into plain select g, repeat('x', 100) from generate_series(10, 2000) g; rollback")
            connection.execute("insert into plain values (3, 'z')")
            seen = [next(events) for _ in range(3)]
        assert [type(event).__name__ for event in seen] == ["Begin", "Insert", "Commit"]
        drop_slots(connection)


def test_the_page_s_example(publishers: Callable[[int], Postgres]) -> None:
    page = (Path(__file__).parents[2] / "docs/replication.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=os.environ | {"DSN": publishers(17).dsn()})
    assert (done.stdout, done.stderr) == ("{'apple': 2}\n", "")
