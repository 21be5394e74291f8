"""TLS between two ends in one memory: what a handshake, a record and a good-bye come to."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from febe.client.encryption import encryption_of
from febe.flows import close
from febe.flows.connect import Login, connect, open_session
from febe.flows.port import Layer
from febe.flows.serve import Conversation
from febe.flows.serve_startup import Offer, greet
from febe.ports.memory import MemoryPort, pair, run
from febe.ports.tls import TLS, offered_protocols
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection
from febe.protocol.encryption import Encryption
from febe.protocol.errors import ConnectionLost, EncryptionError, RemoteProtocolError
from febe.protocol.message import Sender
from febe.protocol.startup import (
    BackendKeyData,
    CancelRequest,
    ReadyForQuery,
    SSLAccepted,
    SSLRequest,
    StartupMessage,
    Terminate,
)
from febe.server import ServerTLS
from tests.flows.backend import error
from tests.peers.certificates import Authority, Pair


@pytest.fixture(scope="module")
def server_tls(localhost: Pair) -> ServerTLS:
    return ServerTLS(certificate=localhost.certificate, key=localhost.key)


@pytest.fixture
def offer(server_tls: ServerTLS) -> Offer:
    return Offer(tls=server_tls.layer, direct_tls=lambda: server_tls.layer(is_direct=True))


def wanted(authority: Authority, **options: str) -> Encryption[Layer]:
    given = {"sslmode": "verify-full", "sslrootcert": str(authority.root), **options}
    return encryption_of(given, "localhost")


async def serve_one(port: MemoryPort, offer: Offer) -> Conversation:
    conversation = Conversation(Connection(Sender.BACKEND), port)
    first = await greet(conversation, offer)
    assert isinstance(first, StartupMessage)
    conversation.say(AuthenticationOk(), BackendKeyData(process_id=7, secret_key=b"0123"), ReadyForQuery(status="I"))
    await conversation.deliver()
    assert isinstance(await conversation.next_event(), Terminate)
    with pytest.raises(ConnectionLost, match="closed"):  # close_notify
        await port.exchange(b"")
    return conversation


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("chunk", [0, 1, 7, 1000])
def test_a_session_and_its_end(authority: Authority, offer: Offer, negotiation: str, chunk: int) -> None:
    client, server = pair(chunk)

    async def frontend() -> None:
        session = await connect(client, Login(user="u", encryption=wanted(authority, sslnegotiation=negotiation)))
        assert session.secret_key == b"0123"
        assert client.encryption == "SSL"
        assert isinstance(client.layer, TLS)
        assert (client.layer.version, client.layer.alpn) == ("TLSv1.3", "postgresql")
        assert client.layer.cipher
        await close.close(session)

    run(both(frontend(), serve_one(server, offer)))
    assert b"\0\3\0\0user\0" not in bytes(client.sent)
    assert client.layer is not None
    assert server.layer is not None
    assert client.layer.channel_binding() == server.layer.channel_binding()


async def both(first: Awaitable[Any], second: Any) -> None:
    """Two flows in turn, to the end of both."""
    import types

    @types.coroutine
    def turns() -> Any:
        left = [first, second]
        while left:
            for flow in left[:]:
                try:
                    flow.send(None)  # type: ignore[attr-defined]
                except StopIteration:
                    left.remove(flow)
            yield

    await turns()


def test_large_data_both_ways(authority: Authority, server_tls: ServerTLS) -> None:
    left, right = pair(10_000)
    client, server = wanted(authority).tls, server_tls.layer()
    assert client is not None
    data = bytes(range(256)) * 5_000

    async def talk(port: MemoryPort, layer: Layer) -> None:
        await port.encrypt(layer)
        await port.flush(data)
        received = b""
        while len(received) < len(data):
            received += await port.exchange(b"")
        assert received == data

    run(both(talk(left, client()), talk(right, server)))


def test_a_second_layer_is_refused(authority: Authority, server_tls: ServerTLS) -> None:
    left, right = pair()
    make = wanted(authority).tls
    assert make is not None

    async def twice() -> None:
        await left.encrypt(make())
        with pytest.raises(ValueError, match="already"):
            await left.encrypt(make())

    run(both(twice(), right.encrypt(server_tls.layer())))


@pytest.mark.parametrize("smuggled", [b"X", StartupMessage(version=0x30000, parameters={"user": "u"}).encode()])
def test_a_server_takes_nothing_in_clear_for_protected(offer: Offer, smuggled: bytes) -> None:
    client, server = pair()

    async def frontend() -> None:
        await client.exchange(SSLRequest().encode() + smuggled)

    async def backend() -> None:
        with pytest.raises(RemoteProtocolError, match="received unencrypted data after SSL request"):
            await greet(Conversation(Connection(Sender.BACKEND), server), offer)
        await server.aclose()

    with pytest.raises(ConnectionLost):
        run(frontend(), backend())


def test_what_comes_in_clear_after_the_answer_is_no_handshake(offer: Offer) -> None:
    client, server = pair()

    async def frontend() -> None:
        assert await client.exchange(SSLRequest().encode()) == SSLAccepted().encode()
        await client.exchange(StartupMessage(version=0x30000, parameters={"user": "u"}).encode())

    async def backend() -> None:
        with pytest.raises(EncryptionError, match="SSL error"):
            await greet(Conversation(Connection(Sender.BACKEND), server), offer)
        await server.aclose()

    run(both(swallow(frontend()), backend()))


async def swallow(flow: Any) -> None:
    with contextlib.suppress(ConnectionLost, EncryptionError):
        await flow


def test_a_client_takes_nothing_in_clear_for_protected(authority: Authority) -> None:
    client, server = pair()

    async def backend() -> None:
        await server.exchange(b"")
        await server.flush(SSLAccepted().encode() + AuthenticationOk().encode())

    with pytest.raises(RemoteProtocolError, match="received unencrypted data after SSL response"):
        run(connect(client, Login(user="u", encryption=wanted(authority))), backend())


def test_error_text_from_before_tls_is_not_shown(authority: Authority) -> None:
    """CVE-2024-10977."""
    client, server = pair()

    async def backend() -> None:
        await server.exchange(b"")
        await server.flush(error("28000", "go to evil.example").encode())

    with pytest.raises(EncryptionError, match=r"^server sent an error response during SSL exchange$") as caught:
        run(connect(client, Login(user="u", encryption=wanted(authority))), backend())
    assert "evil" not in repr(caught.value)


def test_a_cut_connection_is_no_end(authority: Authority, server_tls: ServerTLS) -> None:
    left, right = pair()
    make = wanted(authority).tls
    assert make is not None

    async def cut() -> None:
        await right.encrypt(server_tls.layer())
        right.abort()

    async def hear() -> None:
        await left.encrypt(make())
        with pytest.raises(ConnectionLost):
            while True:
                await left.exchange(b"")

    run(both(hear(), cut()))


def test_a_changed_record_is_refused(authority: Authority, server_tls: ServerTLS) -> None:
    left, right = pair()
    make = wanted(authority).tls
    assert make is not None

    async def change() -> None:
        layer = server_tls.layer()
        await right.encrypt(layer)
        record = bytearray(layer.encrypt(b"hello"))
        record[-1] ^= 1
        left._inbox += record

    async def hear() -> None:
        await left.encrypt(make())
        with pytest.raises(ConnectionLost, match=r"bad record mac|decryption failed"):
            while True:
                await left.exchange(b"")

    run(both(hear(), change()))


def test_cancel_inside_tls(authority: Authority, offer: Offer) -> None:
    client, server = pair()
    core = Connection(Sender.FRONTEND)
    request = CancelRequest(process_id=7, secret_key=b"0123")

    async def frontend() -> None:
        core.receive(await client.exchange(core.send(SSLRequest())))
        core.next_event()
        make = wanted(authority).tls
        assert make is not None
        await client.encrypt(make())
        await client.flush(core.send(request))

    async def backend() -> None:
        assert await greet(Conversation(Connection(Sender.BACKEND), server), offer) == request

    run(both(frontend(), backend()))


# Falling back


class Dialled:
    """Connections to servers that each do what they are told."""

    def __init__(self, *servers: Callable[[MemoryPort], Any]) -> None:
        self.left = list(servers)
        self.flows: list[Any] = []

    async def dial(self) -> MemoryPort:
        client, server = pair()
        self.flows.append(self.left.pop(0)(server))
        return client


def fallen_back(authority: Authority, sslmode: str, *servers: Callable[[MemoryPort], Any]) -> Dialled:
    dialled = Dialled(*servers)
    options = {"sslmode": sslmode} if sslmode != "direct" else {"sslmode": "require", "sslnegotiation": "direct"}
    login = Login(user="u", encryption=encryption_of(options, "localhost"))

    async def frontend() -> None:
        await open_session(dialled.dial, login)

    async def main() -> None:
        import types

        flow = frontend()

        @types.coroutine
        def turns() -> Any:
            while True:
                try:
                    flow.send(None)
                except StopIteration:
                    return
                for server in dialled.flows[:]:
                    try:
                        server.send(None)
                    except StopIteration:
                        dialled.flows.remove(server)
                yield

        await turns()

    run(main())
    return dialled


async def plain_only(port: MemoryPort) -> None:
    await greet_and_let_in(port, Offer())


async def greet_and_let_in(port: MemoryPort, offer: Offer) -> None:
    conversation = Conversation(Connection(Sender.BACKEND), port)
    await greet(conversation, offer)
    conversation.say(AuthenticationOk(), ReadyForQuery(status="I"))
    await conversation.deliver()


async def broken_tls(port: MemoryPort) -> None:
    await port.exchange(b"")
    await port.flush(b"S")
    await port.exchange(b"")
    await port.flush(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def not_in_this_way(port: MemoryPort) -> None:
    conversation = Conversation(Connection(Sender.BACKEND), port)
    await greet(conversation, Offer())
    await port.flush(error("28000", "no way").encode())


def test_prefer_falls_back_where_a_handshake_fails(authority: Authority) -> None:
    assert not fallen_back(authority, "prefer", broken_tls, plain_only).left


def test_require_does_not(authority: Authority) -> None:
    with pytest.raises(EncryptionError, match="SSL error: wrong version number"):
        fallen_back(authority, "require", broken_tls, plain_only)


def test_allow_tries_tls_after_an_error(authority: Authority, offer: Offer) -> None:
    async def secure(port: MemoryPort) -> None:
        await greet_and_let_in(port, offer)
        assert port.encryption == "SSL"

    assert not fallen_back(authority, "allow", not_in_this_way, secure).left


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer"])
def test_no_tls_is_enough(authority: Authority, sslmode: str) -> None:
    assert not fallen_back(authority, sslmode, plain_only).left


# ALPN


def hello(*protocols: str, direct: bool = True) -> bytes:
    """A ClientHello."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="h").do_handshake()
    return outgoing.read()


def test_offered_protocols() -> None:
    assert offered_protocols(hello("postgresql")) == [b"postgresql"]
    assert offered_protocols(hello("h2", "http/1.1")) == [b"h2", b"http/1.1"]
    assert offered_protocols(hello()) == []
    assert offered_protocols(b"GET / HTTP/1.1") == []
    whole = hello("postgresql")
    assert all(offered_protocols(whole[:size]) is None for size in range(len(whole)))
    # the same in two records
    halves = [whole[5:100], whole[100:]]
    assert offered_protocols(b"".join(b"\x16\3\1" + len(half).to_bytes(2) + half for half in halves)) == [b"postgresql"]


def test_offered_protocols_of_damaged_hellos() -> None:
    whole = bytearray(hello("postgresql"))
    for pos in range(len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            damaged = bytearray(whole)
            damaged[pos] = value
            offered_protocols(bytes(damaged))


@pytest.mark.parametrize("is_direct", [False, True])
def test_another_protocol_is_refused(server_tls: ServerTLS, is_direct: bool) -> None:
    layer = server_tls.layer(is_direct=is_direct)
    with pytest.raises(EncryptionError, match="another application protocol"):
        layer.handshake(hello("h2"))
    assert layer.farewell() == bytes.fromhex("15030300020278")


def test_direct_tls_needs_alpn(server_tls: ServerTLS) -> None:
    left, right = pair()

    async def client() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await left.encrypt(TLS(context))

    async def server() -> None:
        with pytest.raises(EncryptionError, match="without ALPN"):
            await right.encrypt(server_tls.layer(is_direct=True))

    run(both(client(), server()))
