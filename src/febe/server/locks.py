"""Advisory locks, within one server (manual: "Advisory Locks")."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from febe.server.engine import EngineError

Key = tuple[int, ...]
"""One int8 or two int4: two spaces that do not meet."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Lock:
    """One row of pg_locks."""

    key: Key
    process_id: int
    shared: bool
    granted: bool


class Locks:
    """All locks that are held.  Those of a session are counted; a lock of the transaction ends with it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[Key, dict[LockOwner, list[int]]] = {}
        self._wanted: dict[LockOwner, tuple[Key, bool]] = {}

    def acquire(self, owner: LockOwner, key: Key, *, shared: bool, wait: bool, cancelled: Callable[[], bool]) -> bool:
        """Take a lock; without `wait`, False when another has it.

        `cancelled` is asked whenever `wake` was called.  Errors: EngineError (40P01, 57014).
        """
        with self._changed:
            while self._blockers(owner, key, shared):
                if not wait:
                    return False
                self._wanted[owner] = key, shared
                try:
                    if self._reaches(owner, owner, set()):
                        raise EngineError("deadlock detected", sqlstate="40P01")
                    self._changed.wait()
                finally:
                    del self._wanted[owner]
                if cancelled():
                    raise EngineError("canceling statement due to user request", sqlstate="57014")
            self._held.setdefault(key, {}).setdefault(owner, [0, 0])[shared] += 1
            return True

    def release(self, owner: LockOwner, key: Key, *, shared: bool) -> bool:
        """Give a lock back once; False when it was not held."""
        with self._changed:
            counts = self._held.get(key, {}).get(owner)
            if counts is None or not counts[shared]:
                return False
            counts[shared] -= 1
            if not any(counts):
                del self._held[key][owner]
                if not self._held[key]:
                    del self._held[key]
            self._changed.notify_all()
            return True

    def all(self) -> list[Lock]:
        """Those that are held, and those that somebody waits for."""
        with self._changed:
            held = [(key, owner, shared, True) for key, owners in self._held.items()
                    for owner, counts in owners.items() for shared in (False, True) if counts[shared]]
            wanted = [(key, owner, shared, False) for owner, (key, shared) in self._wanted.items()]
        return [Lock(key=key, process_id=owner.process_id, shared=shared, granted=granted)
                for key, owner, shared, granted in (*held, *wanted)]

    def wake(self) -> None:
        """Have who waits look whether it was cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _blockers(self, owner: LockOwner, key: Key, shared: bool) -> list[LockOwner]:
        return [other for other, (exclusive, _) in self._held.get(key, {}).items()
                if other is not owner and (exclusive or not shared)]

    def _reaches(self, start: LockOwner, goal: LockOwner, seen: set[LockOwner]) -> bool:
        """Whether who blocks `start` waits, if through others, for `goal`."""
        wanted = self._wanted.get(start)
        if wanted is None:
            return False
        for other in self._blockers(start, *wanted):
            if other is goal:
                return True
            if other not in seen:
                seen.add(other)
                if self._reaches(other, goal, seen):
                    return True
        return False


class LockOwner:
    """The locks of one session: each entry is a key, whether it is shared, and whether it ends with the transaction."""

    def __init__(self, shared: Locks, session: Callable[[], int] = lambda: 0) -> None:
        self._locks = shared
        self._session = session
        self._taken: list[tuple[Key, bool, bool]] = []

    @property
    def process_id(self) -> int:
        """The session's."""
        return self._session()

    def acquire(self, key: Key, *, shared: bool, transaction: bool, wait: bool, cancelled: Callable[[], bool]) -> bool:
        """Take a lock; see `Locks.acquire`."""
        got = self._locks.acquire(self, key, shared=shared, wait=wait, cancelled=cancelled)
        if got:
            self._taken.append((key, shared, transaction))
        return got

    def release(self, key: Key, *, shared: bool) -> bool:
        """Give a lock of the session back; False when it has none."""
        if (key, shared, False) not in self._taken:
            return False
        self._taken.remove((key, shared, False))
        return self._locks.release(self, key, shared=shared)

    def release_all(self) -> None:
        """pg_advisory_unlock_all: every lock of the session; those of the transaction stay."""
        self._drop(transaction=False)

    def transaction_ended(self) -> None:
        """Those of the transaction end with it."""
        if self._taken:
            self._drop(transaction=True)

    def wake(self) -> None:
        """A wait may have been cancelled."""
        self._locks.wake()

    def close(self) -> None:
        """The session is over."""
        self._drop(transaction=False)
        self._drop(transaction=True)

    def _drop(self, *, transaction: bool) -> None:
        for key, shared, ends in list(self._taken):
            if ends is transaction:
                self._taken.remove((key, shared, ends))
                self._locks.release(self, key, shared=shared)
