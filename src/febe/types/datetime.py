"""date, time, timetz, timestamp and timestamptz as the classes of datetime (manual: "Date/Time Types").

What those cannot hold is a FarDate, a FarTimestamp (infinity, BC, years after 9999) or EndOfDay (24:00).  A timestamptz
is aware and in UTC.  Refused rather than changed: a naive datetime for timestamptz, an aware one for timestamp, a
datetime for date.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from struct import Struct

from febe._kernel import kinds
from febe._kernel.far import EndOfDay, FarDate, FarTimestamp
from febe.types import oids
from febe.types._codec import Registry, both, hot

_DAY = 86400000000
_TIME = Struct("!q")
_TIMETZ = Struct("!qi")
_TIME_TEXT = re.compile(rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d)(?::(\d\d))?)?)?")


def _clock(micros: int, zone: timezone | None = None) -> time | EndOfDay:
    if micros == _DAY:
        return EndOfDay(zone)
    if micros < 0 or micros > _DAY:
        raise ValueError("time outside the day")
    seconds, micros = divmod(micros, 1000000)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, micros, zone)


def _micros(value: time | EndOfDay) -> int:
    if isinstance(value, EndOfDay):
        return _DAY
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000000 + value.microsecond


def _zone(seconds: int) -> timezone:
    # A whole zone has one object, as datetime has UTC.
    return timezone(timedelta(seconds=seconds)) if seconds else UTC


def _plain(value: object) -> time | EndOfDay:
    if not isinstance(value, time | EndOfDay):
        raise TypeError(f"a time wanted, not {type(value).__name__}")
    if value.tzinfo is not None:
        raise ValueError("time wants a time without tzinfo")
    return value


def _zoned(value: object) -> tuple[time | EndOfDay, int]:
    if not isinstance(value, time | EndOfDay):
        raise TypeError(f"a time wanted, not {type(value).__name__}")
    offset = value.utcoffset()
    if offset is None:
        raise ValueError("timetz wants a time whose tzinfo has a fixed offset")
    if offset.microseconds:
        raise ValueError("timetz has no offsets with fractions of a second")
    return value, offset // timedelta(seconds=1)


def _text(value: time | EndOfDay) -> str:
    if isinstance(value, EndOfDay):
        return "24:00:00"
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


def _read(data: bytes) -> tuple[time | EndOfDay, int | None]:
    match = _TIME_TEXT.fullmatch(data)
    if match is None:
        raise ValueError("not a time in the form HH:MM:SS[.ffffff]")
    hour, minute, second = map(int, match.group(1, 2, 3))
    micro = int((match[4] or b"").ljust(6, b"0"))
    value = EndOfDay() if (hour, minute, second, micro) == (24, 0, 0, 0) else time(hour, minute, second, micro)
    if match[5] is None:
        return value, None
    seconds = int(match[6]) * 3600 + int(match[7] or 0) * 60 + int(match[8] or 0)
    return value, -seconds if match[5] == b"-" else seconds


def _decode_time_text(data: bytes) -> time | EndOfDay:
    value, offset = _read(data)
    if offset is not None:
        raise ValueError("not a time in the form HH:MM:SS[.ffffff]")
    return value


def _decode_timetz_text(data: bytes) -> time | EndOfDay:
    value, offset = _read(data)
    if offset is None:
        raise ValueError("not a time in the form HH:MM:SS[.ffffff]+HH[:MM[:SS]]")
    zone = _zone(offset)
    return EndOfDay(zone) if isinstance(value, EndOfDay) else value.replace(tzinfo=zone)


def _decode_time(data: bytes) -> time | EndOfDay:
    if len(data) != 8:
        raise ValueError(f"{len(data)} bytes are no binary time")
    return _clock(*_TIME.unpack(data))


def _decode_timetz(data: bytes) -> time | EndOfDay:
    if len(data) != 12:
        raise ValueError(f"{len(data)} bytes are no binary timetz")
    micros, west = _TIMETZ.unpack(data)
    return _clock(micros, _zone(-west))


def _encode_time_text(value: object) -> bytes:
    return _text(_plain(value)).encode()


def _encode_timetz_text(value: object) -> bytes:
    clock, offset = _zoned(value)
    minutes, seconds = divmod(abs(offset), 60)
    zone = f"{'-' if offset < 0 else '+'}{minutes // 60:02d}"
    if minutes % 60 or seconds:
        zone += f":{minutes % 60:02d}"
    if seconds:
        zone += f":{seconds:02d}"
    return (_text(clock if isinstance(clock, EndOfDay) else clock.replace(tzinfo=None)) + zone).encode()


def _encode_time(value: object) -> bytes:
    return _TIME.pack(_micros(_plain(value)))


def _encode_timetz(value: object) -> bytes:
    clock, offset = _zoned(value)
    return _TIMETZ.pack(_micros(clock), -offset)


def register(registry: Registry) -> None:
    """Add the date and time types."""
    hot(registry, oids.DATE, kinds.DATE_TEXT, date, FarDate)
    hot(registry, oids.TIMESTAMP, kinds.TIMESTAMP_TEXT)
    hot(registry, oids.TIMESTAMPTZ, kinds.TIMESTAMPTZ_TEXT, datetime, FarTimestamp)
    both(registry, oids.TIME, (_decode_time_text, _decode_time), (_encode_time_text, _encode_time), time,
         EndOfDay)  # fmt: skip
    both(
        registry, oids.TIMETZ, (_decode_timetz_text, _decode_timetz), (_encode_timetz_text, _encode_timetz)
    )
