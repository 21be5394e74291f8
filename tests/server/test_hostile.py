"""What other servers got wrong at their door, each by its name."""

from __future__ import annotations

import logging
import struct
import tracemalloc
from collections.abc import Iterator

import pytest

from febe.protocol import scram
from febe.protocol.authentication import AuthenticationSASLContinue, SASLInitialResponse, SASLResponse
from febe.protocol.scram import ScramClient
from febe.protocol.startup import (
    VERSION_3_0,
    VERSION_3_2,
    BackendKeyData,
    CancelRequest,
    ParameterStatus,
    ReadyForQuery,
    StartupMessage,
    Terminate,
)
from febe.server import Listener
from tests.server.listening import Raw, fatal, listening, startup
from tests.server.wire import Script

USERS = {"ann": "secret", "nopass": ""}


@pytest.fixture
def guarded() -> Iterator[Listener]:
    """A server that asks for SCRAM."""
    with listening(Script(), users=USERS) as listener:
        yield listener


def challenge(listener: Listener, user: str) -> str:
    """What a user is asked: the salt and the count."""
    with Raw(listener) as client:
        client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
        client.answer()
        client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=ScramClient("x", b"nonce").first()))
        asked = client.answer()
        assert isinstance(asked, AuthenticationSASLContinue)
        return asked.data.decode().partition(",")[2]


def prove(listener: Listener, user: str, password: str, nonce: bytes = b"a nonce of ours") -> bytes:
    """The server's last words to who tries this password."""
    with Raw(listener) as client:
        client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
        client.answer()
        exchange = ScramClient(password, nonce)
        client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=exchange.first()))
        asked = client.answer()
        assert isinstance(asked, AuthenticationSASLContinue)
        client.say(SASLResponse(data=exchange.final(asked.data)))
        client.socket.shutdown(1)
        return client.rest()


class TestUnknownUsers:
    @pytest.mark.parametrize("user", ["nobody", "nopass", "ann"])
    @pytest.mark.parametrize("password", ["", "wrong", "nobody"])
    def test_nobody_gets_in_with_an_empty_or_wrong_password(self, guarded: Listener, user: str, password: str) -> None:
        """SCRAM let unknown users in with an empty password (pg-mimic)."""
        assert fatal(prove(guarded, user, password)) == {
            "S": "FATAL", "V": "FATAL", "C": "28P01", "M": f'password authentication failed for user "{user}"'}

    def test_nothing_is_derived_while_somebody_waits(self, guarded: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
        """Timing told users apart (duckgres#719): no key is derived at log-in, for the known as for the unknown."""
        def forbidden(*_: object) -> bytes:
            raise AssertionError("a key was derived")

        with monkeypatch.context() as patch:
            patch.setattr(scram, "pbkdf2_hmac", forbidden)
            for user in ("ann", "nobody", "nopass"):
                challenge(guarded, user)

    def test_the_unknown_are_asked_the_same_twice(self, guarded: Listener) -> None:
        for user in ("nobody", "nopass", "ann"):
            assert challenge(guarded, user) == challenge(guarded, user)
        assert challenge(guarded, "nobody") != challenge(guarded, "somebody")
        assert challenge(guarded, "nobody").partition(",")[2] == challenge(guarded, "ann").partition(",")[2] == "i=4096"


class TestSecrets:
    def test_none_is_logged(self, guarded: Listener, caplog: pytest.LogCaptureFixture) -> None:
        """Cancel keys in logs (duckgres#1001); passwords and verifiers neither."""
        with caplog.at_level(logging.DEBUG):
            prove(guarded, "ann", "geheim")
            with listening(Script()) as listener, Raw(listener) as client:
                (key,) = [one for one in client.log_in(VERSION_3_2) if isinstance(one, BackendKeyData)]
                with Raw(listener) as other:
                    other.say(CancelRequest(process_id=key.process_id, secret_key=bytes(32)))
                    assert other.rest() == b""
                client.say(Terminate())
                client.rest()
        for secret in (key.secret_key.hex(), repr(key.secret_key), "geheim", "secret", "SCRAM-SHA-256$"):
            assert secret not in caplog.text
        assert "secret" not in repr(guarded._service.users._known)


class TestSizes:
    @pytest.mark.parametrize("length", [0x7FFFFFFF, 0x7FFFFFFC, -1, -0x80000000, 0x40000000, 10_005, 7, 4, 0])
    def test_a_length_that_overflows(self, guarded: Listener, length: int) -> None:
        """CVE-2026-6664: the length of a packet taken on trust.  Nothing is set aside for it."""
        tracemalloc.start()
        try:
            with Raw(guarded) as client:
                client.send(struct.pack("!ii", length, VERSION_3_0))
                assert fatal(client.rest())["C"] == "08P01"
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("size", [1_100, 5_000, 60_000, 70_000])
    def test_an_over_long_nonce(self, guarded: Listener, size: int) -> None:
        """CVE-2026-6665."""
        with Raw(guarded) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "ann"}))
            client.answer()
            body = b"SCRAM-SHA-256\0"
            data = b"n,,n=,r=" + b"x" * size
            body += struct.pack("!i", len(data)) + data
            client.send(b"p" + struct.pack("!i", len(body) + 4) + body)
            assert fatal(client.rest())["C"] == "08P01"

    def test_a_nonce_that_just_fits(self, guarded: Listener) -> None:
        assert prove(guarded, "ann", "secret", b"n" * 400).startswith(b"R")

    def test_as_many_parameters_as_fit(self) -> None:
        pairs = [text for number in range(300) for text in (f"a.b{number}", "x" * 16)]
        with listening(Script()) as listener, Raw(listener) as client:
            client.send(startup(VERSION_3_0, "user", "demo", *pairs))
            data = b""
            while not data.endswith(b"Z\0\0\0\5I"):
                data += client.socket.recv(65536)


class TestStartupParameters:
    @pytest.mark.parametrize("path", ["public; drop table x", "evil, pg_catalog", '"; select 1; --', "\u00e9"])
    def test_search_path_is_a_value_and_no_sql(self, path: str) -> None:
        """CVE-2025-12819: a pooler ran what the start-up packet said."""
        engine = Script()
        with listening(engine) as listener, Raw(listener) as client:
            told = {one.name: one.value for one in client.log_in(search_path=path)
                    if isinstance(one, ParameterStatus)}
            assert told["search_path"] == path
        assert engine.log in ([], ["close"])

    @pytest.mark.parametrize("body", [
        b"user\0de\0mo\0\0", b"user\0demo\0database\0a\0b\0\0", b"\0", b"user\0demo\0\0\0", b"user\0demo\0appl",
        b"user\0demo\0application_name\0", b"user", b"user\0demo"])
    def test_nul_bytes_and_missing_ends(self, body: bytes) -> None:
        """Unterminated strings (duckgres#770), endless loops (pgwire#206), NUL within values."""
        with listening(Script()) as listener, Raw(listener) as client:
            client.send(struct.pack("!ii", len(body) + 8, VERSION_3_0) + body)
            client.socket.shutdown(1)
            found = client.rest().removeprefix(b"R\0\0\0\x08\0\0\0\0")
            assert fatal(found)["C"] in ("08P01", "28000", "42704")

    def test_the_last_of_two_users_is_not_let_in_as_the_first(self, guarded: Listener) -> None:
        with Raw(guarded) as client:
            client.send(startup(VERSION_3_0, "user", "ann", "user", "root"))
            client.socket.shutdown(1)
            assert b"R\0\0\0\x08\0\0\0\0" not in client.rest()

    def test_names_are_cut_as_postgresql_cuts_them(self) -> None:
        seen = []

        class Engine(Script):
            def open(self, *, user: str, database: str, parameters: object) -> object:  # type: ignore[override]
                seen.append((user, database))
                return super().open(user=user, database=database, parameters={})

        with listening(Engine()) as listener, Raw(listener) as client:
            client.log_in(user="u" * 100, database="\u00e9" * 50)
        assert seen == [("u" * 63, "\u00e9" * 31)]


class TestOrder:
    @pytest.mark.parametrize("first", [b"Q\0\0\0\x08one\0", b"X\0\0\0\4", b"p\0\0\0\6x\0", b"S\0\0\0\4",
                                       struct.pack("!ii", 16, 80877102) + bytes(8)])
    def test_no_message_is_taken_before_the_proof(self, guarded: Listener, first: bytes) -> None:
        with Raw(guarded) as client:
            client.send(startup(VERSION_3_0, "user", "ann") + first)
            client.socket.shutdown(1)
            assert b"R\0\0\0\x08\0\0\0\0" not in client.rest()

    def test_a_replayed_proof_is_worth_nothing(self, guarded: Listener) -> None:
        exchange = ScramClient("secret", b"nonce")
        with Raw(guarded) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "ann"}))
            client.answer()
            client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=exchange.first()))
            asked = client.answer()
            assert isinstance(asked, AuthenticationSASLContinue)
            final = exchange.final(asked.data)
            client.say(SASLResponse(data=final))
            while not isinstance(client.answer(), ReadyForQuery):
                pass
        with Raw(guarded) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "ann"}))
            client.answer()
            client.say(SASLInitialResponse(mechanism="SCRAM-SHA-256", data=exchange.first()))
            client.answer()
            client.say(SASLResponse(data=final))
            assert fatal(client.rest())["C"] in ("08P01", "28P01")

    def test_reordered_sasl_messages(self, guarded: Listener) -> None:
        with Raw(guarded) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "ann"}))
            client.answer()
            body = b"SCRAM-SHA-256\0" + struct.pack("!i", 10) + b"c=biws,r=x"
            client.send(b"p" + struct.pack("!i", len(body) + 4) + body)
            assert fatal(client.rest())["C"] == "08P01"
