"""What DuckDB's types are announced as, and in which Arrow form they come."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from febe.engines.duckdb import DuckDBSession
from febe.engines.duckdb.types import announced, batch_rows
from febe.server.engine import EngineError
from febe.types.registry import TYPES as REGISTRY
from tests.engines.conftest import Run, pa, reader

# SQL, OID, typmod, Arrow type as pyarrow writes it, the value
TYPES = [
    ("true", 16, -1, "bool", True),
    ("(-128)::tinyint", 21, -1, "int8", -128),
    ("255::utinyint", 21, -1, "uint8", 255),
    ("(-32768)::smallint", 21, -1, "int16", -32768),
    ("65535::usmallint", 23, -1, "uint16", 65535),
    ("1", 23, -1, "int32", 1),
    ("4294967295::uinteger", 20, -1, "uint32", 4294967295),
    ("1::bigint", 20, -1, "int64", 1),
    ("18446744073709551615::ubigint", 1700, -1, "uint64", 18446744073709551615),
    ("170141183460469231731687303715884105727::hugeint", 1700, -1, "decimal128(38, 0)",
     Decimal("170141183460469231731687303715884105727")),
    ("340282366920938463463374607431768211455::uhugeint", 25, -1, "large_string",
     "340282366920938463463374607431768211455"),
    ("1.5::float", 700, -1, "float", 1.5),
    ("1.5::double", 701, -1, "double", 1.5),
    ("1.5::decimal(4, 1)", 1700, (4 << 16 | 1) + 4, "decimal128(4, 1)", Decimal("1.5")),
    ("1.5::decimal(38, 10)", 1700, (38 << 16 | 10) + 4, "decimal128(38, 10)", Decimal("1.5000000000")),
    ("'ä'", 25, -1, "large_string", "ä"),
    (r"'\x00ff'::blob", 17, -1, "large_binary", b"\x00ff"),
    ("date '2020-02-29'", 1082, -1, "date32[day]", None),
    ("time '12:34:56.789'", 1083, -1, "time64[us]", None),
    ("'12:34:56.789123456'::time_ns", 1083, -1, "time64[us]", None),
    ("'12:34:56+02'::timetz", 25, -1, "large_string", "12:34:56+02"),
    ("timestamp '2020-01-01 12:00:00'", 1114, -1, "timestamp[us]", None),
    ("'2020-01-01'::timestamp_s", 1114, -1, "timestamp[us]", None),
    ("'2020-01-01'::timestamp_ms", 1114, -1, "timestamp[us]", None),
    ("'2020-01-01 00:00:00.123456789'::timestamp_ns", 1114, -1, "timestamp[us]", None),
    ("timestamptz '2020-01-01 12:00:00+02'", 1184, -1, "timestamp[us, tz=UTC]", None),
    ("interval '1 month 2 days 3 seconds'", 1186, -1, "month_day_nano_interval", None),
    ("uuid '00000000-0000-0000-0000-000000000005'", 2950, -1, "large_string", "00000000-0000-0000-0000-000000000005"),
    ("'{\"a\": 1}'::json", 114, -1, "large_string", '{"a": 1}'),
    ("'a'::enum('a', 'b')", 25, -1, "large_string", "a"),
    ("'0101'::bit", 25, -1, "large_string", "0101"),
    ("[1, null, 3]", 1007, -1, "large_list<l: int32>", [1, None, 3]),
    ("array_value(1, 2)", 1007, -1, "large_list<l: int32>", [1, 2]),
    ("['a', null]", 1009, -1, "large_list<l: large_string>", ["a", None]),
    ("[1.5::decimal(4, 1)]", 1231, (4 << 16 | 1) + 4, "large_list<l: decimal128(4, 1)>", [Decimal("1.5")]),
    ("['2020-01-01'::timestamp_s]", 1115, -1, "large_list<l: timestamp[us]>", None),
    ("['0101'::bit]", 1009, -1, "large_list<l: large_string>", ["0101"]),
    ("[interval '1 day']", 25, -1, "large_string", "[1 day]"),
    ("[{'a': 1}]", 25, -1, "large_string", "[{'a': 1}]"),
    ("[[1], []]", 25, -1, "large_string", "[[1], []]"),
    ("{'a': 1, 'b': 'x'}", 25, -1, "large_string", "{'a': 1, 'b': x}"),
    ("map {'k': 1}", 25, -1, "large_string", "{k=1}"),
    ("union_value(a := 1)", 25, -1, "large_string", "1"),
    ("null", 25, -1, "large_string", None),
]


@pytest.mark.parametrize(("sql", "oid", "modifier", "arrow", "value"), TYPES, ids=[row[0] for row in TYPES])
def test_type(session: DuckDBSession, sql: str, oid: int, modifier: int, arrow: str, value: object) -> None:
    prepared = session.prepare(f"select {sql} as c", [])
    assert prepared.columns is not None
    assert [(c.name, c.type_oid, c.type_modifier) for c in prepared.columns] == [("c", oid, modifier)]
    table = reader(prepared.execute([])).read_all()
    assert str(table.schema.field(0).type) in (arrow, arrow.replace("large_", ""))
    if value is not None or sql == "null":
        assert table.column(0).to_pylist() == [value]


def test_every_type_duckdb_has_is_announced_and_comes(session: DuckDBSession, run: Run) -> None:
    names = [row[0] for row in run("select column_name from (describe from test_all_types())").rows or ()]
    for name in names:
        prepared = session.prepare(f'select "{name}" from test_all_types()', [])
        assert prepared.columns is not None
        try:
            table = reader(prepared.execute([])).read_all()
        except pa.ArrowInvalid as error:
            # the extreme interval is refused, not wrapped
            assert name == "interval", (name, error)
            continue
        kind = table.schema.field(0).type
        assert not pa.types.is_nested(kind) or REGISTRY.by_oid(prepared.columns[0].type_oid).name.startswith("_"), name
        assert not pa.types.is_dictionary(kind), name
        if prepared.columns[0].type_oid == 25:
            text = run(f'select cast("{name}" as varchar) from test_all_types()').rows
            assert [(value,) for value in table.column(0).to_pylist()] == text


def test_an_interval_that_arrow_cannot_hold_is_refused(run: Run) -> None:
    with pytest.raises((EngineError, OSError)) as caught:
        run("select i * interval '1 hour' from range(2562040, 2562060) r(i)")
    assert "interval out of range" in str(caught.value)
    assert run("select interval '2562046 hours'").rows is not None


def test_wrapping_keeps_order_names_and_duplicates(run: Run) -> None:
    answer = run('select i as "a""b", [[i]] as "a""b", {\'x\': i} as "c d", i as c0 from range(20000) r(i) '
                 "order by i desc -- the end")
    assert [c.name for c in answer.prepared.columns or ()] == ['a"b', 'a"b', "c d", "c0"]
    assert answer.rows == [(i, f"[[{i}]]", f"{{'x': {i}}}", i) for i in range(19999, -1, -1)]


@pytest.mark.parametrize("sql", [
    "values ([[1]], 2)", "from (select [[1]] a, 2 b)", "with t as (select [[1]] a, 2 b) select * from t",
    "(select [[1]] a, 2 b) union all select [[1]], 2 limit 1", "select [[1]] a, 2 b order by 2 limit 1",
    "with recursive t as (select [[1]] a, 2 b union all select a, b + 1 from t where b < 2) from t",
    "pivot (select [[1]] a, 'b' as k, 2 as v) on k in ('b') using max(v)", "table nested",
    "insert into nested values ([[1]], 2) returning *", "update nested set b = 2 returning a, b",
    "delete from nested returning *", "unpivot (select [[1]] a, 2 as b) on b",
])
def test_nested_columns_of_every_kind_of_statement(run: Run, sql: str) -> None:
    run("create table nested as select [[1]] a, 2 b")
    assert "[[1]]" in (run(sql).rows or [()])[0]


def test_sum_of_integers_is_numeric(run: Run) -> None:
    answer = run("select sum(i) from range(3) r(i)")
    assert answer.prepared.columns is not None
    assert (answer.prepared.columns[0].type_oid, answer.rows) == (1700, [(Decimal(3),)])


def test_batches_are_sized_by_their_columns() -> None:
    assert batch_rows([23]) == 131072
    assert batch_rows([]) == 131072
    assert batch_rows([25] * 100) == 2048
    assert batch_rows([23, 25, 25]) % 2048 == 0
    assert announced("DECIMAL(38,0)").type_modifier == (38 << 16) + 4
    assert announced("a type of tomorrow").type_oid == 25


def test_the_time_zone_is_utc(run: Run) -> None:
    assert run("select current_setting('TimeZone'), timestamptz '2020-01-01 00:00:00+02'::varchar").rows == [
        ("UTC", "2019-12-31 22:00:00+00")]
    assert duckdb.__version__
