"""RowDescription's table and attribute number: those of PostgreSQL 18, where they are told at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from febe.engines.duckdb import DuckDBEngine  # noqa: E402
from febe.server.catalog import Catalog  # noqa: E402
from febe.server.catalog.origins import Plain, numbers, plain  # noqa: E402
from tests.server.listening import listening  # noqa: E402

from .conftest import Place  # noqa: E402

TOLD = (
    "select * from parent",
    "select id, name from parent",
    "select p.name, p.id from parent as p where id > 0 order by 1 limit 1",
    "select parent.price as cost, id id2 from main.parent",
    "select id, upper(name), price + 1, price from parent group by id, name, price",
    "select p.*, 1 as one from parent p",
    'select "Id", "select" from "Mixed Case"',
    "select X, y from other.t2",
    "select id, n from v",
    "select n from v where id in (select id from parent)",
    "select name /* a, b */ from parent -- from child",
    "select distinct 1, id from parent",
    "select count(*), max(id) from parent",
    "select 'from' as id, \"name\" from parent",
    "SELECT Name FROM Parent",
)
# PostgreSQL tells them; febe does not, and never tells others.
NOT_TOLD = (
    "select p.id, c.a from parent p join child c on c.pid = p.id",
    "select id from parent, child",
    "select s.id from (select id from parent) s",
    "with s as (select id from parent) select id from s",
    "select id from parent where true union select b from child",
    "select id as name, name as id from parent union all select 1, 'a'",
    "select (select id from parent limit 1) as id",
)


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    with (psycopg.connect(served.dsn, autocommit=True) as ours, psycopg.connect(beside.dsn, autocommit=True) as theirs):
        for one in (ours, theirs):
            one.execute("set search_path = main")
        yield ours, theirs


def origins(con: Any, sql: str) -> list[tuple[str, int]]:
    """The tables by name, and the columns' numbers."""
    result = con.execute(sql).pgresult
    found = [(result.ftable(i), result.ftablecol(i)) for i in range(result.nfields)]
    return [(con.execute("select %s::oid::regclass::text", [table]).fetchone()[0] if table else "", number)
            for table, number in found]


@pytest.mark.parametrize("sql", TOLD)
def test_columns_of_a_table_say_so(sql: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (origins(one, sql) for one in both)
    assert ours == theirs


@pytest.mark.parametrize("sql", NOT_TOLD)
def test_nothing_is_told_that_is_not_so(sql: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (origins(one, sql) for one in both)
    assert all(one in (expected, ("", 0)) for one, expected in zip(ours, theirs, strict=True))


def test_by_describe_alone(both: tuple[Any, Any]) -> None:
    for one in both:
        assert one.pgconn.prepare(b"described", b"select name, id from parent where id = $1").error_message == b""
        result = one.pgconn.describe_prepared(b"described")
        assert [result.ftablecol(i) for i in range(2)] == [2, 1]
        assert result.ftable(0) == result.ftable(1) != 0
        one.execute("deallocate described")


def test_a_change_of_the_table_is_noticed() -> None:
    with listening(Catalog(DuckDBEngine())) as listener:
        dsn = f"host=127.0.0.1 port={listener.port} user=ann dbname=demo"
        with psycopg.connect(dsn, autocommit=True) as one, psycopg.connect(dsn, autocommit=True) as other:
            def number(con: Any) -> tuple[int, int]:
                result = con.execute("select b from t").pgresult
                return result.ftable(0), result.ftablecol(0)

            one.execute("create table t (a int, b int)")
            oid = one.execute("select 't'::regclass::oid").fetchone()[0]
            assert number(one) == number(other) == (oid, 2)
            with other.transaction():
                assert number(other) == (oid, 2)
                one.execute("create table elsewhere (a int)")
                assert number(other) in ((oid, 2), (0, 0))
            one.execute("alter table t drop column a")
            assert number(one) == number(other) == (oid, 1)
            # a temporary table is before it, for its session
            one.execute("create temp table t (x int, y int, b int)")
            assert number(one) == (0, 0)
            assert number(other) == (oid, 1)
            one.execute("drop table temp.t")
            assert number(one) == (oid, 1)
            with one.transaction(force_rollback=True):
                one.execute("alter table t add column c int")
                assert number(one) == (0, 0)
            assert number(one) == (oid, 1)


def test_databases_beside_each_other(tmp_path: Any) -> None:
    import duckdb

    for name in ("one", "two"):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as con:
            con.execute(f"create table t_{name} (a int, b int)")
    engine = DuckDBEngine(tmp_path / "one.duckdb", tmp_path / "two.duckdb")
    with listening(Catalog(engine)) as listener, psycopg.connect(
            f"host=127.0.0.1 port={listener.port} user=ann dbname=two", autocommit=True) as con:
        assert con.execute("select b from t_two").pgresult.ftablecol(0) == 2  # type: ignore[union-attr]
        assert con.execute("select b from two.t_two").pgresult.ftablecol(0) == 2  # type: ignore[union-attr]
        assert con.execute("select b from one.t_one").pgresult.ftablecol(0) == 0  # type: ignore[union-attr]


def test_names_are_asked_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DuckDBEngine()
    session = engine.open(user="ann", database="demo", parameters={})
    session.prepare("create table t (a int)", ()).execute(())
    asked = []
    whole = type(engine.relations)._ask
    monkeypatch.setattr(type(engine.relations), "_ask", lambda self: (asked.append(1), whole(self))[1])
    sessions = [engine.open(user="ann", database="demo", parameters={}) for _ in range(4)]
    threads = [threading.Thread(target=one.find_relation, args=(("t",),)) for one in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    for one in (session, *sessions):
        one.close()
    engine.close()


@pytest.mark.parametrize(("sql", "expected"), [
    ("select a, b c from t", Plain(relation=("t",), items=(("a", "a"), ("b", "c")))),
    ("select T.a from S.\"T\" where x", Plain(relation=("s", "T"), items=(("a", "a"),))),
    ("select x.a, y.a from t x", Plain(relation=("t",), items=(("a", "a"), None))),
    ("select f(a, b), [a, b], a from t", Plain(relation=("t",), items=(None, None, ("a", "a")))),
    ("select * exclude (a) from t", Plain(relation=("t",), items=(None,))),
    ("select a from t tablesample 10%", None), ("select a from t, u", None), ("select a from f(1)", None),
    ("select a from t natural join u", None), ("select a from t where x union select b from u", None),
    ("select a", None), ("insert into t select a from u", None), ("select from", None),
    ("select (a from t", None), ("select a from t.", None),
])
def test_what_is_plain(sql: str, expected: Plain | None) -> None:
    found = plain(sql)
    assert found == expected


def test_more_columns_than_items_say_nothing() -> None:
    asked = plain("select * exclude (a) from t")
    assert asked is not None
    assert numbers(asked, ["a", "b", "c"], ["b", "c"]) == [0, 0]
    asked = plain("select a as b, b from t")
    assert asked is not None
    assert numbers(asked, ["A", "B"], ["b", "b"]) == [1, 2]
    assert numbers(asked, ["A", "B"], ["b", "other"]) == [1, 0]
