"""Mutated bytes of every type: no crash and no hang, and the same answer from both kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields as fields_of
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import febe.types
from febe.types import TYPES, ArrayOf, Codec, CompositeOf, DomainOf, EnumOf, MultirangeOf, RangeOf, Registry
from tests.kernel.kernels import COMPILED, as_source
from tests.kernel.test_agreement import mutated, outcome
from tests.types.live import decode, encode
from tests.types.samples import EXTENSIONS, SAMPLES

pytestmark = pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")


def _source_types() -> Any:
    def load() -> Any:
        import febe._kernel.encode
        import febe._kernel.rows
        import febe.types

        return febe.types, febe._kernel.rows.decode_value, febe._kernel.encode.encode_value

    return as_source(load, "febe.")


SOURCE = _source_types()

MADE = [
    (90001, "e", EnumOf(("sad", "ok"))), (90002, "d", DomainOf(23)), (90003, "_d", ArrayOf(90002)),
    (90004, "c", CompositeOf((("a", 25), ("b", 90003), ("c", 1700), ("d", 90001)))), (90005, "_c", ArrayOf(90004)),
    (90006, "r", RangeOf(90004)), (90007, "m", MultirangeOf(90006)), (90008, "_vector", ArrayOf(90009)),
]


def registry(types: Any) -> Any:
    shapes = {type(shape).__name__: getattr(types, type(shape).__name__) for _, _, shape in MADE}
    made = types.TYPES.copy()
    for oid, (name, _) in enumerate(EXTENSIONS.items(), 90009):
        made.learn([types.Codec(oid=90009 if name == "vector" else 90100 + oid, name=name, schema="public")])
    for oid, name, shape in MADE:
        parts = [getattr(shape, field.name) for field in fields_of(shape)]
        made.learn([types.Codec(oid=oid, name=name, schema="public", shape=shapes[type(shape).__name__](*parts))])
    return made


OURS: Registry = registry(febe.types)
THEIRS: Any = registry(SOURCE[0])


def seeds() -> Iterator[tuple[str, int, list[bytes]]]:
    """Valid bytes of every type in each format."""
    for name in (*SAMPLES, *EXTENSIONS):
        sample = SAMPLES[name] if name in SAMPLES else EXTENSIONS[name][1]
        codec = OURS.by_name(name)
        values = [value for value in sample.some(name, 6) if len(repr(value)) < 3000]
        array = Codec(oid=90500, name="array", schema="x", shape=ArrayOf(codec.oid))
        for which, these in ((codec, values), (array, [values, [None]])):
            if which is array:
                mine = OURS.copy()
                mine.learn([array])
                which = mine.by_oid(90500)
            for binary in (0, 1):
                if not (sample.names and binary):
                    yield (f"{name}{'[]' if which.oid == 90500 else ''}", binary,
                           [encode(which, binary, value) for value in these])
    value = ("a\"b", [1, None], 1, "ok")
    for oid, given_value in ((90004, value), (90005, [value, None]), (90006, febe.types.Range(value, None)),
                             (90007, febe.types.Multirange([febe.types.Range(value, value, "[]")]))):
        for binary in (0, 1):
            yield OURS.by_oid(oid).name, binary, [encode(OURS.by_oid(oid), binary, given_value)]


SEEDS = list(seeds())


@cache
def codec_of(types: Any, types_module: Any, name: str) -> Any:
    if not name.endswith("[]"):
        return types.by_name(name)
    mine = types.copy()
    mine.learn([types_module.Codec(oid=90500, name="array", schema="x",
                                   shape=types_module.ArrayOf(types.by_name(name[:-2]).oid))])
    return mine.by_oid(90500)


def theirs(codec: Any, binary: int, data: bytes) -> Any:
    how = codec.decode_binary if binary else codec.decode_text
    return SOURCE[1](how, data) if isinstance(how, int) else how(data)


@pytest.mark.parametrize(("name", "binary", "valid"), SEEDS, ids=[f"{name}-{binary}" for name, binary, _ in SEEDS])
@settings(max_examples=int(os.environ.get("FEBE_MUTATIONS", "15")), deadline=None)
@given(data=st.data())
def test_mutated(name: str, binary: int, valid: list[bytes], data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from(valid).flatmap(mutated) | st.binary(max_size=24))
    first = outcome(decode, codec_of(OURS, febe.types, name), binary, changed)
    second = outcome(theirs, codec_of(THEIRS, SOURCE[0], name), binary, changed)
    assert first == second
    if first[0].endswith("Error") or first[0] == "TypeChanged":
        # What is not valid is told as such, never as a trouble of the program.
        assert first[0] in ("ValueError", "UnicodeDecodeError", "TypeChanged", "JSONDecodeError", "OverflowError",
                            "AddressValueError", "NetmaskValueError", "RecursionError"), first


def record(depth: int) -> bytes:
    """A record in a record in a record."""
    data = b"\0\0\0\0"
    for _ in range(depth):
        data = b"\0\0\0\1" + (2249).to_bytes(4, "big") + len(data).to_bytes(4, "big") + data
    return data


def test_depth_is_bounded() -> None:
    codec = TYPES.by_name("record")
    assert decode(codec, 1, record(20)) != ()
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        decode(codec, 1, record(5000))
    loop = TYPES.copy()
    loop.learn([Codec(oid=90001, name="loop", shape=CompositeOf((("a", 90001),)))])
    with pytest.raises(ValueError, match="nested more than"):
        loop.by_oid(90001)


@pytest.mark.parametrize(("name", "data"), [
    ("_int4", "000000010000000000000017" "7fffffff00000001"),
    ("_int4", "000000060000000000000017" + "0000ffff00000001" * 6),
    ("_int4", "000000070000000000000017" + "0000000100000001" * 7),
    ("_int4", "ffffffff0000000000000017"),
    ("int4multirange", "7fffffff"), ("tsvector", "7fffffff"), ("tsquery", "7fffffff"), ("record", "7fffffff"),
    ("path", "017fffffff"), ("polygon", "7fffffff"), ("varbit", "7fffffff00"), ("pg_snapshot", "7fffffff" + "00" * 16),
    ("numeric", "ffff000000000000"),
])  # fmt: skip
def test_counts_are_checked_before_memory_is_taken(name: str, data: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(TYPES.by_name(name), 1, bytes.fromhex(data))


def test_two_kernels() -> None:
    """What is compared is really the compiled and the interpreted kernel."""
    ours, other = (types.by_name("_int4").decode_binary for types in (OURS, THEIRS))
    assert type(ours) is not type(other)
    assert type(other).__call__.__code__.co_filename.endswith("arrays.py")
