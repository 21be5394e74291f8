"""How the trio face connects and runs flows."""

from __future__ import annotations

import contextlib
import inspect
import socket
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import trio

from febe.client.base import CANCEL_SECONDS, check_peer, not_in_time
from febe.client.options import Plan, Target
from febe.client.reach import open_at, reach
from febe.flows.cancel import cancel
from febe.flows.query import Flow
from febe.flows.session import Session
from febe.ports.trio import TrioPort, connect_tcp, connect_unix

T = TypeVar("T")


def runner(session: Session) -> Callable[[Flow[T]], Flow[T]]:
    """How flows are run: trio awaits them as they are."""
    return _as_it_is


def _as_it_is(flow: Flow[T]) -> Flow[T]:
    return flow


async def open_session(plan: Plan) -> Session:
    """Connect.  Errors: ConnectionLost, and those of the connect flow."""
    async def lookup(name: str, port: int, flags: int) -> list[Any]:
        return list(await trio.socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags))

    return await reach(plan, _dial, lookup)


class Turn:
    """A task that waits for a slot of a pool."""

    def __init__(self) -> None:
        self.slot: Any = None
        self._come = trio.Event()

    def set(self) -> None:
        """Let it go on."""
        self._come.set()

    async def wait(self, seconds: float | None) -> None:
        """Wait until it is set.  Errors: TimeoutError."""
        with trio.move_on_after(float("inf") if seconds is None else seconds):
            await self._come.wait()
            return
        raise TimeoutError


class TimeLimit:
    """How long a task waits for what it asks in a block."""

    def __init__(self, session: Session, seconds: float) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._scope = trio.move_on_after(self._seconds)
        self._scope.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> bool:
        suppressed = bool(self._scope.__exit__(kind, error, trace))
        if self._scope.cancelled_caught:
            raise TimeoutError("not done in the time allowed") from error
        return suppressed


async def pause(seconds: float) -> None:
    """Let some time pass."""
    await trio.sleep(seconds)


async def _dial(target: Target) -> Session:
    async def connecting() -> TrioPort:
        port = await _connect(target)
        try:
            check_peer(target, port)
        except BaseException:
            port.abort()
            raise
        return port

    seconds = float("inf") if target.connect_timeout is None else target.connect_timeout
    try:
        with trio.fail_after(seconds):
            session = await open_at(connecting, target, _aside)
    except trio.TooSlowError as error:
        raise not_in_time(target) from error
    session.cancel = partial(_cancel, target, session)
    return session


async def _aside(call: Callable[[], Any], abandon: Callable[[], object]) -> Any:
    """Make a call that may block in a thread; what it gives may be awaitable."""
    try:
        found = await trio.to_thread.run_sync(call, abandon_on_cancel=True)
    finally:
        abandon()
    return await found if inspect.isawaitable(found) else found


async def _connect(target: Target) -> TrioPort:
    if target.is_unix:
        return await connect_unix(target.address)
    return await connect_tcp(target.address, target.port, target.plan.tcp)


async def _cancel(target: Target, session: Session) -> None:
    """Have the server cancel what the session does, whether the task is cancelled meanwhile or not."""
    # A server that takes no connection goes on with the request.
    with trio.move_on_after(CANCEL_SECONDS) as scope, contextlib.suppress(OSError):
        scope.shield = True
        await cancel(await _connect(target), session, target.login.encryption)


__all__ = ["TimeLimit", "Turn", "open_session", "pause", "runner"]
