"""A publisher in a thread of its own, and what it sends to who speaks the protocol by hand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import febe
from febe.client.options import resolve
from febe.client.run_blocking import open_session, run
from febe.errors import ConnectionLost, ObjectInUse
from febe.flows import replicate
from febe.flows.session import Session
from febe.ports.blocking import BlockingPort
from febe.protocol.connection import CopyDataRun
from febe.protocol.logical import Insert, LogicalReader
from febe.protocol.message import Message, Sender
from febe.protocol.replication import STREAMING, PrimaryKeepalive, StandbyStatusUpdate, XLogData, read_payload
from febe.protocol.replication_commands import CreateReplicationSlot, StartReplication
from febe.publish import Publisher, Table, Transaction

COLUMNS = {"id": "int4", "name": "text"}


class Running:
    """A publisher of one table, `t`; on the same port whenever it is started again."""

    def __init__(self, path: Path, *, columns: Mapping[str, str] = COLUMNS, rows: Iterable[tuple[Any, ...]] = (),
                 **settings: Any) -> None:
        self.path, self._columns, self._rows, self._settings = path, columns, rows, settings
        self.port = 0
        self.publisher: Publisher
        self.table: Table

    @contextlib.contextmanager
    def started(self) -> Iterator[Publisher]:
        self.publisher = Publisher(self.path, publication="febe", **self._settings)
        self.table = self.publisher.table("public.t", self._columns, key=["id"], rows=self._rows)
        ready, told = threading.Event(), list[Any]()

        async def main() -> None:
            stop = asyncio.Event()
            async with await self.publisher.serve(port=self.port) as listener:
                self.port = listener.port
                told.extend((asyncio.get_running_loop(), stop))
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        assert ready.wait(20)
        try:
            yield self.publisher
        finally:
            told[0].call_soon_threadsafe(told[1].set)
            thread.join(20)
            self.publisher.close()


def wait_until(client: febe.Connection, sql: str) -> None:
    """Ask a subscriber again and again until it is so."""
    for _ in range(1500):
        if client.fetchval(sql):
            return
        client.execute("select pg_sleep(0.02)")
    raise AssertionError(f"never: {sql}")


@contextlib.contextmanager
def walsender(port: int) -> Iterator[Session]:
    """A replication connection; it is cut at the end."""
    session = open_session(resolve(f"host=127.0.0.1 port={port} user=u dbname=d", {
        "settings": {"replication": "database"}, "sslmode": "disable"}))
    assert isinstance(session.port, BlockingPort)
    session.port.lock.acquire()  # `run` is for who holds the connection
    try:
        yield session
    finally:
        session.port.abort()


def create(port: int, slot: str = "s", **options: str) -> None:
    with walsender(port) as session:
        run(replicate.command(session, CreateReplicationSlot(slot=slot, plugin="pgoutput", options=options)))


class Reading:
    """A stream, read up to what the publisher has logged."""

    def __init__(self, session: Session, publisher: Publisher, version: int, streaming: str) -> None:
        self._session, self._publisher = session, publisher
        self._reader = LogicalReader(version, streaming=streaming)
        self.at = 0

    def read(self) -> list[Message]:
        """The messages up to now."""
        found, upto = list[Message](), self._publisher.store.end
        self.confirm(0, ask=True)
        while True:
            for event in run(replicate.receive(self._session)):
                assert isinstance(event, CopyDataRun), event
                for body in event.bodies():
                    payload = read_payload(STREAMING[Sender.BACKEND], body)
                    assert payload.encode() == body
                    if isinstance(payload, XLogData):
                        found.append(self._reader.read(payload.data))
                        assert found[-1].encode() == payload.data
                        assert not payload.start_lsn or payload.start_lsn >= self.at, "positions rise"
                        self.at = payload.start_lsn or self.at
                    elif isinstance(payload, PrimaryKeepalive):
                        self.at = payload.end_lsn
                        if payload.end_lsn >= upto and not self._reader.in_stream:
                            return found

    def confirm(self, lsn: int, *, ask: bool = False) -> None:
        run(replicate.send(self._session, StandbyStatusUpdate(written=lsn, flushed=lsn, applied=lsn, sent_at=0,
                                                              reply_requested=int(ask))))

    def is_ended(self) -> bool:
        """Hear what there is, and say nothing; whether the publisher has ended the connection."""
        try:
            run(replicate.receive(self._session))
        except ConnectionLost:
            return True
        return False

    def leave(self, lsn: int | None = None) -> None:
        """Confirm what was read, or up to a position, and end the stream: it is heard when this returns."""
        self.confirm(self.at if lsn is None else lsn)
        run(replicate.finish(self._session))


@contextlib.contextmanager
def reading(running: Running, *, slot: str = "s", version: int = 4, streaming: str = "off", two_phase: bool = False,
            lsn: int = 0) -> Iterator[Reading]:
    """START_REPLICATION."""
    options: dict[str, str | None] = {"proto_version": str(version), "publication_names": '"febe"'}
    if streaming != "off":
        options["streaming"] = streaming
    if two_phase:
        options["two_phase"] = "on"
    with walsender(running.port) as session:
        for _ in range(10_000):  # who had the slot before may not be noticed to be gone
            with contextlib.suppress(ObjectInUse):
                run(replicate.start(session, StartReplication(slot=slot, lsn=lsn, options=options)))
                break
        else:
            raise AssertionError("the slot is never free")
        yield Reading(session, running.publisher, version, streaming)


def insert(change: Transaction, table: Table, *keys: int) -> None:
    for key in keys:
        change.insert(table, (key, "x"))


def names(messages: list[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


def ids(messages: list[Message]) -> list[int]:
    return [int(message.new[0].data) for message in messages if isinstance(message, Insert)]


def written(publisher: Publisher) -> dict[str, int]:
    """How much the store keeps beside the rows."""
    return {table: publisher.store._db.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("log", "changes", "pending", "transactions")}
