# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"

"""Numbers, dates and times in their usual spelling to the bytes of the binary format, a column at a time.

What is spelt in any other way is left to who calls, value by value.
"""

from __future__ import annotations

from struct import pack

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.libc.string import memcpy

COMPILED: bool = cython.compiled

# `usual` knows them by number, which C compares without a look at the module
INT2, INT4, INT8, FLOAT8, BOOL, DATE, TIMESTAMP, TIMESTAMPTZ = range(8)
WIDTHS = (2, 4, 8, 8, 1, 4, 8, 8)

_OTHER = 0x7FFFFFFFFFFFFFFF
"""No usual spelling: no value of these types is written as this."""
_NAN = float("nan")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _digits(data: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t, width: cython.Py_ssize_t) -> cython.longlong:
    """Read up to 18 digits; -1 when there are others among them, or none."""
    value: cython.longlong = 0
    digit: cython.int
    at: cython.Py_ssize_t
    if width < 1 or width > 18:
        return -1
    for at in range(pos, pos + width):
        digit = data[at] - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _integer(
    data: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t, size: cython.Py_ssize_t, most: cython.longlong
) -> cython.longlong:
    below: cython.bint = size > 0 and data[pos] == 45
    value: cython.longlong = _digits(data, pos + below, size - below)
    if value < 0 or value > most + below:
        return _OTHER
    return -value if below else value


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _days(data: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t) -> cython.longlong:
    """Read YYYY-MM-DD as days since 2000-01-01 (datetime.c, date2j)."""
    year: cython.longlong
    month: cython.longlong
    day: cython.longlong
    last: cython.longlong
    if data[pos + 4] != 45 or data[pos + 7] != 45:
        return _OTHER
    year = _digits(data, pos, 4)
    month = _digits(data, pos + 5, 2)
    day = _digits(data, pos + 8, 2)
    if year < 1 or month < 1 or month > 12 or day < 1:
        return _OTHER
    if month == 2:
        last = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    else:
        last = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if day > last:
        return _OTHER
    if month > 2:
        month += 1
        year += 4800
    else:
        month += 13
        year += 4799
    return year * 365 - 32167 + year // 4 - year // 100 + year // 400 + 7834 * month // 256 + day - 2451545


@cython.cfunc
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _moment(
    data: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t, size: cython.Py_ssize_t, zoned: cython.bint
) -> cython.longlong:
    """Read YYYY-MM-DD HH:MM:SS[.ffffff] as microseconds since 2000-01-01; `zoned`: with +HH[:MM] after it."""
    end: cython.Py_ssize_t = pos + size
    days: cython.longlong
    hour: cython.longlong
    minute: cython.longlong
    second: cython.longlong
    micros: cython.longlong = 0
    offset: cython.longlong = 0
    rest: cython.longlong = 0
    width: cython.Py_ssize_t
    if size < 19 or data[pos + 10] != 32 or data[pos + 13] != 58 or data[pos + 16] != 58:
        return _OTHER
    if zoned:
        if size < 22:
            return _OTHER
        if data[end - 3] == 58:
            rest = _digits(data, end - 2, 2)
            end -= 3
        if end - pos < 22 or (data[end - 3] != 43 and data[end - 3] != 45) or rest < 0 or rest > 59:
            return _OTHER
        offset = _digits(data, end - 2, 2)
        if offset < 0 or offset > 15:
            return _OTHER
        offset = (offset * 60 + rest) * 60_000_000
        if data[end - 3] == 45:
            offset = -offset
        end -= 3
    width = end - pos - 20
    if width >= 0:
        if width < 1 or width > 6 or data[pos + 19] != 46:
            return _OTHER
        micros = _digits(data, pos + 20, width)
        if micros < 0:
            return _OTHER
        while width < 6:
            micros *= 10
            width += 1
    days = _days(data, pos)
    hour = _digits(data, pos + 11, 2)
    minute = _digits(data, pos + 14, 2)
    second = _digits(data, pos + 17, 2)
    if days == 0x7FFFFFFFFFFFFFFF or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return _OTHER
    return days * 86_400_000_000 + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros - offset


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _power(exponent: cython.int) -> cython.double:
    """Ten to the power of up to 22, which a double holds exactly."""
    value: cython.double = 1.0
    k: cython.int
    for k in range(exponent):  # noqa: B007
        value *= 10.0
    return value


@cython.cfunc
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _double(data: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.double:
    """Read -ddd.ddd of a number that a double holds exactly, divided by an exact power of ten; NaN: any other.

    One operation on two exact numbers rounds once, which is right (Clinger: How to Read Floating Point Numbers
    Accurately).
    """
    at: cython.Py_ssize_t = pos
    end: cython.Py_ssize_t = pos + size
    below: cython.bint = size > 0 and data[pos] == 45
    digits: cython.int = 0
    after: cython.int = -1
    value: cython.longlong = 0
    made: cython.double
    c: cython.int
    if below:
        at += 1
    while at < end:
        c = data[at]
        if c == 46 and after < 0:
            after = 0
        elif 48 <= c <= 57 and digits < 18:
            value = value * 10 + (c - 48)
            digits += 1
            if after >= 0:
                after += 1
        else:
            digits = 0
            break
        at += 1
    if digits == 0 or value > 9007199254740992:
        return _NAN
    made = value * 1.0
    if after > 0:
        made = made / _power(after)
    return -made if below else made


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _put(
    out: cython.uchar[::1], pos: cython.Py_ssize_t, value: cython.longlong, width: cython.Py_ssize_t
) -> cython.void:
    k: cython.Py_ssize_t
    for k in range(width):
        out[pos + width - 1 - k] = value >> (8 * k) & 255


def usual(
    kind: cython.int, data: cython.const[cython.uchar][::1], lens: cython.int[::1], starts: cython.longlong[::1],
    out: cython.uchar[::1], row: cython.Py_ssize_t,
) -> int:  # fmt: skip
    """Write the values from `row` on to their places in `out`, one width each; `lens` and `starts` stay.

    Gives the first row that is spelt in another way, or -1.
    """
    rows: cython.Py_ssize_t = len(lens)
    size: cython.Py_ssize_t
    start: cython.longlong
    value: cython.longlong = 0
    other: cython.longlong = _OTHER
    most: cython.longlong
    number: cython.double = 0
    width: cython.Py_ssize_t
    if not 0 <= kind < len(WIDTHS):
        raise ValueError("no such kind")
    width = WIDTHS[kind]
    most = 0x7FFF if kind == 0 else 0x7FFFFFFF if kind == 1 else 0x7FFFFFFFFFFFFFF0
    if row < 0 or len(starts) < rows or len(out) < rows * width:
        raise ValueError("no room for the column")
    while row < rows:
        size = lens[row]
        if size >= 0:
            start = starts[row]
            if start < 0 or start > len(data) - size:
                raise ValueError("position outside the data")
            value = other
            if kind <= 2:
                value = _integer(data, start, size, most)
            elif kind == 3:
                number = _double(data, start, size)
                if number == number:
                    if cython.compiled:
                        memcpy(cython.address(value), cython.address(number), 8)
                    else:
                        value = int.from_bytes(pack(">d", number), "big", signed=True)
            elif kind == 4:
                if size == 1 and (data[start] == 116 or data[start] == 102):
                    value = data[start] == 116
            elif kind == 5:
                if size == 10:
                    value = _days(data, start)
            else:
                value = _moment(data, start, size, kind == 7)
            if value == other:
                return row
            _put(out, row * width, value, width)
        row += 1
    return -1


@cython.boundscheck(False)
def settle(lens: cython.int[::1], starts: cython.longlong[::1], width: cython.Py_ssize_t) -> None:
    """Have the arrays describe what `usual` has written."""
    row: cython.Py_ssize_t
    if len(starts) < len(lens):
        raise ValueError("no room for the column")
    for row in range(len(lens)):
        starts[row] = row * width
        if lens[row] >= 0:
            lens[row] = width
