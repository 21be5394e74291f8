"""How much a server grows while ten million rows stream through it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.peers import febe_server

from .duckdb_rows import receive
from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import forget_peak, resident

# Made while they are sent, so that no table counts as the server's growth.
SQL = ("select i::int4 as a, (i * 7)::int4 as b, (i % 1000)::int4 as c, 'row ' || i as d, 'k' || (i % 100) as e"
       " from range({rows}) as s(i)")


def febe(settings: Settings) -> Iterator[Round]:
    with febe_server.running(options=["--quiet"]) as server:
        process = server.process.pid
        # One small result first: the engine's threads and this connection's buffers are not growth.
        receive(server.dsn(), SQL.format(rows=100_000), binary=settings["binary"])
        forget_peak(process)
        before = resident(process)

        def run() -> Figures:
            rows = receive(server.dsn(), SQL.format(rows=settings["rows"]), binary=settings["binary"])
            if rows != settings["rows"]:
                raise RuntimeError(f"{rows} rows where {settings['rows']} were asked for")
            return {"growth": (resident(process, "VmHWM") - before) / 2**20}

        yield run


def _measurement(result_format: str) -> Measurement:
    name = f"growth at 10,000,000 rows, {result_format}"
    return Measurement(
        name=name, contenders={"febe": Contender(run=febe)},
        most_rounds=2,
        settings={"binary": result_format == "binary", "rows": 10_000_000},
        rows=[Row(name=name, ours="febe", figure="growth", unit="MB", at_most=64, against={})])


MEASUREMENTS = [_measurement("text"), _measurement("binary")]
