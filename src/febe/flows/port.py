"""What a flow asks of the outside world.

Flows are written once, as coroutines that suspend only here.  asyncio and trio await them; the blocking face drives
them with `coro.send(None)`, because a blocking port never really suspends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


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

    def me(self) -> object:
        """The task or thread that runs now."""
        ...

    async def exchange(self, out: bytes) -> bytes:
        """Write, wait and take."""
        ...

    async def flush(self, out: bytes) -> None:
        """Send all of `out` without waiting for an answer, holding back while the peer does not read."""
        ...

    async def aclose(self) -> None:
        """Close the connection; nothing is sent."""
        ...

    def abort(self) -> None:
        """Close the connection at once, for who cannot wait; what was sent and has not left is lost."""
        ...


class Port(Stream, Protocol):
    """A stream that can do what a backend needs as well."""

    async def start_tls(self, context: Any, server_hostname: str | None, unread: bytes = b"") -> None:
        """Turn the connection into a TLS one; `context` is an `ssl.SSLContext`."""
        ...

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

__all__ = ["READY", "Port", "Ready", "Signal", "Stream"]
