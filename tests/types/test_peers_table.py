"""Values that other drivers turn into others in silence, by way of febe's client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Interface
from typing import Any

import pytest

import febe
from febe.types import (
    Array,
    BitString,
    Box,
    Circle,
    EndOfDay,
    FarDate,
    FarTimestamp,
    Interval,
    Lsn,
    MacAddress,
    Money,
    Multirange,
    Point,
    Range,
    Snapshot,
    SparseVector,
    Tid,
    TSQuery,
    TSVector,
)
from tests.peers.postgres import Postgres

TABLE: list[tuple[str, Any]] = [
    ("timestamptz 'infinity'", FarTimestamp("infinity")),
    ("timestamp '-infinity'", FarTimestamp("-infinity")),
    ("date 'infinity'", FarDate("infinity")),
    ("interval 'infinity'", Interval.INFINITY),
    ("interval '-infinity'", -Interval.INFINITY),
    ("interval '1 mon'", Interval(months=1)),
    ("interval '1 year 2 days 00:00:00.000001'", Interval(months=12, days=2, microseconds=1)),
    ("date '0044-03-15 BC'", FarDate("0044-03-15 BC")),
    ("date '10000-01-01'", FarDate("10000-01-01")),
    ("timestamp '294276-12-31 23:59:59.999999'", FarTimestamp("294276-12-31 23:59:59.999999")),
    ("timestamptz '0001-01-01 00:00:00+01'", FarTimestamp("0001-12-31 23:00:00+00 BC")),
    ("time '24:00'", EndOfDay()),
    ("timetz '24:00+00'", EndOfDay(UTC)),
    ("'[0:1]={1,2}'::int4[]", Array([1, 2], (0,))),
    ("inet '10.0.0.1/24'", IPv4Interface("10.0.0.1/24")),
    ("float4 '0.1'", 0.1),
    ("money '-12.34'", Money(-1234)),
    ("bit '101'", BitString("101")),
    ("tsvector 'fat:2A cat'", TSVector({"fat": [(2, "A")], "cat": []})),
    ("tsquery 'fat & !cat:*'", TSQuery("fat & !cat:*")),
    ("pg_lsn '16/B374D848'", Lsn("16/B374D848")),
    ("point '(1,2)'", Point(1.0, 2.0)),
    ("box '(3,4),(1,2)'", Box(Point(3.0, 4.0), Point(1.0, 2.0))),
    ("circle '<(1,2),3>'", Circle(Point(1.0, 2.0), 3.0)),
    ("int4range '[1,5]'", Range(1, 6)),
    ("int4multirange '{[1,3),[5,8)}'", Multirange([Range(1, 3), Range(5, 8)])),
    ("row(1, 'a'::text, null::int4, array[1])", (1, "a", None, [1])),
    ("numeric '-Infinity'", Decimal("-Infinity")),
    ("""'{"a": 0.12345678901234567890}'::jsonb""", {"a": Decimal("0.12345678901234567890")}),
    ("'pg_class'::regclass", "pg_class"),
]


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(pg18.dsn()) as made:
        yield made


@pytest.mark.parametrize(("sql", "value"), TABLE, ids=[sql for sql, _ in TABLE])
def test_exact(connection: febe.Connection, sql: str, value: Any) -> None:
    (found,) = connection.fetchrow(f"select {sql}") or ()
    assert found == value
    assert type(found) is type(value) or isinstance(found, type(value))
    if not sql.startswith("row"):
        # and back: as a parameter it is the same to PostgreSQL; its repr makes it again
        (name,) = connection.fetchrow(f"select format_type(pg_typeof({sql}), null)") or ()
        sent = f"$1::{'bit(3)' if name == 'bit' else name}"
        assert connection.fetchval(f"select {sent}", found) == value
        names = {"datetime": __import__("datetime"), "IPv4Interface": IPv4Interface, "Decimal": Decimal}
        assert eval(repr(found), vars(febe.types) | names) == found
    # In text, as a simple query has it, too
    assert connection.execute(f"select {sql}").rows[0][0] == value or sql.startswith("row")


def test_clear_refusals() -> None:
    with pytest.raises(ValueError, match="has months, whose length is not known"):
        Interval(months=1).timedelta()
    with pytest.raises(OverflowError, match="no infinity"):
        Interval.INFINITY.timedelta()
    assert Interval(1, 2, 3).timedelta(days_per_month=30) == timedelta(days=32, microseconds=3)
    with pytest.raises(OverflowError, match="cannot hold 0044-03-15 BC"):
        FarDate("0044-03-15 BC").date()
    assert FarDate("infinity").clamp() == datetime.max.date()
    with pytest.raises(OverflowError, match="24:00"):
        EndOfDay().time()
    with pytest.raises(ValueError, match=r"datetime\.date holds"):
        FarDate("2024-01-01")


def test_to_the_usual_classes() -> None:
    """What the table of the page Values promises."""
    assert FarDate("10000-01-01").clamp() == datetime.max.date()
    assert FarTimestamp("-infinity").clamp() == datetime.min
    with pytest.raises(OverflowError):
        FarTimestamp("infinity").datetime()
    assert EndOfDay().clamp() == time.max
    assert Interval.of(timedelta(days=1, seconds=1)) == Interval(days=1, microseconds=10**6)
    assert (Money(-1234).decimal(2), Money.of(Decimal("-12.34"), 2)) == (Decimal("-12.34"), Money(-1234))
    bits, mac = BitString("101"), MacAddress("08:00:2b:01:02:03")
    assert (int(bits), bytes(bits), str(bits), BitString.of(5, 3)) == (5, b"\xa0", "101", bits)
    assert (int(mac), bytes(mac).hex(), str(mac)) == (0x08002B010203, "08002b010203", "08:00:2b:01:02:03")
    assert (int(Lsn("16/B374D848")), str(Lsn(0x16B374D848))) == (0x16B374D848, "16/B374D848")
    assert list(Array([5, 6], (0,))) == [5, 6]
    assert (tuple(Point(1.0, 2.0)), Range(1, 6).lower, Multirange([Range(1, 3)])[0]) == ((1.0, 2.0), 1, Range(1, 3))
    assert (tuple(Tid(1, 2)), Snapshot(1, 9, (3,)).xip) == ((1, 2), (3,))
    assert dict(TSVector({"fat": [(2, "A")]})) == {"fat": ((2, "A"),)}
    assert str(TSVector({"fat": [(2, "A")]})) == "'fat':2A"
    assert str(TSQuery("a&b")) == "'a' & 'b'"
    assert list(SparseVector(3, {1: 1.5}).dense()) == [0.0, 1.5, 0.0]


def test_order() -> None:
    days = [FarDate("-infinity"), FarDate("0044-03-15 BC"), datetime(2024, 1, 1).date(), FarDate("10000-01-01"),
            FarDate("infinity")]
    assert sorted(set(days)) == days
    moments = [FarTimestamp("-infinity"), datetime(2024, 1, 1, tzinfo=UTC), FarTimestamp("10000-01-01 00:00:00+00")]
    assert sorted(set(moments)) == moments
    with pytest.raises(TypeError, match="with and without a zone"):
        sorted([FarTimestamp("10000-01-01 00:00:00"), datetime(2024, 1, 1, tzinfo=UTC)])
    spans = [-Interval.INFINITY, Interval(days=29), Interval(days=30), Interval(months=1), Interval(days=31),
             Interval.INFINITY]
    assert sorted(set(spans)) == spans


def test_the_next_query_gets_its_own_rows(connection: febe.Connection) -> None:
    """A value that cannot be decoded: the error carries column, type and bytes, and the connection stays in step."""
    with pytest.raises(febe.errors.DecodeError, match=r'column "j" \(json\), row 2') as caught:
        connection.fetch("select case when x = 2 then repeat('9', 5000)::json end as j from generate_series(0, 4) x")
    assert caught.value.data == b"9" * 5000
    assert connection.fetch("select 1, 'own'") == [(1, "own")]
