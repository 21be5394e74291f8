"""The same PostgreSQL 18, asked directly and through `febe serve postgresql://...`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.peers import febe_server

from .duckdb_rows import receiving
from .harness import Contender, Measurement, Round, Row, Settings
from .transactions import pgbench


def transactions(settings: Settings) -> Iterator[Round]:
    with febe_server.running(settings["dsn"], options=["--quiet"]) as server:
        yield from pgbench(settings, "127.0.0.1", server.port, settings["user"], settings["database"])


def transactions_direct(settings: Settings) -> Iterator[Round]:
    yield from pgbench(settings, settings["host"], settings["port"], settings["user"], settings["database"])


def rows(settings: Settings) -> Iterator[Round]:
    with febe_server.running(settings["dsn"], options=["--quiet"]) as server:
        yield from receiving(settings, server.dsn())


def rows_direct(settings: Settings) -> Iterator[Round]:
    yield from receiving(settings, settings["dsn"])


def _transactions(protocol: str) -> Measurement:
    name = f"relay: `select 1`, {protocol}, 8 clients"
    return Measurement(
        name=name,
        contenders={"febe": Contender(run=transactions), "direct": Contender(run=transactions_direct)},
        settings={"protocol": protocol, "clients": 8},
        rows=[Row(name=name, ours="febe", figure="tps", unit="/s", more_is_better=True, against={"direct": 0.5})])


def _rows(result_format: str) -> Measurement:
    name = f"relay: rows to libpq, {result_format}"
    return Measurement(
        name=name,
        contenders={"febe": Contender(run=rows), "direct": Contender(run=rows_direct)},
        settings={"client": "libpq", "format": result_format, "table": "t", "rows": 2_000_000},
        rows=[Row(name=name, ours="febe", figure="rows per second", unit="rows/s", more_is_better=True,
                  against={"direct": 0.8})])


MEASUREMENTS = [*map(_transactions, ("simple", "extended", "prepared")), *map(_rows, ("text", "binary"))]
