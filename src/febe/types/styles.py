"""Dates and times as text in other values of DateStyle than ISO (manual: "Date/Time Output"; EncodeDateTime).

A server says with ParameterStatus which style it writes.  febe asks for binary, so that this matters where there is
only text: simple queries, COPY, replication.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from febe._kernel.far import FarDate, FarTimestamp, date_of, days_of, offset_seconds, timestamp_of
from febe.types import oids
from febe.types._codec import Registry

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ERA = 146097 * 86400000000
_MILLENNIUM = 1000 * 365 * 86400000000
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?"
_ZONE = r"(?: ?(?P<zone>[+-]\d\d(?::\d\d(?::\d\d)?)?|(?!BC$)[A-Z][A-Za-z0-9_/+-]*))?"
_BC = "(?P<bc> BC)?"
_DAY = {
    "SQL": r"(?P<first>\d\d)/(?P<last>\d\d)/(?P<year>\d{4,7})",
    "GERMAN": r"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4,7})",
    "POSTGRES": r"(?P<first>\d\d)-(?P<last>\d\d)-(?P<year>\d{4,7})",
}
_WORDS = (r"[A-Z][a-z][a-z] (?:(?P<name>[A-Z][a-z][a-z]) (?P<day>\d\d)|(?P<day2>\d\d) (?P<name2>[A-Z][a-z][a-z])) "
          + _CLOCK + r" (?P<year>\d{4,7})")  # fmt: skip


def styled(registry: Registry, parameters: Mapping[str, str]) -> Registry:
    """Give a registry that reads dates and times as a server with these parameters writes them.

    `parameters` are the server's DateStyle and, for abbreviations of zones, TimeZone.  It is the registry itself for
    the style ISO, which is read in any case.
    """
    style, _, order = parameters.get("DateStyle", "ISO, MDY").upper().partition(", ")
    if style not in _DAY:
        return registry
    day_first = order == "DMY"
    zone = _zone_named(parameters.get("TimeZone", "UTC"))
    dates = re.compile(_DAY[style] + _BC, re.ASCII)
    moments = re.compile((_WORDS if style == "POSTGRES" else f"{_DAY[style]} {_CLOCK}") + _ZONE + _BC, re.ASCII)
    other = registry.copy()
    for oid, read in (
        (oids.DATE, _reader(dates, day_first, _date)),
        (oids.TIMESTAMP, _reader(moments, day_first, lambda match, days: _moment(match, days, None))),
        (oids.TIMESTAMPTZ, _reader(moments, day_first, lambda match, days: _moment(match, days, zone))),
    ):  # fmt: skip
        other.register(replace(registry.by_oid(oid), decode_text=read))
    return other


def _reader(pattern: re.Pattern[str], day_first: bool, make: Callable[[re.Match[str], int], Any]) -> Any:
    """Read what the pattern matches; infinities are the same in every style, and ISO is read as ever."""

    def read(data: bytes) -> Any:
        text = data.decode("latin-1")
        match = pattern.fullmatch(text)
        if match is None:
            if text.lower().strip("+-") == "infinity":
                return _infinite(make, text.startswith("-"))
            raise ValueError("not in the form that DateStyle says")
        return make(match, _days(match, day_first))

    return read


def _infinite(make: Callable[[re.Match[str], int], Any], negative: bool) -> Any:
    text = "-infinity" if negative else "infinity"
    return FarDate(text) if make is _date else FarTimestamp(text)


def _days(match: re.Match[str], day_first: bool) -> int:
    part = match.groupdict()
    year = int(part["year"])
    if part.get("first") is not None:
        day, month = (part["first"], part["last"]) if day_first else (part["last"], part["first"])
    elif part.get("name") or part.get("name2"):
        name = part["name"] or part["name2"]
        if name not in _MONTHS:
            raise ValueError("unknown month")
        day, month = part["day"] or part["day2"], str(_MONTHS.index(name) + 1)
    else:
        day, month = part["day"], part["month"]
    if year == 0:
        raise ValueError("there is no year 0")
    return days_of(1 - year if part["bc"] else year, int(month), int(day))


def _date(match: re.Match[str], days: int) -> Any:
    return date_of(days)


def _moment(match: re.Match[str], days: int, zone: tzinfo | None) -> Any:
    seconds = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    micros = (days * 86400 + seconds) * 1000000 + int((match["fraction"] or "").ljust(6, "0"))
    name = match["zone"]
    if zone is None:
        if name is not None:
            raise ValueError("timestamp has no zone")
        return timestamp_of(micros, False)
    if name is None:
        raise ValueError("timestamptz has a zone")
    offset = offset_seconds(name) if name[0] in "+-" else _offset(micros, name, zone)
    return timestamp_of(micros - offset * 1000000, True)


def _zone_named(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return timezone.utc  # noqa: UP017 - then no abbreviation but UTC's is understood


def _offset(micros: int, name: str, zone: tzinfo) -> int:
    """Seconds east of UTC that an abbreviation of the zone stands for at a local time.  Errors: ValueError."""
    if name in ("UTC", "GMT"):
        return 0
    # Beyond datetime's years the calendar of a year with the same days tells the same.
    era = 0 if abs(micros) < _MILLENNIUM else micros // _ERA
    local = datetime(2000, 1, 1) + timedelta(microseconds=micros - era * _ERA)
    for fold in (0, 1):
        moment = local.replace(tzinfo=zone, fold=fold)
        offset = moment.utcoffset()
        if moment.tzname() == name and offset is not None:
            return offset // timedelta(seconds=1)
    raise ValueError(f"{name} is no name of the server's time zone at that time")
