"""What every replication connection is: simple queries only, each a replication command or SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from febe.protocol.copy import CopyData
from febe.protocol.errors import ConnectionLost, RemoteProtocolError
from febe.protocol.message import Message
from febe.protocol.replication_commands import Command, parse_command
from febe.protocol.simple import CommandComplete, DataRow, FieldDescription, Query, RowDescription
from febe.protocol.startup import StartupMessage
from febe.protocol.states import State
from febe.server.engine import EngineError
from febe.server.session import Session

INT8, TEXT = 20, 25

Row = Sequence["str | bytes | None"]


class ReplicationSession(Session):
    """Tells commands from SQL.  `physical` says that the client asked for replication of no database."""

    physical = False

    async def open(self, startup: StartupMessage) -> None:
        """Note which kind of replication is asked for."""
        self.physical = startup.parameters.get("replication") != "database"

    async def on_query(self, message: Query) -> None:
        """Answer a replication command, or SQL."""
        try:
            command = parse_command(message.query)
        except RemoteProtocolError as error:
            raise EngineError(str(error), sqlstate=error.sqlstate) from None
        if command is not None:
            await self.on_command(command)
        elif self.physical:
            raise EngineError("cannot execute SQL commands in WAL sender for physical replication", sqlstate="0A000")
        else:
            await self.on_sql(message.query)
        self.ready()

    async def on_command(self, command: Command) -> None:
        """Answer a command, up to what ReadyForQuery follows.  Errors: EngineError."""
        raise NotImplementedError

    async def on_sql(self, text: str) -> None:
        """Answer SQL of a client that replicates a database.  Errors: EngineError."""
        raise EngineError("this server answers replication commands only", sqlstate="0A000")

    def rows(self, names: Sequence[str], rows: Sequence[Row], tag: str | None = None, *,
             numbers: Sequence[str] = ()) -> None:
        """Answer with rows; columns in `numbers` are int8, the others text.  An empty `tag` leaves it to what follows.
        """
        self.say(RowDescription(columns=[
            FieldDescription(name=name, type_oid=INT8, type_size=8) if name in numbers
            else FieldDescription(name=name, type_oid=TEXT, type_size=-1) for name in names]))
        for row in rows:
            self.say(DataRow(values=[value.encode() if isinstance(value, str) else value for value in row]))
        if tag != "":
            self.say(CommandComplete(tag=tag or f"SELECT {len(rows)}"))

    def stream(self, payload: Message) -> None:
        """Say a payload of copy-both.  Errors: ConnectionLost when the client has said good-bye meanwhile."""
        self.stream_frames(CopyData(data=payload.encode()).encode())

    def stream_frames(self, data: bytes) -> None:
        """The same of CopyData messages that are encoded already."""
        if self.conversation.core.state is State.TERMINATED:
            raise ConnectionLost("the client has said good-bye")
        self.conversation.say_run(CopyData, data)

    async def _no_extended(self, message: Any) -> NoReturn:
        raise EngineError("extended query protocol not supported in a replication connection", sqlstate="08P01")

    # forbidden_in_wal_sender (postgres.c)
    on_parse = on_bind = on_describe = on_execute = on_close = on_function_call = _no_extended


__all__ = ["ReplicationSession", "Row"]
