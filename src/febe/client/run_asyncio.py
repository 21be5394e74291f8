"""How the asyncio face connects and runs flows."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from febe.client.base import CANCEL_SECONDS, check_peer, not_in_time
from febe.client.options import Plan, Target
from febe.client.reach import open_at, reach
from febe.flows.cancel import cancel
from febe.flows.query import Flow
from febe.flows.session import Session
from febe.ports.asyncio import AsyncioPort, connect_tcp, connect_unix

T = TypeVar("T")


def runner(session: Session) -> Callable[[Flow[T]], Flow[T]]:
    """How flows are run: asyncio awaits them as they are."""
    return _as_it_is


def _as_it_is(flow: Flow[T]) -> Flow[T]:
    return flow


async def open_session(plan: Plan) -> Session:
    """Connect on the running event loop.  Errors: ConnectionLost, and those of the connect flow."""
    async def lookup(name: str, port: int, flags: int) -> list[Any]:
        return await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)

    return await reach(plan, _dial, lookup)


class Turn:
    """A task that waits for a slot of a pool."""

    def __init__(self) -> None:
        self.slot: Any = None
        self._come = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        """Let it go on."""
        if not self._come.done():
            self._come.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Wait until it is set.  Errors: TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._come


class TimeLimit:
    """How long a task waits for what it asks in a block."""

    def __init__(self, session: Session, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._limit = asyncio.timeout(self._seconds)
        await self._limit.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            raise TimeoutError("not done in the time allowed") from error


async def pause(seconds: float) -> None:
    """Let some time pass."""
    await asyncio.sleep(seconds)


async def _dial(target: Target) -> Session:
    async def connecting() -> AsyncioPort:
        port = await _connect(target)
        try:
            check_peer(target, port)
        except BaseException:
            port.abort()
            raise
        return port

    try:
        async with asyncio.timeout(target.connect_timeout) as limit:
            session = await open_at(connecting, target, _aside)
    except TimeoutError as error:
        if limit.expired():
            raise not_in_time(target) from error
        raise
    session.cancel = partial(_cancel, target, session)
    return session


async def _aside(call: Callable[[], Any], abandon: Callable[[], object]) -> Any:
    """Make a call that may block in a thread; what it gives may be awaitable."""
    try:
        found = await asyncio.to_thread(call)
    finally:
        abandon()
    return await found if inspect.isawaitable(found) else found


async def _connect(target: Target) -> AsyncioPort:
    if target.is_unix:
        return await connect_unix(target.address)
    return await connect_tcp(target.address, target.port, target.plan.tcp)


async def _cancel(target: Target, session: Session) -> None:
    """Have the server cancel what the session does, whether the task is cancelled meanwhile or not."""
    asking = asyncio.ensure_future(_ask_to_cancel(target, session))
    while not asking.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((asking,))
    asking.result()


async def _ask_to_cancel(target: Target, session: Session) -> None:
    with contextlib.suppress(TimeoutError, OSError):  # a server that takes no connection goes on with the request
        async with asyncio.timeout(CANCEL_SECONDS):
            await cancel(await _connect(target), session, target.login.encryption)


__all__ = ["TimeLimit", "Turn", "open_session", "pause", "runner"]
