# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM108 - a conditional expression has no C type of both kinds
"""Reads flat Arrow buffers (Arrow columnar format, "Physical memory layout") into plain arrays of the rows in hand.

`lens` says per row -1 for NULL, else the value's length so far known; `first` is the row's place in the buffers.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.cpython.bytearray import PyByteArray_FromStringAndSize
    from cython.cimports.libc.string import memcpy

COMPILED: bool = cython.compiled


def _inside(first: int, rows: int, size: int) -> None:
    if first < 0 or first + rows > size:
        raise IndexError("rows outside the buffer")


def present(lens: cython.int[::1]) -> None:
    """Mark every row as having a value."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(lens.shape[0]):
            lens[i] = 0


def absent(lens: cython.int[::1]) -> None:
    """Mark every row as NULL."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(lens.shape[0]):
            lens[i] = -1


def clear(values: cython.longlong[::1]) -> None:
    """Set all to zero."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = 0


def blank(size: cython.Py_ssize_t) -> bytearray:
    """Make a buffer whose bytes are not set yet."""
    if cython.compiled:
        return PyByteArray_FromStringAndSize(cython.NULL, size)
    return bytearray(size)


def longer(lens: cython.int[::1], most: cython.int) -> int:
    """Find the first value longer than `most`, or -1."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] > most:
                bad = i
                break
    return bad


@cython.boundscheck(False)
def nulls(bitmap: cython.const[cython.uchar][::1], first: cython.Py_ssize_t, lens: cython.int[::1]) -> None:
    """Mark the rows whose validity bit is not set."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    _inside(first, rows, 8 * len(bitmap))
    with cython.nogil:
        for i in range(rows):
            lens[i] = ((bitmap[(first + i) >> 3] >> ((first + i) & 7)) & 1) - 1


@cython.boundscheck(False)
def load_bits(
    source: cython.const[cython.uchar][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]
) -> None:
    """Read a bitmap of booleans."""
    i: cython.Py_ssize_t
    _inside(first, len(values), 8 * len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = (source[(first + i) >> 3] >> ((first + i) & 7)) & 1


@cython.boundscheck(False)
def load_b(source: cython.const[cython.schar][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_ub(source: cython.const[cython.uchar][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_h(source: cython.const[cython.short][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_uh(source: cython.const[cython.ushort][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_i(source: cython.const[cython.int][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_ui(source: cython.const[cython.uint][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


@cython.boundscheck(False)
def load_q(source: cython.const[cython.longlong][::1], first: cython.Py_ssize_t, values: cython.longlong[::1]) -> None:
    """Read 64 bits; unsigned ones as their bits."""
    i: cython.Py_ssize_t
    _inside(first, len(values), len(source))
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = source[first + i]


def load_days(
    source: cython.const[cython.int][::1],
    first: cython.Py_ssize_t,
    days: cython.longlong[::1],
    millis: cython.longlong[::1],
) -> None:
    """Read day-time intervals (format tiD)."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(days.shape[0]):
            days[i] = source[2 * (first + i)]
            millis[i] = source[2 * (first + i) + 1]


def load_months(
    source: cython.const[cython.int][::1],
    first: cython.Py_ssize_t,
    months: cython.longlong[::1],
    days: cython.longlong[::1],
    wide: cython.const[cython.longlong][::1],
    nanos: cython.longlong[::1],
) -> None:
    """Read month-day-nano intervals (format tin); `wide` is the same buffer as 64-bit integers."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(months.shape[0]):
            months[i] = source[4 * (first + i)]
            days[i] = source[4 * (first + i) + 1]
            nanos[i] = wide[2 * (first + i) + 1]


@cython.cdivision(True)
def rebase(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    multiply: cython.longlong,
    divide: cython.longlong,
    shift: cython.longlong,
    low: cython.longlong,
    high: cython.longlong,
    infinite: cython.longlong,
    highest: cython.longlong,
) -> int:
    """Change times of another unit and epoch into PostgreSQL's, rounding down; -1, or the first row out of range.

    `low` and `high` bound the values as they come.  `infinite` (0: none) and its negative become `highest` and the
    integer below its negative.
    """
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    rows: cython.Py_ssize_t = lens.shape[0]
    value: cython.longlong
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            value = values[i]
            if infinite and (value == infinite or value == -infinite):
                values[i] = highest if value == infinite else -highest - 1
                continue
            if value < low or value > high:
                bad = i
                break
            if divide > 1:
                if value < 0:  # C rounds toward zero
                    value = -((-(value + 1)) // divide) - 1
                else:
                    value = value // divide
            values[i] = value * multiply - shift
    return bad


@cython.boundscheck(False)
def spans_i(
    offsets: cython.const[cython.int][::1],
    first: cython.Py_ssize_t,
    lens: cython.int[::1],
    starts: cython.longlong[::1],
) -> int:
    """Read where each value lies from 32-bit offsets; -1, or the first row whose offsets run backwards."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    rows: cython.Py_ssize_t = lens.shape[0]
    _inside(first, rows + 1, len(offsets))
    _inside(0, rows, len(starts))
    with cython.nogil:
        for i in range(rows):
            starts[i] = offsets[first + i]
            if offsets[first + i] < 0 or offsets[first + i + 1] < offsets[first + i]:
                bad = i
                break
            if lens[i] >= 0:
                lens[i] = offsets[first + i + 1] - offsets[first + i]
    return bad


def spans_q(
    offsets: cython.const[cython.longlong][::1],
    first: cython.Py_ssize_t,
    lens: cython.int[::1],
    starts: cython.longlong[::1],
) -> int:
    """Do as `spans_i` with 64-bit offsets; a length over 2**31 - 1 is given as that."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    rows: cython.Py_ssize_t = lens.shape[0]
    most: cython.longlong = 2147483647
    size: cython.longlong
    with cython.nogil:
        for i in range(rows):
            starts[i] = offsets[first + i]
            size = offsets[first + i + 1] - offsets[first + i]
            if offsets[first + i] < 0 or size < 0:
                bad = i
                break
            if lens[i] >= 0:
                lens[i] = size if size < most else most
    return bad


def spans_fixed(
    size: cython.int, first: cython.Py_ssize_t, lens: cython.int[::1], starts: cython.longlong[::1]
) -> None:
    """Say where values of one size lie."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    with cython.nogil:
        for i in range(rows):
            starts[i] = (first + i) * size
            if lens[i] >= 0:
                lens[i] = size


def spans_view(views: cython.const[cython.int][::1], first: cython.Py_ssize_t, lens: cython.int[::1]) -> int:
    """Read the lengths of views (16 bytes: length, then the value, or prefix, buffer and offset); -1 or a bad row."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    rows: cython.Py_ssize_t = lens.shape[0]
    with cython.nogil:
        for i in range(rows):
            if lens[i] >= 0:
                lens[i] = views[4 * (first + i)]
                if lens[i] < 0 or (
                    lens[i] > 12 and (views[4 * (first + i) + 2] < 0 or views[4 * (first + i) + 3] < 0)
                ):
                    bad = i
                    break
    return bad


def next_buffer(
    views: cython.const[cython.int][::1], first: cython.Py_ssize_t, lens: cython.int[::1], after: int
) -> int:
    """Give the lowest buffer above `after` that holds a long value of these rows, or -1."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    lowest: cython.longlong = -1
    number: cython.longlong
    previous: cython.longlong = after
    with cython.nogil:
        for i in range(rows):
            if lens[i] > 12:
                number = views[4 * (first + i) + 2]
                if number > previous and (lowest < 0 or number < lowest):
                    lowest = number
    return lowest


def pack_views(
    views: cython.const[cython.int][::1],
    first: cython.Py_ssize_t,
    number: cython.longlong,
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    packed: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Copy the values that lie in buffer `number` (-1: in the views, which then are `data`) to `packed`.

    Returns the position after them, or -1 - row for a value outside its buffer.
    """
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    size: cython.Py_ssize_t
    start: cython.Py_ssize_t
    fault: cython.bint = at < 0
    with cython.nogil:
        for i in range(rows):
            size = lens[i]
            if size < 0 or (size > 12) != (number >= 0):
                continue
            if number < 0:
                start = 16 * (first + i) + 4
            elif views[4 * (first + i) + 2] == number:
                start = views[4 * (first + i) + 3]
            else:
                continue
            if start > len(data) - size:
                at = -1 - i
                break
            if size > len(packed) - at:
                fault = True
                break
            starts[i] = at
            if size:
                if cython.compiled:
                    memcpy(cython.address(packed[at]), cython.address(data[start]), size)
                else:
                    packed[at : at + size] = data[start : start + size]
            at += size
    if fault:
        raise ValueError("no room for the values")
    return at
