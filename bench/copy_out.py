"""COPY out of a table: into rows, and as the bytes that the server sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from .clock import timed
from .harness import Contender, Measurement, Round, Row, Settings

ROWS = 1_000_000
TABLE = "copied"
MAKE = ("select i::int4 as a, 'some text ' || i as b, i * 0.5::float8 as c, timestamptz '2024-01-01 00:00:00Z' + "
        "i * interval '1 second' as d from generate_series(1, {rows}) as i")
NAMES = ("int4", "text", "float8", "timestamptz")
SQL = f"copy {TABLE} to stdout (format binary)"


def _whole(rows: list[Any], settings: Settings) -> None:
    if len(rows) != settings["rows"] or len(rows[-1]) != len(NAMES):
        raise AssertionError(f"{len(rows)} rows where {settings['rows']} were asked for")


def _counted(size: int, settings: Settings) -> None:
    if size < 30 * settings["rows"]:
        raise AssertionError(f"{size} bytes of {settings['rows']} rows")


def febe_rows(settings: Settings) -> Iterator[Round]:
    import febe

    def copy() -> list[Any]:
        with connection.copy_out(TABLE) as out:
            return [row for rows in out for row in rows]

    with febe.connect(settings["dsn"]) as connection:

        def run() -> dict[str, float]:
            rows, figures = timed(copy, settings["rows"])
            _whole(rows, settings)
            return figures

        yield run


def psycopg_rows(settings: Settings) -> Iterator[Round]:
    import psycopg

    def copy() -> list[Any]:
        with connection.cursor().copy(SQL) as out:
            out.set_types(NAMES)
            return list(out.rows())

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:

        def run() -> dict[str, float]:
            rows, figures = timed(copy, settings["rows"])
            _whole(rows, settings)
            return figures

        yield run


class _Counter:
    """A file that nothing is kept in."""

    size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)


def febe_bytes(settings: Settings) -> Iterator[Round]:
    import febe

    with febe.connect(settings["dsn"]) as connection:

        def run() -> dict[str, float]:
            target = _Counter()
            figures = timed(lambda: connection.copy_out_file(SQL, target), settings["rows"])[1]
            _counted(target.size, settings)
            return figures

        yield run


def psycopg_bytes(settings: Settings) -> Iterator[Round]:
    import psycopg

    def copy(target: _Counter) -> None:
        with connection.cursor().copy(SQL) as out:
            for data in out:
                target.write(data)

    with psycopg.connect(settings["dsn"], autocommit=True) as connection:

        def run() -> dict[str, float]:
            target = _Counter()
            figures = timed(lambda: copy(target), settings["rows"])[1]
            _counted(target.size, settings)
            return figures

        yield run


def asyncpg_bytes(settings: Settings) -> Iterator[Round]:
    import asyncpg
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(settings["dsn"]))

        def run() -> dict[str, float]:
            target = _Counter()

            async def take(data: bytes) -> None:
                target.write(data)

            figures = timed(lambda: runner.run(connection.copy_from_table(TABLE, output=take, format="binary")),
                            settings["rows"])[1]
            _counted(target.size, settings)
            return figures

        yield run
        runner.run(connection.close())


def _measurement(name: str, contenders: dict[str, Any], wanted: float) -> Measurement:
    peers = [peer for peer in contenders if peer != "febe"]
    return Measurement(
        name=name, contenders={peer: Contender(run=run) for peer, run in contenders.items()}, settings={"rows": ROWS},
        rows=[Row(name=name, ours="febe", against=dict.fromkeys(peers, wanted), figure="wall", unit="s"),
              Row(name=f"{name}, client CPU", ours="febe", against=dict.fromkeys(peers), figure="cpu per row",
                  unit="ns/row")])


MEASUREMENTS = [
    _measurement(f"COPY out of {ROWS:,} rows, 4 columns, to rows", {"febe": febe_rows, "psycopg": psycopg_rows}, 1.5),
    _measurement(f"COPY out of {ROWS:,} rows, 4 columns, bytes",
                 {"febe": febe_bytes, "asyncpg": asyncpg_bytes, "psycopg": psycopg_bytes}, 1.5),
]
