"""What good change-data consumers do, each a test."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import febe
from febe import replication
from febe.client.options import resolve
from febe.client.run_blocking import open_session, runner
from febe.errors import PostgresError
from febe.flows import replicate
from febe.flows.close import close
from febe.flows.session import Session
from febe.ports.memory import pair
from febe.ports.memory import run as run_both
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection
from febe.protocol.lsn import parse_lsn
from febe.protocol.message import Message, Sender
from febe.protocol.replication_commands import CreateReplicationSlot, IdentifySystem
from febe.protocol.simple import CommandComplete, DataRow, FieldDescription, Query, RowDescription
from febe.protocol.startup import ReadyForQuery, StartupMessage
from febe.protocol.states import State
from febe.replication import UNCHANGED, Commit, Event, Insert, SlotLost, Update, subscribe
from febe.replication.handover import Handover
from febe.replication.slots import as_lost
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres
from tests.replication.conftest import MAJORS, SETTINGS
from tests.replication.test_subscription import drop_slots

TABLES = """drop publication if exists p; drop table if exists t, whole;
create table t (id int primary key, body text, n int); alter table t alter body set storage external;
create table whole (id int, body text, n int); alter table whole alter body set storage external;
alter table whole replica identity full; create publication p for table t, whole"""
WIDE = "repeat('0123456789', 1000)"


@pytest.fixture
def client(newest: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(newest.dsn()) as connection:
        connection.execute(TABLES)
        yield connection
        drop_slots(connection)


def stream(server: Postgres, **options: Any) -> replication.Subscription:
    return subscribe(server.dsn(), **{"slot": "good", "publication": "p", "create": True} | options)


def upto_commit(subscription: Iterator[Event], count: int = 1) -> list[Event]:
    found = []
    for event in subscription:
        found.append(event)
        if isinstance(event, Commit):
            count -= 1
            if not count:
                return found
    raise AssertionError("the stream ended")


def slot(client: febe.Connection) -> int:
    return parse_lsn(client.fetchval("select confirmed_flush_lsn::text from pg_replication_slots"))


def wait_until(client: febe.Connection, sql: str) -> None:
    """Ask the server until it says yes."""
    for _ in range(1000):
        if client.fetchval(sql):
            return
        client.execute("select pg_sleep(0.02)")
    raise AssertionError(f"never: {sql}")


def started(client: febe.Connection) -> None:
    wait_until(client, "select bool_or(active) from pg_replication_slots")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_all_four_versions_of_the_protocol(client: febe.Connection, newest: Postgres, version: int) -> None:
    with stream(newest, proto_version=version) as changes:
        started(client)
        client.execute(f"begin; insert into t select g, {WIDE}, 0 from generate_series(1, 50) g; commit")
        found = upto_commit(iter(changes))
    assert sum(isinstance(event, Insert) for event in found) == 50


def test_the_relation_cache_is_kept_per_streamed_transaction(client: febe.Connection, newest: Postgres) -> None:
    many = f"insert into t select g, {WIDE}, 0 from generate_series({{}}) g"
    with stream(newest, live=True) as changes, febe.connect(newest.dsn()) as other:
        started(client)
        other.execute(f"begin; {many.format('1, 40')}")
        client.execute("insert into whole values (0, 'x', 0)")
        events = iter(changes)
        found = upto_commit(events)
        other.execute(f"alter table t add more int default 7; {many.format('41, 80')}; rollback")
        client.execute("insert into t values (1, 'after', 1)")
        found += upto_commit(events)
    assert [event.relation.names for event in found if isinstance(event, Insert) and event.relation.name == "t"][-1] \
        == ("id", "body", "n")
    assert any(isinstance(event, replication.Abort) for event in found)


def test_an_unchanged_toasted_value_is_filled_from_the_old_row_where_there_is_one(
        client: febe.Connection, newest: Postgres) -> None:
    with stream(newest) as changes:
        started(client)
        for table in ("whole", "t"):
            client.execute(f"insert into {table} values (1, {WIDE}, 0)")
            client.execute(f"update {table} set n = 1")
        found = [event for event in upto_commit(iter(changes), 4) if isinstance(event, Update)]
    assert found[0].new.body == found[0].old.body == "0123456789" * 1000  # type: ignore[union-attr]
    assert found[1].old is None
    assert found[1].new.body is UNCHANGED


def test_received_flushed_and_applied_are_kept_apart(client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, manual=True) as changes:
        started(client)
        client.execute("insert into t values (1, 'a', 0)")
        client.execute("insert into t values (2, 'b', 0)")
        commits = [event for event in upto_commit(iter(changes), 2) if isinstance(event, Commit)]
        assert changes.flushed < commits[0].end_lsn <= changes.received
        changes.confirm(commits[1], applied=commits[0].end_lsn)
        assert (changes.flushed, changes.applied) == (commits[1].end_lsn, commits[0].end_lsn)
        wait_until(client, f"select flush_lsn >= '{commits[1].end_lsn >> 32:X}/{commits[1].end_lsn & 0xFFFFFFFF:X}' "
                           "and replay_lsn < flush_lsn from pg_stat_replication")


def test_what_is_flushed_advances_on_keepalives_only_when_nothing_is_pending(
        client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, manual=True, status_seconds=0.05) as changes:
        started(client)
        client.execute("insert into t values (1, 'a', 0)")
        (commit,) = [event for event in upto_commit(iter(changes)) if isinstance(event, Commit)]
        client.execute("create table if not exists unpublished (a int); insert into unpublished values (1)")
        moved = client.fetchval("select pg_current_wal_lsn()::text")
        wait_until(client, f"select write_lsn >= '{moved}' from pg_stat_replication")
        assert slot(client) < commit.end_lsn
        assert changes.flushed < commit.end_lsn
        changes.confirm(commit)
        client.execute("insert into unpublished values (2)")
        moved = client.fetchval("select pg_current_wal_lsn()::text")
        wait_until(client, f"select confirmed_flush_lsn >= '{moved}' from pg_replication_slots")


def test_the_server_hears_of_us_while_the_program_is_slow(client: febe.Connection, newest: Postgres) -> None:
    client.execute("alter system set wal_sender_timeout = '600ms'")
    client.execute("select pg_reload_conf()")
    try:
        with stream(newest, queue_bytes=1000) as changes:
            started(client)
            client.execute(f"insert into t select g, {WIDE}, 0 from generate_series(1, 300) g")
            events = iter(changes)
            next(events)
            process = client.fetchval("select pid from pg_stat_replication")
            client.execute("select pg_sleep(2)")  # the program does something else, and does not read
            assert client.fetchval("select pid from pg_stat_replication") == process
            upto_commit(events)
            assert client.fetchval("select pid from pg_stat_replication") == process
    finally:
        client.execute("alter system reset wal_sender_timeout")
        client.execute("select pg_reload_conf()")


def test_the_queue_is_bounded(client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, queue_bytes=50_000, streaming="off") as changes:
        started(client)
        client.execute(f"insert into t select g, {WIDE}, 0 from generate_series(1, 2000) g")
        events = iter(changes)
        most = 0
        for count, event in enumerate(events):
            most = max(most, changes.queued_bytes)
            if count % 100 == 0:
                client.execute("select 1")
            if isinstance(event, Commit):
                break
    assert 0 < most < 1_000_000


FOLLOW = """
import os, resource
from febe.replication import Commit, Insert, subscribe

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
inserts, small = 0, 0
for batch in subscribe(os.environ["DSN"], slot="good", publication="p", queue_bytes=1_000_000).batches():
    inserts += sum(isinstance(event, Insert) for event in batch)
    small = small or peak()
    if inserts > 1 and any(isinstance(event, Commit) for event in batch):
        break
print(inserts, peak() - small)
"""


@pytest.mark.slow
def test_memory_is_bounded_whatever_a_streamed_transaction_s_size(client: febe.Connection, newest: Postgres) -> None:
    client.execute("select pg_create_logical_replication_slot('good', 'pgoutput')")
    client.execute("insert into t values (0, 'small', 0)")
    client.execute(f"begin; insert into t select g, {WIDE}, 0 from generate_series(1, 15000) g; commit")
    done = subprocess.run([sys.executable, "-c", FOLLOW], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"DSN": newest.dsn()})
    assert done.returncode == 0, done.stderr
    inserts, grown = map(int, done.stdout.split())
    assert inserts == 15001
    assert grown < 75  # of the 150 megabytes that went through


def test_it_reconnects_from_the_confirmed_position_without_duplicates(
        client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, manual=True) as changes:
        started(client)
        found: list[Any] = []
        events = iter(changes)
        for number in range(1, 6):
            client.execute(f"insert into t values ({number}, 'x', 0), (-{number}, 'y', 0)")
            for event in events:
                found += [event.new.id] if isinstance(event, Insert) else []
                if isinstance(event, Insert) and event.new.id < 0 and number == 3:
                    client.execute("select pg_terminate_backend(pid) from pg_stat_replication")
                if isinstance(event, Commit):
                    if number == 2:
                        changes.confirm(event)
                    break
    assert found == [1, -1, 2, -2, 3, -3, 4, -4, 5, -5]


def test_snapshot_and_stream_join_without_a_gap(client: febe.Connection, newest: Postgres) -> None:
    stop = threading.Event()

    def insert() -> None:
        with febe.connect(newest.dsn()) as other:
            number = 0
            while not stop.is_set() or number < 50:
                number += 1
                other.execute(f"insert into t values ({number}, 'x', 0)")
            other.execute("insert into t values (0, 'end', 0)")

    worker = threading.Thread(target=insert)
    worker.start()
    found = []
    try:
        for event in stream(newest, snapshot=True):
            if isinstance(event, Commit):
                stop.set()
            if isinstance(event, Insert):
                found.append(event.new.id)
                if event.new.id == 0:
                    break
    finally:
        stop.set()
        worker.join()
    assert sorted(found) == list(range(len(found)))


def test_a_lost_slot_is_told(client: febe.Connection, newest: Postgres) -> None:
    with pytest.raises(SlotLost) as error:
        next(iter(stream(newest, create=False)))
    assert error.value.sqlstate == "42704"
    with stream(newest) as changes:
        started(client)
        client.execute("insert into t values (1, 'x', 0)")
        events = iter(changes)
        upto_commit(events)
        drop_slots(client)
        with pytest.raises(SlotLost):
            list(events)
    for sqlstate in ("55000", "58P01"):
        lost = as_lost(PostgresError({"C": sqlstate, "M": "gone"}), "s")
        assert lost is not None and lost.sqlstate == sqlstate
    assert as_lost(PostgresError({"C": "42601", "M": "else"}), "s") is None


@pytest.mark.parametrize("major", [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,))
                                   for major in MAJORS])
def test_a_slot_whose_log_the_server_has_removed_is_lost(tmp_path: Path, major: int) -> None:
    settings = SETTINGS | {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    with servers.running(installed(major), **settings) as server, febe.connect(server.dsn()) as client:
        client.execute(TABLES)
        client.execute("select pg_create_logical_replication_slot('good', 'pgoutput')")
        for _ in range(4):
            client.execute("insert into t values (0, 'x', 0); delete from t; select pg_switch_wal()")
        client.execute("checkpoint")
        assert client.fetchval("select wal_status from pg_replication_slots") == "lost"
        with pytest.raises(SlotLost) as error:
            next(iter(stream(server, create=False)))
        assert error.value.sqlstate == "55000"
        with pytest.raises(PostgresError) as removed:
            replication.receive_wal(server.dsn(), tmp_path, start="0/1000000")
        assert removed.value.sqlstate == "58P01"


def test_a_start_before_the_confirmed_position_is_not_trusted(client: febe.Connection, newest: Postgres) -> None:
    client.execute("select pg_create_logical_replication_slot('good', 'pgoutput')")
    with pytest.raises(SlotLost, match="not sent any more"):
        next(iter(stream(newest, start="0/1")))


class _Columns:
    """A backend that answers IDENTIFY_SYSTEM with one column more than any server has."""

    def __init__(self, port: Any) -> None:
        self.core, self.port = Connection(Sender.BACKEND), port

    async def run(self) -> None:
        columns = [FieldDescription(name=name, type_oid=25, type_size=-1)
                   for name in ("systemid", "timeline", "xlogpos", "dbname", "new")]
        answers: dict[type[Message], list[Message]] = {
            StartupMessage: [AuthenticationOk(), ReadyForQuery(status="I")],
            Query: [RowDescription(columns=columns), DataRow(values=[b"1", b"2", b"0/3", None, b"x"]),
                    CommandComplete(tag="IDENTIFY_SYSTEM"), ReadyForQuery(status="I")]}
        out = b""
        while True:
            self.core.receive(await self.port.exchange(out))
            out = b""
            while (event := self.core.next_event()) is not None:
                out += self.core.send(*answers[type(event)])  # type: ignore[index]


def test_more_columns_of_identify_system_are_tolerated() -> None:
    left, right = pair()

    async def ask() -> list[bytes | None]:
        core = Connection(Sender.FRONTEND)
        core.receive(await left.exchange(core.send(StartupMessage(version=196608, parameters={"user": "u"}))))
        while core.next_event() is not None:
            pass
        return (await replicate.command(Session(core, left), IdentifySystem())).rows[0]

    assert run_both(ask(), _Columns(right).run())[:4] == [b"1", b"2", b"0/3", None]


def test_what_follows_a_slot_that_could_not_be_made_is_read(client: febe.Connection, newest: Postgres) -> None:
    client.execute("select pg_create_logical_replication_slot('good', 'pgoutput')")
    session = open_session(resolve(newest.dsn(), {"settings": {"replication": "database"}}))
    run = runner(session)
    try:
        for _ in range(2):
            with pytest.raises(PostgresError) as error:
                run(replicate.command(session, CreateReplicationSlot(slot="good", plugin="pgoutput")))
            assert error.value.sqlstate == "42710"
            assert session.core.state is State.IDLE
            assert run(replicate.command(session, IdentifySystem())).rows[0][3] == b"postgres"
        made = run(replicate.command(session, CreateReplicationSlot(slot="better", plugin="pgoutput")))
        assert made.rows[0][0] == b"better"
    finally:
        run(close(session))


def test_other_plugins_are_handed_on_as_they_are(client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, plugin="test_decoding", publication=(), plugin_options={"include-xids": "0"}) as changes:
        started(client)
        client.execute("insert into t values (1, 'x', 2)")
        found = []
        for event in changes:
            assert isinstance(event, replication.Raw)
            found.append(event.data)
            if event.data == b"COMMIT":
                break
    assert found == [b"BEGIN", b"table public.t: INSERT: id[integer]:1 body[text]:'x' n[integer]:2", b"COMMIT"]


def test_transactions_are_handed_out_when_they_are_prepared(client: febe.Connection, newest: Postgres) -> None:
    with stream(newest, two_phase=True) as changes:
        started(client)
        client.execute("begin; insert into t values (1, 'x', 0); prepare transaction 'g'")
        client.execute("commit prepared 'g'")
        client.execute("begin; insert into t values (2, 'x', 0); prepare transaction 'h'")
        client.execute("rollback prepared 'h'")
        found = []
        for event in changes:
            found.append(type(event).__name__)
            if isinstance(event, replication.RollbackPrepared):
                break
    assert [name for name in found if name != "Relation"] == [
        "Begin", "Insert", "Prepare", "CommitPrepared", "Begin", "Insert", "Prepare", "RollbackPrepared"]


def test_the_end_of_a_queue_is_its_error() -> None:
    queue: Handover[int] = Handover(10)
    queue.end(ValueError("why"))
    with pytest.raises(ValueError, match="why"):
        queue.get()


def test_a_first_connection_that_fails_is_told_at_once(publishers: Callable[[int], Postgres]) -> None:
    with pytest.raises(febe.errors.ConnectionLost):
        next(iter(subscribe("host=127.0.0.1 port=1 user=u", slot="s", publication="p")))
