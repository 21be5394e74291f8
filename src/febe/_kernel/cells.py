# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
"""Finds where the values of whole columns lie in rows, arrays and composites in binary format.

`lens` says per value -1 for NULL, else its length, and `starts` where it begins in `data`.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.errors import MalformedRow

COMPILED: bool = cython.compiled

GOOD, CUT, SIZE, DIMENSIONS, BOUNDS, FIELDS = range(6)
"""What is the matter with a value that holds others."""


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


def locate(
    data: cython.const[cython.uchar][::1],
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    framed: cython.bint,
    columns: cython.Py_ssize_t,
    stride: cython.Py_ssize_t,
    most: cython.Py_ssize_t,
    lens: cython.int[::1],
    starts: cython.longlong[::1],
) -> tuple[int, int]:
    """Find the values of rows in data[start:end]: DataRow messages (`framed`) or tuples of a binary COPY.

    The value in column c of row r goes to c * stride + r.  Stops after `stride` rows, or as soon as there are `most`
    bytes; gives the number of rows and the position after them.  Errors: MalformedRow.
    """
    pos: cython.Py_ssize_t = start
    stop: cython.Py_ssize_t = end
    rows: cython.Py_ssize_t = 0
    c: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t = 0
    count: cython.Py_ssize_t = 0
    fault: cython.int = 0
    if start < 0 or end > len(data) or start > end:
        raise ValueError("position outside the data")
    if columns * stride > len(lens) or columns * stride > len(starts):
        raise ValueError("no room for the rows")
    with cython.nogil:
        while pos < end and rows < stride and (pos - start < most or rows == 0):
            if framed:
                if end - pos < 7 or data[pos] != 68:
                    fault = 1
                    break
                size = _i32(data, pos + 1)
                stop = pos + 1 + size
                if size < 6 or stop > end:
                    fault = 2
                    break
                pos += 5
            elif end - pos < 2:
                fault = 2
                break
            count = data[pos] * 256 + data[pos + 1]
            if count != columns:
                fault = 3
                break
            pos += 2
            for c in range(columns):
                if stop - pos < 4:
                    fault = 4
                    break
                size = _i32(data, pos)
                pos += 4
                if size < -1:
                    fault = 5
                    break
                if size > stop - pos:
                    fault = 6
                    break
                lens[c * stride + rows] = size
                starts[c * stride + rows] = pos
                if size > 0:
                    pos += size
            if fault:
                break
            if framed and pos != stop:
                fault = 7
                break
            rows += 1
    if fault == 1:
        raise MalformedRow("not a DataRow message")
    if fault == 2:
        raise MalformedRow("the length of a DataRow does not fit")
    if fault == 3:
        raise MalformedRow(f"row {rows} has {count} columns, not {columns}")
    if fault == 4:
        raise MalformedRow(f"row {rows} ends before column {c}")
    if fault == 5:
        raise MalformedRow(f"row {rows}, column {c}: length {size}")
    if fault == 6:
        raise MalformedRow(f"row {rows}, column {c}: length {size} is too long")
    if fault == 7:
        raise MalformedRow(f"row {rows} has {stop - pos} bytes more than its columns")
    return rows, pos


def count_elements(
    data: cython.const[cython.uchar][::1], lens: cython.int[::1], starts: cython.longlong[::1], lower: cython.int
) -> tuple[int, int, int]:
    """Add up the elements of arrays (array_send): (how many, -1, GOOD), or (0, a bad row, why).

    An array of several dimensions is bad, and one whose lower bound is not `lower`.
    """
    i: cython.Py_ssize_t
    total: cython.Py_ssize_t = 0
    pos: cython.Py_ssize_t
    count: cython.Py_ssize_t
    why: cython.int = 0
    size: cython.Py_ssize_t = len(data)
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                continue
            pos = starts[i]
            if lens[i] < 12 or pos < 0 or pos > size - lens[i]:
                why = 1
                break
            count = _i32(data, pos)
            if count == 0:
                continue
            if count != 1:
                why = 3
                break
            if lens[i] < 20:
                why = 1
                break
            count = _i32(data, pos + 12)
            if count < 0 or count > (lens[i] - 20) // 4:
                why = 2
                break
            if count and _i32(data, pos + 16) != lower:
                why = 4
                break
            total += count
    if why:
        return 0, i, why
    return total, -1, 0


def elements(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    offsets: cython.int[::1],
    at: cython.Py_ssize_t,
    element_lens: cython.int[::1],
    element_starts: cython.longlong[::1],
) -> tuple[int, int]:
    """Find the elements of arrays that `count_elements` has seen, and write offsets from `at` on, whose own is set.

    Gives (-1, GOOD) or a bad row and why.
    """
    i: cython.Py_ssize_t
    _k: cython.Py_ssize_t
    n: cython.Py_ssize_t = 0
    pos: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    count: cython.Py_ssize_t
    size: cython.Py_ssize_t
    base: cython.int = offsets[at]
    why: cython.int = 0
    room: cython.Py_ssize_t = element_lens.shape[0]
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] > 12:
                pos = starts[i]
                stop = pos + lens[i]
                count = _i32(data, pos + 12) if _i32(data, pos) else 0
                pos += 20 if _i32(data, pos) else 12
                if count > room - n:
                    why = 2
                    break
                for _k in range(count):
                    if stop - pos < 4:
                        why = 1
                        break
                    size = _i32(data, pos)
                    pos += 4
                    if size < -1 or size > stop - pos:
                        why = 2
                        break
                    element_lens[n] = size
                    element_starts[n] = pos
                    n += 1
                    if size > 0:
                        pos += size
                if why == 0 and pos != stop:
                    why = 2
                if why:
                    break
            offsets[at + i + 1] = base + n
    if why:
        return i, why
    return -1, 0


def fields(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    count: cython.Py_ssize_t,
    field_lens: cython.int[::1],
    field_starts: cython.longlong[::1],
) -> tuple[int, int]:
    """Find the fields of composites (record_send); field f of row r goes to f * rows + r, NULL if the row is.

    Gives (-1, GOOD) or a bad row and why.
    """
    i: cython.Py_ssize_t
    f: cython.Py_ssize_t
    pos: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    size: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    why: cython.int = 0
    held: cython.Py_ssize_t = len(data)
    if count * rows > len(field_lens) or count * rows > len(field_starts):
        raise ValueError("no room for the fields")
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                for f in range(count):
                    field_lens[f * rows + i] = -1
                continue
            pos = starts[i]
            if lens[i] < 4 or pos < 0 or pos > held - lens[i]:
                why = 1
                break
            stop = pos + lens[i]
            if _i32(data, pos) != count:
                why = 5
                break
            pos += 4
            for f in range(count):
                if stop - pos < 8:
                    why = 1
                    break
                size = _i32(data, pos + 4)
                pos += 8
                if size < -1 or size > stop - pos:
                    why = 2
                    break
                field_lens[f * rows + i] = size
                field_starts[f * rows + i] = pos
                if size > 0:
                    pos += size
            if why == 0 and pos != stop:
                why = 2
            if why:
                break
    if why:
        return i, why
    return -1, 0


def behead(
    data: cython.const[cython.uchar][::1], lens: cython.int[::1], starts: cython.longlong[::1], head: cython.int
) -> int:
    """Take from each value its first byte, which must be `head` (jsonb's version); -1, or the first row without it."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    size: cython.Py_ssize_t = len(data)
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                continue
            if lens[i] < 1 or starts[i] < 0 or starts[i] >= size or data[starts[i]] != head:
                bad = i
                break
            lens[i] -= 1
            starts[i] += 1
    return bad
