"""One round trip of `select $1::int4`, thousands of times, each driver the way it is quickest at it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from . import raw
from .clock import spread, times, times_awaited
from .harness import Contender, Measurement, Round, Row, Settings

SQL = "select $1::int4"


def _asking(ask: Callable[[], Any], settings: Settings) -> Round:
    if (answer := ask()) != 5:
        raise AssertionError(f"{answer!r} where 5 was asked for")
    return lambda: spread(times(ask, settings["trips"]))


def _asking_loop(runner: asyncio.Runner, ask: Callable[[], Any], settings: Settings) -> Round:
    # A coroutine function, so that all trips of a round are in one run of the loop.
    async def trips() -> list[float]:
        if (answer := await ask()) != 5:
            raise AssertionError(f"{answer!r} where 5 was asked for")
        return await times_awaited(ask, settings["trips"])

    return lambda: spread(runner.run(trips()))


def febe_blocking(settings: Settings) -> Iterator[Round]:
    import febe

    with febe.connect(settings["dsn"]) as connection:
        yield _asking(lambda: connection.fetchval(SQL, 5), settings)


def febe_asyncio(settings: Settings) -> Iterator[Round]:
    import uvloop

    import febe

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(febe.aio.connect(settings["dsn"]))
        yield _asking_loop(runner, lambda: connection.fetchval(SQL, 5), settings)
        runner.run(connection.close())


def asyncpg(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(settings["dsn"]))
        yield _asking_loop(runner, lambda: connection.fetchval(SQL, 5), settings)
        runner.run(connection.close())


def psycopg(settings: Settings) -> Iterator[Round]:
    import psycopg

    # It prepares a statement by itself when it has seen it five times; the warm-up round is long past that.
    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        cursor = connection.cursor()
        yield _asking(lambda: cursor.execute("select %s::int4", (5,)).fetchone()[0], settings)


def psycopg2(settings: Settings) -> Iterator[Round]:
    import psycopg2

    connection = psycopg2.connect(settings["dsn"])
    connection.autocommit = True
    cursor = connection.cursor()

    def ask() -> Any:
        cursor.execute("select %s::int4", (5,))
        return cursor.fetchone()[0]

    yield _asking(ask, settings)
    connection.close()


def pg8000(settings: Settings) -> Iterator[Round]:
    import pg8000.native

    connection = pg8000.native.Connection(settings["user"], host=settings["host"], port=settings["port"],
                                          database=settings["database"])
    statement = connection.prepare("select :p::int4")
    yield _asking(lambda: statement.run(p=5)[0][0], settings)
    connection.close()


def raw_socket(settings: Settings) -> Iterator[Round]:
    """What is left when there is no driver: ready-made bytes, the answer compared as bytes."""
    with raw.connected(settings) as wire:
        wire.sendall(raw.parse("s", SQL) + raw.SYNC)
        wire.recv(65536)
        question = raw.bind("s", struct.pack("!i", 5)) + raw.EXECUTE + raw.SYNC
        row = raw.message(b"D", struct.pack("!hii", 1, 4, 5))
        answer = raw.message(b"2", b"") + row + raw.message(b"C", b"SELECT 1\0") + raw.READY

        def ask() -> int:
            wire.sendall(question)
            return 5 if wire.recv(65536) == answer else 0

        yield _asking(ask, settings)


@contextlib.contextmanager
def _one_core(settings: Settings) -> Iterator[None]:
    """Keep this process, and the backend that it is going to get, on one core."""
    postmaster, free = settings["postmaster"], os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(free)})
    os.sched_setaffinity(postmaster, {max(free)})      # a backend inherits it
    try:
        yield
    finally:
        os.sched_setaffinity(postmaster, free)


def pinned(run: Callable[[Settings], Iterator[Round]]) -> Callable[[Settings], Iterator[Round]]:
    """The same contender on one core."""
    def prepare(settings: Settings) -> Iterator[Round]:
        contender = run(settings)
        with _one_core(settings):
            first = next(contender)
        yield first
        yield from contender

    return prepare


CONTENDERS = {"febe": febe_blocking, "febe asyncio": febe_asyncio, "asyncpg": asyncpg, "psycopg": psycopg,
              "psycopg2": psycopg2, "pg8000": pg8000, "raw socket": raw_socket}


def _measurement(where: str, prepared: Callable[[Any], Any]) -> Measurement:
    trip = f"`{SQL}`{where}"
    return Measurement(
        name=f"round trip{where}",
        contenders={name: Contender(run=prepared(run)) for name, run in CONTENDERS.items()},
        settings={"trips": 10_000},
        rows=[
            Row(name=f"{trip}, median", ours="febe", figure="median", unit="µs",
                against={"psycopg": 1 / 0.95, "psycopg2": None, "pg8000": None, "raw socket": None}),
            Row(name=f"{trip}, 95 %", ours="febe", figure="p95", unit="µs", against={"psycopg": None}),
            Row(name=f"{trip}, asyncio, median", ours="febe asyncio", figure="median", unit="µs",
                against={"asyncpg": 1 / 0.95, "febe": None}),
            Row(name=f"{trip}, asyncio, 95 %", ours="febe asyncio", figure="p95", unit="µs", against={"asyncpg": None}),
        ])


# Waking another core that sleeps can take longer than everything else in a round trip, and whether it is needed is the
# scheduler's whim; on one core what is left is the work.
MEASUREMENTS = [_measurement("", lambda run: run)]
if hasattr(os, "sched_setaffinity"):
    MEASUREMENTS.append(_measurement(" on one core", pinned))
