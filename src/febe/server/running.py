"""Running a server until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from functools import partial

from febe.server.limits import Limits
from febe.server.listener import Listener, Shutdown

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP") if hasattr(signal, name))
"""The signals that say something to a server."""


def told_by_signals(listener: Listener, grace: float, *, reload: bool = True) -> asyncio.Queue[Shutdown]:
    """Where the signals for a shutdown arrive.

    Ctrl-C and SIGTERM ask for a fast one, SIGQUIT for an immediate one; with `grace`, SIGTERM asks for a smart one.
    SIGHUP has files read anew.
    """
    asked: asyncio.Queue[Shutdown] = asyncio.Queue()
    gentle = Shutdown.SMART if grace else Shutdown.FAST
    loop = asyncio.get_running_loop()
    for name, call in (("SIGINT", partial(asked.put_nowait, Shutdown.FAST)),
                       ("SIGTERM", partial(asked.put_nowait, gentle)),
                       ("SIGQUIT", partial(asked.put_nowait, Shutdown.IMMEDIATE)),
                       ("SIGHUP", listener.reload if reload else _nothing)):
        with contextlib.suppress(NotImplementedError, AttributeError):  # Windows: Ctrl-C is a KeyboardInterrupt
            loop.add_signal_handler(getattr(signal, name), call)
    return asked


def _nothing() -> None:
    pass


async def end(listener: Listener, asked: asyncio.Queue[Shutdown], grace: float) -> None:
    """End a server when it is asked for; a smart shutdown becomes a fast one after `grace` seconds."""
    mode = await asked.get()
    if mode is Shutdown.SMART:
        leaving = asyncio.ensure_future(listener.close(mode))
        hurried = asyncio.ensure_future(asked.get())
        await asyncio.wait((leaving, hurried), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        mode = hurried.result() if hurried.done() else Shutdown.FAST
        leaving.cancel()
        hurried.cancel()
    await listener.close(mode)


def have_files(limits: Limits) -> None:
    """Each connection is a file: ask for as many as there are places, and some for the engine."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.max_connections + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes an event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


__all__ = ["ENDING", "end", "have_files", "loop_factory", "told_by_signals"]
