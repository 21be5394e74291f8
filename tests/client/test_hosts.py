"""Several hosts, and which of them is taken: real servers of each kind, and libpq's choice beside ours."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from febe.client import reach
from febe.client.options import resolve
from febe.errors import AuthenticationError, ConnectionLost, ConnectTimeout, PostgresError
from tests.client.conftest import Face
from tests.peers import postgres as servers
from tests.peers.installation import server_user
from tests.peers.postgres import Postgres


@dataclass(slots=True)
class Kinds:
    """A server of each kind, by name; `dead` is a port where nobody listens."""

    ports: dict[str, int]
    primary: Postgres
    standby: Postgres

    def conninfo(self, *names: str, **options: str) -> str:
        ports = ",".join(str(self.ports[name]) for name in names)
        rest = " ".join(f"{name}={value}" for name, value in options.items())
        return f"host={','.join(['127.0.0.1'] * len(names))} port={ports} user=postgres dbname=postgres {rest}"

    def name(self, port: object) -> str:
        return next(name for name, known in self.ports.items() if str(known) == str(port))


@pytest.fixture(scope="module")
def kinds(pg18: Postgres) -> Iterator[Kinds]:
    with (servers.running(pg18.installation, default_transaction_read_only="on") as read_only,
          servers.running(pg18.installation, standby=True) as standby, socket.socket() as taken):
        taken.bind(("127.0.0.1", 0))
        yield Kinds({"primary": pg18.port, "read-only": read_only.port, "standby": standby.port,
                     "dead": taken.getsockname()[1]}, pg18, standby)


ATTRIBUTES = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
ORDERS = [order for count in (1, 2, 3) for order in itertools.permutations(("primary", "read-only", "standby"), count)]
ORDERS += [("dead", "primary"), ("primary", "dead"), ("dead", "dead"), ("dead", "standby", "primary")]


@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_the_same_server_as_libpq(face: Face, kinds: Kinds, attributes: str) -> None:
    for order in ORDERS:
        conninfo = kinds.conninfo(*order, target_session_attrs=attributes)
        try:
            with psycopg.connect(conninfo) as theirs:
                expected = kinds.name(theirs.info.port)
        except psycopg.OperationalError as error:
            with pytest.raises(ConnectionLost) as refused:
                face.connect(conninfo)
            # every host's failure is told, in the same words where it was the kind of server
            for words in ("session is read-only", "session is not read-only", "server is in hot standby mode",
                          "server is not in hot standby mode", "Connection refused"):
                assert (words in str(refused.value)) is (words in str(error)), (order, str(refused.value))
        else:
            with closing(face.connect(conninfo)) as ours:
                assert kinds.name(ours.fetchval("show port")) == expected, order


@pytest.mark.parametrize("kind", ["read-write", "read-only", "primary", "standby"])
def test_servers_that_do_not_report_it_are_asked(face: Face, kinds: Kinds, kind: str,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before PostgreSQL 14; here one that does, and is not believed."""
    open_session = reach.open_session

    async def forgetful(*args: Any) -> Any:
        session = await open_session(*args)
        del session.parameters["in_hot_standby"], session.parameters["default_transaction_read_only"]
        return session

    monkeypatch.setattr(reach, "open_session", forgetful)
    expected = {"read-write": "primary", "read-only": "standby", "primary": "primary", "standby": "standby"}[kind]
    for order in (("primary", "standby"), ("standby", "primary")):
        with closing(face.connect(kinds.conninfo(*order, target_session_attrs=kind))) as ours:
            assert kinds.name(ours.fetchval("show port")) == expected


def test_a_refusal_is_the_answer(face: Face, kinds: Kinds) -> None:
    """Another host is tried when one does not answer, not when it refuses."""
    with pytest.raises(PostgresError) as refused:
        face.connect(kinds.conninfo("dead", "primary", "standby").replace("user=postgres", "user=reject"))
    assert refused.value.sqlstate == "28000"
    assert "Connection refused" in "".join(refused.value.__notes__)
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        psycopg.connect(kinds.conninfo("dead", "primary", "standby").replace("user=postgres", "user=reject"))


def test_a_server_that_is_starting_is_passed_over(face: Face, kinds: Kinds) -> None:
    refusal = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    with socket.create_server(("127.0.0.1", 0)) as starting:
        def answer() -> None:
            for _ in range(2):
                client, _address = starting.accept()
                with client:
                    client.recv(1000)
                    client.sendall(b"E" + (len(refusal) + 4).to_bytes(4, "big") + refusal)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        kinds.ports["starting"] = starting.getsockname()[1]
        with closing(face.connect(kinds.conninfo("starting", "primary", sslmode="disable"))) as ours:
            assert kinds.name(ours.fetchval("show port")) == "primary"
        with pytest.raises(PostgresError, match="starting up"):
            face.connect(kinds.conninfo("starting", sslmode="disable"))
        thread.join()


def test_the_timeout_is_for_each_host(face: Face, kinds: Kinds) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kinds.ports["silent"] = silent.getsockname()[1]
        with closing(face.connect(kinds.conninfo("silent", "silent", "primary", connect_timeout="0.3"))) as ours:
            assert kinds.name(ours.fetchval("show port")) == "primary"
        with pytest.raises(ConnectTimeout, match=r"not connected within 0\.1 s"):
            face.connect(kinds.conninfo("dead", "silent", connect_timeout="0.1"))


def test_names_and_addresses(face: Face, kinds: Kinds) -> None:
    port = kinds.ports["primary"]
    rest = f"port={port} user=postgres dbname=postgres"
    with closing(face.connect(f"host=does.not.exist.invalid,localhost {rest}")) as ours:
        assert ours.fetchval("select 1") == 1
    # hostaddr goes before host, which is not looked up
    with closing(face.connect(f"host=does.not.exist.invalid hostaddr=127.0.0.1 {rest}")) as ours:
        assert ours.fetchval("select 1") == 1
    with pytest.raises(ConnectionLost, match=r'could not translate host name "does\.not\.exist\.invalid"'):
        face.connect(f"host=does.not.exist.invalid port={port} user=u")
    with pytest.raises(ConnectionLost, match='could not parse network address "localhost"'):
        face.connect(f"hostaddr=localhost port={port} user=u")


def test_random_hosts_are_all_reached(face: Face, kinds: Kinds) -> None:
    seen = set()
    while len(seen) < 2:  # each with a chance of a half
        with closing(face.connect(kinds.conninfo("primary", "standby", load_balance_hosts="random"))) as ours:
            seen.add(kinds.name(ours.fetchval("show port")))
    assert seen == {"primary", "standby"}


def test_passwords_by_host(face: Face, kinds: Kinds, tmp_path: Path) -> None:
    file = tmp_path / "pass"
    file.write_text(f"127.0.0.1:{kinds.ports['dead']}:*:scram:wrong\n127.0.0.1:{kinds.ports['primary']}:*:scram:pencil\n")
    file.chmod(0o600)
    conninfo = kinds.conninfo("dead", "primary", passfile=str(file)).replace("user=postgres", "user=scram")
    with closing(face.connect(conninfo)) as ours:
        assert ours.fetchval("select current_user") == "scram"


def test_require_peer(face: Face, kinds: Kinds) -> None:
    conninfo = f"host={kinds.primary.socket_dir} port={kinds.primary.port} user=postgres dbname=postgres requirepeer="
    runs_as = server_user() or getpass.getuser()
    with closing(face.connect(conninfo + runs_as)) as ours:
        assert ours.fetchval("select 1") == 1
    with pytest.raises(AuthenticationError, match=f'specifies "nobody-else", but actual peer user name is "{runs_as}"'):
        face.connect(conninfo + "nobody-else")


@pytest.mark.skipif(sys.platform != "linux", reason="sockets without a file are Linux's")
def test_an_abstract_socket(face: Face, kinds: Kinds, psql18: Path) -> None:
    """A host that begins with @ is a name in no file system, for libpq and for us."""
    name = f"@febe-hosts-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name[1:]}/.s.PGSQL.5432")
        listening.listen()
        conninfo = f"host={name} port=5432 user=postgres dbname=postgres"

        def lead_on() -> None:
            for _ in range(2):
                client, _ = listening.accept()
                with client, socket.create_connection(("127.0.0.1", kinds.primary.port)) as server:
                    back = threading.Thread(target=_pour, args=(server, client))
                    back.start()
                    _pour(client, server)
                    back.join()

        leading = threading.Thread(target=lead_on, daemon=True)
        leading.start()
        theirs = subprocess.run([psql18, conninfo, "-Atc", "select 1"], capture_output=True, text=True)
        assert theirs.stdout == "1\n", theirs.stderr
        with closing(face.connect(conninfo)) as ours:
            assert ours.fetchval("select 1") == 1
        leading.join(20)
        assert not leading.is_alive()


def _pour(source: socket.socket, into: socket.socket) -> None:
    while data := source.recv(65536):
        into.sendall(data)
    with contextlib.suppress(OSError):  # it has gone already
        into.shutdown(socket.SHUT_WR)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the option is Linux's")
def test_tcp_options(face: Face, kinds: Kinds) -> None:
    conninfo = kinds.conninfo("primary", keepalives_idle="61", keepalives_interval="7", keepalives_count="3",
                              tcp_user_timeout="9000")
    with closing(face.connect(conninfo)) as ours:
        connected = ours.real._session.port.extra("socket")
        for name, expected in (("TCP_KEEPIDLE", 61), ("TCP_KEEPINTVL", 7), ("TCP_KEEPCNT", 3),
                               ("TCP_USER_TIMEOUT", 9000)):
            assert connected.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == expected
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    with closing(face.connect(kinds.conninfo("primary", keepalives="0"))) as ours:
        assert not ours.real._session.port.extra("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# What a server may ask for

METHODS = ("password", "md5", "scram", "trust")
REQUIREMENTS = ("password", "md5", "scram-sha-256", "none", "!password", "!md5", "!scram-sha-256", "!none",
                "password,none", "md5,scram-sha-256", "!password,!none", "oauth", "gss")


@pytest.mark.parametrize("user", METHODS)
def test_require_auth_as_libpq(face: Face, pg18: Postgres, user: str) -> None:
    for requirement in REQUIREMENTS:
        dsn = pg18.dsn(user, require_auth=requirement)
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError as error:
            said = str(error).partition(f"port {pg18.port} failed: ")[2].strip()
            with pytest.raises(AuthenticationError) as refused:
                face.connect(dsn)
            assert str(refused.value) == said
        else:
            face.connect(dsn).close()


def test_every_variable_is_read(kinds: Kinds) -> None:
    plan = resolve("", {}, {"PGHOST": "h", "PGPORT": "7", "PGUSER": "u", "PGDATABASE": "d", "PGPASSWORD": "p",
                            "PGTARGETSESSIONATTRS": "primary", "PGCONNECT_TIMEOUT": "3", "PGOPTIONS": "-c a=b",
                            "PGAPPNAME": "a", "PGREQUIREAUTH": "md5", "PGLOADBALANCEHOSTS": "random",
                            "PGREQUIREPEER": "r", "HOME": os.devnull})
    assert (plan.hosts[0].name, plan.hosts[0].port, plan.login.user, plan.login.database, plan.login.password) == (
        "h", 7, "u", "d", "p")
    assert (plan.target_session_attrs, plan.connect_timeout, plan.shuffle) == ("primary", 3, True)
    assert plan.login.settings == {"options": "-c a=b", "application_name": "a"}
    assert plan.login.require_auth is not None
    assert plan.texts["requirepeer"] == "r"
