"""Describing executes nothing; command tags; sessions apart from each other."""

from __future__ import annotations

import pytest

from febe.engines.duckdb import DuckDBEngine, DuckDBSession
from febe.server.engine import EngineError
from tests.engines.conftest import Run, runner


@pytest.mark.parametrize(("sql", "columns"), [
    ("insert into t values (2, 'b')", None), ("insert into t values (2, 'b') returning a, b || 'x' as q", ["a", "q"]),
    ("insert into t values ($1, $2) returning *", ["a", "b"]), ("update t set a = 9", None),
    ("update t set a = 9 returning a", ["a"]), ("delete from t", None), ("delete from t returning *", ["a", "b"]),
    ("truncate t", None), ("drop table t", None), ("create table u(x int)", None), ("create table u as select 1", None),
    ("create or replace table t as select 1", None), ("alter table t add column c int", None),
    ("select nextval('s')", ["nextval('s')"]),
    ("select nextval('s'), $1::int", ["nextval('s')", "CAST($1 AS INTEGER)"]),
    ("insert into t select nextval('s'), 'x'", None),
    ("explain analyze select nextval('s')", ["explain_key", "explain_value"]),
    ("explain analyze insert into t values (2, 'b')", ["explain_key", "explain_value"]), ("checkpoint", None),
    ("with x as (select nextval('s') as n) insert into t select n, 'x' from x returning a", ["a"]),
    ("merge into t using (select 1 as k) s on t.a = s.k when matched then delete", None), ("vacuum", None),
    ("create view v as select nextval('s')", None), ("create sequence s2", None), ("drop sequence s", None),
])
def test_describing_executes_nothing(session: DuckDBSession, run: Run, sql: str, columns: list[str] | None) -> None:
    run("create table t(a int, b varchar)")
    run("insert into t values (1, 'a')")
    run("create sequence s")
    for _ in range(2):
        prepared = session.prepare(sql, [])
        assert (None if prepared.columns is None else [c.name for c in prepared.columns]) == columns
    assert run("select * from t").rows == [(1, "a")]
    assert run("select nextval('s')").rows == [(1,)]
    assert run("select table_name from information_schema.tables").rows == [("t",)]


@pytest.mark.parametrize(("sql", "tag"), [
    ("select 1", "SELECT 1"), ("values (1), (2)", "SELECT 2"), ("from t", "SELECT 1"), ("table t", "SELECT 1"),
    ("with x as (select 1) select * from x", "SELECT 1"), ("(select 1)", "SELECT 1"), ("describe t", "SELECT 1"),
    ("summarize t", "SELECT 1"), ("show tables", "SHOW"), ("explain select 1", "EXPLAIN"),
    ("pragma table_info('t')", "PRAGMA"), ("call pragma_version()", "CALL"),
    ("pivot t on a using count(*)", "SELECT 1"),
    ("insert into t values (2), (3)", "INSERT 0 2"), ("insert into t select 1 where false", "INSERT 0 0"),
    ("insert into t values (2), (3) returning a", "INSERT 0 2"), ("update t set a = 1", "UPDATE 1"),
    ("update t set a = 1 returning a", "UPDATE 1"), ("delete from t", "DELETE 1"),
    ("delete from t returning *", "DELETE 1"),
    ("with x as (select 1 as a) insert into t select a from x", "INSERT 0 1"), ("truncate t", "TRUNCATE TABLE"),
    ("merge into t using (select 1 as k) s on t.a = s.k when matched then delete", "MERGE 1"),
    ("create table u(x int)", "CREATE TABLE"), ("create temp table if not exists u(x int)", "CREATE TABLE"),
    ("create table u as from range(5)", "SELECT 5"), ("create or replace temporary table u as select 1", "SELECT 1"),
    ("/* c */ create or replace view v as select 1", "CREATE VIEW"), ("create unique index i on t(a)", "CREATE INDEX"),
    ("create schema s", "CREATE SCHEMA"), ("create sequence q", "CREATE SEQUENCE"),
    ("drop table if exists t", "DROP TABLE"),
    ("create type e as enum ('x')", "CREATE TYPE"), ("create macro m(x) as x + 1", "CREATE MACRO"),
    ("create function f(x) as x + 1", "CREATE FUNCTION"), ("alter table t add column b int", "ALTER TABLE"),
    ("alter table t rename to u", "ALTER TABLE"), ("comment on table t is 'x'", "COMMENT"),
    ("checkpoint", "CHECKPOINT"),
    ("vacuum", "VACUUM"), ("analyze", "ANALYZE"), ("explain (analyze) select 1", "EXPLAIN"),
])
def test_tags(run: Run, sql: str, tag: str) -> None:
    run("create table t(a int)")
    run("insert into t values (1)")
    assert run(sql).tag == tag


@pytest.mark.parametrize("sql", ["select 1; select 2", "create table x(a int); drop table x"])
def test_one_statement_at_a_time(session: DuckDBSession, sql: str) -> None:
    with pytest.raises(EngineError) as caught:
        session.prepare(sql, [])
    assert caught.value.sqlstate == "42601"


def test_a_result_that_changed_since_it_was_announced(session: DuckDBSession, run: Run) -> None:
    run("create table t(a int)")
    run("insert into t values (1)")
    prepared = session.prepare("select * from t", [])
    run("alter table t alter a type bigint")
    with pytest.raises(EngineError) as caught:
        prepared.execute([])
    assert (caught.value.sqlstate, str(caught.value)) == ("0A000", "cached plan must not change result type")
    run("drop table t")
    with pytest.raises(EngineError) as caught:
        prepared.execute([])
    assert caught.value.sqlstate == "42P01"


def test_a_pivot_without_in_learns_its_columns_from_the_data(run: Run) -> None:
    run("create table t as select * from (values ('x', 1), ('y', 2)) v(k, n)")
    answer = run("pivot t on k using sum(n)")
    assert [c.name for c in answer.prepared.columns or ()] == ["x", "y"]
    with pytest.raises(EngineError) as caught:
        run("create table u as pivot t on k using sum(n)")
    assert caught.value.sqlstate == "0A000"


def test_sessions_have_their_own_transactions_and_temporary_tables(engine: DuckDBEngine, session: DuckDBSession,
                                                                   run: Run) -> None:
    other = engine.open(user="demo", database="demo", parameters={})
    run("create table t(a int)")
    run("create temp table mine(a int)")
    session.begin()
    run("insert into t values (1)")
    assert runner(other)("select count(*) from t").rows == [(0,)]
    with pytest.raises(EngineError):
        runner(other)("select * from mine")
    session.close()
    assert runner(other)("select count(*) from t").rows == [(0,)]
    other.close()


def test_a_failed_statement_leaves_the_session_usable(run: Run) -> None:
    for _ in range(3):
        with pytest.raises((EngineError, OSError)):
            run("select 'x'::int")
        assert run("select 1").rows == [(1,)]


def test_rollback_undoes_definitions(session: DuckDBSession, run: Run) -> None:
    session.begin()
    run("create table t as select 1 as a")
    session.rollback()
    assert run("show tables").rows == []
