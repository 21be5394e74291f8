"""Two ports joined in memory, and a driver that runs the flows at both ends in turn; no thread, no event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from febe.ports.encryption import Encryptable
from febe.protocol.errors import ConnectionLost

T = TypeVar("T")

_TURNS = 1_000_000
"""More than any test's conversation has; flows that wait for each other are found out in a second."""


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let the other side go on.  An event loop takes the bare yield for the same."""
    yield


class MemorySignal:
    """Waits by letting others go on."""

    def __init__(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        """Let others go on until one of them has called `set`."""
        while not self._is_set:
            await _turn()

    def set(self) -> None:
        """Let the waiter go on."""
        self._is_set = True


class MemoryPort(Encryptable):
    """One end.  `chunk` cuts what it receives into pieces of at most so many bytes; 0 leaves it whole."""

    def __init__(self, chunk: int = 0) -> None:
        self.peer: MemoryPort = self
        self.sent = bytearray()
        """Everything that went out, for tests to look at."""
        self._chunk = chunk
        self._inbox = bytearray()
        self._is_closed = False

    def write(self, out: bytes) -> None:
        """Send `out`; a closed connection is told by `wait`."""
        if not self._is_closed:
            self.sent += out
            self.peer._inbox += out

    async def wait(self) -> None:
        """Let the other side go on until something has arrived.  Errors: ConnectionLost."""
        while not self._inbox:
            if self._is_closed or self.peer._is_closed:
                raise ConnectionLost("the peer has closed the connection")
            await _turn()

    def take(self) -> bytes:
        """What has arrived, at most `chunk` bytes."""
        size = self._chunk or len(self._inbox)
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        return data

    def signal(self) -> MemorySignal:
        """Something to wait for."""
        return MemorySignal()

    def me(self) -> object:
        """Whose end this is."""
        return self

    async def exchange(self, out: bytes) -> bytes:
        """Send `out` and return what arrives.  Errors: ConnectionLost."""
        await self.flush(out)
        await self.wait()
        return self.take()

    async def flush(self, out: bytes) -> None:
        """Send `out`.  Errors: ConnectionLost."""
        if self._is_closed:
            raise ConnectionLost("the connection is closed")
        self.write(out)

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Make the call here and now."""
        return call(*args)

    async def aclose(self) -> None:
        """Close; what was sent before is still read by the peer."""
        if self.layer is not None and not self._is_closed:
            self.peer._inbox += self.layer.farewell()
        self._is_closed = True

    def abort(self) -> None:
        """Close."""
        self._is_closed = True


def pair(chunk: int = 0) -> tuple[MemoryPort, MemoryPort]:
    """Two ports, each the other's peer."""
    left, right = MemoryPort(chunk), MemoryPort(chunk)
    left.peer, right.peer = right, left
    return left, right


def run(first: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, Any]) -> T:
    """Run flows in turn until the first one ends, then end the others; return the first one's result.

    What another flow raises is raised here.  Errors: RuntimeError when all of them wait for ever.
    """
    waiting = list(others)
    try:
        for _ in range(_TURNS):
            try:
                first.send(None)
            except StopIteration as stop:
                result: T = stop.value
                return result
            for flow in waiting[:]:
                try:
                    flow.send(None)
                except StopIteration:
                    waiting.remove(flow)
        raise RuntimeError("every flow waits for another")
    finally:
        first.close()
        for flow in waiting:
            flow.close()


__all__ = ["MemoryPort", "pair", "run"]
