"""What the pools of all faces share: who has which connection, who waits, and what becomes of one that comes back."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from febe.client.base import BaseConnection
from febe.flows.reset import RESET, is_at_rest, reset
from febe.protocol.errors import ConnectionLost, Error
from febe.protocol.families import InterfaceError

C = TypeVar("C", bound=BaseConnection)


class PoolTimeout(ConnectionLost):
    """No connection of the pool came free in time; nothing was asked."""


class PoolClosed(InterfaceError):
    """The pool lends no connections any more."""


class Slot(Generic[C]):
    """A place for one connection; it has none until it is first lent."""

    __slots__ = ("asked", "born", "connection", "used")

    def __init__(self) -> None:
        self.connection: C | None = None
        self.born = 0.0
        self.used = 0.0
        self.asked = 0


class Turn(Protocol):
    """One who waits for a slot."""

    slot: Any

    def set(self) -> None:
        """Let it go on."""
        ...


class Pooling(Generic[C]):
    """The books of a pool; nothing here waits."""

    def __init__(self, *, min_size: int, max_size: int, max_lifetime: float | None, max_idle: float | None,
                 check_after: float | None, reset: str | None) -> None:
        if not 0 <= min_size <= max_size or max_size < 1:
            raise ValueError("a pool needs 0 <= min_size <= max_size and room for one connection")
        self.min_size = min_size
        self.max_size = max_size
        self._max_lifetime = max_lifetime
        self._max_idle = max_idle
        self._check_after = check_after
        self._reset = reset
        self._lock = Lock()
        self._idle: list[Slot[C]] = []
        self._turns: deque[Turn] = deque()
        self._size = 0
        self._closed = False
        self._counts = dict.fromkeys(("lent", "waited", "timeouts", "connected", "replaced", "reset"), 0)

    @property
    def is_closed(self) -> bool:
        """The pool was closed."""
        return self._closed

    def metrics(self) -> dict[str, int]:
        """What there is now - size, idle, waiting - and what was counted since the beginning."""
        return {"size": self._size, "idle": len(self._idle), "waiting": len(self._turns), **self._counts}

    # Lending

    def _at_once(self) -> Slot[C] | None:
        """A slot, when one is free and nobody waits."""
        with self._lock:
            if self._closed:
                raise PoolClosed("the pool is closed")
            if self._turns:
                return None
            return self._free()

    def _free(self) -> Slot[C] | None:
        if self._idle:  # the one used last: the others may grow old and be closed
            return self._idle.pop()
        if self._size < self.max_size:
            self._size += 1
            return Slot()
        return None

    def _queue(self, turn: Turn) -> None:
        """Wait in order; a slot that has come free meanwhile is had at once."""
        with self._lock:
            if self._closed:
                raise PoolClosed("the pool is closed")
            self._counts["waited"] += 1
            self._turns.append(turn)
            self._serve()

    def _serve(self) -> None:
        while self._turns and (slot := self._free()) is not None:
            turn = self._turns.popleft()
            turn.slot = slot
            turn.set()

    def _leave(self, turn: Turn) -> None:
        """Wait no more; a slot that was given already goes to the next one."""
        with self._lock:
            if turn.slot is not None:
                self._idle.append(turn.slot) if turn.slot.connection is not None else self._lose()
            else:
                self._turns.remove(turn)
            self._serve()

    def _lose(self) -> None:
        self._size -= 1

    def _drop(self, slot: Slot[C]) -> None:
        """A slot is no more; who waits gets a new one."""
        with self._lock:
            self._size -= 1
            self._serve()

    # What becomes of a connection

    def _is_worn(self, slot: Slot[C]) -> bool:
        """It is broken, or has lived or idled too long."""
        assert slot.connection is not None
        now = time.monotonic()
        return (slot.connection.is_closed
                or (self._max_lifetime is not None and now - slot.born > self._max_lifetime)
                or (self._max_idle is not None and now - slot.used > self._max_idle))

    def _wants_check(self, slot: Slot[C]) -> bool:
        return self._check_after is not None and time.monotonic() - slot.used > self._check_after

    def _born(self, slot: Slot[C], connection: C) -> None:
        slot.connection = connection
        slot.born = slot.used = time.monotonic()
        self._counts["connected"] += 1

    def _lent(self, slot: Slot[C]) -> C:
        assert slot.connection is not None
        slot.asked = slot.connection._session.asked
        self._counts["lent"] += 1
        return slot.connection

    def _come_back(self, slot: Slot[C]) -> bool:
        """Take a connection back, reset; False when it is of no more use."""
        connection = slot.connection
        assert connection is not None
        session = connection._session
        if self._closed or not is_at_rest(session):
            return False
        if self._reset is not None and session.asked != slot.asked:
            try:
                reset(session, self._reset)
            except Error:
                return False
            self._counts["reset"] += 1
        slot.used = time.monotonic()
        with self._lock:
            self._idle.append(slot)
            if self._turns:
                self._serve()
        return True

    def _shut(self) -> list[C]:
        """Lend nothing any more; give what is idle, to be closed."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._size -= len(idle)
            turns, self._turns = self._turns, deque()
        for turn in turns:
            turn.set()
        return [slot.connection for slot in idle if slot.connection is not None]


__all__ = ["RESET", "PoolClosed", "PoolTimeout", "Pooling", "Slot", "Turn"]
