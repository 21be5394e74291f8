"""The server's side of a conversation: one message after another, each answered before the next is looked at."""

from __future__ import annotations

from typing import Protocol

from febe.flows.port import Port
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.connection import Connection, Event
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.message import Message
from febe.protocol.startup import Terminate

DELIVER_AT = 1 << 16
"""Bytes said and not yet sent at which they are sent although more is to be said."""


class Conversation:
    """A core, a port, and what has been said but not sent: it leaves when the peer is waited for, or grows long."""

    __slots__ = ("_said", "core", "port", "waiting")

    def __init__(self, core: Connection, port: Port) -> None:
        self.core = core
        self.port = port
        self._said: list[bytes | bytearray] = []
        self.waiting = 0
        """How many bytes have been said and not sent."""

    def say(self, *messages: Message) -> None:
        """Answer.  Errors: LocalProtocolError."""
        for message in messages:
            data = self.core.send(message)
            self._said.append(data)
            self.waiting += len(data)

    def say_run(self, cls: type[Message], data: bytes | bytearray) -> None:
        """Answer with messages that were encoded before.  Errors: LocalProtocolError."""
        self.core.send_run(cls, data)
        self._said.append(data)
        self.waiting += len(data)

    async def deliver(self) -> None:
        """Send what has been said, holding back while the peer does not read.  Errors: ConnectionLost."""
        await self.port.flush(self.take())

    async def next_event(self) -> Event:
        """What the peer says next.  Errors: ConnectionLost, RemoteProtocolError."""
        core = self.core
        while True:
            event = core.next_event()
            if event is not None:
                return event
            if self.waiting:
                await self.port.flush(self.take())
            core.receive(await self.port.exchange(b""))

    def take(self) -> bytes:
        """Hand out what has been said and not sent, for who sends it by other ways."""
        data = b"".join(self._said)
        self._said.clear()
        self.waiting = 0
        return data


class Handler(Protocol):
    """Answers messages: `handle` each in turn, `refuse` one that was well framed and made no sense."""

    async def handle(self, message: Event) -> None: ...

    async def refuse(self, error: RemoteProtocolError) -> None: ...


async def serve(conversation: Conversation, handler: Handler) -> None:
    """Answer until the frontend says good-bye.

    Errors: ConnectionLost; RemoteProtocolError after which the connection cannot go on.
    """
    while True:
        try:
            event = await conversation.next_event()
        except RemoteProtocolError as error:
            if error.fatal:
                raise
            await handler.refuse(error)
            continue
        if isinstance(event, Terminate):
            return
        await handler.handle(event)
        if conversation.waiting >= DELIVER_AT:
            await conversation.deliver()


def error_response(text: str, *, sqlstate: str, severity: str = "ERROR", detail: str | None = None,
                   hint: str | None = None, position: int | None = None, where: str | None = None,
                   routine: str | None = None) -> ErrorResponse:
    """An ErrorResponse with the fields given (manual: "Error and Notice Message Fields")."""
    return ErrorResponse(fields_by_code=_fields(text, sqlstate, severity, D=detail, H=hint, P=position, W=where,
                                                R=routine))


def notice_response(text: str, *, sqlstate: str = "00000", severity: str = "NOTICE",
                    where: str | None = None) -> NoticeResponse:
    """A NoticeResponse."""
    return NoticeResponse(fields_by_code=_fields(text, sqlstate, severity, W=where))


def _fields(text: str, sqlstate: str, severity: str, **others: object) -> dict[str, str]:
    # NUL would end the field: what an engine quotes may hold one
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text.replace("\0", "\\0")}
    for code, value in others.items():
        if value is not None:
            fields[code] = str(value).replace("\0", "\\0")
    return fields
