"""A port on asyncio, for both roles, on any event loop.

The transport calls `data_received`; whoever waits in `exchange` gets those bytes without a copy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from febe.flows.port import READY
from febe.ports.arrival import Arrival
from febe.ports.encryption import Encryptable
from febe.ports.threads import Threads
from febe.ports.tune import tune
from febe.protocol.errors import ConnectionLost, ConnectTimeout

T = TypeVar("T")

READ_AHEAD = 1 << 18
"""Bytes received and not asked for at which reading pauses."""
WRITE_AHEAD = 1 << 19
"""Bytes not yet taken by the system at which `flush` waits; it goes on when a quarter is left."""
INTERRUPT_SECONDS = 0.5
"""How long after an interrupt another follows: one that comes before the work has begun has no effect."""
YIELD_BYTES = 1 << 15
"""Bytes from which on `flush` lets the loop go round although it need not wait."""
CLOSE_SECONDS = 5.0
"""How long `aclose` waits for a peer that does not read what was sent last."""

_THREADS = Threads()


class AsyncioSignal:
    """A future that may be waited for before or after it is set, by one task."""

    __slots__ = ("_future", "_port")

    def __init__(self, port: AsyncioPort, future: asyncio.Future[None]) -> None:
        self._port = port
        self._future = future

    def wait(self) -> Awaitable[None]:
        """Suspend until it is set."""
        return self._future

    def set(self) -> None:
        """Let the waiter go on; what it is going to write goes out with what others write in this turn of the loop."""
        if not self._future.done():
            self._port.gathers = True
            self._future.set_result(None)


class _Work(Generic[T]):
    """A call that a thread makes, and the future that its end is told to: less than an executor's two futures cost."""

    __slots__ = ("_args", "_call", "_loop", "_value", "done", "error", "waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._loop = loop
        self._call = call
        self._args = args
        self.error: BaseException | None = None
        self.done = False
        self.waiter: asyncio.Future[None] = loop.create_future()

    def __call__(self) -> None:
        """Make the call; in the thread."""
        try:
            self._value = self._call(*self._args)
        except BaseException as error:
            # without this frame, which would hold this object, which holds the error
            self.error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.done = True
        if not self.waiter.done():
            self.waiter.set_result(None)

    def result(self) -> T:
        """What the call gave, once.  Errors: what it raised."""
        if self.error is None:
            return self._value
        try:
            raise self.error
        finally:
            self.error = None  # whose traceback holds this object from now on


class AsyncioPort(Encryptable, asyncio.Protocol):
    """One connection.  `interrupt`, when set, is called when the peer goes away while `run` works.

    `connected`, when given, is called once the transport is there: it is how a listener learns of a client.
    """

    def __init__(self, connected: Callable[[AsyncioPort], object] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._connected = connected
        self._transport: asyncio.Transport
        self._received: list[bytes] = []
        self._unsent: list[bytes] = []
        self.gathers = False
        """Others have been woken who are likely to write as well."""
        self._received_size = 0
        self._arrival = Arrival(self._loop)
        self._attended: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._held_back = False
        self._reading_paused = False
        self._ended: ConnectionLost | None = None
        self._closed = self._loop.create_future()
        self._deadline: asyncio.TimerHandle | None = None
        self._running = False
        self.interrupt: Callable[[], object] | None = None
        self.arrived: Callable[[], object] | None = None
        """Called, when set and nobody waits, as soon as there are bytes to take.  It must not raise."""
        self.send_timeout: float | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_AHEAD)
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._arrival.waits:
            self._arrival.set()
            return
        if self.arrived is not None:
            self.arrived()
            return
        self._received_size += len(data)
        if self._received_size >= READ_AHEAD and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        # Half closed: what was asked before is still answered.
        self._end(ConnectionLost("the peer has closed the connection"))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ConnectionLost(f"the connection is lost: {exc}" if exc else "the connection is closed"))
        if self._drain is not None and not self._drain.done():
            self._drain.set_exception(self._lost())
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._held_back = True

    def resume_writing(self) -> None:
        self._held_back = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    @property
    def held_back(self) -> bool:
        """The peer does not read what is sent to it: `flush` would wait."""
        return self._held_back

    # What flows call

    def write(self, out: bytes) -> None:
        """Take bytes to send; never waits.

        While somebody waits for an answer already, or several have been woken, what they write goes out together at the
        end of this turn of the loop.
        """
        if self._unsent:
            self._unsent.append(out)
        elif not (self._arrival.waits or self.gathers):
            self._transport.write(out)
        else:
            self._unsent.append(out)
            self._loop.call_soon(self._write_unsent)

    def wait(self) -> Awaitable[None]:
        """Suspend until there are bytes to take; a cancellation loses none.  Errors: ConnectionLost."""
        if self._received:
            return READY
        if self._ended is not None:
            raise self._lost()
        self._arrival = arrival = self._arrival.again()
        return arrival

    async def attend(self, future: asyncio.Future[None]) -> None:
        """Wait for something else than bytes.  Errors: ConnectionLost, when the peer goes away first."""
        if self._ended is not None:
            raise self._lost()
        self._attended = future
        try:
            await future
        finally:
            self._attended = None

    def take(self) -> bytes:
        """All that has arrived."""
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        self._received_size = 0
        if self._reading_paused:
            self._reading_paused = False
            if not self._closed.done():
                self._transport.resume_reading()
        return data

    def signal(self) -> AsyncioSignal:
        """Something for one task to wait for."""
        return AsyncioSignal(self, self._loop.create_future())

    def later(self, call: Callable[..., object], *args: Any) -> None:
        """Make a call at the end of this turn of the loop."""
        self._loop.call_soon(call, *args)

    def me(self) -> object:
        """The task that runs."""
        return asyncio.current_task()

    async def exchange(self, out: bytes) -> bytes:
        """Send all of `out` and return what arrives, at least one byte.  Errors: ConnectionLost."""
        if out:
            self.write(out)
        await self.wait()
        return self.take()

    def flush(self, out: bytes) -> Awaitable[None]:
        """Send all of `out`, holding back while the peer does not read; at once, when it does.

        Errors: ConnectionLost.
        """
        if self._ended is not None and (self._closed.done() or isinstance(self._ended, ConnectTimeout)):
            raise self._lost()
        if self._unsent:
            self._write_unsent()
        if out:
            self._transport.write(out if self.layer is None else self.layer.encrypt(out))
        return self._taken(len(out)) if self._held_back or len(out) >= YIELD_BYTES else READY

    async def _taken(self, size: int) -> None:
        """Hold back while the peer does not read, after so many bytes for it."""
        if size >= YIELD_BYTES and not self._held_back:
            # Others get their turn, and this connection's end is noticed, however much there is to send.
            await asyncio.sleep(0)
        while self._held_back:
            self._drain = self._loop.create_future()
            self._be_patient()
            try:
                await self._drain
            finally:
                self._drain = None

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Make a call in a thread.

        When the peer goes away, or the task is cancelled, `interrupt` is called and the call waited for.  Errors:
        ConnectionLost; what the call raises.
        """
        if self._ended is not None and not self._received:
            raise self._lost()
        self._running = True
        work = _Work(self._loop, call, args)
        _THREADS.submit(work)
        try:
            await work.waiter
        except asyncio.CancelledError:
            while not work.done:
                self._interrupt()
                work.waiter = self._loop.create_future()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait((work.waiter,), timeout=INTERRUPT_SECONDS)
            raise
        finally:
            self._running = False
        if self._closed.done() and isinstance(work.error, Exception | None):
            raise self._lost()
        return work.result()

    async def finish(self, call: Callable[[], T]) -> T:
        """Make a last call in a thread, whether the peer is there or not, and to its end."""
        work = _Work(self._loop, call, ())
        _THREADS.submit(work)
        while not work.done:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((work.waiter,))
        return work.result()

    def _be_patient(self) -> None:
        """Give up, in `send_timeout` seconds, on a peer that takes nothing of what is there to send."""
        if self.send_timeout is not None:
            self._loop.call_later(self.send_timeout, self._look_again, self._drain,
                                  self._transport.get_write_buffer_size())

    def _look_again(self, waiting_for: object, size: int) -> None:
        if self._drain is not waiting_for or self._drain is None:
            return
        if self._transport.get_write_buffer_size() < size:
            self._be_patient()
        else:
            self._transport.abort()

    def set_deadline(self, seconds: float | None) -> None:
        """Raise ConnectTimeout from whatever waits when `seconds` have passed; None: no deadline any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if isinstance(self._ended, ConnectTimeout):
            self._ended = None
        if seconds is not None:
            self._deadline = self._loop.call_later(seconds, self._expire, seconds)

    async def aclose(self) -> None:
        """Close the connection once what was sent has left, or after `CLOSE_SECONDS`."""
        self.set_deadline(None)
        self._write_unsent()
        if self.layer is not None and not self._closed.done():
            self._transport.write(self.layer.farewell())
        self._transport.close()
        if not self._closed.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.shield(self._closed)
            self._transport.abort()

    def last_word(self, data: bytes) -> None:
        """Send and close, without waiting for either."""
        self._transport.write(data)
        self.close_now()

    def close_now(self) -> None:
        """Close without waiting for a peer that does not read; what the system has taken still leaves."""
        self.set_deadline(None)
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once; what has not left is lost."""
        self.set_deadline(None)
        self._transport.abort()

    @property
    def is_remote(self) -> bool:
        """The peer may be on another machine: this is no Unix socket."""
        return isinstance(self.extra("peername"), tuple)

    def extra(self, name: str) -> Any:
        """What the transport knows: `peername`, `sockname`, `socket`."""
        return self._transport.get_extra_info(name)

    # Inside

    def _write_unsent(self) -> None:
        unsent = self._unsent
        self.gathers = False
        if unsent:
            self._transport.write(b"".join(unsent))
            unsent.clear()

    def _lost(self) -> ConnectionLost:
        # A new one each time: an exception raised twice would keep the frames of both
        assert self._ended is not None
        return type(self._ended)(str(self._ended))

    def _end(self, why: ConnectionLost) -> None:
        if self._ended is not None:
            return
        self._ended = why
        if self._arrival.waits:
            self._arrival.fail(self._lost())
        if self._attended is not None and not self._attended.done():
            self._attended.set_exception(self._lost())
        self._interrupt_until_done()

    def _interrupt_until_done(self) -> None:
        if self._running and self._ended is not None:
            self._interrupt()
            self._loop.call_later(INTERRUPT_SECONDS, self._interrupt_until_done)

    def _interrupt(self) -> None:
        if self.interrupt is not None:
            self.interrupt()

    def _expire(self, seconds: float) -> None:
        self._deadline = None
        self._end(ConnectTimeout(f"nothing was agreed within {seconds:g} s"))
        if self._drain is not None and not self._drain.done():
            self._drain.set_exception(self._lost())


async def connect_tcp(host: str, port: int, options: Mapping[str, int] = MappingProxyType({})) -> AsyncioPort:
    """Connect by TCP; `options` are those of `tune`.  Errors: OSError."""
    _, made = await asyncio.get_running_loop().create_connection(AsyncioPort, host, port)
    try:
        tune(made.extra("socket"), options)
    except BaseException:
        made.abort()
        raise
    return made


async def connect_unix(path: str) -> AsyncioPort:
    """Connect to a Unix socket.  Errors: OSError."""
    _, made = await asyncio.get_running_loop().create_unix_connection(AsyncioPort, path)
    return made
