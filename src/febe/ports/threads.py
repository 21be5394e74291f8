"""Threads for calls that block: as many as there are such calls at one time, and kept for the next ones."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

Call = Callable[[], object]


class Threads:
    """Makes calls, each in a thread of its own; an idle connection has none, and costs none.

    The thread that became idle last is the next to work, since the processor knows its memory.  Calls must not raise.
    At the program's end those at work are waited for.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Call | None]] = []
        self._all: list[tuple[Thread, SimpleQueue[Call | None]]] = []
        atexit.register(self._end)

    def submit(self, call: Call) -> None:
        """Have a call made; from any thread."""
        try:
            calls = self._idle.pop()
        except IndexError:
            calls = SimpleQueue()
            # a daemon, because the program's end waits for other threads before it tells those to end
            thread = Thread(target=self._work, args=(calls,), name=f"febe-connection_{len(self._all)}", daemon=True)
            self._all.append((thread, calls))
            thread.start()
        calls.put(call)

    def _work(self, calls: SimpleQueue[Call | None]) -> None:
        call = calls.get()
        while call is not None:
            call()
            # not held while the next one is waited for
            call = None
            self._idle.append(calls)
            call = calls.get()

    def _end(self) -> None:
        for _, calls in self._all:
            calls.put(None)
        for thread, _ in self._all:
            thread.join()


__all__ = ["Threads"]
