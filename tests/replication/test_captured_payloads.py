"""Payloads of CopyData that real servers and real clients send are read, and written again to the same bytes.

    w, k   servers: here of physical replication, test_captured.py of logical, with all 19 messages inside
    r      here: PostgreSQL as a standby and as a subscriber
    h      here: PostgreSQL as a standby
    n m d p   here: base backups of PostgreSQL 15 and later; before, CopyData has no payloads
    s, p   PostgreSQL 19's; there is none to be had, test_messages.py has bytes by the manual's definition
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import febe
from febe.client.run_blocking import run
from febe.flows import replicate
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyDone
from febe.protocol.message import Sender
from febe.protocol.replication import BACKUP, STREAMING, Payloads, read_payload
from febe.protocol.replication_commands import BaseBackup, StartReplication
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres
from tests.publish.running import Running
from tests.publish.test_subscribers import subscribed
from tests.replication.capture import current_lsn, payloads, walsender
from tests.replication.conftest import MAJORS, SETTINGS
from tests.replication.tap import tapped

ALL = [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,)) for major in MAJORS]


def read_and_written(table: Payloads, found: list[bytes]) -> str:
    """Their letters."""
    for body in found:
        assert read_payload(table, body).encode() == body
    return "".join(sorted({chr(body[0]) for body in found}))


@pytest.mark.parametrize("major", MAJORS)
def test_what_a_server_streams_of_its_log(publishers: Callable[[int], Postgres], major: int) -> None:
    server = publishers(major)
    start = current_lsn(server)
    with febe.connect(server.dsn()) as client:
        client.execute("set synchronous_commit = on")
        client.execute("drop table if exists logged; create table logged as select g from generate_series(1, 9999) g")
    with walsender(server, "true") as session:
        run(replicate.start(session, StartReplication(lsn=start & ~0x1FFF)))
        found = payloads(session, current_lsn(server))
        run(replicate.finish(session))
    assert read_and_written(STREAMING[Sender.BACKEND], found) == "kw"
    assert sum(map(len, found)) > 100_000


@pytest.mark.parametrize("major", ALL)
def test_what_a_standby_says(major: int) -> None:
    """The clusters are copies of one: each can go on where another is."""
    with servers.running(installed(major), **SETTINGS) as primary, tapped(primary.host, primary.port) as tap:
        where = f"host=127.0.0.1 port={tap.port} user=postgres sslmode=disable"
        with (servers.running(installed(major), standby=True, **SETTINGS, hot_standby_feedback="on",
                              wal_receiver_status_interval="1s", primary_conninfo=where),
              febe.connect(primary.dsn()) as client):
            client.execute("create table here (a int)")
            found = tap.wait_for(lambda said: {body[0] for body in said} >= set(b"rh"))
    assert read_and_written(STREAMING[Sender.FRONTEND], found) == "hr"


@pytest.mark.parametrize("major", [major if major == 18 else pytest.param(major, marks=pytest.mark.slow)
                                   for major in (16, 17, 18)])
def test_what_a_subscriber_says(publishers: Callable[[int], Postgres], tmp_path: Path, major: int) -> None:
    running = Running(tmp_path / "changes.db")
    with running.started(), tapped("127.0.0.1", running.port) as tap:
        with subscribed(publishers(major), running, "streaming = on", port=tap.port):
            found = tap.wait_for(bool)
        assert read_and_written(STREAMING[Sender.FRONTEND], found) == "r"


@pytest.mark.parametrize("major", [major for major in MAJORS if major >= 15])
def test_what_a_base_backup_consists_of(publishers: Callable[[int], Postgres], major: int) -> None:
    found = list[bytes]()
    with walsender(publishers(major), "true") as session:
        run(replicate.copy_out(session, BaseBackup(options={
            "label": "captured", "progress": None, "checkpoint": "fast", "manifest": "yes"})))
        while True:
            events = run(replicate.receive(session))
            for event in events:
                if isinstance(event, CopyDataRun):
                    found += event.bodies()
            if any(isinstance(event, CopyDone) for event in events):
                break
        run(replicate.finish_reply(session, replicate.Reply(), b""))
    assert read_and_written(BACKUP, found) == "dmnp"
