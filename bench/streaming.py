"""How much a client grows while ten million rows stream through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import forget_peak, resident

SQL = "select i::int4 as a, i * 7 as b, 'row ' || i as c from generate_series(1, {rows}) as i"


def _growing(count: Callable[[int], int], settings: Settings) -> Round:
    """A round that streams everything; a small stream first, since buffers of a connection are not growth."""
    count(100_000)
    forget_peak(os.getpid())
    before = resident(os.getpid())

    def run() -> Figures:
        rows = count(settings["rows"])
        if rows != settings["rows"]:
            raise AssertionError(f"{rows} rows where {settings['rows']} were asked for")
        return {"growth": (resident(os.getpid(), "VmHWM") - before) / 2**20}

    return run


def _stream(connection: Any, rows: int) -> int:
    with connection.stream(SQL.format(rows=rows), size=10_000) as batches:
        return sum(map(len, batches))


def _stream_arrow(connection: Any, rows: int) -> int:
    with connection.stream_arrow(SQL.format(rows=rows)) as tables:
        return sum(map(len, tables))


def _copy(connection: Any, rows: int) -> int:
    with connection.copy_out_bytes(f"copy ({SQL.format(rows=rows)}) to stdout") as out:
        return sum(piece.count(b"\n") for pieces in out for piece in pieces)


WAYS = {"stream": _stream, "stream_arrow": _stream_arrow, "copy_out_bytes": _copy}


def febe(settings: Settings) -> Iterator[Round]:
    import febe

    way = WAYS[settings["way"]]
    with febe.connect(settings["dsn"]) as connection:
        yield _growing(lambda rows: way(connection, rows), settings)


def _measurement(way: str) -> Measurement:
    name = f"client's growth at 10,000,000 rows, {way}"
    return Measurement(
        name=name, contenders={"febe": Contender(run=febe)}, most_rounds=1, settings={"way": way, "rows": 10_000_000},
        rows=[Row(name=name, ours="febe", figure="growth", unit="MB", at_most=32, against={})])


MEASUREMENTS = [_measurement(way) for way in WAYS]
