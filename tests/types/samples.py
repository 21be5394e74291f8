"""Values of every type, hard ones and random ones, and how they go through a real PostgreSQL."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from struct import pack, unpack
from typing import Any
from uuid import UUID

from febe._kernel import kinds
from febe._kernel.far import FIRST_DAY, FIRST_MICRO, LAST_DAY, LAST_MICRO, date_of, timestamp_of
from febe._kernel.rows import decode_value
from febe.types import (
    Array,
    BitString,
    Box,
    Circle,
    EndOfDay,
    FarDate,
    FarTimestamp,
    Interval,
    Line,
    LineSegment,
    Lsn,
    MacAddress,
    Money,
    Multirange,
    Path,
    Point,
    Polygon,
    Range,
    Snapshot,
    SparseVector,
    Tid,
    TSOperand,
    TSOperator,
    TSQuery,
    TSVector,
)

Dice = random.Random
WORDS = ["", "a", "grün", "🐘", "NULL", "null", " ", "a b", '"', "\\", '\\"', "'", "{", "}", "{}", "(", ")", "[", "]",
         ",", ";", ",,", "a,b", "\t", "\n", "\r", "\v", "\f", "x\\", "''", '""', "infinity", "=>", "a=>b", "%s", "$1",
         "\x7f", "\u00a0", "e\u0301", "t" * 300]  # fmt: skip


@dataclass(kw_only=True)
class Sample:
    """A type's values; `other` may be given as parameters too and come back as another value."""

    values: list[Any]
    random: Callable[[Dice], Any] | None = None
    ordered: bool = True
    """Has a default btree operator class, and may be the subtype of a range."""
    comparable: bool = True
    """PostgreSQL's order is Python's for it."""
    same_text: bool = True
    """What PostgreSQL prints is determined by the value."""
    since: int = 13
    typmod: str = ""
    names: bool = False
    """Text has names where binary has numbers."""

    def some(self, name: str, count: int = 120) -> Iterator[Any]:
        """The hard values, then random ones, always the same."""
        yield from self.values
        dice = Dice(name)
        if self.random is not None:
            for _ in range(count):
                yield self.random(dice)


def word(dice: Dice) -> str:
    """Text of characters that mean something somewhere."""
    return "".join(dice.choices("ab \\\"'{}(),;[]=>:&|!<*ü€😀\n\tN", k=dice.randrange(12)))


def integer(bits: int) -> Sample:
    top = 1 << bits - 1
    return Sample(
        values=[0, 1, -1, top - 1, -top], random=lambda dice: dice.randrange(-top, top) >> dice.randrange(bits)
    )


def unsigned(bits: int, *, ordered: bool = True) -> Sample:
    return Sample(values=[0, 1, (1 << bits) - 1], random=lambda dice: dice.getrandbits(bits), ordered=ordered)


def float4(dice: Dice) -> float:
    value: float = unpack("f", dice.randbytes(4))[0]
    return value if math.isfinite(value) else 0.5


def coordinate(dice: Dice) -> float:
    return dice.choice(
        (0.0, -0.0, 1.0, dice.uniform(-1e3, 1e3), dice.uniform(-1, 1) * 10.0 ** dice.randrange(-300, 300))
    )


def point(dice: Dice) -> Point:
    return Point(coordinate(dice), coordinate(dice))


def points(dice: Dice) -> tuple[Point, ...]:
    return tuple(point(dice) for _ in range(dice.randrange(1, 6)))


def ordered_box(dice: Dice) -> Box:
    a, b = point(dice), point(dice)
    return Box(Point(max(a.x, b.x) + 0.0, max(a.y, b.y) + 0.0), Point(min(a.x, b.x) + 0.0, min(a.y, b.y) + 0.0))


def numeric(dice: Dice) -> Decimal:
    return Decimal(dice.randrange(-(10 ** dice.randrange(1, 60)), 10**40)).scaleb(-dice.randrange(60))


def interval(dice: Dice) -> Interval:
    few = dice.choice((0, 2, 1 << 31))
    return Interval(
        dice.randrange(-few, few + 1) % (1 << 31) if few else 0,
        dice.randrange(-999, 999) if dice.random() < 0.7 else 0,
        dice.randrange(-(10**12), 10**12) // (10 ** dice.randrange(7)) if dice.random() < 0.7 else 0,
    )


def offset(dice: Dice) -> timezone:
    return timezone(timedelta(seconds=dice.choice((0, 3600 * dice.randrange(-15, 16), dice.randrange(-57599, 57600)))))


def clock(dice: Dice) -> time:
    unit = 10 ** dice.randrange(7)
    micros = dice.randrange(86400 * 10**6) // unit * unit
    return (datetime(2000, 1, 1) + timedelta(microseconds=micros)).time()


def vector(dice: Dice) -> TSVector:
    return TSVector(
        {
            word(dice).replace("\n", "") + "w": [
                (place, dice.choice("ABCD")) for place in sorted(dice.sample(range(1, 16383), dice.randrange(4)))
            ]
            for _ in range(dice.randrange(5))
        }
    )


def query(dice: Dice) -> TSQuery:
    items: list[TSOperand | TSOperator] = []
    depth = 0
    while depth != 1 or dice.random() < 0.7:
        if depth >= 2 and dice.random() < 0.5:
            sign = dice.choice("&|<")
            items.append(TSOperator("<->", dice.randrange(1, 9)) if sign == "<" else TSOperator(sign))
            depth -= 1
        elif depth >= 1 and dice.random() < 0.2:
            items.append(TSOperator("!"))
        else:
            weights = "".join(sign for sign in "ABCD" if dice.random() < 0.2)
            items.append(TSOperand(word(dice) + "w", weights, dice.random() < 0.2))
            depth += 1
    return TSQuery(str(TSQuery.of(items)))  # as text tells it: a & (b & c) is (a & b) & c


def snapshot(dice: Dice) -> Snapshot:
    xmin = dice.randrange(1, 1 << 40)
    xip = tuple(sorted({xmin + dice.randrange(100) for _ in range(dice.randrange(4))}))
    return Snapshot(xmin, xmin + 100, xip)


def bits(dice: Dice) -> BitString:
    return BitString("".join(dice.choices("01", k=dice.randrange(40))))


def address(dice: Dice) -> IPv6Address:
    words = [dice.choice((0, 0, dice.getrandbits(16), 0xFFFF)) for _ in range(8)]
    return IPv6Address(b"".join(number.to_bytes(2, "big") for number in words))


def json_value(dice: Dice, depth: int = 3) -> Any:
    kind = dice.randrange(8 if depth else 6)
    if kind == 6:
        return [json_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    if kind == 7:
        return {word(dice): json_value(dice, depth - 1) for _ in range(dice.randrange(4))}
    return [
        None,
        True,
        dice.randrange(-(10**20), 10**20),
        dice.uniform(-1e6, 1e6),
        word(dice),
        Decimal("123456789012345678901234567890.123456789"),
    ][kind]


STRINGS = Sample(values=WORDS, random=word, comparable=False)
INDIA = timezone(timedelta(hours=5, minutes=30))

SAMPLES: dict[str, Sample] = {
    "bool": Sample(values=[True, False]),
    "int2": integer(16),
    "int4": integer(32),
    "int8": integer(64),
    "oid": unsigned(32),
    "xid": unsigned(32, ordered=False),
    "cid": unsigned(32, ordered=False),
    "xid8": unsigned(64),
    "regproc": Sample(values=["now", "-"], ordered=False, names=True),
    "regprocedure": Sample(values=["now()", "-"], ordered=False, names=True),
    "regoper": Sample(values=["||/", "0"], ordered=False, names=True),
    "regoperator": Sample(values=["+(integer,integer)", "0"], ordered=False, names=True),
    "regclass": Sample(values=["pg_class", "information_schema.columns", "-"], ordered=False, names=True),
    "regtype": Sample(values=["integer", "text[]", "timestamp with time zone", "-"], ordered=False, names=True),
    "regconfig": Sample(values=["english", "simple"], ordered=False, names=True),
    "regdictionary": Sample(values=["simple"], ordered=False, names=True),
    "regnamespace": Sample(values=["pg_catalog", "public"], ordered=False, names=True),
    "regrole": Sample(values=["postgres"], ordered=False, names=True),
    "regcollation": Sample(values=['"C"', "-"], ordered=False, names=True),
    "tid": Sample(values=[Tid(0, 0), Tid(4294967295, 65535), Tid(7, 1)]),
    "pg_lsn": Sample(
        values=[Lsn(0), Lsn("16/B374D848"), Lsn((1 << 64) - 1)], random=lambda dice: Lsn(dice.getrandbits(64))
    ),
    "pg_snapshot": Sample(values=[Snapshot(1, 1, ()), Snapshot(10, 20, (10, 14, 15))], random=snapshot, ordered=False),
    "txid_snapshot": Sample(values=[Snapshot(10, 20, (10, 14, 15))], random=snapshot, ordered=False),
    "float4": Sample(
        values=[0.0, -0.0, 0.1, 1e-45, 3.4028235e38, math.inf, -math.inf, math.nan, 16777216.0],
        random=lambda dice: decode_value(kinds.FLOAT4_BINARY, pack("!f", float4(dice))),
        comparable=False,
    ),
    "float8": Sample(
        values=[
            0.0,
            -0.0,
            0.1,
            1e15,
            1e22,
            1e23,
            5e-324,
            1.7976931348623157e308,
            math.inf,
            -math.inf,
            math.nan,
            123456789012345.6,
            1e-5,
        ],
        random=coordinate,
        comparable=False,
    ),
    "numeric": Sample(
        values=[
            Decimal(text)
            for text in (
                "0",
                "0.00",
                "1.50",
                "-1",
                "1e5",
                "10000",
                "0.0001",
                "0.00001",
                "-0.00010001",
                "NaN",
                "Infinity",
                "-Infinity",
                "12345678901234567890123456789012345678901234567890.1234567890123456789",
                "1" + "0" * 131071,
                "0." + "0" * 16382 + "1",
                "99999999",
                "9999.9999",
                "1000000000000.0001",
            )
        ],
        random=numeric,
        comparable=False,
    ),
    "money": Sample(
        values=[Money(0), Money(1), Money(-1), Money(123456789), Money((1 << 63) - 1), Money(-(1 << 63))],
        random=lambda dice: Money(dice.randrange(-(1 << 62), 1 << 62) >> dice.randrange(62)),
    ),
    "char": Sample(values=["a", "", "\\351", "~", "\\", '"', " ", ",", "{"], comparable=False),
    "name": Sample(values=[text[:60] for text in WORDS], comparable=False),
    "text": STRINGS,
    "varchar": STRINGS,
    "bpchar": STRINGS,
    "bytea": Sample(
        values=[b"", b"\0", b"\\x", bytes(range(256))], random=lambda dice: dice.randbytes(dice.randrange(9))
    ),
    "date": Sample(
        values=[
            date.min,
            date.max,
            date(2000, 1, 1),
            date(2024, 2, 29),
            FarDate("infinity"),
            FarDate("-infinity"),
            FarDate("0044-03-15 BC"),
            FarDate("10000-01-01"),
            date_of(FIRST_DAY),
            date_of(LAST_DAY),
        ],
        random=lambda dice: date_of(dice.choice((dice.randrange(-9000, 9000), dice.randrange(FIRST_DAY, 9000000)))),
    ),
    "time": Sample(values=[time.min, time.max, time(3, 4, 5, 600000), EndOfDay()], random=clock),
    "timetz": Sample(
        values=[time(0, tzinfo=UTC), time(3, 4, 5, tzinfo=INDIA), EndOfDay(UTC), EndOfDay(INDIA)],
        random=lambda dice: clock(dice).replace(tzinfo=offset(dice)),
        comparable=False,
    ),
    "timestamp": Sample(
        values=[
            datetime.min,
            datetime.max,
            FarTimestamp("infinity"),
            FarTimestamp("-infinity"),
            FarTimestamp("0044-03-15 12:00:00.5 BC"),
            timestamp_of(FIRST_MICRO, False),
            timestamp_of(LAST_MICRO, False),
        ],
        random=lambda dice: timestamp_of(
            dice.choice((dice.randrange(-(10**15), 10**15), dice.randrange(FIRST_MICRO, LAST_MICRO))), False
        ),
    ),
    "timestamptz": Sample(
        values=[
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            FarTimestamp("infinity"),
            FarTimestamp("-infinity"),
            FarTimestamp("0044-03-15 12:00:00+00 BC"),
            timestamp_of(FIRST_MICRO, True),
            timestamp_of(LAST_MICRO, True),
        ],
        random=lambda dice: timestamp_of(
            dice.choice((dice.randrange(-(10**15), 10**15), dice.randrange(FIRST_MICRO, LAST_MICRO))), True
        ),
    ),
    "interval": Sample(
        values=[
            Interval(),
            Interval(1),
            Interval(-1),
            Interval(14, 3, 14706000000),
            Interval(-14, 3, -1),
            Interval(0, 0, -1),
            Interval(12),
            Interval(-12, 0, 1),
            Interval(0, 1),
            Interval(0, -1, 500000),
            Interval(2147483646, 2147483646, (1 << 63) - 2),
            Interval(-2147483648, 0, 0),
        ],
        random=interval,
        comparable=False,
    ),
    "uuid": Sample(values=[UUID(int=0), UUID(int=(1 << 128) - 1)], random=lambda dice: UUID(int=dice.getrandbits(128))),
    "json": Sample(
        values=[{}, [], None, 1, "text", {"a": [1, None, {"ü": "\\"}]}, 1.5, True], random=json_value, ordered=False
    ),
    "jsonb": Sample(
        values=[{}, [], 1, "text", {"a": [1, None, {"ü": "\\"}]}, Decimal("1E-400")],
        random=json_value,
        comparable=False,
        same_text=False,
    ),
    "jsonpath": Sample(values=["$", '$."a"[*]?(@ > 1)'], ordered=False),
    "xml": Sample(values=["<a/>", "text", '<a b="c">,</a>'], ordered=False),
    "inet": Sample(
        values=[
            IPv4Interface("10.0.0.1/24"),
            IPv4Interface("10.0.0.1"),
            IPv4Interface("0.0.0.0/0"),
            IPv6Interface("::1"),
            IPv6Interface("fe80::1/64"),
            IPv6Interface("::/0"),
            IPv6Interface("::ffff:1.2.3.4"),
            IPv6Interface("::1.2.3.4/96"),
            IPv6Interface("::102"),
        ],
        random=lambda dice: dice.choice(
            (
                IPv4Interface((dice.getrandbits(32), dice.randrange(33))),
                IPv6Interface((address(dice), dice.randrange(129))),
            )
        ),
        comparable=False,
    ),
    "cidr": Sample(
        values=[IPv4Network("10.0.0.0/8"), IPv4Network("0.0.0.0/0"), IPv6Network("2001:db8::/32"), IPv6Network("::/0")],
        random=lambda dice: dice.choice(
            (
                IPv4Network((dice.getrandbits(32), dice.randrange(33)), strict=False),
                IPv6Network((address(dice), dice.randrange(129)), strict=False),
            )
        ),
        comparable=False,
    ),
    "macaddr": Sample(values=[MacAddress("08:00:2b:01:02:03")], random=lambda dice: MacAddress(dice.randbytes(6))),
    "macaddr8": Sample(
        values=[MacAddress("08:00:2b:01:02:03:04:05")], random=lambda dice: MacAddress(dice.randbytes(8))
    ),
    "point": Sample(values=[Point(1.0, 2.0), Point(math.inf, -0.0)], random=point, ordered=False),
    "line": Sample(
        values=[Line(1.0, 2.0, 3.0), Line(-1.0, 0.0, 0.5)],
        ordered=False,
        random=lambda dice: Line(1.0 + dice.random(), coordinate(dice), coordinate(dice)),
    ),
    "lseg": Sample(
        values=[LineSegment(Point(1.0, 2.0), Point(3.0, 4.5))],
        ordered=False,
        random=lambda dice: LineSegment(point(dice), point(dice)),
    ),
    "box": Sample(values=[Box(Point(3.0, 4.0), Point(1.0, 2.0))], random=ordered_box, ordered=False),
    "path": Sample(
        values=[Path((Point(1.0, 2.0), Point(3.0, 4.0)), False), Path((Point(0.0, 0.0),), True)],
        ordered=False,
        random=lambda dice: Path(points(dice), dice.random() < 0.5),
    ),
    "polygon": Sample(
        values=[Polygon((Point(0.0, 0.0), Point(1.0, 0.0), Point(0.5, 1.0)))],
        ordered=False,
        random=lambda dice: Polygon(points(dice)),
    ),
    "circle": Sample(
        values=[Circle(Point(1.0, 2.0), 3.0)], random=lambda dice: Circle(point(dice), dice.random()), ordered=False
    ),
    "bit": Sample(values=[BitString("10101")], typmod="(5)", random=lambda dice: BitString.of(dice.getrandbits(5), 5)),
    "varbit": Sample(values=[BitString(), BitString("0"), BitString("1" * 65)], random=bits),
    "tsvector": Sample(
        values=[TSVector(), TSVector(["a", "b c", "'", "\\"]), TSVector({"fat": [2, (4, "A")], "rat": [(5, "C")]})],
        random=vector,
        comparable=False,
    ),
    "tsquery": Sample(
        values=[
            TSQuery("fat"),
            TSQuery("fat & (rat | cat:A*)"),
            TSQuery("!a <-> (b <3> c)"),
            TSQuery("!!a & !(b | c)"),
            TSQuery("a <-> b <-> c"),
            TSQuery("'it''s' | 'b\\\\c'"),
        ],
        random=query,
        comparable=False,
    ),
    "int2vector": Sample(values=[[1, 2, 3], [-32768, 32767]], ordered=False),
    "oidvector": Sample(values=[[1, 2, 3], [4294967295]], comparable=False),
    "refcursor": Sample(values=["", "cursor name"], ordered=False),
    "int4range": Sample(values=[Range(1, 5), Range(None, 5), Range(1, None), Range(None, None), Range.EMPTY]),
    "int8range": Sample(values=[Range(-(1 << 63), 5)]),
    "numrange": Sample(values=[Range(Decimal("1.5"), Decimal(2), "(]"), Range(Decimal(1), Decimal(1), "[]")]),
    "daterange": Sample(
        values=[Range(date(2024, 1, 1), FarDate("infinity")), Range(FarDate("0044-03-15 BC"), date(1, 1, 1))]
    ),
    "tsrange": Sample(
        values=[Range(datetime(2024, 1, 1), None, "()"), Range(datetime(2024, 1, 1), datetime(2024, 1, 2), "[]")]
    ),
    "tstzrange": Sample(values=[Range(datetime(2024, 1, 1, tzinfo=UTC), FarTimestamp("infinity"))]),
    "int4multirange": Sample(values=[Multirange(), Multirange([Range(1, 3), Range(5, None)])], since=14),
    "int8multirange": Sample(values=[Multirange([Range(1, 3)])], since=14),
    "nummultirange": Sample(
        values=[Multirange([Range(Decimal("1.5"), Decimal(2), "(]"), Range(Decimal(3), None)])], since=14
    ),
    "datemultirange": Sample(values=[Multirange([Range(date(2024, 1, 1), date(2024, 1, 3))])], since=14),
    "tsmultirange": Sample(values=[Multirange([Range(datetime(2024, 1, 1), None, "()")])], since=14),
    "tstzmultirange": Sample(values=[Multirange([Range(None, datetime(2024, 1, 1, tzinfo=UTC), "()")])], since=14),
}

EXTENSIONS: dict[str, tuple[str, Sample]] = {
    "hstore": (
        "hstore",
        Sample(
            values=[{}, {"a": None, "b": "c"}, {"": "", "NULL": "null", '"': "\\"}],
            ordered=False,
            random=lambda dice: {word(dice): dice.choice((None, word(dice))) for _ in range(4)},
        ),
    ),
    "citext": ("citext", Sample(values=["Abc", "", '"'], random=word, comparable=False)),
    "ltree": ("ltree", Sample(values=["", "Top.Science.Astronomy"], comparable=False)),
    "lquery": ("ltree", Sample(values=["*.Astro@*.!a|b"], ordered=False)),
    "ltxtquery": ("ltree", Sample(values=["Europe & Russia@*"], ordered=False, same_text=True)),
    "vector": (
        "vector",
        Sample(
            values=[array("f", [1.0, 0.1, -2.5e-10])],
            comparable=False,
            random=lambda dice: array("f", [float4(dice) for _ in range(3)]),
        ),
    ),
    "halfvec": ("vector", Sample(values=[array("f", [1.0, 0.5, -65504.0])], comparable=False)),
    "sparsevec": ("vector", Sample(values=[SparseVector(5, {0: 1.5, 2: 0.1}), SparseVector(3, {})], comparable=False)),
}
"""Type name to the extension that brings it."""

ARRAYS = [[], [1, None, 3], [[1, 2], [3, 4]], Array([1, 2], (0,)), Array([[1], [2]], (-5, 7)), [[[[[[1]]]]]], [None]]
"""Arrays of int4."""
