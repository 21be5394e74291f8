"""What real servers send: every payload and every logical message, as bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import febe
from febe.client.options import resolve
from febe.client.run_blocking import open_session, run
from febe.flows import replicate
from febe.flows.close import close
from febe.flows.session import Session
from febe.ports.blocking import BlockingPort
from febe.protocol.connection import CopyDataRun
from febe.protocol.lsn import parse_lsn
from febe.protocol.message import Sender
from febe.protocol.replication import STREAMING, PrimaryKeepalive, StandbyStatusUpdate, XLogData, read_payload
from febe.protocol.replication_commands import CreateReplicationSlot, DropReplicationSlot, StartReplication
from tests.peers.postgres import Postgres


@contextlib.contextmanager
def walsender(server: Postgres, mode: str = "database", user: str = "postgres") -> Iterator[Session]:
    """A replication connection; `mode` is the start-up parameter `replication`."""
    session = open_session(resolve(server.dsn(user), {"settings": {"replication": mode}}))
    assert isinstance(session.port, BlockingPort)
    session.port.lock.acquire()  # `run` is for who holds the connection
    try:
        yield session
    finally:
        run(close(session))


@contextlib.contextmanager
def slot(server: Postgres, name: str, plugin: str | None = "pgoutput", **options: str) -> Iterator[None]:
    """A slot for as long as the block runs."""
    with walsender(server) as session:
        run(replicate.command(session, CreateReplicationSlot(slot=name, plugin=plugin, options=options)))
        yield
        run(replicate.command(session, DropReplicationSlot(slot=name)))


def payloads(session: Session, upto: int) -> list[bytes]:
    """Everything sent until the server is past a position."""
    found: list[bytes] = []
    run(replicate.send(session, StandbyStatusUpdate(written=0, flushed=0, applied=0, sent_at=0, reply_requested=1)))
    while True:
        for event in run(replicate.receive(session)):
            assert isinstance(event, CopyDataRun), event
            for body in event.bodies():
                found.append(body)
                payload = read_payload(STREAMING[Sender.BACKEND], body)
                if isinstance(payload, PrimaryKeepalive):
                    if payload.end_lsn >= upto:
                        return found
                    run(replicate.send(session, StandbyStatusUpdate(
                        written=0, flushed=0, applied=0, sent_at=0, reply_requested=1)))


def current_lsn(server: Postgres) -> int:
    """The end of the server's log, written out: what was committed asynchronously before is part of it."""
    with febe.connect(server.dsn()) as client:
        client.execute("checkpoint")
        return parse_lsn(client.fetchval("select pg_current_wal_lsn()::text"))


def captured(server: Postgres, script: list[str], options: Mapping[str, str | None], *, two_phase: bool = False,
             plugin: str = "pgoutput") -> list[bytes]:
    """The payloads of CopyData that a server sends for some SQL, each string a session's simple query."""
    made = {"two_phase": "true"} if two_phase else {}
    with slot(server, "captured", plugin, **made):
        with febe.connect(server.dsn()) as client:
            for sql in script:
                client.execute(sql)
        with walsender(server) as session:
            run(replicate.start(session, StartReplication(slot="captured", lsn=0, options=options)))
            found = payloads(session, current_lsn(server))
            run(replicate.finish(session))
    return found


def logical(found: list[bytes]) -> list[bytes]:
    """The messages of the plugin among payloads.

    PostgreSQL 13 opens one for a transaction's origin and leaves it empty when it does not know the origin any more.
    """
    made = [read_payload(STREAMING[Sender.BACKEND], body) for body in found]
    return [payload.data for payload in made if isinstance(payload, XLogData) and payload.data]
