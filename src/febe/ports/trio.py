"""A port on trio, for frontends.

The socket is used as it is, without a stream around it: what the system takes or gives at once needs no waiting.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import trio

from febe.ports.encryption import Encryptable
from febe.ports.tune import tune
from febe.protocol.errors import ConnectionLost

SMALL_READ = 1 << 14
LARGE_READ = 1 << 18
_PIECE = 1 << 20


class TrioSignal:
    """An event of trio's under the names that flows know."""

    __slots__ = ("set", "wait")

    def __init__(self) -> None:
        event = trio.Event()
        self.set = event.set
        self.wait = event.wait


class TrioPort(Encryptable):
    """One connection."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._size = SMALL_READ
        self._received: list[bytes] = []
        self._unsent = bytearray()
        self._reading = False

    def write(self, out: bytes) -> None:
        """Take bytes to send; what the system does not take at once is sent by `wait`."""
        if self._unsent:
            self._unsent += out
            return
        try:
            sent = self._socket.send(out)
        except OSError:  # full, or broken, which `wait` finds out after the peer's last words
            sent = 0
        if sent != len(out):
            self._unsent += out[sent:]

    async def wait(self) -> None:
        """Suspend until there are bytes to take; a cancellation loses none.  Errors: ConnectionLost."""
        self._reading = True
        try:
            while not self._received:
                await self._ready(reads=True)
                self._move(reads=True)
        finally:
            self._reading = False

    def take(self) -> bytes:
        """All that has arrived."""
        data = b"".join(self._received)
        self._received.clear()
        return data

    def signal(self) -> TrioSignal:
        """Something for one task to wait for."""
        return TrioSignal()

    def me(self) -> object:
        """The task that runs."""
        return trio.lowlevel.current_task()

    async def exchange(self, out: bytes) -> bytes:
        """Send all of `out` and return what arrives, at least one byte.  Errors: ConnectionLost."""
        if out:
            self.write(out)
        await self.wait()
        return self.take()

    async def flush(self, out: bytes) -> None:
        """Send all of `out`, and keep what arrives meanwhile unless another task reads.  Errors: ConnectionLost."""
        self.write(out)
        while self._unsent:
            reads = not self._reading
            await self._ready(reads=reads)
            self._move(reads=reads)

    async def aclose(self) -> None:
        """Close the connection."""
        if self.layer is not None and not self._unsent:
            with contextlib.suppress(OSError):
                self._socket.send(self.layer.farewell())
        self.abort()

    def abort(self) -> None:
        """Close the connection."""
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def extra(self, name: str) -> Any:
        """What asyncio's transports know by the same names: `socket`."""
        return {"socket": self._socket}.get(name)

    # Inside

    async def _ready(self, *, reads: bool) -> None:
        """Suspend until the system takes or gives bytes."""
        try:
            if not self._unsent:
                await trio.lowlevel.wait_readable(self._socket)
            elif not reads:
                await trio.lowlevel.wait_writable(self._socket)
            else:
                async with trio.open_nursery() as nursery:
                    for wait in (trio.lowlevel.wait_readable, trio.lowlevel.wait_writable):
                        nursery.start_soon(self._first, wait, nursery.cancel_scope)
        except (trio.ClosedResourceError, OSError, ExceptionGroup):
            raise ConnectionLost("the connection is closed") from None

    async def _first(self, wait: Any, others: trio.CancelScope) -> None:
        await wait(self._socket)
        others.cancel()

    def _move(self, *, reads: bool) -> None:
        with contextlib.suppress(BlockingIOError):
            if reads:
                self._receive()
        if self._unsent:
            with contextlib.suppress(OSError):  # one that matters is told by reading
                del self._unsent[:self._socket.send(bytes(self._unsent[:_PIECE]))]

    def _receive(self) -> None:
        try:
            data = self._socket.recv(self._size)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ConnectionLost(f"the connection is lost: {error.strerror or error}") from error
        if not data:
            raise ConnectionLost("the server has closed the connection")
        self._received.append(data)
        if len(data) == self._size:
            self._size = LARGE_READ


async def connect_tcp(host: str, port: int, options: Mapping[str, int] = MappingProxyType({})) -> TrioPort:
    """Connect by TCP to one numeric address; `options` are those of `tune`.  Errors: OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return await _connect(family, (host, port), options)


async def connect_unix(path: str) -> TrioPort:
    """Connect to a Unix socket.  Errors: OSError."""
    return await _connect(socket.AF_UNIX, path, None)


async def _connect(family: int, address: Any, options: Mapping[str, int] | None) -> TrioPort:
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        if options is not None:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tune(connected, options)
        connected.setblocking(False)
        await trio.socket.from_stdlib_socket(connected).connect(address)
    except BaseException:
        connected.close()
        raise
    return TrioPort(connected)


__all__ = ["TrioPort", "connect_tcp", "connect_unix"]
