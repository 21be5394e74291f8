"""Which encryption and which version come of what both sides want: the same with febe at either end as with libpq and
PostgreSQL at both."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import psycopg
import pytest

import febe
from febe.errors import AuthenticationError, EncryptionError, PostgresError, RemoteProtocolError
from febe.ports.gss import ServerGSS
from febe.server import ServerTLS, access_rules
from tests.conftest import installed
from tests.flows.backend import Backend, opened
from tests.peers import kerberos, secure
from tests.peers import postgres as servers
from tests.peers.certificates import Authority, Pair
from tests.peers.installation import scratch, server_user
from tests.peers.kerberos import Realm
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.server.wire import Script

Outcome: TypeAlias = "tuple[str, ...]"

KINDS = ("any", "ssl", "nossl", "gssenc", "nogssenc", "scram_ssl", "reject_me")
TLS = [*({"sslmode": mode} for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
       *({"sslmode": mode, "sslnegotiation": "direct"} for mode in ("require", "verify-ca", "verify-full"))]
VERSIONS = ("3.0", "3.2", "grease")
REFUSED = "no pg_hba.conf entry"


def febe_(options: dict[str, str]) -> Outcome:
    """How febe fares: the encryption it gets, or what it is told."""
    try:
        with febe.connect(**options) as connection:  # type: ignore[arg-type]
            layer = connection._session.port.layer
            return "in", layer.kind if layer is not None else "clear"
    except (PostgresError, EncryptionError, AuthenticationError, febe.Error) as error:
        return _out("\n".join((str(error), *getattr(error, "__notes__", ()))))  # libpq's text has every attempt


def libpq(options: dict[str, str]) -> Outcome:
    """How libpq 18 fares, which psycopg brings, without Kerberos."""
    found = {name: value if value != "grease" else "3.2" for name, value in options.items()}
    try:
        with psycopg.connect(**found) as connection:  # type: ignore[arg-type]
            return "in", "SSL" if connection.pgconn.ssl_in_use else "clear"
    except psycopg.OperationalError as error:
        return _out(str(error))


def psql(major: int) -> Callable[[dict[str, str]], Outcome]:
    """How an older libpq fares, with Kerberos."""
    def run(options: dict[str, str]) -> Outcome:
        said = subprocess.run([installed(major).program("psql"), "-XAt", "-c", "\\conninfo", " ".join(
            f"{name}={value}" for name, value in options.items() if name != "max_protocol_version")],
            capture_output=True, text=True)
        if said.returncode:
            return _out(said.stderr)
        kind = "GSS" if "GSSAPI-encrypted" in said.stdout else "SSL" if "SSL connection" in said.stdout else "clear"
        return "in", kind

    return run


def _out(said: str) -> Outcome:
    """Refused by a rule, by the server's lack of encryption, or in between."""
    return "out", REFUSED if REFUSED in said else "encryption"


def at(port: int, user: str, **options: str) -> dict[str, str]:
    return {"host": "localhost", "hostaddr": "127.0.0.1", "port": str(port), "user": user, "dbname": "postgres",
            "password": secure.PASSWORD, **options}


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    with kerberos.running("gss") as made:
        before = {name: os.environ.get(name) for name in made.environment}
        os.environ.update(made.tickets("gss"))
        yield made
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def kerberized17(realm: Realm, authority: Authority, localhost: Pair) -> Iterator[Postgres]:
    with secure.running(installed(17), authority, localhost, keytab=realm.keytab) as server:
        yield server


@pytest.fixture(scope="module")
def plain18() -> Iterator[Postgres]:
    """PostgreSQL 18 with the same rules; those for TLS and GSSAPI encryption match nobody there."""
    with scratch("rules18") as place:
        path = place / "pg_hba.conf"
        path.write_text(secure.hba({user: secure.RULES[user] for user in KINDS if user != "reject_me"}))
        if server_user():
            shutil.chown(path, server_user())
        with servers.running(installed(18), hba_file=str(path)) as server:
            for user in KINDS:
                if user not in servers.USERS:
                    server.psql(f'create role "{user}" login')
                server.psql(f"alter role \"{user}\" password '{secure.PASSWORD}'")
            yield server


@pytest.fixture(scope="module")
def served(realm: Realm, localhost: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """febe with everything, and febe in clear."""
    path = tmp_path_factory.mktemp("hba") / "pg_hba.conf"
    path.write_text(secure.hba())
    users = dict.fromkeys((*secure.RULES, "reject_me"), secure.PASSWORD)
    with listening(Script(), rules=access_rules(path), users=users, gss=ServerGSS(keytab=realm.keytab),
                   tls=ServerTLS(certificate=localhost.certificate, key=localhost.key)) as whole, \
            listening(Script(), rules=access_rules(path), users=users) as bare:
        yield whole, bare


@pytest.mark.slow
def test_tls_with_and_without(secure17: Postgres, served: Any, authority: Authority) -> None:
    """{no TLS, SSLRequest, direct TLS} x sslmode x rule x version, without Kerberos."""
    whole, _ = served
    for tls, user, version in itertools.product(TLS, KINDS, VERSIONS):
        options = {**tls, "sslrootcert": str(authority.root), "gssencmode": "disable", "max_protocol_version": version}
        expected = libpq(at(secure17.port, user, **options))
        cell = (tls, user, version)
        assert febe_(at(secure17.port, user, **options)) == expected, (cell, "febe and PostgreSQL 17")
        assert libpq(at(whole.port, user, **options)) == expected, (cell, "libpq 18 and febe")
        assert febe_(at(whole.port, user, **options)) == expected, (cell, "febe and febe")


def test_postgresql_15(secure15: Postgres, authority: Authority) -> None:
    for tls, user, version in itertools.product(TLS, KINDS, VERSIONS):
        options = {**tls, "sslrootcert": str(authority.root), "gssencmode": "disable", "max_protocol_version": version}
        expected = libpq(at(secure15.port, user, **options))
        assert febe_(at(secure15.port, user, **options)) == expected, (tls, user, version)


def test_no_tls(plain18: Postgres, served: Any) -> None:
    """PostgreSQL 18, which was built without TLS and Kerberos, and febe without either."""
    _, bare = served
    for tls, user, version in itertools.product(TLS, KINDS, VERSIONS):
        options = {**tls, "gssencmode": "disable", "max_protocol_version": version}
        if tls["sslmode"].startswith("verify"):
            options["sslrootcert"] = os.devnull  # there, and so not what is complained of
        cell = (tls, user, version)
        expected = libpq(at(plain18.port, user, **options))
        assert febe_(at(plain18.port, user, **options)) == expected, (cell, "febe and PostgreSQL 18")
        assert libpq(at(bare.port, user, **options)) == expected, (cell, "libpq 18 and febe")
        assert febe_(at(bare.port, user, **options)) == expected, (cell, "febe and febe")


@pytest.mark.slow
def test_kerberos(kerberized17: Postgres, served: Any, authority: Authority) -> None:
    """{GSSENC asked for, insisted on} x {SSLRequest, direct TLS} x sslmode x rule x version; older libpq as well."""
    whole, _bare = served
    theirs, older = psql(17), psql(15)
    for gssencmode, tls, user in itertools.product(("prefer", "require"), TLS, KINDS):
        options = {"gssencmode": gssencmode, "sslrootcert": str(authority.root), **tls}
        cell = (gssencmode, tls, user)
        expected = theirs(at(kerberized17.port, user, **options))
        assert theirs(at(whole.port, user, **options)) == expected, (cell, "libpq 17 and febe")
        for version in VERSIONS:
            chosen = {**options, "max_protocol_version": version}
            assert febe_(at(kerberized17.port, user, **chosen)) == expected, (cell, version, "febe and PostgreSQL 17")
            assert febe_(at(whole.port, user, **chosen)) == expected, (cell, version, "febe and febe")
    for gssencmode, tls, user in itertools.product(("disable", "prefer", "require"), TLS[:6], KINDS):
        options = {"gssencmode": gssencmode, "sslrootcert": str(authority.root), **tls}
        assert older(at(whole.port, user, **options)) == older(at(kerberized17.port, user, **options)), (
            gssencmode, tls, user, "libpq 15 and febe")


@pytest.mark.parametrize("server", ["pg18", "pg15", "secure17"])
def test_versions(server: str, request: pytest.FixtureRequest, served: Any) -> None:
    """What is asked for and what is spoken; PostgreSQL before 18 has 3.0 only."""
    port = request.getfixturevalue(server).port
    user = "postgres"
    for version in VERSIONS:
        with febe.connect(**at(port, user, max_protocol_version=version)) as connection:  # type: ignore[arg-type]
            newest = "3.2" if server == "pg18" else "3.0"
            assert connection.protocol_version == ("3.0" if version == "3.0" else newest)
            assert len(connection._session.secret_key) == (32 if connection.protocol_version == "3.2" else 4)
        with febe.connect(**at(served[0].port, "any", max_protocol_version=version)) as connection:  # type: ignore[arg-type]
            assert connection.protocol_version == ("3.0" if version == "3.0" else "3.2")


def test_servers_that_do_not_negotiate_are_found_out() -> None:
    from febe.flows.connect import Login
    from febe.protocol.startup import NegotiateProtocolVersion, StartupMessage

    async def silent(backend: Backend) -> None:
        await backend.open()

    async def careless(backend: Backend) -> None:
        startup = await backend.expect(StartupMessage)
        assert startup.version == 0x3270F
        assert "_pq_.test_protocol_negotiation" in startup.parameters
        await backend.say(NegotiateProtocolVersion(version=0x30000, options=[]))
        await backend.greet()

    for script, words in ((silent, "version that does not exist"), (careless, "did not report the protocol extension")):
        with pytest.raises(RemoteProtocolError, match=words):
            opened(script, Login(user="u", database="d", max_protocol_version="grease"))
