"""The pool of the blocking face.

Generated from asynchronous_pool.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, Unpack

from febe._kernel.row import Row
from febe.client.blocking import Connection, connect
from febe.client.options import Options
from febe.client.pooling import RESET, PoolClosed, Pooling, PoolTimeout, Slot
from febe.client.run_blocking import Turn
from febe.flows.result import Result
from febe.protocol.errors import Error

Setup = Callable[[Connection[Row]], object]


class Pool(Pooling[Connection[Row]]):
    """Connections to one place, lent out one by one: `with pool.acquire() as connection`.

    Whoever waits is served in order.  A connection that was used is reset when it comes back: open transactions,
    settings, temporary tables, listeners and advisory locks are gone.  One that is broken, too old, or in the middle of
    something is replaced; one that was idle for `check_after` seconds is asked for a sign of life before it is lent.
    """

    def __init__(self, conninfo: str = "", *, min_size: int = 0, max_size: int = 10, timeout: float | None = 30.0,
                 max_lifetime: float | None = 3600.0, max_idle: float | None = 600.0,
                 check_after: float | None = 1.0, reset: str | None = RESET, setup: Setup | None = None,
                 **options: Unpack[Options]) -> None:
        super().__init__(min_size=min_size, max_size=max_size, max_lifetime=max_lifetime, max_idle=max_idle,
                         check_after=check_after, reset=reset)
        self._timeout = timeout
        self._setup = setup
        self._conninfo = conninfo
        self._options = options

    def acquire(self, *, timeout: float | None = None) -> Lease:
        """Borrow a connection for a block.

        Errors: PoolTimeout when none came free in `timeout` seconds; those of connecting.
        """
        return Lease(self, self._timeout if timeout is None else timeout)

    def fetch(self, sql: str, *args: object) -> list[Row]:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetch` and `acquire`."""
        with self.acquire() as connection:
            return connection.fetch(sql, *args)

    def fetchrow(self, sql: str, *args: object) -> Row | None:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetchrow` and `acquire`."""
        with self.acquire() as connection:
            return connection.fetchrow(sql, *args)

    def fetchval(self, sql: str, *args: object) -> Any:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetchval` and `acquire`."""
        with self.acquire() as connection:
            return connection.fetchval(sql, *args)

    def execute(self, sql: str, *args: object) -> Result:
        """Run a statement on a connection of the pool.  Errors: as `Connection.execute` and `acquire`."""
        with self.acquire() as connection:
            return connection.execute(sql, *args)

    def open(self) -> Self:
        """Make the first `min_size` connections.  Errors: those of connecting."""
        slots: list[Slot[Connection[Row]]] = []
        try:
            while len(slots) < self.min_size:
                slots.append(self._take(self._timeout))
        finally:
            for slot in slots:
                self._give_back(slot)
        return self

    def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back; nothing is lent any more."""
        for connection in self._shut():
            connection.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()

    def _take(self, timeout: float | None) -> Slot[Connection[Row]]:
        slot = self._at_once()
        if slot is None:
            slot = self._wait(timeout)
        try:
            if slot.connection is not None and not self._is_fit(slot.connection, slot):
                self._counts["replaced"] += 1
                slot.connection = None
            if slot.connection is None:
                self._born(slot, connect(self._conninfo, **self._options))
                if self._setup is not None and slot.connection is not None:
                    self._setup(slot.connection)
        except BaseException:
            if slot.connection is not None:
                slot.connection.abort()
            self._drop(slot)
            raise
        return slot

    def _wait(self, timeout: float | None) -> Slot[Connection[Row]]:
        turn = Turn()
        self._queue(turn)
        try:
            turn.wait(timeout)
        except TimeoutError:
            self._leave(turn)
            self._counts["timeouts"] += 1
            raise PoolTimeout(f"no connection of the pool came free within {timeout:g} s", retry_is_safe=True) from None
        except BaseException:
            self._leave(turn)
            raise
        if turn.slot is None:
            raise PoolClosed("the pool was closed")
        return turn.slot  # type: ignore[no-any-return]

    def _is_fit(self, connection: Connection[Row], slot: Slot[Connection[Row]]) -> bool:
        if self._is_worn(slot):
            connection.close()
            return False
        if self._wants_check(slot):
            try:
                connection.execute("")
            except Error:
                connection.close()
                return False
        return not connection.is_closed

    def _give_back(self, slot: Slot[Connection[Row]]) -> None:
        if not self._come_back(slot):
            self._drop(slot)
            if slot.connection is not None:
                with contextlib.suppress(Error):
                    slot.connection.close()


class Lease:
    """A connection for a block; `Pool.acquire` makes it."""

    __slots__ = ("_pool", "_slot", "_timeout")

    def __init__(self, pool: Pool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._slot: Slot[Connection[Row]]

    def __enter__(self) -> Connection[Row]:
        self._slot = self._pool._take(self._timeout)
        return self._pool._lent(self._slot)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._pool._give_back(self._slot)


__all__ = ["Lease", "Pool", "PoolClosed", "PoolTimeout", "Setup"]
