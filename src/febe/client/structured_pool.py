"""The pool of the face for trio.

Generated from asynchronous_pool.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, Unpack

from febe._kernel.row import Row
from febe.client.options import Options
from febe.client.pooling import RESET, PoolClosed, Pooling, PoolTimeout, Slot
from febe.client.run_trio import Turn
from febe.client.structured import Connection, connect
from febe.flows.result import Result
from febe.protocol.errors import Error

Setup = Callable[[Connection[Row]], Awaitable[object]]


class Pool(Pooling[Connection[Row]]):
    """Connections to one place, lent out one by one: `async with pool.acquire() as connection`.

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

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetch` and `acquire`."""
        async with self.acquire() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetchrow` and `acquire`."""
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """Run a statement on a connection of the pool.  Errors: as `Connection.fetchval` and `acquire`."""
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> Result:
        """Run a statement on a connection of the pool.  Errors: as `Connection.execute` and `acquire`."""
        async with self.acquire() as connection:
            return await connection.execute(sql, *args)

    async def open(self) -> Self:
        """Make the first `min_size` connections.  Errors: those of connecting."""
        slots: list[Slot[Connection[Row]]] = []
        try:
            while len(slots) < self.min_size:
                slots.append(await self._take(self._timeout))
        finally:
            for slot in slots:
                await self._give_back(slot)
        return self

    async def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back; nothing is lent any more."""
        for connection in self._shut():
            await connection.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def _take(self, timeout: float | None) -> Slot[Connection[Row]]:
        slot = self._at_once()
        if slot is None:
            slot = await self._wait(timeout)
        try:
            if slot.connection is not None and not await self._is_fit(slot.connection, slot):
                self._counts["replaced"] += 1
                slot.connection = None
            if slot.connection is None:
                self._born(slot, await connect(self._conninfo, **self._options))
                if self._setup is not None and slot.connection is not None:
                    await self._setup(slot.connection)
        except BaseException:
            if slot.connection is not None:
                slot.connection.abort()
            self._drop(slot)
            raise
        return slot

    async def _wait(self, timeout: float | None) -> Slot[Connection[Row]]:
        turn = Turn()
        self._queue(turn)
        try:
            await turn.wait(timeout)
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

    async def _is_fit(self, connection: Connection[Row], slot: Slot[Connection[Row]]) -> bool:
        if self._is_worn(slot):
            await connection.close()
            return False
        if self._wants_check(slot):
            try:
                await connection.execute("")
            except Error:
                await connection.close()
                return False
        return not connection.is_closed

    async def _give_back(self, slot: Slot[Connection[Row]]) -> None:
        if not self._come_back(slot):
            self._drop(slot)
            if slot.connection is not None:
                with contextlib.suppress(Error):
                    await slot.connection.close()


class Lease:
    """A connection for a block; `Pool.acquire` makes it."""

    __slots__ = ("_pool", "_slot", "_timeout")

    def __init__(self, pool: Pool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._slot: Slot[Connection[Row]]

    async def __aenter__(self) -> Connection[Row]:
        self._slot = await self._pool._take(self._timeout)
        return self._pool._lent(self._slot)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._pool._give_back(self._slot)


__all__ = ["Lease", "Pool", "PoolClosed", "PoolTimeout", "Setup"]
