"""Real PostgreSQL 16, 17 and 18: transactions in progress, and prepared ones, are there before they are committed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import febe
from tests.peers.postgres import Postgres
from tests.publish.running import Running, wait_until
from tests.publish.test_publisher import SUBSCRIBERS

COUNT = 3000
LIMIT = 100_000
MAJORS = [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,)) for major in SUBSCRIBERS]


class Undone(Exception):
    """Raised to undo."""


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path / "changes.db", logical_decoding_work_mem=LIMIT)


@contextlib.contextmanager
def subscribed(server: Postgres, running: Running, options: str, *, port: int | None = None,
               kept: bool = False) -> Iterator[febe.Connection]:
    """Through the publisher's own port unless one is given; a subscription that is `kept` is somebody else's to drop.
    """
    with febe.connect(server.dsn()) as client:
        client.execute("drop table if exists t; create table t (id int primary key, name text)")
        client.execute(f"create subscription s connection 'host=127.0.0.1 port={port or running.port} user=u dbname=d "
                       f"sslmode=disable' publication febe with ({options})")
        try:
            wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
            if "two_phase" in options:
                wait_until(client, "select subtwophasestate = 'e' from pg_subscription")
            # the apply worker notes that all tables are ready, without which it has no parallel ones, between two
            # transactions (worker.c, pa_can_start)
            for number in (-10, -11):
                with running.publisher.transaction() as change:
                    change.insert(running.table, (number, "ready"))
                wait_until(client, f"select exists (select from t where id = {number})")
            yield client
        finally:
            if not kept:
                client.execute("drop subscription s")


def rows(client: febe.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.fetch("select id, name from t where name <> 'ready' order by id")]


def change_much(change: Any, running: Running) -> None:
    """Rows 0 to 2999, most of them sent before the end; what is undone within is sent too."""
    for number in range(COUNT // 2):
        change.insert(running.table, (number, "first"))
    with pytest.raises(Undone), change.savepoint():
        for number in range(10_000, 10_000 + COUNT // 2):
            change.insert(running.table, (number, "undone"))
        with change.savepoint():
            for number in range(COUNT // 2):
                change.update(running.table, (number, "undone"))
        raise Undone
    with change.savepoint():
        for number in range(COUNT // 2, COUNT):
            change.insert(running.table, (number, "second"))


EXPECTED = [(number, "first" if number < COUNT // 2 else "second") for number in range(COUNT)]


@pytest.mark.parametrize("streaming", ["off", "on", "parallel"])
@pytest.mark.parametrize("major", MAJORS)
def test_a_transaction_is_received_while_it_is_in_progress(publishers: Callable[[int], Postgres], running: Running,
                                                           major: int, streaming: str) -> None:
    server = publishers(major)
    with running.started() as publisher, subscribed(server, running, f"streaming = {streaming}") as client:
        with publisher.transaction() as change:
            change_much(change, running)
            if streaming == "parallel":  # its worker has applied what is not committed
                wait_until(client, "select count(*) > 0 from pg_locks join pg_stat_subscription using (pid) "
                           "where relation = 't'::regclass and leader_pid is not null")
            elif streaming == "on":  # it lies in a file
                wait_until(client, "select count(*) > 0 from pg_ls_dir('base/pgsql_tmp') d where d like '%.fileset'")
            assert rows(client) == []
        wait_until(client, f"select count(*) >= {COUNT} from t")
        assert rows(client) == EXPECTED
        with pytest.raises(Undone), publisher.transaction() as change:
            for number in range(COUNT):
                change.delete(running.table, (number, None))
            raise Undone
        with publisher.transaction() as change:
            change.insert(running.table, (-1, "last"))
        wait_until(client, "select exists (select from t where id = -1)")
        assert rows(client) == [(-1, "last"), *EXPECTED]


@pytest.mark.parametrize("streaming", ["off", "on", "parallel"])
@pytest.mark.parametrize("major", MAJORS)
def test_a_prepared_transaction_is_there_before_its_commit(publishers: Callable[[int], Postgres], running: Running,
                                                           major: int, streaming: str) -> None:
    server = publishers(major)
    options = f"two_phase = true, streaming = {streaming}"
    with contextlib.ExitStack() as stack:
        with running.started() as publisher:
            client = stack.enter_context(subscribed(server, running, options))
            for gid in ("kept", "void"):
                with publisher.transaction(prepare=gid) as change:
                    if gid == "kept":
                        change_much(change, running)
                    else:
                        change.insert(running.table, (-2, "void"))
            wait_until(client, "select count(*) = 2 from pg_prepared_xacts where gid like 'pg_gid_%'")
            assert rows(client) == []
            with publisher.transaction() as change:
                change.insert(running.table, (-1, "others go on"))
            wait_until(client, "select exists (select from t where id = -1)")
        with running.started() as publisher:
            assert [one.gid for one in publisher.prepared_transactions] == ["kept", "void"]
            publisher.rollback_prepared("void")
            wait_until(client, "select count(*) = 1 from pg_prepared_xacts")
            publisher.commit_prepared("kept")
            wait_until(client, "select count(*) = 0 from pg_prepared_xacts")
            assert rows(client) == [(-1, "others go on"), *EXPECTED]
            stack.close()
