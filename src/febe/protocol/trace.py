"""A conversation as lines of text, in the form of libpq's PQtrace (manual: "Control Functions" of libpq; fe-trace.c).

    core = Connection(Sender.FRONTEND, trace=Tracer(sys.stderr))

prints a line for every message that goes either way: sender, length word, name, fields, with tabs between.

    F	13	Query	 "select 1"
    B	33	RowDescription	 1 "?column?" 0 0 23 4 -1 0

The lines agree with those of libpq 18, with these exceptions: AuthenticationOk is shown and so is the salt of
AuthenticationMD5Password, both of which libpq passes over; secrets are not shown unless asked for; a message that
cannot be read is shown as bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.fields import Hide, trace_bytes
from febe.protocol.message import Framing, Message, Sender
from febe.protocol.startup import GSSENCAccepted, GSSENCRequest, SSLAccepted

if TYPE_CHECKING:
    from datetime import datetime


_HEADER = {Framing.TYPED: 5, Framing.STARTUP: 4, Framing.PAYLOAD: 1}


class Output(Protocol):
    """Where lines go: any text stream."""

    def write(self, text: str, /) -> object: ...


class Tracer:
    """Writes a line for each message; a `Connection` or `Observer` calls it.

    `hide` says what is left out: secrets, unless told otherwise.  `clock`, such as `datetime.now`, puts the time in
    front.  Text that is no UTF-8 is written as lone surrogates: open the output with errors="surrogateescape" to get
    the bytes that were sent.
    """

    def __init__(self, output: Output, *, hide: Hide = Hide.SECRETS,
                 clock: Callable[[], datetime] | None = None) -> None:
        self._output = output
        self._hide = hide
        self._clock = clock
        self._asked = "SSL"

    def __call__(self, sender: Sender, cls: type[Message], data: bytes) -> None:
        """Write the line of one message; `data` is all of it, header included."""
        when = self._clock().strftime("%Y-%m-%d %H:%M:%S.%f\t") if self._clock else ""
        self._output.write(f"{when}{sender.value}\t{self._line(sender, cls, data)}\n")

    def _line(self, sender: Sender, cls: type[Message], data: bytes) -> str:
        if cls.framing is Framing.BYTE:
            asked = {SSLAccepted: "SSL", GSSENCAccepted: "GSSENC"}.get(cls, self._asked)
            return f"1\t{asked}Response\t {cls.type}"
        if cls.framing is Framing.STARTUP:
            self._asked = "GSSENC" if cls is GSSENCRequest else "SSL"
        header = _HEADER[cls.framing] + (0 if cls.code is None else 4)
        length = str(len(data) - (cls.framing is Framing.TYPED))
        if Hide.VOLATILE in self._hide and cls in (ErrorResponse, NoticeResponse) and sender is Sender.BACKEND:
            length = "NN"  # it varies with the line numbers of the server's source
        try:
            fields = cls.decode(data, header, len(data)).trace(self._hide)
        except RemoteProtocolError as error:
            shown = " ****" if Hide.SECRETS in self._hide and cls.has_secrets() else f" '{trace_bytes(data[header:])}'"
            fields = f"{shown} ({error})"
        return f"{length}\t{cls.__name__}" + (f"\t{fields}" if fields else "")


__all__ = ["Hide", "Output", "Tracer"]
