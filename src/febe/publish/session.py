"""A subscription's connection: the queries that a PostgreSQL asks a publisher, slots, and the stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from febe.protocol.logical import PARALLEL, VERSIONS
from febe.protocol.lsn import format_lsn
from febe.protocol.replication_commands import (
    AlterReplicationSlot,
    Command,
    CreateReplicationSlot,
    DropReplicationSlot,
    IdentifySystem,
    Options,
    Show,
    StartReplication,
    boolean,
)
from febe.protocol.simple import CommandComplete
from febe.publish.publication import names_in
from febe.publish.publisher import Publisher
from febe.publish.queries import Queries
from febe.publish.snapshot import Snapshot
from febe.publish.store import Slot
from febe.publish.stream import Stream
from febe.server.engine import EngineError
from febe.walsender.base import ReplicationSession

STREAMING_SINCE = {"on": 2, PARALLEL: 4}
TWO_PHASE_SINCE = 3
"""Versions of the protocol (logicalproto.h)."""
_KNOWN_OPTIONS = frozenset({"proto_version", "publication_names", "binary", "messages", "streaming", "two_phase",
                            "origin"})


class PublisherSession(ReplicationSession):
    """One walsender, as far as a subscription needs it."""

    frozen: Snapshot | None = None
    in_block = False
    _queries: Queries | None = None

    @property
    def publisher(self) -> Publisher:
        """Whose changes these are."""
        raise NotImplementedError

    async def on_sql(self, text: str) -> None:
        """Answer one of a subscription's queries."""
        if self._queries is None:
            self._queries = Queries(self)
        await self._queries.answer(text.strip().rstrip(";"))

    # Commands

    async def on_command(self, command: Command) -> None:
        """Answer a command."""
        store = self.publisher.store
        if isinstance(command, IdentifySystem):
            self.rows(("systemid", "timeline", "xlogpos", "dbname"),
                       [(str(store.system_id), "1", format_lsn(store.end), self.database)], "IDENTIFY_SYSTEM")
        elif isinstance(command, Show):
            shown = f"{self.publisher.wal_sender_timeout * 1000:.0f}ms" if command.name == "wal_sender_timeout" \
                else self.parameters.get(command.name)
            self.rows((command.name,), [(shown,)], "SHOW")
        elif isinstance(command, CreateReplicationSlot):
            await self._create(command)
        elif isinstance(command, AlterReplicationSlot):
            slot = self._slot(command.slot)
            self._not_busy(command.slot)
            for name, value in command.options.items():
                if name not in ("failover", "two_phase"):
                    raise EngineError(f"unrecognized option: {name}", sqlstate="42601")
                wanted = boolean(name, value)
                if name == "two_phase" and wanted and not slot.two_phase:
                    slot.two_phase_at = slot.confirmed
                setattr(slot, name, wanted)
            store.save(slot)
            self.say(CommandComplete(tag="ALTER_REPLICATION_SLOT"))
        elif isinstance(command, DropReplicationSlot):
            self._slot(command.slot)
            self._not_busy(command.slot)
            store.drop(command.slot)
            self.say(CommandComplete(tag="DROP_REPLICATION_SLOT"))
        elif isinstance(command, StartReplication) and command.options is not None:
            await self._stream(command)
        else:
            raise EngineError("this publisher serves logical replication only", sqlstate="0A000")

    def close(self) -> None:
        """The client is gone."""
        self.thaw()
        super().close()

    def thaw(self) -> None:
        """Let go of the rows that the transaction block has seen."""
        if self.frozen is not None:
            self.frozen.close()
            self.frozen = None

    def _slot(self, name: str) -> Slot:
        found = self.publisher.store.slot(name)
        if found is None:
            raise EngineError(f'replication slot "{name}" does not exist', sqlstate="42704")
        return found

    def _not_busy(self, name: str) -> None:
        if name in self.publisher.busy:
            raise EngineError(f'replication slot "{name}" is active', sqlstate="55006")

    async def _create(self, command: CreateReplicationSlot) -> None:
        if command.plugin != "pgoutput":
            raise EngineError("this publisher has logical slots of the plugin pgoutput only", sqlstate="0A000")
        unknown = set(command.options) - {"snapshot", "two_phase", "failover"}
        if unknown:
            raise EngineError(f"unrecognized option: {min(unknown)}", sqlstate="42601")
        if self.publisher.store.slot(command.slot) is not None:
            raise EngineError(f'replication slot "{command.slot}" already exists', sqlstate="42710")
        uses = command.options.get("snapshot") == "use"
        if uses and not self.in_block:
            raise EngineError("CREATE_REPLICATION_SLOT ... (SNAPSHOT 'use') must be called inside a transaction",
                              sqlstate="25001")
        flags = {name: name in command.options and boolean(name, command.options[name])
                 for name in ("two_phase", "failover")}
        slot = Slot(name=command.slot, confirmed=0, **flags)
        frozen = await asyncio.to_thread(self.publisher.create, slot)
        if uses:
            self.thaw()
            self.frozen = frozen
        else:
            frozen.close()
        self.rows(("slot_name", "consistent_point", "snapshot_name", "output_plugin"),
                   [(command.slot, format_lsn(slot.confirmed), None, "pgoutput")], "CREATE_REPLICATION_SLOT")

    # The stream

    async def _stream(self, command: StartReplication) -> None:
        assert command.slot is not None and command.options is not None
        options = _Wanted.of(command.options)
        slot = self._slot(command.slot)
        self._not_busy(command.slot)
        busy = self.publisher.busy
        busy.add(command.slot)
        news = asyncio.Event()
        self.publisher.listen(news)
        try:
            start = max(slot.confirmed, command.lsn)
            if options.two_phase and not slot.two_phase:
                slot.two_phase, slot.two_phase_at = True, start  # logical.c, CreateDecodingContext
                self.publisher.store.save(slot)
            chosen = self.publisher.chosen(options.publications)
            await Stream(self, slot, start, news, streaming=options.streaming,
                         two_phase=slot.two_phase and options.version >= TWO_PHASE_SINCE,
                         chosen=None if chosen.everything else chosen).run()
        finally:
            self.publisher.leave(news)
            busy.discard(command.slot)


@dataclass(slots=True)
class _Wanted:
    """What a subscription asks of pgoutput."""

    version: int
    publications: list[str]
    streaming: str
    two_phase: bool

    @classmethod
    def of(cls, options: Options) -> _Wanted:
        """Read the options.  Errors: EngineError (pgoutput.c, parse_output_parameters)."""
        unknown = set(options) - _KNOWN_OPTIONS
        if unknown:
            raise EngineError(f"unrecognized pgoutput option: {min(unknown)}", sqlstate="42601")
        text = options.get("proto_version") or ""
        if not text.isdecimal() or int(text) not in VERSIONS:
            raise EngineError(f"client sent proto_version={text} but server only supports protocol 1 to 4",
                              sqlstate="0A000")
        version = int(text)
        streaming = _streaming(options)
        two_phase = "two_phase" in options and boolean("two_phase", options["two_phase"])
        for what, since in (("streaming", STREAMING_SINCE.get(streaming, 1)),
                            ("two-phase commit", TWO_PHASE_SINCE if two_phase else 1)):
            if version < since:
                raise EngineError(f"requested proto_version={version} does not support {what}, need {since} or higher",
                                  sqlstate="0A000")
        if not options.get("publication_names"):
            raise EngineError("publication_names parameter missing", sqlstate="22023")
        return cls(version, names_in(options["publication_names"] or ""), streaming, two_phase)


def _streaming(options: Options) -> str:
    text = (options.get("streaming") or "on").lower() if "streaming" in options else "off"
    return text if text == PARALLEL else "on" if boolean("streaming", text) else "off"


__all__ = ["PublisherSession"]
