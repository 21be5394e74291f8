"""DuckDB's errors as the client gets them: SQLSTATE, position, hint."""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb
import pytest

from febe.engines.duckdb import DuckDBEngine, DuckDBSession, errors
from febe.server.engine import EngineError
from tests.engines.conftest import Run, reader, runner

SETUP = """
create table t(a int primary key, b varchar not null, c int check (c > 0), d decimal(4,2))
create table k(a int references t(a))
create sequence sq start 2 maxvalue 2
create view v as select * from t
create type mood as enum ('x')
create index i on t(c)
insert into t values (1, 'a', 1, 1)
select nextval('sq')
""".strip().splitlines()

# SQLSTATE, statement; «» enclose where the position points (its first character), if there is one
ERRORS = [
    ("42601", "«selec» 1"), ("42601", "select 1 «+»"), ("42601", "select «'»x"), ("42601", "select ä, 1 fro «m»"),
    ("42601", "select 1 «from»"), ("42601", "select count(*) over «(»"), ("42601", "«savepoint» x"),
    ("42P01", "select * from «nope»"), ("42P01", "insert into nope values (1)"), ("42P01", "drop table nope"),
    ("42P01", "alter table nope add column x int"), ("42P01", "truncate nope"), ("42P01", "select «x».a from t"),
    ("42P01", "select nextval('nope')"), ("42P01", "select *\nfrom t\nnatural join «nope»"),
    ("42703", "select «nope» from t"), ("42703", "select «t».nope from t"), ("42703", "update t set nope = 1"),
    ("42703", "insert into t(nope) values (1)"), ("42703", "alter table t drop column nope"),
    ("42703", "insert into k select «nope» from t"), ("42703", "create table x as select «nope» from t"),
    ("42703", "select '日本',\n\t'ä', «nope» from t"), ("42703", "delete from t where «nope» = 1"),
    ("42702", "select «a» from t t1, t t2"), ("42883", "select «nope»(1)"), ("42883", "select «abs»('a', 'b')"),
    ("42704", "select 1::«nope»"), ("42704", "create table z(a «nope»)"), ("42704", "drop index nope"),
    ("42704", "drop type nope"),
    ("3F000", "select * from «nope».t"), ("3F000", "drop schema nope"), ("3F000", "create schema nope.x"),
    ("42803", "select «a», count(*) from t"), ("42803", "select sum(«count»(*)) from t"),
    ("42804", "select «unnest»(1)"), ("42804", "select array[1] || «2»"), ("42846", "select [1]«::»int"),
    ("42846", "select «cast»(now() as int)"), ("42P10", "select 1 order by «5»"),
    ("42809", "drop view t"), ("42809", "drop table v"), ("42809", "insert into v values (1)"),
    ("42809", "update v set a = 1"),
    ("42P07", "create table t(a int)"), ("42P07", "create view v as select 1"), ("42P06", "create schema main"),
    ("42710", "create sequence sq"), ("42710", "create type mood as enum ('y')"), ("42710", "create index i on t(c)"),
    ("42701", "alter table t add column a int"), ("42701", "create table z(a int, a int)"),
    ("42601", "insert into t values (1)"), ("42601", "select a from t union select b, a from t"),
    ("22P02", "select 'abc'«::»int"), ("22P02", "select 'x'«::»uuid"), ("22P02", "select 'x'«::»bool"),
    ("22P02", "select 'x'«::»decimal(3, 1)"), ("22P02", "select 'y'«::»mood"), ("22P02", "select 1 where «'x'»"),
    ("22007", "select 'x'«::»date"), ("22007", "select 'x'«::»timestamp"), ("22008", "select '2020-13-01'«::»date"),
    ("22003", "select 300«::»tinyint"), ("22003", "select 2147483647 + 1::int"),
    ("22003", "select 123.45«::»decimal(3, 2)"),
    ("22012", "select 1 // 0"), ("22012", "select 1 % 0"), ("2201B", "select 'a' ~ '('"),
    ("22025", "select 'a' like 'a' escape 'xx'"), ("22032", "select json_extract('{', '$.a')"),
    ("2201W", "select 1 limit «-1»"), ("21000", "select (select 1 union select 2)"),
    ("2200H", "select nextval('sq')"), ("22023", "select error('boom')"), ("54000", "select repeat('x', 10000000000)"),
    ("23505", "insert into t values (1, 'a', 1, 1)"), ("23502", "insert into t values (2, null, 1, 1)"),
    ("23514", "insert into t values (2, 'a', -1, 1)"), ("23503", "insert into k values (99)"),
    ("2BP01", "drop table t"),
]


@pytest.fixture(scope="module")
def shared() -> Run:
    run = runner(DuckDBEngine(threads=1).open(user="demo", database="demo", parameters={}))
    for sql in SETUP:
        run(sql)
    return run


@pytest.mark.parametrize(("sqlstate", "marked"), ERRORS, ids=[sql for _, sql in ERRORS])
def test_error(shared: Run, sqlstate: str, marked: str) -> None:
    sql = marked.replace("«", "").replace("»", "")
    with pytest.raises((EngineError, OSError)) as caught:
        shared(sql)
    error = caught.value if isinstance(caught.value, EngineError) else errors.translate(str(caught.value), sql)
    assert error.sqlstate == sqlstate, error
    assert error.position == (marked.index("«") + 1 if "«" in marked else None)
    assert "LINE" not in str(error) and "Error:" not in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("marked", [
    "select '" + "x" * 300 + "', «nope» from t", "select '" + "x" * 300 + "', «nope», '" + "y" * 300 + "' from t",
    "select «nope», '" + "y" * 300 + "' from t", "select a, -- ünder\r\n  '日本', «nope»\r\nfrom t",
    "select a + $1, $2::text,\n $1, «nope» from t where b like $2", "select $1 + a, 'x'«::»int, [a] from t",
])
def test_positions_in_long_lines_and_beside_parameters(shared: Run, marked: str) -> None:
    sql = marked.replace("«", "").replace("»", "")
    with pytest.raises((EngineError, OSError)) as caught:
        shared(sql, [1, "x"][:2 if "$2" in sql else 1 if "$1" in sql else 0])
    assert isinstance(caught.value, EngineError)
    assert caught.value.position == marked.index("«") + 1


def test_hints(shared: Run) -> None:
    with pytest.raises(EngineError) as caught:
        shared("select aa from t")
    assert str(caught.value) == 'Referenced column "aa" not found in FROM clause!'
    assert caught.value.hint is not None and caught.value.hint.startswith("Candidate bindings")
    with pytest.raises(EngineError) as caught:
        shared("select 'a' + 'b'::date + true")
    assert caught.value.hint is not None and len(caught.value.hint.splitlines()) < 12


def test_division_by_zero_with_a_slash_is_infinite_in_duckdb(shared: Run) -> None:
    assert shared("select 1 / 0").rows == [(float("inf"),)]


def test_transactions(session: DuckDBSession, run: Run, engine: DuckDBEngine) -> None:
    run("create table t(a int)")
    run("insert into t values (1)")
    for call in (session.commit, session.rollback):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.sqlstate == "25P01"
    session.begin()
    with pytest.raises(EngineError) as caught:
        session.begin()
    assert caught.value.sqlstate == "25001"
    session.rollback()
    session.begin(read_only=True)
    with pytest.raises(EngineError) as caught:
        run("insert into t values (2)")
    assert caught.value.sqlstate == "25006"
    with pytest.raises(EngineError) as caught:
        run("select 1")
    assert caught.value.sqlstate == "25P02"
    session.rollback()
    other = engine.open(user="demo", database="demo", parameters={})
    session.begin()
    other.begin()
    run("update t set a = 2")
    with pytest.raises(EngineError) as caught:
        runner(other)("update t set a = 3")
    assert caught.value.sqlstate == "40001"
    other.rollback()
    session.commit()
    assert runner(other)("select a from t").rows == [(2,)]
    other.close()


def test_out_of_memory() -> None:
    engine = DuckDBEngine(memory_limit="20MB", threads=1)
    run = runner(engine.open(user="demo", database="demo", parameters={}))
    with pytest.raises((EngineError, OSError)) as caught:
        run("select list(i) from range(100000000) r(i)")
    error = caught.value if isinstance(caught.value, EngineError) else errors.translate(str(caught.value))
    assert (error.sqlstate, str(error)) == ("53200", "out of memory")
    engine.close()


@pytest.mark.parametrize("text", [
    "INTERNAL Error: Attempted to access index 1 within vector of size 1\n\nStack Trace:\n/opt/lib.so(+0x1)",
    "FATAL Error: Failed: database has been invalidated because of a previous fatal error: /srv/data.duckdb",
])
def test_a_fatal_error_recycles_the_instance_and_tells_nothing(engine: DuckDBEngine, session: DuckDBSession,
                                                           text: str) -> None:
    error = session.failure(text, "select 1", lambda offset: offset)
    assert (error.sqlstate, error.detail, error.hint) == ("XX000", None, None)
    assert str(error) == "internal error in the database engine"
    assert not engine.usable
    assert_lost(session)
    other = engine.open(user="demo", database="demo", parameters={})
    assert engine.usable
    assert_lost(session)
    assert other.prepare("select 1", []).execute([]).arrow is not None
    other.close()


def assert_lost(session: DuckDBSession) -> None:
    assert session.recall("select 1", []) is None
    for call in (lambda: session.prepare("select 1", []), session.begin):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.sqlstate == "57P02"


def test_what_is_in_files_outlives_the_instance(tmp_path: Path) -> None:
    path = tmp_path / "kept.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute("create table t as select 42 as a")
    with contextlib.closing(DuckDBEngine(path)) as engine:
        old = engine.open(user="demo", database="demo", parameters={})
        old.prepare("insert into t values (43)", []).execute([])
        engine.failed("FATAL Error: it is over")
        new = engine.open(user="demo", database="demo", parameters={})
        table = reader(new.prepare("select a from t order by a", []).execute([])).read_all()
        assert table.column(0).to_pylist() == [42, 43]
        old.close()
        new.close()


@pytest.mark.parametrize("text", ["IO Error: Cannot open file \"/srv/x\": No such file", "HTTP Error: http://h/x"])
def test_paths_and_hosts_are_not_told(text: str) -> None:
    error = errors.translate(text)
    assert "/srv" not in str(error) and "http:" not in str(error) and error.detail is None and error.hint is None


def test_text_that_is_no_duckdb_error() -> None:
    assert errors.translate("boom").sqlstate == "XX000"
    assert errors.translate("Tomorrow Error: boom").sqlstate == "XX000"
    assert str(errors.translate("Tomorrow Error: boom")) == "boom"
