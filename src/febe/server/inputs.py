"""What PostgreSQL reads as a date or time beyond what it writes (datetime.c, ParseDateTime, DecodeDateTime): dates
without a time and times with a zone that does not matter, as pgJDBC, Npgsql and web programs send them."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import replace

from febe._kernel.rows import decode_value
from febe.types import oids
from febe.types.registry import TYPES, Codec

_DATE = r"(?P<year>\d{4,6})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?P<fraction>\.\d{0,9})?)?"
_ZONE = r"(?!BC|AD)(?P<zone>[+-]\d{1,2}(?::?\d{2}(?::\d{2})?)?|[A-Za-z][A-Za-z_+\-0-9]*(?:/[A-Za-z_+\-0-9]+)*)?"
_END = r"(?P<era>\s+(?:BC|AD))?"
_MOMENT = re.compile(rf"\s*{_DATE}(?:(?:T|\s+){_TIME})?\s*{_ZONE}{_END}\s*", re.IGNORECASE | re.ASCII)
_OF_DAY = re.compile(rf"\s*(?:{_DATE}(?:T|\s+))?{_TIME}\s*{_ZONE}\s*", re.IGNORECASE | re.ASCII)
_EPOCH = {oids.DATE: "1970-01-01", oids.TIMESTAMP: "1970-01-01 00:00:00", oids.TIMESTAMPTZ: "1970-01-01 00:00:00+00"}


def canonical(oid: int, text: str, zone: Callable[[], str]) -> str | None:
    """The text as PostgreSQL writes it; None where it is not one of these forms.

    `zone` tells the session's time zone, which a timestamptz without one is in.
    """
    if oid in _EPOCH and text.strip().lower() == "epoch":
        return _EPOCH[oid]
    if oid in (oids.TIME, oids.TIMETZ):
        match = _OF_DAY.fullmatch(text)
        if match is None or (oid == oids.TIMETZ and not _is_offset(match["zone"])):
            return None
        time = _time(match)
        return time and time + (match["zone"] if oid == oids.TIMETZ else "")
    match = _MOMENT.fullmatch(text) if oid in _EPOCH else None
    if match is None or (match["zone"] and not _is_zone(match["zone"])):
        return None
    date = f"{match['year']}-{match['month']:0>2}-{match['day']:0>2}"
    era = " BC" if (match["era"] or "").strip().upper() == "BC" else ""
    if oid == oids.DATE:
        return date + era
    time = _time(match)
    if time is None:
        return None
    moment = f"{date} {time}"
    if oid == oids.TIMESTAMP:
        return moment + era
    offset = _offset(match["zone"] or zone(), moment)
    return None if offset is None else moment + offset + era


def lenient(oid: int, zone: Callable[[], str]) -> Codec:
    """The type's codec, which reads these forms too."""
    codec = TYPES.by_oid(oid)
    strict = codec.decode_text
    if strict is None or (oid not in _EPOCH and oid not in (oids.TIME, oids.TIMETZ)):
        return codec

    def read(data: bytes) -> object:
        try:
            return decode_value(strict, data) if isinstance(strict, int) else strict(data)
        except ValueError:
            other = canonical(oid, data.decode(errors="replace"), zone)
            if other is None:
                raise
            made = other.encode()
            return decode_value(strict, made) if isinstance(strict, int) else strict(made)

    return replace(codec, decode_text=read)


def _time(match: re.Match[str]) -> str | None:
    if match["hour"] is None:
        return "00:00:00"
    micros = round(float("0" + (match["fraction"] or "")) * 1_000_000)
    if micros == 1_000_000:  # the next second is not worth the carrying
        return None
    whole = f"{match['hour']:0>2}:{match['minute']:0>2}:{match['second'] or '00':0>2}"
    return f"{whole}.{micros:06}" if micros else whole


def _is_offset(zone: str | None) -> bool:
    return bool(zone) and zone[0] in "+-"  # type: ignore[index]


def _is_zone(zone: str) -> bool:
    return _is_offset(zone) or _found(zone) is not None


def _found(zone: str) -> datetime.tzinfo | None:
    if zone.upper() in ("Z", "UTC", "GMT", "ZULU"):
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _offset(zone: str, moment: str) -> str | None:
    """The offset from UTC that a zone has then."""
    if _is_offset(zone):
        return zone
    found = _found(zone)
    if found is None:
        return None
    try:
        offset = datetime.datetime.fromisoformat(moment[:19]).replace(tzinfo=found).utcoffset()
    except ValueError:  # 24:00, or a year that Python does not have
        return "+00" if found is datetime.UTC else None
    assert offset is not None
    seconds = round(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{rest // 60:02}" + (f":{rest % 60:02}" if rest % 60 else "")
