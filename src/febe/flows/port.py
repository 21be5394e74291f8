"""What a flow asks of the outside world.

Flows are written once, as coroutines that suspend only here.  asyncio and trio await them; the blocking face drives
them with `coro.send(None)`, because a blocking port never really suspends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, frozen=True)
class Certificate:
    """Who a peer's verified certificate is for: its subject in the form of RFC 2253, and the first common name."""

    subject: str
    common_name: str | None


class Layer(Protocol):
    """Encryption between a port and its flows, without I/O: `febe.ports` has TLS and GSSAPI."""

    @property
    def kind(self) -> str:
        """`SSL` or `GSS`."""
        ...

    @property
    def certificate(self) -> Certificate | None:
        """The peer's verified certificate."""
        ...

    @property
    def principal(self) -> str | None:
        """The peer's Kerberos name."""
        ...

    def channel_binding(self) -> bytes | None:
        """What RFC 5929 calls tls-server-end-point; None where this channel has none.

        Errors: EncryptionError for a certificate that has none, saying why.
        """
        ...

    def handshake(self, data: bytes) -> tuple[bytes, bool]:
        """Take what the peer sent, nothing to begin with; return what to send, and whether all is agreed.

        Errors: EncryptionError.
        """
        ...

    def encrypt(self, data: bytes) -> bytes:
        """What to send for `data`, and before it whatever the layer itself has to say."""
        ...

    def decrypt(self, data: bytes) -> bytes:
        """What the peer said, as far as it can be read by now.  Errors: EncryptionError, ConnectionLost at its end."""
        ...

    def farewell(self) -> bytes:
        """What to send last."""
        ...


class Tokens(Protocol):
    """An exchange of GSSAPI tokens, without I/O."""

    @property
    def is_complete(self) -> bool:
        """Both sides are proven."""
        ...

    @property
    def principal(self) -> str | None:
        """Who the client is, for the server."""
        ...

    def step(self, token: bytes | None) -> bytes | None:
        """The answer to a token; None to begin with.  Errors: EncryptionError."""
        ...


class Signal(Protocol):
    """What one flow waits for until another one says so."""

    def wait(self) -> Awaitable[None]:
        """Suspend until `set` is called, or was."""
        ...

    def set(self) -> None:
        """Let the waiter go on; more than once does no harm."""
        ...


class Stream(Protocol):
    """Moves bytes to and from one peer; all that a frontend needs.  Deadlines belong to the port.

    Many flows may use it at once: all may write, one of them waits for bytes.
    """

    def write(self, out: bytes) -> None:
        """Take bytes to send, after those taken before; never waits.

        What the system does not take at once is sent by `wait`, beside reading, so that two full buffers never
        dead-lock.  A peer that is gone is told by `wait`.
        """
        ...

    def wait(self) -> Awaitable[None]:
        """Suspend until there are bytes to take; an interruption loses none.

        Errors: ConnectionLost when the peer is gone.
        """
        ...

    def take(self) -> bytes:
        """All that has arrived; after `wait` at least one byte."""
        ...

    def signal(self) -> Signal:
        """Something for one flow of this connection to wait for."""
        ...

    def later(self, call: Callable[..., object], *args: Any) -> None:
        """Make a call when the task that runs now has gone as far as it can; at once, where that cannot be told."""
        ...

    def me(self) -> object:
        """The task or thread that runs now."""
        ...

    @property
    def layer(self) -> Layer | None:
        """The encryption in use; None in clear."""
        ...

    async def encrypt(self, layer: Layer, unread: bytes = b"") -> None:
        """Shake hands, and from then on send and receive through `layer`; `unread` are handshake bytes read before.

        Errors: EncryptionError, ConnectionLost.
        """
        ...

    async def exchange(self, out: bytes) -> bytes:
        """Write, wait and take."""
        ...

    def flush(self, out: bytes) -> Awaitable[None]:
        """Send all of `out` without waiting for an answer, holding back while the peer does not read.

        READY where there is nothing to wait for.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; nothing is sent."""
        ...

    def abort(self) -> None:
        """Close the connection at once, for who cannot wait; what was sent and has not left is lost."""
        ...


class Port(Stream, Protocol):
    """A stream that can do what a backend needs as well."""

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Make a call that may block, without holding up other connections; ConnectionLost if the peer goes away."""
        ...


class Ready:
    """An awaitable of what is there already."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield  # never reached: it makes this a generator


READY = Ready()

__all__ = ["READY", "Certificate", "Layer", "Port", "Ready", "Signal", "Stream", "Tokens"]
