"""Serving PostgreSQL clients: an engine, or handlers of one's own, behind a listener.

    async with await febe.server.serve(engine, port=5433) as listener:
        await listener.wait_closed()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from febe.server.engine import ArrowStream, Column, CopyTarget, Engine, EngineError, EngineSession, Prepared, Result
from febe.server.listener import Listener, is_loopback
from febe.server.session import Session
from febe.server.users import UserSource

__all__ = ["ArrowStream", "Column", "CopyTarget", "Engine", "EngineError", "EngineSession", "Listener", "Prepared",
           "Result", "Session", "is_loopback", "run", "serve"]


async def serve(engine: Engine, *, host: str | None = "127.0.0.1", port: int = 5432,
                unix_socket_dir: str | os.PathLike[str] | None = None, users: UserSource | None = None,
                authentication: str | None = None, authentication_timeout: float = 60.0, max_connections: int = 100,
                session: type[Session] = Session) -> Listener:
    """Start listening; the listener's `close` ends it.

    `port` 0 takes a free one; `host` None opens no TCP port.  `users` gives passwords or what PostgreSQL keeps in their
    place; `authentication` is `trust`, `password`, `md5` or `scram-sha-256`, by default the last where there are users.
    `session` is the class that answers each client.
    Errors: ValueError for a host beyond loopback without authentication; OSError.
    """
    listener = Listener(engine, users=users, authentication=authentication,
                        authentication_timeout=authentication_timeout, max_connections=max_connections,
                        session=session)
    await listener.listen(host, port, unix_socket_dir)
    return listener


def run(engine: Engine, *, ready: Callable[[Listener], object] | None = None, **options: Any) -> None:
    """Listen, with the options of `serve`, until Ctrl-C or SIGTERM; on uvloop where it is installed.

    `ready` is called once clients can connect.
    """
    async def main() -> None:
        async with await serve(engine, **options) as listener:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
                    asyncio.get_running_loop().add_signal_handler(number, stop.set)
            if ready is not None:
                ready(listener)
            await stop.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
