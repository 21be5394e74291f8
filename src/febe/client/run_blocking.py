"""How the blocking face connects and runs flows."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.base import not_connected, not_in_time
from febe.client.options import Target
from febe.flows.connect import connect
from febe.flows.session import Session
from febe.ports.blocking import connect_tcp, connect_unix

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


def open_session(target: Target) -> Session:
    """Connect.  Errors: ConnectionLost, and those of the connect flow."""
    started = time.monotonic()
    seconds = target.connect_timeout
    try:
        port = connect_unix(target.host, seconds) if target.is_unix else connect_tcp(target.host, target.port, seconds)
    except TimeoutError as error:
        raise not_in_time(target) from error
    except OSError as error:
        raise not_connected(target, error) from error
    if seconds is not None:
        port.set_deadline(seconds - (time.monotonic() - started))
    session = Runner().run(connect(port, target.login))
    port.set_deadline(None)
    return session


__all__ = ["Runner", "open_session"]
