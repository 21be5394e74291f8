"""interval as Interval: months, days and microseconds apart, as PostgreSQL keeps them (manual: "Interval Input").

Text is read in all four values of IntervalStyle and written in the default, `postgres`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import total_ordering
from operator import itemgetter
from struct import Struct
from typing import Any

from febe.types import oids
from febe.types._codec import Registry, both

_BINARY = Struct("!qii")
_INT32, _INT64 = 0x7FFFFFFF, 0x7FFFFFFFFFFFFFFF
_SECOND, _DAY = 1000000, 86400000000
_MICROSECOND = timedelta(microseconds=1)


@total_ordering
class Interval(tuple[int, int, int]):
    """A span of months, days and microseconds; `Interval.INFINITY` and `-Interval.INFINITY` are without end.

    Equal when all three parts are.  Ordered as PostgreSQL orders: a month counts as 30 days, a day as 24 hours; spans
    that are as long by that count are ordered by their parts.
    """

    __slots__ = ()
    INFINITY: Interval

    def __new__(cls, months: int = 0, days: int = 0, microseconds: int = 0) -> Interval:
        """Errors: OverflowError where a part exceeds PostgreSQL's."""
        if not (-_INT32 - 1 <= months <= _INT32 and -_INT32 - 1 <= days <= _INT32
                and -_INT64 - 1 <= microseconds <= _INT64):  # fmt: skip
            raise OverflowError("interval out of range")
        return tuple.__new__(cls, (months, days, microseconds))

    months: Any = property(itemgetter(0), doc="Months; a year is 12 of them.")
    days: Any = property(itemgetter(1), doc="Days, of whatever length.")
    microseconds: Any = property(itemgetter(2), doc="Microseconds, 24 hours or more among them.")

    @classmethod
    def of(cls, span: timedelta) -> Interval:
        """Give the days and the time of a timedelta."""
        return cls(0, span.days, span.seconds * _SECOND + span.microseconds)

    @property
    def is_infinite(self) -> bool:
        """Whether it is `infinity` or `-infinity`."""
        return self in (_POSITIVE, _NEGATIVE)

    def timedelta(self, *, days_per_month: int | None = None) -> timedelta:
        """Give the timedelta in which a day has 24 hours.

        Errors: OverflowError when it is infinite or too long; ValueError when it has months and nobody says how many
        days those have.
        """
        if self.is_infinite:
            raise OverflowError("timedelta has no infinity")
        if self.months and days_per_month is None:
            raise ValueError(f"{self!r} has months, whose length is not known: say days_per_month")
        return timedelta(self.days + self.months * (days_per_month or 0), 0, self.microseconds)

    def _span(self) -> tuple[int, int, int]:
        if self.is_infinite:
            return (1 if self == _POSITIVE else -1) << 70, 0, 0
        return (self.months * 30 + self.days) * _DAY + self.microseconds, self.months, self.days

    def __eq__(self, other: object) -> bool:
        return type(other) is Interval and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        return self._span() < other._span() if isinstance(other, Interval) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._span() <= other._span() if isinstance(other, Interval) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._span() > other._span() if isinstance(other, Interval) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._span() >= other._span() if isinstance(other, Interval) else NotImplemented

    __hash__ = tuple.__hash__

    def __bool__(self) -> bool:
        return tuple.__ne__(self, (0, 0, 0))

    def __neg__(self) -> Interval:
        if self.is_infinite:
            return _NEGATIVE if self == _POSITIVE else _POSITIVE
        return Interval(-self.months, -self.days, -self.microseconds)

    def __add__(self, other: object) -> Interval:
        if isinstance(other, timedelta):
            other = Interval.of(other)
        if not isinstance(other, Interval):
            return NotImplemented
        if self.is_infinite or other.is_infinite:
            if self.is_infinite and other.is_infinite and self != other:
                raise OverflowError("interval out of range")
            return self if self.is_infinite else other
        return Interval(self.months + other.months, self.days + other.days, self.microseconds + other.microseconds)

    def __sub__(self, other: object) -> Interval:
        if not isinstance(other, Interval | timedelta):
            return NotImplemented
        return self + -other

    def __mul__(self, factor: object) -> Interval:
        return NotImplemented

    __rmul__ = __mul__

    def __repr__(self) -> str:
        if self.is_infinite:
            return "Interval.INFINITY" if self == _POSITIVE else "-Interval.INFINITY"
        parts = zip(("months", "days", "microseconds"), self, strict=True)
        return f"Interval({', '.join(f'{name}={value}' for name, value in parts if value)})"

    def __str__(self) -> str:
        return _write(self)

    def __getnewargs__(self) -> tuple[int, int, int]:
        return self.months, self.days, self.microseconds


_POSITIVE = Interval(_INT32, _INT32, _INT64)
_NEGATIVE = Interval(-_INT32 - 1, -_INT32 - 1, -_INT64 - 1)
Interval.INFINITY = _POSITIVE


def _write(value: Interval) -> str:
    """Print as EncodeInterval does with IntervalStyle postgres."""
    months, days, micros = tuple(value)
    if value.is_infinite:
        return "infinity" if micros > 0 else "-infinity"
    years, months = (abs(months) // 12, abs(months) % 12) if months >= 0 else (-(-months // 12), -(-months % 12))
    parts: list[str] = []
    before = False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number:
            parts.append(f"{'+' if before and number > 0 else ''}{number} {unit}{'' if number == 1 else 's'}")
            before = number < 0
    if micros or not parts:
        seconds, fraction = divmod(abs(micros), _SECOND)
        sign = "-" if micros < 0 else "+" if before else ""
        clock = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        parts.append(f"{clock}.{fraction:06d}".rstrip("0") if fraction else clock)
    return " ".join(parts)


_MONTHS = {"year": 12, "mon": 1, "month": 1, "decade": 120, "century": 1200, "centurie": 1200, "millennium": 12000}
_DAYS = {"day": 1, "week": 7}
_MICROS = {"hour": 3600 * _SECOND, "min": 60 * _SECOND, "minute": 60 * _SECOND, "sec": _SECOND, "second": _SECOND,
           "msec": 1000, "millisecond": 1000, "usec": 1, "microsecond": 1}  # fmt: skip
_CLOCK = r"(?P<sign>[+-]?)(?P<hours>\d{1,10}):(?P<minutes>\d\d)(?::(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?"
_WORDS = re.compile(
    rf"\s*(?:(?P<number>[+-]?\d{{1,20}})(?P<decimals>\.\d{{1,6}})? *(?P<unit>[a-z]+)|{_CLOCK})", re.ASCII
)  # fmt: skip
_STANDARD = re.compile(
    r"(?:(?P<ysign>[+-]?)(?P<years>\d{1,10})-(?P<months>\d{1,2}))?"
    r"(?:(?:^| )(?P<dsign>[+-]?)(?P<days>\d{1,10})(?= ))?"
    rf"(?:(?:^| ){_CLOCK})?", re.ASCII
)  # fmt: skip
_ISO = re.compile(
    r"P(?:(?P<years>-?\d{1,10})Y)?(?:(?P<months>-?\d{1,10})M)?(?:(?P<weeks>-?\d{1,10})W)?(?:(?P<days>-?\d{1,10})D)?"
    r"(?:T(?:(?P<hours>-?\d{1,10})H)?(?:(?P<minutes>-?\d{1,20})M)?"
    r"(?:(?P<sign>-?)(?P<seconds>\d{1,20})(?:\.(?P<fraction>\d{1,6}))?S)?)?", re.ASCII
)  # fmt: skip


def _clock(match: re.Match[str], negative: bool = False) -> int:
    micros = int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"] or 0)
    micros = micros * _SECOND + int((match["fraction"] or "").ljust(6, "0"))
    return -micros if negative or match["sign"] == "-" else micros


def parse(text: str) -> Interval:
    """Read an interval in any IntervalStyle.  Errors: ValueError."""
    word = text.strip().lower()
    if word in ("infinity", "+infinity"):
        return _POSITIVE
    if word == "-infinity":
        return _NEGATIVE
    try:
        if word.startswith("p"):
            return _read_iso(word.upper())
        return _read_words(word) if re.search("[a-z@]", word) else _read_standard(word)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def _read_iso(text: str) -> Interval:
    match = _ISO.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        raise ValueError("invalid text for interval")
    part = {name: int(value or 0) for name, value in match.groupdict().items() if name not in ("sign", "fraction")}
    seconds = part["seconds"] * _SECOND + int((match["fraction"] or "").ljust(6, "0"))
    return Interval(part["years"] * 12 + part["months"], part["weeks"] * 7 + part["days"],
                    (part["hours"] * 60 + part["minutes"]) * 60 * _SECOND
                    + (-seconds if match["sign"] else seconds))  # fmt: skip


def _read_words(text: str) -> Interval:
    ago = text.endswith(" ago")
    text = text.removeprefix("@").removesuffix(" ago").strip()
    months = days = micros = at = 0
    while at < len(text):
        match = _WORDS.match(text, at)
        if match is None:
            if text[at:].strip() == "0":
                break
            raise ValueError("invalid text for interval")
        at = match.end()
        if match["unit"] is None:
            micros += _clock(match)
            continue
        number, unit = int(match["number"]), match["unit"]
        unit = unit if unit in _MICROS or unit in _MONTHS else unit.removesuffix("s")
        if unit in _MICROS:
            part = int((match["decimals"] or ".")[1:].ljust(6, "0")) * (-1 if match["number"][0] == "-" else 1)
            if part and unit not in ("sec", "second"):
                raise ValueError("a fraction of something other than a second")
            micros += number * _MICROS[unit] + part
        elif match["decimals"]:
            raise ValueError("a fraction of something other than a second")
        elif unit in _MONTHS:
            months += number * _MONTHS[unit]
        elif unit in _DAYS:
            days += number * _DAYS[unit]
        else:
            raise ValueError("invalid text for interval")
    return Interval(-months, -days, -micros) if ago else Interval(months, days, micros)


def _read_standard(text: str) -> Interval:
    if text == "0":
        return Interval()
    match = _STANDARD.fullmatch(text)
    if not text or match is None:
        raise ValueError("invalid text for interval")
    months = 0 if match["years"] is None else int(match["years"]) * 12 + int(match["months"])
    days = int(match["days"] or 0)
    # A sign before the days is the time's too, unless that has its own.
    negative = match["dsign"] == "-" and match["sign"] == ""
    micros = 0 if match["hours"] is None else _clock(match, negative)
    return Interval(-months if match["ysign"] == "-" else months, -days if match["dsign"] == "-" else days, micros)


def _value(value: object) -> Interval:
    if isinstance(value, Interval):
        return value
    if isinstance(value, timedelta):
        return Interval.of(value)
    raise TypeError(f"an Interval or a timedelta wanted, not {type(value).__name__}")


def _decode_text(data: bytes) -> Interval:
    return parse(data.decode())


def _decode_binary(data: bytes) -> Interval:
    if len(data) != 16:
        raise ValueError(f"{len(data)} bytes are no binary interval")
    micros, days, months = _BINARY.unpack(data)
    return tuple.__new__(Interval, (months, days, micros))


def _encode_text(value: object) -> bytes:
    return _write(_value(value)).encode()


def _encode_binary(value: object) -> bytes:
    months, days, micros = _value(value)
    return _BINARY.pack(micros, days, months)


def register(registry: Registry) -> None:
    """Add interval."""
    both(registry, oids.INTERVAL, (_decode_text, _decode_binary), (_encode_text, _encode_binary), Interval, timedelta)
