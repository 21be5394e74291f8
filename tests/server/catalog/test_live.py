"""Rows of the catalogs that are of this moment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.server.catalog import Catalog
from tests.peers import febe_server
from tests.server.listening import listening


def test_a_servers_roles_are_its_own() -> None:
    with listening(Catalog(DuckDBEngine())) as listener, psycopg.connect(
            f"host=127.0.0.1 port={listener.port} user=ann dbname=demo") as connection:
        found = connection.execute("select rolname from pg_roles where rolname !~ '^pg_'").fetchall()
        assert sorted(found) == [("ann",), ("postgres",)]


@pytest.mark.parametrize(("sql", "expected"), [
    ("select data_type from pg_sequences", "bigint"),
    ("select seqrelid::regclass from pg_sequence", "numbers"),
    ("select 20::regtype, 3::int4", "bigint"),
    ("select 1247::regclass", "pg_type"),
])
def test_the_first_query_of_all_names_objects(sql: str, expected: str) -> None:
    """What a name is looked up in has to be there, whatever the query itself reads."""
    with febe_server.running(options=("--quiet",)) as server, psycopg.connect(
            server.dsn(), autocommit=True) as connection:
        connection.execute("create sequence numbers")
        row = connection.execute(sql).fetchone()
        assert row is not None and row[0] == expected


def test_advisory_locks_are_listed() -> None:
    with listening(Catalog(DuckDBEngine())) as listener:
        dsn = f"host=127.0.0.1 port={listener.port} user=ann dbname=demo"
        with psycopg.connect(dsn, autocommit=True) as one, psycopg.connect(dsn, autocommit=True) as other:
            one.execute("select pg_advisory_lock(4294967303), pg_advisory_lock_shared(1, -2)")
            asked = ("select classid, objid, objsubid, mode, granted from pg_locks "
                     f"where pid = {one.info.backend_pid} order by objid")
            assert other.execute(asked).fetchall() == [
                (1, 7, 1, "ExclusiveLock", True), (1, 4294967294, 2, "ShareLock", True)]
            one.execute("select pg_advisory_unlock_all()")
            assert other.execute("select count(*) from pg_locks").fetchall() == [(0,)]


def test_a_transaction_has_one_number() -> None:
    with listening(Catalog(DuckDBEngine())) as listener, psycopg.connect(
            f"host=127.0.0.1 port={listener.port} user=ann dbname=demo", autocommit=True) as connection:
        asked = "select pg_current_xact_id()::text::bigint, pg_backend_pid() > 0"

        def number() -> int:
            row = connection.execute(asked).fetchone()
            assert row is not None
            return int(row[0])

        with connection.transaction():
            first = number()
            assert number() == first
        assert first < number() < number()


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
