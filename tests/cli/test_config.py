"""`febe serve --config` and `--check`, reading it anew on SIGHUP, and telling systemd."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from febe import connect
from febe.cli.commands import febe
from febe.cli.serve import serve
from febe.errors import PostgresError
from tests.peers.febe_server import running


def checked(*arguments: str | Path) -> Any:
    return CliRunner().invoke(febe, ["serve", "--check", *map(str, arguments)])


def said(result: Any) -> str:
    return " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cities.csv").write_text("name,people\nOslo,700000\n")
    (tmp_path / "users").write_text("ada:secret\n")
    (tmp_path / "pg_hba.conf").write_text("host all all all scram-sha-256\n")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "febe.toml").write_text(text)
    return folder / "febe.toml"


def test_every_option_can_be_in_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets to the command as if it had been on the command line."""
    other = {"port": 6543, "host": "::1", "unix_socket": ".", "sources": ["cities.csv", "towns=cities.csv", "sc://h"],
             "tls_min_version": "TLSv1.3", "log_format": "json", "metrics": "9187", "readers": ["eve"],
             "published": ["p=t"],
             "session_user": "nobody", "session_memory": "1GB", "memory_limit": "1GB", "dialect": "postgres",
             "user": ["bob:x", "eve:y"], "oauth_audience": ["here"], "oauth_jwks": "keys", "oauth_identity": "email"}
    lines, wanted = [], {}
    for param in serve.params:
        name = param.name
        if name in ("config", "check_only", "help", None):
            continue
        key = param.opts[0].removeprefix("--")
        if name in other:
            value = other[name]
        elif isinstance(param.type, click.Path):
            value = "users" if name == "users_file" else "pg_hba.conf" if param.type.file_okay else "."
        elif isinstance(param.type, click.types.BoolParamType):
            value = True
        elif isinstance(param.type, click.types.IntParamType | click.types.FloatParamType):
            value = 20_000
        else:
            raise AssertionError(f"what may {name} be?")
        wanted[name] = value
        literal = {True: "true"}.get(value) if isinstance(value, bool) else repr(value)
        lines.append(f"{key.replace('_', '-')} = {literal}")
    got: dict[str, Any] = {}
    monkeypatch.setattr(serve, "callback", lambda **values: got.update(values))
    file = write(folder, "\n".join(lines))
    done = CliRunner().invoke(febe, ["serve", "--config", str(file), "--port", "1"])
    assert done.exit_code == 0, done.output
    got["port"] = 6543 if got["port"] == 1 else got["port"]  # the command line goes before the file
    for name, value in wanted.items():
        found = got[name]
        if name == "sources":
            assert found == (str(folder / "cities.csv"), f"towns={folder / 'cities.csv'}", "sc://h")
        elif isinstance(found, Path):
            assert found.resolve() == (folder / value).resolve()
        else:
            assert found == (tuple(value) if isinstance(value, list) else value), name


@pytest.mark.parametrize(("text", "words"), [
    ("max-conections = 5", "there is no option max-conections; is it max-connections?"),
    ("max_connections = 5", ""),
    ("wholly-unknown = 5", "there is no option wholly-unknown"),
    ("config = 'x'", "there is no option config"),
    ("check = true", "there is no option check"),
    ("max-connections = 'many'", "'many' is not a valid integer"),
    ("max-connections = 0", "0 is not in the range"),
    ("max-connections = [5]", "max-connections has to be one value"),
    ("user = 'ada:x'", "user has to be a list"),
    ("user = ['ada']", "expected NAME:PASSWORD"),
    ("quiet = 'yes'", "quiet has to be true or false"),
    ("quiet = true\nquiet = false", "febe.toml: Cannot overwrite a value"),
    ("[limits]\nmax-connections = 5", "there is no option limits"),
    ("host", "febe.toml:"),
    ("hba = 'nowhere'", "nowhere' does not exist"),
    ("hba = 'pg_hba.conf'", "needs users"),
    ("hba = 'pg_hba.conf'\nusers = 'users'", ""),
    ("ident = 'pg_hba.conf'", "--ident is for the rules of --hba"),
    ("sources = ['nowhere.csv']", "nowhere.csv"),
    ("sources = ['cities.csv']", ""),
    ("sources = ['febe.server.testing:nothing']", "nothing"),
    ("sources = ['postgresql://h?nope=1']", "invalid URI query parameter"),
    ("workers = 2\nprocess-per-session = true\nsession-user = 'nobody'", "choose one"),
    ("tls-cert = 'users'", "TLS needs both --tls-cert and --tls-key"),
    ("tls-cert = 'users'\ntls-key = 'users'", "users"),
    ("host = '0.0.0.0'", "have to authenticate"),
    ("reserved-connections = 100", "reserved_connections must be less than max_connections"),
])
def test_what_is_wrong_is_said(folder: Path, text: str, words: str) -> None:
    result = checked("--config", write(folder, text))
    if words:
        assert result.exit_code in (1, 2)
        assert words in said(result)
        assert "Traceback" not in result.output
    else:
        assert result.exit_code == 0, result.output
        assert "could be started like that" in said(result)


def test_check_opens_nothing(tmp_path: Path) -> None:
    """A database that a server has open can be checked all the same, and so can the port it listens on."""
    import duckdb

    file = tmp_path / "shop.duckdb"
    duckdb.connect(str(file)).close()
    with running(file) as server:
        result = checked(file, "--port", str(server.port))
        assert result.exit_code == 0, result.output


def test_limits_are_read_anew(folder: Path) -> None:
    file = write(folder, "sources = ['cities.csv']\nmax-connections = 1\nport = 0\n")
    with running(options=["--config", str(file)]) as server:
        def another() -> Any:
            return connect(host=server.host, port=server.port, user="demo")

        with another() as first:
            assert first.fetchval("select people from cities") == 700000
            with pytest.raises(PostgresError, match="too many clients"):
                another()
            write(folder, "max-connections = 2\nstatement-timeout = 5\nmax-message = 20000\nhost = '::1'\n")
            server.process.send_signal(signal.SIGHUP)
            while not any("sources cannot be changed" in line for line in server.printed):
                first.fetchval("select 1")
            second = another()
            assert second.fetchval("show statement_timeout") == "5s"
            with pytest.raises(PostgresError, match="invalid message length"):
                second.fetchval("select '" + "x" * 30_000 + "'")
            second.close()
            write(folder, "max-connections = 0")
            server.process.send_signal(signal.SIGHUP)
            while not any("limits were not reloaded" in line for line in server.printed):  # until it has arrived
                first.fetchval("select 1")
            with another() as third:
                assert third.fetchval("select 1") == 1
    assert any("host cannot be changed without restarting" in line for line in server.printed)
    assert any("sources cannot be changed" in line for line in server.printed)


def test_what_the_command_line_says_stays(folder: Path) -> None:
    """Reading the file anew does not undo what was said on the command line."""
    from febe.cli.config import reread_limits

    file = write(folder, "max-connections = 7\nidle-timeout = 3\n")
    ctx = serve.make_context("serve", ["--config", str(file), "--max-connections", "5"])
    limits = reread_limits(ctx, file)()
    assert (limits.max_connections, limits.idle_session_timeout, limits.reserved_connections) == (5, 3, 0)
    write(folder, "max-connections = 9\nreserved-connections = 2\n")
    limits = reread_limits(ctx, file)()
    assert (limits.max_connections, limits.idle_session_timeout, limits.reserved_connections) == (5, 0, 2)
    reread = reread_limits(ctx, file)
    write(folder, "idle-timeout = -1\n")
    with pytest.raises(ValueError, match="not in the range"):
        reread()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"@febe-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind("\0" + name[1:] if abstract else name)
        told.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        with running():
            assert told.recv(100) == b"READY=1"
