"""Parameter types: the client's, DuckDB's, those of the surroundings; and values handed over."""

from __future__ import annotations

import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from febe.engines.duckdb import DuckDBSession
from febe.engines.duckdb.parameters import Rewritten, array_elements, places
from febe.server.engine import EngineError
from tests.engines.conftest import Run

BOOL, BYTEA, INT8, INT2, INT4, TEXT, JSON, FLOAT4, FLOAT8 = 16, 17, 20, 21, 23, 25, 114, 700, 701
VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC, UUID_ = 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950
INT4_ARRAY, TEXT_ARRAY, INT8_ARRAY = 1007, 1009, 1016

# statement, what the client says, what is announced
INFERRED: list[tuple[str, list[int], list[int]]] = [
    ("select 1", [], []),
    ("select $1", [], [TEXT]), ("select $1", [INT4], [INT4]), ("select $1", [0], [TEXT]), ("select $1", [705], [TEXT]),
    ("select $1, $2, $1", [0, INT8], [TEXT, INT8]),
    ("select $1::int4", [], [INT4]), ("select cast($1 as date)", [], [DATE]), ("select $1::int8", [INT4], [INT4]),
    ("select try_cast($1 as double)", [], [FLOAT8]), ("select $1::text", [], [TEXT]), ("select $1::uuid", [], [UUID_]),
    ("select $1::int, $1::text", [], [INT4]), ("select $1::timestamptz", [], [TIMESTAMPTZ]),
    ("select $1::int[]", [], [INT4_ARRAY]), ("select $1::json", [], [TEXT]), ("select $1::numeric", [], [NUMERIC]),
    ("select a from t where a = $1", [], [INT4]), ("select a from t where $1 <= a", [], [INT4]),
    ("select a from t where a in ($1, $2)", [], [INT4, INT4]), ("select 1 from t where d <> $1", [], [NUMERIC]),
    ("select a from t where a between $1 and $2", [], [INT4, INT4]), ("select 1 where $1 = 3.5", [], [NUMERIC]),
    ("select a from t where b like $1", [], [TEXT]), ("select a from t where b = $1 and b = $1", [], [TEXT]),
    ("select a from t where a = $1 and a > $1", [], [INT4]), ("select a from t where e = $1", [], [TEXT]),
    ("select a from t where ts < $1", [], [TIMESTAMP]), ("select a from t where x.y is null and $1", [], []),
    ("select a from t where a = any($1)", [], [INT4_ARRAY]), ("select 1 from t where b = any($1)", [], [TEXT_ARRAY]),
    ("select a from t where a is not distinct from $1", [], [INT4]), ("select a from t where $1", [], [BOOL]),
    ("select a + $1 from t", [], [INT4]), ("select $1 * (a + 1) from t", [], [INT4]), ("select $1 + 1", [], [INT4]),
    ("select $1 + $2", [INT8], [INT8, INT8]), ("select f / $1 from t", [], [FLOAT8]), ("select d * $1 from t", [],
    [NUMERIC]),
    ("select 1 from t where a = $1 + 1", [], [INT4]), ("select ts + $1 from t", [], [INTERVAL]),
    ("select ts - $1 from t", [], [TIMESTAMP]), ("select da - $1 from t", [], [DATE]), ("select da + $1 from t", [],
    [INT4]),
    ("select $1 || 'x'", [], [TEXT]), ("select concat($1, a) from t", [], [TEXT]), ("select lower($1)", [], [TEXT]),
    ("select length($1)", [], [TEXT]), ("select substr('abc', $1)", [], [INT8]), ("select sqrt($1)", [], [FLOAT8]),
    ("select abs($1)", [], [FLOAT8]), ("select extract(year from $1)", [], [TIMESTAMPTZ]),
    ("select coalesce($1, a) from t", [], [INT4]), ("select coalesce($1, $2)", [], [TEXT, TEXT]),
    ("select nullif(a, $1) from t", [], [INT4]), ("select greatest(a, $1) from t", [], [INT4]),
    ("select case when $1 then a else $2 end from t", [], [BOOL, INT4]),
    ("select case when a = 1 then $1 end from t", [], [TEXT]), ("select not $1", [], [BOOL]),
    ("select * from t limit $1 offset $2", [], [INT8, INT8]), ("select * from range($1)", [], [INT8]),
    ("select j->>$1 from t", [], [TEXT]), ("values ($1, $2)", [], [TEXT, TEXT]),
    ("insert into t(b, a) values ($1, $2)", [], [TEXT, INT4]), ("insert into t(b, a) select $1, $2", [], [TEXT, INT4]),
    ("insert into two select $1, $2", [], [INT4, TEXT]), ("insert into t(a) values ($1), ($2)", [], [INT4, INT4]),
    ("create table made as select $1::int as x", [], [INT4]), ("insert into t(a) values ($1 + 1)", [], [INT4]),
    ("update t set a = $1, b = $2 where d > $3", [], [INT4, TEXT, NUMERIC]),
    ("update t set a = a + $1 where b = $2 returning *", [], [INT4, TEXT]), ("delete from t where ts < $1", [],
    [TIMESTAMP]),
    ("merge into t using (select $1::int as k) s on t.a = s.k when matched then update set b = $2", [], [INT4, TEXT]),
    ("with x as (select * from t where a = $1) select * from x where b = $2", [], [INT4, TEXT]),
    ("with x as (select a + $1 as q from t) select q - $2 from x", [], [INT4, INT4]),
    ("select (select max(a) from t where a < $1)", [], [INT4]),
    ("select 1 from t t1 where exists (select 1 from t t2 where t1.a + $1 = t2.a)", [], [INT4]),
    ("select a from t where $1::text is null or b = $1", [], [TEXT]), ("explain select a from t where a = $1", [],
    [INT4]),
    ("select a from t -- $9\nwhere b = '$8' and a = $1", [], [INT4]),
    ("select a from t where a > $1 union all select $2", [], [INT4, TEXT]), ("select a from t where b = $1", [VARCHAR],
    [VARCHAR]),
    ("select count(*) from t where a = $1", [TEXT], [TEXT]), ("select h + $1 from t", [], [NUMERIC]),
    ("select row_number() over (order by a) from t qualify row_number() over (order by a) < $1", [], [INT8]),
]


@pytest.fixture
def table(run: Run) -> Run:
    run("create table t(a int, b varchar, d decimal(10,2), ts timestamp, l int[], e enum('x', 'y'), j json, f double, "
        "da date, h hugeint)")
    run("create table two(a int, b varchar)")
    run("insert into t values (1, '1', 1.50, '2020-01-01', [1], 'x', '{\"k\": 1}', 1.5, '2020-01-01', 1)")
    return run


@pytest.mark.parametrize(("sql", "given", "expected"), INFERRED, ids=[f"{row[0]} {row[1] or ''}" for row in INFERRED])
def test_types(session: DuckDBSession, table: Run, sql: str, given: list[int], expected: list[int]) -> None:
    if "x.y" in sql:
        with pytest.raises(EngineError) as caught:
            session.prepare(sql, given)
        assert caught.value.sqlstate == "42P01"
        return
    prepared = session.prepare(sql, given)
    assert list(prepared.parameters) == expected
    # whatever was announced must also run, here with NULLs
    prepared.execute([None] * len(expected))


def test_names_do_not_show_our_casts(table: Run) -> None:
    answer = table("select $1, a + $2, $3::int, abs($4::decimal(4, 1)) from t", ["x", 1, 2, Decimal("-1.5")])
    assert [c.name for c in answer.prepared.columns or ()] == [
        "$1", "(a + $2)", "CAST($3 AS INTEGER)", "abs(CAST($4 AS DECIMAL(4, 1)))"]
    assert answer.rows == [("x", 2, 2, Decimal("1.5"))]


@pytest.mark.parametrize(("sql", "given", "values", "expected"), [
    ("select a from t where a = $1", [TEXT], ["1"], [(1,)]),
    ("select a from t where ts = $1", [VARCHAR], ["2020-01-01"], [(1,)]),
    ("select a from t where d = $1", [TEXT], ["1.5"], [(1,)]),
    ("select a from t where e = $1", [], ["x"], [(1,)]),
    ("select a from t where a in ($1, $2)", [TEXT, TEXT], ["1", "2"], [(1,)]),
    ("select a from t where a = any($1)", [], [[1, 2]], [(1,)]),
    ("select a from t where a = any($1)", [], ["{1,2}"], [(1,)]),
    ("select a from t where b = any($1)", [], [["1", None]], [(1,)]),
    ("select $1", [INT4], [5], [(5,)]), ("select $1", [INT8], [5], [(5,)]), ("select $1", [FLOAT4], [0.5], [(0.5,)]),
    ("select $1", [NUMERIC], [Decimal("12345678901234567890.123")], [(Decimal("12345678901234567890.123"),)]),
    ("select $1 = 0.1", [NUMERIC], [Decimal("0.1")], [(True,)]), ("select $1", [BOOL], [True], [(True,)]),
    ("select $1", [BYTEA], [b"\0\xff"], [(b"\0\xff",)]), ("select $1::text", [UUID_], [UUID(int=5)],
    [(str(UUID(int=5)),)]),
    ("select $1", [DATE], [datetime.date(2020, 2, 29)], [(datetime.date(2020, 2, 29),)]),
    ("select $1", [TIME], [datetime.time(1, 2, 3)], [(datetime.time(1, 2, 3),)]),
    ("select $1", [TIMESTAMP], [datetime.datetime(2020, 1, 1)], [(datetime.datetime(2020, 1, 1),)]),
    ("select $1::text", [TIMESTAMPTZ], [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)],
     [("2020-01-01 00:00:00+00",)]),
    ("select $1::text", [INTERVAL], [datetime.timedelta(days=1, seconds=2)], [("1 day 00:00:02",)]),
    ("select $1->>'k'", [JSON], [{"k": 1}], [("1",)]), ("select $1", [JSON], ["a"], [('"a"',)]),
    ("select $2", [INT4, INT4], [1, 2], [(2,)]), ("select h + $1 from t", [], [Decimal(5)], [(Decimal(6),)]),
    ("select $1 || $1", [], ["ab"], [("abab",)]), ("select $10 || $1", [TEXT] * 10, list("abcdefghij"), [("ja",)]),
    ("select typeof($1), typeof($2)", [INT8, INT2], [1, 1], [("BIGINT", "SMALLINT")]),
    ("select * from range($1)", [], [2], [(0,), (1,)]), ("select a from t limit $1", [], [0], []),
    ("select coalesce($1, a) from t", [], [None], [(1,)]), ("select '$1' || $1", [], ["x"], [("$1x",)]),
])
def test_values(table: Run, sql: str, given: list[int], values: list[object], expected: list[tuple[object]]) -> None:
    assert table(sql, values, given).rows == expected


@pytest.mark.parametrize(("sql", "given", "values", "sqlstate"), [
    ("select $2", [], [], "42P18"), ("select $1, $3", [], [], "42P18"), ("select $0", [], [], "42601"),
    ("select $99999999999999999999", [], [], "42601"), ("select ?", [], [], "42601"), ("select $name", [], [], "42601"),
    ("select a from t where a = $1", [TEXT], ["x"], "22P02"), ("select $1", [NUMERIC], [Decimal("NaN")], "22003"),
    ("select a = any($1) from t", [], ["{{1}}"], "0A000"), ("select a = any($1) from t", [], ["1"], "22P02"),
    ("select a = any($1) from t", [], ["{x}"], "22P02"), ("pivot t on b using sum(a) group by $1", [], [], "42601"),
    ("insert into t(a) values ($1) returning a + $2", [], [1, 2], "0A000"), ("select $1", [NUMERIC],
    [Decimal("1e40")], "22003"),
])
def test_refused(table: Run, sql: str, given: list[int], values: list[object], sqlstate: str) -> None:
    with pytest.raises((EngineError, OSError)) as caught:
        table(sql, values, given)
    if isinstance(caught.value, EngineError):
        assert caught.value.sqlstate == sqlstate, caught.value
    else:
        assert sqlstate == "22P02" and "Conversion Error" in str(caught.value)


def test_execute_again_with_other_values(session: DuckDBSession, table: Run) -> None:
    prepared = session.prepare("insert into t(a) values ($1)", [])
    assert [prepared.execute([i]).tag for i in (5, 6)] == ["INSERT 0 1"] * 2
    assert table("select a from t where a > $1 order by a", [4]).rows == [(5,), (6,)]


def test_a_rewritten_text_knows_where_it_came_from() -> None:
    sql = "a $1 b $22 c"
    text = Rewritten(sql, places(sql), lambda place: f"CAST(${place.number} AS X)" if place.number == 22 else None)
    assert text.sql == "a $1 b CAST($22 AS X) c"
    marks = ("a", "$1", "b", "CAST", "AS X", " c")
    assert [text.original(text.sql.index(mark)) for mark in marks] == [0, 2, 5, 7, 7, 10]
    assert text.original(-1) is None and text.original(1000) is None


@pytest.mark.parametrize(("text", "expected"), [
    ("{}", []), (" { } ", []), ("{1,2}", ["1", "2"]), ('{a,"b c",NULL,"NULL",""}', ["a", "b c", None, "NULL", ""]),
    (r'{"a\"b","\\",x\,y}', ['a"b', "\\", "x,y"]), ('{"a,b",c}', ["a,b", "c"]),
])
def test_array_literals(text: str, expected: list[str | None]) -> None:
    assert array_elements(text) == expected
