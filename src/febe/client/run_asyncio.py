"""How the asyncio face connects and runs flows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.base import not_connected, not_in_time
from febe.client.options import Target
from febe.flows.connect import connect
from febe.flows.session import Session
from febe.ports.asyncio import connect_tcp, connect_unix

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


async def open_session(target: Target) -> Session:
    """Connect on the running event loop.  Errors: ConnectionLost, and those of the connect flow."""
    try:
        async with asyncio.timeout(target.connect_timeout):
            port = await (connect_unix(target.host) if target.is_unix else connect_tcp(target.host, target.port))
            return await connect(port, target.login)
    except TimeoutError as error:
        raise not_in_time(target) from error
    except OSError as error:
        raise not_connected(target, error) from error


__all__ = ["Runner", "open_session"]
