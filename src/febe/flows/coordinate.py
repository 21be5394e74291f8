"""A coordinator's requests to a datanode (Postgres-XC): transaction id, time, command id and snapshot, then the request
itself, in one flight and in the order of pgxcnode.c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from febe._kernel.rows import RowDecoder
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse, NotificationResponse
from febe.protocol.connection import CopyDataRun, DataRowRun
from febe.protocol.errors import LocalProtocolError, PostgresError, postgres_error
from febe.protocol.extended import Bind, Describe, Execute, Sync
from febe.protocol.message import Message
from febe.protocol.simple import CommandComplete, Query
from febe.protocol.startup import ParameterStatus
from febe.protocol.states import State
from febe.protocol.xc import (
    Barrier,
    BarrierDone,
    CommandId,
    CommandIdChanged,
    GlobalSnapshot,
    GlobalTimestamp,
    GlobalTransactionId,
    HostSnapshot,
    HostTransactionId,
    NamedFieldDescription,
    NamedParse,
    NamedRowDescription,
)


class Result:
    """What a datanode answered: rows in their columns' types, the command tag, the next command id if it told one."""

    def __init__(self) -> None:
        self.columns: list[NamedFieldDescription] = []
        self.rows: list[tuple[Any, ...]] = []
        self.copied: list[bytes] = []
        self.tag = ""
        self.command_id: int | None = None


class Context:
    """What a request is put into.  What is None is not sent: the datanode keeps what it was told last."""

    def __init__(self, *, gxid: int | None = None, timestamp: int | None = None, command_id: int | None = None,
                 snapshot: GlobalSnapshot | None = None) -> None:
        self.gxid, self.timestamp, self.command_id, self.snapshot = gxid, timestamp, command_id, snapshot

    def messages(self, *, host_order: bool) -> list[Message]:
        """In the order in which a coordinator sends them."""
        found: list[Message] = []
        if self.gxid is not None:
            found.append(HostTransactionId(gxid=self.gxid) if host_order else GlobalTransactionId(gxid=self.gxid))
        if self.timestamp is not None:
            found.append(GlobalTimestamp(timestamp=self.timestamp))
        if self.command_id is not None:
            found.append(CommandId(command_id=self.command_id))
        if self.snapshot is not None:
            seen = self.snapshot
            found.append(seen if not host_order else HostSnapshot(
                xmin=seen.xmin, xmax=seen.xmax, recent_global_xmin=seen.recent_global_xmin, xip=seen.xip))
        return found


async def query(session: Session, sql: str, context: Context) -> Result:
    """Run SQL by a simple query.  Errors: PostgresError, ConnectionLost, RemoteProtocolError."""
    return await _request(session, context, [Query(query=sql)])


async def execute(session: Session, sql: str, types: Sequence[str], values: Sequence[str | bytes | None],
                  context: Context, *, describe: bool = True) -> Result:
    """Run SQL with parameters, their types by name and their values in text.

    Without `describe` the datanode does not say what rows look like, and none may come.  Errors: as `query`.
    """
    if len(types) != len(values):
        raise LocalProtocolError(f"{len(values)} values for {len(types)} types", sqlstate="08P01")
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    described = [Describe(kind="P", name="")] if describe else []
    return await _request(session, context, [
        NamedParse(statement="", query=sql, parameter_types=list(types)),
        Bind(portal="", statement="", parameter_formats=[], parameters=encoded, result_formats=[]),
        *described, Execute(portal="", maximum_rows=0), Sync()])


async def barrier(session: Session, identifier: str, step: str) -> None:
    """Take part in a barrier: step P, X or E.  Errors: as `query`."""
    await _request(session, Context(), [Barrier(step=step, identifier=identifier)])


async def _request(session: Session, context: Context, messages: list[Message]) -> Result:
    core = session.core
    if core.state is not State.IDLE:
        raise session.unusable()
    host_order = HostTransactionId in core.dialect.messages[core.role]
    out = core.send(*context.messages(host_order=host_order), *messages)
    result = Result()
    error: PostgresError | None = None
    decoder: RowDecoder | None = None
    ended = frozenset({State.IDLE})
    try:
        while core.state not in ended:
            core.receive(await session.port.exchange(out))
            out = b""
            while (event := core.next_event()) is not None:
                if isinstance(event, NamedRowDescription):
                    result.columns = event.columns
                    decoder = _decoder(session, event.columns)
                elif isinstance(event, DataRowRun):
                    if decoder is None:
                        raise LocalProtocolError("rows came, and were not described: execute with describe=True")
                    result.rows += decoder.decode(event.data, event.start, event.end)
                elif isinstance(event, CopyDataRun):
                    result.copied += event.bodies()
                elif isinstance(event, CommandComplete):
                    result.tag = event.tag
                elif isinstance(event, CommandIdChanged):
                    result.command_id = event.command_id
                elif isinstance(event, ErrorResponse):
                    error = error or postgres_error(event.fields_by_code)
                elif isinstance(event, ParameterStatus):
                    session.parameter_status(event)
                elif isinstance(event, NoticeResponse):
                    session.notice(event)
                elif isinstance(event, NotificationResponse):
                    session.notification(event)
                elif isinstance(event, BarrierDone):
                    result.tag = event.identifier
    except BaseException as failure:
        session.lost(failure)
        raise
    if error is not None:
        raise error
    return result


def _decoder(session: Session, columns: list[NamedFieldDescription]) -> RowDecoder:
    chosen = []
    for column in columns:
        codec = session.types.by_oid(column.type_oid)
        found = codec.decode_binary if column.format else codec.decode_text
        if found is None:
            raise LocalProtocolError(f"type {codec.name} has no such format", sqlstate="0A000")
        chosen.append(found)
    return RowDecoder(chosen, tuple)


__all__ = ["Context", "Result", "barrier", "execute", "query"]
