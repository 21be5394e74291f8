"""How the asyncio face connects and runs flows."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.base import check_peer, not_in_time
from febe.client.options import Plan, Target
from febe.client.reach import open_at, reach
from febe.flows.session import Session
from febe.ports.asyncio import AsyncioPort, connect_tcp, connect_unix

T = TypeVar("T")


class Runner:
    """Runs flows one at a time: a second task waits until the first one's answer is there, in the order of asking.

    What asyncio.Lock does, without its cost where nobody waits.
    """

    def __init__(self) -> None:
        self._busy = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def run(self, flow: Coroutine[Any, Any, T]) -> T:
        if self._busy:
            await self._turn(flow)
        self._busy = True
        try:
            return await flow
        finally:
            self._busy = False
            if self._waiting:
                self._next()

    async def _turn(self, flow: Coroutine[Any, Any, T]) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            flow.close()
            if turn.done() and not turn.cancelled():  # it was our turn, and we do not take it
                self._busy = False
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # Busy already: who asks before the woken task runs is behind it.
                self._busy = True
                turn.set_result(None)
                return


async def open_session(plan: Plan) -> Session:
    """Connect on the running event loop.  Errors: ConnectionLost, and those of the connect flow."""
    async def lookup(name: str, port: int, flags: int) -> list[Any]:
        return await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)

    return await reach(plan, _dial, lookup)


async def _dial(target: Target) -> Session:
    port: AsyncioPort | None = None
    try:
        async with asyncio.timeout(target.connect_timeout) as limit:
            if target.is_unix:
                port = await connect_unix(target.address)
            else:
                port = await connect_tcp(target.address, target.port, target.plan.tcp)
            check_peer(target, port)
            return await open_at(port, target)
    except BaseException as error:
        if port is not None:
            port.abort()
        if isinstance(error, TimeoutError) and limit.expired():
            raise not_in_time(target) from error
        raise


__all__ = ["Runner", "open_session"]
