"""Rows from PostgreSQL to Arrow: the values are those PostgreSQL prints, and a value that does not fit is an error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Context, Decimal
from struct import pack
from typing import Any

import pytest

from febe._kernel.errors import MalformedRow, ValueDecodeError
from febe.types.arrow import ArrowError
from febe.types.arrow_rows import ArrowBuilder, ArrowOptions, ArrowSource, ArrowTable
from febe.types.copy import ArrowCopyReader, CopyColumn, CopyEncoder, CopyError, CopyFormat, Framing
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

from .wire_rows import arrow, result

pa = pytest.importorskip("pyarrow")
psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with psycopg.connect(pg18.dsn(), autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set client_min_messages = 'error'")
        connection.execute("drop type if exists mood, spot, pair cascade")
        connection.execute("create type mood as enum ('sad', 'ok', 'happy ä')")
        connection.execute("create type spot as (x int4, y numeric(6,2), name text)")
        connection.execute("create type pair as (a spot, b mood)")
        yield connection


TYPES_TOLD = [
    # SQL type, Arrow type, values as SQL literals
    ("bool", pa.bool_(), ["true", "false"]),
    ("int2", pa.int16(), ["0", "-32768", "32767"]),
    ("int4", pa.int32(), ["0", "-2147483648", "2147483647"]),
    ("int8", pa.int64(), ["0", "-9223372036854775808", "9223372036854775807"]),
    ("oid", pa.uint32(), ["0", "4294967295"]),
    ("float4", pa.float32(), ["0", "1.5", "-3.4e38", "1e-45", "'infinity'"]),
    ("float8", pa.float64(), ["0", "0.1", "-1.7e308", "5e-324", "'-infinity'"]),
    ("text", pa.string(), ["''", "'a'", "'ä€😀'", "repeat('x', 100)"]),
    ("varchar(9)", pa.string(), ["'abc'"]),
    ("bpchar", pa.string(), ["'abc  '"]),
    ("name", pa.string(), ["'abc'"]),
    ("json", pa.string(), ["'{\"a\": [1,  2]}'"]),
    ("jsonb", pa.string(), ["'{\"a\": [1, 2]}'", "'3'"]),
    ("bytea", pa.binary(), ["''", "'\\x00ff61'"]),
    ("date", pa.date32(), ["'2000-01-01'", "'1970-01-01'", "'9999-12-31'", "'0001-01-01'"]),
    ("time", pa.time64("us"), ["'00:00'", "'23:59:59.999999'"]),
    ("timestamp", pa.timestamp("us"), ["'2000-01-01'", "'9999-12-31 23:59:59.999999'", "'0001-01-01'"]),
    ("timestamptz", pa.timestamp("us", "UTC"), ["'2000-01-01'", "'1969-12-31 23:59:59.999999-05'"]),
    ("uuid", pa.uuid(), ["'12345678-9abc-def0-1234-56789abcdef0'"]),
    ("numeric(10,2)", pa.decimal128(10, 2), ["0", "1.5", "-99999999.99", "0.01", "12345.67"]),
    ("numeric(38,10)", pa.decimal128(38, 10), ["1e27", "-0.0000000001", "1234567890123456789.0123456789"]),
    ("numeric(76,30)", pa.decimal256(76, 30), ["1e45", "-1e-30", "1234567890123456789012345678901234567890.5"]),
    ("numeric(5,-2)", pa.decimal128(5, -2), ["1234500", "-100"]),
    ("numeric(3,5)", pa.decimal128(5, 5), ["0.00999", "-0.00001"]),
    ("numeric", pa.string(), ["0", "1.50", "-1e300", "1e-300", "'NaN'", "'Infinity'", "'-Infinity'", "10000", "1e-4"]),
    ("time with time zone", pa.string(), ["'10:00:00+02'"]),
    ('"char"', pa.string(), ["'a'", "'\\377'"]),
]


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize(("name", "kind", "values"), TYPES_TOLD, ids=[name for name, _, _ in TYPES_TOLD])
def test_types(connection: Any, name: str, kind: Any, values: list[str], binary: bool) -> None:
    made = ", ".join(f"(({value})::{name})" for value in [*values, "null"])
    told = pa.table(arrow(connection, f"select x from (values {made}) v(x)", binary=binary))
    told.validate(full=True)
    assert told.schema.field("x").type == kind
    want = [row[0] for row in connection.execute(f"select x from (values {made}) v(x)")]
    if kind == pa.string():
        want = [row[0] for row in connection.execute(f"select x::text from (values {made}) v(x)")]
        if name == "bpchar":
            want = ["abc  ", None]
    got = told["x"].to_pylist()
    if name == "float4":
        want = [None if one is None else pa.scalar(one, pa.float32()).as_py() for one in want]
    assert got == want


def test_intervals(connection: Any) -> None:
    told = pa.table(arrow(connection, "select interval '1 year 2 mons 3 days 04:05:06.789' x union all select null"))
    assert told["x"].type == pa.month_day_nano_interval()
    assert told["x"].to_pylist() == [pa.MonthDayNano([14, 3, 14706789000000]), None]


def test_random_numerics(connection: Any) -> None:
    """Every one as decimal and as text, against PostgreSQL's own text."""
    dice = random.Random(5)
    wide = Context(prec=60)
    values = [Decimal(dice.randrange(-(10 ** dice.randrange(1, 29)), 10**28)).scaleb(-dice.randrange(10), wide)
              for _ in range(3000)]  # fmt: skip
    connection.execute("create temp table if not exists numbers (a numeric, b numeric(38,9), c numeric(60,20))")
    connection.execute("truncate numbers")
    with connection.cursor() as cursor:
        cursor.executemany("insert into numbers values (%s, %s, %s)", [(v, v, v) for v in values])
    told = pa.table(arrow(connection, "select a, b, c, a t from numbers", rows=700)).to_pydict()
    rows = connection.execute("select a::text, b, c from numbers").fetchall()
    assert told["a"] == told["t"] == [row[0] for row in rows]
    assert told["b"] == [row[1] for row in rows]
    assert told["c"] == [row[2] for row in rows]
    connection.execute("create temp table if not exists lists (a numeric(9,2)[])")
    connection.execute("insert into lists values ('{1.5,22}')")
    assert pa.table(arrow(connection, "select a from lists"))["a"].type == pa.list_(
        pa.field("item", pa.decimal128(9, 2)))  # fmt: skip
    named = arrow(connection, "select a from numbers where scale(a) <= 9", ArrowOptions(numeric=(50, 9)))
    assert pa.table(named)["a"].type == pa.decimal256(50, 9)
    texts = arrow(connection, "select b from numbers", ArrowOptions(numeric="text"))
    assert pa.table(texts)["b"].to_pylist() == [row[0] for row in connection.execute("select b::text from numbers")]


def test_nested(connection: Any) -> None:
    sql = """select array[1, null, 3] a, array['x', null, 'ä'] b, '{}'::int4[] c, null::text[] d,
        row(1, 2.5, 'n')::spot e, row(row(null, -1, ''), 'ok')::pair f, 'happy ä'::mood g,
        array[row(7, 8, 'p')::spot, null] h, array['sad', 'ok']::mood[] i, '1 2 3'::int2vector j,
        array[1.5, 22]::numeric(9,2)[] k, array[1.5, 'NaN']::numeric[] l
        union all select null, null, null, null, null, null, null, null, null, null, null, null"""
    told = pa.table(arrow(connection, sql))
    told.validate(full=True)
    spot = pa.struct([("x", pa.int32()), ("y", pa.string()), ("name", pa.string())])
    label = pa.dictionary(pa.int32(), pa.string())
    assert told.schema.field("e").type == spot
    assert told.schema.field("f").type == pa.struct([("a", spot), ("b", label)])
    assert told.schema.field("g").type == label
    first, second = told.to_pylist()
    assert first == {
        "a": [1, None, 3], "b": ["x", None, "ä"], "c": [], "d": None, "e": {"x": 1, "y": "2.50", "name": "n"},
        "f": {"a": {"x": None, "y": "-1.00", "name": ""}, "b": "ok"}, "g": "happy ä",
        "h": [{"x": 7, "y": "8.00", "name": "p"}, None], "i": ["sad", "ok"], "j": [1, 2, 3],
        "k": ["1.50", "22.00"], "l": ["1.5", "NaN"],
    }  # fmt: skip
    assert set(second.values()) == {None}


def test_many_rows_and_batches(connection: Any) -> None:
    """Batches end where they are told to; nothing is lost between them."""
    sql = """select i, case when i % 7 > 0 then 'text ' || i end t, i % 3 = 0 b, case when i % 5 > 0 then
        array_fill(i, array[i % 4]) end l, row(i, i, i::text)::spot s,
        (array['sad', 'ok', 'happy ä'])[1 + i % 3]::mood m from generate_series(1, 5000) i"""
    want = [
        {"i": i, "t": f"text {i}" if i % 7 else None, "b": i % 3 == 0, "l": [i] * (i % 4) if i % 5 else None,
         "s": {"x": i, "y": f"{i}.00", "name": str(i)}, "m": ("sad", "ok", "happy ä")[i % 3]}
        for i in range(1, 5001)
    ]  # fmt: skip
    data, sources, registry = result(connection, sql)
    for rows, size in ((1 << 16, 1 << 24), (1000, 1 << 24), (1, 1 << 24), (1 << 16, 5000), (777, 40_000)):
        if rows == 1:
            data, want = data[: data.index(b"D", 200)], want[:1]
            data, sources, registry = result(connection, sql.replace("5000", "20"))
            want = [{**one} for one in pa.table(arrow(connection, sql.replace("5000", "20"))).to_pylist()]
        builder = ArrowBuilder(sources, registry, rows=rows, size=size)
        batches = []
        start = 0
        while start < len(data):  # runs of some rows
            stop = start
            for _ in range(100):
                if stop < len(data):
                    stop += 1 + int.from_bytes(data[stop + 1 : stop + 5], "big")
            batches += builder.feed(data, start, stop)
            start = stop
        assert all(len(batch) == rows for batch in batches) or size < 1 << 24
        last = builder.finish()
        batches += [last] if last else []
        assert builder.finish() is None
        told = pa.table(ArrowTable(builder.schema, batches))
        told.validate(full=True)
        assert told.to_pylist() == want
        if rows == 1:
            data, sources, registry = result(connection, sql)
            want = pa.table(arrow(connection, sql)).to_pylist()


def test_large_values_make_small_batches() -> None:
    """Eight bytes on the wire may stand for 131,072 digits."""
    column = ArrowSource(name="n", codec=TYPES.by_name("numeric"))
    value = pack("!HhHHH", 1, 32767, 0, 0, 1)
    row = b"D" + pack("!iHi", 10 + len(value), 1, len(value)) + value
    builder = ArrowBuilder([column], TYPES, size=1 << 20)
    batches = builder.feed(row * 100, 0, 100 * len(row))
    assert max(len(batch.columns[0].buffers[2] or b"") for batch in batches) < 1 << 22
    last = builder.finish()
    told = pa.table(ArrowTable(builder.schema, [*batches, last] if last else batches))
    assert told["n"].to_pylist() == ["1" + "0" * 131068] * 100


REFUSED = [
    ("select 'infinity'::date x", "infinity"),
    ("select '-infinity'::timestamp x", "infinity"),
    ("select 'infinity'::timestamptz x", "infinity"),
    ("select '294276-12-31'::timestamp x", "cannot hold"),
    ("select '24:00'::time x", "24:00"),
    ("select '300 years'::interval + '3000000 hours' x", "292 years"),
    ("select 'NaN'::numeric(10,2) x", "NaN"),
    ("select array[[1, 2], [3, 4]] x", "several dimensions"),
    ("select '[0:1]={1,2}'::int4[] x", "lower bound"),
    ("select array['infinity']::date[] x", "infinity"),
]


@pytest.mark.parametrize(("sql", "reason"), REFUSED, ids=[sql for sql, _ in REFUSED])
def test_what_arrow_cannot_hold(connection: Any, sql: str, reason: str) -> None:
    """The error names the row and the column and holds the bytes; the next run is read again."""
    data, sources, registry = result(connection, sql)
    builder = ArrowBuilder(sources, registry)
    good = b"D" + pack("!iHi", 10, 1, -1)
    with pytest.raises(ValueDecodeError, match=reason) as error:
        builder.feed(good * 3 + data, 0, 30 + 3 + len(data))
    assert (error.value.row, error.value.column) == (3, 0)
    assert error.value.data == data[11:]
    builder.feed(good, 0, 11)
    assert pa.table(ArrowTable(builder.schema, [builder.finish()]))["x"].to_pylist() == [None]


def test_asked_for_by_name(connection: Any) -> None:
    sql = "select x::date d, x::timestamp t from (values ('infinity'), ('-infinity'), ('2000-01-01')) v(x)"
    told = pa.table(arrow(connection, sql, ArrowOptions(infinite="null")))
    assert told.to_pydict() == {"d": [None, None, date(2000, 1, 1)], "t": [None, None, datetime(2000, 1, 1)]}
    told = pa.table(arrow(connection, sql, ArrowOptions(infinite="largest")))
    assert told["d"].cast(pa.int32()).to_pylist() == [2**31 - 1, 1 - 2**31, 10957]
    assert told["t"].cast(pa.int64()).to_pylist() == [2**63 - 1, 1 - 2**63, 946684800000000]
    with pytest.raises(ValueDecodeError, match="digits beyond the scale of 1"):
        arrow(connection, "select 1.25 x", ArrowOptions(numeric=(5, 1)))
    with pytest.raises(ValueDecodeError, match="more than 5 digits"):
        arrow(connection, "select 123456.5 x", ArrowOptions(numeric=(5, 1)))
    for wrong in ({"infinite": "never"}, {"numeric": (0, 0)}, {"numeric": "float"}):
        with pytest.raises(ValueError, match=r"is \"|precision"):
            ArrowOptions(**wrong)  # type: ignore[arg-type]


def test_columns_of_callables(connection: Any) -> None:
    """A type that only Python knows is text, made value by value; what its codec raises is told as a bad value."""
    told = pa.table(arrow(connection, "select x from (values ('10:00+02'::timetz), (null), ('23:59:59.5-01')) v(x)"))
    assert told["x"].to_pylist() == ["10:00:00+02", None, "23:59:59.5-01"]
    source = ArrowSource(name="x", codec=TYPES.by_name("timetz"))
    with pytest.raises(ValueDecodeError, match="no binary timetz"):
        ArrowBuilder([source], TYPES).feed(b"D" + pack("!iHi", 11, 1, 1) + b"x", 0, 12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("int4", b"abc"), ("int2", b""), ("int8", b"1234"), ("bool", b"12"), ("uuid", b"x"), ("date", b"12345"),
     ("numeric", b"123"), ("numeric", pack("!HhHHH", 2, 0, 0, 0, 1)), ("numeric", pack("!HhHHH", 1, 0, 0, 0, 10000)),
     ("numeric", pack("!HhHH", 0, 0, 1, 0)), ("jsonb", b"\2{}"), ("jsonb", b""), ("text", b"\xff"),
     ("text", b"a\xc3")],
)  # fmt: skip
def test_bytes_that_are_no_value(name: str, value: bytes) -> None:
    source = ArrowSource(name="x", codec=TYPES.by_name(name))
    row = b"D" + pack("!iHi", 10 + len(value), 1, len(value)) + value
    with pytest.raises(ValueDecodeError) as error:
        ArrowBuilder([source], TYPES).feed(row, 0, len(row))
    assert (error.value.row, error.value.data) == (0, value)


def test_a_character_cut_between_rows() -> None:
    """Each half is wrong although both together are right."""
    source = ArrowSource(name="x", codec=TYPES.by_name("text"))
    rows = b"".join(b"D" + pack("!iHi", 11, 1, 1) + half for half in (b"\xc3", b"\xa4"))
    with pytest.raises(ValueDecodeError, match="not valid UTF-8") as error:
        ArrowBuilder([source], TYPES).feed(rows, 0, len(rows))
    assert error.value.row == 1


@pytest.mark.parametrize(
    "data", [b"D", b"E\0\0\0\6\0\1", b"D\0\0\0\5\0\1", b"D\0\0\0\6\0\2", b"D\0\0\0\x0a\0\1\0\0\0\1",
             b"D\0\0\0\x0a\0\1\xff\xff\xff\xfe", b"D\0\0\0\x0b\0\1\xff\xff\xff\xffx", b"D\0\0\0\6\0\1"],
)  # fmt: skip
def test_rows_that_are_none(data: bytes) -> None:
    with pytest.raises(MalformedRow):
        ArrowBuilder([ArrowSource(name="x", codec=TYPES.by_name("int4"))], TYPES).feed(data, 0, len(data))


def test_no_columns_and_no_rows(connection: Any) -> None:
    told = arrow(connection, "select from generate_series(1, 3)")
    assert len(told) == 3
    assert pa.RecordBatchReader.from_stream(told).read_all().num_columns == 0
    empty = pa.table(arrow(connection, "select 1 a, 'x'::text b, array[1] c where false"))
    assert (empty.num_rows, empty.column_names) == (0, ["a", "b", "c"])
    with pytest.raises(ValueError, match="at least one row"):
        ArrowBuilder([], TYPES, rows=0)


def test_types_that_lie_too_deep() -> None:
    from febe.types._codec import Codec
    from febe.types._shapes import DomainOf

    registry = TYPES.copy()
    registry.register(Codec(oid=99_999, name="loop", shape=DomainOf(99_999)))
    with pytest.raises((ArrowError, ValueError), match="nested"):
        ArrowBuilder([ArrowSource(name="x", codec=registry.by_oid(99_999))], registry)


def test_binary_copy(connection: Any) -> None:
    names = ("int4", "text", "numeric", "time")
    rows = [(i, f"t{i}" if i % 3 else None, Decimal(i) / 4, time(1, 2, i % 60)) for i in range(1000)]
    encoder = CopyEncoder(
        CopyFormat(format="binary"), [CopyColumn(name=n, codec=TYPES.by_name(n)) for n in names], Framing.ROWS
    )
    data = encoder.encode(rows) + encoder.finish()
    dice = random.Random(0)
    for framed in (True, False):
        builder = ArrowBuilder([ArrowSource(name=n, codec=TYPES.by_name(n)) for n in names], TYPES, rows=300)
        reader = ArrowCopyReader(builder)
        if framed:
            batches = reader.feed_run(data, 0, len(data))
        else:
            bare = CopyEncoder(encoder.form, encoder.columns, Framing.BARE)
            whole = bare.encode(rows) + bare.finish()
            batches = []
            while whole:
                cut = dice.choice((1, 10, 1000, 7777))
                batches += reader.feed(whole[:cut])
                whole = whole[cut:]
        last = reader.finish()
        told = pa.table(ArrowTable(reader.schema, [*batches, last] if last else batches))
        assert [tuple(row.values()) for row in told.to_pylist()] == [
            (a, b, str(c), d) for a, b, c, d in rows
        ]  # fmt: skip
    reader = ArrowCopyReader(ArrowBuilder([ArrowSource(name="a", codec=TYPES.by_name("int4"))], TYPES))
    with pytest.raises(CopyError, match="not a valid binary value") as error:
        reader.feed(b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\0\0\0\1x")
    assert error.value.context("t") == "COPY t, line 1, column a"
