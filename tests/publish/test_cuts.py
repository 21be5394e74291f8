"""The connection between a publisher and a PostgreSQL is cut, and PostgreSQL killed, at any message of a transaction
in progress, between prepare and commit, and while a table is copied: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import febe
from tests.client.fault_proxy import FaultProxy, proxy
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres
from tests.publish.running import Running, wait_until
from tests.publish.test_publisher import SUBSCRIBERS
from tests.publish.test_subscribers import Undone, subscribed
from tests.replication.conftest import SETTINGS

LIMIT = 6000
MODES = ("off", "on", "parallel")
CASES = [pytest.param(major, mode, marks=() if (major, mode) == (18, "parallel") else (pytest.mark.slow,))
         for major in SUBSCRIBERS for mode in MODES]
COUNT, STEP = 20, 100


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The subscriber's way to it leads through the proxy."""
    made = Running(tmp_path / "changes.db", logical_decoding_work_mem=LIMIT)
    with made.started():
        yield made


@pytest.fixture
def faulty(running: Running) -> Iterator[FaultProxy]:
    with proxy("127.0.0.1", running.port) as made:
        yield made


def change(running: Running, first: int) -> None:
    """A transaction that is prepared and committed, one that is rolled back, and a plain one; all are large."""
    publisher, table = running.publisher, running.table
    with publisher.transaction(prepare=f"g{first}") as transaction:
        for number in range(COUNT):
            transaction.insert(table, (first + number, "kept"))
        with pytest.raises(Undone), transaction.savepoint():
            for number in range(COUNT, 2 * COUNT):
                transaction.insert(table, (first + number, "undone"))
            raise Undone
    with publisher.transaction(prepare=f"v{first}") as transaction:
        transaction.insert(table, (first + 98, "void"))
    publisher.commit_prepared(f"g{first}")
    publisher.rollback_prepared(f"v{first}")
    with publisher.transaction() as transaction:
        for number in range(COUNT):
            transaction.update(table, (first + number, "changed"))
        transaction.insert(table, (first + 99, "last"))


def equal_in_the_end(client: febe.Connection, running: Running, first: int) -> None:
    wait_until(client, f"select exists (select from t where id = {first + 99})")
    wait_until(client, "select not exists (select from pg_prepared_xacts)")
    found = client.fetch(f"select id, name from t where id >= {first} order by id")
    assert [tuple(row) for row in found] == [*((first + number, "changed") for number in range(COUNT)),
                                             (first + 99, "last")]


@pytest.mark.parametrize(("major", "mode"), CASES)
def test_the_network_is_cut_at_every_message(publishers: Callable[[int], Postgres], running: Running,
                                             faulty: FaultProxy, major: int, mode: str) -> None:
    at = 0
    with subscribed(publishers(major), running, f"two_phase = true, streaming = {mode}", port=faulty.port) as client:
        while True:
            faulty.arm("once", at)
            change(running, at * STEP)
            equal_in_the_end(client, running, at * STEP)
            if faulty.is_armed:
                break
            at += 7 if 12 < at < 60 else 1  # each, and some of those that are like each other
        faulty.disarm()
    assert at > 60


@pytest.mark.slow
@pytest.mark.parametrize("major", SUBSCRIBERS)
@pytest.mark.parametrize("mode", MODES[1:])
def test_postgres_is_killed_between_prepare_and_commit(running: Running, major: int, mode: str) -> None:
    with servers.crashing(installed(major), **SETTINGS, fsync="on") as crashing:
        server = crashing.start()
        with subscribed(server, running, f"two_phase = true, streaming = {mode}", kept=True) as client:
            with running.publisher.transaction(prepare="g") as transaction:
                for number in range(COUNT):
                    transaction.insert(running.table, (number, "kept"))
            wait_until(client, "select count(*) = 1 from pg_prepared_xacts")
            crashing.kill()
        server = crashing.start()
        with febe.connect(server.dsn()) as client:
            wait_until(client, "select count(*) = 1 from pg_prepared_xacts")
            running.publisher.commit_prepared("g")
            wait_until(client, "select count(*) = 0 from pg_prepared_xacts")
            assert client.fetchval("select count(*) from t where name = 'kept'") == COUNT
            with running.publisher.transaction(prepare="h") as transaction:
                transaction.insert(running.table, (99, "void"))
            wait_until(client, "select count(*) = 1 from pg_prepared_xacts")
            crashing.kill()
            running.publisher.rollback_prepared("h")
        server = crashing.start()
        with febe.connect(server.dsn()) as client:
            wait_until(client, "select count(*) = 0 from pg_prepared_xacts")
            assert client.fetchval("select count(*) from t where name = 'void'") == 0
            client.execute("drop subscription s")


@pytest.mark.parametrize("major", [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,))
                                   for major in SUBSCRIBERS])
def test_the_network_is_cut_while_a_table_is_copied(publishers: Callable[[int], Postgres], running: Running,
                                                    faulty: FaultProxy, major: int) -> None:
    count, table = 150_000, running.table
    made = ([str(number).encode(), b"x"] for number in range(count))
    running.publisher.store.fill(table.oid, ((table.key_of(cells), cells) for cells in made))
    faulty.arm("once", 130)  # about ninety messages come before the rows, and one for every thousand of them
    with subscribed(publishers(major), running, "streaming = on", port=faulty.port) as client:
        assert not faulty.is_armed
        assert client.fetchval("select count(*) from t where name = 'x'") == count
