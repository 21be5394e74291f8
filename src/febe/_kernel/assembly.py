# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"

"""Puts the values of columns together to rows in binary form (manual: "Message Formats", DataRow; "COPY").

`lens` says per row -1 for NULL, else the length of the value.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.libc.string import memcpy

COPY, HEX, VERSIONED, UUID_TEXT, UUID_BYTES, CHAR_BYTE = range(6)
"""What `gather` makes of a value: itself; bytea's text; jsonb's binary; a uuid's text or bytes; "char"'s byte."""


def add_lens(lens: cython.int[::1], times: cython.longlong, plus: cython.longlong, sizes: cython.longlong[::1]) -> None:
    """Add what each value will take to its row's size."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] >= 0:
                sizes[i] += lens[i] * times + plus


def fit(sizes: cython.longlong[::1], each: cython.longlong, most: cython.longlong) -> int:
    """Count the rows, at least one, whose sizes with `each` added stay within `most`."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = sizes.shape[0]
    total: cython.longlong = 0
    count: cython.Py_ssize_t = rows
    with cython.nogil:
        for i in range(rows):
            total += sizes[i] + each
            if total > most and i:
                count = i
                break
    return count


def over(sizes: cython.longlong[::1], most: cython.longlong) -> int:
    """Find the first row larger than `most`, or -1."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    with cython.nogil:
        for i in range(sizes.shape[0]):
            if sizes[i] > most:
                bad = i
                break
    return bad


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _nibble(letter: cython.int) -> cython.int:
    if 48 <= letter <= 57:
        return letter - 48
    letter |= 32
    if 97 <= letter <= 102:
        return letter - 87
    return -1


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _letter(nibble: cython.int) -> cython.int:
    return 48 + nibble if nibble < 10 else 87 + nibble


def gather(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
    form: cython.int,
) -> int:
    """Write each value's form to `arena`; returns the position after the last, or -1 - row for a value it cannot."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    rows: cython.Py_ssize_t = lens.shape[0]
    size: cython.Py_ssize_t
    start: cython.Py_ssize_t
    high: cython.int
    low: cython.int
    fault: cython.bint = at < 0
    with cython.nogil:
        for i in range(rows):
            size = lens[i]
            if size < 0:
                continue
            start = starts[i]
            starts[i] = p
            if form == 0 or form == 2:
                if form == 2:
                    arena[p] = 1  # jsonb's version (PostgreSQL: jsonb_send)
                    p += 1
                if size > len(arena) - p or start < 0 or start > len(data) - size:
                    fault = True
                    break
                if size:
                    if cython.compiled:
                        memcpy(cython.address(arena[p]), cython.address(data[start]), size)
                    else:
                        arena[p : p + size] = data[start : start + size]
                p += size
            elif form == 1:
                arena[p] = 92
                arena[p + 1] = 120
                p += 2
                for k in range(size):
                    arena[p] = _letter(data[start + k] >> 4)
                    arena[p + 1] = _letter(data[start + k] & 15)
                    p += 2
            elif form == 3:
                for k in range(16):
                    if k == 4 or k == 6 or k == 8 or k == 10:
                        arena[p] = 45
                        p += 1
                    arena[p] = _letter(data[start + k] >> 4)
                    arena[p + 1] = _letter(data[start + k] & 15)
                    p += 2
            elif form == 4:
                high = 0
                if size == 36:
                    for k in range(16):
                        if k == 4 or k == 6 or k == 8 or k == 10:
                            if data[start] != 45:
                                high = -1
                                break
                            start += 1
                        high = _nibble(data[start])
                        low = _nibble(data[start + 1])
                        if high < 0 or low < 0:
                            high = -1
                            break
                        arena[p + k] = high << 4 | low
                        start += 2
                else:
                    high = -1
                if high < 0:
                    p = -1 - i
                    break
                p += 16
            else:
                if size > 1:
                    p = -1 - i
                    break
                arena[p] = data[start] if size else 0
                p += 1
            lens[i] = p - starts[i]
    if fault:
        raise ValueError("no room for the values")
    return p


def shift(starts: cython.longlong[::1], by: cython.longlong) -> None:
    """Move every start."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(starts.shape[0]):
            starts[i] += by


def look_up(
    indices: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    value_lens: cython.int[::1],
    value_starts: cython.longlong[::1],
) -> int:
    """Replace dictionary indices by the dictionary's values; -1, or the first row whose index it has not."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    rows: cython.Py_ssize_t = lens.shape[0]
    count: cython.Py_ssize_t = value_lens.shape[0]
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            if indices[i] < 0 or indices[i] >= count:
                bad = i
                break
            lens[i] = value_lens[indices[i]]
            starts[i] = value_starts[indices[i]]
    return bad


def total(lens: cython.int[::1]) -> int:
    """Sum the lengths of the values that are not NULL."""
    i: cython.Py_ssize_t
    length: cython.longlong
    count: cython.longlong = 0
    with cython.nogil:
        for i in range(lens.shape[0]):
            length = lens[i]
            count += length if length > 0 else 0
    return count


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put_int(out: cython.p_uchar, p: cython.Py_ssize_t, value: cython.longlong) -> cython.Py_ssize_t:
    out[p] = (value >> 24) & 255
    out[p + 1] = (value >> 16) & 255
    out[p + 2] = (value >> 8) & 255
    out[p + 3] = value & 255
    return p + 4


@cython.boundscheck(False)
def assemble(
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    stride: cython.Py_ssize_t,
    rows: cython.Py_ssize_t,
    columns: cython.Py_ssize_t,
    arena: cython.uchar[::1],
    most: cython.longlong,
    letter: cython.int,
    frames: cython.uchar[::1],
    p: cython.Py_ssize_t,
) -> int:
    """Write rows from `p` on: messages of type `letter`, or without any when that is 0.

    Returns the position after them, or -1 - the first row whose length word would be over `most`.

    The value in column c of row r has length `lens[c * stride + r]` and begins at `starts[c * stride + r]` in `arena`;
    both `arena` and `frames` have 16 bytes to spare, so that a short value is copied as 16 bytes at once.
    """
    i: cython.Py_ssize_t
    c: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    size: cython.Py_ssize_t
    start: cython.Py_ssize_t
    head: cython.Py_ssize_t = 7 if letter else 2
    end: cython.Py_ssize_t = len(frames) - 16
    held: cython.Py_ssize_t = len(arena) - 16
    bad: cython.Py_ssize_t = -1
    fault: cython.bint = False
    out: cython.p_uchar
    data: cython.p_uchar
    if rows > stride or columns > 32767 or columns * stride > len(lens) or columns * stride > len(starts):
        raise ValueError("no room for the rows")
    if end < 0 or held < 0 or p < 0:
        raise ValueError("no bytes to spare")
    if cython.compiled:
        out = cython.address(frames[0])
        data = cython.address(arena[0])
    else:
        out = frames
        data = arena
    with cython.nogil:
        for i in range(rows):
            begin = p
            p += head
            if p > end:
                fault = True
                break
            for c in range(columns):
                size = lens[c * stride + i]
                start = starts[c * stride + i]
                if size <= 0:
                    if p + 4 > end:
                        fault = True
                        break
                    p = _put_int(out, p, size)
                    continue
                if size > end - p - 4 or start < 0 or start > held - size:
                    fault = True
                    break
                p = _put_int(out, p, size)
                if not cython.compiled:
                    out[p : p + size] = data[start : start + size]
                elif size <= 16:
                    memcpy(cython.address(out[p]), cython.address(data[start]), 16)
                else:
                    memcpy(cython.address(out[p]), cython.address(data[start]), size)
                p += size
            if fault:
                break
            if p - begin - 1 > most:
                bad = i
                break
            if letter:
                out[begin] = letter
                _put_int(out, begin + 1, p - begin - 1)
            out[begin + head - 2] = columns >> 8
            out[begin + head - 1] = columns & 255
    if fault:
        raise ValueError("lengths and starts do not agree with the buffers")
    return p if bad < 0 else -1 - bad
