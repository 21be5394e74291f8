"""What a flow asks of the outside world.

Flows are written once, as coroutines that suspend only here.  asyncio and trio await them; the blocking face drives
them with `coro.send(None)`, because a blocking port never really suspends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Stream(Protocol):
    """Moves bytes to and from one peer; all that a frontend needs.  Deadlines belong to the port."""

    async def exchange(self, out: bytes) -> bytes:
        """Send all of `out` while reading what arrives, so that two full buffers never dead-lock; then wait for bytes.

        Returns at least one byte.  Errors: ConnectionLost when the peer is gone.
        """
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
