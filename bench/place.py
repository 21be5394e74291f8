"""Where the measuring happens: a throw-away PostgreSQL 18, the tables, and a virtual environment for old peers."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.peers import postgres
from tests.peers.installation import installation

from . import copy_out, duckdb_rows, fetch, values

ROOT = Path(__file__).parent.parent

# buenavista needs DuckDB 1 (fetch_record_batch), and does not say that it needs pyarrow and dateutil.
PEERS = ("buenavista==0.5.0", "pg-mimic==0.1.3", "duckdb<2", "pyarrow", "python-dateutil")

ALONE = ("pypgoutput==0.0.3",)

# The bench's own: enough memory to hold every table, and no second process that helps with a scan.
POSTGRES = {"shared_buffers": "512MB", "max_parallel_workers_per_gather": "0", "jit": "off"}


@contextlib.contextmanager
def place(*, quick: bool, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Start PostgreSQL, make the tables, and give what every contender is told."""
    tell("starting PostgreSQL 18")
    with postgres.running(installation(18), **POSTGRES) as server, tempfile.TemporaryDirectory() as scratch:
        tell("making the tables")
        for name, select, rows in _tables(quick):
            server.psql(f"create table {name} as {select.format(rows=rows)}")
            server.psql(f"vacuum (analyze, freeze) {name}")
        duckdb = Path(scratch, "rows.duckdb")
        _make_duckdb(duckdb, quick)
        found = server.parameters()
        yield {
            "dsn": server.dsn(), "host": found["host"], "port": int(found["port"]), "user": found["user"],
            "database": found["dbname"], "postmaster": server.process.pid, "bin": str(server.bin),
            "duckdb": str(duckdb), "peers": str(_peers(tell)),
            "seconds": 1,
        }


def scaled(rows: int, quick: bool) -> int:
    """A quick run's tables have a tenth of the rows."""
    return rows // 10 if quick else rows


def _tables(quick: bool) -> Iterator[tuple[str, str, int]]:
    for _shape, table, _columns, rows, *_wanted in fetch.SHAPES:
        yield table, fetch.TABLES[table], scaled(rows, quick)
    for _shape, table, _columns, rows in values.SHAPES:
        yield table, values.TABLES[table], scaled(rows, quick)
    yield copy_out.TABLE, copy_out.MAKE, scaled(copy_out.ROWS, quick)
    for table, rows in (("t", duckdb_rows.ROWS), ("few", duckdb_rows.FEW_ROWS)):
        yield table, duckdb_rows.TABLES[table], scaled(rows, quick)


def _make_duckdb(path: Path, quick: bool) -> None:
    import duckdb

    with duckdb.connect() as connection:
        # The oldest format, so that every DuckDB here opens the same file.
        connection.execute(f"attach '{path}' as made (storage_version 'v1.0.0')")
        for table, rows in (("t", duckdb_rows.ROWS), ("few", duckdb_rows.FEW_ROWS)):
            select = duckdb_rows.TABLES[table].format(rows=scaled(rows, quick))
            connection.execute(f"create table made.{table} as {select}")


def _peers(tell: Callable[[str], None]) -> Path:
    """The Python that has the peers which do not go with DuckDB 2, installed once into .data/.

    Where that fails, the contenders that start it say so in the report.
    """
    recipe = hashlib.sha256(" ".join(PEERS + ALONE).encode()).hexdigest()[:12]
    where = ROOT / ".data" / "bench-peers"
    python, stamp = where / "bin" / "python", where / recipe
    if not stamp.exists():
        tell("installing pg-mimic and buenavista into .data/bench-peers")
        subprocess.run([sys.executable, "-m", "venv", "--clear", where], check=True)
        done = subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *PEERS],
                              capture_output=True, text=True)
        if not done.returncode:
            # its decoder alone is measured: the readers need a psycopg2 that is compiled on the spot
            done = subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
                                   "--no-deps", *ALONE], capture_output=True, text=True)
        if done.returncode:
            tell((done.stderr.strip().splitlines() or ["pip failed"])[-1])
        else:
            stamp.touch()
    return python
