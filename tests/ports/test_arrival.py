"""A task that waits for bytes goes on as they arrive, and is otherwise what any task is."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from febe.ports.asyncio import AsyncioPort
from febe.protocol.errors import ConnectionLost

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


def on_loop(loop: Callable[[], asyncio.AbstractEventLoop],
            test: Callable[[AsyncioPort, socket.socket], Awaitable[None]]) -> None:
    """Run a test with a port and the socket at the other end of it."""
    async def run() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            _, port = await asyncio.get_running_loop().create_connection(AsyncioPort, sock=ours)
            try:
                await asyncio.wait_for(test(port, theirs), 30)
            finally:
                port.abort()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


both = pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])


@both
def test_waiter_goes_on_before_the_bytes_are_filed(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        heard: list[object] = []
        mark = contextvars.ContextVar("mark", default="nobody's")

        async def listen() -> None:
            mark.set("the task's")
            for _ in range(3):
                await port.wait()
                heard.append((port.take(), asyncio.current_task(), mark.get()))

        task = asyncio.ensure_future(listen())
        await asyncio.sleep(0)
        for piece in (b"a", b"b", b"c"):
            port.data_received(piece)  # as the transport calls it: from the loop, or from outside of any other task
            assert heard[-1] == (piece, task, "the task's")
        await task

    # the caller is no task: a task cannot step into another one
    def call(port: AsyncioPort, peer: socket.socket) -> Awaitable[None]:
        done = asyncio.get_running_loop().create_future()
        coroutine = test(port, peer)

        def step() -> None:
            try:
                coroutine.send(None)
            except StopIteration:
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)
            else:
                asyncio.get_running_loop().call_soon(step)

        asyncio.get_running_loop().call_soon(step)
        return done

    on_loop(loop, call)


@both
def test_cancelled_waiter_leaves_the_bytes_to_the_next(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        first = asyncio.ensure_future(port.exchange(b""))
        await asyncio.sleep(0)
        first.cancel("enough")
        # the first has not heard yet that it is cancelled
        second = asyncio.ensure_future(port.exchange(b""))
        peer.sendall(b"x")
        assert await second == b"x"
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await first

    on_loop(loop, test)


@both
def test_deadline_of_another_task_s_making(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(port.exchange(b""), 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await port.exchange(b"")
        peer.sendall(b"x")
        assert await port.exchange(b"") == b"x"

    on_loop(loop, test)


@both
def test_end_is_told_to_who_waits_and_who_comes_later(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        waiting = asyncio.ensure_future(port.exchange(b""))
        await asyncio.sleep(0)
        peer.shutdown(socket.SHUT_WR)
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                await waiting
            waiting = asyncio.ensure_future(port.exchange(b""))
        waiting.cancel()

    on_loop(loop, test)


@both
@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_program_ends_it(loop: Callable[[], asyncio.AbstractEventLoop], end: type[BaseException]) -> None:
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        peer.sendall(b"x")
        await port.exchange(b"")
        raise end

    with pytest.raises(end):
        on_loop(loop, test)


def test_as_a_future() -> None:
    """asyncio's own task written in Python takes it too."""
    async def test(port: AsyncioPort, peer: socket.socket) -> None:
        peer.sendall(b"x")
        task = asyncio.tasks._PyTask(port.exchange(b""), loop=asyncio.get_running_loop())  # type: ignore[attr-defined]
        assert await task == b"x"

    on_loop(asyncio.new_event_loop, test)
