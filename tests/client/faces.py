"""One suite for three faces: tests are written for those that await, and the blocking one is made to look like them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

import trio

import febe
import febe.aio
import febe.trio
from febe.client import blocking
from febe.client.base import BasePipeline

FACES = ("blocking", "asyncio", "trio")
Main = Callable[[Any], Coroutine[Any, Any, Any]]


class Awaited:
    """An object of the blocking face as the others have it: calls are awaited, though they never suspend."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if not callable(found):
            return _wrapped(found)

        def call(*args: Any, **options: Any) -> Any:
            if name in _AT_ONCE or (isinstance(self.real, blocking.Pipeline) and hasattr(BasePipeline, name)):
                return _wrapped(found(*args, **options))
            return _later(found, args, options)

        return call

    async def __aenter__(self) -> Any:
        return _wrapped(self.real.__enter__())

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> Any:
        return self.real.__exit__(kind, error, trace)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        try:
            return self.real.__next__()
        except StopIteration:
            raise StopAsyncIteration from None


_AT_ONCE = ("timeout", "acquire", "metrics", "into", "stream", "stream_arrow", "pipeline", "transaction",
            "copy_out", "copy_out_arrow", "copy_out_bytes", "listen", "cursor", "large_object")
_MODULES = (blocking.__name__, "febe.client.blocking_pool", "febe.client.blocking_held", "febe.client.blocking_bulk",
            "febe.client.run_blocking", "febe.client.blocking_listening")


def _wrapped(made: Any) -> Any:
    module = type(made).__module__
    return Awaited(made) if module in _MODULES else made


async def _later(found: Any, args: Any, options: Any) -> Any:
    return _wrapped(found(*args, **options))


def run(face: str, main: Main, *args: Any) -> Any:
    """Run `main` with what connects by this face."""
    if face == "asyncio":
        return asyncio.run(main(febe.aio.connect, *args))
    if face == "trio":
        return trio.run(main, febe.trio.connect, *args)
    try:
        main(_connect, *args).send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the blocking face has suspended")


async def _connect(*args: Any, **options: Any) -> Any:
    return Awaited(febe.connect(*args, **options))
