"""Every type through a real PostgreSQL, in both formats and directions: alone, in arrays, composites, ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from febe.types import Array, Codec, Interval, Multirange, Range, Row, TSQuery
from tests.peers.postgres import Postgres
from tests.types.live import Live, connected, decode, encode
from tests.types.samples import ARRAYS, EXTENSIONS, SAMPLES, Sample

NAMES = [name for name in (*SAMPLES, *EXTENSIONS) if name != "xml"]  # the packaged PostgreSQL 18 has no libxml


@pytest.fixture(scope="module")
def live18(pg18: Postgres) -> Iterator[Live]:
    with connected(pg18.dsn()) as live:
        for extension in sorted({extension for extension, _ in EXTENSIONS.values()}):
            live.connection.execute(f"create extension if not exists {extension} schema public")
        yield live


@pytest.fixture(scope="module")
def live15(pg15: Postgres) -> Iterator[Live]:
    with connected(pg15.dsn()) as live:
        yield live


def spelled(name: str) -> str:
    """The type's name in SQL."""
    return '"char"' if name == "char" else name


def sample_of(name: str) -> Sample:
    return SAMPLES[name] if name in SAMPLES else EXTENSIONS[name][1]


def has_nan(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(has_nan, value))
    return value != value or (hasattr(value, "is_nan") and value.is_nan())


def check(live: Live, codec: Codec, name: str, values: list[Any], sample: Sample) -> None:
    """Each value, sent in each format, comes back in each format as it was; and febe writes what PostgreSQL writes."""
    texts = [encode(codec, 0, value) for value in values]
    # Names are no binary values: those that PostgreSQL gives are sent.
    sent = {
        0: texts,
        1: live.echo(codec, name, texts, 0, 1) if sample.names else [encode(codec, 1, value) for value in values],
    }
    for binary, data in sent.items():
        for result_format in sent:
            received = live.echo(codec, name, data, binary, result_format)
            assert len(received) == len(values)
            for value, ours, theirs in zip(values, sent[result_format], received, strict=True):
                back = decode(codec, result_format, theirs)
                if not (sample.names and result_format):
                    assert back == value or has_nan(value), (value, ours, theirs)
                    assert type(back) is type(value)
                    if not isinstance(value, list | tuple | dict):
                        assert has_nan(value) or hash_of(back) == hash_of(value)
                if sample.same_text:
                    assert theirs == ours, value


def hash_of(value: object) -> int:
    try:
        return hash(value)
    except TypeError:
        return 0


def usable(sample: Sample, live: Live) -> None:
    if live.connection.info.server_version < sample.since * 10000:
        pytest.skip(f"since PostgreSQL {sample.since}")


@pytest.mark.parametrize("name", NAMES)
def test_values(live18: Live, name: str) -> None:
    sample = sample_of(name)
    (codec,) = live18.learn(spelled(name))
    check(live18, codec, spelled(name) + sample.typmod, list(sample.some(name)), sample)


@pytest.mark.parametrize("name", [name for name in SAMPLES if SAMPLES[name].since <= 15])
def test_values_of_15(live15: Live, name: str) -> None:
    sample = sample_of(name)
    (codec,) = live15.learn(spelled(name))
    check(live15, codec, spelled(name) + sample.typmod, list(sample.some(name, 30)), sample)


@pytest.mark.parametrize("name", NAMES)
def test_array_elements(live18: Live, name: str) -> None:
    sample = sample_of(name)
    (codec,) = live18.learn(f"{spelled(name)}[]")
    values = list(sample.some(name, 40))
    arrays: list[Any] = [[value] for value in values] + [values, [None, *values], Array(values, (-3,)), []]
    if codec.lists or not isinstance(values[0], list):
        element = live18.types.by_oid(live18.learn(spelled(name))[0].oid)
        two: list[Any] = [values[:1] * 2, values[-1:] * 2]
        arrays.append(Array(two, (1, 1)) if element.lists else two)
        arrays.append(Array(two, (0, 5)))
    check(live18, codec, f"{spelled(name)}{sample.typmod}[]", arrays, sample)


@pytest.mark.parametrize("name", NAMES)
def test_composite_fields(live18: Live, name: str) -> None:
    sample = sample_of(name)
    live18.connection.execute(
        f"create type live.c_{name} as (a {spelled(name)}{sample.typmod}, b int4, c {spelled(name)}{sample.typmod}[])"
    )
    codec, nested = live18.learn(f"live.c_{name}", f"live.c_{name}[]")
    values = list(sample.some(name, 40))
    row = type(decode(codec, 0, b"(,,)"))
    assert issubclass(row, Row)
    rows = [tuple.__new__(row, (value, 7, [value, None])) for value in values] + [
        tuple.__new__(row, (None, None, None))
    ]
    check(live18, codec, f"live.c_{name}", rows, sample)
    check(live18, nested, f"live.c_{name}[]", [rows], sample)


@pytest.mark.parametrize("name", [name for name in NAMES if sample_of(name).ordered])
def test_range_bounds(live18: Live, name: str) -> None:
    sample = sample_of(name)
    # a fixed length is the column's, not the range's
    live18.connection.execute(
        f"create type live.r_{name} as range (subtype = {spelled(name)}, multirange_type_name = live.m_{name})"
    )
    codec, multi = live18.learn(f"live.r_{name}", f"live.m_{name}")
    values = [value for value in sample.some(name, 40) if not isinstance(value, list) or value]
    ranges = [Range(value, value, "[]") for value in values]
    ranges += [Range(None, values[0], "()"), Range(values[0], None), Range.EMPTY, Range()]
    if sample.comparable:
        ranges += [
            Range(min(a, b), max(a, b), bounds)
            for a, b in pairwise(values)
            if a != b
            for bounds in ("[)", "(]", "()", "[]")
        ]
    check(live18, codec, f"live.r_{name}", ranges, sample)
    apart = [Multirange([one]) for one in ranges if one] + [Multirange()]
    if name != "float4":
        check(live18, multi, f"live.m_{name}", apart, sample)


def test_arrays(live18: Live) -> None:
    (codec,) = live18.learn("int4[]")
    check(live18, codec, "int4[]", ARRAYS, Sample(values=[]))


def test_enums_and_domains(live18: Live) -> None:
    live18.connection.execute("create type live.mood as enum ('sad', 'ok', 'very happy', '\"')")
    live18.connection.execute("create domain live.score as numeric(4,1)[]")
    live18.connection.execute("create domain live.mail as text check (value like '%@%')")
    moods, scores, mails = live18.learn("live.mood[]", "live.score", "live.mail[]")
    check(live18, moods, "live.mood[]", [["sad", None, "very happy", '"']], Sample(values=[]))
    from decimal import Decimal

    check(live18, scores, "live.score", [[Decimal("1.5"), Decimal("-3.0")]], Sample(values=[]))
    check(live18, mails, "live.mail[]", [["a@b", '"@,']], Sample(values=[]))


def test_infinite_intervals(live18: Live) -> None:
    """Since 17: alone, in arrays, in ranges."""
    both = [Interval.INFINITY, -Interval.INFINITY]
    live18.connection.execute("create type live.spans as range (subtype = interval)")
    alone, array, spans = live18.learn("interval", "interval[]", "live.spans")
    check(live18, alone, "interval", both, Sample(values=[]))
    check(live18, array, "interval[]", [both, [both, both]], Sample(values=[]))
    check(live18, spans, "live.spans", [Range(both[1], both[0], "[]"), Range(Interval(days=1), both[0])],
          Sample(values=[]))


def test_xml_inside_others(live15: Live) -> None:
    """On 15, because the packaged PostgreSQL 18 has no libxml."""
    values = list(SAMPLES["xml"].some("xml", 40))
    live15.connection.execute("create type live.c_xml as (a xml, b xml[])")
    array, composite = live15.learn("xml[]", "live.c_xml")
    check(live15, array, "xml[]", [values, [None, *values], Array(values, (-3,)), []], SAMPLES["xml"])
    row = type(decode(composite, 0, b"(,)"))
    check(live15, composite, "live.c_xml", [tuple.__new__(row, (value, [value, None])) for value in values],
          SAMPLES["xml"])


def test_nan_is_itself(live18: Live) -> None:
    for name in ("float4", "float8", "numeric"):
        (codec,) = live18.learn(name)
        for binary in (0, 1):
            (data,) = live18.echo(codec, name, [b"NaN"], 0, binary)
            assert math.isnan(decode(codec, binary, data))


def test_an_empty_query(live18: Live) -> None:
    """PostgreSQL sends it in binary and does not take it, so that febe's client sends text."""
    (codec,) = live18.learn("tsquery")
    assert codec.encoder()[1] == 0
    for binary in (0, 1):
        (data,) = live18.echo(codec, "tsquery", [encode(codec, 0, TSQuery())], 0, binary)
        assert decode(codec, binary, data) == TSQuery()
        assert encode(codec, binary, TSQuery()) == data
