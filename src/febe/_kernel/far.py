"""Days and moments that Python's own classes do not reach: infinity, BC, the years after 9999, and the hour 24.

Never compiled.  Both kernels come here with what datetime cannot hold (manual: "Date/Time Types").
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from functools import total_ordering
from typing import Any, ClassVar, TypeAlias

# Under other names, because the classes below have methods of these.
Date: TypeAlias = date
Datetime: TypeAlias = datetime
Time: TypeAlias = time

_UTC = timezone.utc  # noqa: UP017 - the C API's object
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_EPOCH = datetime(2000, 1, 1)
_DAY = 86400000000
_MICROSECOND = timedelta(microseconds=1)
# timestamp.h: dates from Julian day 0 to the end of 5874897, timestamps to the end of 294276.
FIRST_DAY, LAST_DAY = -2451545, 2145031948
FIRST_MICRO, LAST_MICRO = -211813488000000000, 9223371331200000000 - 1
_DATES = range(1 - _EPOCH_DAY, date.max.toordinal() - _EPOCH_DAY + 1)

_TEXT = re.compile(
    r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[ T](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?"
    r"(?: ?(?P<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))?)?(?P<bc> BC)?", re.ASCII
)  # fmt: skip


def days_of(year: int, month: int, day: int) -> int:
    """Count the days from 2000-01-01; the year before 1 is 0.  Errors: ValueError for a day that is not."""
    # A year whose calendar is the same and that datetime knows.
    try:
        same = date(year % 400 + 400, month, day)
    except ValueError:
        raise ValueError("day is out of range for month") from None
    return same.toordinal() - _EPOCH_DAY + (year // 400 - 1) * 146097


def civil(days: int) -> tuple[int, int, int]:
    """Give year, month and day of days since 2000-01-01."""
    era, rest = divmod(days + _EPOCH_DAY - 1, 146097)
    same = date.fromordinal(rest + 1 + 146097)
    return same.year - 400 + era * 400, same.month, same.day


@total_ordering
class _Far:
    """What FarDate and FarTimestamp share: a number (days or microseconds since 2000), compared with datetime's own."""

    __slots__ = ("_at",)
    _at: int
    _usual: ClassVar[type]
    _infinity: ClassVar[int]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    @classmethod
    def _made(cls, at: int, *rest: object) -> Any:
        made = object.__new__(cls)
        object.__setattr__(made, "_at", at)
        return made

    def _of(self, other: object) -> int | None:
        """The number of a value that can be compared with this one."""
        return other._at if type(other) is type(self) else None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._at == self._at

    def __lt__(self, other: object) -> bool:
        at = self._of(other)
        return NotImplemented if at is None else self._at < at

    def __hash__(self) -> int:
        return hash((type(self), self._at))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)

    @property
    def is_infinite(self) -> bool:
        """Whether it is `infinity` or `-infinity`."""
        return self._at in (self._infinity, -self._infinity - 1)

    def isoformat(self) -> str:
        """Give it as PostgreSQL prints it."""
        return str(self)

    def _infinite(self) -> str | None:
        return ("infinity" if self._at > 0 else "-infinity") if self.is_infinite else None


class FarDate(_Far):
    """A date that `datetime.date` cannot hold: `FarDate("infinity")`, `FarDate("0044-03-15 BC")`.

    Comparable with `datetime.date`, and never equal to one.
    """

    __slots__ = ()
    _usual = date
    _infinity = 0x7FFFFFFF

    def __new__(cls, text: str) -> FarDate:
        """Read PostgreSQL's ISO form.  Errors: ValueError, also for a day that `datetime.date` holds."""
        made = read_date(text.encode())
        if not isinstance(made, FarDate):
            raise ValueError(f"datetime.date holds {text}")
        return made

    def _of(self, other: object) -> int | None:
        if isinstance(other, date) and not isinstance(other, datetime):
            return other.toordinal() - _EPOCH_DAY
        return super()._of(other)

    @property
    def days(self) -> int:
        """Days since 2000-01-01.  Errors: OverflowError for infinity."""
        if self.is_infinite:
            raise OverflowError("infinity is no number of days")
        return self._at

    @property
    def year(self) -> int:
        """The year; 0 is 1 BC, -1 is 2 BC.  Errors: OverflowError for infinity."""
        return civil(self.days)[0]

    @property
    def month(self) -> int:
        """The month, from 1.  Errors: OverflowError for infinity."""
        return civil(self.days)[1]

    @property
    def day(self) -> int:
        """The day of the month, from 1.  Errors: OverflowError for infinity."""
        return civil(self.days)[2]

    def date(self) -> date:
        """Refuse: no `datetime.date` is this day.  Errors: OverflowError, always."""
        raise OverflowError(f"datetime.date cannot hold {self}; clamp() gives the nearest that it can")

    def clamp(self) -> Date:
        """Give the nearest day that `datetime.date` holds: its `min` or its `max`."""
        return date.max if self._at > 0 else date.min

    def __str__(self) -> str:
        return self._infinite() or _date_text(self._at)


class FarTimestamp(_Far):
    """A moment that `datetime.datetime` cannot hold, such as `FarTimestamp("10000-01-01 00:00:00+00")`.

    With an offset it is a timestamptz, without one a timestamp; infinity is both.  Comparable with `datetime.datetime`,
    and never equal to one.
    """

    __slots__ = ("_aware",)
    _usual = datetime
    _infinity = 0x7FFFFFFFFFFFFFFF
    _aware: bool | None

    def __new__(cls, text: str) -> FarTimestamp:
        """Read PostgreSQL's ISO form.  Errors: ValueError, also for a moment that `datetime.datetime` holds."""
        made = read_timestamp(text.encode(), None)
        if not isinstance(made, FarTimestamp):
            raise ValueError(f"datetime.datetime holds {text}")
        return made

    @classmethod
    def _made(cls, at: int, *rest: object) -> Any:
        made = super()._made(at)
        object.__setattr__(made, "_aware", None if made.is_infinite else rest[0])
        return made

    def _of(self, other: object) -> int | None:
        if isinstance(other, datetime):
            offset = other.utcoffset()
            self._check((offset is not None,))
            since = (other.replace(tzinfo=None) - _EPOCH) // _MICROSECOND
            return since if offset is None else since - offset // _MICROSECOND
        if isinstance(other, FarTimestamp):
            self._check((None, other._aware) if other._aware is None else (other._aware,))
        return super()._of(other)

    def _check(self, aware: tuple[bool | None, ...]) -> None:
        if self._aware is not None and None not in aware and self._aware not in aware:
            raise TypeError("can't compare timestamps with and without a zone")

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self._aware == other._aware  # type: ignore[attr-defined]

    __hash__ = _Far.__hash__

    @property
    def is_aware(self) -> bool | None:
        """Whether it is a timestamptz; None: infinity, which is both."""
        return self._aware

    @property
    def microseconds(self) -> int:
        """Microseconds since 2000-01-01, of a timestamptz in UTC.  Errors: OverflowError for infinity."""
        if self.is_infinite:
            raise OverflowError("infinity is no number of microseconds")
        return self._at

    @property
    def year(self) -> int:
        """The year (in UTC); 0 is 1 BC, -1 is 2 BC.  Errors: OverflowError for infinity."""
        return civil(self.microseconds // _DAY)[0]

    @property
    def month(self) -> int:
        """The month, from 1.  Errors: OverflowError for infinity."""
        return civil(self.microseconds // _DAY)[1]

    @property
    def day(self) -> int:
        """The day of the month, from 1.  Errors: OverflowError for infinity."""
        return civil(self.microseconds // _DAY)[2]

    def time(self) -> time:
        """Give the time of the day (in UTC).  Errors: OverflowError for infinity."""
        return (_EPOCH + timedelta(microseconds=self.microseconds % _DAY)).time()

    def datetime(self) -> datetime:
        """Refuse: no `datetime.datetime` is this moment.  Errors: OverflowError, always."""
        raise OverflowError(f"datetime.datetime cannot hold {self}; clamp() gives the nearest that it can")

    def clamp(self, tz: tzinfo | None = None) -> Datetime:
        """Give the nearest moment that `datetime.datetime` holds: its `min` or its `max`.

        It is in UTC for a timestamptz; `tz` decides for infinity, which does not say.
        """
        nearest = datetime.max if self._at > 0 else datetime.min
        return nearest.replace(tzinfo=_UTC if self._aware else tz)

    def __str__(self) -> str:
        infinite = self._infinite()
        if infinite is not None:
            return infinite
        days, micros = divmod(self._at, _DAY)
        day = _date_text(days)
        clock = (_EPOCH + timedelta(microseconds=micros)).time().isoformat()
        if micros % 1000000:
            clock = clock.rstrip("0")
        return f"{day.removesuffix(' BC')} {clock}{'+00' if self._aware else ''}{' BC' if day.endswith(' BC') else ''}"


@total_ordering
class EndOfDay:
    """The time 24:00, later than every `datetime.time`; with `tzinfo` (a fixed offset) it is a timetz."""

    __slots__ = ("_tzinfo",)
    _tzinfo: timezone | None

    def __init__(self, tzinfo: timezone | None = None) -> None:
        object.__setattr__(self, "_tzinfo", tzinfo)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("EndOfDay cannot be changed")

    @property
    def tzinfo(self) -> timezone | None:
        """The offset of a timetz."""
        return self._tzinfo

    def utcoffset(self) -> timedelta | None:
        """Give the offset from UTC; None for a time without one."""
        return None if self._tzinfo is None else self._tzinfo.utcoffset(None)

    def time(self) -> time:
        """Refuse: `datetime.time` ends before 24:00.  Errors: OverflowError, always."""
        raise OverflowError("datetime.time cannot hold 24:00; clamp() gives the last microsecond before it")

    def clamp(self) -> Time:
        """Give the last time of the day that `datetime.time` holds."""
        return time.max.replace(tzinfo=self._tzinfo)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EndOfDay) and other.utcoffset() == self.utcoffset()

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, EndOfDay | time):
            return NotImplemented
        mine, theirs = self.utcoffset(), other.utcoffset()
        if (mine is None) != (theirs is None):
            raise TypeError("can't compare times with and without a zone")
        if mine is None or theirs is None:
            return False
        # timetz compares the moment in UTC first (date.c, timetz_cmp_internal)
        clock = 86400000000 if isinstance(other, EndOfDay) else _clock_micros(other)
        return (_DAY - mine // _MICROSECOND, -mine) < (clock - theirs // _MICROSECOND, -theirs)

    def __hash__(self) -> int:
        return hash((EndOfDay, self.utcoffset()))

    def __repr__(self) -> str:
        return "EndOfDay()" if self._tzinfo is None else f"EndOfDay({self._tzinfo!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return EndOfDay, (self._tzinfo,)


def _clock_micros(value: time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000000 + value.microsecond


def _date_text(days: int) -> str:
    year, month, day = civil(days)
    return f"{year:04d}-{month:02d}-{day:02d}" if year > 0 else f"{1 - year:04d}-{month:02d}-{day:02d} BC"


def date_of(days: int) -> date | FarDate:
    """Make a day of days since 2000-01-01.  Errors: ValueError outside PostgreSQL's range."""
    if days in _DATES:
        return date.fromordinal(days + _EPOCH_DAY)
    if (days < FIRST_DAY or days > LAST_DAY) and days not in (0x7FFFFFFF, -0x80000000):
        raise ValueError("date out of range")
    made: FarDate = FarDate._made(days)
    return made


def timestamp_of(micros: int, aware: bool) -> datetime | FarTimestamp:
    """Make a moment of microseconds since 2000-01-01.  Errors: ValueError outside PostgreSQL's range."""
    if micros // _DAY in _DATES:
        moment = _EPOCH + timedelta(0, 0, micros)
        return moment.replace(tzinfo=_UTC) if aware else moment
    if (micros < FIRST_MICRO or micros > LAST_MICRO) and micros not in (0x7FFFFFFFFFFFFFFF, -0x8000000000000000):
        raise ValueError("timestamp out of range")
    made: FarTimestamp = FarTimestamp._made(micros, aware)
    return made


_INFINITIES = {b"infinity": 1, b"+infinity": 1, b"-infinity": 0}


def read_date(raw: bytes) -> date | FarDate:
    """Read a date in ISO form.  Errors: ValueError."""
    positive = _INFINITIES.get(raw.lower())
    if positive is not None:
        return date_of(0x7FFFFFFF if positive else -0x80000000)
    match = _TEXT.fullmatch(raw.decode("latin-1"))
    if match is None or match["hour"] is not None:
        raise ValueError("not a date in the form YYYY-MM-DD")
    return date_of(_days(match))


def read_timestamp(raw: bytes, aware: bool | None) -> datetime | FarTimestamp:
    """Read a moment in ISO form; `aware` says whether it has an offset from UTC, None: the text does.

    Errors: ValueError.
    """
    positive = _INFINITIES.get(raw.lower())
    if positive is not None:
        return timestamp_of(0x7FFFFFFFFFFFFFFF if positive else -0x8000000000000000, bool(aware))
    match = _TEXT.fullmatch(raw.decode("latin-1"))
    if match is None or match["hour"] is None or (aware is not None and (match["zone"] is not None) != aware):
        raise ValueError(f"not a timestamp in the form YYYY-MM-DD HH:MM:SS[.ffffff]{'+HH[:MM[:SS]]' if aware else ''}")
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("time of the day out of range")
    micros = (_days(match) * 86400 + hour * 3600 + minute * 60 + second) * 1000000
    micros += int((match["fraction"] or "").ljust(6, "0"))
    zone = match["zone"]
    return timestamp_of(micros - (0 if zone is None else offset_seconds(zone) * 1000000), zone is not None)


def _days(match: re.Match[str]) -> int:
    year = int(match["year"])
    if year == 0:
        raise ValueError("there is no year 0")
    return days_of(1 - year if match["bc"] else year, int(match["month"]), int(match["day"]))


def offset_seconds(zone: str) -> int:
    """Read `Z` or `+HH[:MM[:SS]]`.  Errors: ValueError beyond 15:59:59 (datetime.h, MAX_TZDISP_HOUR)."""
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)
    if hours > 15 or minutes > 59 or seconds > 59:
        raise ValueError("UTC offset out of range")
    offset = hours * 3600 + minutes * 60 + seconds
    return -offset if zone[0] == "-" else offset
