"""One schema in `febe serve` and in a PostgreSQL 18 beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")

from tests.peers import febe_server  # noqa: E402
from tests.peers.postgres import Postgres  # noqa: E402

SCHEMA = Path(__file__).with_name("schema.sql")
DATABASE = "catalogs"

# What the two say differently: DuckDB's macros are functions, its names for types are composites and domains.
IN_DUCKDB = (
    "create type main.pair as struct(x integer, y text)",
    "create type main.tag as text",
    "create macro main.plus_one(a) as a + 1",
    "create macro main.area(w integer, h integer) as w * h",
    "comment on macro main.plus_one is 'one more'",
)
IN_POSTGRES = (
    "create type main.pair as (x integer, y text)",
    "create domain main.tag as text",
    "create function main.plus_one(a anyelement) returns anyelement language sql as 'SELECT (a + 1)'",
    "create function main.area(w integer, h integer) returns integer language sql as 'SELECT (w * h)'",
    "comment on function main.plus_one is 'one more'",
)


@dataclass(slots=True, kw_only=True)
class Place:
    """Where a server is to be found."""

    host: str
    port: int
    database: str = DATABASE

    def parameters(self) -> dict[str, str]:
        """By libpq's names."""
        return {"host": self.host, "port": str(self.port), "user": "postgres", "dbname": self.database}

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/{self.database}"


def statements() -> list[str]:
    return [one for one in re.split(r";\s*\n", SCHEMA.read_text()) if one.strip()]


@pytest.fixture(scope="session")
def served() -> Iterator[Place]:
    """febe, with the schema in DuckDB."""
    with febe_server.running(options=("--quiet",)) as server:
        place = Place(host=server.host, port=server.port)
        with psycopg.connect(**place.parameters(), autocommit=True) as con:
            for statement in (*statements(), *IN_DUCKDB):
                con.execute(statement)
        yield place


@pytest.fixture(scope="session")
def beside(pg18: Postgres) -> Place:
    """PostgreSQL 18, with the same schema in a database of its own that has what DuckDB has and no more."""
    place = Place(host=pg18.host, port=pg18.port)
    pg18.psql(f"create database {DATABASE}")
    with psycopg.connect(**place.parameters(), autocommit=True) as con:
        for statement in ("create schema main", "drop schema public", "drop extension plpgsql",
                          f"alter database {DATABASE} set search_path = main", "set search_path = main",
                          "set check_function_bodies = off", *statements(), *IN_POSTGRES):
            con.execute(statement)
    return place
