"""The server's side of OAUTHBEARER: rules, validators, messages that make no sense, `febe serve`."""

from __future__ import annotations

import json
import logging
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

import febe
from febe.errors import PostgresError
from febe.protocol.authentication import (
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.startup import VERSION_3_0, StartupMessage
from febe.server import Limits, Listener, PresentedToken, TokenVerdict, access_rules
from tests.peers import febe_server as febe_servers
from tests.peers import oauth as providers
from tests.peers.oauth import AUDIENCE, CLIENT_ID
from tests.server.listening import Raw, fatal, listening
from tests.server.wire import Script

ISSUER, SCOPE = "https://issuer.example/tenant", "openid shop"
REFUSED = {"S": "FATAL", "V": "FATAL", "C": "28000", "M": 'OAuth bearer authentication failed for user "ann"'}
GOOD = b"n,,\x01auth=Bearer ann.token\x01\x01"


def takes(presented: PresentedToken) -> TokenVerdict:
    """Lets in who has NAME.token, as NAME."""
    name, _, rest = presented.token.partition(".")
    return TokenVerdict(authorized=rest == "token", authn_id=name)


def at(place: Path, options: str = "", ident: str = "", **more: Any) -> dict[str, Any]:
    hba, maps = place / "pg_hba.conf", place / "pg_ident.conf"
    hba.write_text(f'host all all all oauth issuer="{ISSUER}" scope="{SCOPE}" {options}\n')
    maps.write_text(ident)
    return {"rules": access_rules(hba, maps), "oauth": takes} | more


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Listener]:
    with listening(Script(), **at(tmp_path)) as listener:
        yield listener


def present(listener: Listener, first: bytes | None, *then: bytes, user: str = "ann",
            mechanism: str = "OAUTHBEARER") -> list[Any]:
    """What the server says to these messages; its last words are bytes."""
    with Raw(listener) as client:
        client.say(StartupMessage(version=VERSION_3_0, parameters={"user": user}))
        asked = client.answer()
        assert isinstance(asked, AuthenticationSASL) and asked.mechanisms == ["OAUTHBEARER"]
        found: list[Any] = []
        chosen = SASLInitialResponse(mechanism=mechanism, data=first)
        for message in (chosen, *(SASLResponse(data=one) for one in then)):
            client.say(message)
            found.append(client.answer())
            if not isinstance(found[-1], AuthenticationSASLContinue):
                break
        return found


def document(answer: Any) -> Any:
    assert isinstance(answer, AuthenticationSASLContinue)
    return json.loads(answer.data)


TOLD = {"status": "invalid_token", "scope": SCOPE, "openid-configuration": f"{ISSUER}/.well-known/openid-configuration"}


class TestDialogue:
    def test_a_good_token(self, guarded: Listener) -> None:
        assert isinstance(present(guarded, GOOD)[0], AuthenticationOk)

    def test_it_may_follow_an_empty_challenge(self, guarded: Listener) -> None:
        asked, ok = present(guarded, None, GOOD)
        assert asked.data == b"" and isinstance(ok, AuthenticationOk)

    @pytest.mark.parametrize("auth", [b"", b"Bearer bob.token", b"Bearer ann.other", b"Bearer  ", b"Basic YTpi",
                                      b"Bearer a b", b"bearer ann", b"ann.token", b"Bearer ann\ttoken"])
    def test_a_bad_one_is_told_where_to_get_a_good_one(self, guarded: Listener, auth: bytes) -> None:
        told, error = present(guarded, b"n,,\x01auth=" + auth + b"\x01\x01", b"\x01")
        assert document(told) == TOLD
        assert error.fields_by_code == REFUSED

    @pytest.mark.parametrize("auth", [b"bearer ann.token", b"BEARER   ann.token"])
    def test_the_scheme_is_of_no_case(self, guarded: Listener, auth: bytes) -> None:
        assert isinstance(present(guarded, b"y,,\x01host=x\x01auth=" + auth + b"\x01\x01")[0], AuthenticationOk)

    @pytest.mark.parametrize("first", [
        b"", b"n", b"n,", b"n,,", b"n,,\x01", b"n,,\x01\x01", b"n,,\x01auth=Bearer x", b"n,,\x01auth=Bearer x\x01",
        b"n,,auth=Bearer x\x01\x01", b"p=tls-server-end-point,,\x01auth=Bearer x\x01\x01", b"x,,\x01auth=\x01\x01",
        b"n,,\x01auth\x01\x01", b"n,,\x01=x\x01\x01", b"n,,\x01host=x\x01\x01", b"n,,\x01a1=x\x01\x01",
        b"n,,\x01auth=Bearer ann.token\x01auth=Bearer ann.token\x01\x01", b"n,,\x01auth=Bearer ann.token\x01\x01x",
        b"n,,\x01auth=\xff\x01\x01", b"n,,\x01auth=x\0\x01\x01", b"n,,\x01auth=Bearer ann.token\x01\x01\x01"])
    def test_what_makes_no_sense_ends_the_connection(self, guarded: Listener, first: bytes) -> None:
        (error,) = present(guarded, first)
        assert (error.fields_by_code["C"], error.fields_by_code["M"]) == ("08P01", "malformed OAUTHBEARER message")

    def test_nobody_acts_for_another(self, guarded: Listener) -> None:
        (error,) = present(guarded, b"n,a=root,\x01auth=Bearer ann.token\x01\x01")
        assert error.fields_by_code["C"] == "0A000"

    @pytest.mark.parametrize("answer", [b"", b"\x01\x01", GOOD, b"x"])
    def test_a_refusal_has_one_answer(self, guarded: Listener, answer: bytes) -> None:
        _, error = present(guarded, b"n,,\x01auth=\x01\x01", answer)
        assert (error.fields_by_code["C"], error.fields_by_code["M"]) == ("08P01", "malformed OAUTHBEARER message")

    def test_other_mechanisms(self, guarded: Listener) -> None:
        (error,) = present(guarded, b"n,,n=,r=x", mechanism="SCRAM-SHA-256")
        assert error.fields_by_code["M"] == "client selected an invalid SASL authentication mechanism"

    def test_a_token_longer_than_postgresql_takes(self, guarded: Listener) -> None:
        with Raw(guarded) as client:
            client.say(StartupMessage(version=VERSION_3_0, parameters={"user": "ann"}))
            client.answer()
            data = b"n,,\x01auth=Bearer " + b"x" * 66_000 + b"\x01\x01"
            body = b"OAUTHBEARER\0" + struct.pack("!i", len(data)) + data
            client.send(b"p" + struct.pack("!i", len(body) + 4) + body)
            assert fatal(client.rest())["C"] == "08P01"

    def test_a_long_one(self, guarded: Listener) -> None:
        (error, *_) = present(guarded, b"n,,\x01auth=Bearer " + b"x" * 60_000 + b"\x01\x01")
        assert document(error) == TOLD


class TestRules:
    def test_a_map(self, tmp_path: Path) -> None:
        with listening(Script(), **at(tmp_path, "map=m", "m /^a(.*)$ b\\1\n")) as listener:
            assert isinstance(present(listener, GOOD, user="bnn")[0], AuthenticationOk)
            assert document(present(listener, GOOD)[0]) == TOLD  # who is not mapped is not told more than others

    def test_delegated(self, tmp_path: Path) -> None:
        seen = []

        def takes_all(presented: PresentedToken) -> TokenVerdict:
            seen.append(presented)
            return TokenVerdict(authorized=True)

        with listening(Script(), **at(tmp_path, "delegate_ident_mapping=1", oauth=takes_all)) as listener:
            assert isinstance(present(listener, GOOD, user="any")[0], AuthenticationOk)
        (one,) = seen
        assert (one.user, one.database, one.issuer, one.scope) == ("any", "any", ISSUER, SCOPE)
        assert "ann.token" not in repr(one)

    def test_a_validator_that_names_nobody(self, tmp_path: Path) -> None:
        with listening(Script(), **at(tmp_path, oauth=lambda _: TokenVerdict(authorized=True))) as listener:
            assert document(present(listener, GOOD)[0]) == TOLD

    @pytest.mark.parametrize("name", ["a\nb", "\ud800", "a\0"])
    @pytest.mark.parametrize("options", ["", "delegate_ident_mapping=1"])
    def test_names_that_are_none(self, tmp_path: Path, name: str, options: str,
                                 caplog: pytest.LogCaptureFixture) -> None:
        answer = TokenVerdict(authorized=True, authn_id=name)
        with listening(Script(), **at(tmp_path, options, oauth=lambda _: answer)) as listener:
            assert document(present(listener, GOOD, b"\x01")[0]) == TOLD
        assert not any("\n" in line for line in caplog.messages)

    def test_coroutine_functions_and_names(self, tmp_path: Path) -> None:
        async def takes_later(presented: PresentedToken) -> TokenVerdict:
            return takes(presented)

        async def takes_none(_: PresentedToken) -> TokenVerdict:
            return TokenVerdict(authorized=False)

        both = {"yes": takes_later, "no": takes_none}
        with listening(Script(), **at(tmp_path, "validator=yes", oauth=both)) as listener:
            assert isinstance(present(listener, GOOD)[0], AuthenticationOk)
        with listening(Script(), **at(tmp_path, "validator=no", oauth=both)) as listener:
            assert document(present(listener, GOOD)[0]) == TOLD

    def test_who_does_not_exist(self, tmp_path: Path) -> None:
        with listening(Script(), **at(tmp_path, users={"bob": ""})) as listener:
            (error,) = present(listener, GOOD)
            assert error.fields_by_code["M"] == 'role "ann" does not exist'

    def test_a_validator_that_fails_lets_nobody_in(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with listening(Script(), **at(tmp_path, oauth={}.__getitem__)) as listener:
            (error,) = present(listener, GOOD)
            assert error.fields_by_code["M"] == "internal error"
        assert "ann.token" not in caplog.text

    def test_a_validator_that_hangs(self, tmp_path: Path) -> None:
        over = threading.Event()

        def hangs(_: PresentedToken) -> TokenVerdict:
            over.wait(20)
            return TokenVerdict(authorized=True, authn_id="ann")

        options = at(tmp_path, oauth=hangs, limits=Limits(authentication_timeout=0.2))
        with listening(Script(), **options) as listener:
            try:
                (error,) = present(listener, GOOD)
                assert error.fields_by_code["C"] == "57014"
                assert error.fields_by_code["M"] == "canceling authentication due to timeout"
            finally:
                over.set()

    @pytest.mark.parametrize("given, options, words", [
        (None, "", "needs a validator"), ({}, "", "needs a validator"), ({"a": takes}, "validator=b", 'validator "b"'),
        ({"a": takes, "b": takes}, "", 'requires argument "validator" to be set')])
    def test_validators_that_are_not_there(self, tmp_path: Path, given: Mapping[str, Any] | None, options: str,
                                           words: str) -> None:
        options_given = at(tmp_path, options, oauth=given)
        with pytest.raises(ValueError, match=words) as caught, listening(Script(), **options_given):
            pass
        assert 'pg_hba.conf"' in str(caught.value) and "line 1" in str(caught.value)

    def test_a_reload_that_asks_for_another_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture
                                                            ) -> None:
        with listening(Script(), **at(tmp_path)) as listener:
            path = tmp_path / "pg_hba.conf"
            path.write_text(path.read_text().rstrip() + " validator=other\n")
            listener.reload()
            assert 'no validator "other"' in caplog.text
            assert isinstance(present(listener, GOOD)[0], AuthenticationOk)

    def test_system_user(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        class Engine(Script):
            def admit(self, client: Any) -> Any:
                seen.append(client.system_user)
                return super().admit(client)

        seen: list[str] = []
        with caplog.at_level(logging.DEBUG), listening(Engine(), **at(tmp_path)) as listener:
            present(listener, GOOD)
            present(listener, b"n,,\x01auth=Bearer evil.token\x01\x01")
        assert seen == ["oauth:ann"]
        assert "evil.token" not in caplog.text and "ann.token" not in caplog.text


class TestServe:
    def test_on_the_command_line(self, tmp_path: Path) -> None:
        """With the issuer's keys in a file, `map` in pg_ident.conf, and the claim that says who it is."""
        with providers.running() as provider:
            keys, hba, ident = (tmp_path / name for name in ("keys.json", "pg_hba.conf", "pg_ident.conf"))
            keys.write_text(json.dumps(provider.jwks))
            hba.write_text(f'host all all all oauth issuer={provider.issuer} scope="openid shop" map=mail\n')
            ident.write_text("mail /^(.*)@shop.example$ \\1\n")
            options = ["--hba", str(hba), "--ident", str(ident), "--oauth-audience", AUDIENCE, "--oauth-jwks",
                       str(keys), "--oauth-identity", "email"]
            with febe_servers.running(options=options) as server, pytest.MonkeyPatch.context() as patch:
                patch.setenv("PGOAUTHDEBUG", "UNSAFE")
                here = server.parameters("ann") | {"oauth_issuer": provider.issuer, "oauth_client_id": CLIENT_ID}
                good = provider.token("x", email="ann@shop.example")
                with febe.connect(**here, oauth_token=good) as connection:  # type: ignore[arg-type]
                    assert connection.fetchval("select 1") == 1
                with pytest.raises(PostgresError, match="OAuth bearer authentication failed"):
                    febe.connect(**here, oauth_token=provider.token("ann"))  # type: ignore[arg-type]
                with pytest.raises(psycopg.OperationalError, match="oauth_issuer and oauth_client_id"):
                    psycopg.connect(**server.parameters("ann"))  # type: ignore[arg-type]
            assert not any(good in line for line in server.printed)

    def test_rules_without_an_audience(self, tmp_path: Path) -> None:
        hba = tmp_path / "pg_hba.conf"
        hba.write_text("host all all all oauth issuer=https://i scope=s\n")
        with pytest.raises(febe_servers.StartFailed, match="needs a validator"), \
                febe_servers.running(options=["--hba", str(hba)]):
            pass
