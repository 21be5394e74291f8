"""OAUTHBEARER before servers that do not keep to it."""

from __future__ import annotations

import json

import pytest

from febe.errors import AuthenticationError, PostgresError
from febe.flows.authenticate_oauth import OAuth, TokenRequest
from febe.flows.connect import Login, open_session
from febe.flows.require_auth import RequireAuth
from febe.flows.session import Session
from febe.ports.memory import MemoryPort, pair, run
from febe.protocol.authentication import (
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.encryption import Encryption
from febe.protocol.message import Message
from febe.protocol.oauthbearer import failure
from febe.protocol.startup import SSLAccepted, SSLRequest, StartupMessage
from tests.flows.backend import Backend, Script, error

ISSUER = "https://issuer.example"
TOLD = failure(ISSUER, "shop")


def login(issuer: str = ISSUER, scope: str | None = None,
          require_auth: str | None = None) -> tuple[Login, list[TokenRequest]]:
    asked: list[TokenRequest] = []

    def source(request: TokenRequest) -> str:
        asked.append(request)
        return "a.token"

    return Login(user="u", database="d", oauth=OAuth(issuer=issuer, client_id="c", scope=scope, source=source),
                 require_auth=RequireAuth.parse(require_auth) if require_auth else None), asked


def opened(login: Login, *scripts: Script) -> Session:
    """Open a session with a backend that does on each connection what its script says."""
    ports = [pair() for _ in scripts]
    waiting = iter([client for client, _ in ports])

    async def dial() -> MemoryPort:
        return next(waiting)

    backends = (script(Backend(server)) for script, (_, server) in zip(scripts, ports, strict=True))
    return run(open_session(dial, login), *backends)


async def ask(backend: Backend) -> bytes:
    """Ask for a token; what the client says."""
    await backend.expect(StartupMessage)
    await backend.say(AuthenticationSASL(mechanisms=["OAUTHBEARER"]))
    return (await backend.expect(SASLInitialResponse)).data or b""


def telling(document: bytes, *then: Message) -> Script:
    """Refuse with this document."""
    async def script(backend: Backend) -> None:
        await ask(backend)
        await backend.say(AuthenticationSASLContinue(data=document))
        assert (await backend.expect(SASLResponse)).data == b"\x01"
        await backend.say(*then or (error("28000", "no token"),))

    return script


async def greeting(backend: Backend) -> None:
    assert await ask(backend) == b"n,,\x01auth=Bearer a.token\x01\x01"
    await backend.greet()


def test_two_connections() -> None:
    options, asked = login(require_auth="oauth")
    assert not opened(options, telling(TOLD), greeting).is_closed
    (request,) = asked
    assert (request.issuer, request.scope) == (ISSUER, "shop")


def test_the_program_s_scope_goes_before_the_server_s() -> None:
    options, asked = login(scope="mine")
    opened(options, telling(TOLD), greeting)
    assert asked[0].scope == "mine"


@pytest.mark.parametrize("document, words", [
    (b"no JSON", "failed to parse server's error response"),
    (b'{"scope": "x"}', "without a status"),
    (b'{"status": "invalid_token"}', "did not say where its tokens come from"),
    (failure("https://evil.example", "x"), "is incompatible with oauth_issuer"),
    (failure("http://issuer.example", "x"), "must use HTTPS"),
    (json.dumps({"status": "invalid_token", "openid-configuration": f"{ISSUER}/x"}).encode(), "not a .well-known URI")])
def test_documents_that_lead_elsewhere(document: bytes, words: str) -> None:
    options, asked = login()
    with pytest.raises(AuthenticationError, match=words):
        opened(options, telling(document))
    assert asked == []


def test_a_document_that_has_moved() -> None:
    options, asked = login(f"{ISSUER}/.well-known/oauth-authorization-server")
    with pytest.raises(AuthenticationError, match="has moved to"):
        opened(options, telling(TOLD))
    opened(options, telling(b'{"status": "invalid_token"}'), greeting)  # a server need not say what is known
    assert [request.openid_configuration for request in asked] == [f"{ISSUER}/.well-known/oauth-authorization-server"]


def test_another_status_is_the_end() -> None:
    options, asked = login()
    with pytest.raises(PostgresError, match="no token") as caught:
        opened(options, telling(b'{"status": "insufficient_scope"}'.replace(b"}", f', "openid-configuration": '
                                f'"{ISSUER}/.well-known/openid-configuration"}}'.encode())))
    assert "insufficient_scope" in caught.value.__notes__[0]
    assert asked == []


def test_a_token_is_asked_for_once() -> None:
    options, asked = login()
    with pytest.raises(PostgresError, match="no token"):
        opened(options, telling(TOLD), telling(TOLD))
    assert len(asked) == 1


def test_a_second_challenge() -> None:
    options, _ = login()
    with pytest.raises(AuthenticationError, match="additional OAuth data after error"):
        opened(options, telling(TOLD, AuthenticationSASLContinue(data=TOLD)))


def test_a_refusal_that_lets_in() -> None:
    options, _ = login()
    with pytest.raises(AuthenticationError, match="refused the OAuth token and then let the client in"):
        opened(options, telling(TOLD, AuthenticationOk()))


def test_final_data() -> None:
    async def script(backend: Backend) -> None:
        await ask(backend)
        await backend.say(AuthenticationSASLFinal(data=b""))

    with pytest.raises(AuthenticationError, match="additional OAuth data"):
        opened(login()[0], script)


def test_who_insists_on_a_token_is_not_let_in_without() -> None:
    async def script(backend: Backend) -> None:
        await ask(backend)
        await backend.greet()

    with pytest.raises(AuthenticationError, match="did not complete authentication"):
        opened(login(require_auth="oauth")[0], script)
    assert not opened(login()[0], script).is_closed  # as by trust


def test_a_token_is_not_shown_again_in_clear() -> None:
    """sslmode=prefer tries again without TLS after a refusal, but not with somebody's token."""
    seen = []

    class Transparent:
        kind, certificate, principal = "SSL", None, None

        def channel_binding(self) -> None:
            return None

        def handshake(self, data: bytes) -> tuple[bytes, bool]:
            return b"", True

        def encrypt(self, data: bytes) -> bytes:
            return data

        decrypt = encrypt

        def farewell(self) -> bytes:
            return b""

    async def tls(backend: Backend) -> None:
        await backend.expect(SSLRequest)
        await backend.say(SSLAccepted())

    async def first(backend: Backend) -> None:
        await tls(backend)
        await telling(TOLD)(backend)

    async def second(backend: Backend) -> None:
        await tls(backend)
        await telling(TOLD)(backend)

    async def in_clear(backend: Backend) -> None:
        seen.append(await backend.expect(StartupMessage))

    options, _ = login()
    options.encryption = Encryption(sslmode="prefer", tls=Transparent)  # type: ignore[arg-type]
    with pytest.raises(PostgresError, match="no token"):
        opened(options, first, second, in_clear)
    assert seen == []
