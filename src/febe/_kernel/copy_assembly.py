# ruff: noqa: SIM109, SIM110 - loops that stay in C
# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
"""Puts the values of columns together to the lines of COPY's text and csv formats.

`lens` says per value -1 for NULL, else its length; the value in column c of row r is at c * stride + r.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _same(
    data: cython.const[cython.uchar][::1], start: cython.Py_ssize_t, size: cython.Py_ssize_t,
    other: cython.const[cython.uchar][::1],
) -> cython.bint:  # fmt: skip
    k: cython.Py_ssize_t
    if size != len(other):
        return False
    for k in range(size):
        if data[start + k] != other[k]:
            return False
    return True


@cython.boundscheck(False)
def lines(
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    stride: cython.Py_ssize_t,
    rows: cython.Py_ssize_t,
    columns: cython.Py_ssize_t,
    arena: cython.const[cython.uchar][::1],
    delimiter: cython.int,
    quote: cython.int,
    escape: cython.int,
    null: cython.const[cython.uchar][::1],
    quoted: cython.const[cython.uchar][::1],
    framed: cython.bint,
    most: cython.longlong,
    out: cython.uchar[::1],
    p: cython.Py_ssize_t,
) -> int:
    """Write lines from `p` on, in text format when `quote` is below 0; `framed`: each in a CopyData message.

    `quoted` says for each column whether csv always quotes it.  Returns the position after the lines, or -1 - the first
    row whose message would be over `most`.  PostgreSQL: CopyAttributeOutText, CopyAttributeOutCSV.
    """
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    n: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    size: cython.Py_ssize_t
    start: cython.Py_ssize_t
    held: cython.Py_ssize_t = len(arena)
    room: cython.Py_ssize_t = len(out)
    wide: cython.Py_ssize_t = len(null)
    bad: cython.Py_ssize_t = -1
    c: cython.int
    inside: cython.bint
    fault: cython.bint = False
    cells: cython.Py_ssize_t = columns * stride
    if rows > stride or cells > len(lens) or cells > len(starts) or len(quoted) < columns or p < 0:
        raise ValueError("no room for the rows")
    with cython.nogil:
        for i in range(rows):
            begin = p
            if framed:
                p += 5
            for n in range(columns):
                size = lens[n * stride + i]
                start = starts[n * stride + i]
                if room - p < 2 * (size if size > 0 else 0) + wide + 8 or (
                    size > 0 and (start < 0 or start > held - size)
                ):
                    fault = True
                    break
                if n:
                    out[p] = delimiter
                    p += 1
                if size < 0:
                    for k in range(wide):
                        out[p] = null[k]
                        p += 1
                    continue
                if quote < 0:
                    for k in range(start, start + size):
                        c = arena[k]
                        if c < 14 and c > 7:
                            out[p] = 92
                            p += 1
                            if c == 8:
                                c = 98
                            elif c == 9:
                                c = 116
                            elif c == 10:
                                c = 110
                            elif c == 11:
                                c = 118
                            elif c == 12:
                                c = 102
                            else:
                                c = 114
                        elif c == 92 or c == delimiter:
                            out[p] = 92
                            p += 1
                        out[p] = c
                        p += 1
                    continue
                inside = quoted[n] or _same(arena, start, size, null)
                if columns == 1 and size == 2 and arena[start] == 92 and arena[start + 1] == 46:
                    inside = True
                if not inside:
                    for k in range(start, start + size):
                        c = arena[k]
                        if c == delimiter or c == quote or c == 10 or c == 13:
                            inside = True
                            break
                        out[p + k - start] = c
                    if not inside:
                        p += size
                        continue
                out[p] = quote
                p += 1
                for k in range(start, start + size):
                    c = arena[k]
                    if c == quote or c == escape:
                        out[p] = escape
                        p += 1
                    out[p] = c
                    p += 1
                out[p] = quote
                p += 1
            if fault or room - p < 1:
                fault = True
                break
            out[p] = 10
            p += 1
            if framed:
                size = p - begin - 1
                if size > most:
                    bad = i
                    break
                out[begin] = 100
                out[begin + 1] = (size >> 24) & 255
                out[begin + 2] = (size >> 16) & 255
                out[begin + 3] = (size >> 8) & 255
                out[begin + 4] = size & 255
    if fault:
        raise ValueError("lengths and starts do not agree with the buffers")
    return p if bad < 0 else -1 - bad
