"""A walsender whose log and backups come from a Source."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyBothResponse, CopyDone
from febe.protocol.errors import ConnectionLost, RemoteProtocolError
from febe.protocol.lsn import format_lsn, from_unix
from febe.protocol.message import Message, Sender
from febe.protocol.replication import (
    STREAMING,
    HotStandbyFeedback,
    PrimaryKeepalive,
    StandbyStatusUpdate,
    XLogData,
    read_payload,
)
from febe.protocol.replication_commands import (
    BaseBackup,
    Command,
    CreateReplicationSlot,
    DropReplicationSlot,
    IdentifySystem,
    ReadReplicationSlot,
    Show,
    StartReplication,
    TimelineHistory,
    boolean,
)
from febe.protocol.simple import CommandComplete
from febe.protocol.startup import ParameterStatus, Terminate
from febe.server.engine import EngineError
from febe.server.limits import FatalError
from febe.walsender.base import ReplicationSession
from febe.walsender.basebackup import send_backup
from febe.walsender.source import Slot, Source

KEEPALIVE_SECONDS = 10.0
PIECE = 1 << 17
"""The most that an XLogData holds (walsender.c, MAX_SEND_SIZE)."""


class WalSenderSession(ReplicationSession):
    """One client of a source."""

    source: Source

    def close(self) -> None:
        """The client is gone."""
        super().close()
        for slot in [slot for slot in self.source.slots.values() if slot.temporary and slot.name in self._mine]:
            del self.source.slots[slot.name]

    @property
    def _mine(self) -> set[str]:
        found: set[str] = self.__dict__.setdefault("_temporary", set())
        return found

    def _report(self) -> None:
        for name, value in self.parameters.reports():
            self.say(ParameterStatus(name=name, value=self.source.server_version if name == "server_version"
                                     else value))
        self.backend.application_name = self.parameters.get("application_name")

    async def on_sql(self, text: str) -> None:
        """Answer what libpq's programs say first; anything else has no answer here."""
        if "pg_catalog.set_config('search_path', ''" not in text:
            await super().on_sql(text)
        self.rows(("set_config",), [("",)])

    async def on_command(self, command: Command) -> None:
        """Answer a command from the source."""
        source = self.source
        if isinstance(command, IdentifySystem):
            system = await source.system()
            self.rows(("systemid", "timeline", "xlogpos", "dbname"),
                      [(str(system.identifier), str(system.timeline), format_lsn(system.position),
                        None if self.physical else self.database)], "IDENTIFY_SYSTEM", numbers=("timeline",))
        elif isinstance(command, Show):
            value = source.settings.get(command.name)
            if value is None:
                raise EngineError(f'unrecognized configuration parameter "{command.name}"', sqlstate="42704")
            self.rows((command.name,), [(value,)], "SHOW")
        elif isinstance(command, TimelineHistory):
            content = await source.history(command.timeline)
            self.rows(("filename", "content"), [(f"{command.timeline:08X}.history", content)], "TIMELINE_HISTORY")
        elif isinstance(command, CreateReplicationSlot):
            await self._create(command)
        elif isinstance(command, ReadReplicationSlot):
            slot = await source.slot(command.slot)
            row = (None, None, None) if slot is None else (
                "physical", format_lsn(slot.position) if slot.position else None, str(slot.timeline))
            self.rows(("slot_type", "restart_lsn", "restart_tli"), [row], "READ_REPLICATION_SLOT",
                      numbers=("restart_tli",))
        elif isinstance(command, DropReplicationSlot):
            await self._existing(command.slot)
            await source.drop_slot(command.slot)
            self.say(CommandComplete(tag="DROP_REPLICATION_SLOT"))
        elif isinstance(command, StartReplication):
            await self._start(command)
        elif isinstance(command, BaseBackup):
            await send_backup(self, source, command)
        else:
            raise EngineError(f"{type(command).__name__} is not supported by this server", sqlstate="0A000")

    async def _existing(self, name: str) -> Slot:
        slot = await self.source.slot(name)
        if slot is None:
            raise EngineError(f'replication slot "{name}" does not exist', sqlstate="42704")
        return slot

    async def _create(self, command: CreateReplicationSlot) -> None:
        if command.plugin is not None:
            raise EngineError("this server has no logical decoding", sqlstate="0A000")
        unknown = set(command.options) - {"reserve_wal", "failover"}
        if unknown:
            raise EngineError(f"unrecognized option: {min(unknown)}", sqlstate="42601")
        if await self.source.slot(command.slot) is not None:
            raise EngineError(f'replication slot "{command.slot}" already exists', sqlstate="42710")
        system = await self.source.system()
        reserve = "reserve_wal" in command.options and boolean("reserve_wal", command.options["reserve_wal"])
        await self.source.keep_slot(Slot(name=command.slot, position=system.position if reserve else 0,
                                         timeline=system.timeline, temporary=command.temporary))
        if command.temporary:
            self._mine.add(command.slot)
        self.rows(("slot_name", "consistent_point", "snapshot_name", "output_plugin"),
                  [(command.slot, format_lsn(system.position if reserve else 0), None, None)],
                  "CREATE_REPLICATION_SLOT")

    # Streaming

    async def _start(self, command: StartReplication) -> None:
        if command.options is not None:
            raise EngineError("this server has no logical decoding", sqlstate="0A000")
        source = self.source
        slot = None if command.slot is None else await self._existing(command.slot)
        system = await source.system()
        timeline = command.timeline or system.timeline
        after = None if timeline == system.timeline else await source.next_timeline(timeline)
        if timeline != system.timeline and after is None:
            raise EngineError(f"requested timeline {timeline} is not in this server's history", sqlstate="22023")
        last = system.position if after is None else after[1]
        if command.lsn > last:
            where = format_lsn(command.lsn)
            raise EngineError(
                f"requested starting point {where} is ahead of the WAL flush position of this server "
                f"{format_lsn(last)}" if after is None else
                f"requested starting point {where} on timeline {timeline} is not in this server's history",
                sqlstate="22023")
        if after is None or command.lsn < after[1]:
            complete = await _Stream(self, slot, timeline, command.lsn).run()
            if complete and after is None:
                after = await source.next_timeline(timeline)
            elif not complete:
                after = None
        if after is not None:
            self.rows(("next_tli", "next_tli_startpos"), [(str(after[0]), format_lsn(after[1]))], "",
                      numbers=("next_tli",))
        self.say(CommandComplete(tag="START_STREAMING"), CommandComplete(tag="START_REPLICATION"))


class _Stream:
    """Between START_REPLICATION and its end."""

    def __init__(self, session: WalSenderSession, slot: Slot | None, timeline: int, position: int) -> None:
        self._session, self._slot, self._timeline, self._position = session, slot, timeline, position

    async def run(self) -> bool:
        """Send the log; whether it came to its end before the client did."""
        conversation = self._session.conversation
        self._session.say(CopyBothResponse(format=0, column_formats=[]))
        await conversation.deliver()
        log = aiter(self._session.source.log(self._timeline, self._position))
        hearing = asyncio.ensure_future(conversation.next_event())
        coming = asyncio.ensure_future(_next(log))
        ended = left = False
        try:
            while not (ended or left):
                await asyncio.wait({hearing, coming}, timeout=KEEPALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    left = await self._hear(hearing.result())
                    if not left:
                        hearing = asyncio.ensure_future(conversation.next_event())
                elif not coming.done():
                    self._keepalive(reply=True)
                if coming.done() and not left:
                    piece = coming.result()
                    ended = piece is None
                    if piece is not None:
                        self._send(piece)
                        coming = asyncio.ensure_future(_next(log))
                await conversation.deliver()
            self._session.say(CopyDone())
            await conversation.deliver()
            while not left:
                left = await self._hear(await hearing)
                if not left:
                    hearing = asyncio.ensure_future(conversation.next_event())
            return ended
        finally:
            for task in (hearing, coming):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionLost, RemoteProtocolError, EngineError):
                    await task
            close = getattr(log, "aclose", None)
            if close is not None:
                await close()

    def _send(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            data = bytes(view[:PIECE])
            view = view[PIECE:]
            end = self._position + len(data)
            self._say(XLogData(start_lsn=self._position, end_lsn=end, sent_at=from_unix(time.time()), data=data))
            self._position = end

    async def _hear(self, event: object) -> bool:
        """Take what the client says; whether it has ended its half."""
        if isinstance(event, CopyDone):
            return True
        if isinstance(event, Terminate):
            raise ConnectionLost("the client has said good-bye")
        assert isinstance(event, CopyDataRun)
        for body in event.bodies():
            try:
                payload = read_payload(STREAMING[Sender.FRONTEND], body)
            except RemoteProtocolError as error:
                raise FatalError(str(error), error.sqlstate) from error
            if isinstance(payload, StandbyStatusUpdate):
                slot = self._slot
                if slot is not None and payload.flushed > slot.position:
                    slot.position, slot.timeline = payload.flushed, self._timeline
                    await self._session.source.keep_slot(slot)
                if payload.reply_requested:
                    self._keepalive(reply=False)
            elif not isinstance(payload, HotStandbyFeedback):  # of which there is nothing to hold back
                raise FatalError(f'unexpected message type "{chr(body[0])}"', "08P01")
        return False

    def _keepalive(self, *, reply: bool) -> None:
        self._say(PrimaryKeepalive(end_lsn=self._position, sent_at=from_unix(time.time()),
                                   reply_requested=int(reply)))

    def _say(self, payload: Message) -> None:
        self._session.stream(payload)


async def _next(log: AsyncIterator[bytes]) -> bytes | None:
    return await anext(log, None)


def walsender(source: Source) -> type[WalSenderSession]:
    """A class of sessions for `serve(..., replication=)` whose log and backups come from a source."""
    return type("WalSender", (WalSenderSession,), {"source": source})


__all__ = ["WalSenderSession", "walsender"]
