"""Between START_REPLICATION and its end: what a publisher sends of its log, and what the subscription says to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from febe.flows.serve import DELIVER_AT
from febe.protocol.connection import CopyDataRun, Event
from febe.protocol.copy import CopyBothResponse, CopyDone
from febe.protocol.errors import ConnectionLost, RemoteProtocolError
from febe.protocol.logical import (
    PARALLEL,
    Begin,
    BeginPrepare,
    Commit,
    CommitPrepared,
    Prepare,
    RollbackPrepared,
    StreamAbort,
    StreamCommit,
    StreamPrepare,
    StreamStart,
    StreamStop,
)
from febe.protocol.lsn import from_unix
from febe.protocol.message import Message, Sender
from febe.protocol.replication import STREAMING, PrimaryKeepalive, StandbyStatusUpdate, XLogData, read_payload
from febe.protocol.simple import CommandComplete
from febe.protocol.startup import Terminate
from febe.publish.entry import Entry, Kind
from febe.publish.frames import settled, valid
from febe.publish.publication import Chosen
from febe.publish.store import Slot

if TYPE_CHECKING:
    from febe.publish.session import PublisherSession

KEEPALIVE_SECONDS = 10.0


class Stream:
    """Sends what was logged since a position, or what is `chosen` of it.

    `streaming` is the option: `off`, `on` or `parallel`.  With `two_phase`, prepared transactions are sent when they
    are prepared, from the slot's `two_phase_at` on; those prepared before, and all for who did not ask, are sent when
    they are committed (reorderbuffer.c, ReorderBufferFinishPrepared).
    """

    def __init__(self, session: PublisherSession, slot: Slot, sent: int, news: asyncio.Event, *, streaming: str,
                 two_phase: bool, chosen: Chosen | None) -> None:
        self.session, self.slot, self.news = session, slot, news
        self.store = session.publisher.store
        self.streaming, self.two_phase, self.chosen = streaming, two_phase, chosen
        self.sent = sent
        self._timeout = session.publisher.wal_sender_timeout
        self._heard = time.monotonic()
        self._asked: float | None = None
        """When the subscription was last heard of, and asked to say something since then."""
        self._described: set[int] = set()
        self._open: dict[int, set[int]] = {}
        """The transactions of which blocks were sent, and the relations that were described in them."""

    async def run(self) -> None:
        """Send and hear until the subscription ends it.  Errors: ConnectionLost."""
        session = self.session
        conversation = session.conversation
        session.say(CopyBothResponse(format=0, column_formats=[]))
        self._keepalive(reply=False)
        await conversation.deliver()
        reading = asyncio.ensure_future(conversation.next_event())
        waiting = asyncio.ensure_future(self.news.wait())
        try:
            while True:
                self.news.clear()
                await self._catch_up(reading)
                if waiting.done():
                    waiting = asyncio.ensure_future(self.news.wait())
                await asyncio.wait({reading, waiting}, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    await self._ask_if_it_is_there()
                else:
                    self._heard, self._asked = time.monotonic(), None
                    event = reading.result()
                    if isinstance(event, CopyDataRun):
                        for body in event.bodies():
                            self._hear(body)
                        await conversation.deliver()
                    elif isinstance(event, CopyDone):
                        break
                    elif isinstance(event, Terminate):
                        raise ConnectionLost("the subscription has said good-bye")
                    reading = asyncio.ensure_future(conversation.next_event())
        finally:
            for task in (reading, waiting):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionLost, RemoteProtocolError):
                    await task
        session.say(CopyDone(), CommandComplete(tag="COPY 0"), CommandComplete(tag="START_REPLICATION"))

    def _patience(self) -> float:
        """How long to wait for the next thing: silence is told of from time to time."""
        return min(KEEPALIVE_SECONDS, self._timeout / 4) if self._timeout else KEEPALIVE_SECONDS

    async def _ask_if_it_is_there(self) -> None:
        """As walsender.c does: at half of wal_sender_timeout, and before, where there is nothing else to say.

        Errors: ConnectionLost for one that does not answer.
        """
        now = time.monotonic()
        if now - self._heard < self._patience():
            return
        if self._asked is None:
            self._asked = now
            self._keepalive(reply=True)
            await self.session.conversation.deliver()
        elif self._timeout and now - self._heard >= self._timeout and now - self._asked >= self._timeout / 2:
            raise ConnectionLost("the subscription has said nothing for wal_sender_timeout")

    def _hear(self, body: bytes) -> None:
        payload = read_payload(STREAMING[Sender.FRONTEND], body)
        if not isinstance(payload, StandbyStatusUpdate):
            return
        if payload.flushed > self.slot.confirmed:
            kept = self.store.slot(self.slot.name)
            if kept is not None:
                kept.confirmed = self.slot.confirmed = payload.flushed
                self.store.save(kept)
        if payload.reply_requested:
            self._keepalive(reply=False)

    async def _catch_up(self, reading: asyncio.Future[Event]) -> None:
        """Send what is not sent yet, until the subscription says something."""
        conversation, store = self.session.conversation, self.store
        while not reading.done():
            end = store.end  # before the look: what is committed meanwhile has not been sent
            found = store.since(self.sent)
            for entry in found:
                await _SENDERS[entry.kind](self, entry)
                self.sent = entry.end
            if not found:
                self.sent = max(self.sent, end)
            self._keepalive(reply=False)
            await conversation.deliver()
            if not found:
                return

    def _keepalive(self, *, reply: bool) -> None:
        """Tell how far we are: never past what was sent, which would be confirmed unseen."""
        self._say(PrimaryKeepalive(end_lsn=self.sent, sent_at=from_unix(time.time()), reply_requested=int(reply)))

    # Entries

    async def _block(self, entry: Entry) -> None:
        """A piece of a transaction in progress; the first that is sent has all that came before."""
        if self.streaming == "off":
            return
        described = self._open.get(entry.xid)
        first = described is None
        if described is None:
            described = self._open[entry.xid] = set()
        self._change(0, StreamStart(xid=entry.xid, first=int(first)))
        for oid in entry.relations:
            if oid not in described:
                described.add(oid)
                self._relation(oid, entry.xid)
        void = frozenset(entry.void)
        await self._parts(entry, 0 if first else entry.first, (lambda data: valid(data, void)) if first and void
                          else None, streamed=True)
        self._change(entry.end, StreamStop())

    async def _subabort(self, entry: Entry) -> None:
        if entry.xid in self._open:
            for xid in entry.void:
                self._abort_of(entry, xid)

    async def _abort(self, entry: Entry) -> None:
        if self._open.pop(entry.xid, None) is not None:
            self._abort_of(entry, entry.xid)

    async def _commit(self, entry: Entry) -> None:
        if self._open.pop(entry.xid, None) is not None:
            self._change(entry.end, StreamCommit(xid=entry.xid, commit_lsn=entry.lsn, end_lsn=entry.end,
                                                 committed_at=entry.at))
            return
        self._change(0, Begin(final_lsn=entry.lsn, committed_at=entry.at, xid=entry.xid))
        await self._all(entry)
        self._change(entry.end, Commit(commit_lsn=entry.lsn, end_lsn=entry.end, committed_at=entry.at))

    async def _prepare(self, entry: Entry) -> None:
        if self._is_sent_prepared(entry):
            await self._prepared(entry, entry.end)

    async def _commit_prepared(self, entry: Entry) -> None:
        if not self.two_phase:
            await self._commit(entry)
            return
        if not self._is_sent_prepared(entry):
            await self._prepared(entry, 0)
        self._change(entry.end, CommitPrepared(commit_lsn=entry.lsn, end_lsn=entry.end, committed_at=entry.at,
                                               xid=entry.xid, gid=entry.gid))

    async def _rollback_prepared(self, entry: Entry) -> None:
        if self._is_sent_prepared(entry):
            self._change(entry.end, RollbackPrepared(
                prepare_end_lsn=entry.prepare_end, rollback_end_lsn=entry.end, prepared_at=entry.prepared_at,
                rolled_back_at=entry.at, xid=entry.xid, gid=entry.gid))
        else:
            await self._abort(entry)

    def _is_sent_prepared(self, entry: Entry) -> bool:
        return self.two_phase and entry.prepare_lsn >= self.slot.two_phase_at

    async def _prepared(self, entry: Entry, end: int) -> None:
        what = {"prepare_lsn": entry.prepare_lsn, "end_lsn": entry.prepare_end, "prepared_at": entry.prepared_at,
                "xid": entry.xid}
        if self._open.pop(entry.xid, None) is not None:
            self._change(end, StreamPrepare(gid=entry.gid, **what))
            return
        self._change(0, BeginPrepare(gid=entry.gid, **what))
        await self._all(entry)
        self._change(end, Prepare(gid=entry.gid, **what))

    # Their parts

    async def _all(self, entry: Entry) -> None:
        """All changes of a transaction."""
        for oid in entry.relations:
            if oid not in self._described:
                self._described.add(oid)
                self._relation(oid, None)
        void = frozenset(entry.void)
        await self._parts(entry, 0, (lambda data: settled(data, void)) if entry.streamed else None,
                          streamed=False)

    async def _parts(self, entry: Entry, first: int, read: Callable[[bytes], bytes] | None, *,
                     streamed: bool) -> None:
        session, chosen = self.session, self.chosen
        for part in self.store.changes(entry.xid, first, entry.parts):
            data = part if read is None else read(part)
            if chosen is not None:
                data = chosen.pass_on(data, streamed)
            if data:
                session.stream_frames(data)
            if session.conversation.waiting >= DELIVER_AT:
                await session.conversation.deliver()

    def _relation(self, oid: int, xid: int | None) -> None:
        table = self.session.publisher.tables[oid]
        described = table.relation() if self.chosen is None else self.chosen.relation(table)
        if described is not None:
            described.xid = xid
            self._change(0, described)

    def _abort_of(self, entry: Entry, xid: int) -> None:
        where = {"aborted_lsn": entry.lsn, "aborted_at": entry.at} if self.streaming == PARALLEL else {}
        self._change(entry.end, StreamAbort(xid=entry.xid, subtransaction=xid, **where))

    def _change(self, lsn: int, change: Message) -> None:
        self._say(XLogData(start_lsn=lsn, end_lsn=lsn, sent_at=from_unix(time.time()), data=change.encode()))

    def _say(self, payload: Message) -> None:
        self.session.stream(payload)


_SENDERS: dict[Kind, Callable[[Stream, Entry], Awaitable[None]]] = {
    Kind.COMMIT: Stream._commit, Kind.BLOCK: Stream._block, Kind.SUBABORT: Stream._subabort, Kind.ABORT: Stream._abort,
    Kind.PREPARE: Stream._prepare, Kind.COMMIT_PREPARED: Stream._commit_prepared,
    Kind.ROLLBACK_PREPARED: Stream._rollback_prepared}

__all__ = ["Chosen", "Stream"]
