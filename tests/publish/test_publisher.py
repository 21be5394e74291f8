"""Real PostgreSQL 16, 17 and 18 subscribe to a febe publisher."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import febe
from febe.publish import Publisher, PublishError, Table
from tests.peers.postgres import Postgres
from tests.publish.running import Running, wait_until

SUBSCRIBERS = (16, 17, 18)
COLUMNS = {"id": "int4", "name": "text", "amount": "numeric", "at": "timestamptz", "flag": "bool"}
CREATED = "create table t (id int primary key, name text, amount numeric, at timestamptz, flag bool)"


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return opened(tmp_path)


def opened(directory: Path) -> Running:
    return Running(directory / "changes.db", columns=COLUMNS,
                   rows=[(number, f"n{number}", None, None, True) for number in range(-5, 0)])


@contextlib.contextmanager
def subscribed(server: Postgres, port: int, options: str = "") -> Iterator[febe.Connection]:
    with febe.connect(server.dsn()) as client:
        client.execute(f"drop table if exists t; {CREATED}")
        given = f" with ({options})" if options else ""
        client.execute(f"create subscription s connection 'host=127.0.0.1 port={port} user=u dbname=d sslmode=disable' "
                       f"publication febe{given}")
        try:
            yield client
        finally:
            client.execute("drop subscription s")


def rows(client: febe.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in client.fetch("select id, name, amount::text, flag from t order by id")]


def follow(publisher: Publisher, client: febe.Connection, mark: int) -> None:
    """Wait until what was published up to now is there."""
    table = next(iter(publisher.tables.values()))
    with publisher.transaction() as change:
        change.insert(table, (mark, None, None, None, None))
    wait_until(client, f"select exists (select from t where id = {mark})")


OPTIONS = ["", "copy_data = false", "binary = true", "streaming = on", "streaming = parallel", "two_phase = true",
           "origin = none", "disable_on_error = true, synchronous_commit = off", "failover = true"]
CASES = [pytest.param(major, options, marks=() if major == 18 or not options else (pytest.mark.slow,))
         for major in SUBSCRIBERS for options in OPTIONS if major > 16 or not options.startswith("failover")]


@pytest.mark.parametrize(("major", "options"), CASES)
def test_a_subscription_with_every_option(publishers: Callable[[int], Postgres], running: Running, major: int,
                                          options: str) -> None:
    with running.started() as publisher, subscribed(publishers(major), running.port, options) as client:
        if not options.startswith("copy_data"):
            wait_until(client, "select count(*) = 5 from t")
        table = running.table
        with publisher.transaction() as change:
            change.insert(table, (1, "one", 1.5, None, False))
            change.insert(table, (2, "two", None, None, None))
        with publisher.transaction() as change:
            change.update(table, (1, "uno", 2.25, None, True))
            change.update(table, (3, "three", None, None, None), old=(2, "two", None, None, None))
            change.delete(table, (3, None, None, None, None))
        follow(publisher, client, 100)
        expected = [] if options.startswith("copy_data") else [(n, f"n{n}", None, True) for n in range(-5, 0)]
        assert rows(client) == [*expected, (1, "uno", "2.25", True), (100, None, None, None)]
        with publisher.transaction() as change:
            change.truncate(table)
            change.insert(table, (7, "seven", None, None, None))
        follow(publisher, client, 101)
        assert [row[0] for row in rows(client)] == [7, 101]
        client.execute("alter subscription s refresh publication with (copy_data = false)")


@pytest.mark.parametrize("major", [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,))
                                   for major in SUBSCRIBERS])
def test_rows_are_chosen_and_columns_left_out(publishers: Callable[[int], Postgres], running: Running,
                                              major: int) -> None:
    with running.started() as publisher, subscribed(publishers(major), running.port) as client:
        client.execute("create table picked (id int primary key, n int, more text default 'ours')")
        some = publisher.table("public.picked", {"id": "int4", "n": "int4"}, key=["id"], where=lambda row: row.n > 10,
                               rows=[(1, 5), (2, 20), (3, 30)])
        client.execute("alter subscription s refresh publication")
        wait_until(client, "select count(*) = 2 from picked")
        wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
        with publisher.transaction() as change:
            change.update(some, (1, 11))  # comes in
            change.update(some, (2, 2))  # goes out
            change.update(some, (4, 33), old=(3, 30))
            change.insert(some, (5, 1))
            change.delete(some, (5, None))
        follow(publisher, client, 200)
        assert [tuple(row) for row in client.fetch("select * from picked order by id")] == [
            (1, 11, "ours"), (4, 33, "ours")]
        client.execute("drop table picked")


def change_randomly(publisher: Publisher, table: Table, chosen: random.Random, kept: dict[int, str]) -> None:
    with publisher.transaction() as change:
        for _ in range(chosen.randint(1, 20)):
            number = chosen.randint(1000, 1200)
            row = (number, f"x{chosen.random()}", None, None, None)
            if number not in kept:
                change.insert(table, row)
                kept[number] = str(row[1])
            elif chosen.random() < 0.6:
                change.update(table, row)
                kept[number] = str(row[1])
            else:
                change.delete(table, row)
                del kept[number]


@pytest.mark.slow
@pytest.mark.parametrize("major", SUBSCRIBERS)
def test_restarts_of_either_side_lose_and_repeat_nothing(publishers: Callable[[int], Postgres], running: Running,
                                                         major: int) -> None:
    chosen, kept = random.Random(major), dict[int, str]()
    server = publishers(major)
    with contextlib.ExitStack() as stack:
        client = None
        for round in range(4):
            with running.started() as publisher:
                if client is None:
                    client = stack.enter_context(subscribed(server, running.port))
                for _ in range(10):
                    change_randomly(publisher, running.table, chosen, kept)
                # a worker that is stopped between dropping its slot and noting that never synchronises its table
                wait_until(client, "select not exists (select from pg_subscription_rel where srsubstate <> 'r')")
                client.execute("select pg_terminate_backend(pid) from pg_stat_subscription where pid is not null")
                for _ in range(10):
                    change_randomly(publisher, running.table, chosen, kept)
                follow(publisher, client, round)
                found = {row[0]: row[1] for row in rows(client)}
                assert {key: name for key, name in found.items() if int(str(key)) >= 1000} == kept
                if round == 3:
                    stack.close()


def test_what_makes_no_sense_is_refused(running: Running) -> None:
    with running.started() as publisher:
        row = (1, None, None, None, None)
        with pytest.raises(PublishError), publisher.transaction() as change:
            change.insert(running.table, row)
            change.insert(running.table, row)
        with pytest.raises(PublishError), publisher.transaction() as change:
            change.update(running.table, row)
        assert publisher.store.cells(running.table.oid, '["1"]') is None  # nothing of either was kept
        with pytest.raises(ValueError, match="needs a key"):
            publisher.table("k", {"a": "int4"}, key=[])
        where = f"host=127.0.0.1 port={running.port} user=u"
        with pytest.raises(febe.PostgresError) as error, febe.connect(where) as client:
            client.execute("select 1")
        assert error.value.sqlstate == "0A000"


def test_the_page_s_example(newest: Postgres) -> None:
    with febe.connect(newest.dsn()) as client:
        client.execute("drop table if exists stock")
    page = (Path(__file__).parents[2] / "docs/publish.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=os.environ | {"DSN": newest.dsn()})
    assert (done.stdout, done.stderr) == ("[('apple', 2), ('fig', 1)]\n", "")
