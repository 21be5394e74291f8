"""Rows of the catalogs that are of this moment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

from febe.engines.duckdb import DuckDBEngine
from febe.server.catalog import Catalog
from tests.server.listening import listening


def test_large_objects_are_listed(psql18: Path) -> None:
    with listening(Catalog(DuckDBEngine())) as listener:
        dsn = f"host=127.0.0.1 port={listener.port} user=ann dbname=demo"

        def listed() -> str:
            asked = subprocess.run([psql18, "-XAt", dsn, "-c", r"\dl"], check=True, capture_output=True, text=True)
            return asked.stdout

        with psycopg.connect(dsn, autocommit=True) as connection:
            with connection.transaction():
                connection.execute("select lo_create(4711)")
                own = connection.execute("select oid from pg_largeobject_metadata").fetchall()
                assert (own, listed()) == ([(4711,)], "")
            assert listed() == "4711|ann|\n"
            connection.execute("select lo_unlink(4711)")
            assert listed() == ""
