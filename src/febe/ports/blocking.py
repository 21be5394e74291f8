"""A port on a blocking socket.

A request that fits the socket's buffer is one `send` and one `recv`: the socket stays in blocking mode, and no poll
comes before either.  `exchange` never suspends, so that `coroutine.send(None)` runs a whole flow.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from febe.ports.tune import tune
from febe.protocol.errors import ConnectionLost, ConnectTimeout

# Most answers are small, and so is what is set aside for one.  One that fills it has more behind it.
SMALL_READ = 1 << 14
LARGE_READ = 1 << 18
_PIECE = 1 << 20
"""The most that is offered to the system at once while reading goes on beside."""

# Windows has no such flag; there everything goes the way of what does not fit, which is slower and as right.
_DONT_WAIT: int | None = getattr(socket, "MSG_DONTWAIT", None)


class BlockingPort:
    """One connection of a program that may wait."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(None)
        self._socket = connected
        self._send = connected.send
        self._recv = connected.recv
        self._size = SMALL_READ
        self._deadline: float | None = None

    async def exchange(self, out: bytes) -> bytes:
        """Send all of `out` and return what arrives, at least one byte.  Errors: ConnectionLost."""
        if self._deadline is not None:
            return self._exchange_timed(out)
        try:
            if out:
                if _DONT_WAIT is None:
                    return self._exchange_large(out)
                sent = self._send(out, _DONT_WAIT)
                if sent != len(out):
                    return self._exchange_large(out[sent:])
            size = self._size
            data = self._recv(size)
        except BlockingIOError:
            return self._exchange_large(out)
        except OSError as error:
            return self._last_words(error)
        if len(data) == size:
            self._size = LARGE_READ
        elif not data:
            raise _closed()
        return data

    async def flush(self, out: bytes) -> None:
        """Send all of `out`.  Errors: ConnectionLost."""
        try:
            self._socket.sendall(out)
        except OSError as error:
            raise _lost(error) from error

    async def aclose(self) -> None:
        """Close the connection."""
        self._socket.close()

    def abort(self) -> None:
        """Close the connection."""
        # Another thread may be waiting in recv: shutdown wakes it, close alone would not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def set_deadline(self, seconds: float | None) -> None:
        """Raise ConnectTimeout from `exchange` when `seconds` have passed; None: no deadline any more."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def extra(self, name: str) -> Any:
        """What asyncio's transports know by the same names: `socket`."""
        return {"socket": self._socket}.get(name)

    def _exchange_large(self, out: bytes) -> bytes:
        """Send what does not fit the system's buffer, and read meanwhile: the peer may do the same."""
        received: list[bytes] = []
        left = memoryview(out)
        self._socket.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
                while left:
                    ((_, ready),) = selector.select()
                    if ready & selectors.EVENT_READ:
                        received.append(self._recv(LARGE_READ))
                        if not received[-1]:
                            raise _closed()
                    if ready & selectors.EVENT_WRITE:
                        with contextlib.suppress(BlockingIOError):
                            left = left[self._send(left[:_PIECE]):]
        except OSError as error:
            return b"".join(received) or self._last_words(error)
        finally:
            self._socket.setblocking(True)
        try:
            return b"".join(received) or self._recv(self._size) or self._last_words(None)
        except OSError as error:
            return self._last_words(error)

    def _exchange_timed(self, out: bytes) -> bytes:
        try:
            self._socket.settimeout(self._seconds_left())
            self._socket.sendall(out)
            self._socket.settimeout(self._seconds_left())
            data = self._recv(SMALL_READ)
        except TimeoutError:
            raise ConnectTimeout("nothing was agreed within the time allowed", retry_is_safe=True) from None
        except OSError as error:
            return self._last_words(error)
        finally:
            self._socket.settimeout(None)
        return data or self._last_words(None)

    def _seconds_left(self) -> float:
        assert self._deadline is not None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _last_words(self, error: OSError | None) -> bytes:
        """What the peer said before it went away, which may be why; else ConnectionLost."""
        if error is not None:
            with contextlib.suppress(OSError):
                data = self._recv(SMALL_READ)
                if data:
                    return data
            raise _lost(error) from error
        raise _closed()


def _lost(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection is lost: {error.strerror or error}")


def _closed() -> ConnectionLost:
    return ConnectionLost("the server has closed the connection")


def connect_tcp(host: str, port: int, seconds: float | None = None,
                options: Mapping[str, int] = MappingProxyType({})) -> BlockingPort:
    """Connect by TCP to the first address of `host` that answers; `options` are those of `tune`.  Errors: OSError."""
    connected = socket.create_connection((host, port), seconds)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tune(connected, options)
    except BaseException:
        connected.close()
        raise
    return BlockingPort(connected)


def connect_unix(path: str, seconds: float | None = None) -> BlockingPort:
    """Connect to a Unix socket.  Errors: OSError."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(seconds)
        connected.connect(path)
    except BaseException:
        connected.close()
        raise
    return BlockingPort(connected)


__all__ = ["BlockingPort", "connect_tcp", "connect_unix"]
