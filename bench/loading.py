"""COPY FROM STDIN of a csv of 1,000,000 rows into an empty table, sent by psql's \\copy."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.peers import febe_server

from .harness import Contender, Figures, Measurement, Round, Row, Settings

ROWS = 1_000_000
TABLE = "create table loaded (a int, b bigint, c varchar, d double precision, e timestamp, f boolean)"


def write(path: Path, rows: int) -> None:
    with path.open("w") as out:
        out.writelines(f"{i},{i * 7},name {i},{i / 8},2024-01-{i % 28 + 1:02} 10:11:{i % 60:02}.{i % 1000:03},"
                       f"{'ft'[i % 2]}\n" for i in range(rows))


def _loading(settings: Settings, dsn: str) -> Iterator[Round]:
    rows = settings["rows"]
    psql = [Path(settings["bin"], "psql"), dsn, "-XAtq", "-v", "ON_ERROR_STOP=1"]

    def ask(*commands: str) -> str:
        asked = [part for command in commands for part in ("-c", command)]
        return subprocess.run([*psql, *asked], check=True, capture_output=True, text=True).stdout.strip()

    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "rows.csv")
        write(source, rows)

        def run() -> Figures:
            ask("drop table if exists loaded", TABLE)
            start = time.perf_counter()
            ask(rf"\copy loaded from '{source}' (format csv)")
            taken = time.perf_counter() - start
            if ask("select count(*) from loaded") != str(rows):
                raise RuntimeError("not all the rows are there")
            return {"rows per second": rows / taken}

        yield run


def febe(settings: Settings) -> Iterator[Round]:
    with febe_server.running(options=["--quiet"]) as server:
        yield from _loading(settings, server.dsn())


def postgres(settings: Settings) -> Iterator[Round]:
    yield from _loading(settings, settings["dsn"])


_NAME = f"DuckDB, COPY in of csv x {ROWS:,}"
MEASUREMENTS = [Measurement(
    name=_NAME, contenders={"febe": Contender(run=febe), "PostgreSQL": Contender(run=postgres)},
    settings={"rows": ROWS},
    rows=[Row(name=_NAME, ours="febe", figure="rows per second", unit="rows/s", more_is_better=True,
              against={"PostgreSQL": 1.0})])]
