"""A backend that says what a test has it say, on a core of its own: what it may not say, it cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from febe.flows import close as close_flow
from febe.flows.connect import Login, connect
from febe.flows.session import Session
from febe.ports.memory import MemoryPort, pair, run
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection
from febe.protocol.errors import ConnectionLost
from febe.protocol.message import Message, Sender
from febe.protocol.startup import BackendKeyData, ParameterStatus, ReadyForQuery, StartupMessage

T = TypeVar("T")
M = TypeVar("M", bound=Message)
PARAMETERS = {"server_version": "18.0", "client_encoding": "UTF8"}


class Backend:
    """The other end of a test."""

    def __init__(self, port: MemoryPort) -> None:
        self.port = port
        self.core = Connection(Sender.BACKEND)

    async def expect(self, kind: type[M]) -> M:
        """The next message, which must be of this kind."""
        while True:
            event = self.core.next_event()
            if event is not None:
                assert isinstance(event, kind), f"{event} came where a {kind.__name__} was expected"
                return event
            self.core.receive(await self.port.exchange(b""))

    async def expect_all(self, *kinds: type[Message]) -> list[Any]:
        """The next messages, of these kinds."""
        return [await self.expect(kind) for kind in kinds]

    async def say(self, *messages: Message) -> None:
        """Send messages."""
        await self.port.flush(self.core.send(*messages))

    async def raw(self, data: bytes) -> None:
        """Send bytes that the core does not know of."""
        await self.port.flush(data)

    async def greet(self, *, parameters: dict[str, str] = PARAMETERS, key: bytes = b"\0\1\2\3") -> None:
        """AuthenticationOk and what follows it."""
        await self.say(AuthenticationOk())
        await self.settle(parameters=parameters, key=key)

    async def settle(self, *, parameters: dict[str, str] = PARAMETERS, key: bytes = b"\0\1\2\3") -> None:
        """What follows AuthenticationOk."""
        await self.say(*(ParameterStatus(name=k, value=v) for k, v in parameters.items()),
                       BackendKeyData(process_id=77, secret_key=key), ReadyForQuery(status="I"))

    async def open(self) -> StartupMessage:
        """Let anybody in."""
        startup = await self.expect(StartupMessage)
        await self.greet()
        return startup


Script = Callable[[Backend], Coroutine[Any, Any, object]]


def error(sqlstate: str, message: str = "no", **more: str) -> ErrorResponse:
    """An ErrorResponse; `more` by field code."""
    return ErrorResponse(fields_by_code={"S": "ERROR", "V": "ERROR", "C": sqlstate, "M": message, **more})


def opened(script: Script, login: Login | None = None, *, chunk: int = 0) -> Session:
    """Connect to a backend that does what `script` says."""
    client, server = pair(chunk)
    return run(connect(client, login or Login(user="u", database="d")), script(Backend(server)))


def conversation(client: Callable[[Session], Awaitable[T]], script: Script, *, chunk: int = 0,
                 **options: Any) -> T:
    """Connect without authentication, then run `client` against `script`; the session ends with a Terminate."""
    left, right = pair(chunk)
    backend = Backend(right)

    async def frontend() -> T:
        session = await connect(left, Login(user="u", database="d", **options))
        result = await client(session)
        await close_flow.close(session)
        return result

    async def other() -> None:
        await backend.open()
        try:
            await script(backend)
        except ConnectionLost:
            return

    return run(frontend(), other())


__all__ = ["PARAMETERS", "Backend", "conversation", "error", "opened"]
