"""The server's side of a conversation: one message after another, each answered before the next is looked at."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from febe.flows.port import READY, Port
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.connection import Connection, Event
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.startup import Terminate

DELIVER_AT = 1 << 16
"""Bytes said and not yet sent at which they are sent although more is to be said."""


class Conversation:
    """A core and a port: what is said with one leaves by the other when the peer is waited for, or grows long."""

    __slots__ = ("core", "port", "say", "say_run", "take")

    def __init__(self, core: Connection, port: Port) -> None:
        self.core = core
        self.port = port
        self.say = core.say
        """Answer with these messages.  Errors: LocalProtocolError."""
        self.say_run = core.say_run
        """Answer with messages that were encoded before.  Errors: LocalProtocolError."""
        self.take = core.take
        """Hand out what has been said and not sent, for who sends it by other ways."""

    @property
    def waiting(self) -> int:
        """How many bytes have been said and not sent."""
        return self.core.waiting

    async def deliver(self) -> None:
        """Send what has been said, holding back while the peer does not read.  Errors: ConnectionLost."""
        await self.port.flush(self.take())

    async def next_event(self) -> Event:
        """What the peer says next.  Errors: ConnectionLost, RemoteProtocolError."""
        while True:
            event = self.core.next_event()
            if event is not None:
                return event
            await self.hear()

    async def hear(self) -> None:
        """Send what has been said, and wait for what the peer says to it.  Errors: ConnectionLost."""
        port = self.port
        if self.core.waiting:
            sending = port.flush(self.take())
            if sending is not READY:
                await sending
        arriving = port.wait()
        if arriving is not READY:
            await arriving
        self.core.receive(port.take())


class Handler(Protocol):
    """Answers messages: `handle` each in turn, `refuse` one that was well framed and made no sense.

    `handle` gives READY where there is nothing to wait for.
    """

    def handle(self, message: Event) -> Awaitable[None]: ...

    async def refuse(self, error: RemoteProtocolError) -> None: ...


async def serve(conversation: Conversation, handler: Handler) -> None:
    """Answer until the frontend says good-bye.

    Errors: ConnectionLost; RemoteProtocolError after which the connection cannot go on.
    """
    core = conversation.core
    while True:
        try:
            event = core.next_event()
        except RemoteProtocolError as error:
            if error.fatal:
                raise
            await handler.refuse(error)
            continue
        if event is None:
            await conversation.hear()
            continue
        if isinstance(event, Terminate):
            return
        answering = handler.handle(event)
        if answering is not READY:
            await answering
        if core.waiting >= DELIVER_AT:
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
