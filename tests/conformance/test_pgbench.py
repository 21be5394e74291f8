"""pgbench's own run, tpcb-like, in its three query modes and in pipelines."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import installed
from tests.peers import febe_server as febe_servers
from tests.peers.febe_server import FebeServer

_PIPELINE = r"""
\set aid random(1, 100000 * :scale)
\set delta random(-5000, 5000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, :delta, CURRENT_TIMESTAMP);
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = 1;
END;
\endpipeline
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FebeServer]:
    with febe_servers.running() as made:
        assert "done in" in pgbench(made, "-i", "-s", "1").stderr
        yield made


def pgbench(server: FebeServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = installed(18).program("pgbench")
    return subprocess.run([program, "-h", server.host, "-p", str(server.port), "-U", "demo", *arguments, "demo"],
                          capture_output=True, text=True, timeout=120, check=True)


def value(server: FebeServer, sql: str) -> str:
    program = installed(18).program("psql")
    return subprocess.run([program, server.dsn(), "-XAtc", sql], capture_output=True, text=True, timeout=60,
                          check=True).stdout.strip()


def check_books(server: FebeServer) -> None:
    """What every transaction adds to three tables it has added to all of them, or to none."""
    sums = {value(server, f"select sum({column}) from pgbench_{table}")
            for table, column in (("accounts", "abalance"), ("branches", "bbalance"), ("tellers", "tbalance"),
                                  ("history", "delta"))}
    assert len(sums) == 1


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_tpcb_like(server: FebeServer, mode: str) -> None:
    before = int(value(server, "select count(*) from pgbench_history"))
    found = pgbench(server, "-n", "-M", mode, "-t", "20", "-c", "2", "-j", "2", "--max-tries=1000")
    assert "number of transactions actually processed: 40/40" in found.stdout
    assert "number of failed transactions: 0" in found.stdout
    assert int(value(server, "select count(*) from pgbench_history")) == before + 40
    check_books(server)


@pytest.mark.parametrize("mode", ["extended", "prepared"])
def test_pipelines(server: FebeServer, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "pipeline.sql"
    script.write_text(_PIPELINE)
    found = pgbench(server, "-n", "-M", mode, "-t", "20", "-f", str(script))
    assert "number of transactions actually processed: 20/20" in found.stdout
    check_books(server)


@pytest.mark.parametrize("builtin", ["select-only", "simple-update"])
def test_the_other_scripts(server: FebeServer, builtin: str) -> None:
    found = pgbench(server, "-n", "-b", builtin, "-t", "20")
    assert "number of failed transactions: 0" in found.stdout
