"""PostgreSQL's SQL on DuckDB: `febe serve --dialect postgres`."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from febe.cli.commands import febe
from febe.engines.duckdb import DuckDBEngine
from febe.server.catalog import Catalog
from febe.server.translation import Translation
from tests.peers import febe_server
from tests.peers.postgres import Postgres
from tests.server.listening import listening

TABLE = "create table t (id int primary key, name text, n numeric(10,2), at timestamptz, tags text[])"
ROWS = """insert into t values (1, 'Ann', 1.50, '2024-02-29 12:30:00+00', '{a,"b c"}'::text[]),
                              (2, 'bob', null, '2024-03-01 00:00:00+00', '{}'::text[]), (3, null, 3, null, null)"""

# The same question to both servers, the same rows back
SAME = [
    "select name from t where name ~* '^A'",
    "select id from t order by n desc, id",
    "select id from t order by name, id",
    "select to_char(at, 'YYYY-MM-DD HH24:MI') from t where id = 1",
    "select date_trunc('month', at)::date from t where id = 1",
    "select extract(year from at)::int from t where id < 3 order by id",
    "select string_agg(name, ',' order by id) from t",
    "select id from only t where id in (1, 2) order by id",
    "select id from t where name = any('{Ann,\"x y\",NULL}'::text[])",
    "select '{1,2,NULL}'::int[]",
    "select coalesce(n, 0)::numeric(10,2), name || '!', split_part('a,b', ',', 2) from t order by id",
    "select distinct on (id % 2) id from t order by id % 2, id desc",
    "insert into t (id, name) values (1, 'x') on conflict (id) do update set name = excluded.name || t.name"
    " returning name",
]


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with listening(Catalog(DuckDBEngine(), translation=Translation("duckdb"))) as listener:
        yield f"host=127.0.0.1 port={listener.port} user=me dbname=demo"


def answers(connection: psycopg.Connection[Any], sql: str) -> list[Any]:
    """The rows, of a table that is filled anew."""
    with connection.transaction(force_rollback=True):
        connection.execute(TABLE)
        connection.execute(ROWS)
        connection.execute("set local timezone to 'UTC'")
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("sql", SAME)
def test_as_postgresql_answers(dsn: str, pg18: Postgres, sql: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as ours, psycopg.connect(pg18.dsn(), autocommit=True) as theirs:
        assert answers(ours, sql) == answers(theirs, sql)


def test_parameters_are_recalled(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(8):  # psycopg prepares the sixth
            row = connection.execute("select to_char(%s::date, 'YYYY') || %s::text where 'b' ~* 'B'",
                                     (datetime.date(2020 + number, 1, 1), "!")).fetchone()
            assert row == (f"{2020 + number}!",)


def test_the_catalogs_are_still_asked(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("select 't'::regtype is null or true, typname from pg_type where oid = 23").fetchone()


def test_an_error_has_no_place_in_another_text(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UndefinedColumn) as caught:
            connection.execute("select nobody ~* 'x' from (select 1) s")
        assert caught.value.diag.statement_position is None
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.execute("select from where")
        assert connection.execute("select 1").fetchone() == (1,)


def test_from_the_command_line() -> None:
    with febe_server.running(options=["--quiet", "--dialect", "postgres"]) as server, \
            psycopg.connect(server.dsn(), autocommit=True) as connection:
        assert connection.execute("select 'abc' ~* 'B'").fetchone() == (True,)


def test_where_there_is_nothing_to_translate_to() -> None:
    said = CliRunner().invoke(febe, ["serve", "postgresql://127.0.0.1:1/x", "--dialect", "postgres", "--port", "0"])
    assert said.exit_code == 2
    assert "--dialect postgres is for DuckDB, Spark and engines that name their dialect" in said.output
