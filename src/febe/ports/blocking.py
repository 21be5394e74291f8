"""A port on a blocking socket.

A request that fits the socket's buffer is one `send` and one `recv`: the socket stays in blocking mode, and no poll
comes before either.  Nothing here ever suspends, so that `coroutine.send(None)` runs a whole flow.

Threads share a connection as tasks do: a flow holds `lock` except where a task would be suspended.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Mapping
from threading import Lock, get_ident
from types import MappingProxyType
from typing import Any

from febe.ports.encryption import Encryptable
from febe.ports.tune import tune
from febe.protocol.errors import ConnectionLost, ConnectTimeout

# Most answers are small, and so is what is set aside for one.  One that fills it has more behind it.
SMALL_READ = 1 << 14
LARGE_READ = 1 << 18
_PIECE = 1 << 20
"""The most that is offered to the system at once while reading goes on beside."""

# Windows has no such flag; there the socket itself never waits, and every answer is waited for with a poll.
_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)


class Expired(TimeoutError):
    """The time that a thread had for a block of statements has passed."""


class Limit:
    """A time limit that one thread has set itself; it is told once that it has passed."""

    __slots__ = ("at", "passed")

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        self.passed = False


class BlockingSignal:
    """What one thread waits for; it lets go of the connection meanwhile."""

    __slots__ = ("_port", "_set")

    def __init__(self, port: BlockingPort) -> None:
        self._port = port
        self._set = Lock()
        self._set.acquire()

    async def wait(self) -> None:
        """Wait until it is set."""
        limit = self._port.limit()
        self._port.lock.release()
        try:
            come = self._set.acquire(timeout=-1 if limit is None else max(0.0, limit.at - time.monotonic()))
        finally:
            self._port._lock_again()
        if not come and limit is not None:
            raise self._port.expired(limit)

    def set(self) -> None:
        """Let the waiter go on."""
        if self._set.locked():
            self._set.release()


class BlockingPort(Encryptable):
    """One connection of a program that may wait."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(None if _DONT_WAIT else 0)
        self.lock = Lock()
        self.held_by: int | None = None
        self._reading = Lock()
        self._socket = connected
        self._send = connected.send
        self._recv = connected.recv
        self._size = (SMALL_READ,)
        self._received: list[bytes] = []
        self._unsent = bytearray()
        self._deadline: float | None = None
        self.limits: dict[int, list[Limit]] = {}
        """Those of each thread that has any, the innermost last."""

    def write(self, out: bytes) -> None:
        """Take bytes to send; what the system does not take at once is sent by `wait`."""
        if self._unsent:
            self._unsent += out
            return
        try:
            sent = self._send(out, _DONT_WAIT)
        except OSError:  # full, or broken, which `wait` finds out after the peer's last words
            sent = 0
        if sent != len(out):
            self._unsent += out[sent:]

    async def wait(self) -> None:
        """Return when there are bytes to take; Ctrl-C loses none.  Errors: ConnectionLost."""
        received = self._received
        if received:
            return
        self.lock.release()
        try:
            with self._reading:
                if received:  # by who sent much meanwhile
                    return
                if self._unsent or self._deadline is not None or self.limits or not _DONT_WAIT:
                    self._move(True, until_read=True)
                else:
                    # In one step as far as signals are concerned: what a handler raises comes when the bytes are in
                    # the list.
                    received.extend(map(self._recv, self._size))
        except Expired:
            raise
        except OSError as error:
            self._last_words(error)
        finally:
            self._lock_again()
        if len(received[-1]) == self._size[0]:
            self._size = (LARGE_READ,)
        elif not received[-1]:
            received.pop()
            if not received:
                raise _closed()

    def take(self) -> bytes:
        """All that has arrived."""
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        return data

    def signal(self) -> BlockingSignal:
        """Something for one thread to wait for."""
        return BlockingSignal(self)

    def me(self) -> object:
        """The thread that runs."""
        return get_ident()

    async def exchange(self, out: bytes) -> bytes:
        """Send all of `out` and return what arrives, at least one byte.  Errors: ConnectionLost."""
        if out:
            self.write(out)
        await self.wait()
        return self.take()

    async def flush(self, out: bytes) -> None:
        """Send all of `out`, and keep what arrives meanwhile unless another thread reads.  Errors: ConnectionLost."""
        self.write(out)
        if not self._unsent:
            return
        self.lock.release()
        reads = self._reading.acquire(blocking=False)
        try:
            self._move(reads, until_read=False)
        except Expired:
            raise
        except OSError as error:
            raise _lost(error) from error
        finally:
            if reads:
                self._reading.release()
            self._lock_again()

    async def aclose(self) -> None:
        """Close the connection."""
        if self.layer is not None and not self._unsent:
            with contextlib.suppress(OSError):
                self._send(self.layer.farewell(), _DONT_WAIT)
        self.abort()

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

    def _move(self, reads: bool, *, until_read: bool) -> None:
        """Send what is left, and read beside it, because the peer may do the same; then, if asked, until bytes came."""
        unsent, received = self._unsent, self._received
        limit = self.limit()
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_WRITE)
            while unsent or (until_read and not received):
                wanted = (selectors.EVENT_WRITE if unsent else 0) | (selectors.EVENT_READ if reads else 0)
                selector.modify(self._socket, wanted)
                found = selector.select(self._seconds_left(limit))
                if not found and limit is not None and time.monotonic() >= limit.at:
                    raise self.expired(limit)
                if not found:
                    raise ConnectTimeout("nothing was agreed within the time allowed", retry_is_safe=True)
                ready = found[0][1]
                with contextlib.suppress(BlockingIOError):
                    if ready & selectors.EVENT_READ:
                        received.extend(map(self._recv, (LARGE_READ,), (_DONT_WAIT,)))
                        if not received[-1]:
                            return
                    if ready & selectors.EVENT_WRITE and unsent:
                        # A copy, for another thread may add to it meanwhile
                        del unsent[:self._send(bytes(unsent[:_PIECE]), _DONT_WAIT)]

    def _lock_again(self) -> None:
        try:
            self.lock.acquire()
        except BaseException:  # Ctrl-C while another thread had it: who let it go must have it to go on
            self.lock.acquire()
            raise
        finally:
            self.held_by = get_ident()

    def limit(self) -> Limit | None:
        """The limit of this thread's that passes first, of those it has not been told of."""
        limits = self.limits and self.limits.get(get_ident())
        return min((one for one in limits if not one.passed), key=_when, default=None) if limits else None

    def expired(self, limit: Limit) -> Expired:
        """What tells this thread that it has passed, and those with it."""
        for one in self.limits[get_ident()]:
            one.passed = one.passed or one.at <= limit.at
        return Expired("not done in the time allowed")

    def _seconds_left(self, limit: Limit | None) -> float | None:
        ends = [end for end in (self._deadline, None if limit is None else limit.at) if end is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _last_words(self, error: OSError) -> None:
        """Take what the peer said before it went away, which may be why; else raise ConnectionLost."""
        if self._received:
            return
        with contextlib.suppress(OSError):
            data = self._recv(SMALL_READ, _DONT_WAIT)
            if data:
                self._received.append(data)
                return
        raise _lost(error) from error


def _when(limit: Limit) -> float:
    return limit.at


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


__all__ = ["BlockingPort", "Limit", "connect_tcp", "connect_unix"]
