# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"

"""Puts values together to arrays and composites in binary form (PostgreSQL: array_send, record_send).

`lens` says per value -1 for NULL, else its length.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.libc.string import memcpy

COMPILED: bool = cython.compiled


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _put(out: cython.uchar[::1], p: cython.Py_ssize_t, value: cython.longlong) -> cython.Py_ssize_t:
    out[p] = (value >> 24) & 255
    out[p + 1] = (value >> 16) & 255
    out[p + 2] = (value >> 8) & 255
    out[p + 3] = value & 255
    return p + 4


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _copy(
    out: cython.uchar[::1], p: cython.Py_ssize_t, data: cython.const[cython.uchar][::1], start: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
) -> cython.Py_ssize_t:  # fmt: skip
    if size:
        if cython.compiled:
            memcpy(cython.address(out[p]), cython.address(data[start]), size)
        else:
            out[p : p + size] = data[start : start + size]
    return p + size


def array_sizes(
    counts: cython.const[cython.int][::1],
    begins: cython.const[cython.longlong][::1],
    low: cython.longlong,
    inner: cython.const[cython.int][::1],
    most: cython.longlong,
    lens: cython.int[::1],
) -> int:
    """Say how long each array gets; -1, or the first row that is over `most` or has elements outside of `inner`.

    Row i has the elements `begins[i] - low` and following, `counts[i]` of them, -1 for NULL; `inner` has their lengths.
    """
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    begin: cython.longlong
    size: cython.longlong
    bad: cython.Py_ssize_t = -1
    held: cython.longlong = len(inner)
    if len(begins) < len(counts) or len(lens) < len(counts):
        raise ValueError("no room for the rows")
    with cython.nogil:
        for i in range(len(counts)):
            if counts[i] <= 0:
                lens[i] = 12 if counts[i] == 0 else -1
                continue
            begin = begins[i] - low
            if begin < 0 or begin > held - counts[i]:
                bad = i
                break
            size = counts[i]
            size = 20 + 4 * size
            for k in range(counts[i]):
                if inner[begin + k] > 0:
                    size += inner[begin + k]
            if size > most:
                bad = i
                break
            lens[i] = size
    return bad


def arrays(
    counts: cython.const[cython.int][::1],
    begins: cython.const[cython.longlong][::1],
    low: cython.longlong,
    inner: cython.const[cython.int][::1],
    starts: cython.const[cython.longlong][::1],
    data: cython.const[cython.uchar][::1],
    element: cython.longlong,
    places: cython.longlong[::1],
    out: cython.uchar[::1],
) -> None:
    """Write the arrays that `array_sizes` has measured, of elements of type `element`, and say where each begins."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t = 0
    nulls: cython.Py_ssize_t
    at: cython.longlong
    begin: cython.longlong
    size: cython.longlong
    end: cython.Py_ssize_t = len(out)
    fault: cython.bint = len(starts) < len(inner) or len(begins) < len(counts) or len(places) < len(counts)
    with cython.nogil:
        for i in range(len(counts)):
            if fault:
                break
            if counts[i] < 0:
                continue
            places[i] = p
            if p > end - 20 and (counts[i] or p > end - 12):
                fault = True
                break
            nulls = p + 4
            p = _put(out, p, 1 if counts[i] else 0)
            p = _put(out, p, 0)
            p = _put(out, p, element)
            if counts[i] == 0:
                continue
            p = _put(out, p, counts[i])
            p = _put(out, p, 1)
            begin = begins[i] - low
            for k in range(counts[i]):
                if begin < 0 or begin + k >= len(inner) or p > end - 4:
                    fault = True
                    break
                size = inner[begin + k]
                if size < 0:
                    p = _put(out, p, -1)
                    out[nulls + 3] = 1
                    continue
                at = starts[begin + k]
                p = _put(out, p, size)
                if size and (at < 0 or at > len(data) - size or p > end - size):
                    fault = True
                    break
                p = _copy(out, p, data, at, size)
    if fault:
        raise ValueError("lengths and starts do not agree with the buffers")


def record_sizes(
    inner: cython.const[cython.int][::1], fields: cython.Py_ssize_t, most: cython.longlong, lens: cython.int[::1]
) -> int:
    """Say how long each composite gets whose own mark is not NULL; -1, or the first row that is over `most`.

    The field k of row i has the length `inner[k * rows + i]`.
    """
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    size: cython.longlong
    rows: cython.Py_ssize_t = len(lens)
    bad: cython.Py_ssize_t = -1
    if len(inner) < fields * rows:
        raise ValueError("no room for the rows")
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            size = 4 + 8 * fields
            for k in range(fields):
                if inner[k * rows + i] > 0:
                    size += inner[k * rows + i]
            if size > most:
                bad = i
                break
            lens[i] = size
    return bad


def records(
    lens: cython.const[cython.int][::1],
    types: cython.const[cython.longlong][::1],
    inner: cython.const[cython.int][::1],
    starts: cython.const[cython.longlong][::1],
    data: cython.const[cython.uchar][::1],
    places: cython.longlong[::1],
    out: cython.uchar[::1],
) -> None:
    """Write the composites that `record_sizes` has measured, with fields of `types`, and say where each begins."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t = 0
    at: cython.longlong
    size: cython.longlong
    rows: cython.Py_ssize_t = len(lens)
    fields: cython.Py_ssize_t = len(types)
    end: cython.Py_ssize_t = len(out)
    fault: cython.bint = len(inner) < fields * rows or len(starts) < fields * rows or len(places) < rows
    with cython.nogil:
        for i in range(rows):
            if fault:
                break
            if lens[i] < 0:
                continue
            places[i] = p
            if p > end - 4:
                fault = True
                break
            p = _put(out, p, fields)
            for k in range(fields):
                if p > end - 8:
                    fault = True
                    break
                size = inner[k * rows + i]
                at = starts[k * rows + i]
                p = _put(out, p, types[k])
                p = _put(out, p, size if size >= 0 else -1)
                if size <= 0:
                    continue
                if at < 0 or at > len(data) - size or p > end - size:
                    fault = True
                    break
                p = _copy(out, p, data, at, size)
    if fault:
        raise ValueError("lengths and starts do not agree with the buffers")
