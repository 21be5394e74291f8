"""How the asyncio face connects and runs flows."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.base import not_connected, not_in_time
from febe.client.options import Target
from febe.flows.connect import connect
from febe.flows.session import Session
from febe.ports.asyncio import connect_tcp, connect_unix

T = TypeVar("T")


class Runner:
    """Runs flows one at a time: a second task waits until the first one's answer is there."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __call__(self, flow: Coroutine[Any, Any, T]) -> T:
        lock = self._lock
        try:
            await lock.acquire()
        except BaseException:
            flow.close()
            raise
        try:
            return await flow
        finally:
            lock.release()


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
