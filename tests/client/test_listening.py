"""A listener that connects again, and says where it may have missed something, by each face."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import pytest

import febe
import febe.aio
import febe.trio
from febe.errors import ConnectionLost, PostgresError
from tests.client.faces import FACES, Awaited, run
from tests.peers.postgres import Postgres


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def listen(face: str, *args: Any, **options: Any) -> Any:
    if face == "blocking":
        return Awaited(febe.listen(*args, **options))
    return {"asyncio": febe.aio.listen, "trio": febe.trio.listen}[face](*args, **options)


class Relay:
    """What stands between, and passes connections on only while it is open."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_open = True
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Pass nothing on, and cut what there is."""
        self.is_open = False
        for end in self._ends:
            with contextlib.suppress(OSError):  # the other end was quicker
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass connections on again."""
        self.is_open = True

    def close(self) -> None:
        """Take no more."""
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self.is_open:
                near.close()
                continue
            far = socket.create_connection((self._server.host, self._server.port))
            self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    @staticmethod
    def _forward(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def test_a_loss_is_told_and_mended(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        other = await connect(pg18.dsn())
        async with listen(face, pg18.dsn(), "news", "jobs") as news:
            for number in range(3):
                await other.execute(f"notify jobs, '{number}'; notify elsewhere")
                assert (await news.__anext__()).payload == str(number)
                await other.execute(f"notify news, 'last {number}'")
                assert (await news.__anext__()).payload == f"last {number}"
                await other.execute("select pg_terminate_backend($1)", news.connection.process_id)
                gap = await news.__anext__()
                assert isinstance(gap, febe.Gap) and isinstance(gap.error, ConnectionLost) and gap.attempts >= 1
        await other.close()

    run(face, main)


def test_it_tries_until_the_server_is_back(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        relay = Relay(pg18)
        async with listen(face, pg18.dsn(), "news", port=relay.port) as news:
            relay.cut()
            timer = threading.Timer(0.05, relay.mend)
            timer.start()
            gap = await news.__anext__()
            timer.join()
            assert isinstance(gap, febe.Gap)
            await news.connection.execute("notify news, 'back'")
            assert (await news.__anext__()).payload == "back"
        relay.close()

    run(face, main)


def test_what_no_attempt_can_mend(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        relay = Relay(pg18)
        async with listen(face, pg18.dsn(), "news", port=relay.port, attempts=2) as news:
            relay.cut()
            with pytest.raises(ConnectionLost):
                await news.__anext__()
            relay.close()
            with pytest.raises(ConnectionLost, match=r"connection to .* failed"):  # tried again when it is asked again
                await news.__anext__()
        with pytest.raises(PostgresError):
            async with listen(face, pg18.dsn(), "news", dbname="nowhere_at_all"):
                pass

    run(face, main)
