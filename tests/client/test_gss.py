"""Kerberos, with a realm of its own: GSSAPI authentication and encryption, febe and PostgreSQL in every pair."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import febe
import febe.aio
from febe.errors import AuthenticationError, EncryptionError, LocalProtocolError, PostgresError
from febe.flows import cancel
from febe.ports.gss import PACKET_BYTES, ClientGSS, ServerGSS
from febe.ports.memory import pair, run
from febe.server import ServerTLS, access_rules
from tests.client.conftest import Face
from tests.conftest import installed
from tests.peers import kerberos, secure
from tests.peers.certificates import Authority, Pair
from tests.peers.kerberos import Realm
from tests.peers.postgres import Postgres
from tests.ports.test_tls import both
from tests.server.listening import listening
from tests.server.wire import Script

IN_USE = "select encrypted, gss_authenticated, coalesce(principal, '') from pg_stat_gssapi where pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    """The realm, in the environment while these tests run."""
    with kerberos.running("gss", "gss_gssenc", "any") as made:
        before = {name: os.environ.get(name) for name in made.environment}
        os.environ.update(made.tickets("gss"))
        yield made
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture(scope="module", params=[15, 17])
def kerberized(request: pytest.FixtureRequest, realm: Realm, authority: Authority,
               localhost: Pair) -> Iterator[Postgres]:
    with secure.running(installed(request.param), authority, localhost, keytab=realm.keytab) as server:
        yield server


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("hba") / "pg_hba.conf"
    path.write_text(secure.hba())
    return access_rules(path)


@pytest.fixture
def server(realm: Realm, localhost: Pair, rules: Any) -> Iterator[Any]:
    with listening(Script(), rules=rules, users=dict.fromkeys(secure.RULES, secure.PASSWORD),
                   gss=ServerGSS(keytab=realm.keytab),
                   tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as listener:
        yield listener


def at(port: int, **options: Any) -> dict[str, Any]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": port, "dbname": "postgres", "sslmode": "disable",
            **options}


@pytest.mark.parametrize(("user", "gssencmode", "expected"), [
    ("gss", "disable", (False, True, "gss@FEBE.TEST")),
    ("gss", "prefer", (True, True, "gss@FEBE.TEST")),
    ("gss", "require", (True, True, "gss@FEBE.TEST")),
    ("gssenc", "require", (True, False, "")),
    ("any", "prefer", (True, False, "")),
])
def test_postgresql(face: Face, kerberized: Postgres, user: str, gssencmode: str, expected: tuple[Any, ...]) -> None:
    connection = face.connect(**at(kerberized.port, user=user, gssencmode=gssencmode))
    encrypted, authenticated, _principal = connection.fetchrow(IN_USE)
    assert (encrypted, authenticated) == expected[:2]
    large = "x" * 200_000  # in many packets, both ways
    assert connection.fetchval("select $1::text", large) == large
    connection.close()


def test_somebody_else(kerberized: Postgres, server: Any, realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", realm.tickets("any")["KRB5CCNAME"])
    for port in (kerberized.port, server.port):
        for user, gssencmode in (("gss", "disable"), ("gss", "require"), ("gss_gssenc", "require")):
            with pytest.raises(PostgresError, match="GSSAPI authentication failed for user") as caught:
                febe.connect(**at(port, user=user, gssencmode=gssencmode))
            assert caught.value.sqlstate == "28000"


@pytest.mark.parametrize("major", [15, 17])
@pytest.mark.parametrize(("user", "gssencmode", "gets_in"), [
    ("gss", "disable", True), ("gss", "require", True), ("gss", "prefer", True), ("gssenc", "require", True),
    ("gssenc", "disable", False), ("nogssenc", "require", False), ("any", "require", True),
])
def test_psql(server: Any, major: int, user: str, gssencmode: str, gets_in: bool) -> None:
    found = " ".join(f"{name}={value}" for name, value in at(server.port, user=user, gssencmode=gssencmode).items())
    said = subprocess.run([installed(major).program("psql"), "-XAt", found, "-c", "one", "-c", "\\conninfo"],
                          capture_output=True, text=True)
    assert said.stdout.startswith("1\n") is gets_in, said.stderr
    if gets_in and gssencmode != "disable":
        assert "GSSAPI-encrypted connection" in said.stdout
    if not gets_in:
        assert "no pg_hba.conf entry" in said.stderr


@pytest.mark.parametrize(("user", "gssencmode"), [
    ("gss", "disable"), ("gss", "require"), ("gssenc", "require"), ("gss", "prefer")])
def test_febe_and_febe(face: Face, server: Any, user: str, gssencmode: str) -> None:
    connection = face.connect(**at(server.port, user=user, gssencmode=gssencmode))
    assert connection.fetch("rows 20000 by 5000")[-1] == (19999,)
    connection.close()


@pytest.mark.parametrize("which", ["PostgreSQL", "febe"])
def test_a_cancel_request_is_encrypted_too(which: str, kerberized: Postgres, server: Any,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str | None] = []
    real = cancel.encrypt

    async def seen(core: Any, port: Any, plan: Any) -> None:
        await real(core, port, plan)
        used.append(port.layer and port.layer.kind)

    monkeypatch.setattr(cancel, "encrypt", seen)
    port = kerberized.port if which == "PostgreSQL" else server.port

    def state(process_id: int) -> str | None:
        if which == "febe":
            return server.shared.activity.get(process_id).state  # type: ignore[no-any-return]
        with febe.connect(**at(port, user="postgres")) as watcher:
            return watcher.fetchval("select state from pg_stat_activity where pid = $1", process_id)  # type: ignore

    async def main() -> None:
        async with await febe.aio.connect(**at(port, user="gss", gssencmode="require")) as busy:
            task = asyncio.create_task(busy.execute("select pg_sleep(600)"))
            while await asyncio.to_thread(state, busy.process_id) != "active":
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await busy.execute("show server_version")

    asyncio.run(asyncio.wait_for(main(), 60))
    assert used == ["GSS"]


def test_prefer_goes_on_to_tls_and_to_nothing(server: Any, secure17: Postgres, pg18: Postgres) -> None:
    """A server without Kerberos says N, or fails the handshake; the next way is tried."""
    for port, mode, kind in ((pg18.port, "disable", None), (secure17.port, "require", "SSL")):
        with febe.connect(**at(port, user="postgres", gssencmode="prefer", sslmode=mode)) as connection:
            assert connection._session.port.layer is None or connection._session.port.layer.kind == kind
    with pytest.raises(EncryptionError, match="server doesn't support GSSAPI encryption, but it was required"):
        febe.connect(**at(pg18.port, user="postgres", gssencmode="require"))


def test_no_credentials(server: Any, realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", realm.environment["KRB5CCNAME"])
    with pytest.raises(EncryptionError, match="GSSAPI encryption required but no credential cache"):
        febe.connect(**at(server.port, user="gss", gssencmode="require"))
    with pytest.raises(AuthenticationError, match="GSSAPI"):
        febe.connect(**at(server.port, user="gss", gssencmode="disable"))
    febe.connect(**at(server.port, user="any", gssencmode="prefer")).close()


def test_a_service_that_is_not_there(server: Any) -> None:
    with pytest.raises(EncryptionError, match="GSSAPI error"):
        febe.connect(**at(server.port, user="any", gssencmode="require", krbsrvname="other"))


def test_unix_sockets_have_none(realm: Realm, tmp_path: Path) -> None:
    with listening(Script(), unix_socket_dir=tmp_path, gss=ServerGSS(keytab=realm.keytab)) as listener:
        found = {"host": str(tmp_path), "port": listener.port, "user": "demo"}
        febe.connect(**found, gssencmode="prefer").close()
        with pytest.raises((EncryptionError, LocalProtocolError), match="not supported over a local socket"):
            febe.connect(**found, gssencmode="require")


# The packets


def test_packets_at_the_limits(realm: Realm) -> None:
    left, right = pair(7)
    client = ClientGSS(host="localhost").layer()
    server = ServerGSS(keytab=realm.keytab).layer()
    assert client is not None
    run(both(left.encrypt(client), right.encrypt(server)))
    assert server.principal == "gss@FEBE.TEST"
    for size in (0, 1, client._most - 1, client._most, client._most + 1, 3 * client._most + 5):
        sealed = client.encrypt(b"x" * size)
        pos = 0
        while pos < len(sealed):
            length = int.from_bytes(sealed[pos:pos + 4])
            assert length <= PACKET_BYTES - 4
            pos += 4 + length
        assert pos == len(sealed)
        assert b"xxxx" not in sealed
        assert b"".join(server.decrypt(sealed[n:n + 1000]) for n in range(0, len(sealed), 1000)) == b"x" * size
    with pytest.raises(EncryptionError, match=r"oversize GSSAPI packet sent by the client \(16381 > 16380\)"):
        server.decrypt((PACKET_BYTES - 3).to_bytes(4))


@pytest.mark.parametrize(("damage", "words"), [
    ("changed", "GSSAPI unwrap error"), ("replayed", "GSSAPI unwrap error"),
    ("in clear", "did not use confidentiality")])
def test_packets_that_are_refused(realm: Realm, damage: str, words: str) -> None:
    left, right = pair()
    client, server = ClientGSS(host="localhost").layer(), ServerGSS(keytab=realm.keytab).layer()
    assert client is not None
    run(both(left.encrypt(client), right.encrypt(server)))
    if damage == "in clear":
        sealed = client._exchange.context.wrap(b"hello", False).message
        sealed = len(sealed).to_bytes(4) + sealed
    else:
        sealed = client.encrypt(b"hello")
    if damage == "changed":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    elif damage == "replayed":
        assert server.decrypt(sealed) == b"hello"
    with pytest.raises(EncryptionError, match=words):
        server.decrypt(sealed)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\1\0\0", b"\0\0\0\4junk", b"\0\0\0\0"])
def test_a_handshake_that_is_none(realm: Realm, data: bytes) -> None:
    with pytest.raises(EncryptionError):
        ServerGSS(keytab=realm.keytab).layer().handshake(data)


def test_an_error_during_the_handshake_is_not_shown(realm: Realm) -> None:
    client = ClientGSS(host="localhost").layer()
    assert client is not None
    client.handshake(b"")
    with pytest.raises(EncryptionError, match="sent an error") as caught:
        client.handshake(b"E\0\0\0\x20evil")
    assert "evil" not in str(caught.value)


