# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM108 - a conditional expression has no C type of both kinds
"""PostgreSQL's text forms of whole columns of numbers and moments.

Every function takes values in PostgreSQL's own units (days and microseconds since 2000-01-01), writes each row's form
to `arena` from `at` on, and sets the row's start and length.  A row whose length is below zero is NULL and is left
alone.  Room is checked once for all cells, so the loops may write through pointers; they hold no Python object
and release the GIL.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.fixed import check_room

COMPILED: bool = cython.compiled

# The widest cell each function writes.
INTEGER_CELL = 20
DATE_CELL = 16
TIME_CELL = 16
TIMESTAMP_CELL = 40
INTERVAL_CELL = 80

DATE_MAX, DATE_MIN = 2**31 - 1, -(2**31)  # infinity and -infinity (PostgreSQL: DATEVAL_NOEND, DATEVAL_NOBEGIN)
STAMP_MAX, STAMP_MIN = 2**63 - 1, -(2**63)  # (PostgreSQL: DT_NOEND, DT_NOBEGIN)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_digits(
    out: cython.p_uchar, end: cython.Py_ssize_t, value: cython.ulonglong, count: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Write `value` so that it ends before `end`, with at least `count` digits; returns where it begins."""
    small: cython.uint
    least: cython.Py_ssize_t = end - count
    while value >> 32:
        end -= 1
        out[end] = 48 + value % 10
        value //= 10
    small = value
    while small:
        end -= 1
        out[end] = 48 + small % 10
        small //= 10
    while end > least:
        end -= 1
        out[end] = 48
    return end


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _count_digits(value: cython.ulonglong) -> cython.Py_ssize_t:
    count: cython.Py_ssize_t = 1
    while value > 9:
        value //= 10
        count += 1
    return count


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_two(out: cython.p_uchar, p: cython.Py_ssize_t, value: cython.uint) -> cython.Py_ssize_t:
    out[p] = 48 + value // 10
    out[p + 1] = 48 + value % 10
    return p + 2


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_infinity(out: cython.p_uchar, p: cython.Py_ssize_t, negative: cython.bint) -> cython.Py_ssize_t:
    if negative:
        out[p] = 45  # -
        p += 1
    out[p] = 105  # infinity
    out[p + 1] = 110
    out[p + 2] = 102
    out[p + 3] = 105
    out[p + 4] = 110
    out[p + 5] = 105
    out[p + 6] = 116
    out[p + 7] = 121
    return p + 8


def integers(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """Decimal digits of signed integers."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t
    end: cython.Py_ssize_t = at
    rows: cython.Py_ssize_t = lens.shape[0]
    value: cython.longlong
    size: cython.ulonglong
    out: cython.p_uchar
    check_room(lens, starts, arena, at, INTEGER_CELL)
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            end += 20
            if lens[i] < 0:
                continue
            value = values[i]
            if value < 0:
                size = -(value + 1)  # -2**63 has no positive twin
                size += 1
                p = _put_digits(out, end, size, 1) - 1
                out[p] = 45  # -
            else:
                size = value
                p = _put_digits(out, end, size, 1)
            starts[i] = p
            lens[i] = end - p


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.cdivision(True)
def _put_date(out: cython.p_uchar, p: cython.Py_ssize_t, days: cython.longlong) -> cython.Py_ssize_t:
    """Write year-month-day; returns the position after it, negated when the year is BC."""
    # Civil date from a day number: 400-year cycles of 146,097 days, years beginning in March so that 29 February is
    # last.  The count begins at 8001-03-01 BC, before any day PostgreSQL knows, so that nothing is negative.
    count: cython.ulonglong = days + 10957 + 719468 + 146097 * 20
    day: cython.uint
    month: cython.uint
    part: cython.uint = count % 146097
    of_cycle: cython.uint = (part - part // 1460 + part // 36524 - part // 146096) // 365
    year: cython.longlong = count // 146097 * 400 + of_cycle - 8000
    end: cython.Py_ssize_t
    part -= 365 * of_cycle + of_cycle // 4 - of_cycle // 100
    month = (5 * part + 2) // 153
    day = part - (153 * month + 2) // 5 + 1
    if month < 10:
        month += 3
    else:
        month -= 9
        year += 1
    before: cython.bint = year <= 0
    if before:
        year = 1 - year
    end = p + 4
    if year > 9999:
        end += 1
        if year > 99999:
            end += 1
            if year > 999999:
                end += 1
    _put_digits(out, end, year, end - p)
    out[end] = 45
    _put_two(out, end + 1, month)
    out[end + 3] = 45
    end = _put_two(out, end + 4, day)
    return -end if before else end


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
@cython.cdivision(True)
def _put_second(
    out: cython.p_uchar, p: cython.Py_ssize_t, second: cython.uint, fraction: cython.uint
) -> cython.Py_ssize_t:
    """Write seconds and microseconds without trailing zeros (PostgreSQL: AppendSeconds)."""
    p = _put_two(out, p, second)
    if fraction:
        out[p] = 46
        _put_digits(out, p + 7, fraction, 6)
        p += 7
        while out[p - 1] == 48:
            p -= 1
    return p


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
@cython.cdivision(True)
def _put_time(out: cython.p_uchar, p: cython.Py_ssize_t, micros: cython.ulonglong) -> cython.Py_ssize_t:
    second: cython.uint = micros // 1000000
    fraction: cython.uint = micros % 1000000
    p = _put_two(out, p, second // 3600)
    out[p] = 58
    p = _put_two(out, p + 1, second // 60 % 60)
    out[p] = 58
    return _put_second(out, p + 1, second % 60, fraction)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_before(out: cython.p_uchar, p: cython.Py_ssize_t) -> cython.Py_ssize_t:
    out[p] = 32
    out[p + 1] = 66
    out[p + 2] = 67
    return p + 3


def dates(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """ISO dates (PostgreSQL: EncodeDateOnly)."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    highest: cython.longlong = DATE_MAX
    lowest: cython.longlong = DATE_MIN
    out: cython.p_uchar
    check_room(lens, starts, arena, at, DATE_CELL)
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            if values[i] == highest or values[i] == lowest:
                end = _put_infinity(out, p, values[i] == lowest)
            else:
                end = _put_date(out, p, values[i])
                if end < 0:
                    end = _put_before(out, -end)
            starts[i] = p
            lens[i] = end - p
            p = end


def times(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """Times of day (PostgreSQL: EncodeTimeOnly)."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    out: cython.p_uchar
    check_room(lens, starts, arena, at, TIME_CELL)
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            if lens[i] >= 0:
                end = _put_time(out, p, values[i])
                starts[i] = p
                lens[i] = end - p
                p = end


@cython.cdivision(True)
def timestamps(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
    zoned: cython.bint,
) -> None:
    """ISO timestamps; with a zone, that of UTC (PostgreSQL: EncodeDateTime, USE_ISO_DATES)."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    highest: cython.longlong = STAMP_MAX
    lowest: cython.longlong = STAMP_MIN
    day: cython.ulonglong = 86400000000
    epoch: cython.ulonglong = 2451545  # days from PostgreSQL's first day, 4714-11-24 BC, to 2000-01-01
    count: cython.ulonglong
    before: cython.bint
    out: cython.p_uchar
    check_room(lens, starts, arena, at, TIMESTAMP_CELL)
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            if values[i] == highest or values[i] == lowest:
                end = _put_infinity(out, p, values[i] == lowest)
            else:
                count = values[i] + epoch * day
                end = count // day - epoch
                end = _put_date(out, p, end)
                before = end < 0
                if before:
                    end = -end
                out[end] = 32
                end = _put_time(out, end + 1, count % day)
                if zoned:
                    out[end] = 43
                    out[end + 1] = 48
                    out[end + 2] = 48
                    end += 3
                if before:
                    end = _put_before(out, end)
            starts[i] = p
            lens[i] = end - p
            p = end


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _put_part(
    out: cython.p_uchar,
    p: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    value: cython.longlong,
    signed: cython.bint,
    unit: cython.int,
) -> cython.Py_ssize_t:
    """Write one part of an interval and its unit (PostgreSQL: AddPostgresIntPart)."""
    size: cython.ulonglong = -value if value < 0 else value
    if value == 0:
        return p
    if p > begin:
        out[p] = 32
        p += 1
    if value < 0:
        out[p] = 45
        p += 1
    elif signed:
        out[p] = 43
        p += 1
    p += _count_digits(size)
    _put_digits(out, p, size, 1)
    out[p] = 32
    if unit == 0:
        out[p + 1] = 121  # year
        out[p + 2] = 101
        out[p + 3] = 97
        out[p + 4] = 114
        p += 5
    elif unit == 1:
        out[p + 1] = 109  # mon
        out[p + 2] = 111
        out[p + 3] = 110
        p += 4
    else:
        out[p + 1] = 100  # day
        out[p + 2] = 97
        out[p + 3] = 121
        p += 4
    if value != 1:
        out[p] = 115
        p += 1
    return p


@cython.cdivision(True)
def intervals(
    months: cython.longlong[::1],
    days: cython.longlong[::1],
    micros: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """Intervals in IntervalStyle postgres (PostgreSQL: EncodeInterval, INTSTYLE_POSTGRES)."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    end: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    years: cython.longlong
    rest: cython.longlong
    size: cython.ulonglong
    fraction: cython.uint
    second: cython.ulonglong
    hours: cython.ulonglong
    before: cython.bint
    out: cython.p_uchar
    check_room(lens, starts, arena, at, INTERVAL_CELL)
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            # Toward zero, in both modes: years and the rest of the months have the same sign.
            if months[i] < 0:
                years = -(-months[i] // 12)
            else:
                years = months[i] // 12
            rest = months[i] - years * 12
            begin = p
            p = _put_part(out, p, begin, years, False, 0)
            before = years < 0
            p = _put_part(out, p, begin, rest, before, 1)
            before = rest < 0 if rest else before
            p = _put_part(out, p, begin, days[i], before, 2)
            before = days[i] < 0 if days[i] else before
            if micros[i] or p == begin:
                if p > begin:
                    out[p] = 32
                    p += 1
                if micros[i] < 0:
                    out[p] = 45
                    p += 1
                    size = -(micros[i] + 1)
                    size += 1
                else:
                    size = micros[i]
                    if before:
                        out[p] = 43
                        p += 1
                fraction = size % 1000000
                second = size // 1000000
                hours = second // 3600
                end = p + max(2, _count_digits(hours))
                _put_digits(out, end, hours, 2)
                out[end] = 58
                end = _put_two(out, end + 1, second // 60 % 60)
                out[end] = 58
                p = _put_second(out, end + 1, second % 60, fraction)
            starts[i] = begin
            lens[i] = p - begin
