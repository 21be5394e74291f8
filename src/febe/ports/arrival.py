"""What a task waits for that wants bytes from its peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Arrival:
    """A future, as far as a task of asyncio's can tell, that has its waiter go on at once when it is set.

    asyncio's own has it go on in the loop's next turn, by way of a new future and a new handle each time; here the
    answer is on its way before `data_received` returns, and the object serves as often as it is waited for.  One task
    at a time waits, and `set` is called from the loop, never from within a task.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_error", "_loop", "_wake", "waits")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._wake: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self.waits = False
        """Somebody waits, or is about to, and has not been told to go on."""

    def again(self) -> Arrival:
        """What is to be waited for now: another one, when somebody has not heard yet what this one has to say."""
        one = self if self._error is None else Arrival(self._loop)
        one.waits = True
        return one

    def set(self) -> None:
        """Have the waiter go on."""
        self.waits = False
        wake, context = self._wake, self._context
        if wake is not None and context is not None:
            self._wake = None
            try:
                context.run(wake, self)
            except (SystemExit, KeyboardInterrupt) as error:
                # From a callback of the loop it ends the program, from a transport's it does not (uvloop).
                self._loop.call_soon(_raise, error)

    def fail(self, error: BaseException) -> None:
        """Raise an error from the waiter, in the loop's next turn."""
        self.waits = False
        self._error = error
        if self._wake is not None:
            self._loop.call_soon(self._wake, self, context=self._context)
            self._wake = None

    def __await__(self) -> Generator[Arrival, None, None]:
        if self.waits:
            self._asyncio_future_blocking = True
            yield self
        elif self._error is not None:
            self.result()

    # What a task asks of a future

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, wake: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._wake, self._context = wake, context

    def cancel(self, msg: object = None) -> bool:
        if not self.waits:
            return False
        self.fail(asyncio.CancelledError(*(() if msg is None else (msg,))))
        return True

    def result(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def _raise(error: BaseException) -> None:
    raise error


__all__ = ["Arrival"]
