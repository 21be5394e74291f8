# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM109 - a membership test has a loop
"""Writes the values of whole columns in binary format to flat Arrow buffers.

Values lie at `starts` in `data`, `lens` long, -1 for NULL; the first goes to place `at` of the buffer.  What a NULL's
place holds is zero.  Functions that may find a bad value give its row, or -1.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.cpython.bytearray import PyByteArray_Resize
    from cython.cimports.libc.string import memcpy

COMPILED: bool = cython.compiled

ERROR, NULL, LARGEST = range(3)
"""What becomes of infinity: an error; NULL; the largest and smallest value."""


def resize(buffer: bytearray, size: cython.Py_ssize_t) -> None:
    """Make a buffer longer or shorter; new bytes are not set."""
    if cython.compiled:
        PyByteArray_Resize(buffer, size)
    elif size > len(buffer):
        buffer.extend(bytes(size - len(buffer)))
    else:
        del buffer[size:]


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _i32(data: cython.const[cython.uchar][::1], p: cython.Py_ssize_t) -> cython.int:
    if cython.compiled:
        value: cython.uint = data[p]
        value = value << 8 | data[p + 1]
        value = value << 8 | data[p + 2]
        value = value << 8 | data[p + 3]
        return cython.cast(cython.int, value)
    else:
        return int.from_bytes(data[p : p + 4], "big", signed=True)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _i64(data: cython.const[cython.uchar][::1], p: cython.Py_ssize_t) -> cython.longlong:
    if cython.compiled:
        value: cython.ulonglong = data[p]
        value = value << 8 | data[p + 1]
        value = value << 8 | data[p + 2]
        value = value << 8 | data[p + 3]
        value = value << 8 | data[p + 4]
        value = value << 8 | data[p + 5]
        value = value << 8 | data[p + 6]
        value = value << 8 | data[p + 7]
        return cython.cast(cython.longlong, value)
    else:
        return int.from_bytes(data[p : p + 8], "big", signed=True)


def _check_room(lens: cython.int[::1], starts: cython.longlong[::1], room: int, at: int) -> None:
    if at < 0 or room < at + len(lens) or len(starts) < len(lens):
        raise ValueError("no room for the column")


def mark(lens: cython.int[::1], bitmap: cython.uchar[::1], at: cython.Py_ssize_t) -> int:
    """Write validity bits; gives the number of NULLs.  Bits before `at` in its byte stay, those after are set anew."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    nulls: cython.Py_ssize_t = 0
    byte: cython.int
    if at < 0 or len(bitmap) * 8 < at + rows:
        raise ValueError("no room for the column")
    if not rows:
        return 0
    with cython.nogil:
        k = at & 7
        byte = bitmap[at >> 3] & ((1 << k) - 1)
        for i in range(rows):
            if lens[i] >= 0:
                byte |= 1 << k
            else:
                nulls += 1
            k += 1
            if k == 8:
                bitmap[(at + i) >> 3] = byte
                byte = 0
                k = 0
        if k:
            bitmap[(at + rows) >> 3] = byte
    return nulls


def bools(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    bitmap: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write bits."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    bad: cython.Py_ssize_t = -1
    size: cython.Py_ssize_t = len(data)
    _check_room(lens, starts, len(bitmap) * 8, at)
    with cython.nogil:
        for i in range(rows):
            if (at + i) & 7 == 0:
                bitmap[(at + i) >> 3] = 0
            if lens[i] >= 0:
                if lens[i] != 1 or starts[i] < 0 or starts[i] >= size:
                    bad = i
                    break
                if data[starts[i]]:
                    bitmap[(at + i) >> 3] |= 1 << ((at + i) & 7)
            bitmap[(at + i) >> 3] &= (2 << ((at + i) & 7)) - 1
    return bad


@cython.boundscheck(False)
def shorts(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.short[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write 16-bit integers."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    last: cython.Py_ssize_t = len(data) - 2
    value: cython.int
    _check_room(lens, starts, len(out), at)
    with cython.nogil:
        for i in range(lens.shape[0]):
            value = 0
            if lens[i] >= 0:
                if lens[i] != 2 or starts[i] < 0 or starts[i] > last:
                    bad = i
                    break
                value = data[starts[i]] * 256 + data[starts[i] + 1]
                if value > 32767:
                    value -= 65536
            out[at + i] = value
    return bad


@cython.boundscheck(False)
def ints(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.int[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write 32 bits: integers, OIDs, floats."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    last: cython.Py_ssize_t = len(data) - 4
    _check_room(lens, starts, len(out), at)
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] == 4:
                if starts[i] < 0 or starts[i] > last:
                    bad = i
                    break
                out[at + i] = _i32(data, starts[i])
            elif lens[i] < 0:
                out[at + i] = 0
            else:
                bad = i
                break
    return bad


@cython.boundscheck(False)
def longs(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.longlong[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write 64 bits: integers, floats, times."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    last: cython.Py_ssize_t = len(data) - 8
    _check_room(lens, starts, len(out), at)
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] == 8:
                if starts[i] < 0 or starts[i] > last:
                    bad = i
                    break
                out[at + i] = _i64(data, starts[i])
            elif lens[i] < 0:
                out[at + i] = 0
            else:
                bad = i
                break
    return bad


def dates(out: cython.int[::1], at: cython.Py_ssize_t, lens: cython.int[::1], infinite: cython.int) -> int:
    """Turn days since 2000-01-01, as `ints` wrote them, into days since 1970-01-01."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    highest: cython.int = 2147483647
    lowest: cython.int = -highest - 1
    value: cython.int
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                continue
            value = out[at + i]
            if value == highest or value == lowest:
                if infinite == 0:
                    bad = i
                    break
                if infinite == 1:
                    lens[i] = -1
                    out[at + i] = 0
                else:
                    out[at + i] = highest if value > 0 else -highest
            elif value > highest - 10957:
                bad = i
                break
            else:
                out[at + i] = value + 10957
    return bad


def stamps(out: cython.longlong[::1], at: cython.Py_ssize_t, lens: cython.int[::1], infinite: cython.int) -> int:
    """Turn microseconds since 2000-01-01, as `longs` wrote them, into microseconds since 1970-01-01."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    highest: cython.longlong = 0x7FFFFFFFFFFFFFFF
    lowest: cython.longlong = -highest - 1
    shift: cython.longlong = 946684800000000
    value: cython.longlong
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                continue
            value = out[at + i]
            if value == highest or value == lowest:
                if infinite == 0:
                    bad = i
                    break
                if infinite == 1:
                    lens[i] = -1
                    out[at + i] = 0
                else:
                    out[at + i] = highest if value > 0 else -highest
            elif value > highest - shift:
                bad = i
                break
            else:
                out[at + i] = value + shift
    return bad


def outside(out: cython.longlong[::1], at: cython.Py_ssize_t, lens: cython.int[::1], end: cython.longlong) -> int:
    """Find the first value that is not from 0 up to `end`, that one left out."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] >= 0 and (out[at + i] < 0 or out[at + i] >= end):
                bad = i
                break
    return bad


def intervals(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.int[::1],
    wide: cython.longlong[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write month-day-nano intervals (format tin); `wide` is the same buffer as 64-bit integers.

    Infinity is bad, and what is over 292 years of microseconds.
    """
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    last: cython.Py_ssize_t = len(data) - 16
    most: cython.longlong = 9223372036854775
    micros: cython.longlong
    _check_room(lens, starts, min(len(out) // 4, len(wide) // 2), at)
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                wide[2 * (at + i)] = 0
                wide[2 * (at + i) + 1] = 0
                continue
            if lens[i] != 16 or starts[i] < 0 or starts[i] > last:
                bad = i
                break
            micros = _i64(data, starts[i])
            if micros > most or micros < -most:
                bad = i
                break
            out[4 * (at + i)] = _i32(data, starts[i] + 12)
            out[4 * (at + i) + 1] = _i32(data, starts[i] + 8)
            wide[2 * (at + i) + 1] = micros * 1000
    return bad


@cython.boundscheck(False)
def sized(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.uchar[::1],
    at: cython.Py_ssize_t,
    width: cython.Py_ssize_t,
) -> int:
    """Copy values of one size."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    last: cython.Py_ssize_t = len(data) - width
    if width < 1:
        raise ValueError("no width")
    _check_room(lens, starts, len(out) // width, at)
    with cython.nogil:
        for i in range(lens.shape[0]):
            p = (at + i) * width
            if lens[i] < 0:
                for k in range(width):
                    out[p + k] = 0
                continue
            if lens[i] != width or starts[i] < 0 or starts[i] > last:
                bad = i
                break
            if cython.compiled:
                memcpy(cython.address(out[p]), cython.address(data[starts[i]]), width)
            else:
                out[p : p + width] = data[starts[i] : starts[i] + width]
    return bad


@cython.boundscheck(False)
def spans(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    offsets: cython.int[::1],
    at: cython.Py_ssize_t,
    out: cython.uchar[::1],
) -> None:
    """Copy values one after the other, and write offsets from `at` on, whose own is set."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t
    size: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    held: cython.Py_ssize_t = len(data) - 16
    room: cython.Py_ssize_t = len(out) - 16
    fault: cython.bint = False
    _check_room(lens, starts, len(offsets) - 1, at)
    p = offsets[at]
    with cython.nogil:
        for i in range(rows):
            size = lens[i]
            if size > 0:
                if starts[i] < 0 or starts[i] > held + 16 - size or p < 0 or p > room + 16 - size:
                    fault = True
                    break
                if not cython.compiled:
                    out[p : p + size] = data[starts[i] : starts[i] + size]
                elif size <= 16 and starts[i] <= held and p <= room:
                    memcpy(cython.address(out[p]), cython.address(data[starts[i]]), 16)
                else:
                    memcpy(cython.address(out[p]), cython.address(data[starts[i]]), size)
                p += size
            offsets[at + i + 1] = p
    if fault:
        raise ValueError("no room for the values")


def inside_character(values: cython.const[cython.uchar][::1], offsets: cython.int[::1], at: cython.Py_ssize_t) -> int:
    """Find the first value from `at` on that begins inside a character of UTF-8."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    with cython.nogil:
        for i in range(at, offsets.shape[0]):
            if offsets[i] < len(values) and values[offsets[i]] & 0xC0 == 0x80:
                bad = i - at
                break
    return bad


def labels(
    data: bytes,
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    known: dict[bytes, int],
    out: cython.int[::1],
    at: cython.Py_ssize_t,
) -> int:
    """Write the index of each label; a label that is not known is bad."""
    i: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    _check_room(lens, starts, len(out), at)
    for i in range(len(lens)):
        if lens[i] < 0:
            out[at + i] = 0
            continue
        begin = starts[i]
        place = known.get(data[begin : begin + lens[i]])
        if place is None:
            return i
        out[at + i] = place
    return -1
