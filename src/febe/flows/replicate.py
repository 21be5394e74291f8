"""Replication commands and copy-both, as a frontend (manual: "Streaming Replication Protocol").

A walsender answers simple queries only, one at a time; `ask` is one of them.  Between `start` and `finish` both sides
send CopyData when they like: `receive` takes what has come, `send` says something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse, NotificationResponse
from febe.protocol.connection import CopyDataRun, DataRowRun, Event
from febe.protocol.copy import CopyBothResponse, CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import ConnectionLost, PostgresError, RemoteProtocolError, postgres_error
from febe.protocol.message import Message
from febe.protocol.replication_commands import Command, StartReplication, UploadManifest, format_command
from febe.protocol.simple import CommandComplete, Query, RowDescription
from febe.protocol.startup import ParameterStatus, ReadyForQuery
from febe.protocol.states import State

Rows = list["list[bytes | None]"]

_ENDED = frozenset({State.IDLE})


def major_version(session: Session) -> int:
    """The server's major version, 9 for all that begin with it; a server that tells none is taken for the newest.

    A walsender of PostgreSQL 9.x and later reports server_version like any other backend.
    """
    digits = session.parameters.get("server_version", "").partition(".")[0]
    found = "".join(letter for letter in digits if letter.isdigit())
    return int(found) if found else 18


class Reply:
    """What a simple query brought: the rows of each result set, and the last command tag."""

    def __init__(self) -> None:
        self.sets: list[Rows] = []
        self.names: list[list[str]] = []
        self.tag = ""
        self.error: PostgresError | None = None

    @property
    def rows(self) -> Rows:
        """The first result set's rows."""
        return self.sets[0] if self.sets else []


async def ask(session: Session, sql: str) -> Reply:
    """Run a query string and return its rows in text; the ReadyForQuery after an error is read too.

    Errors: PostgresError, after which the session goes on; ConnectionLost, RemoteProtocolError.
    """
    reply = Reply()
    event = await _begin(session, sql, reply)
    try:
        if event is not None:
            await _refuse(session, event)
        if reply.error is not None:
            raise reply.error
        return reply
    except (ConnectionLost, RemoteProtocolError) as error:
        session.lost(error)
        raise


async def command(session: Session, what: Command) -> Reply:
    """Run a replication command that is answered with rows.  Errors: as `ask`; LocalProtocolError (0A000)."""
    return await ask(session, format_command(what, major_version(session)))


async def start(session: Session, what: StartReplication) -> Reply:
    """Begin to stream, or learn that there is nothing to stream: the session is idle again then.

    A timeline that ends where the stream was to begin is told by a row of next timeline and position.  Errors: as
    `ask`.
    """
    reply = Reply()
    event = await _begin(session, format_command(what, major_version(session)), reply)
    if event is not None and not isinstance(event, CopyBothResponse):
        await _refuse(session, event)
    if reply.error is not None:
        raise reply.error
    return reply


async def copy_out(session: Session, what: Command | str) -> Reply:
    """Begin a command that answers with copy-out, such as BASE_BACKUP; what came before is in the reply.

    Errors: as `ask`.
    """
    reply = Reply()
    text = what if isinstance(what, str) else format_command(what, major_version(session))
    event = await _begin(session, text, reply)
    if event is not None and not isinstance(event, CopyOutResponse):
        await _refuse(session, event)
    if reply.error is not None:
        raise reply.error
    return reply


async def upload_manifest(session: Session, manifest: Sequence[bytes]) -> None:
    """Send the manifest of an earlier backup, for an incremental one.  Errors: as `ask`."""
    reply = Reply()
    event = await _begin(session, format_command(UploadManifest(), major_version(session)), reply)
    if isinstance(event, CopyInResponse):
        for piece in manifest:
            await session.port.flush(session.core.send(CopyData(data=piece)))
        await finish_reply(session, reply, session.core.send(CopyDone()))
    if reply.error is not None:
        raise reply.error


async def receive(session: Session) -> list[Event]:
    """What has arrived, at least one event; the stream's end is CopyDone, and an ErrorResponse ends it too.

    Errors: ConnectionLost, RemoteProtocolError.
    """
    core = session.core
    try:
        while True:
            events = []
            while (event := core.next_event()) is not None:
                if not _aside(session, event):
                    events.append(event)
            if events:
                return events
            core.receive(await session.port.exchange(b""))
    except BaseException as error:
        session.lost(error)
        raise


async def send(session: Session, *payloads: Message) -> None:
    """Send payloads of CopyData.  Errors: ConnectionLost."""
    core = session.core
    await session.port.flush(b"".join([core.send(CopyData(data=payload.encode())) for payload in payloads]))


async def finish(session: Session) -> Reply:
    """End our half of copy-both and read the rest: the other half, then what follows up to ReadyForQuery.

    Errors: PostgresError, ConnectionLost, RemoteProtocolError.
    """
    reply = Reply()
    out = session.core.send(CopyDone()) if session.core.state in (
        State.COPY_BOTH, State.COPY_BOTH_BACKEND_DONE) else b""
    await finish_reply(session, reply, out)
    if reply.error is not None:
        raise reply.error
    return reply


async def finish_reply(session: Session, reply: Reply, out: bytes) -> None:
    """Send `out` and read up to ReadyForQuery; CopyData is dropped.  Errors: ConnectionLost, RemoteProtocolError."""
    core = session.core
    try:
        while core.state not in _ENDED:
            while (event := core.next_event()) is not None:
                note(session, reply, event)
            if core.state is State.CLOSED and reply.error is not None:
                raise reply.error
            if core.state is State.COPY_BOTH_BACKEND_DONE:
                out += core.send(CopyDone())
            if core.state not in _ENDED:
                core.receive(await session.port.exchange(out))
                out = b""
    except BaseException as error:
        session.lost(error)
        raise


# Inside

async def _begin(session: Session, text: str, reply: Reply) -> Event | None:
    """Ask, and read up to the beginning of a COPY, which is returned, or to the end."""
    core = session.core
    if core.state is not State.IDLE:
        raise session.unusable()
    out = core.send(Query(query=text))
    try:
        while True:
            core.receive(await session.port.exchange(out))
            out = b""
            while (event := core.next_event()) is not None:
                if isinstance(event, CopyBothResponse | CopyInResponse | CopyOutResponse):
                    return event
                note(session, reply, event)
            if core.state is State.IDLE:
                return None
            if core.state is State.CLOSED and reply.error is not None:
                raise reply.error
    except ConnectionLost as lost:
        session.lost(lost)
        if reply.error is not None and not isinstance(lost, PostgresError):
            raise reply.error from lost
        raise
    except BaseException as error:
        session.lost(error)
        raise


def note(session: Session, reply: Reply, event: Any) -> None:
    """Put what the server said into a reply."""
    if isinstance(event, DataRowRun):
        reply.sets[-1] += [row.values for row in event.messages()]
    elif isinstance(event, RowDescription):
        reply.sets.append([])
        reply.names.append([column.name for column in event.columns])
    elif isinstance(event, CommandComplete):
        reply.tag = event.tag
    elif isinstance(event, ErrorResponse):
        reply.error = reply.error or postgres_error(event.fields_by_code)
    elif not isinstance(event, ReadyForQuery | CopyDone | CopyDataRun | CopyOutResponse):
        _aside(session, event)


def _aside(session: Session, event: Event) -> bool:
    """Take note of what a server may say at any time."""
    if isinstance(event, NoticeResponse):
        session.notice(event)
    elif isinstance(event, ParameterStatus):
        session.parameter_status(event)
    elif isinstance(event, NotificationResponse):
        session.notification(event)
    else:
        return False
    return True


async def _refuse(session: Session, event: Event) -> None:
    """End a COPY that nobody asked for."""
    reply = Reply()
    out = session.core.send(CopyFail(reason="no COPY is wanted here")) if isinstance(event, CopyInResponse) else b""
    await finish_reply(session, reply, out)
    raise RemoteProtocolError("the server began a COPY where none was asked for", fatal=False)


__all__ = ["Reply", "Rows", "ask", "command", "copy_out", "finish", "finish_reply", "major_version", "note", "receive",
           "send", "start", "upload_manifest"]
