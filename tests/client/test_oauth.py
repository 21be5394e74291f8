"""OAUTHBEARER: febe and libpq 18 with tokens of a real provider, against febe's server and PostgreSQL 18."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import febe
import febe.aio
from febe.errors import AuthenticationError, ConnectTimeout, LocalProtocolError, PostgresError
from febe.oauth import DeviceFlow, DevicePrompt, TokenRequest
from febe.server import ServerTLS, access_rules
from febe.server.jwt_validator import JWTValidator
from tests.client.faces import FACES, run
from tests.conftest import installed, missing_peer
from tests.peers import oauth
from tests.peers import postgres as servers
from tests.peers.certificates import Authority, Pair
from tests.peers.installation import Missing, packaged, scratch, server_user
from tests.peers.libpq_oauth import Libpq
from tests.peers.oauth import AUDIENCE, CLIENT_ID, Provider
from tests.server.listening import listening
from tests.server.wire import Script

SCOPE = "openid shop"
REFUSED = 'OAuth bearer authentication failed for user "ann"'


@pytest.fixture(scope="module")
def provider(authority: Authority, localhost: Pair) -> Iterator[Provider]:
    with pytest.MonkeyPatch.context() as patch, oauth.running(localhost) as found:
        patch.setenv("SSL_CERT_FILE", str(authority.root))
        yield found


def rules(place: Path, issuer: str, options: str = "") -> Path:
    path = place / "pg_hba.conf"
    path.write_text(f'host all all 127.0.0.1/32 oauth issuer="{issuer}" scope="{SCOPE}" {options}\n')
    return path


@pytest.fixture(scope="module")
def febe_port(provider: Provider, localhost: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """febe's server, which takes the provider's tokens."""
    place = tmp_path_factory.mktemp("oauth")
    with listening(Script(), rules=access_rules(rules(place, provider.issuer)), oauth=JWTValidator(audience=AUDIENCE),
                   tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as listener:
        yield listener.port


@pytest.fixture(scope="module")
def postgres_port(provider: Provider) -> Iterator[int]:
    """PostgreSQL 18 with a validator that knows the provider's tokens."""
    headers = packaged() / "pginstall" / "include" / "server"
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or shutil.which("cc")
    if compiler is None or not headers.exists():
        missing_peer(Missing("there is no C compiler for PostgreSQL's validator"))
    with scratch("validator") as place:
        place.chmod(0o755)
        provider.issued = place / "tokens"
        provider.issued.touch()
        provider.issued.chmod(0o644)
        subprocess.run([compiler, "-shared", "-fPIC", "-w", f"-I{headers}", f'-DTOKENS="{provider.issued}"',
                        Path(oauth.__file__).with_name("validator.c"), "-o", place / "validator.so"], check=True)
        path = rules(place, provider.issuer)
        path.write_text("host all postgres 127.0.0.1/32 trust\n" + path.read_text())
        if server_user():
            shutil.chown(path, server_user())
        with servers.running(installed(18), hba_file=str(path),
                             oauth_validator_libraries=str(place / "validator")) as server:
            server.psql("create role ann login")
            yield server.port
        provider.issued = None


@pytest.fixture(params=["febe", "PostgreSQL 18"])
def port(request: pytest.FixtureRequest) -> int:
    """Each server in turn."""
    name = "febe_port" if request.param == "febe" else "postgres_port"
    found: int = request.getfixturevalue(name)
    return found


def at(port: int, provider: Provider, **options: Any) -> dict[str, Any]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": str(port), "user": "ann", "dbname": "postgres",
            "gssencmode": "disable", "oauth_issuer": provider.issuer, "oauth_client_id": CLIENT_ID, **options}


def approving(provider: Provider, user: str = "ann", seen: list[DevicePrompt] | None = None) -> Callable[..., None]:
    """A person who goes where the prompt says, and allows the device in."""
    def prompt(told: DevicePrompt) -> None:
        if seen is not None:
            seen.append(told)
        provider.approve(told.verification_uri, told.user_code, user)

    return prompt


async def logged_in(connect: Any, options: dict[str, Any]) -> bool:
    async with await connect(**options) as connection:
        return not connection.is_closed


BAD: dict[str, Callable[[Provider], str]] = {
    "expired": lambda provider: provider.token("ann", seconds=-60),
    "somebody else's": lambda provider: provider.token("bob"),
    "signed by another": lambda provider: Provider(issuer=provider.issuer).token("ann"),
    "malformed": lambda _: "no.to.ken",
    "no JWT": lambda _: "opaque",
}


class TestTokens:
    @pytest.mark.parametrize("face", FACES)
    def test_a_function_gives_one(self, port: int, provider: Provider, face: str) -> None:
        asked: list[TokenRequest] = []

        def source(request: TokenRequest) -> str:
            asked.append(request)
            return provider.token("ann")

        assert run(face, logged_in, at(port, provider, oauth_token=source, require_auth="oauth"))
        (request,) = asked
        assert (request.issuer, request.scope, request.client_id) == (provider.issuer, SCOPE, CLIENT_ID)
        assert request.openid_configuration == f"{provider.issuer}/.well-known/openid-configuration"

    def test_a_coroutine_function_gives_one(self, port: int, provider: Provider) -> None:
        async def source(request: TokenRequest) -> str:
            await asyncio.sleep(0)
            return provider.token("ann", scope=request.scope or "")

        assert run("asyncio", logged_in, at(port, provider, oauth_token=source))
        with pytest.raises(LocalProtocolError, match="coroutine"):
            febe.connect(**at(port, provider, oauth_token=source))

    def test_a_text_is_one(self, port: int, provider: Provider) -> None:
        with febe.connect(**at(port, provider, oauth_token=provider.token("ann"))) as connection:
            assert not connection.is_closed

    def test_the_discovery_document_may_be_named(self, port: int, provider: Provider) -> None:
        issuer = f"{provider.issuer}/.well-known/openid-configuration"
        with febe.connect(**at(port, provider, oauth_issuer=issuer, oauth_token=provider.token("ann"))):
            pass

    @pytest.mark.parametrize("wrong", BAD)
    def test_a_bad_one_shows_the_discovery_document(self, port: int, provider: Provider, wrong: str) -> None:
        token = BAD[wrong](provider)
        with pytest.raises(PostgresError) as caught:
            febe.connect(**at(port, provider, oauth_token=token))
        assert (caught.value.sqlstate, caught.value.message) == ("28000", REFUSED)
        (note,) = caught.value.__notes__
        assert f"discovery document {provider.issuer}/.well-known/openid-configuration, scope {SCOPE}" in note
        assert token not in str(caught.value) + note

    @pytest.mark.parametrize("text", ["", "a b", "a\x01auth=Bearer x", "t\u00f6ken", "="])
    def test_what_is_no_token_is_not_sent(self, port: int, provider: Provider, text: str) -> None:
        with pytest.raises(AuthenticationError, match="OAuth token"):
            febe.connect(**at(port, provider, oauth_token=lambda _: text))

    def test_what_the_source_raises_is_raised(self, port: int, provider: Provider) -> None:
        def source(_: TokenRequest) -> str:
            raise KeyError("none")

        with pytest.raises(KeyError):
            febe.connect(**at(port, provider, oauth_token=source))

    def test_without_issuer_and_client(self, port: int, provider: Provider) -> None:
        with pytest.raises(AuthenticationError, match="oauth_issuer and oauth_client_id are not both set"):
            febe.connect(**at(port, provider, oauth_issuer="", oauth_token="x"))

    def test_a_server_cannot_lead_to_another_issuer(self, port: int, provider: Provider) -> None:
        def source(_: TokenRequest) -> str:
            raise AssertionError("asked")

        with pytest.raises(AuthenticationError, match="is incompatible with oauth_issuer"):
            febe.connect(**at(port, provider, oauth_issuer="https://other.example", oauth_token=source))

    @pytest.mark.parametrize("insisting", [{"require_auth": "scram-sha-256"}, {"channel_binding": "require"}])
    def test_it_is_not_shown_to_who_may_not_ask(self, port: int, provider: Provider, insisting: dict[str, str]) -> None:
        def source(_: TokenRequest) -> str:
            raise AssertionError("asked")

        with pytest.raises(AuthenticationError):
            febe.connect(**at(port, provider, oauth_token=source, sslmode="prefer", **insisting))


class TestDeviceFlow:
    @pytest.mark.parametrize("face", FACES)
    def test_a_person_lets_the_device_in(self, febe_port: int, provider: Provider, face: str) -> None:
        seen: list[DevicePrompt] = []
        flow = DeviceFlow(approving(provider, seen=seen), insecure=True)
        assert run(face, logged_in, at(febe_port, provider, oauth_token=flow))
        (told,) = seen
        assert told.verification_uri == f"{provider.issuer}/activate" and told.expires_in == 60
        assert [device.scope for device in provider.devices.values()][-1] == SCOPE

    def test_postgresql_lets_it_in(self, postgres_port: int, provider: Provider) -> None:
        assert run("blocking", logged_in, at(postgres_port, provider,
                                             oauth_token=DeviceFlow(approving(provider), insecure=True)))

    def test_as_it_comes(self, febe_port: int, provider: Provider, monkeypatch: pytest.MonkeyPatch,
                         capsys: pytest.CaptureFixture[str]) -> None:
        """Without any function of the program's: the terminal tells, and one second is waited."""
        from febe.client import device_flow

        def told(prompt: DevicePrompt) -> None:
            device_flow.ask_on_terminal(prompt)
            approving(provider)(prompt)

        monkeypatch.setattr(device_flow.DeviceFlow.__init__, "__defaults__", (told,))
        with febe.connect(**at(febe_port, provider)):
            pass
        assert capsys.readouterr().err.startswith(f"Visit {provider.issuer}/activate and enter the code: ")

    def test_one_for_many_connections_asks_once(self, febe_port: int, provider: Provider) -> None:
        seen: list[DevicePrompt] = []
        flow = DeviceFlow(approving(provider, seen=seen), insecure=True)

        async def several() -> None:
            options = at(febe_port, provider, oauth_token=flow)
            for connection in await asyncio.gather(*(febe.aio.connect(**options) for _ in range(4))):
                await connection.close()

        asyncio.run(several())
        assert len(seen) == 1

    def test_a_token_that_was_refused_is_given_up(self, febe_port: int, provider: Provider) -> None:
        users = iter(("bob", "ann"))
        flow = DeviceFlow(lambda told: approving(provider, next(users))(told), insecure=True)
        with pytest.raises(PostgresError, match="OAuth bearer authentication failed"):
            febe.connect(**at(febe_port, provider, oauth_token=flow))
        with febe.connect(**at(febe_port, provider, oauth_token=flow)):
            pass

    def test_slow_down(self, febe_port: int, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        from febe.client import device_flow

        monkeypatch.setattr(device_flow, "INTERVAL", 0.01)
        monkeypatch.setattr(provider, "slow", True)
        with febe.connect(**at(febe_port, provider, oauth_token=DeviceFlow(approving(provider), insecure=True))):
            pass
        assert list(provider.devices.values())[-1].questions == 2

    def test_a_secret(self, febe_port: int, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider, "client_secret", "a secret: with / and %")
        flow = DeviceFlow(approving(provider), insecure=True)
        with febe.connect(**at(febe_port, provider, oauth_client_secret=provider.client_secret, oauth_token=flow)):
            pass
        with pytest.raises(AuthenticationError, match=r"who are you\? \(invalid_client\)") as caught:
            febe.connect(**at(febe_port, provider, oauth_client_secret="wrong", oauth_token=DeviceFlow()))
        assert "wrong" not in str(caught.value)

    def test_a_person_says_no(self, febe_port: int, provider: Provider) -> None:
        flow = DeviceFlow(approving(provider, "nobody"), insecure=True)
        with pytest.raises(AuthenticationError, match=r"the person says no \(access_denied\)"):
            febe.connect(**at(febe_port, provider, oauth_token=flow))

    @pytest.mark.parametrize("face", FACES)
    def test_nobody_does_anything(self, febe_port: int, provider: Provider, face: str) -> None:
        """`connect_timeout` bounds the person, too."""
        flow = DeviceFlow(lambda _: None, insecure=True)
        provider.interval = 1
        try:
            with pytest.raises(ConnectTimeout):
                run(face, logged_in, at(febe_port, provider, oauth_token=flow, connect_timeout=0.3))
        finally:
            provider.interval = 0

    def test_the_code_expires(self, febe_port: int, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider, "device_answer", {"expires_in": 0})
        with pytest.raises(AuthenticationError, match="the code has expired"):
            febe.connect(**at(febe_port, provider, oauth_token=DeviceFlow(lambda _: None, insecure=True)))

    @pytest.mark.parametrize("answer, words", [
        ({"user_code": "\x1b[31mred"}, "user_code"), ({"verification_uri": None}, "verification_url"),
        ({"expires_in": "soon"}, "expires_in"), ({"interval": -1}, "interval"), ({"device_code": ""}, "device_code")])
    def test_answers_that_make_no_sense(self, febe_port: int, provider: Provider, monkeypatch: pytest.MonkeyPatch,
                                        answer: dict[str, Any], words: str) -> None:
        if answer.get("verification_uri", "") is None:
            answer = {"verification_uri": "", "verification_url": 7}
            words = '"verification_uri"'
        monkeypatch.setattr(provider, "device_answer", answer)
        with pytest.raises(AuthenticationError, match=words):
            febe.connect(**at(febe_port, provider, oauth_token=DeviceFlow(lambda _: None, insecure=True)))

    @pytest.mark.parametrize("document, words", [
        ({"issuer": "https://evil.example"}, "does not match oauth_issuer"),
        ({"device_authorization_endpoint": None}, "does not provide a device authorization endpoint"),
        ({"token_endpoint": None}, "token_endpoint"),
        ({"token_endpoint": "http://localhost/token"}, "must use HTTPS"),
        ({"padding": "x" * 300_000}, "longer than")])
    def test_discovery_documents_that_do_not_do(self, febe_port: int, provider: Provider, document: dict[str, Any],
                                                words: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(provider, "document", document)
        with pytest.raises(AuthenticationError, match=words):
            febe.connect(**at(febe_port, provider, oauth_token=DeviceFlow()))

    def test_http_is_for_tests_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with oauth.running() as plain:
            validator = JWTValidator(audience=AUDIENCE, insecure=True)
            with listening(Script(), rules=access_rules(rules(tmp_path, plain.issuer)), oauth=validator) as listener:
                with pytest.raises(AuthenticationError, match="must use HTTPS"):
                    febe.connect(**at(listener.port, plain))
                monkeypatch.setenv("PGOAUTHDEBUG", "UNSAFE")
                for told in (None, "openid-configuration", "oauth-authorization-server"):
                    issuer = plain.issuer if told is None else f"{plain.issuer}/.well-known/{told}"
                    flow = DeviceFlow(approving(plain), insecure=True)
                    options = at(listener.port, plain, oauth_issuer=issuer, oauth_token=flow)
                    if told == "oauth-authorization-server":
                        with pytest.raises(AuthenticationError, match="has moved"):
                            febe.connect(**options)
                    else:
                        febe.connect(**options).close()


class TestLibpq:
    @pytest.fixture
    def their(self, libpq: Path) -> Libpq:
        return Libpq(libpq)

    def test_the_same_dialogue(self, their: Libpq, port: int, provider: Provider) -> None:
        """febe's server and PostgreSQL 18 are one to libpq: who gets in, and what the others are told."""
        asked = []

        def good(place: str, scope: str) -> str:
            asked.append((place, scope))
            return provider.token("ann", scope=scope)

        options = at(port, provider, sslmode="disable", hostaddr="127.0.0.1")
        with their.tokens_by(good):
            said = their.answer("one" if port != self._postgres else "select 1", **options)
        assert said == "1"
        assert asked == [(f"{provider.issuer}/.well-known/openid-configuration", SCOPE)]
        with their.tokens_by(lambda *_: "a-bad.token"):
            assert REFUSED in their.answer("one", **options)
        with their.tokens_by(good):
            said = their.answer("one", **options | {"oauth_issuer": "https://other.example"})
        assert "is incompatible with oauth_issuer" in said

    @pytest.fixture(autouse=True)
    def _ports(self, request: pytest.FixtureRequest) -> None:
        self._postgres = 0
        if "PostgreSQL" in request.node.name:
            self._postgres = request.getfixturevalue("postgres_port")

    def test_with_the_device_flow(self, their: Libpq, febe_port: int, provider: Provider) -> None:
        flow = DeviceFlow(approving(provider), insecure=True)

        def hook(place: str, scope: str) -> str:
            return flow(TokenRequest(issuer=provider.issuer, openid_configuration=place, scope=scope,
                                     client_id=CLIENT_ID))

        with their.tokens_by(hook):
            assert their.answer("one", **at(febe_port, provider, sslmode="disable")) == "1"
