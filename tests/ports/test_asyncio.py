"""What the asyncio port sends, and when."""

from __future__ import annotations

import asyncio
from typing import Any

from febe.ports.asyncio import AsyncioPort


class Wire(asyncio.Transport):
    """A transport that keeps what it is given, each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


def connected() -> tuple[AsyncioPort, Wire]:
    port, wire = AsyncioPort(), Wire()
    port.connection_made(wire)
    return port, wire


def test_one_task_sends_at_once() -> None:
    async def run() -> None:
        port, wire = connected()
        for request in (b"a", b"b"):
            port.write(request)
            assert wire.writes[-1] == request
            port.data_received(b"answer")
            await port.wait()
            port.take()

    asyncio.run(run())


def test_tasks_that_are_woken_together_write_together() -> None:
    async def run() -> None:
        port, wire = connected()
        signals = [port.signal() for _ in range(5)]

        async def ask(number: int) -> None:
            await signals[number].wait()
            port.write(b"%d" % number)

        tasks = [asyncio.create_task(ask(number)) for number in range(5)]
        await asyncio.sleep(0)
        for signal in signals:
            signal.set()
        port.write(b"first")
        assert wire.writes == []
        await asyncio.gather(*tasks)
        await asyncio.sleep(0)
        assert wire.writes == [b"first01234"]
        port.write(b"alone")
        assert wire.writes[1:] == [b"alone"]

    asyncio.run(run())


def test_what_is_left_for_later_comes_after_the_task_that_runs() -> None:
    async def run() -> None:
        port, _ = connected()
        seen: list[str] = []
        port.later(seen.append, "later")
        seen.append("now")
        await asyncio.sleep(0)
        assert seen == ["now", "later"]

    asyncio.run(run())
