"""The command line of `febe serve`: what it refuses, what it says, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from febe.cli.commands import febe
from tests.peers.febe_server import running


def test_help_names_every_option() -> None:
    said = CliRunner().invoke(febe, ["serve", "--help"])
    assert said.exit_code == 0
    for option in ("--host", "--port", "--unix-socket", "--user", "--users", "--auth-timeout", "--read-only",
                   "--memory-limit", "--reader", "--allow-files", "--quiet"):
        assert option in said.output


def test_version() -> None:
    assert CliRunner().invoke(febe, ["--version"]).output.startswith("febe 0.")


def test_beyond_loopback_needs_users() -> None:
    said = CliRunner().invoke(febe, ["serve", "--host", "0.0.0.0"])
    assert said.exit_code == 2
    assert "clients have to authenticate" in said.output


@pytest.mark.parametrize("options", [["--port", "65536"], ["--auth-timeout", "0"], ["--user", "nobody"],
                                     ["--users", "/no/such/file"], ["--unix-socket", "/no/such/directory"]])
def test_bad_options(options: list[str]) -> None:
    assert CliRunner().invoke(febe, ["serve", *options]).exit_code == 2


@pytest.mark.parametrize("arguments", [["/no/such/file.csv"], ["--memory-limit", "much"]])
def test_bad_sources_and_settings_are_said_in_a_line(arguments: list[str]) -> None:
    said = CliRunner().invoke(febe, ["serve", "--port", "0", *arguments])
    assert said.exit_code == 1
    assert "Error: " in said.output and "Traceback" not in said.output


@pytest.mark.parametrize("package", ["click", "duckdb"])
def test_missing_package_is_named(package: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = ['serve']; import febe.cli; febe.cli.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"febe: the package {package} is missing: pip install 'febe[serve]'\n"


def test_port_in_use_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run([sys.executable, "-m", "febe.cli", "serve", "--port", str(taken.getsockname()[1])],
                              capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_a_file_and_ends_cleanly(tmp_path: Path, psql18: Path, number: signal.Signals) -> None:
    (tmp_path / "cities.csv").write_text("name,people\nOslo,700000\nBergen,290000\n")
    with running(tmp_path / "cities.csv", socket_dir=tmp_path) as server:
        for where in (server.dsn(), f"host={tmp_path} port={server.port} user=demo dbname=demo"):
            done = subprocess.run([psql18, "-XAt", where, "-c", "select name from cities order by people"],
                                  capture_output=True, text=True)
            assert (done.stdout, done.stderr) == ("Bergen\nOslo\n", "")
        with socket.create_connection((server.host, server.port)):      # connected and silent
            assert server.stop(number) == 0
    assert not list(tmp_path.glob(".s.PGSQL*"))
    assert any("cities" in line for line in server.printed)
    assert not any("Traceback" in line for line in server.printed)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_users_have_to_prove_their_password(tmp_path: Path, psql18: Path) -> None:
    users = tmp_path / "users"
    users.write_text("alice:secret\n")
    with running(options=["--users", str(users)]) as server:
        for password, told in (("secret", ""), ("wrong", "password authentication failed")):
            done = subprocess.run([psql18, "-XAt", server.dsn("alice", password=password), "-c", "select 1"],
                                  capture_output=True, text=True)
            assert told in done.stderr and (done.stdout == "1\n") == (password == "secret")
