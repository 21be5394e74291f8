"""SCRAM on its own: the RFC's example, passwords as libpq prepares them, and messages that must not pass."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import febe
from febe.errors import AuthenticationError, RemoteProtocolError
from febe.protocol import scram
from febe.protocol.scram import ScramClient, ScramServer, ScramVerifier, saslprep
from tests.peers.postgres import USERS, Postgres

NONCE = b"0123456789abcdefgh"


class TestExample:
    """RFC 7677, section 3; PostgreSQL's messages have no user name, so it is put back here."""

    FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    FINAL = (b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
             b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    OUTCOME = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    def test_client(self) -> None:
        client = ScramClient("pencil", b"")
        client._nonce, client._bare = "rOprNGfwEbeRWgbNEkqO", "n=user,r=rOprNGfwEbeRWgbNEkqO"
        assert client.first() == self.FIRST
        assert client.final(self.CHALLENGE) == self.FINAL
        client.verify(self.OUTCOME)

    def test_server(self) -> None:
        verifier = ScramVerifier.make("pencil", b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81")
        server = ScramServer(verifier, b"")
        server._own_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        assert server.challenge(self.FIRST) == self.CHALLENGE
        assert server.finish(self.FINAL) == self.OUTCOME


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg18.dsn()) as made:
        made.execute("set scram_iterations = 1")
        yield made


class TestPasswords:
    @pytest.mark.parametrize("text, prepared", [
        ("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("\u0007", "\u0007"),
        ("\u06271", "\u06271"), ("\u0627\u0628", "\u0627\u0628"), ("a\u00a0b", "a b"), ("", "")])
    def test_saslprep(self, text: str, prepared: str) -> None:
        """RFC 4013, section 3; what is prohibited stays as it is, as in PostgreSQL."""
        assert saslprep(text) == prepared

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
    @given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
           | st.text("aA \u00ad\u00a0\u2168\u0627\u06281\u0301\ufb01\u1806\u2028\u00e9", min_size=1))
    def test_prepared_as_libpq_prepares_them(self, connection: psycopg.Connection, text: str) -> None:
        theirs = connection.pgconn.encrypt_password(text.encode(), b"u", b"scram-sha-256").decode()
        parsed = ScramVerifier.parse(theirs)
        assert str(ScramVerifier.make(text, parsed.salt, parsed.iterations)) == theirs


def challenge(client: ScramClient, nonce: str = "server", salt: str = "c2FsdA==", count: str = "1") -> bytes:
    return f"{client.first().decode().partition('r=')[2]}".join(("r=", f"{nonce},s={salt},i={count}")).encode()


class TestKeys:
    """Keys in the place of a password, as postgres_fdw hands them on (libpq: scram_client_key, scram_server_key)."""

    @staticmethod
    def keys(pg18: Postgres) -> dict[str, str]:
        text = pg18.psql("select rolpassword from pg_authid where rolname = 'scram'")
        verifier = ScramVerifier.parse(text)
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(USERS["scram"]).encode(), verifier.salt, verifier.iterations)
        found = {name: hmac.digest(salted, f"{name.title()} Key".encode(), "sha256") for name in ("client", "server")}
        assert found["server"] == verifier.server_key
        return {f"scram_{name}_key": b64encode(key).decode() for name, key in found.items()}

    def test_they_are_as_good_as_the_password(self, pg18: Postgres) -> None:
        keys, where = self.keys(pg18), {"host": "127.0.0.1", "port": str(pg18.port), "user": "scram",
                                        "dbname": "postgres"}
        for connect in (febe.connect, psycopg.connect):
            connect(**where, **keys).close()
        only = {"scram_client_key": keys["scram_client_key"]}
        febe.connect(**where, **only, password=USERS["scram"]).close()
        with pytest.raises(AuthenticationError, match="none was given"):
            febe.connect(**where, **only)

    def test_wrong_ones(self, pg18: Postgres) -> None:
        keys, where = self.keys(pg18), {"host": "127.0.0.1", "port": str(pg18.port), "user": "scram",
                                        "dbname": "postgres"}
        wrong = b64encode(bytes(32)).decode()
        for connect in (febe.connect, psycopg.connect):
            with pytest.raises((febe.Error, psycopg.OperationalError), match="password authentication failed"):
                connect(**where, **keys | {"scram_client_key": wrong})
            with pytest.raises((febe.Error, psycopg.OperationalError), match="incorrect server signature"):
                connect(**where, **keys | {"scram_server_key": wrong})

    @pytest.mark.parametrize("text", ["x", "AAAA", "!" * 44])
    @pytest.mark.parametrize("name", ["client", "server"])
    def test_what_is_no_key(self, name: str, text: str) -> None:
        said = []
        for connect in (febe.connect, psycopg.connect):
            with pytest.raises((febe.Error, psycopg.OperationalError)) as caught:
                connect(host="127.0.0.1", port=1, **{f"scram_{name}_key": text})
            said.append(str(caught.value))
        assert said[1].endswith(said[0])


class TestClient:
    @pytest.mark.parametrize("count", ["1000001", "2147483647", "4294967296", "9999999999"])
    def test_cve_2026_42198_an_iteration_bomb(self, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server names a count that keeps the client busy for hours: refused before anything is derived."""
        monkeypatch.setattr(scram, "pbkdf2_hmac", lambda *_: pytest.fail("a key was derived"))
        client = ScramClient("x", NONCE)
        with pytest.raises(AuthenticationError, match=f"asks for {count} SCRAM iterations, more than the 1000000"):
            client.final(challenge(client, count=count))

    @pytest.mark.parametrize("changes, words", [
        ({"count": "0"}, "iteration count"), ({"count": "-1"}, "iteration count"), ({"count": "01"}, "iteration count"),
        ({"count": "1e3"}, "iteration count"), ({"count": ""}, "iteration count"), ({"count": "1" * 99}, "iteration"),
        ({"salt": ""}, "salt"), ({"salt": "!"}, "base64 in salt"), ({"nonce": ""}, "nonce mismatch"),
        ({"nonce": "\x07"}, "non-printable"), ({"nonce": "a\u00e9"}, "not ASCII")])
    def test_challenges_that_do_not_do(self, changes: dict[str, str], words: str) -> None:
        client = ScramClient("x", NONCE)
        with pytest.raises((AuthenticationError, RemoteProtocolError), match=words):
            client.final(challenge(client, **changes))

    @pytest.mark.parametrize("data", [b"", b"r=", b"s=x,r=y,i=1", b"r=other,s=c2FsdA==,i=1", b"m=x,r=y", b"\xff"])
    def test_challenges_that_are_none(self, data: bytes) -> None:
        with pytest.raises((AuthenticationError, RemoteProtocolError)):
            ScramClient("x", NONCE).final(data)

    @pytest.mark.parametrize("outcome", [b"v=AAAA", b"v=", b"", b"e=other-error", b"x", b"v=\xff", b"v=" + b"A" * 44])
    def test_a_server_that_does_not_know_the_password(self, outcome: bytes) -> None:
        client = ScramClient("x", NONCE)
        client.final(challenge(client))
        with pytest.raises((AuthenticationError, RemoteProtocolError)):
            client.verify(outcome)

    def test_an_outcome_before_the_proof(self) -> None:
        with pytest.raises(AuthenticationError):
            ScramClient("x", NONCE).verify(b"v=AAAA")


class TestServer:
    def server(self) -> ScramServer:
        return ScramServer(ScramVerifier.make("x", b"salt", 1), NONCE)

    @pytest.mark.parametrize("first", [
        b"", b"n", b"n,,", b"n,,n=", b"n,,n=,x=y", b"n,,r=abc", b"n,,n=,r=", b"n,,n=,r=a\x07", b"n,,n=,r=\xff",
        b"n,,n=,r=a\xc3\xa9", b"z,,n=,r=abc"])
    def test_first_messages_that_do_not_do(self, first: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            self.server().challenge(first)
        assert caught.value.sqlstate == "08P01"

    @pytest.mark.parametrize("first", [b"n,a=root,n=,r=abc", b"n,,m=ext,n=,r=abc"])
    def test_what_is_not_supported(self, first: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            self.server().challenge(first)
        assert caught.value.sqlstate == "0A000"

    @pytest.mark.parametrize("final", [
        b"", b"c=biws,r={}", b"c=biws,r={},p=", b"c=biws,r={},p=AAAA", b"c=biws,r={},p=!", b"r={},c=biws,p=AAAA",
        b"c=biws,r=other,p=AAAA", b"c=eSws,r={},p=AAAA", b"c=,r={},p=AAAA", b"c=\xff,r={},p=AAAA",
        b"c=biws,r={},p=" + b"A" * 43 + b"="])
    def test_final_messages_that_do_not_do(self, final: bytes) -> None:
        server = self.server()
        nonce = server.challenge(b"n,,n=,r=abc").partition(b",")[0][2:]
        with pytest.raises((AuthenticationError, RemoteProtocolError)):
            server.finish(final.replace(b"{}", nonce))

    def test_the_unknown_never_get_in(self) -> None:
        """Whoever knows the mock's keys proves nothing by them."""
        mock = ScramVerifier.mock("nobody", b"secret")
        server = ScramServer(mock, NONCE)
        nonce = server.challenge(b"n,,n=,r=abc").partition(b",")[0][2:]
        with pytest.raises(AuthenticationError):
            server.finish(b"c=biws,r=" + nonce + b",p=" + b"A" * 43 + b"=")

    @pytest.mark.parametrize("text", ["", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:a$b:c", "SCRAM-SHA-256$1:c2Fs$AAAA:AAAA",
                                      "SCRAM-SHA-1$1:a$b:c", "SCRAM-SHA-256$1:!$!:!", "md5abc"])
    def test_verifiers_that_are_none(self, text: str) -> None:
        with pytest.raises(ValueError):
            ScramVerifier.parse(text)
