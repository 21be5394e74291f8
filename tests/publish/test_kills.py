"""Either side is killed (kill -9) at random points while tables change: they end equal.

FEBE_KILL_SECONDS is how long each version is kept at it; with ten minutes (600) every option has its turn at length.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import febe
from tests.conftest import installed
from tests.peers import postgres as servers
from tests.peers.postgres import Crashing, Postgres
from tests.publish.test_publisher import OPTIONS, SUBSCRIBERS
from tests.replication.conftest import SETTINGS

SECONDS = float(os.environ.get("FEBE_KILL_SECONDS", "6"))
AT_LEAST = 5.0
"""Seconds that an option has to itself: there are as many options to a run as have room."""
TABLES = "".join(f"drop table if exists {name}; create table {name} (id int primary key, name text, amount numeric, "
                 "at timestamptz, flag bool);" for name in ("t", "u"))
QUICK = {**SETTINGS, "wal_retrieve_retry_interval": "100ms", "wal_receiver_timeout": "5s",
         "max_sync_workers_per_subscription": "4"}


class Worker:
    """The publisher's process: started by us, killed by us."""

    def __init__(self, path: Path, chosen: random.Random) -> None:
        self._path, self._chosen = path, chosen
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.publish.worker", self._path, str(self.port), str(self._chosen.random())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def stop_changing(self) -> list[list[list[str | None]]]:
        """Have it change no more; what its tables hold."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("stop\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "stopped\n"
        return [json.loads(self._process.stdout.readline()) for _ in ("t", "u")]


@contextlib.contextmanager
def working(path: Path, chosen: random.Random) -> Iterator[Worker]:
    worker = Worker(path, chosen)
    worker.start()
    try:
        yield worker
    finally:
        worker.kill()


def rows(server: Postgres, table: str) -> list[list[str | None]]:
    with febe.connect(server.dsn()) as client:
        return [list(row) for row in client.fetch(f"select id::text, name, amount::text, at::text, "
                                                  f"case flag when true then 't' when false then 'f' end from {table} "
                                                  f"order by {table}.id")]


def equal_in_the_end(server: Postgres, expected: list[list[list[str | None]]]) -> None:
    deadline = time.monotonic() + 60
    while True:
        found = [rows(server, table) for table in ("t", "u")]
        if found == expected:
            return
        if time.monotonic() > deadline:
            differing = [(one, other) for here, there in zip(found, expected, strict=True)
                         for one, other in itertools.zip_longest(here, there) if one != other]
            pytest.fail(f"not equal: {[len(one) for one in found]} and {[len(one) for one in expected]} rows; "
                        f"first {differing[:3]}; the subscriber's log ends with\n{server.log.read_text()[-3000:]}")
        time.sleep(0.1)  # nothing tells when a subscription has caught up


def nothing_is_left(server: Postgres) -> None:
    with febe.connect(server.dsn()) as client:
        deadline = time.monotonic() + 60
        while client.fetchval("select count(*) from pg_prepared_xacts"):
            assert time.monotonic() < deadline, client.fetch("select * from pg_prepared_xacts")
            time.sleep(0.05)


def wait_until_synchronised(server: Postgres) -> None:
    """A subscriber that is killed between dropping the slot of a table's copy and committing that it is dropped, or
    that hears nothing of the drop, cannot go on, whoever publishes (tablesync.c, process_syncing_tables_for_sync)."""
    with febe.connect(server.dsn()) as client:
        deadline = time.monotonic() + 60
        while not client.fetchval("select count(*) = 2 from pg_subscription_rel where srsubstate = 'r'"):
            assert time.monotonic() < deadline, server.log.read_text()[-3000:]
            time.sleep(0.05)


def kills(crashing: Crashing, server: Postgres, worker: Worker, chosen: random.Random, seconds: float) -> Postgres:
    """Kill the one or the other until the time is over; the server as it is in the end."""
    wait_until_synchronised(server)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, chosen.random() * 2))
        if chosen.random() < 0.6:
            worker.kill()
            worker.start()
        else:
            crashing.kill()
            server = crashing.start()
    return server


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 300)
@pytest.mark.parametrize("major", SUBSCRIBERS)
def test_whoever_is_killed_tables_end_equal(tmp_path: Path, major: int) -> None:
    chosen = random.Random(major)
    known = [options for options in (*OPTIONS, "two_phase = true, streaming = parallel")
             if major > 16 or not options.startswith("failover")]
    options = chosen.sample(known, min(len(known), max(1, int(SECONDS / AT_LEAST))))
    with servers.crashing(installed(major), **QUICK) as crashing:
        server = crashing.start()
        for number, option in enumerate(options):
            with working(tmp_path / f"{number}.db", chosen) as worker:
                with febe.connect(server.dsn()) as client:
                    client.execute(TABLES)
                    # a publisher that is away is an error, too
                    given = option.replace("disable_on_error = true, ", "")
                    given = f" with ({given})" if given else ""
                    if option.startswith("copy_data"):
                        client.execute("".join(f"insert into {name} select g, 'first ' || g, null, null, true from "
                                               "generate_series(-200, -1) g;" for name in ("t", "u")))
                    client.execute(f"create subscription s connection 'host=127.0.0.1 port={worker.port} user=u "
                                   f"dbname=d sslmode=disable' publication febe{given}")
                server = kills(crashing, server, worker, chosen, SECONDS / len(options))
                expected = worker.stop_changing()
                equal_in_the_end(server, expected)
                nothing_is_left(server)
                with febe.connect(server.dsn()) as client:
                    client.execute("drop subscription s")
