# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Values in text format to Python: the spellings PostgreSQL prints; any other goes to `parse`."""

from __future__ import annotations

from datetime import timezone
from decimal import Decimal

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import parse

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.cpython.datetime import date_new, datetime_new, import_datetime
    from cython.cimports.febe._kernel.binary import new_uuid, utf8
    from cython.cimports.febe._kernel.wire import PyOS_string_to_double

    import_datetime()

_UTC = timezone.utc  # noqa: UP017 - the C API's object
_DECIMAL = Decimal
_LOW: cython.longlong = -0x7FFFFFFFFFFFFFFF - 1  # no literal in C


@cython.cfunc
def bool_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size == 1:
        if data[pos] == 116:
            return True
        if data[pos] == 102:
            return False
    return parse.parse_bool(data[pos : pos + size])


@cython.cfunc
def _int(
    data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t, low: cython.longlong, high: cython.longlong
) -> object:
    if cython.compiled:
        # Up to 18 digits cannot overflow; the rest, and every odd spelling, goes the long way.
        at: cython.Py_ssize_t = pos
        stop: cython.Py_ssize_t = pos + size
        value: cython.longlong = 0
        digit: cython.int
        if 0 < size <= 18:
            if data[at] == 45:
                at += 1
            if at < stop:
                while at < stop:
                    digit = data[at] - 48
                    if digit < 0 or digit > 9:
                        break
                    value = value * 10 + digit
                    at += 1
                else:
                    if data[pos] == 45:
                        value = -value
                    if low <= value <= high:
                        return value
    return parse.parse_int(data[pos : pos + size], low, high)


@cython.cfunc
def int2_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, -0x8000, 0x7FFF)


@cython.cfunc
def int4_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, -0x80000000, 0x7FFFFFFF)


@cython.cfunc
def int8_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, _LOW, 0x7FFFFFFFFFFFFFFF)


@cython.cfunc
def oid_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, 0, 0xFFFFFFFF)


@cython.cfunc
def float4_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return parse.parse_float4(data[pos : pos + size])


@cython.cfunc
def float8_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        start: cython.p_char = PyBytes_AS_STRING(data) + pos
        end: cython.p_char = start
        value: cython.double
        # A bytes object ends in a NUL, so the reader stops; what it does not read to the end goes the long way.
        if size and (48 <= start[0] <= 57 or (start[0] == 45 and size > 1 and 48 <= start[1] <= 57)):
            value = PyOS_string_to_double(start, cython.address(end), cython.NULL)
            if end == start + size and value != 0.0 and value - value == 0.0:
                return value
    return parse.parse_float(data[pos : pos + size])


@cython.cfunc
def bytea_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return parse.parse_bytea(data[pos : pos + size])


@cython.cfunc
def _digits(data: bytes, pos: cython.Py_ssize_t, width: cython.int) -> cython.int:
    """Read `width` decimal digits; negative when there are others among them."""
    value: cython.int = 0
    digit: cython.int
    at: cython.Py_ssize_t
    for at in range(pos, pos + width):
        digit = data[at] - 48
        if digit < 0 or digit > 9:
            return -1000000
        value = value * 10 + digit
    return value


@cython.cfunc
def date_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled and size == 10 and data[pos + 4] == 45 and data[pos + 7] == 45:
        year: cython.int = _digits(data, pos, 4)
        month: cython.int = _digits(data, pos + 5, 2)
        day: cython.int = _digits(data, pos + 8, 2)
        if year > 0 and 0 < month < 13 and 0 < day < 29:
            return date_new(year, month, day)
    return parse.parse_date(data[pos : pos + size])


@cython.cfunc
def _clock_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t, zone: object) -> object:
    """Read `YYYY-MM-DD HH:MM:SS[.ffffff]` of exactly this size; None for any other form."""
    year: cython.int
    month: cython.int
    day: cython.int
    hour: cython.int
    minute: cython.int
    second: cython.int
    micros: cython.int = 0
    width: cython.int
    if size != 19 and (size < 21 or size > 26 or data[pos + 19] != 46):
        return None
    if data[pos + 4] != 45 or data[pos + 7] != 45 or data[pos + 10] != 32:
        return None
    if data[pos + 13] != 58 or data[pos + 16] != 58:
        return None
    year = _digits(data, pos, 4)
    month = _digits(data, pos + 5, 2)
    day = _digits(data, pos + 8, 2)
    hour = _digits(data, pos + 11, 2)
    minute = _digits(data, pos + 14, 2)
    second = _digits(data, pos + 17, 2)
    if size > 19:
        width = size - 20
        micros = _digits(data, pos + 20, width)
        while width < 6 and micros > 0:
            micros *= 10
            width += 1
    if (
        year < 1 or month < 1 or month > 12 or day < 1 or day > 28
        or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59 or micros < 0
    ):  # fmt: skip
        return None  # a 29th, 30th or 31st may not exist
    return datetime_new(year, month, day, hour, minute, second, micros, zone)


@cython.cfunc
def timestamp_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        value = _clock_text(data, pos, size, None)
        if value is not None:
            return value
    return parse.parse_timestamp(data[pos : pos + size])


@cython.cfunc
def timestamptz_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        end: cython.Py_ssize_t = pos + size
        if size > 20 and data[end - 3] == 43 and data[end - 2] == 48 and data[end - 1] == 48:
            value = _clock_text(data, pos, size - 3, _UTC)
            if value is not None:
                return value
    return parse.parse_timestamptz(data[pos : pos + size])


@cython.cfunc
def numeric_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        at: cython.Py_ssize_t
        points: cython.int = 0
        digits: cython.int = 0
        for at in range(pos, pos + size):
            if 48 <= data[at] <= 57:
                digits += 1
            elif data[at] == 46:
                points += 1
            elif data[at] != 45 or at > pos:
                points = 2
            if points > 1:
                break
        if digits and points <= 1:
            return _DECIMAL(utf8(data, pos, size))
    return parse.parse_numeric(data[pos : pos + size])


@cython.cfunc
def uuid_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled and size == 36:
        out = cython.declare(cython.char[16])
        at: cython.Py_ssize_t = pos
        n: cython.int
        digit: cython.int
        for n in range(32):
            if n == 8 or n == 12 or n == 16 or n == 20:
                if data[at] != 45:
                    break
                at += 1
            digit = data[at]
            if 48 <= digit <= 57:
                digit -= 48
            elif 97 <= digit <= 102:
                digit -= 87
            else:
                break
            out[n >> 1] = digit if n & 1 == 0 else out[n >> 1] << 4 | digit
            at += 1
        else:
            return new_uuid(out)
    return parse.parse_uuid(data[pos : pos + size])
