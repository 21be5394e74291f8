"""febe for asyncio: `await febe.aio.connect(...)`.

`run(main())` is asyncio.run on uvloop where that is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from febe.client.asynchronous import Connection, PreparedStatement, connect
from febe.client.asynchronous_listening import Gap, Listening, listen
from febe.client.asynchronous_pool import Pool
from febe.client.asynchronous_retry import retry

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program's main coroutine, on uvloop when it is installed (`febe[speed]`), else on asyncio's own loop."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


__all__ = ["Connection", "Gap", "Listening", "Pool", "PreparedStatement", "connect", "listen", "retry", "run"]
