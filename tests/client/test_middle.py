"""Somebody between client and server, with a certificate of his own: what he can take away, and what he cannot."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

import febe
from febe.errors import AuthenticationError, EncryptionError, PostgresError
from febe.server import ServerTLS
from tests.peers import secure
from tests.peers.certificates import Authority, Pair
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.server.wire import Script

Refusal = (AuthenticationError, EncryptionError, PostgresError, psycopg.OperationalError)
PLUS_OFFER = b"SCRAM-SHA-256-PLUS\0"


@dataclass
class Middle:
    """What he does: `pair` takes TLS off and puts it on again; without it he says there is none.

    `downgrade` changes what the server says.
    """

    target: int
    pair: Pair | None
    downgrade: Callable[[bytes], bytes] = bytes
    port: int = 0
    overheard: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readexactly(8)
        far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
        far.write(request)
        assert await far_reader.readexactly(1) == b"S"
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        await far.start_tls(anybody)
        if self.pair is None:
            writer.write(b"N")
        else:
            writer.write(b"S")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pair.certificate, self.pair.key)
            await writer.start_tls(context)
        await asyncio.gather(self._pass(reader, far, bytes), self._pass(far_reader, writer, self.downgrade))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                    change: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await reader.read(65536):
                self.overheard += data
                writer.write(change(data))
                await writer.drain()
        with contextlib.suppress(OSError, ssl.SSLError, RuntimeError):
            writer.close()


@contextlib.contextmanager
def between(middle: Middle) -> Iterator[Middle]:
    """Have him stand there."""
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, EOFError):
            await middle.serve(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(one, "127.0.0.1", 0)
        middle.port = server.sockets[0].getsockname()[1]
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    task: list[asyncio.Task[None]] = []

    def work() -> None:
        asyncio.set_event_loop(loop)
        task.append(loop.create_task(main()))
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task[0])
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(10)
    try:
        yield middle
    finally:
        loop.call_soon_threadsafe(task[0].cancel)
        thread.join(10)
        assert not thread.is_alive()


def without_plus(data: bytes) -> bytes:
    """Take the offer of channel binding away from AuthenticationSASL."""
    if PLUS_OFFER not in data:
        return data
    at = data.index(b"R\0\0\0")
    length = int.from_bytes(data[at + 1:at + 5]) - len(PLUS_OFFER)
    return data[:at + 1] + length.to_bytes(4) + data[at + 5:].replace(PLUS_OFFER, b"")


def only_cleartext(data: bytes) -> bytes:
    """Ask for the password itself instead."""
    return b"R\0\0\0\x08\0\0\0\3" if data[:1] == b"R" else data


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate by somebody whom nobody knows."""
    return Authority(place=tmp_path_factory.mktemp("evil"), name="evil").pair("localhost", "localhost")


@pytest.fixture(params=["febe", "PostgreSQL 17"])
def target(request: pytest.FixtureRequest, localhost: Pair) -> Iterator[int]:
    """Each server in turn."""
    if request.param != "febe":
        found: Postgres = request.getfixturevalue("secure17")
        yield found.port
        return
    with listening(Script(), users={"scram_ssl": secure.PASSWORD},
                   tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as listener:
        yield listener.port


CLIENTS: dict[str, Callable[..., Any]] = {"febe": febe.connect, "libpq": psycopg.connect}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("channel_binding", ["prefer", "require"])
def test_a_certificate_of_his_own(target: int, evil: Pair, client: str, channel_binding: str) -> None:
    """`sslmode=require` trusts anybody; the channel binding does not."""
    with between(Middle(target, evil)) as middle:
        with pytest.raises(Refusal, match="channel binding check failed"):
            CLIENTS[client](**at(middle.port, channel_binding=channel_binding))
        assert secure.PASSWORD.encode() not in middle.overheard
        CLIENTS[client](**at(middle.port, channel_binding="disable")).close()  # who does not care is not protected


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("channel_binding, words", [
    ("prefer", "channel binding negotiation error"),
    ("require", "did not offer an authentication method that supports")])
def test_the_offer_taken_away(target: int, evil: Pair, client: str, channel_binding: str, words: str) -> None:
    with between(Middle(target, evil, without_plus)) as middle, pytest.raises(Refusal, match=words):
        CLIENTS[client](**at(middle.port, channel_binding=channel_binding))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("options", [{"channel_binding": "require"}, {"require_auth": "scram-sha-256"}])
def test_another_request_put_in_its_place(target: int, evil: Pair, client: str, options: dict[str, str]) -> None:
    with between(Middle(target, evil, only_cleartext)) as middle:
        with pytest.raises(Refusal, match=r"cleartext|not supported by server's authentication request"):
            CLIENTS[client](**at(middle.port, **options))
        assert secure.PASSWORD.encode() not in middle.overheard


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("options, words", [
    ({"sslmode": "require"}, "server does not support SSL, but SSL was required"),
    ({"sslmode": "prefer"}, "offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection"),
    ({"sslmode": "prefer", "channel_binding": "require"}, "channel binding required, but SSL not in use")])
def test_tls_taken_away(target: int, client: str, options: dict[str, str], words: str) -> None:
    """He says N to SSLRequest, and speaks TLS to the server himself."""
    with between(Middle(target, None)) as middle, pytest.raises(Refusal, match=words):
        CLIENTS[client](**at(middle.port) | options)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_who_asks_for_the_authority_is_not_deceived(target: int, evil: Pair, authority: Authority, client: str,
                                                    sslmode: str) -> None:
    with between(Middle(target, evil)) as middle:
        with pytest.raises(Refusal, match="certificate"):
            CLIENTS[client](**at(middle.port, sslmode=sslmode, sslrootcert=str(authority.root)))
        assert middle.overheard == b""


def at(port: int, **options: str) -> dict[str, Any]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": str(port), "user": "scram_ssl", "dbname": "postgres",
            "password": secure.PASSWORD, "gssencmode": "disable", "sslmode": "require", **options}
