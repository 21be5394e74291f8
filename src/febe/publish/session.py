"""A subscription's connection: the queries that a PostgreSQL asks a publisher, slots, and the stream."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from functools import partial

from febe.protocol.copy import CopyData, CopyDone, CopyOutResponse
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
from febe.publish.publisher import Publisher
from febe.publish.store import Frozen, Slot
from febe.publish.stream import Stream
from febe.publish.table import Cells, Table
from febe.server.engine import EngineError
from febe.types import oids
from febe.types._codec import Codec
from febe.types.copy import CopyColumn, CopyEncoder, CopyFormat
from febe.walsender.base import ReplicationSession

STREAMING_SINCE = {"on": 2, PARALLEL: 4}
TWO_PHASE_SINCE = 3
"""Versions of the protocol (logicalproto.h)."""
ROWS = 1000
_KNOWN_OPTIONS = frozenset({"proto_version", "publication_names", "binary", "messages", "streaming", "two_phase",
                            "origin"})
_NAME = re.compile(r'"(?:[^"]|"")+"|[^\s,"]+')
_AS_IT_IS = Codec(oid=oids.TEXT, name="text")
_COPY = re.compile(r'COPY ("(?:[^"]|"")+"|\w+)\.("(?:[^"]|"")+"|\w+)(?: \(.*?\))? TO STDOUT( WITH \(FORMAT binary\))?$',
                   re.DOTALL)

class PublisherSession(ReplicationSession):
    """One walsender, as far as a subscription needs it."""

    _frozen: Frozen | None = None
    _in_block = False

    @property
    def publisher(self) -> Publisher:
        """Whose changes these are."""
        raise NotImplementedError

    async def on_sql(self, text: str) -> None:
        """Answer one of a subscription's queries."""
        await self._answer(text.strip().rstrip(";"))

    # Commands

    async def on_command(self, command: Command) -> None:
        """Answer a command."""
        store = self.publisher.store
        if isinstance(command, IdentifySystem):
            self.rows(("systemid", "timeline", "xlogpos", "dbname"),
                       [(str(store.system_id), "1", format_lsn(store.end), self.database)], "IDENTIFY_SYSTEM")
        elif isinstance(command, Show):
            self.rows((command.name,), [(self.parameters.get(command.name),)], "SHOW")
        elif isinstance(command, CreateReplicationSlot):
            self._create(command)
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
        self._thaw()
        super().close()

    def _thaw(self) -> None:
        if self._frozen is not None:
            self._frozen.close()
            self._frozen = None

    def _slot(self, name: str) -> Slot:
        found = self.publisher.store.slot(name)
        if found is None:
            raise EngineError(f'replication slot "{name}" does not exist', sqlstate="42704")
        return found

    def _not_busy(self, name: str) -> None:
        if name in self.publisher.busy:
            raise EngineError(f'replication slot "{name}" is active', sqlstate="55006")

    def _create(self, command: CreateReplicationSlot) -> None:
        if command.plugin != "pgoutput":
            raise EngineError("this publisher has logical slots of the plugin pgoutput only", sqlstate="0A000")
        unknown = set(command.options) - {"snapshot", "two_phase", "failover"}
        if unknown:
            raise EngineError(f"unrecognized option: {min(unknown)}", sqlstate="42601")
        if self.publisher.store.slot(command.slot) is not None:
            raise EngineError(f'replication slot "{command.slot}" already exists', sqlstate="42710")
        uses = command.options.get("snapshot") == "use"
        if uses and not self._in_block:
            raise EngineError("CREATE_REPLICATION_SLOT ... (SNAPSHOT 'use') must be called inside a transaction",
                              sqlstate="25001")
        flags = {name: name in command.options and boolean(name, command.options[name])
                 for name in ("two_phase", "failover")}
        slot = Slot(name=command.slot, confirmed=0, **flags)
        frozen = self.publisher.store.create(slot)
        if uses:
            self._thaw()
            self._frozen = frozen
        else:
            frozen.close()
        self.rows(("slot_name", "consistent_point", "snapshot_name", "output_plugin"),
                   [(command.slot, format_lsn(slot.confirmed), None, "pgoutput")], "CREATE_REPLICATION_SLOT")

    # A subscription's queries (subscriptioncmds.c, tablesync.c)

    async def _answer(self, sql: str) -> None:
        tables = self.publisher.tables
        if sql.startswith(("BEGIN", "START TRANSACTION")):
            self._in_block = True
            self.say(CommandComplete(tag="BEGIN"))
        elif sql in ("COMMIT", "ROLLBACK"):
            self._in_block = False
            self._thaw()
            self.say(CommandComplete(tag=sql))
        elif "pg_catalog.set_config(" in sql:
            self.rows(("set_config",), [("",)])
        elif "pg_is_in_recovery()" in sql and "pg_replication_slots" not in sql:
            self.rows(("pg_is_in_recovery",), [("f",)])
        elif sql.startswith("SELECT t.pubname FROM"):
            named = f"'{self.publisher.publication}'" in sql
            self.rows(("pubname",), [(self.publisher.publication,)] if named else [])
        elif sql.startswith("SELECT DISTINCT P.pubname AS pubname"):
            self.rows(("pubname",), [])  # nothing here came from elsewhere
        elif sql.startswith("SELECT DISTINCT n.nspname, c.relname, gpt.attrs"):
            self.rows(("nspname", "relname", "attrs"), [
                (table.schema, table.name, " ".join(str(place + 1) for place in range(len(table.columns))))
                for table in tables.values()])
        elif sql.startswith("SELECT c.oid, c.relreplident, c.relkind"):
            self.rows(("oid", "relreplident", "relkind"), [
                (str(table.oid), table.identity, "r") for table in tables.values()
                if f"= '{table.schema}'" in sql and f"= '{table.name}'" in sql])
        elif sql.startswith("SELECT DISTINCT  (CASE WHEN (array_length(gpt.attrs"):
            self.rows(("attrs",), [(None,)])
        elif sql.startswith("SELECT a.attnum,"):
            self._columns(sql)
        elif sql.startswith("SELECT DISTINCT pg_get_expr(gpt.qual"):
            self.rows(("pg_get_expr",), [(None,)])
        elif sql.startswith("COPY "):
            await self._copy_table(sql)
        else:
            raise EngineError("this publisher answers what a subscription asks, and nothing else", sqlstate="0A000")

    def _columns(self, sql: str) -> None:
        match = re.search(r"a\.attrelid = (\d+)", sql)
        table = self.publisher.tables.get(int(match[1]) if match else 0)
        generated = ("f",) if "a.attgenerated != ''" in sql else ()
        self.rows(("attnum", "attname", "atttypid", "key", *("generated" for _ in generated)), [
            (str(place + 1), column, str(table.types[place]), "t" if place in table.key else "f", *generated)
            for place, column in enumerate(table.columns)] if table else [])

    async def _copy_table(self, sql: str) -> None:
        match = _COPY.match(sql)
        table = next((table for table in self.publisher.tables.values() if match is not None
                      and (table.schema, table.name) == (_unquoted(match[1]), _unquoted(match[2]))), None)
        if match is None or table is None:
            raise EngineError("no such table is published", sqlstate="42P01")
        binary = match[3] is not None
        self.say(CopyOutResponse(format=int(binary), column_formats=[int(binary)] * len(table.columns)))
        codecs = table.codecs if binary else [_AS_IT_IS] * len(table.columns)
        encoder = CopyEncoder(CopyFormat(format="binary" if binary else "text"),
                              [CopyColumn(name=name, codec=codec)
                               for name, codec in zip(table.columns, codecs, strict=True)])
        values = partial(_values, table) if binary else _texts
        count = 0
        with contextlib.ExitStack() as stack:
            frozen = self._frozen or stack.enter_context(self.publisher.store.frozen())
            for rows in frozen.rows(table.oid, ROWS):
                count += len(rows)
                self.conversation.say_run(CopyData, encoder.encode(list(map(values, rows))))
                await self.conversation.deliver()
        last = encoder.finish()
        if last:
            self.conversation.say_run(CopyData, last)
        self.say(CopyDone(), CommandComplete(tag=f"COPY {count}"))

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
            await Stream(self, slot, start, news, streaming=options.streaming,
                         two_phase=slot.two_phase and options.version >= TWO_PHASE_SINCE,
                         chosen=self.publisher.chosen(options.publications)).run()
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
        publications = [_unquoted(name) for name in _NAME.findall(options["publication_names"] or "")]
        return cls(version, publications, streaming, two_phase)


def _streaming(options: Options) -> str:
    text = (options.get("streaming") or "on").lower() if "streaming" in options else "off"
    return text if text == PARALLEL else "on" if boolean("streaming", text) else "off"


def _texts(cells: Cells) -> list[str | None]:
    return [None if cell is None else cell.decode() for cell in cells]


def _values(table: Table, cells: Cells) -> list[object]:
    """A row's values as Python's: they were given so, and are kept in text."""
    found: list[object] = []
    for codec, cell in zip(table.codecs, cells, strict=True):
        decode = codec.decode_text
        found.append(None if cell is None else decode(cell) if callable(decode) else _hot(decode, cell))
    return found


def _hot(kind: int | None, cell: bytes) -> object:
    from febe._kernel.rows import decode_value

    return cell.decode() if kind is None else decode_value(kind, cell)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


__all__ = ["PublisherSession"]
