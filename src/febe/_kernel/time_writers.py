# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Dates and moments to bytes in both formats; text is of DateStyle ISO and TimeZone UTC (EncodeDateTime)."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from struct import Struct

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.errors import unfit
from febe._kernel.far import FarDate, FarTimestamp, timestamp_of

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
    from cython.cimports.cpython.datetime import (
        PyDateTime_CheckExact,
        date_day,
        date_month,
        date_year,
        datetime_hour,
        datetime_microsecond,
        datetime_minute,
        datetime_second,
        datetime_tzinfo,
        import_datetime,
    )
    from cython.cimports.febe._kernel.wire import put32

    import_datetime()
else:
    from febe._kernel.wire import put32

COMPILED: bool = cython.compiled

_INT4, _INT8 = Struct("!i").pack, Struct("!q").pack
_DAY_2000 = date(2000, 1, 1).toordinal()
_EPOCH = datetime(2000, 1, 1)
_UTC = timezone.utc  # noqa: UP017 - the C API's object
_MICROSECOND = timedelta(microseconds=1)


def _day(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise unfit("a date", value)
    return value


@cython.cfunc
def date_text(value: object) -> bytes:
    if type(value) is FarDate:
        return str(value).encode()
    return _day(value).isoformat().encode()


@cython.cfunc
@cython.exceptval(check=False)
def _days(year: cython.longlong, month: cython.longlong, day: cython.longlong) -> cython.longlong:
    """Count days from 2000-01-01 to a day of the years 1 to 9999; see _civil in binary.py."""
    if month > 2:
        month -= 3
    else:
        month += 9
        year -= 1
    era: cython.longlong = year // 400
    of_era: cython.longlong = year - era * 400
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 1 - 730425


@cython.cfunc
def date_binary(value: object) -> bytes:
    if type(value) is FarDate:
        return _INT4(value._at)
    day = _day(value)
    if cython.compiled:
        out = cython.declare(cython.uchar[4])
        put32(out, 0, _days(date_year(day), date_month(day), date_day(day)))
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, out), 4)
    return _INT4(day.toordinal() - _DAY_2000)


def _moment(value: object, aware: bool) -> datetime | FarTimestamp:
    """Give the naive datetime that is sent: in UTC for a timestamptz."""
    if isinstance(value, FarTimestamp):
        if value.is_aware is not None and value.is_aware != aware:
            raise ValueError(f"timestamp{'tz wants one with' if aware else ' wants one without'} an offset from UTC")
        return value
    if not isinstance(value, datetime):
        raise unfit("a datetime", value)
    zone = value.tzinfo
    if aware:
        offset = None if zone is None else value.utcoffset()
        if offset is None:
            raise ValueError("timestamptz wants a datetime with tzinfo")
        value = value.replace(tzinfo=None)
        try:
            return value - offset if offset else value
        except OverflowError:  # the moment is outside the years 1 to 9999 in UTC
            return timestamp_of((value - _EPOCH) // _MICROSECOND - offset // _MICROSECOND, True)
    if zone is not None and value.utcoffset() is not None:
        raise ValueError("timestamp wants a datetime without tzinfo")
    return value if zone is None else value.replace(tzinfo=None)


def _stamp(value: object, aware: bool) -> bytes:
    moment = _moment(value, aware)
    if isinstance(moment, FarTimestamp):
        return str(moment).encode()
    text = moment.isoformat(" ")
    if moment.microsecond:
        text = text.rstrip("0")
    return (text + "+00" if aware else text).encode()


def _micros(value: object, aware: bool) -> bytes:
    moment = _moment(value, aware)
    if isinstance(moment, FarTimestamp):
        return _INT8(moment._at)
    return _INT8((moment - _EPOCH) // _MICROSECOND)


@cython.cfunc
def _clock(value: object) -> bytes:
    """Encode the fields of a datetime, whatever its zone."""
    out = cython.declare(cython.uchar[8])
    seconds: cython.longlong = _days(date_year(value), date_month(value), date_day(value)) * 86400
    seconds += datetime_hour(value) * 3600 + datetime_minute(value) * 60 + datetime_second(value)
    micros: cython.longlong = seconds * 1000000 + datetime_microsecond(value)
    put32(out, 0, cython.cast(cython.int, micros >> 32))
    put32(out, 4, cython.cast(cython.int, micros))
    return PyBytes_FromStringAndSize(cython.cast(cython.p_char, out), 8)


@cython.cfunc
def timestamp_text(value: object) -> bytes:
    return _stamp(value, False)


@cython.cfunc
def timestamp_binary(value: object) -> bytes:
    if cython.compiled and PyDateTime_CheckExact(value) and datetime_tzinfo(value) is None:
        return _clock(value)
    return _micros(value, False)


@cython.cfunc
def timestamptz_text(value: object) -> bytes:
    return _stamp(value, True)


@cython.cfunc
def timestamptz_binary(value: object) -> bytes:
    if cython.compiled and PyDateTime_CheckExact(value) and datetime_tzinfo(value) is _UTC:
        return _clock(value)
    return _micros(value, True)
