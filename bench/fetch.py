"""Bulk fetch: every row of a table into the rows each driver gives by default."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import raw
from .clock import timed
from .harness import Contender, Measurement, Round, Row, Settings


def _fetching(fetch: Callable[[], Sequence[Any]], settings: Settings) -> Round:
    """A round that fetches everything, and looks at what came."""
    width, count = settings["columns"], settings["rows"]

    def run() -> dict[str, float]:
        rows, figures = timed(fetch, count)
        if len(rows) != count or len(rows[-1]) != width:
            raise AssertionError(f"{len(rows)} rows where {count} were asked for")
        return figures

    return run


def febe_blocking(settings: Settings) -> Iterator[Round]:
    import febe

    with febe.connect(settings["dsn"]) as connection:
        yield _fetching(lambda: connection.fetch(settings["sql"]), settings)


def febe_asyncio(settings: Settings) -> Iterator[Round]:
    import uvloop

    import febe

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(febe.aio.connect(settings["dsn"]))
        yield _fetching(lambda: runner.run(connection.fetch(settings["sql"])), settings)
        runner.run(connection.close())


def asyncpg(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(settings["dsn"]))
        yield _fetching(lambda: runner.run(connection.fetch(settings["sql"])), settings)
        runner.run(connection.close())


def psycopg(settings: Settings) -> Iterator[Round]:
    import psycopg

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:
        cursor = connection.cursor(binary=settings["binary"])
        yield _fetching(lambda: cursor.execute(settings["sql"]).fetchall(), settings)


def psycopg2(settings: Settings) -> Iterator[Round]:
    import psycopg2

    connection = psycopg2.connect(settings["dsn"])
    connection.autocommit = True
    cursor = connection.cursor()

    def fetch() -> Sequence[Any]:
        cursor.execute(settings["sql"])
        return cursor.fetchall()

    yield _fetching(fetch, settings)
    connection.close()


def pg8000(settings: Settings) -> Iterator[Round]:
    import pg8000.native

    connection = pg8000.native.Connection(settings["user"], host=settings["host"], port=settings["port"],
                                          database=settings["database"])
    yield _fetching(lambda: connection.run(settings["sql"]), settings)
    connection.close()


def raw_socket(settings: Settings) -> Iterator[Round]:
    """What the server and the socket take: the same bytes in binary, received and thrown away."""
    buffer = memoryview(bytearray(1 << 18))

    def receive() -> None:
        wire.sendall(raw.parse("", settings["sql"]) + raw.bind("") + raw.EXECUTE + raw.SYNC)
        while (size := wire.recv_into(buffer)) and buffer[max(size - len(raw.READY), 0):size] != raw.READY:
            pass

    with raw.connected(settings) as wire:
        yield lambda: timed(receive, settings["rows"])[1]


CONTENDERS = {
    "febe": Contender(run=febe_blocking),
    "febe asyncio": Contender(run=febe_asyncio),
    "febe interpreted": Contender(run=febe_blocking, environment={"FEBE_KERNEL": "python"}),
    "asyncpg": Contender(run=asyncpg),
    "psycopg binary": Contender(run=psycopg, settings={"binary": True}),
    "psycopg text": Contender(run=psycopg, settings={"binary": False}),
    "psycopg2": Contender(run=psycopg2),
    "pg8000": Contender(run=pg8000),
    "raw socket": Contender(run=raw_socket),
}

# Table, columns, rows, and the ratios wanted of asyncpg and of psycopg.
SHAPES = (
    ("4 columns", "narrow", 4, 500_000, 2.0, 1.5),
    ("8 mixed columns", "mixed", 8, 500_000, 1.5, 1.5),
)

# Made once per run, so that what is measured is fetching and not making.
TABLES = {
    "narrow": "select i as a, i * 7 as b, 'some text ' || i as c, i * 0.5::float8 as d"
              " from generate_series(1, {rows}) as i",
    "mixed": "select i as a, i * 1000000007::int8 as b, i * 0.5::float8 as c, 'some text ' || i as d,"
             " timestamptz '2024-01-01 00:00:00+00' + i * interval '1.000001 s' as e, i % 3 = 0 as f,"
             " (i * 1.01)::numeric(20,2) as g, md5(i::text)::uuid as h from generate_series(1, {rows}) as i",
}


def _measurement(shape: str, table: str, columns: int, rows: int, of_asyncpg: float, of_psycopg: float) -> Measurement:
    name = f"fetch {shape} x {rows:,}"
    drivers = {"asyncpg": of_asyncpg, "psycopg binary": of_psycopg, "psycopg text": None, "psycopg2": None,
               "pg8000": None, "raw socket": None}
    return Measurement(
        name=name,
        contenders=CONTENDERS,
        settings={"table": table, "columns": columns, "rows": rows, "sql": f"select * from {table}"},
        rows=[
            Row(name=name, ours="febe", against=drivers, figure="wall", unit="s"),
            # Within 15 % of the blocking API.
            Row(name=f"{name}, asyncio", ours="febe asyncio", against={"febe": 1 / 1.15, "asyncpg": None},
                figure="wall", unit="s"),
            Row(name=f"{name}, interpreted", ours="febe interpreted", against={"pg8000": 2.0, "febe": None},
                figure="wall", unit="s"),
            # Half of what drivers take that make the same objects in compiled code, and no more than psycopg2's text.
            Row(name=f"{name}, client CPU", ours="febe",
                against=dict.fromkeys(drivers) | {"asyncpg": 2.0, "psycopg binary": 2.0, "psycopg2": 1.0},
                figure="cpu per row", unit="ns/row"),
        ])


MEASUREMENTS = [_measurement(*shape) for shape in SHAPES]
