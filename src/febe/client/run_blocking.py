"""How the blocking face connects and runs flows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.base import check_peer, not_in_time
from febe.client.options import Plan, Target
from febe.client.reach import open_at, reach
from febe.flows.session import Session
from febe.ports.blocking import connect_tcp, connect_unix
from febe.protocol.errors import ConnectTimeout

T = TypeVar("T")


class Runner:
    """Runs flows one at a time: a second thread waits until the first one's answer is there."""

    def __init__(self) -> None:
        # A callback that uses its own connection gets that connection's error, not a dead-lock.
        self._lock = threading.RLock()

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            try:
                flow.send(None)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
        raise AssertionError("a flow on a blocking port has suspended")


def open_session(plan: Plan) -> Session:
    """Connect.  Errors: ConnectionLost, and those of the connect flow."""
    async def lookup(name: str, port: int, flags: int) -> list[Any]:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)

    return Runner().run(reach(plan, _dial, lookup))


async def _dial(target: Target) -> Session:
    started = time.monotonic()
    seconds = target.connect_timeout
    try:
        if target.is_unix:
            port = connect_unix(target.address, seconds)
        else:
            port = connect_tcp(target.address, target.port, seconds, target.plan.tcp)
    except TimeoutError as error:
        raise not_in_time(target) from error
    try:
        check_peer(target, port)
    except BaseException:
        port.abort()
        raise
    if seconds is not None:
        port.set_deadline(seconds - (time.monotonic() - started))
    try:
        session = await open_at(port, target)
    except ConnectTimeout as error:
        raise not_in_time(target) from error
    port.set_deadline(None)
    return session


__all__ = ["Runner", "open_session"]
