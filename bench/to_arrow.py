"""Results to Arrow: every row of a table into record batches, beside the drivers that do nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from . import fetch
from .clock import timed
from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import forget_peak, resident


def _taking(take: Callable[[], Any], settings: Settings) -> Round:
    """A round that takes everything and looks at what came; `peak` is how much the process grew meanwhile."""

    def run() -> Figures:
        forget_peak(os.getpid())
        before = resident(os.getpid())
        table, figures = timed(take, settings["rows"])
        figures["peak"] = (resident(os.getpid(), "VmHWM") - before) / 2**20
        if len(table) != settings["rows"]:
            raise AssertionError(f"{len(table)} rows where {settings['rows']} were asked for")
        return figures

    return run


def febe(settings: Settings) -> Iterator[Round]:
    import febe

    with febe.connect(settings["dsn"]) as connection:
        yield _taking(lambda: connection.fetch_arrow(settings["sql"]), settings)


def adbc(settings: Settings) -> Iterator[Round]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(settings["dsn"]) as connection, connection.cursor() as cursor:

        def take() -> Any:
            cursor.execute(settings["sql"])
            return cursor.fetch_arrow_table()

        yield _taking(take, settings)


def connectorx(settings: Settings) -> Iterator[Round]:
    import connectorx

    yield _taking(
        lambda: connectorx.read_sql(settings["dsn"], settings["sql"], return_type="arrow", protocol="binary"), settings)


CONTENDERS = {"febe": Contender(run=febe), "ADBC": Contender(run=adbc), "connectorx": Contender(run=connectorx)}


def _measurement(shape: str, sql: str, wanted: float) -> Measurement:
    rows = next(rows for _shape, table, _columns, rows, *_ in fetch.SHAPES if table == "mixed")
    name = f"to Arrow {shape} x {rows:,}"
    peers = ("ADBC", "connectorx")
    return Measurement(
        name=name, contenders=CONTENDERS, settings={"sql": sql, "rows": rows},
        rows=[Row(name=name, ours="febe", against=dict.fromkeys(peers, wanted), figure="wall", unit="s"),
              Row(name=f"{name}, client CPU", ours="febe", against=dict.fromkeys(peers), figure="cpu per row",
                  unit="ns/row"),
              Row(name=f"{name}, peak memory", ours="febe", against=dict.fromkeys(peers, 1.0), figure="peak",
                  unit="MB")])


MEASUREMENTS = [_measurement("8 mixed columns", "select * from mixed", 1.3),
                _measurement("3 columns", "select a, b, c from mixed", 1.0)]
