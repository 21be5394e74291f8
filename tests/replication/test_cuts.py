"""A subscription with two-phase commit, cut off at every message from the beginning of a transaction to the end of it,
and a program that dies after every event: nothing is lost, nothing comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import febe
from febe.protocol.lsn import parse_lsn
from febe.replication import Begin, Commit, CommitPrepared, Event, Insert, Prepare, RollbackPrepared, subscribe
from tests.client.fault_proxy import FaultProxy, proxy
from tests.peers.postgres import Postgres
from tests.replication.test_good_consumers import started
from tests.replication.test_subscription import drop_slots

TABLES = """drop publication if exists p; drop table if exists t; create table t (id int primary key, body text);
create publication p for table t"""
LARGE = "insert into t select {} + g, repeat('x', 10000) from generate_series(1, 9) g"
"""Over 64 kB, which is when these servers begin to send what is in progress."""
STEP = 100
MODES = {"at its end": {"streaming": "off"}, "in progress": {"streaming": "on"},
         "parallel": {"streaming": "parallel", "proto_version": 4}}
CASES = [pytest.param(major, mode, marks=() if (major, mode) == (18, "in progress") else (pytest.mark.slow,))
         for major in (15, 16, 17, 18) for mode in MODES if major > 15 or mode != "parallel"]


def script(first: int) -> list[str]:
    """Transactions prepared, of which one is committed and one is not, and a last one that is plain."""
    return [f"begin; {LARGE.format(first)}; savepoint s; insert into t values ({first + 90}, 'undone'); rollback to s; "
            f"insert into t values ({first + 10}, 'small'); prepare transaction 'g{first}'",
            f"begin; insert into t values ({first + 20}, 'void'); prepare transaction 'v{first}'",
            f"commit prepared 'g{first}'", f"rollback prepared 'v{first}'", f"insert into t values ({first}, 'last')"]


def expected(first: int) -> list[Any]:
    """Without the row that is rolled back: a server that is asked after that has only begin and prepare for it
    (reorderbuffer.c, ReorderBufferPrepare)."""
    return ["prepared", *range(first + 1, first + 11), f"Prepare g{first}", "prepared", f"Prepare v{first}",
            f"CommitPrepared g{first}", f"RollbackPrepared v{first}", "transaction", first, "Commit"]


def brief(event: Event) -> list[Any]:
    match event:
        case Begin():
            return [event.kind]
        case Insert():
            return [event.new.id]
        case Prepare() | CommitPrepared() | RollbackPrepared():
            return [f"{type(event).__name__} {event.gid}"]
        case Commit():
            return ["Commit"]
    return []


@pytest.fixture
def client(publishers: Callable[[int], Postgres], major: int) -> Iterator[febe.Connection]:
    with febe.connect(publishers(major).dsn()) as connection:
        connection.execute(TABLES)
        yield connection
        drop_slots(connection)
        for gid, in connection.fetch("select gid from pg_prepared_xacts"):
            connection.execute(f"rollback prepared '{gid}'")


@pytest.fixture
def faulty(publishers: Callable[[int], Postgres], major: int) -> Iterator[FaultProxy]:
    server = publishers(major)
    with proxy(server.host, server.port) as made:
        yield made


@pytest.mark.parametrize(("major", "mode"), CASES)
def test_the_network_is_cut_at_every_message(client: febe.Connection, faulty: FaultProxy, mode: str) -> None:
    at = 0
    with subscribe(f"host=127.0.0.1 port={faulty.port} user=postgres dbname=postgres sslmode=disable", slot="cut",
                   publication="p", create=True, two_phase=True, **MODES[mode]) as changes:  # type: ignore[arg-type]
        started(client)
        events = iter(changes)
        while True:
            first = at * STEP
            faulty.arm("once", at)
            for sql in script(first):
                client.execute(sql)
            found: list[Any] = []
            while not found or found[-1] != "Commit":
                found += brief(next(events))
            assert found.count(first + 20) <= 1
            assert [one for one in found if one != first + 20] == expected(first)
            if faulty.is_armed:
                break
            at += 1
    assert at > 10


class Kept:
    """What a program keeps that survives its death: rows, prepared changes, and how far it is, all at once."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.rows: list[int] = []
        self.prepared: dict[str, list[int]] = {}

    def keep(self, event: Event, pending: list[int]) -> None:
        match event:
            case Prepare():
                assert event.gid not in self.prepared, "prepared twice"
                self.prepared[event.gid] = pending[:]
            case CommitPrepared():
                self.rows += self.prepared.pop(event.gid)
            case RollbackPrepared():
                del self.prepared[event.gid]
            case Commit():
                self.rows += pending
            case _:
                return
        pending.clear()
        self.position = event.end_lsn


@pytest.mark.parametrize(("major", "mode"), CASES)
def test_the_program_dies_after_every_event(publishers: Callable[[int], Postgres], client: febe.Connection, major: int,
                                            mode: str) -> None:
    client.execute("select pg_create_logical_replication_slot('cut', 'pgoutput', false, true)")
    kept = Kept(parse_lsn(client.fetchval("select confirmed_flush_lsn::text from pg_replication_slots")))
    for sql in script(0):
        client.execute(sql)
    lives = 0
    while 0 not in kept.rows:
        lives += 1
        pending: list[int] = []
        with subscribe(publishers(major).dsn(), slot="cut", publication="p", start=kept.position, manual=True,
                       two_phase=True, **MODES[mode]) as changes:  # type: ignore[arg-type]
            for count, event in enumerate(changes):
                if isinstance(event, Insert):
                    pending.append(event.new.id)
                kept.keep(event, pending)
                if lives % 2:
                    changes.confirm(kept.position)  # every other life the server does not hear how far it was
                if count >= lives or 0 in kept.rows:
                    break
    assert sorted(kept.rows) == list(range(11))
    assert kept.prepared == {}
    assert lives > 3


@pytest.mark.parametrize("major", [18])
def test_the_network_is_cut_while_the_snapshot_is_copied(client: febe.Connection, faulty: FaultProxy) -> None:
    client.execute("insert into t select g, 'x' from generate_series(1, 3000) g")
    snapshots = 0
    for at in (40, 100, 1000, 2900):
        faulty.arm("once", at)
        rows: list[int] = []
        for event in subscribe(f"host=127.0.0.1 port={faulty.port} user=postgres dbname=postgres sslmode=disable",
                               slot="cut", publication="p", snapshot=True):
            if isinstance(event, Begin):
                snapshots += 1
                rows.clear()  # what an earlier snapshot gave is void
            if isinstance(event, Insert):
                rows.append(event.new.id)
            if isinstance(event, Commit):
                break
        assert not faulty.is_armed
        assert sorted(rows) == list(range(1, 3001))
        drop_slots(client)
    assert snapshots > 4
