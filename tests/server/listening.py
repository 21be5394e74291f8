"""A listener in a thread of its own, and a raw client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from febe.protocol.connection import Connection, CopyDataRun, DataRowRun
from febe.protocol.message import Message, Sender
from febe.protocol.simple import Query
from febe.protocol.startup import VERSION_3_0, ReadyForQuery, StartupMessage
from febe.server import Engine, Listener, serve

SECONDS = 20.0
"""How long a test waits for what must come."""


@contextlib.contextmanager
def listening(engine: Engine, *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
              **options: Any) -> Iterator[Listener]:
    """A listener on a free port, closed at the end."""
    started = threading.Event()
    told: list[Any] = []

    async def main() -> None:
        try:
            async with await serve(engine, **({"port": 0} | options)) as listener:
                stop = asyncio.Event()
                told.extend((listener, asyncio.get_running_loop(), stop))
                started.set()
                await stop.wait()
        except BaseException as error:
            told.append(error)
            started.set()
            raise

    def work() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner, contextlib.suppress(OSError, ValueError):
            runner.run(main())

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(SECONDS)
    if isinstance(told[0], BaseException):
        thread.join(SECONDS)
        raise told[0]
    try:
        yield told[0]
    finally:
        with contextlib.suppress(RuntimeError):  # closed by the test already
            told[1].call_soon_threadsafe(told[2].set)
        thread.join(SECONDS)
        assert not thread.is_alive()


class Raw:
    """A client that says what it is told, byte for byte."""

    def __init__(self, listener: Listener, *, path: str | None = None) -> None:
        if path is None:
            self.socket = socket.create_connection(("127.0.0.1", listener.port), SECONDS)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(SECONDS)
            self.socket.connect(path)
        self.core = Connection(Sender.FRONTEND)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Say raw bytes.  A server that has closed already is no error: its answer is what matters."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(65536):
                found += data
        return found

    def say(self, *messages: Message) -> None:
        """Say messages that may be said now."""
        self.send(self.core.send(*messages))

    def answer(self) -> Message | DataRowRun | CopyDataRun | None:
        """The next message; None when the server has closed."""
        while (event := self.core.next_event()) is None:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.core.receive(data)
        assert isinstance(event, Message | DataRowRun | CopyDataRun)
        return event

    def answers(self) -> list[Message | DataRowRun | CopyDataRun]:
        """Messages up to ReadyForQuery, or all until the server closes."""
        found = []
        while (event := self.answer()) is not None:
            found.append(event)
            if isinstance(event, ReadyForQuery):
                break
        return found

    def log_in(self, version: int = VERSION_3_0, **parameters: str) -> list[Message | DataRowRun | CopyDataRun]:
        """Start-up where nothing has to be proved."""
        self.say(StartupMessage(version=version, parameters={"user": "demo"} | parameters))
        return self.answers()

    def query(self, sql: str) -> list[Message | DataRowRun | CopyDataRun]:
        """A simple query and its answers."""
        self.say(Query(query=sql))
        return self.answers()


def startup(version: int, *pairs: str, end: bytes = b"\0") -> bytes:
    """A start-up packet by hand."""
    body = struct.pack("!i", version) + b"".join(text.encode() + b"\0" for text in pairs) + end
    return struct.pack("!i", len(body) + 4) + body


def fatal(data: bytes) -> dict[str, str]:
    """The fields of the ErrorResponse that `data` is."""
    assert data[:1] == b"E", data
    return {field[:1].decode(): field[1:].decode() for field in data[5:-2].split(b"\0")}
