"""The same rules and the same clients, in front of PostgreSQL 18 and of febe: the same answers."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from febe import connect
from febe.errors import AuthenticationError, PostgresError
from febe.server import User, access_rules
from tests.peers import postgres as servers
from tests.peers.installation import server_user
from tests.peers.postgres import SUPERUSER, USERS, Postgres
from tests.server.listening import listening
from tests.server.wire import Script

PEER = getpass.getuser()
HBA = f"""
local all {SUPERUSER} trust
host all {SUPERUSER} 127.0.0.1/32 trust
local all trust peer map=m
local all md5 peer
local all scram reject
local all all scram-sha-256
hostssl all all all trust
hostgssenc all all all trust
host replication trust all reject
host replication password all password
host nowhere all all reject
host sameuser trust all reject
host all /^rej 127.0.0.0/8 reject
host all nobody_at_all all trust
host all md5 samehost md5
host all password all password
host all scram,unknown all scram-sha-256
host all scram_prepared all md5
host all trust 127.0.0.1 255.255.255.255 trust
host all +group all trust
"""
IDENT = f"m {PEER} trust\nm /^(.*)$ postgres\n"


@dataclass(slots=True)
class Pair:
    """Both servers, reached alike."""

    postgres: Postgres
    febe_port: int
    febe_sockets: Path
    psql: Path

    def ask(self, who: str, *, febe: bool, host: str = "127.0.0.1", dbname: str = "postgres",
            password: str | None = None, replication: str | None = None) -> str:
        """What psql says: the user's name, or the server's refusal."""
        port = self.febe_port if febe else self.postgres.port
        if host == "socket":
            host = str(self.febe_sockets if febe else self.postgres.socket_dir)
        extra = f" replication={replication}" if replication else ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            [self.psql, "-XAtq", "-v", "VERBOSITY=verbose", f"host={host} port={port} user={who} dbname={dbname} "
             f"connect_timeout=20{extra}", "-c", "select 1" if replication is None else "IDENTIFY_SYSTEM"],
            env=kept | {"PGPASSWORD": password or "", "LC_ALL": "C"}, capture_output=True, text=True)
        said = done.stderr.strip().partition("failed: ")[2] or done.stderr.strip() or done.stdout.strip()
        return said.replace(str(port), "PORT")


@pytest.fixture(scope="module")
def pair(pg18: Postgres, psql18: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("sockets")
    (folder / "hba").write_text(HBA)
    (folder / "ident").write_text(IDENT)
    users = {name: User(secret=password or "", roles=frozenset({"group"} if name == "reject" else ()))
             for name, password in USERS.items()}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.running(pg18.installation, hba=HBA))
        ident = Path(server.psql("show ident_file"))
        ident.write_text(IDENT)
        server.psql('select pg_reload_conf(); create role "group"; grant "group" to reject')
        engine = Script()
        # psql's only statement
        engine.open = _open  # type: ignore[method-assign]
        listener = stack.enter_context(listening(engine, users=users, unix_socket_dir=folder,
                                                 rules=access_rules(folder / "hba", folder / "ident")))
        yield Pair(server, listener.port, folder, psql18)


def _open(**_: object) -> object:
    from tests.server.wire import ScriptSession

    class One(ScriptSession):
        def prepare(self, sql: str, parameter_types: object) -> object:
            return super().prepare("one", [])

    return One(Script())


ATTEMPTS: dict[str, dict[str, Any]] = {
    "trust": {"who": "trust"},
    "trust through a role": {"who": "reject", "host": "127.0.0.1", "dbname": "postgres"},
    "superuser": {"who": SUPERUSER},
    "reject by pattern": {"who": "rejected"},
    "a database that is rejected": {"who": "trust", "dbname": "nowhere"},
    "sameuser": {"who": "trust", "dbname": "trust"},
    "no rule": {"who": "stranger"},
    "a user that does not exist": {"who": "nobody_at_all"},
    "md5": {"who": "md5", "password": USERS["md5"]},
    "md5, wrong": {"who": "md5", "password": "wrong"},
    "md5, none": {"who": "md5"},
    "password": {"who": "password", "password": USERS["password"]},
    "password, wrong": {"who": "password", "password": "wrong"},
    "scram": {"who": "scram", "password": USERS["scram"]},
    "scram, wrong": {"who": "scram", "password": "wrong"},
    "scram, unknown user": {"who": "unknown", "password": "whatever"},
    "md5 that becomes scram": {"who": "scram_prepared", "password": USERS["scram_prepared"]},
    "md5 that becomes scram, wrong": {"who": "scram_prepared", "password": "wrong"},
    "socket, trusted": {"who": SUPERUSER, "host": "socket"},
    "socket, peer with a map": {"who": "trust", "host": "socket"},
    "socket, peer of another name": {"who": "md5", "host": "socket"},
    "socket, rejected": {"who": "scram", "host": "socket", "password": "pencil"},
    "socket, scram of a user with MD5": {"who": "password", "host": "socket", "password": USERS["password"]},
    "replication, rejected": {"who": "trust", "replication": "on"},
    "replication, no rule": {"who": "md5", "replication": "on"},
    "replication of a database, wrong password": {"who": "md5", "replication": "database", "password": "wrong"},
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_same_answer(pair: Pair, name: str) -> None:
    attempt = ATTEMPTS[name]
    theirs = pair.ask(febe=False, **attempt)
    ours = pair.ask(febe=True, **attempt)
    assert ours == theirs
    if name.endswith("wrong") or "reject" in name or "no rule" in name:
        assert "FATAL" in theirs


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_same_sqlstate(pair: Pair, name: str) -> None:
    """psql does not show it, febe's client does."""
    attempt = dict(ATTEMPTS[name])
    extra = {"replication": attempt.pop("replication")} if "replication" in attempt else {}
    said = []
    for febe in (False, True):
        where = {"host": attempt.get("host", "127.0.0.1"), "port": pair.febe_port if febe else pair.postgres.port}
        if where["host"] == "socket":
            where["host"] = str(pair.febe_sockets if febe else pair.postgres.socket_dir)
        try:
            with connect(**where, user=attempt["who"], password=attempt.get("password"),
                         dbname=attempt.get("dbname", "postgres"), **extra) as client:
                said.append(client.fetchval("select 1"))
        except PostgresError as error:
            said.append((error.severity, error.sqlstate, error.message))
        except AuthenticationError as error:
            said.append(str(error))
    assert said[0] == said[1]


def test_the_peer_is_who_the_tests_run_as(pair: Pair) -> None:
    """Else the attempts above would show nothing."""
    assert pair.ask("trust", febe=True, host="socket") == "1"
    assert 'Peer authentication failed for user "md5"' in pair.ask("md5", febe=True, host="socket")
    assert server_user() != PEER or getpass.getuser() == PEER
