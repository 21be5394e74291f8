"""Every hot kind, both formats, both directions; what is refused, and how it is said."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from struct import pack
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from febe._kernel.far import FarTimestamp
from tests.kernel.kernels import SOURCE
from tests.kernel.values import FAMILIES, GOLDEN, VALUES


@pytest.mark.parametrize(("name", "value", "text", "binary"), GOLDEN, ids=lambda x: str(x)[:30])
def test_golden_bytes(kernel: SimpleNamespace, name: str, value: object, text: bytes, binary: str) -> None:
    for kind, data in ((FAMILIES[name], text), (FAMILIES[name] + 1, bytes.fromhex(binary))):
        assert kernel.encode.encode_value(kind, value) == data
        decoded = kernel.rows.decode_value(kind, data)
        assert type(decoded) is type(value)
        assert repr(decoded) == repr(value)


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data())
def test_round_trips(name: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[name])
    for kind in (FAMILIES[name], FAMILIES[name] + 1):
        decoded = SOURCE.rows.decode_value(kind, SOURCE.encode.encode_value(kind, value))
        assert type(decoded) is type(value)
        if name == "numeric":
            assert format(decoded, "f").lstrip("-") == format(value, "f").lstrip("-")
        if name != "float4":
            assert decoded == value
        else:
            assert pack("f", decoded) == pack("f", value)


def test_nan(kernel: SimpleNamespace) -> None:
    for name in ("float4", "float8"):
        for kind in (FAMILIES[name], FAMILIES[name] + 1):
            data = kernel.encode.encode_value(kind, math.nan)
            assert math.isnan(kernel.rows.decode_value(kind, data))


ALSO_READ = [
    ("bool", b"TRUE", True), ("bool", b" no ", False), ("bool", b"of", False), ("bool", b"1", True),
    ("int4", b" +12\n", 12), ("int8", b"-0000000000000000000000001", -1), ("float8", b"-0", -0.0),
    ("float8", b" 1.5e3 ", 1500.0), ("float8", b"inf", math.inf), ("float8", b".5", 0.5),
    ("float4", b"0.123456789", 0.12345679), ("bytea", b"a\\\\b\\001\\377", b"a\\b\1\xff"),
    ("bytea", b"\\xABCD", b"\xab\xcd"), ("bytea", b"plain", b"plain"),
    ("timestamp", b"2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5)),
    ("timestamp", b"2024-02-29 03:04:05", datetime(2024, 2, 29, 3, 4, 5)),
    ("timestamp", b"2024-02-29 03:04:05.05", datetime(2024, 2, 29, 3, 4, 5, 50000)),
    ("timestamptz", b"2024-01-02 03:04:05+05:30", datetime(2024, 1, 1, 21, 34, 5, tzinfo=UTC)),
    ("timestamptz", b"2024-01-02 03:04:05.5-08", datetime(2024, 1, 2, 11, 4, 5, 500000, UTC)),
    ("timestamptz", b"1850-01-02 03:04:05-00:01:15", datetime(1850, 1, 2, 3, 5, 20, tzinfo=UTC)),
    ("timestamptz", b"2024-01-02 03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("numeric", b" 1e3 ", Decimal("1E+3")), ("numeric", b"+.5", Decimal("0.5")),
    ("numeric", b"-inf", Decimal("-Infinity")),
    ("uuid", b"{12345678-9ABC-DEF0-1234-56789abcdef0}", UUID("12345678-9abc-def0-1234-56789abcdef0")),
    ("uuid", b"123456789abcdef0123456789abcdef0", UUID("12345678-9abc-def0-1234-56789abcdef0")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "value"), ALSO_READ)
def test_other_spellings(kernel: SimpleNamespace, name: str, text: bytes, value: object) -> None:
    assert kernel.rows.decode_value(FAMILIES[name], text) == value


NOT_TEXT = [
    ("bool", b""), ("bool", b"o"), ("bool", b"2"), ("bool", b"tr ue"), ("int2", b"32768"), ("int4", b"2147483648"),
    ("int4", b"-2147483649"), ("int8", b"9223372036854775808"), ("oid", b"-1"), ("int4", b""), ("int4", b"-"),
    ("int4", b"1.0"), ("int4", b"1_0"), ("int4", b"0x10"), ("int4", b"1\0"), ("int4", b"9" * 5000), ("float8", b""),
    ("float8", b"1e400"), ("float8", b"1e-400"), ("float8", b"1_0"), ("float8", b"1.5x"), ("float8", b"0x10"),
    ("float8", b"1e"), ("float8", b"--1"), ("float4", b"1e39"), ("float4", b"1e-50"), ("text", b"\xff"),
    ("text", b"\xed\xa0\x80"), ("text", b"\xc3"), ("bytea", b"\\x0"), ("bytea", b"\\xzz"), ("bytea", b"\\9"),
    ("bytea", b"\\"), ("bytea", b"\\477"),
    ("date", b"2023-02-29"), ("date", b"0000-01-01"), ("date", b"2023-1-1"),
    ("date", b"20230101"), ("date", b""), ("date", b"2024-13-01"),
    ("timestamp", b"2024-01-01"), ("timestamp", b"2024-01-01 24:00:00"),
    ("timestamp", b"2024-01-01 00:00:60"), ("timestamp", b"2024-01-01 00:00:00+00"),
    ("timestamp", b"2024-01-01 00:00:00."), ("timestamp", b"2024-01-01 00:00:00.1234567"),
    ("timestamp", b"2024-01-0100:00:00x"), ("timestamptz", b"2024-01-01 00:00:00"),
    ("timestamptz", b"2024-01-01 00:00:00+16"),

    ("timestamptz", b"2024-01-01 00:00:00.+00"), ("numeric", b""), ("numeric", b"."), ("numeric", b"-"),
    ("numeric", b"1_0"), ("numeric", b"sNaN"), ("numeric", b"NaN123"), ("numeric", b"1.2.3"), ("numeric", b"1-2"),
    ("numeric", b"\xd9\xa1"), ("numeric", b"1e9999999"), ("uuid", b""),
    ("uuid", b"12345678-9abc-def0-1234-56789abcdefg"), ("uuid", b"{123456789abcdef0123456789abcdef0"),
    ("uuid", b"12345678+9abc-def0-1234-56789abcdef0"), ("json", b""), ("json", b"{"), ("json", b"1 2"),
    ("jsonb", b"\x01{}"), ("json", b"[" * 100000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), NOT_TEXT, ids=lambda x: str(x)[:40])
def test_refused_text(kernel: SimpleNamespace, name: str, text: bytes) -> None:
    row = b"D" + (10 + len(text)).to_bytes(4, "big") + b"\0\1" + len(text).to_bytes(4, "big") + text
    decoder = kernel.rows.RowDecoder([FAMILIES[name]], tuple)
    with pytest.raises(kernel.errors.ValueDecodeError) as caught:
        decoder.decode(row, 0, len(row))
    assert (caught.value.row, caught.value.column, caught.value.data) == (0, 0, text)
    assert caught.value.__cause__ is not None


NOT_BINARY = [
    ("bool", ""), ("bool", "0000"), ("int2", "00"), ("int4", "000000"), ("int8", "00000000"), ("oid", ""),
    ("float4", "0000"), ("float8", "00000000"), ("text", "ff"), ("date", "0000"),
    ("timestamp", "00"), ("date", "80000001"), ("date", "7ffffffe"), ("timestamp", "8000000000000001"),
    ("timestamptz", "7ffffffffffffffe"),

    ("numeric", ""),
    ("numeric", "00010000000000"), ("numeric", "0001000000000000"), ("numeric", "00010000000000002710"),
    ("numeric", "0001000020000000270f"), ("numeric", "0000000000004000"), ("numeric", "ffff000000000000"),
    ("uuid", "00"), ("jsonb", ""), ("jsonb", "027b7d"), ("json", "017b7d"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), NOT_BINARY)
def test_refused_binary(kernel: SimpleNamespace, name: str, data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        kernel.rows.decode_value(FAMILIES[name] + 1, bytes.fromhex(data))


def test_numeric_cuts_digits_beyond_its_scale(kernel: SimpleNamespace) -> None:
    """As numeric_recv does."""
    assert str(kernel.rows.decode_value(FAMILIES["numeric"] + 1, bytes.fromhex("000200000000000100011388"))) == "1.5"
    assert str(kernel.rows.decode_value(FAMILIES["numeric"] + 1, bytes.fromhex("000200000000000000011388"))) == "1"


@pytest.mark.parametrize(
    ("weight", "scale", "groups"),
    [(w, s, g) for w in (-40, -9, -8, -2, -1, 0, 1, 8, 9, 40) for s in (0, 1, 4, 31, 32, 33, 200) for g in (0, 1, 3)],
)
def test_numeric_places(kernel: SimpleNamespace, weight: int, scale: int, groups: int) -> None:
    data = b"".join((n & 0xFFFF).to_bytes(2, "big") for n in (groups, weight, 0x4000, scale, *(7, 1234, 5600)[:groups]))
    exact = sum(Decimal((7, 1234, 5600)[n]).scaleb(4 * (weight - n)) for n in range(groups))
    whole, _, fraction = format(exact + Decimal("0E-400") if exact else Decimal("0." + "0" * 400), "f").partition(".")
    wanted = Decimal(f"-{whole}.{fraction[:scale].ljust(scale, '0')}")
    assert str(kernel.rows.decode_value(FAMILIES["numeric"] + 1, data)) == str(wanted)


def test_int_like(kernel: SimpleNamespace) -> None:
    class Index:
        def __index__(self) -> int:
            return 7

    for value, text in ((True, b"1"), (Index(), b"7")):
        assert kernel.encode.encode_value(FAMILIES["int4"], value) == text


ALSO_WRITTEN = [
    ("float8", 1, b"1"), ("float8", Decimal("0.5"), b"0.5"), ("bytea", bytearray(b"a"), b"\\x61"),
    ("bytea", memoryview(b"a"), b"\\x61"), ("numeric", 12, b"12"), ("numeric", 0.1, b"0.1"),
    ("numeric", 1e22, b"10000000000000000000000"), ("numeric", Decimal("1E+3"), b"1000"),
    ("numeric", Decimal("-0.0"), b"0.0"), ("numeric", Decimal("0E+5"), b"0"),
    ("numeric", Decimal("0E-7"), b"0.0000000"), ("numeric", Decimal("1E-7"), b"0.0000001"),
    ("numeric", float("nan"), b"NaN"),
    ("uuid", "{123456789ABCdef0123456789abcdef0}", b"12345678-9abc-def0-1234-56789abcdef0"),
    ("timestamptz", datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-8))), b"2024-01-02 11:04:05+00"),
    ("json", None, b"null"), ("json", (1, 2), b"[1, 2]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "text"), ALSO_WRITTEN,
                         ids=lambda part: str(bytes(part) if isinstance(part, memoryview) else part))
def test_other_values(kernel: SimpleNamespace, name: str, value: object, text: bytes) -> None:
    assert kernel.encode.encode_value(FAMILIES[name], value) == text
    binary = kernel.encode.encode_value(FAMILIES[name] + 1, value)
    again = kernel.rows.decode_value(FAMILIES[name] + 1, binary)
    assert kernel.encode.encode_value(FAMILIES[name], again) == text


def test_json_text_is_sent_as_it_is(kernel: SimpleNamespace) -> None:
    text = kernel.text_writers.Json('{"a":1}')
    assert kernel.encode.encode_value(FAMILIES["json"], text) == b'{"a":1}'
    assert kernel.encode.encode_value(FAMILIES["jsonb"] + 1, text) == b'\1{"a":1}'


NOT_VALUES = [
    ("bool", 1), ("bool", "t"), ("int2", 32768), ("int2", -32769), ("int4", 2**31), ("int4", -(2**31) - 1),
    ("int8", 2**63), ("int8", -(2**63) - 1), ("int8", 10**30), ("oid", -1), ("oid", 2**32), ("int4", 1.5),
    ("int4", 1.0), ("int4", "1"), ("int4", Decimal(1)), ("float8", "1.5"), ("float8", b"1"), ("float8", 10**400),
    ("float8", None.__class__), ("float8", []), ("float4", 1e39), ("float4", 1e-46), ("text", 1), ("text", b"a"),
    ("text", "a\0b"), ("text", "\ud800"), ("bytea", "a"), ("bytea", 3), ("bytea", [1]),
    ("date", datetime(2024, 1, 1)), ("date", "2024-01-01"), ("timestamp", date(2024, 1, 1)),
    ("timestamp", datetime(2024, 1, 1, tzinfo=UTC)), ("timestamptz", datetime(2024, 1, 1)), ("timestamptz", "now"),
    ("timestamptz", FarTimestamp("10000-01-01 00:00:00")),
    ("timestamp", FarTimestamp("10000-01-01 00:00:00+00")), ("numeric", "1"),
    ("numeric", Decimal("sNaN")), ("numeric", Decimal("1E+131072")), ("numeric", Decimal("1E-16384")),
    ("numeric", Decimal("1E+999999")), ("numeric", 1j), ("uuid", 1), ("uuid", "nothing"), ("uuid", b"1" * 16),
    ("json", float("nan")), ("json", {1j: 2}), ("jsonb", object), ("json", "\ud800"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), NOT_VALUES, ids=lambda x: str(x)[:40])
def test_refused_values(kernel: SimpleNamespace, name: str, value: object) -> None:
    for kind in (FAMILIES[name], FAMILIES[name] + 1):
        encoder = kernel.rows.RowEncoder([FAMILIES["int4"], kind])
        with pytest.raises(kernel.errors.ValueEncodeError) as caught:
            encoder.encode([(1, None), (2, value)])
        assert (caught.value.row, caught.value.column) == (1, 1)
        assert caught.value.value is value
        same = kernel is SOURCE or str(caught.value) == _refusal(kind, value)
        assert same


def _refusal(kind: int, value: object) -> str:
    with pytest.raises(SOURCE.errors.ValueEncodeError) as caught:
        SOURCE.rows.RowEncoder([FAMILIES["int4"], kind]).encode([(1, None), (2, value)])
    return str(caught.value)


def test_unknown_kinds(kernel: SimpleNamespace) -> None:
    for kind in (-1, 0, 1, kernel.kinds.COUNT, 1000):
        with pytest.raises(ValueError, match="unknown kind"):
            kernel.rows.decode_value(kind, b"")
        with pytest.raises(ValueError, match="unknown kind"):
            kernel.encode.encode_value(kind, "")
