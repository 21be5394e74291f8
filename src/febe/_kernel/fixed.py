# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM108 - a conditional expression has no C type of both kinds
"""PostgreSQL's binary forms of whole columns of values of one size, and of booleans in text.

What the functions take and set is as in `render`.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled


def check_room(
    lens: cython.int[::1], starts: cython.longlong[::1], arena: cython.uchar[::1], at: int, width: int
) -> None:
    """Refuse buffers that have not the room for cells of `width` bytes."""
    rows = len(lens)
    if len(starts) < rows or at < 0 or width < 1 or len(arena) < at + rows * width:
        raise ValueError("no room for the column")


@cython.boundscheck(False)
def fixed(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
    width: cython.int,
) -> None:
    """Big-endian integers of 1, 2, 4 or 8 bytes: the binary form of every type of fixed size, floats as their bits."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    p: cython.Py_ssize_t = at
    value: cython.ulonglong
    out: cython.p_uchar
    check_room(lens, starts, arena, at, width)
    if len(values) < rows:
        raise ValueError("no room for the column")
    if not rows:
        return
    if cython.compiled:
        out = cython.address(arena[0])
    else:
        out = arena
    with cython.nogil:
        for i in range(rows):
            starts[i] = p
            if lens[i] < 0:
                continue
            lens[i] = width
            value = values[i]
            if width == 8:
                out[p] = (value >> 56) & 255
                out[p + 1] = (value >> 48) & 255
                out[p + 2] = (value >> 40) & 255
                out[p + 3] = (value >> 32) & 255
                out[p + 4] = (value >> 24) & 255
                out[p + 5] = (value >> 16) & 255
                out[p + 6] = (value >> 8) & 255
                out[p + 7] = value & 255
                p += 8
            elif width == 4:
                out[p] = (value >> 24) & 255
                out[p + 1] = (value >> 16) & 255
                out[p + 2] = (value >> 8) & 255
                out[p + 3] = value & 255
                p += 4
            elif width == 2:
                out[p] = (value >> 8) & 255
                out[p + 1] = value & 255
                p += 2
            else:
                out[p] = value & 255
                p += 1


def booleans(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """t or f (PostgreSQL: boolout)."""
    i: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    check_room(lens, starts, arena, at, 1)
    with cython.nogil:
        for i in range(rows):
            if lens[i] >= 0:
                arena[at + i] = 116 if values[i] else 102
                starts[i] = at + i
                lens[i] = 1


def interval_binary(
    months: cython.longlong[::1],
    days: cython.longlong[::1],
    micros: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
) -> None:
    """Microseconds, days, months (PostgreSQL: interval_send)."""
    i: cython.Py_ssize_t
    k: cython.int
    p: cython.Py_ssize_t = at
    rows: cython.Py_ssize_t = lens.shape[0]
    check_room(lens, starts, arena, at, 16)
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            for k in range(8):
                arena[p + k] = (micros[i] >> (56 - 8 * k)) & 255
            for k in range(4):
                arena[p + 8 + k] = (days[i] >> (24 - 8 * k)) & 255
                arena[p + 12 + k] = (months[i] >> (24 - 8 * k)) & 255
            starts[i] = p
            lens[i] = 16
            p += 16
