"""Rows per second out of DuckDB: `select * from t`, three int4 and two short texts, to clients made on libpq."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.peers import febe_server

from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import serving

CHUNK = 10_000


def receive(dsn: str, sql: str, *, binary: bool) -> int:
    """Receive a whole result with libpq, let go of it chunk by chunk, and count its rows."""
    from psycopg import pq

    connection = _connected(dsn)
    try:
        if binary:
            connection.send_query_params(sql.encode(), None, result_format=pq.Format.BINARY)
        else:
            connection.send_query(sql.encode())
        connection.set_chunked_rows_mode(CHUNK)
        rows = 0
        while (result := connection.get_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise RuntimeError(result.error_message.decode().strip())
            if rows == 0 and result.ntuples:
                seen = result.fformat(0), (result.get_value(0, 3) or b"")[:4]
                if seen != (int(binary), b"row "):
                    raise RuntimeError(f"not the rows that were asked for: {seen}")
            rows += result.ntuples
            result.clear()
        return rows
    finally:
        connection.finish()


def _connected(dsn: str) -> Any:
    from psycopg import pq

    connection = pq.PGconn.connect(dsn.encode())
    if connection.status != pq.ConnStatus.OK:
        raise RuntimeError(connection.error_message.decode().strip())
    return connection


def receiving(settings: Settings, dsn: str) -> Iterator[Round]:
    sql = f"select * from {settings['table']}"

    def psql() -> None:
        # psql keeps the whole result, lays it out and writes it; the fastest layout it has.
        subprocess.run([Path(settings["bin"], "psql"), "-XAtq", "-o", "/dev/null", "-c", sql, dsn], check=True,
                       capture_output=True)

    def libpq() -> None:
        rows = receive(dsn, sql, binary=settings["format"] == "binary")
        if rows != settings["rows"]:
            raise RuntimeError(f"{rows} rows where {settings['rows']} were asked for")

    job: Callable[[], None] = psql if settings["client"] == "psql" else libpq

    def run() -> Figures:
        start = time.perf_counter()
        job()
        return {"rows per second": settings["rows"] / (time.perf_counter() - start)}

    yield run


def febe(settings: Settings) -> Iterator[Round]:
    with febe_server.running(settings["duckdb"], options=["--quiet", "--read-only"]) as server:
        yield from receiving(settings, server.dsn())


def postgres(settings: Settings) -> Iterator[Round]:
    yield from receiving(settings, settings["dsn"])


def pg_mimic(settings: Settings) -> Iterator[Round]:
    with serving(settings["peers"], "pg_mimic_server", "duckdb", settings["duckdb"]) as port:
        yield from receiving(settings, _dsn(port))


def buenavista(settings: Settings) -> Iterator[Round]:
    with serving(settings["peers"], "buenavista_server", settings["duckdb"]) as port:
        yield from receiving(settings, _dsn(port))


def _dsn(port: int) -> str:
    # gssencmode: buenavista takes the request for GSS encryption for a protocol version.
    return f"postgresql://bench@127.0.0.1:{port}/bench?gssencmode=disable&sslmode=disable"


ROWS, FEW_ROWS = 2_000_000, 50_000

# The same rows in DuckDB and in PostgreSQL; `few` for servers that would take half a minute a round for all of them.
TABLE = ("select i::int4 as a, (i * 7)::int4 as b, (i % 1000)::int4 as c, 'row ' || i as d, 'k' || (i % 100) as e"
         " from generate_series(1, {rows}) as s(i)")
TABLES = {"t": TABLE, "few": TABLE}

_MANY = {"table": "t", "rows": ROWS}
_FEW = {"table": "few", "rows": FEW_ROWS}

# Client, format, rows a second wanted.
LOADS = (
    ("psql", "text", 1_000_000),
    ("libpq", "text", 1_000_000),
    ("libpq", "binary", 1_500_000),
)


def _measurement(client: str, result_format: str, wanted: float) -> Measurement:
    name = f"DuckDB rows to {client}, {result_format}"
    return Measurement(
        name=name,
        contenders={"febe": Contender(run=febe, settings=_MANY), "PostgreSQL": Contender(run=postgres, settings=_MANY),
                    "buenavista": Contender(run=buenavista, settings=_FEW),
                    "pg-mimic": Contender(run=pg_mimic, settings=_FEW)},
        settings={"client": client, "format": result_format},
        rows=[Row(name=name, ours="febe", figure="rows per second", unit="rows/s", more_is_better=True,
                  at_least=wanted, against={"PostgreSQL": 1.0, "buenavista": None, "pg-mimic": None})])


MEASUREMENTS = [_measurement(*load) for load in LOADS]
