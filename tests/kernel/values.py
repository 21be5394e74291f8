"""Values of every hot kind with both forms as PostgreSQL 18 writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from febe._kernel import kinds
from febe._kernel.far import FarDate, FarTimestamp

FAMILIES = {
    name.removesuffix("_TEXT").lower(): code for name, code in vars(kinds).items() if name.endswith("_TEXT")
}
"""PostgreSQL's name of the type -> its text kind."""
FAMILIES["text"] = FAMILIES.pop("string")

GOLDEN: list[tuple[str, object, bytes, str]] = [
    ("bool", True, b"t", "01"),
    ("bool", False, b"f", "00"),
    ("int2", 0, b"0", "0000"),
    ("int2", -32768, b"-32768", "8000"),
    ("int2", 32767, b"32767", "7fff"),
    ("int4", -1, b"-1", "ffffffff"),
    ("int4", 2147483647, b"2147483647", "7fffffff"),
    ("int4", -2147483648, b"-2147483648", "80000000"),
    ("int8", 9223372036854775807, b"9223372036854775807", "7fffffffffffffff"),
    ("int8", -9223372036854775808, b"-9223372036854775808", "8000000000000000"),
    ("int8", 123456789012345678, b"123456789012345678", "01b69b4ba630f34e"),
    ("oid", 4294967295, b"4294967295", "ffffffff"),
    ("float4", 0.1, b"0.1", "3dcccccd"),
    ("float4", 1000000.0, b"1e+06", "49742400"),
    ("float4", 123456.0, b"123456", "47f12000"),
    ("float4", 3.4028235e38, b"3.4028235e+38", "7f7fffff"),
    ("float4", 1e-45, b"1e-45", "00000001"),
    ("float4", 16777216.0, b"1.6777216e+07", "4b800000"),
    ("float4", float("-inf"), b"-Infinity", "ff800000"),
    ("float8", 0.0, b"0", "0000000000000000"),
    ("float8", 0.1, b"0.1", "3fb999999999999a"),
    ("float8", 100000000000000.0, b"100000000000000", "42d6bcc41e900000"),
    ("float8", 1e15, b"1e+15", "430c6bf526340000"),
    ("float8", 1234567890123456.0, b"1.234567890123456e+15", "43118b54f22aeb00"),
    ("float8", 1e20, b"1e+20", "4415af1d78b58c40"),
    ("float8", 1e-5, b"1e-05", "3ee4f8b588e368f1"),
    ("float8", 0.0001, b"0.0001", "3f1a36e2eb1c432d"),
    ("float8", -1.5e300, b"-1.5e+300", "fe41eb2d66005835"),
    ("float8", 5e-324, b"5e-324", "0000000000000001"),
    ("float8", float("inf"), b"Infinity", "7ff0000000000000"),
    ("text", "", b"", ""),
    ("text", "grün", "grün".encode(), "6772c3bc6e"),
    ("text", "🐘", "🐘".encode(), "f09f9098"),
    ("char", "a", b"a", "61"),
    ("char", "", b"", "00"),
    ("char", "\\351", b"\\351", "e9"),
    ("bytea", b"", b"\\x", ""),
    ("bytea", b"\0\xffa", b"\\x00ff61", "00ff61"),
    ("date", date(2000, 1, 1), b"2000-01-01", "00000000"),
    ("date", date(1, 1, 1), b"0001-01-01", "fff4dbf9"),
    ("date", date(9999, 12, 31), b"9999-12-31", "002c95d3"),
    ("date", date(2024, 2, 29), b"2024-02-29", "00002279"),
    ("date", FarDate("infinity"), b"infinity", "7fffffff"),
    ("date", FarDate("-infinity"), b"-infinity", "80000000"),
    ("date", FarDate("0044-03-15 BC"), b"0044-03-15 BC", "fff49d7b"),
    ("date", FarDate("10000-01-01"), b"10000-01-01", "002c95d4"),
    ("timestamp", datetime(2000, 1, 1), b"2000-01-01 00:00:00", "0000000000000000"),
    ("timestamp", datetime(1, 1, 1), b"0001-01-01 00:00:00", "ff1fe2ffc59c6000"),
    ("timestamp", datetime(9999, 12, 31, 23, 59, 59, 999999), b"9999-12-31 23:59:59.999999", "0380e70b913b7fff"),
    ("timestamp", datetime(2024, 1, 2, 3, 4, 5, 600000), b"2024-01-02 03:04:05.6", "0002b0ec851f1b00"),
    ("timestamp", FarTimestamp("infinity"), b"infinity", "7fffffffffffffff"),
    ("timestamp", FarTimestamp("0001-12-31 23:59:59.999999 BC"), b"0001-12-31 23:59:59.999999 BC", "ff1fe2ffc59c5fff"),
    ("timestamptz", FarTimestamp("-infinity"), b"-infinity", "8000000000000000"),
    ("timestamptz", FarTimestamp("10000-01-01 00:00:00+00"), b"10000-01-01 00:00:00+00", "0380e70b913b8000"),
    ("timestamptz", datetime(2024, 1, 2, 3, 4, 5, 60, UTC), b"2024-01-02 03:04:05.00006+00", "0002b0ec8515f37c"),
    ("timestamptz", datetime(1999, 12, 31, 23, 59, 59, 999999, UTC), b"1999-12-31 23:59:59.999999+00", "f" * 16),
    ("numeric", Decimal("0"), b"0", "0000000000000000"),
    ("numeric", Decimal("1.50"), b"1.50", "000200000000000200011388"),
    ("numeric", Decimal("-12345.678"), b"-12345.678", "0003000140000003000109291a7c"),
    ("numeric", Decimal("0.00"), b"0.00", "0000000000000002"),
    ("numeric", Decimal("0.0001"), b"0.0001", "0001ffff000000040001"),
    ("numeric", Decimal("0.00001"), b"0.00001", "0001fffe0000000503e8"),
    ("numeric", Decimal("10000"), b"10000", "00010001000000000001"),
    ("numeric", Decimal("1" + "0" * 40), b"1" + b"0" * 40, "0001000a000000000001"),
    ("numeric", Decimal("NaN"), b"NaN", "00000000c0000000"),
    ("numeric", Decimal("Infinity"), b"Infinity", "00000000d0000020"),
    ("numeric", Decimal("-Infinity"), b"-Infinity", "00000000f0000020"),
    ("uuid", UUID("12345678-9abc-def0-1234-56789abcdef0"), b"12345678-9abc-def0-1234-56789abcdef0",
     "123456789abcdef0123456789abcdef0"),
    ("json", {"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'.encode(), "7b2261223a205b312c206e756c6c2c2022c3bc225d7d"),
    ("json", "text", b'"text"', "227465787422"),
    ("jsonb", {"a": True}, b'{"a": true}', "017b2261223a20747275657d"),
]  # fmt: skip

_decimals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(-(10**60), 10**60).map(Decimal),
    st.builds(lambda n, places: Decimal(n).scaleb(-places), st.integers(-(10**25), 10**25), st.integers(0, 40)),
).filter(lambda value: value.is_finite() and -400 < value.as_tuple().exponent <= 0 and value.adjusted() < 400)  # type: ignore[operator]

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip

VALUES: dict[str, st.SearchStrategy[object]] = {
    "bool": st.booleans(),
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "oid": st.integers(0, 2**32 - 1),
    "float4": st.floats(width=32, allow_nan=False),
    "float8": st.floats(allow_nan=False),
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "char": st.sampled_from(["", "a", "~", "\\", "\\200", "\\377", "\x7f"]),
    "bytea": st.binary(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "timestamptz": st.datetimes(
        min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
    ),
    "numeric": _decimals,
    "uuid": st.uuids(),
    "json": _json,
    "jsonb": _json,
}
