"""postgres_fdw of a real PostgreSQL: a served schema imported, read, filtered and joined there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from tests.peers.postgres import Postgres  # noqa: E402

from .conftest import Place  # noqa: E402

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow

COLUMNS = """
select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'imported'::regnamespace and a.attnum > 0 order by c.relname, a.attnum
"""


@pytest.fixture(scope="module")
def wrapper(pg18: Postgres, served: Place) -> Iterator[Any]:
    """A PostgreSQL that has imported the served schema `main`."""
    pg18.psql("create database foreign_tables")
    place = Place(host=pg18.host, port=pg18.port, database="foreign_tables")
    with psycopg.connect(place.dsn, autocommit=True) as con:
        con.execute("create extension postgres_fdw")
        con.execute(f"create server febe foreign data wrapper postgres_fdw options (host '{served.host}', "
                    f"port '{served.port}', dbname '{served.database}', use_remote_estimate 'false')")
        con.execute("create user mapping for current_user server febe options (user 'postgres', password_required "
                    "'false')")
        con.execute("create schema main")
        con.execute("create type main.mood as enum ('sad', 'ok', 'happy')")
        con.execute("create schema imported")
        con.execute("import foreign schema main from server febe into imported")
        con.execute("set search_path = imported")
        yield con


def test_the_schema_is_imported(wrapper: Any, beside: Place) -> None:
    """The same columns and types as of a PostgreSQL that has the schema itself."""
    wrapper.execute(f"create server peer foreign data wrapper postgres_fdw options (host '{beside.host}', "
                    f"port '{beside.port}', dbname '{beside.database}')")
    wrapper.execute("create user mapping for current_user server peer options (user 'postgres')")
    found = wrapper.execute(COLUMNS).fetchall()
    assert {row[0] for row in found} == {"Mixed Case", "child", "every", "node", "parent", "v"}
    wrapper.execute("create schema from_peer")
    wrapper.execute("import foreign schema main from server peer into from_peer")
    assert found == wrapper.execute(COLUMNS.replace("imported", "from_peer")).fetchall()


@pytest.mark.parametrize("query", [
    "select * from every",
    "select id, name, m, score, price from parent order by id",
    "select count(*), max(price), avg(score) from parent",
    "select p.name, c.ts from parent p join child c on c.pid = p.id",
    "select c.b, p.name from child c left join parent p on c.pid = p.id order by c.b",
    "select local.x, p.name from (values (1), (2)) local(x) join parent p on p.id = local.x order by 1",
    'select "select" from "Mixed Case" where "Id" = 1',
    "select b from child where ts < '2000-01-01' order by ts limit 1",
    "select m, count(*) from parent group by m order by 2 desc, 1",
])
def test_it_is_read_as_postgresql_reads_it(query: str, wrapper: Any, beside: Place) -> None:
    with psycopg.connect(beside.dsn) as con:
        assert wrapper.execute(query).fetchall() == con.execute(query).fetchall()


def test_rows_are_written(wrapper: Any) -> None:
    wrapper.execute("insert into parent(id, name, score) values (77, 'from afar', 5)")
    wrapper.execute("update parent set score = score + 1 where id = 77")
    assert wrapper.execute("select name, score from parent where id = 77").fetchone() == ("from afar", 6)
    wrapper.execute("delete from parent where id = 77")
    assert wrapper.execute("select count(*) from parent where id = 77").fetchone() == (0,)
