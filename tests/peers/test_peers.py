"""The fixtures themselves: real servers answer, and every authentication method is asked for."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from tests.peers.postgres import USERS, Postgres


def test_server_answers_by_its_own_psql(postgres: Postgres) -> None:
    assert postgres.psql("show server_version").startswith(postgres.version)


@pytest.mark.parametrize("user", [name for name in USERS if name != "reject"])
def test_every_user_gets_in(postgres: Postgres, user: str) -> None:
    assert postgres.psql("select current_user", user) == user


def test_rejected_user_stays_out(postgres: Postgres) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        postgres.psql("select 1", "reject")
    assert "pg_hba.conf rejects connection" in caught.value.stderr


@pytest.mark.parametrize("user", ["password", "md5", "scram", "scram_prepared"])
def test_wrong_password_stays_out(postgres: Postgres, psql18: Path, user: str) -> None:
    for unix in (False, True):
        done = subprocess.run([psql18, "-X", postgres.dsn(user, password="wrong", unix=unix), "-c", "select 1"],
                              capture_output=True, text=True)
        assert "password authentication failed" in done.stderr


def test_both_psql(pg18: Postgres, psql18: Path, psql15: Path) -> None:
    for psql, version in ((psql18, "18."), (psql15, "15.")):
        done = subprocess.run([psql, "-XAt", pg18.dsn("scram", unix=True), "-c", r"\echo :VERSION_NAME"],
                              capture_output=True, text=True, check=True)
        assert done.stdout.startswith(version)


def test_libpq_is_18(libpq: Path) -> None:
    assert ctypes.CDLL(str(libpq)).PQlibVersion() // 10000 == 18
