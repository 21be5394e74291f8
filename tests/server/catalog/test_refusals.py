"""What is wrong in a catalog query is told as PostgreSQL 18 tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from .conftest import Place  # noqa: E402

QUERIES = (
    "select has_table_privilege('nope', 'select')",
    "select has_table_privilege('parent', 'selct')",
    "select has_table_privilege('nobody', 'parent', 'select')",
    "select has_any_column_privilege('nope', 'select')",
    "select has_column_privilege('parent', 'nocol', 'select')",
    "select has_column_privilege('nope', 'id', 'select')",
    "select has_schema_privilege('noschema', 'usage')",
    "select has_schema_privilege('main', 'select')",
    "select has_sequence_privilege('nope', 'usage')",
    "select has_database_privilege('nodb', 'connect')",
    "select has_server_privilege('noserver', 'usage')",
    "select has_foreign_data_wrapper_privilege('nowrapper', 'usage')",
    "select has_language_privilege('nolanguage', 'usage')",
    "select has_tablespace_privilege('nospace', 'create')",
    "select has_type_privilege('int5', 'usage')",
    "select has_function_privilege('uppper(text)', 'execute')",
    "select pg_has_role('nobody', 'member')",
    "select pg_has_role('postgres', 'owner')",
    "select pg_get_serial_sequence('nope', 'x')",
    "select pg_get_serial_sequence('parent', 'x')",
    "select relname from pg_class limit -1",
    "select relname from pg_class where oid = 'abc'::oid",
    "select nothing from pg_class",
    "select c.relname, c.nothing from pg_class c",
    "select relname from pg_class where nothing = 1 order by nothing",
    "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespac",
    "select * from information_schema.nope",
    "select relname from pg_class, pg_catalog.nope",
    "select x.relname from pg_class c where 'x' = 'x'",
    "select relname from pg_class where oid = 'nope'::regclass",
    "select relname from pg_class where oid = 'other.nope'::regclass",
    "select 'nope', 'nope'::regtype",
    "select cast('nope' as regnamespace)",
    "select 'nope'::regrole, pg_backend_pid()",
    "select pg_relation_size('nope')",
    "select pg_table_is_visible('nope'::regclass), 1 as nope",
    "select relname from pg_class where has_table_privilege('nope'::regclass, 'select')",
)


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    with (psycopg.connect(served.dsn, autocommit=True) as ours, psycopg.connect(beside.dsn, autocommit=True) as theirs):
        for one in (ours, theirs):
            one.execute("set search_path = main")
        yield ours, theirs


def refusal(con: Any, sql: str) -> tuple[str | None, str | None, str | None]:
    with pytest.raises(psycopg.Error) as caught:
        con.execute(sql)
    return caught.value.diag.sqlstate, caught.value.diag.message_primary, caught.value.diag.statement_position


@pytest.mark.parametrize("sql", QUERIES)
def test_a_refusal_is_the_same(sql: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (refusal(one, sql) for one in both)
    assert ours == theirs


def test_privileges_of_what_there_is(both: tuple[Any, Any]) -> None:
    sql = """
        select has_table_privilege('parent', 'select'), has_table_privilege('main.parent', 'insert, update'),
               has_table_privilege(current_user, '"main"."parent"', 'select with grant option'),
               has_table_privilege('postgres', 'parent'::regclass, 'truncate'),
               has_table_privilege('parent'::regclass::oid, 'maintain'), has_table_privilege('parent', null),
               has_column_privilege('parent', 'id', 'select'), has_column_privilege('parent', 1::int2, 'select'),
               has_any_column_privilege('v', 'references'), has_schema_privilege('main', 'usage'),
               has_schema_privilege('postgres', 'other', 'create'), has_sequence_privilege('other.ids', 'usage'),
               has_database_privilege('catalogs', 'connect'), has_database_privilege(current_database(), 'temp'),
               has_language_privilege('sql', 'usage'), has_type_privilege('mood', 'usage'),
               has_type_privilege('integer', 'usage'), has_function_privilege('upper(text)', 'execute'),
               has_tablespace_privilege('pg_default', 'create'), has_parameter_privilege('work_mem', 'set'),
               pg_has_role('postgres', 'member'), pg_has_role('postgres', 'pg_monitor', 'usage')"""
    ours, theirs = (one.execute(sql).fetchall() for one in both)
    assert ours == theirs


def test_a_position_counts_in_the_whole_query(both: tuple[Any, Any]) -> None:
    sql = "select 'ä'; select 1 /* nothing */;  select nothing from pg_class"
    ours, theirs = (refusal(one, sql) for one in both)
    assert ours == theirs
    assert ours[2] == str(sql.rindex("nothing") + 1)


def test_a_function_that_there_is_not(both: tuple[Any, Any]) -> None:
    """Its arguments' types are told by PostgreSQL alone."""
    found = [refusal(one, "select relname, pg_nothing(relname) from pg_class where relname = 'pg_nothing'")
             for one in both]
    assert found[0][::2] == found[1][::2] == ("42883", "17")
