"""Many small requests on one connection, over loopback and over a network that takes a while, and a statement run with
many sets of parameters; what a pool costs, and what an import."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .clock import spread, timed, times
from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .slow_network import slow_network

SQL = "select $1::int4"
TASKS = 100


def _way(settings: Settings) -> contextlib.AbstractContextManager[Settings]:
    return slow_network(settings) if settings["delay"] else contextlib.nullcontext(settings)


def _dsn(settings: Settings) -> str:
    return (f"host={settings['host']} port={settings['port']} user={settings['user']} "
            f"dbname={settings['database']}")


def _rate(runner: asyncio.Runner, ask: Callable[[int], Any], settings: Settings) -> Round:
    """Tasks that each ask one question after the other, at the same time."""
    count = settings["queries"]

    async def task(first: int) -> int:
        return sum([await ask(number) for number in range(first, count, TASKS)])

    async def all_tasks() -> None:
        found = sum(await asyncio.gather(*(task(number) for number in range(TASKS))))
        if found != count * (count - 1) // 2:
            raise AssertionError(f"wrong answers: {found}")

    def run() -> Figures:
        start = time.perf_counter()
        runner.run(all_tasks())
        return {"per second": count / (time.perf_counter() - start)}

    return run


def febe_tasks(settings: Settings) -> Iterator[Round]:
    import uvloop

    import febe.aio

    with _way(settings) as way, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(febe.aio.connect(_dsn(way)))
        yield _rate(runner, lambda number: connection.fetchval(SQL, number), settings)
        runner.run(connection.close())


def asyncpg_tasks(settings: Settings) -> Iterator[Round]:
    """It takes one request at a time, so that the tasks need a lock."""
    import asyncpg
    import uvloop

    with _way(settings) as way, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(host=way["host"], port=way["port"], user=way["user"],
                                                database=way["database"], ssl=False))
        lock = asyncio.Lock()

        async def ask(number: int) -> Any:
            async with lock:
                return await connection.fetchval(SQL, number)

        # What takes that long is not asked ten thousand times: it is a rate.
        yield _rate(runner, ask, {**settings, "queries": settings["queries"] // (10 if settings["delay"] else 1)})
        runner.run(connection.close())


def febe_pipeline(settings: Settings) -> Iterator[Round]:
    import febe

    count = settings["queries"]
    with _way(settings) as way, febe.connect(_dsn(way)) as connection:

        def run() -> Figures:
            start = time.perf_counter()
            with connection.pipeline() as pipeline:
                replies = [pipeline.fetchval(SQL, number) for number in range(count)]
            found = sum([reply.result() for reply in replies])
            took = time.perf_counter() - start
            assert found == count * (count - 1) // 2
            return {"per second": count / took}

        yield run


def psycopg_pipeline(settings: Settings) -> Iterator[Round]:
    import psycopg

    count = settings["queries"]
    with _way(settings) as way, psycopg.connect(_dsn(way), autocommit=True) as connection:

        def run() -> Figures:
            start = time.perf_counter()
            with connection.pipeline():
                cursors = [connection.execute("select %s::int4", (number,), prepare=True) for number in range(count)]
                found = sum([cursor.fetchone()[0] for cursor in cursors])  # type: ignore[index]
            took = time.perf_counter() - start
            assert found == count * (count - 1) // 2
            return {"per second": count / took}

        yield run


# One statement, many sets of parameters

INSERT = "insert into {} values ($1, $2, $3)"


def _sets(settings: Settings) -> list[tuple[int, str, float]]:
    return [(number, f"name {number}", number / 2) for number in range(settings["rows"])]


def _table(settings: Settings, name: str) -> None:
    import psycopg

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        connection.execute(f"drop table if exists {name}; create unlogged table {name} (a int4, b text, c float8)")


def _empty(settings: Settings, name: str) -> None:
    import psycopg

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        connection.execute(f"truncate {name}")


def febe_many(settings: Settings) -> Iterator[Round]:
    import uvloop

    import febe.aio

    sets = _sets(settings)
    _table(settings, "many_febe")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(febe.aio.connect(settings["dsn"]))

        def run() -> Figures:
            _empty(settings, "many_febe")
            return timed(lambda: runner.run(_later(connection.executemany, INSERT.format("many_febe"), sets)),
                         len(sets))[1]

        yield run
        runner.run(connection.close())


def asyncpg_many(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    sets = _sets(settings)
    _table(settings, "many_asyncpg")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(settings["dsn"]))

        def run() -> Figures:
            _empty(settings, "many_asyncpg")
            return timed(lambda: runner.run(_later(connection.executemany, INSERT.format("many_asyncpg"), sets)),
                         len(sets))[1]

        yield run
        runner.run(connection.close())


def psycopg_many(settings: Settings) -> Iterator[Round]:
    import psycopg

    sets = _sets(settings)
    _table(settings, "many_psycopg")
    with psycopg.connect(settings["dsn"]) as connection, connection.cursor() as cursor:

        def run() -> Figures:
            _empty(settings, "many_psycopg")

            def job() -> None:
                cursor.executemany("insert into many_psycopg values (%s, %s, %s)", sets)
                connection.commit()

            return timed(job, len(sets))[1]

        yield run


async def _later(ask: Callable[..., Any], *args: Any) -> Any:
    return await ask(*args)


# A pool

def febe_pool(settings: Settings) -> Iterator[Round]:
    import febe

    with febe.Pool(settings["dsn"], min_size=1, max_size=4) as pool:

        def ask() -> None:
            with pool.acquire():
                pass

        yield lambda: spread(times(ask, settings["trips"]))


def febe_asyncio_pool(settings: Settings) -> Iterator[Round]:
    import uvloop

    import febe.aio

    async def trips(pool: Any) -> list[float]:
        clock, found = time.perf_counter, []
        for _ in range(settings["trips"]):
            start = clock()
            async with pool.acquire():
                pass
            found.append(clock() - start)
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pool = febe.aio.Pool(settings["dsn"], min_size=1, max_size=4)
        runner.run(pool.__aenter__())
        yield lambda: spread(runner.run(trips(pool)))
        runner.run(pool.__aexit__(None, None, None))


def asyncpg_pool(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    async def trips(pool: Any) -> list[float]:
        clock, found = time.perf_counter, []
        for _ in range(settings["trips"] // 20):       # each takes a round trip
            start = clock()
            async with pool.acquire():
                pass
            found.append(clock() - start)
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pool = runner.run(_later(asyncpg.create_pool, settings["dsn"]))
        yield lambda: spread(runner.run(trips(pool)))
        runner.run(pool.close())


# Imports

def importing(statement: str) -> Callable[[Settings], Iterator[Round]]:
    """A program that does nothing but import."""
    def start(code: str) -> float:
        before = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], check=True)
        return time.perf_counter() - before

    def contender(_settings: Settings) -> Iterator[Round]:
        start(statement)
        yield lambda: {"milliseconds": max(min(start(statement) for _ in range(5))
                                           - min(start("pass") for _ in range(5)), 0) * 1e3}

    return contender


def _requests(name: str, delay: float, of_asyncpg: float | None, of_psycopg: float | None,
              at_least: float | None) -> Measurement:
    return Measurement(
        name=name, settings={"queries": 10_000, "delay": delay}, most_rounds=5,
        contenders={"febe": Contender(run=febe_tasks), "febe pipeline": Contender(run=febe_pipeline),
                    "asyncpg": Contender(run=asyncpg_tasks), "psycopg pipeline": Contender(run=psycopg_pipeline)},
        rows=[Row(name=f"{name}, {TASKS} tasks", ours="febe", figure="per second", unit="/s", more_is_better=True,
                  against={"asyncpg": of_asyncpg, "psycopg pipeline": of_psycopg}),
              Row(name=f"{name}, a pipeline", ours="febe pipeline", figure="per second", unit="/s", more_is_better=True,
                  against={"psycopg pipeline": None if of_psycopg else 2.0}, at_least=at_least)])


MEASUREMENTS = [
    _requests("10,000 queries at 1 ms", 0.001, 20.0, 1.5, None),
    _requests("10,000 queries on loopback", 0.0, None, None, None),
    Measurement(
        name="executemany", settings={"rows": 10_000},
        contenders={"febe": Contender(run=febe_many), "asyncpg": Contender(run=asyncpg_many),
                    "psycopg": Contender(run=psycopg_many)},
        rows=[Row(name="executemany of 10,000 rows", ours="febe", figure="wall", unit="s",
                  against={"asyncpg": 1.2, "psycopg": None})]),
    Measurement(
        name="pool", settings={"trips": 20_000},
        contenders={"febe": Contender(run=febe_pool), "febe asyncio": Contender(run=febe_asyncio_pool),
                    "asyncpg": Contender(run=asyncpg_pool)},
        rows=[Row(name="pool: acquire and release", ours="febe", figure="median", unit="µs", against={}, at_most=5.0),
              Row(name="pool: acquire and release, asyncio", ours="febe asyncio", figure="median", unit="µs",
                  against={"asyncpg": None}, at_most=5.0)]),
    Measurement(
        name="import",
        contenders={"febe": Contender(run=importing("import febe")),
                    "febe with its client": Contender(run=importing("import febe; febe.connect")),
                    "asyncpg": Contender(run=importing("import asyncpg")),
                    "psycopg": Contender(run=importing("import psycopg"))},
        rows=[Row(name="`import febe`", ours="febe", figure="milliseconds", unit="ms",
                  against={"asyncpg": 1.0, "psycopg": None}, at_most=60.0),
              Row(name="`import febe; febe.connect`", ours="febe with its client", figure="milliseconds", unit="ms",
                  against={"asyncpg": None, "psycopg": None})]),
]
