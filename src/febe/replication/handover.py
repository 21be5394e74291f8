"""Between the thread that reads and the program: a queue with a bound, whatever the program waits with."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Handover(Generic[T]):
    """Batches on their way: the reader waits while there are `limit` bytes of them, the program while there is none."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[tuple[list[T], int]] = deque()
        self._size = 0
        self._error: BaseException | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: asyncio.Event | None = None
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    @property
    def size(self) -> int:
        """How many bytes are on their way."""
        return self._size

    async def put(self, batch: list[T], size: int) -> None:
        """Hand over, and wait while there is no room."""
        with self._changed:
            if self._loop is None:
                self._loop, self._room = asyncio.get_running_loop(), asyncio.Event()
            if self._limit < 1 << 62:
                self._batches.append((batch, size))
                self._size += size
            assert self._room is not None
            if self._size >= self._limit:
                self._room.clear()
            else:
                self._room.set()
            self._wake()
        await self._room.wait()

    def abandon(self) -> None:
        """The program takes nothing more: what comes is dropped, and nobody waits for room."""
        with self._changed:
            self._batches.clear()
            self._size = 0
            self._limit = 1 << 62
            if self._room is not None:
                self._room.set()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes, because of `error` or because it is over."""
        with self._changed:
            self._ended = True
            self._error = error
            self._wake()

    def get(self, seconds: float | None = None) -> list[T] | None:
        """The next batch; None at the end; an empty one when nothing comes in time.  Errors: what `end` was given."""
        with self._changed:
            while not self._batches and not self._ended:
                if not self._changed.wait(seconds):
                    return []
            return self._take()

    async def aget(self) -> list[T] | None:
        """The same for a coroutine."""
        while True:
            with self._changed:
                if self._batches or self._ended:
                    return self._take()
                loop = asyncio.get_running_loop()
                future = loop.create_future()
                self._waiter = loop, future
            await future

    def _take(self) -> list[T] | None:
        if not self._batches:
            if self._error is not None:
                raise self._error
            return None
        batch, size = self._batches.popleft()
        full = self._size >= self._limit
        self._size -= size
        if full and self._size < self._limit and self._loop is not None and self._room is not None:
            with contextlib.suppress(RuntimeError):  # the reader is gone
                self._loop.call_soon_threadsafe(self._room.set)
        return batch

    def _wake(self) -> None:
        self._changed.notify_all()
        if self._waiter is not None:
            loop, future = self._waiter
            self._waiter = None
            with contextlib.suppress(RuntimeError):  # the program's loop is closed
                loop.call_soon_threadsafe(_done, future)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


__all__ = ["Handover"]
