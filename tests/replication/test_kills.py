"""The consumer or the server is killed (kill -9) at random points while tables change: the copy in DuckDB is equal in
the end.

FEBE_KILL_SECONDS is how long each version is kept at it; with ten minutes (600) every mode has its turn at length.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import febe
from febe.errors import Error
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Postgres
from tests.replication.conftest import MAJORS, SETTINGS
from tests.replication.copies import TABLES, statements

SECONDS = float(os.environ.get("FEBE_KILL_SECONDS", "4"))
AT_LEAST = 4.0
"""Seconds that a mode has to itself."""
QUICK = {**SETTINGS, "logical_decoding_work_mem": "64kB", "wal_sender_timeout": "5s"}
COMPARED = {
    "plain": ("select id, name, amount::text, (extract(epoch from at) * 1000000)::bigint, flag from plain order by id",
              "select id, name, amount::varchar, epoch_us(plain.at), flag from plain order by id"),
    "whole": ("select id, label, encode(data, 'hex') from whole order by 1, 2",
              "select id, label, lower(hex(data)) from whole order by 1, 2"),
    "wide": ("select id, md5(body), n from wide order by id",) * 2}


def modes(major: int) -> list[tuple[str, ...]]:
    """The versions of the protocol and ways of streaming that a server has."""
    newest = 1 if major < 14 else 2 if major < 15 else 3 if major < 16 else 4
    found = [("--proto-version", str(version), "--streaming", streaming)
             for version in range(1, newest + 1) for streaming in (("off",) if version < 2 else ("off", "on"))]
    return [*found, ("--proto-version", "4", "--streaming", "parallel")] if newest == 4 else found


class Consumer:
    """A `febe replicate` of ours."""

    def __init__(self, dsn: str, path: Path, mode: tuple[str, ...]) -> None:
        self._command: list[Any] = [sys.executable, "-m", "febe.cli", "replicate", dsn, "--slot", "killed",
                                    "--publication", "copied", "-o", path, "--quiet", *mode]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def finish(self, until: str) -> None:
        """Come to an end of its own at a position."""
        done = subprocess.run([*self._command, "--until", until], capture_output=True, text=True,
                              timeout=120 + SECONDS)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def changing(dsn: str, chosen: random.Random) -> Iterator[None]:
    """Random transactions, on one connection after the other."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def change() -> None:
        while not stop.is_set():
            try:
                with febe.connect(dsn) as client:
                    for sql in statements(chosen, 100, truncate=False):
                        if stop.wait(0.02):
                            return
                        client.execute(sql)
            except (Error, OSError):
                stop.wait(0.05)  # the server was killed
            except BaseException as failure:
                failures.append(failure)
                return

    worker = threading.Thread(target=change)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
    assert failures == []


def rows(server: Postgres, path: Path) -> Iterator[tuple[str, list[Any], list[Any]]]:
    with febe.connect(server.dsn()) as client, duckdb.connect(str(path), read_only=True) as copy:
        for table, (ours, theirs) in COMPARED.items():
            yield table, [tuple(row) for row in client.fetch(ours)], copy.execute(theirs).fetchall()


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 300)
@pytest.mark.parametrize("major", MAJORS)
def test_whoever_is_killed_the_copy_is_equal(tmp_path: Path, major: int) -> None:
    chosen = random.Random(major)
    known = modes(major)
    taken = chosen.sample(known, min(len(known), max(1, int(SECONDS / AT_LEAST))))
    with servers.crashing(installed(major), **QUICK) as crashing:
        server = crashing.start()
        for number, mode in enumerate(taken):
            path = tmp_path / f"{number}.duckdb"
            with febe.connect(server.dsn()) as client:
                client.execute(TABLES)
                for sql in statements(chosen, 20, truncate=False):
                    client.execute(sql)
            consumer = Consumer(server.dsn(), path, mode)
            try:
                with changing(server.dsn(), chosen):
                    consumer.start()
                    deadline = time.monotonic() + SECONDS / len(taken)
                    while (left := deadline - time.monotonic()) > 0:
                        time.sleep(min(left, chosen.random() * 3))
                        if chosen.random() < 0.7:
                            consumer.kill()
                            consumer.start()
                        else:
                            crashing.kill()
                            server = crashing.start()
            finally:
                consumer.kill()
            with febe.connect(server.dsn()) as client:
                client.execute("set synchronous_commit = on")
                client.execute("insert into plain values (-1000000, 'the end')")
                until = client.fetchval("select pg_current_wal_lsn()::text")
            consumer.finish(until)
            for table, expected, found in rows(server, path):
                assert found == expected, (table, mode)
            with febe.connect(server.dsn()) as client:
                client.execute("select pg_drop_replication_slot('killed')")
