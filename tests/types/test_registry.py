"""The registry, and the types that speak through Python callables."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types import EndOfDay, oids
from febe.types.json import Json
from febe.types.registry import TYPES, Codec, Registry


def test_every_type_of_postgres_is_known() -> None:
    assert len(oids.TYPE_DATA) > 190
    for oid, name, typlen, _, array_oid, _ in oids.TYPE_DATA:
        codec = TYPES.by_oid(oid)
        assert (codec.oid, codec.name, codec.typlen, codec.array_oid) == (oid, name, typlen, array_oid)
        assert codec.decode_text is not None
        assert codec.encode_text is not None
        assert TYPES.by_name(name) is codec
    assert (oids.INT4, oids.TEXT, oids.JSONB, oids.UUID, oids.TIMESTAMPTZ) == (23, 25, 3802, 2950, 1184)


def test_hot_types_speak_both_formats() -> None:
    texts = ("text", "varchar", "bpchar", "name", "char", "unknown", "xml", "bytea", "json", "jsonb", "uuid", "void")
    times = ("date", "time", "timetz", "timestamp", "timestamptz")
    for name in ("bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", *texts, *times):
        codec = TYPES.by_name(name)
        assert None not in (codec.decode_binary, codec.encode_binary), name


def test_unknown_types_are_text() -> None:
    codec = TYPES.by_oid(4294967295)
    assert (codec.name, codec.decode_binary, codec.encode_binary) == ("type 4294967295", None, None)
    assert decode(codec, 0, b"(1,2)") == "(1,2)"
    with pytest.raises(KeyError):
        TYPES.by_name("nothing")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "bool"), (1, "int8"), (1.5, "float8"), ("a", "text"), (b"a", "bytea"), (bytearray(), "bytea"),
        (date(2024, 1, 1), "date"), (datetime(2024, 1, 1), "timestamptz"), (time(1), "time"), (Decimal(1), "numeric"),
        (UUID(int=1), "uuid"), ({}, "jsonb"), (Json("{}"), "json"),
    ],
)  # fmt: skip
def test_best_type_of_a_class(value: object, name: str) -> None:
    found = TYPES.by_class(type(value))
    assert found is not None
    assert found.name == name


def test_best_type_of_other_classes() -> None:
    class Count(int):
        pass

    found = TYPES.by_class(Count)
    assert found is not None
    assert found.name == "int8"
    assert TYPES.by_class(object) is None


def test_copies_differ_when_written() -> None:
    mine = Codec(oid=99999, name="mine", decode_text=bytes.hex)
    first = TYPES.copy()
    second = first.copy()
    first.register(mine, complex)
    assert first.by_oid(99999) is mine
    assert first.by_name("mine") is mine
    assert first.by_class(complex) is mine
    for other in (TYPES, second):
        assert other.by_oid(99999).name == "type 99999"
        assert other.by_class(complex) is None
    assert first.by_oid(23) is TYPES.by_oid(23)


def test_an_empty_registry() -> None:
    assert Registry().by_oid(23).name == "type 23"


def decode(codec: Codec, binary: int, data: bytes) -> Any:
    how = codec.decode_binary if binary else codec.decode_text
    assert how is not None
    return decode_value(how, data) if isinstance(how, int) else how(data)


def encode(codec: Codec, binary: int, value: object) -> bytes:
    how = codec.encode_binary if binary else codec.encode_text
    assert how is not None
    return encode_value(how, value) if isinstance(how, int) else how(value)


INDIA = timezone(timedelta(hours=5, minutes=30))
OLD = timezone(-timedelta(minutes=1, seconds=15))
BOTH_WAYS = [
    ("time", time(), b"00:00:00", "0000000000000000"),
    ("time", EndOfDay(), b"24:00:00", "000000141dd76000"),
    ("time", time(23, 59, 59, 999999), b"23:59:59.999999", "000000141dd75fff"),
    ("time", time(3, 4, 5, 600000), b"03:04:05.6", "00000002925e7b00"),
    ("timetz", time(3, 4, 5, tzinfo=UTC), b"03:04:05+00", "000000029255534000000000"),
    ("timetz", time(3, 4, 5, tzinfo=INDIA), b"03:04:05+05:30", "0000000292555340ffffb2a8"),
    ("timetz", time(3, 4, 5, tzinfo=OLD), b"03:04:05-00:01:15", "00000002925553400000004b"),
    ("void", None, b"", ""),
]


@pytest.mark.parametrize(("name", "value", "text", "binary"), BOTH_WAYS)
def test_callables(name: str, value: object, text: bytes, binary: str) -> None:
    codec = TYPES.by_name(name)
    for form, data in ((0, text), (1, bytes.fromhex(binary))):
        decoded = decode(codec, form, data)
        assert decoded == value
        assert type(decoded) is type(value)
        assert encode(codec, form, "" if name == "void" else value) == data
    if isinstance(value, time):
        assert decode(codec, 0, text).utcoffset() == value.utcoffset()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("time", b"3:04"), ("time", b"03:04:05+00"), ("time", b"03:04:60"),
        ("timetz", b"03:04:05"), ("timetz", b"03:04:05+24"), ("timetz", b"03:04:05+0"), ("void", b"x"),
    ],
)  # fmt: skip
def test_refused_text(name: str, text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(TYPES.by_name(name), 0, text)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("time", "00"), ("time", "ffffffffffffffff"), ("time", "000000141dd76001"), ("timetz", "0000000000000000"),
        ("timetz", "000000000000000000015180"), ("char", ""), ("char", "6161"),
        ("void", "00"),
    ],
)  # fmt: skip
def test_refused_binary(name: str, data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(TYPES.by_name(name), 1, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", time(1, tzinfo=UTC)), ("time", "01:00"), ("time", datetime(2024, 1, 1)), ("timetz", time(1)),
        ("timetz", 1), ("timetz", time(1, tzinfo=timezone(timedelta(microseconds=1)))), ("void", 1),
    ],
)  # fmt: skip
def test_refused_values(name: str, value: object) -> None:
    for form in (0, 1):
        with pytest.raises((TypeError, ValueError)):
            encode(TYPES.by_name(name), form, value)


def test_char_is_one_byte() -> None:
    for value in ("ab", "é", "\\400", 1):
        with pytest.raises((TypeError, ValueError)):
            encode(TYPES.by_name("char"), 1, value)
