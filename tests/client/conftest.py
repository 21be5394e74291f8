"""One suite for both faces: what a test asks of a connection, it asks of each in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

import febe
import febe.aio


class Server(Protocol):
    """What the suite needs of a server fixture; `Postgres` and `FebeServer` have it."""

    def dsn(self, user: str = ..., *, password: str | None = None) -> str: ...


class Face:
    """One of the client's faces with blocking calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._runner = asyncio.Runner() if name == "asyncio" else None

    def __call__(self, result: Any) -> Any:
        """What a call of the face gives, waited for."""
        if self._runner is None:
            return result
        return self._runner.run(self._wait(result))

    @staticmethod
    async def _wait(result: Any) -> Any:
        return await result

    def connect(self, conninfo: str = "", **options: Any) -> Client:
        """A connection of this face."""
        connect = febe.connect if self._runner is None else febe.aio.connect
        return Client(self, self(connect(conninfo, **options)))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


class Client:
    """A connection or a prepared statement of either face, called as the blocking one is."""

    def __init__(self, face: Face, real: Any) -> None:
        self.face, self.real = face, real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            result = self.face(found(*args, **options))
            return Client(self.face, result) if name == "prepare" else result

        return call


@pytest.fixture(params=["blocking", "asyncio"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each face of the client in turn."""
    made = Face(request.param)
    yield made
    made.close()


@pytest.fixture
def connect(face: Face, postgres: Server) -> Iterator[Callable[..., Client]]:
    """Connect to the server under test as one of its users; everything is closed at the end."""
    made: list[Client] = []

    def connect(user: str | None = None, **options: Any) -> Client:
        made.append(face.connect(postgres.dsn(user) if user else postgres.dsn(), **options))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def connection(connect: Callable[..., Client]) -> Client:
    """A connection to the server under test."""
    return connect()
