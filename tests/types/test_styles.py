"""Every DateStyle and IntervalStyle, as a real PostgreSQL writes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from febe.types import TYPES, FarTimestamp, Interval
from febe.types.styles import styled
from tests.peers.postgres import Postgres
from tests.types.live import Live, connected, decode, encode
from tests.types.samples import SAMPLES


@pytest.fixture(scope="module")
def live(pg18: Postgres) -> Iterator[Live]:
    with connected(pg18.dsn()) as made:
        yield made


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("order", ["MDY", "DMY", "YMD"])
@pytest.mark.parametrize("style", ["ISO", "SQL", "Postgres", "German"])
@pytest.mark.parametrize("name", ["date", "timestamp", "timestamptz"])
def test_date_styles(live: Live, name: str, style: str, order: str, zone: str) -> None:
    live.connection.execute(f"set datestyle = '{style}, {order}'; set timezone = '{zone}'")
    told = {each: live.connection.info.parameter_status(each) or "" for each in ("DateStyle", "TimeZone")}
    types = styled(TYPES, told)
    (codec, array) = types.by_name(name), types.by_name(f"_{name}")
    values = [value for value in SAMPLES[name].some(f"{name}{zone}", 60)
              # A zone's rules are followed to the end of time by PostgreSQL, and by datetime to the year 9999.
              if name != "timestamptz" or zone in ("UTC", "Asia/Kolkata") or not isinstance(value, FarTimestamp)]
    sent = [encode(codec, 1, value) for value in values]
    received = live.echo(codec, name, sent, 1, 0)
    for value, text in zip(values, received, strict=True):
        if b"LMT" not in text:
            assert decode(codec, 0, text) == value, text
    (text,) = live.echo(array, f"{name}[]", [encode(array, 1, values[:3])], 1, 0)
    if b"LMT" not in text:
        assert decode(array, 0, text) == values[:3]


def test_the_hour_that_comes_twice(live: Live) -> None:
    live.connection.execute("set datestyle = 'SQL, MDY'; set timezone = 'Europe/Oslo'")
    types = styled(TYPES, {"DateStyle": "SQL, MDY", "TimeZone": "Europe/Oslo"})
    codec = types.by_name("timestamptz")
    for text in ("2024-10-27 00:30:00+00", "2024-10-27 01:30:00+00"):
        value = decode(TYPES.by_name("timestamptz"), 0, text.encode())
        (theirs,) = live.echo(codec, "timestamptz", [text.encode()], 0, 0)
        assert decode(codec, 0, theirs) == value
    for text in ("10/27/2024 02:30:00", "10/27/2024 02:30:00 XYZ", "27/10/2024 02:30:00 CET"):
        with pytest.raises(ValueError, match=r"."):
            decode(codec, 0, text.encode())


@pytest.mark.parametrize("style", ["postgres", "postgres_verbose", "sql_standard", "iso_8601"])
def test_interval_styles(live: Live, style: str) -> None:
    live.connection.execute(f"set intervalstyle = '{style}'")
    codec = TYPES.by_name("interval")
    values = [*SAMPLES["interval"].some("interval styles", 400), Interval.INFINITY, -Interval.INFINITY]
    received = live.echo(codec, "interval", [encode(codec, 1, value) for value in values], 1, 0)
    for value, text in zip(values, received, strict=True):
        assert decode(codec, 0, text) == value, text
    live.connection.execute("reset intervalstyle")


@pytest.mark.parametrize(("text", "months", "days", "micros"), [
    ("1 year 2 months", 14, 0, 0), ("90 minutes", 0, 0, 5400000000), ("2 weeks", 0, 14, 0),
    ("1.5 seconds", 0, 0, 1500000),
    ("@ 1 day ago", 0, -1, 0), ("1:30", 0, 0, 5400000000), ("-1-2 -3 -4:05:06", -14, -3, -14706000000),
    ("-1 2:03:04", 0, -1, -7384000000), ("P1Y2M3DT4H5M6.5S", 14, 3, 14706500000), ("PT-0.5S", 0, 0, -500000),
])  # fmt: skip
def test_interval_spellings(text: str, months: int, days: int, micros: int) -> None:
    value = decode(TYPES.by_name("interval"), 0, text.encode())
    assert tuple(value) == (months, days, micros)


@pytest.mark.parametrize("text", ["", "P", "PT", "1", "one day", "1.5 days", "99999999999 years", "1 day 2", "1-2-3"])
def test_no_intervals(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(TYPES.by_name("interval"), 0, text.encode())
