"""The bytes of every Arrow type as every PostgreSQL type it can be sent as."""

from __future__ import annotations

import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest

from febe.types.arrow import ArrowError, ArrowValueError, encoder_for, read_stream

from .arrow_rows import column, sent

pa = pytest.importorskip("pyarrow")

BOOL, BYTEA, CHAR, INT8, INT2, INT4, TEXT, OID, JSON, FLOAT4, FLOAT8 = 16, 17, 18, 20, 21, 23, 25, 26, 114, 700, 701
VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC = 1043, 1082, 1083, 1114, 1184, 1186, 1700
UUID, JSONB = 2950, 3802


def table(values: Any, type_: Any = None) -> Any:
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, type_)
    return pa.table({"x": array})


def raw(values: list[int | None], type_: Any) -> Any:
    """Integers as they lie in the buffer of a type of that width."""
    wide = pa.int32() if type_.bit_width == 32 else pa.int64()
    return table(pa.array(values, wide).view(type_))


INTEGERS = [
    (pa.int8(), -(2**7), 2**7 - 1, {INT2: 2, INT4: 4, INT8: 8}),
    (pa.uint8(), 0, 2**8 - 1, {INT2: 2, INT4: 4, INT8: 8, OID: 4}),
    (pa.int16(), -(2**15), 2**15 - 1, {INT2: 2, INT4: 4, INT8: 8}),
    (pa.uint16(), 0, 2**16 - 1, {INT4: 4, INT8: 8, OID: 4}),
    (pa.int32(), -(2**31), 2**31 - 1, {INT4: 4, INT8: 8}),
    (pa.uint32(), 0, 2**32 - 1, {INT8: 8, OID: 4}),
    (pa.int64(), -(2**63), 2**63 - 1, {INT8: 8}),
    (pa.uint64(), 0, 2**64 - 1, {}),
]


@pytest.mark.parametrize(("kind", "low", "high", "types"), INTEGERS, ids=str)
def test_integers(kind: Any, low: int, high: int, types: dict[int, int]) -> None:
    values = [low, low + 1, 0, None, 1, 9, 10, 99, 100, high - 1, high]
    text = [None if value is None else str(value).encode() for value in values]
    for oid in (*types, NUMERIC, TEXT, VARCHAR):
        assert column(table(values, kind), oid) == text
    assert column(table(values, kind), TEXT, binary=True) == text
    for oid, size in types.items():
        expected = [None if v is None else v.to_bytes(size, "big", signed=oid != OID) for v in values]
        assert column(table(values, kind), oid, binary=True) == expected


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("kind", "oid", "low", "high"), [
    (pa.int64(), INT4, -(2**31), 2**31 - 1), (pa.int64(), INT2, -(2**15), 2**15 - 1), (pa.int64(), OID, 0, 2**32 - 1),
    (pa.uint64(), INT8, 0, 2**63 - 1), (pa.uint32(), INT4, 0, 2**31 - 1), (pa.int16(), OID, 0, 2**15 - 1),
    (pa.int8(), OID, 0, 127),
])  # fmt: skip
def test_integers_of_wider_types(kind: Any, oid: int, low: int, high: int, binary: bool) -> None:
    values = [low, None, 1, high]
    size = {INT2: 2, INT4: 4, OID: 4, INT8: 8}[oid]
    want = [None if v is None else v.to_bytes(size, "big", signed=low < 0) if binary else str(v).encode()
            for v in values]
    assert column(table(values, kind), oid, binary) == want
    least, most = {8: (-128, 127), 16: (-(2**15), 2**15 - 1), 32: (0, 2**32 - 1),
                   64: (0, 2**64 - 1) if kind == pa.uint64() else (-(2**63), 2**63 - 1)}[kind.bit_width]
    for wrong in {low - 1, high + 1, least, most}:
        if least <= wrong <= most and not low <= wrong <= high:
            with pytest.raises(ArrowValueError, match=f" {wrong} is out of range for type") as caught:
                column(table([None, wrong], kind), oid, binary)
            assert (caught.value.row, caught.value.sqlstate) == (1, "22003")


@pytest.mark.parametrize("oid", [BOOL, TEXT])
def test_booleans(oid: int) -> None:
    values = [True, False, None] * 11
    assert column(table(values), oid) == [b"t", b"f", None] * 11
    assert column(table(values), BOOL, binary=True) == [b"\1", b"\0", None] * 11


def test_floats_binary_keeps_every_bit() -> None:
    values = [0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324, None]
    packed = [None if v is None else struct.pack("!d", v) for v in values]
    assert column(table(values, pa.float64()), FLOAT8, binary=True) == packed
    nan = pa.array([0x7FF8000000000123], pa.uint64()).view(pa.float64())
    assert column(table(nan), FLOAT8, binary=True) == [bytes.fromhex("7ff8000000000123")]


def test_narrow_floats_widen_exactly() -> None:
    np = pytest.importorskip("numpy")
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = halves[~np.isnan(halves)]
    wide = [struct.pack("!d", float(v)) for v in halves]
    assert column(table(pa.array(halves, pa.float16())), FLOAT8, binary=True, step=5000) == wide
    single = [struct.pack("!f", float(v)) for v in halves]
    assert column(table(pa.array(halves, pa.float16())), FLOAT4, binary=True, step=5000) == single
    bits = np.array([1, 0x7FFFFF, 0x800000, 0x3FC00000, 0x7F7FFFFF, 0x80000000, 0xFF800000, 0x7F800000], np.uint32)
    floats = bits.view(np.float32)
    assert column(table(pa.array(floats)), FLOAT8, binary=True) == [struct.pack("!d", float(v)) for v in floats]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
@pytest.mark.parametrize("binary", [False, True])
def test_strings(kind: Any, binary: bool) -> None:
    values = ["", "a", None, "exactly 12 b", "thirteen byte", "ü" * 50, None, "x" * 100_000, "€", "seventeen bytes !"]
    array = pa.array(values).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(values, kind)
    expected = [None if value is None else value.encode() for value in values]
    for oid in (TEXT, VARCHAR, JSON):
        assert column(table(array), oid, binary) == expected
    assert column(table(array), JSONB, binary) == (
        [v and b"\1" + v if v != b"" else b"\1" for v in expected] if binary else expected
    )


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)], ids=str)
def test_bytes(kind: Any) -> None:
    values = [b"\0\xff\x10", None, b"abc"]
    if kind != pa.binary(3):
        values += [b"", b"\n" * 40]
    assert column(table(values, kind), BYTEA, binary=True) == values
    text = [None if value is None else b"\\x" + value.hex().encode() for value in values]
    assert column(table(values, kind), BYTEA) == text


def test_uuids() -> None:
    values = [uuid.UUID(int=0), uuid.uuid4(), None, uuid.UUID(int=2**128 - 1)]
    packed = [value and value.bytes for value in values]
    text = [None if value is None else str(value).encode() for value in values]
    for array in (pa.array(packed, pa.binary(16)), pa.array([value and str(value) for value in values])):
        assert column(table(array), UUID) == text
        assert column(table(array), UUID, binary=True) == packed
    for wrong in ("", "x" * 36, "00000000-0000-0000-0000-00000000000g", "0" * 36):
        with pytest.raises(ArrowValueError, match='"x": not a valid uuid') as caught:
            column(table([None, wrong]), UUID, binary=True)
        assert (caught.value.row, caught.value.column, caught.value.sqlstate) == (1, 0, "22P02")


def test_char() -> None:
    assert column(table(["a", "", None]), CHAR) == [b"a", b"", None]
    assert column(table(["a", "", None]), CHAR, binary=True) == [b"a", b"\0", None]
    for binary in (False, True):
        with pytest.raises(ArrowValueError):
            column(table(["ab"]), CHAR, binary)


def numeric_binary(value: Decimal, scale: int) -> bytes:
    """Do it the slow way: groups of four digits around the point."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)) + "0" * max(exponent, 0)
    fraction = max(-exponent, 0)
    text = text.rjust(fraction, "0")
    whole, part = text[: len(text) - fraction], text[len(text) - fraction :]
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    part = part.ljust(-(-len(part) // 4) * 4, "0")
    groups = [int((whole + part)[i : i + 4]) for i in range(0, len(whole + part), 4)]
    weight = len(whole) // 4 - 1
    while groups and groups[0] == 0:
        del groups[0]
        weight -= 1
    while groups and groups[-1] == 0:
        del groups[-1]
    if not groups:
        weight = sign = 0
    return struct.pack(f"!hhHH{len(groups)}h", len(groups), weight, 0x4000 if sign else 0, max(scale, 0), *groups)


DECIMALS = [
    (pa.decimal32(9, 2), 9), (pa.decimal64(18, 0), 18), (pa.decimal64(18, 18), 18), (pa.decimal128(38, 0), 38),
    (pa.decimal128(38, 10), 38), (pa.decimal128(38, 38), 38), (pa.decimal128(5, -3), 5), (pa.decimal256(76, 0), 76),
    (pa.decimal256(76, 33), 76), (pa.decimal256(76, 76), 76),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "precision"), DECIMALS, ids=str)
def test_decimals(kind: Any, precision: int) -> None:
    digits = sorted({0, 1, 9, 10, 9999, 10000, 12345, 100000, 10**precision - 1, 10 ** (precision - 1), 2**31, 2**32,
                     2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**18, 10**19, 10**27, 2**96, 12345 * 10**20})  # fmt: skip
    digits = [d for d in digits if d < 10**precision]
    values = [
        Decimal((sign, tuple(map(int, str(d))), -kind.scale)) for d in digits for sign in ((0, 1) if d else (0,))
    ]
    text = [f"{value:f}".encode() for value in values]
    source = table([*values, None], kind)
    assert column(source, NUMERIC) == [*text, None]
    assert column(source, TEXT, binary=True) == [*text, None]
    assert column(source, NUMERIC, binary=True) == [*(numeric_binary(v, kind.scale) for v in values), None]


def test_wide_integers_as_numeric_binary() -> None:
    values = [2**64 - 1, 0, 10000, None]
    expected = [None if v is None else numeric_binary(Decimal(v), 0) for v in values]
    assert column(table(values, pa.uint64()), NUMERIC, binary=True) == expected


DATES = {0: b"1970-01-01", 11016: b"2000-02-29", -719162: b"0001-01-01", -719163: b"0001-12-31 BC",
         -735160: b"0044-03-15 BC", -2440588: b"4714-11-24 BC", 2145042905: b"5874897-12-31",
         2932896: b"9999-12-31", 2932897: b"10000-01-01",
         2**31 - 1: b"infinity", -(2**31) + 1: b"-infinity"}  # fmt: skip


def test_dates() -> None:
    source = raw([*DATES, None], pa.date32())
    assert column(source, DATE) == [*DATES.values(), None]
    special = {2**31 - 1: 2**31 - 1, 1 - 2**31: -(2**31)}
    packed = [struct.pack("!i", special.get(day, day - 10957)) for day in DATES]
    assert column(source, DATE, binary=True) == [*packed, None]
    millis = raw([-735160 * 86_400_000, 86_400_000 - 1, -1], pa.date64())
    assert column(millis, DATE) == [b"0044-03-15 BC", b"1970-01-01", b"1969-12-31"]


@pytest.mark.parametrize("day", [-2440589, 2145042906, -(2**31)])
@pytest.mark.parametrize("binary", [False, True])
def test_dates_out_of_range(day: int, binary: bool) -> None:
    with pytest.raises(ArrowValueError, match='"x": date out of range') as caught:
        column(raw([0, None, day], pa.date32()), DATE, binary)
    assert (caught.value.row, caught.value.sqlstate) == (2, "22008")


def test_times() -> None:
    micros = {0: b"00:00:00", 1: b"00:00:00.000001", 3723_500000: b"01:02:03.5", 86_399_999_999: b"23:59:59.999999",
              86_400_000_000: b"24:00:00"}  # fmt: skip
    assert column(raw([*micros, None], pa.time64("us")), TIME) == [*micros.values(), None]
    assert column(raw([*micros], pa.time64("us")), TIME, binary=True) == [struct.pack("!q", v) for v in micros]
    assert column(raw([3723_123456_789], pa.time64("ns")), TIME) == [b"01:02:03.123456"]
    assert column(raw([3723_120], pa.time32("ms")), TIME) == [b"01:02:03.12"]
    assert column(raw([3723], pa.time32("s")), TIME) == [b"01:02:03"]
    for wrong in (-1, 86_400_000_001):
        with pytest.raises(ArrowValueError, match="time out of range"):
            column(raw([wrong], pa.time64("us")), TIME)


STAMPS = {0: b"1970-01-01 00:00:00", -1: b"1969-12-31 23:59:59.999999", 1704164645_600000: b"2024-01-02 03:04:05.6",
          -63517824000_000000 + 1: b"0044-03-15 00:00:00.000001 BC", -210866803200_000000: b"4714-11-24 00:00:00 BC",
          2**63 - 2: b"294247-01-10 04:00:54.775806", 2**63 - 1: b"infinity", -(2**63) + 1: b"-infinity"}  # fmt: skip


def test_timestamps() -> None:
    source = raw([*STAMPS, None], pa.timestamp("us"))
    assert column(source, TIMESTAMP) == [*STAMPS.values(), None]
    special = {2**63 - 1: 2**63 - 1, 1 - 2**63: -(2**63)}
    packed = [struct.pack("!q", special.get(v, v - 946684800_000000)) for v in STAMPS]
    assert column(source, TIMESTAMP, binary=True) == [*packed, None]
    zoned = raw([*STAMPS, None], pa.timestamp("us", "America/New_York"))
    text = [v if v.endswith(b"y") else v.replace(b" BC", b"") + b"+00" + (b" BC" if b"BC" in v else b"")
            for v in STAMPS.values()]  # fmt: skip
    assert column(zoned, TIMESTAMPTZ) == [*text, None]
    assert column(zoned, TIMESTAMPTZ, binary=True) == [*packed, None]


def test_timestamps_of_other_units() -> None:
    ends = [2**63 - 1, -(2**63) + 1]
    assert column(raw([-1, *ends], pa.timestamp("s")), TIMESTAMP) == [b"1969-12-31 23:59:59", b"infinity", b"-infinity"]
    assert column(raw([-1, *ends], pa.timestamp("ms")), TIMESTAMP) == [
        b"1969-12-31 23:59:59.999", b"infinity", b"-infinity"]  # fmt: skip
    # Nanoseconds are rounded down.
    assert column(raw([-1, 1999, *ends], pa.timestamp("ns")), TIMESTAMP) == [
        b"1969-12-31 23:59:59.999999", b"1970-01-01 00:00:00.000001", b"infinity", b"-infinity"]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value"),
    [("us", -210866803200_000000 - 1), ("us", -(2**63)), ("s", -210866803201), ("s", 9224318016000), ("s", 2**62),
     ("ms", 9224318016000000)],
)  # fmt: skip
def test_timestamps_out_of_range(unit: str, value: int) -> None:
    for binary in (False, True):
        with pytest.raises(ArrowValueError, match="timestamp out of range"):
            column(raw([value], pa.timestamp(unit)), TIMESTAMP, binary)


def months(*values: tuple[int, int, int] | None) -> Any:
    return table(pa.array(values, pa.month_day_nano_interval()))


INTERVALS = {
    (0, 0, 0): b"00:00:00", (14, 3, 14706_700000): b"1 year 2 mons 3 days 04:05:06.7",
    (-14, 2, -3_500000): b"-1 years -2 mons +2 days -00:00:03.5", (1, -1, 1): b"1 mon -1 days +00:00:00.000001",
    (0, 1, 0): b"1 day", (12, 0, 0): b"1 year", (-12, 0, 1_000000): b"-1 years +00:00:01",
    (-1, 0, 0): b"-1 mons", (0, 0, 360000_000000): b"100:00:00", (0, 0, -1): b"-00:00:00.000001",
    (2**31 - 1, 2**31 - 1, 9223372036854775): b"178956970 years 7 mons 2147483647 days 2562047:47:16.854775",
    (-(2**31), -(2**31), -9223372036854775): b"-178956970 years -8 mons -2147483648 days -2562047:47:16.854775",
}  # fmt: skip


def test_intervals() -> None:
    source = months(*((m, d, us * 1000) for m, d, us in INTERVALS), None)
    assert column(source, INTERVAL) == [*INTERVALS.values(), None]
    packed = [struct.pack("!qii", us, d, m) for m, d, us in INTERVALS]
    assert column(source, INTERVAL, binary=True) == [*packed, None]


def test_durations() -> None:
    for unit, value in {"s": 93784, "ms": 93784_000, "us": 93784_000000, "ns": 93784_000000_000}.items():
        assert column(raw([value, None], pa.duration(unit)), INTERVAL) == [b"26:03:04", None]
    with pytest.raises(ArrowValueError, match="interval out of range"):
        column(raw([2**62], pa.duration("s")), INTERVAL)
    widest = [2**63 - 1, -(2**63) + 1]
    assert column(raw(widest, pa.duration("us")), INTERVAL) == [
        b"2562047788:00:54.775807", b"-2562047788:00:54.775807"]  # fmt: skip


def test_null_column() -> None:
    for oid in (TEXT, INT4, DATE):
        assert column(table([None, None]), oid, binary=True) == [None, None]


def test_nul_in_a_string_is_refused() -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        with pytest.raises(ArrowValueError, match="NUL character") as caught:
            column(table(["a", None, "b\0c"], kind), TEXT)
        assert (caught.value.row, caught.value.sqlstate) == (2, "22021")
    with pytest.raises(ArrowValueError, match="NUL character"):
        column(table(pa.array(["a\0b"]).dictionary_encode()), TEXT)


def test_dictionaries_of_anything() -> None:
    for indices in (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()):
        for values, oid, expected in (
            (pa.array(["one", None, "three"]), TEXT, [b"three", None, None, b"one"]),
            (pa.array([1, None, 3]), INT8, [b"3", None, None, b"1"]),
            (pa.array(["", "b", "c" * 40], pa.string_view()), TEXT, [b"c" * 40, b"b", None, b""]),
            (pa.array([b"1", None, b"3"]), BYTEA, [b"\\x33", None, None, b"\\x31"]),
        ):
            array = pa.DictionaryArray.from_arrays(pa.array([2, 1, None, 0], indices), values)
            assert column(table(array), oid) == expected
    bad = pa.DictionaryArray.from_arrays(pa.array([0, 7], pa.int8()), pa.array(["a"]), safe=False)
    with pytest.raises(ArrowValueError, match="outside the dictionary"):
        column(table(bad), TEXT)


def test_each_batch_has_its_own_dictionary() -> None:
    kind = pa.dictionary(pa.int8(), pa.string())
    indices = pa.array([0, 1], pa.int8())
    chunks = [pa.DictionaryArray.from_arrays(indices, pa.array(values)) for values in (["a", "b"], ["c", "d"])]
    assert column(table(pa.chunked_array(chunks, kind)), TEXT) == [b"a", b"b", b"c", b"d"]


REFUSED = [
    (pa.list_(pa.int32()), TEXT, "+l"), (pa.struct({"a": pa.int32()}), TEXT, "+s"),
    (pa.map_(pa.string(), pa.int32()), TEXT, "+m"), (pa.run_end_encoded(pa.int32(), pa.int32()), INT4, "+r"),
    (pa.list_view(pa.int32()), TEXT, "+vl"), (pa.float64(), FLOAT4, "g"), (pa.decimal128(5, 0), INT8, "d:5,0"),
    (pa.timestamp("us"), TIMESTAMPTZ, "tsu:"), (pa.timestamp("us", "UTC"), TIMESTAMP, "tsu:UTC"),
    (pa.binary(), TEXT, "z"), (pa.bool_(), INT4, "b"), (pa.date32(), TIMESTAMP, "tdD"),
    (pa.binary(8), UUID, "w:8"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "oid", "form"), REFUSED, ids=str)
def test_what_cannot_be_sent_is_named(kind: Any, oid: int, form: str) -> None:
    with read_stream(table([], kind)) as reader, pytest.raises(ArrowError) as caught:
        encoder_for(reader.schema, [0], [oid])
    assert '"x"' in str(caught.value) and f" {form} " in str(caught.value) and str(oid) in str(caught.value)


def test_strings_are_binary_only_for_string_types() -> None:
    with pytest.raises(ArrowError, match="in binary"):
        sent(table(["1"]), [INT4], [1])
    assert sent(table(["1"]), [INT4], [0]) == [[b"1"]]
