"""SCRAM-SHA-256-PLUS both ways, and who stands between."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

import febe
from febe.errors import AuthenticationError, PostgresError
from febe.flows.connect import Login
from febe.protocol.authentication import (
    AuthenticationSASL,
    SASLInitialResponse,
)
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.scram import PLUS, ScramClient, ScramServer, ScramVerifier
from febe.protocol.startup import StartupMessage
from febe.server import ServerTLS
from tests.client.conftest import Face
from tests.flows.backend import Backend, opened
from tests.peers import secure
from tests.peers.certificates import KINDS, Authority, Pair
from tests.peers.installation import Missing, installation
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.server.wire import Script

PASSWORD = secure.PASSWORD
BOUND = [kind for kind in KINDS if kind != "ed25519"]


def at(port: int, **options: object) -> dict[str, Any]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": port, "password": PASSWORD, "dbname": "postgres",
            "gssencmode": "disable", "sslmode": "require", **options}


# febe's client and PostgreSQL


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_postgresql(face: Face, secure_postgres: Postgres, binding: str) -> None:
    traced: list[str] = []
    connection = face.connect(**at(secure_postgres.port, user="scram_ssl", channel_binding=binding),
                              trace=lambda _, cls, data: traced.append(data.decode("latin-1"))
                              if cls is SASLInitialResponse else None)
    assert connection.fetchval("select 1") == 1
    assert ("SCRAM-SHA-256-PLUS" in traced[0]) is (binding != "disable")
    connection.close()


@pytest.mark.parametrize(("user", "options", "words"), [
    ("any", {}, "channel binding required, but server authenticated client without channel binding"),
    ("password", {}, "channel binding required but not supported by server's authentication request"),
    ("md5", {}, "channel binding required but not supported by server's authentication request"),
    ("scram", {"sslmode": "disable"}, "channel binding required, but SSL not in use"),
])
def test_required_and_not_to_be_had(secure17: Postgres, user: str, options: dict[str, str], words: str) -> None:
    found = at(secure17.port, user=user, channel_binding="require") | options
    for connect in (psycopg.connect, febe.connect):
        with pytest.raises((AuthenticationError, psycopg.OperationalError), match=words):
            connect(**found)


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_certificates_of_postgresql(authority: Authority, kind: str) -> None:
    """As libpq where there is a hash; without one, `require` is refused, and `prefer` goes on unbound."""
    try:
        found = installation(15)
    except Missing as missing:
        pytest.skip(str(missing))
    with secure.running(found, authority, authority.pair("localhost", kind=kind)) as server:
        options = at(server.port, user="scram_ssl")
        if kind in BOUND:
            for connect in (psycopg.connect, febe.connect):
                connect(**options, channel_binding="require").close()
            return
        for connect in (psycopg.connect, febe.connect):
            with pytest.raises((AuthenticationError, psycopg.OperationalError)):
                connect(**options, channel_binding="require")
            connect(**options, channel_binding="disable").close()
        febe.connect(**options, channel_binding="prefer").close()


# febe's server and other people's clients


def febe_with(pair: Pair) -> Any:
    return listening(Script(), users={"demo": PASSWORD},
                     tls=ServerTLS(certificate=pair.certificate, key=pair.key))


@pytest.mark.parametrize("kind", BOUND)
def test_clients_of_febe(authority: Authority, psql15: Path, kind: str) -> None:
    with febe_with(authority.pair("localhost", kind=kind)) as listener:
        for connect in (psycopg.connect, febe.connect):
            for binding in ("require", "prefer", "disable"):
                connect(**at(listener.port, user="demo", channel_binding=binding)).close()
            with pytest.raises((PostgresError, psycopg.OperationalError), match="password authentication failed"):
                connect(**at(listener.port, user="demo", channel_binding="require", password="wrong"))
            with pytest.raises((PostgresError, psycopg.OperationalError), match="password authentication failed"):
                connect(**at(listener.port, user="nobody", channel_binding="require"))
        said = subprocess.run([psql15, f"host=localhost port={listener.port} user=demo password={PASSWORD} "
                               "channel_binding=require sslmode=require gssencmode=disable", "-XAtc", "one"],
                              capture_output=True, text=True, check=True)
        assert said.stdout == "1\n"


def test_a_certificate_without_a_hash(authority: Authority) -> None:
    """CVE-2026-54291: what is required is not dropped."""
    with febe_with(authority.pair("localhost", kind="ed25519")) as listener:
        for connect in (psycopg.connect, febe.connect):
            for binding in ("prefer", "disable"):
                connect(**at(listener.port, user="demo", channel_binding=binding)).close()
            with pytest.raises((AuthenticationError, psycopg.OperationalError),
                               match="channel binding is required, but server did not offer"):
                connect(**at(listener.port, user="demo", channel_binding="require"))


# Who stands between


def server(is_plus: bool, binding: bytes | None) -> ScramServer:
    return ScramServer(ScramVerifier.make(PASSWORD, b"0123456789abcdef"), b"n" * 18, binding=binding, is_plus=is_plus)


def test_two_connections_are_not_one() -> None:
    """A man in the middle with a certificate of his own passes the messages on."""
    client = ScramClient(PASSWORD, b"c" * 18, binding=b"his certificate")
    real = server(True, b"the server's certificate")
    with pytest.raises(RemoteProtocolError, match="SCRAM channel binding check failed") as caught:
        real.finish(client.final(real.challenge(client.first())))
    assert caught.value.sqlstate == "28000"


def test_an_offer_taken_away() -> None:
    client = ScramClient(PASSWORD, b"c" * 18, could_bind=True)
    with pytest.raises(RemoteProtocolError, match="SCRAM channel binding negotiation error") as caught:
        server(False, b"x").challenge(client.first())
    assert caught.value.sqlstate == "28000"
    without = server(False, None)
    assert without.finish(client.final(without.challenge(client.first()))).startswith(b"v=")


@pytest.mark.parametrize(("is_plus", "first", "words"), [
    (True, b"n,,n=,r=abc", "does not include channel binding data"),
    (True, b"y,,n=,r=abc", "does not include channel binding data"),
    (False, b"p=tls-server-end-point,,n=,r=abc", "includes channel binding data"),
    (True, b"p=tls-unique,,n=,r=abc", 'unsupported SCRAM channel-binding type "tls-unique"'),
    (True, b"x,,n=,r=abc", 'unexpected channel-binding flag "x"'),
])
def test_flags_that_do_not_fit(is_plus: bool, first: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        server(is_plus, b"x").challenge(first)


def test_a_flag_changed_later() -> None:
    """The proof covers what was said at first."""
    for binding, is_plus in ((b"x", True), (None, False)):
        client = ScramClient(PASSWORD, b"c" * 18, binding=binding)
        real = server(is_plus, b"x")
        final = client.final(real.challenge(client.first()))
        with pytest.raises(RemoteProtocolError):
            real.finish(b"c=eSws" + final[final.index(b",r="):])


@pytest.mark.parametrize(("binding", "mechanisms", "words"), [
    ("prefer", [PLUS, "SCRAM-SHA-256"], "over a non-SSL connection"),
    ("prefer", ["OTHER"], "none of the server's SASL mechanisms"),
    ("require", ["SCRAM-SHA-256"], "channel binding required, but SSL not in use"),
])
def test_offers_a_client_refuses(binding: str, mechanisms: list[str], words: str) -> None:
    async def script(backend: Backend) -> None:
        await backend.expect(StartupMessage)
        await backend.say(AuthenticationSASL(mechanisms=mechanisms))
        await backend.expect(SASLInitialResponse)

    with pytest.raises(AuthenticationError, match=words):
        opened(script, Login(user="u", password=PASSWORD, channel_binding=binding))


def test_replayed_messages(authority: Authority) -> None:
    """What was overheard once opens nothing: the server's nonce is new."""
    client = ScramClient(PASSWORD, b"c" * 18)
    first = server(False, None)
    final = client.final(first.challenge(client.first()))
    first.finish(final)
    again = ScramServer(ScramVerifier.make(PASSWORD, b"0123456789abcdef"), b"m" * 18)
    again.challenge(client.first())
    with pytest.raises(RemoteProtocolError, match="nonce mismatch"):
        again.finish(final)


