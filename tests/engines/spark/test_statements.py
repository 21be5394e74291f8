"""What a statement is for Spark, without Spark."""

from __future__ import annotations

import pytest

from febe.engines.spark.statements import understand
from febe.server.engine import EngineError
from febe.types import oids


@pytest.mark.parametrize(("text", "is_query", "shows", "tag"), [
    ("select 1", True, False, "SELECT {}"),
    ("(select 1) union all select 2", True, False, "SELECT {}"),
    ("with a as (select 1) select * from a", True, False, "SELECT {}"),
    ("with a as (select 1) insert into t select * from a", False, False, "INSERT"),
    ("from a insert into t select *", False, False, "INSERT"),
    ("select 'insert' from (select 1 as insert)", True, False, "SELECT {}"),
    ("values (1)", True, False, "SELECT {}"),
    ("show tables", False, True, "SHOW"),
    ("desc t", False, True, "DESCRIBE"),
    ("create or replace temporary view v as select 1", False, False, "CREATE VIEW"),
    ("drop table t", False, False, "DROP TABLE"),
    ("insert into t values (1)", False, False, "INSERT"),
])
def test_what_it_is(text: str, is_query: bool, shows: bool, tag: str) -> None:
    found = understand(text, ())
    assert (found.is_query, found.shows, found.tag, found.sql) == (is_query, shows, tag, text)


def test_parameters() -> None:
    found = understand("select $2::int, $1, cast($3 as double), '$4' from t limit $5 offset $12", (oids.NUMERIC,))
    assert found.sql == "select :p2::int, :p1, cast(:p3 as double), '$4' from t limit :p5 offset :p12"
    assert found.parameters == (oids.NUMERIC, oids.INT4, oids.FLOAT8, oids.TEXT, oids.INT4, oids.TEXT, oids.TEXT,
                                oids.TEXT, oids.TEXT, oids.TEXT, oids.TEXT, oids.INT4)


def test_positions_are_the_clients() -> None:
    text = "select $1, $11, nosuch"
    found = understand(text, ())
    assert found.sql == "select :p1, :p11, nosuch"
    assert [found.original(found.sql.index(part)) for part in ("select", ", :p11", "nosuch")] == [
        0, text.index(", $11"), text.index("nosuch")]


@pytest.mark.parametrize(("text", "sqlstate"), [
    ("load data inpath '/etc/passwd' into table t", "42501"), ("add jar '/tmp/x.jar'", "42501"), ("selec 1", "42601"),
    ("", "42601"), ("select $0", "42P02"), ("select $70000", "42P02")])
def test_refused(text: str, sqlstate: str) -> None:
    with pytest.raises(EngineError) as error:
        understand(text, ())
    assert error.value.sqlstate == sqlstate
