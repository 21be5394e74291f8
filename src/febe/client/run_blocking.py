"""How the blocking face connects and runs flows."""

from __future__ import annotations

import contextlib
import inspect
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from threading import Event, get_ident
from types import TracebackType
from typing import Any, TypeVar

from febe.client.base import CANCEL_SECONDS, check_peer, not_in_time
from febe.client.dsn import invalid
from febe.client.options import Plan, Target
from febe.client.reach import open_at, reach
from febe.flows.cancel import cancel
from febe.flows.session import Session
from febe.ports.blocking import BlockingPort, Limit, connect_tcp, connect_unix
from febe.protocol.errors import ConnectTimeout, Error

T = TypeVar("T")


class Runner:
    """Runs flows to their end in the thread that asks; it holds the connection except while it waits."""

    def __init__(self, port: BlockingPort) -> None:
        self._port = port
        self._lock = port.lock

    def __call__(self, flow: Coroutine[Any, Any, T]) -> T:
        port, lock = self._port, self._lock
        if lock.locked() and port.held_by == get_ident():
            flow.close()
            raise Error("the connection is busy: a callback cannot use its own connection")
        with lock:
            port.held_by = get_ident()
            try:
                return run(flow)
            finally:
                port.held_by = None


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow to its end."""
    try:
        flow.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("a flow on a blocking port has suspended")


def runner(session: Session) -> Runner:
    """How flows are run."""
    assert isinstance(session.port, BlockingPort)
    return Runner(session.port)


def open_session(plan: Plan) -> Session:
    """Connect.  Errors: ConnectionLost, and those of the connect flow."""
    async def lookup(name: str, port: int, flags: int) -> list[Any]:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)

    session = run(reach(plan, _dial, lookup))
    assert isinstance(session.port, BlockingPort)
    session.port.lock.release()
    return session


class Turn:
    """A thread that waits for a slot of a pool."""

    def __init__(self) -> None:
        self.slot: Any = None
        self._come = Event()

    def set(self) -> None:
        """Let it go on."""
        self._come.set()

    def wait(self, seconds: float | None) -> None:
        """Wait until it is set.  Errors: TimeoutError."""
        if not self._come.wait(seconds):
            raise TimeoutError


class TimeLimit:
    """How long a thread waits for what it asks in a block."""

    def __init__(self, session: Session, seconds: float) -> None:
        assert isinstance(session.port, BlockingPort)
        self._limits = session.port.limits
        self._seconds = seconds

    def __enter__(self) -> None:
        self._limit = Limit(self._seconds)
        self._limits.setdefault(get_ident(), []).append(self._limit)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        mine = self._limits[get_ident()]
        mine.remove(self._limit)
        if not mine:
            del self._limits[get_ident()]


def pause(seconds: float) -> None:
    """Let some time pass."""
    time.sleep(seconds)


async def _dial(target: Target) -> Session:
    """Open a session whose connection this thread holds."""
    seconds = target.connect_timeout
    end = None if seconds is None else time.monotonic() + seconds
    ports: list[BlockingPort] = []

    async def connecting() -> BlockingPort:
        port = _connect(target, None if end is None else max(end - time.monotonic(), 0.001))
        try:
            check_peer(target, port)
        except BaseException:
            port.abort()
            raise
        if end is not None:
            port.set_deadline(end - time.monotonic())
        ports.append(port)
        return port

    async def aside(call: Callable[[], Any], abandon: Callable[[], object]) -> Any:
        clock = threading.Timer(end - time.monotonic(), abandon) if end is not None else None
        if clock is not None:
            clock.start()
        try:
            found = call()
        finally:
            if clock is not None:
                clock.cancel()
        if inspect.iscoroutine(found):
            found.close()
            raise invalid("a blocking connection cannot wait for a coroutine function: oauth_token")
        return found

    try:
        session = await open_at(connecting, target, aside)
    except (TimeoutError, ConnectTimeout) as error:
        raise not_in_time(target) from error
    ports[-1].set_deadline(None)
    session.cancel = partial(_cancel, target, session)
    return session


def _connect(target: Target, seconds: float | None) -> BlockingPort:
    if target.is_unix:
        port = connect_unix(target.address, seconds)
    else:
        port = connect_tcp(target.address, target.port, seconds, target.plan.tcp)
    port.lock.acquire()
    return port


async def _cancel(target: Target, session: Session) -> None:
    """Have the server cancel what the session does."""
    with contextlib.suppress(OSError):  # a server that takes no connection goes on with the request
        port = _connect(target, CANCEL_SECONDS)
        port.set_deadline(CANCEL_SECONDS)
        await cancel(port, session, target.login.encryption)


__all__ = ["Runner", "TimeLimit", "Turn", "open_session", "pause", "run", "runner"]
