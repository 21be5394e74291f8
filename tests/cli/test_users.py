"""Who may connect: the arguments, and what `febe passwd` makes."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from febe.cli.access import read_users
from febe.cli.commands import febe
from febe.protocol.scram import ScramVerifier
from febe.server.userlist import read_users as read_file
from tests.peers.febe_server import running
from tests.peers.postgres import Postgres


def secrets_of(given: tuple[str, ...], file: Path | None) -> dict[str, str]:
    found = read_users(given, file)
    assert found is not None
    return {name: user.secret for name, user in found.items()}


def test_users_from_both(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who\n\nbob:with:colon\nzoë:  spaces kept \n", encoding="utf-8")
    assert secrets_of(("alice:secret",), file) == {"alice": "secret", "bob": "with:colon", "zoë": "  spaces kept "}
    assert read_users((), None) is None


@pytest.mark.parametrize("entry", ["", "alice", "alice:", ":secret"])
def test_malformed_user(entry: str) -> None:
    with pytest.raises(click.BadParameter, match="NAME:PASSWORD"):
        read_users((entry,), None)


def test_malformed_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:secret\nbob\n")
    with pytest.raises(click.BadParameter, match="line 2"):
        read_users((), file)


def test_user_named_twice(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:other\n")
    with pytest.raises(click.BadParameter, match="alice is there already"):
        read_users(("alice:secret",), file)
    with pytest.raises(click.BadParameter, match="alice is there already"):
        read_users(("alice:secret", "alice:secret"), None)


def made(*arguments: str, password: str = "pencil") -> str:
    said = CliRunner().invoke(febe, ["passwd", "--stdin", *arguments], input=f"{password}\n")
    assert said.exit_code == 0, said.output
    return said.output


def test_passwd_prints_a_line() -> None:
    name, verifier = made('a"da', "--iterations", "5000").rstrip("\n").rsplit(" ", 1)
    assert name == '"a""da"'
    parsed = ScramVerifier.parse(verifier.strip('"'))
    assert parsed == ScramVerifier.make("pencil", parsed.salt, 5000)
    assert made("ada", "--method", "md5").startswith('"ada" "md5')
    assert made("ada") != made("ada")  # a salt of its own each time


def test_passwd_keeps_a_file(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text('# who\nbob:plain\n"ada" "old" roles=staff administrator\n')
    assert made("ada", "--file", str(file)) == ""
    assert made("new", "--file", str(file)) == ""
    lines = file.read_text().splitlines()
    assert lines[:2] == ["# who", "bob:plain"]
    assert lines[2].startswith('"ada" "SCRAM-SHA-256$') and lines[2].endswith('" roles=staff administrator')
    assert list(read_file(file)) == ["bob", "ada", "new"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


def test_passwd_asks_twice() -> None:
    said = CliRunner().invoke(febe, ["passwd", "ada"], input="one\ntwo\none\none\n")
    assert said.exit_code == 0 and "do not match" in said.output
    assert CliRunner().invoke(febe, ["passwd", "--stdin", "ada"], input="\n").exit_code == 2


def test_postgresql_takes_the_verifier(pg18: Postgres, psql18: Path) -> None:
    """And febe takes PostgreSQL's."""
    verifier = made("taken").split(" ")[1].strip().strip('"')
    pg18.psql(f"drop role if exists taken; create role taken login password '{verifier}'")
    try:
        hers = pg18.psql("select rolpassword from pg_authid where rolname = 'taken'")
        assert hers == verifier
        theirs = pg18.psql("select rolpassword from pg_authid where rolname = 'scram'")
    finally:
        pg18.psql("drop role taken")
    with running(options=["--user", f"scram:{theirs}", "--user", f"taken:{verifier}"]) as server:
        for user in ("scram", "taken"):
            done = subprocess.run([psql18, "-XAt", server.dsn(user, password="pencil"), "-c", "select 1"],
                                  capture_output=True, text=True)
            assert (done.stdout, done.stderr) == ("1\n", "")


def test_rules_and_limits_from_the_command_line(tmp_path: Path, psql18: Path) -> None:
    (tmp_path / "users").write_text(made("ada") + '"root" "" administrator\n')
    (tmp_path / "hba").write_text("host all ada 127.0.0.1/32 scram-sha-256\nlocal all all peer map=m\n")
    (tmp_path / "ident").write_text("m /^(.*)$ root\n")
    options = ["--users", str(tmp_path / "users"), "--hba", str(tmp_path / "hba"), "--ident", str(tmp_path / "ident"),
               "--max-connections", "5", "--reserved-connections", "1", "--max-per-user", "2", "--max-per-address", "4",
               "--statement-timeout", "7.5", "--idle-timeout", "60", "--transaction-timeout", "90",
               "--idle-in-transaction-timeout", "30", "--send-timeout", "9", "--max-message", "100000", "--grace", "1"]
    with running(options=options, socket_dir=tmp_path) as server:
        def ask(where: str, sql: str) -> str:
            done = subprocess.run([psql18, "-XAtq", where, "-c", sql], capture_output=True, text=True)
            return done.stdout.strip() or done.stderr.strip().partition("FATAL:  ")[2]

        assert ask(server.dsn("ada", password="pencil"), "show statement_timeout") == "7500ms"
        assert ask(server.dsn("bob"), "select 1") == (
            'no pg_hba.conf entry for host "127.0.0.1", user "bob", database "demo", no encryption')
        assert ask(f"host={tmp_path} port={server.port} user=root dbname=demo", "select 1") == "1"


@pytest.mark.parametrize(("options", "words"), [
    (["--ident", "FILE"], "--ident is for the rules of --hba"),
    (["--hba", "FILE"], 'invalid connection type "nonsense"'),
    (["--max-connections", "2", "--reserved-connections", "2"], "reserved_connections must be less"),
])
def test_options_that_make_no_sense(tmp_path: Path, options: list[str], words: str) -> None:
    (tmp_path / "f").write_text("nonsense\n")
    said = CliRunner().invoke(febe, ["serve", *[str(tmp_path / "f") if one == "FILE" else one for one in options]])
    assert said.exit_code == 2
    assert words in said.output.replace("\n", " ").replace("  ", " ")


def test_rules_that_need_users(tmp_path: Path) -> None:
    (tmp_path / "hba").write_text("host all all all scram-sha-256\n")
    done = subprocess.run([sys.executable, "-m", "febe.cli", "serve", "--port", "0", "--hba", str(tmp_path / "hba")],
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "authentication by scram-sha-256 needs users" in done.stderr
