"""SQLAlchemy reflects a served schema as it reflects the same schema in PostgreSQL 18; also what Superset adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")

from sqlalchemy.engine import Inspector  # noqa: E402

from .conftest import Place  # noqa: E402

# What Superset's PostgreSQL engine asks besides, in its own words for the same things.
QUERIES = (
    "select nspname from pg_namespace where nspname not like 'pg\\_%%' order by nspname",
    "select table_name from information_schema.tables where table_schema = 'main' and table_type = 'BASE TABLE' "
    "order by 1",
    "select table_name from information_schema.views where table_schema = 'main' order by 1",
    "select datname from pg_database where datistemplate = false and datname = current_database()",
    "select proname from pg_proc where proname in ('upper', 'plus_one') group by 1 order by 1",
)


def engine(place: Place) -> Any:
    return sqlalchemy.create_engine(f"postgresql+psycopg://postgres@{place.host}:{place.port}/{place.database}")


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    engines = engine(served), engine(beside)
    yield engines
    for one in engines:
        one.dispose()


Question = Callable[[Inspector], Any]
QUESTIONS: dict[str, Question] = {
    "schemas": lambda its: its.get_schema_names(),
    "default schema": lambda its: its.default_schema_name,
    "tables": lambda its: sorted(its.get_table_names(schema="main")),
    "views": lambda its: its.get_view_names(schema="main"),
    "tables of the path": lambda its: sorted(its.get_table_names()),
    "columns": lambda its: {key: [{name: str(value) for name, value in column.items()} for column in columns]
                            for key, columns in its.get_multi_columns(schema="main").items()},
    "columns of views": lambda its: {key: [(one["name"], str(one["type"])) for one in columns] for key, columns in
                                     its.get_multi_columns(schema="main", kind=sqlalchemy.inspect and
                                                           sqlalchemy.engine.reflection.ObjectKind.ANY).items()},
    "primary keys": lambda its: its.get_multi_pk_constraint(schema="main"),
    "foreign keys": lambda its: its.get_multi_foreign_keys(schema="main"),
    "unique constraints": lambda its: its.get_multi_unique_constraints(schema="main"),
    "check constraints": lambda its: its.get_multi_check_constraints(schema="main"),
    "indexes": lambda its: its.get_multi_indexes(schema="main"),
    "comments": lambda its: its.get_multi_table_comment(schema="main"),
    "options": lambda its: its.get_multi_table_options(schema="main"),
    "enums": lambda its: its.get_enums(schema="main"),
    "domains": lambda its: its.get_domains(schema="main"),
    "sequences": lambda its: its.get_sequence_names(schema="other"),
    "view's definition": lambda its: its.get_view_definition("v", schema="main"),
    "a table": lambda its: (its.has_table("parent"), its.has_table("nothing"), its.has_table("parent", schema="other")),
    "a table's columns": lambda its: [str(one) for one in its.get_columns("every")],
    "temporary tables": lambda its: its.get_temp_table_names(),
    "materialized views": lambda its: its.get_materialized_view_names(schema="main"),
    "has sequence": lambda its: (its.has_sequence("ids", schema="other"), its.has_sequence("ids")),
    "has schema": lambda its: (its.has_schema("other"), its.has_schema("nothing")),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_inspector_says_the_same(question: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (QUESTIONS[question](sqlalchemy.inspect(one)) for one in both)
    assert ours == theirs


def test_metadata_is_reflected_and_used(both: tuple[Any, Any]) -> None:
    metadata = sqlalchemy.MetaData()
    metadata.reflect(both[0], schema="main", views=True)
    parent, child = metadata.tables["main.parent"], metadata.tables["main.child"]
    with both[0].connect() as con:
        query = sqlalchemy.select(parent.c.name, child.c.b).join_from(parent, child)
        assert con.execute(query).fetchall() == [("a", 1)]
        assert con.execute(sqlalchemy.select(parent.c.m).where(parent.c.id == 1)).scalar_one() == "ok"


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_superset_says_the_same(query: str, both: tuple[Any, Any]) -> None:
    found = []
    for one in both:
        with one.connect() as con:
            found.append(con.exec_driver_sql(query).fetchall())
    assert found[0] == found[1]
