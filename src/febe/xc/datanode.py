"""A datanode on an engine: a server that a coordinator connects to."""

from __future__ import annotations

from typing import Any

from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import LocalProtocolError
from febe.protocol.extended import Parse
from febe.protocol.simple import RowDescription
from febe.protocol.startup import StartupMessage
from febe.protocol.xc import (
    XC,
    XL,
    Barrier,
    BarrierDone,
    CommandId,
    GlobalSnapshot,
    GlobalTimestamp,
    GlobalTransactionId,
    HostSnapshot,
    HostTransactionId,
    NamedFieldDescription,
    NamedParse,
    NamedRowDescription,
    PlannedStatement,
    is_node,
)
from febe.server import serve as serve_engine
from febe.server.engine import Engine, EngineError
from febe.server.listener import Listener
from febe.server.parameters import parse_options
from febe.server.session import Session
from febe.server.typenames import oid_of
from febe.types.registry import TYPES

NODE_SETTINGS = frozenset({"remotetype", "parentnode", "lc_monetary"})
"""What a coordinator sets that no engine of febe is concerned with."""


class DatanodeSession(Session):
    """A client, which is a coordinator when its `remotetype` says so.

    `gxid`, `timestamp`, `snapshot` and `command_id` are what the coordinator said last.
    """

    xl = False
    """Whether coordinators are those of Postgres-XL."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gxid: int | None = None
        self.timestamp: int | None = None
        self.snapshot: GlobalSnapshot | HostSnapshot | None = None
        self.command_id: int | None = None
        self._handlers |= {
            GlobalTransactionId: self._on_transaction, HostTransactionId: self._on_transaction,
            GlobalTimestamp: self._on_timestamp, GlobalSnapshot: self._on_snapshot, HostSnapshot: self._on_snapshot,
            CommandId: self._on_command_id, Barrier: self.on_barrier, NamedParse: self._on_named_parse,
            PlannedStatement: self._on_plan}

    @classmethod
    def dialect(cls, startup: StartupMessage) -> Dialect:
        settings = dict(parse_options(startup.parameters.get("options", "")))
        try:
            node = is_node(settings)
        except LocalProtocolError as error:
            raise EngineError(str(error), sqlstate=error.sqlstate) from None
        return (XL if cls.xl else XC) if node else POSTGRESQL

    def start_with(self, name: str, value: str) -> None:
        if name.lower() not in NODE_SETTINGS:
            super().start_with(name, value)

    # What a coordinator says before its requests: it is kept, for an engine's author to use

    async def _on_transaction(self, message: GlobalTransactionId | HostTransactionId) -> None:
        self.gxid = message.gxid

    async def _on_timestamp(self, message: GlobalTimestamp) -> None:
        self.timestamp = message.timestamp

    async def _on_snapshot(self, message: GlobalSnapshot | HostSnapshot) -> None:
        self.snapshot = message

    async def _on_command_id(self, message: CommandId) -> None:
        self.command_id = message.command_id

    async def on_barrier(self, message: Barrier) -> None:
        """Take part in a barrier.  Here nothing waits for another node."""
        self.say(BarrierDone(identifier=message.identifier))

    async def _on_named_parse(self, message: NamedParse) -> None:
        types = [oid_of(name) if name else 0 for name in message.parameter_types]
        await self.on_parse(Parse(statement=message.statement, query=message.query, parameter_types=types))

    async def _on_plan(self, message: PlannedStatement) -> None:
        raise EngineError("plans of another node's planner cannot be run", sqlstate="0A000")

    def describe(self, description: bytes) -> None:
        if self.conversation.core.dialect is POSTGRESQL:
            super().describe(description)
            return
        plain = RowDescription.decode(description, 5, len(description))
        self.say(NamedRowDescription(columns=[
            NamedFieldDescription(
                name=column.name, type_name=TYPES.by_oid(column.type_oid).name, table_oid=column.table_oid,
                attribute_number=column.attribute_number, type_oid=column.type_oid, type_size=column.type_size,
                type_modifier=column.type_modifier, format=column.format)
            for column in plain.columns]))


class XLDatanodeSession(DatanodeSession):
    """The same for coordinators of Postgres-XL on little-endian hosts."""

    xl = True


async def serve(engine: Engine, *, xl: bool = False, **options: Any) -> Listener:
    """Listen as a datanode; `options` are those of `febe.server.serve`.  Other clients are served as ever."""
    return await serve_engine(engine, session=XLDatanodeSession if xl else DatanodeSession, **options)


__all__ = ["DatanodeSession", "XLDatanodeSession", "serve"]
