"""psql's `\\d flights`, and what a server's memory grows by with the first catalog queries."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.peers import febe_server

from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import resident

FLIGHTS = ("create table flights (id integer primary key, carrier text, origin text, dep_delay integer, "
           "time_hour timestamp)")


def _described(settings: Settings, dsn: str) -> Round:
    """psql from its start to its end."""
    psql = [Path(settings["bin"], "psql"), dsn, "-X", "-c", "\\d flights"]

    def run() -> Figures:
        began = time.perf_counter()
        done = subprocess.run(psql, check=True, capture_output=True, text=True)
        took = time.perf_counter() - began
        if "flights_pkey" not in done.stdout:
            raise RuntimeError(f"psql printed {done.stdout!r}")
        return {"ms": took * 1000}

    return run


def febe(settings: Settings) -> Iterator[Round]:
    with febe_server.running(options=["--quiet"]) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(FLIGHTS)
        yield _described(settings, server.dsn())


def postgresql(settings: Settings) -> Iterator[Round]:
    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        connection.execute("drop table if exists flights")
        connection.execute(FLIGHTS)
    yield _described(settings, settings["dsn"])


def growth(settings: Settings) -> Iterator[Round]:
    """Memory of the process's own, so that pages of libraries that are first touched do not count."""
    def run() -> Figures:
        with febe_server.running(options=["--quiet"]) as server:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute(FLIGHTS)
                connection.execute("select * from flights").fetchall()
            before = resident(server.process.pid, "RssAnon")
            _described(settings, server.dsn())()
            return {"growth": (resident(server.process.pid, "RssAnon") - before) / 2**20}

    yield run


MEASUREMENTS = [
    Measurement(name="\\d flights in psql", contenders={"febe": Contender(run=febe),
                                                        "PostgreSQL 18": Contender(run=postgresql)},
                rows=[Row(name="\\d flights in psql", ours="febe", figure="ms", unit="ms", at_most=100,
                          against={"PostgreSQL 18": None})]),
    Measurement(name="memory for the catalog", contenders={"febe": Contender(run=growth)}, most_rounds=2,
                rows=[Row(name="memory for the catalog", ours="febe", figure="growth", unit="MB", at_most=40,
                          against={})]),
]
