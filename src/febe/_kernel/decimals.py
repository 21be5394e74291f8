# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
"""Numerics in binary format (PostgreSQL: numeric_send) to Arrow's decimals and to text, a column at a time."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled

GOOD, MALFORMED, SPECIAL, SCALE, PRECISION = range(5)
"""What is the matter with a value: nothing; no numeric; NaN or infinity; digits beyond the scale; too many digits."""


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _u16(data: cython.const[cython.uchar][::1], p: cython.Py_ssize_t) -> cython.int:
    return data[p] * 256 + data[p + 1]


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _ten(power: cython.int) -> cython.int:
    return 1 if power <= 0 else 10 if power == 1 else 100 if power == 2 else 1000 if power == 3 else 10000


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _malformed(data: cython.const[cython.uchar][::1], p: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
    """Judge a value's head and digits: GOOD, MALFORMED or SPECIAL."""
    i: cython.Py_ssize_t
    sign: cython.int
    if size < 8 or p < 0 or p > len(data) - size or size != 8 + 2 * _u16(data, p):
        return 1
    sign = _u16(data, p + 4)
    if sign == 0xC000 or sign == 0xD000 or sign == 0xF000:
        return 2
    if (sign != 0 and sign != 0x4000) or _u16(data, p + 6) > 0x3FFF:
        return 1
    for i in range(8, size, 2):
        if _u16(data, p + i) > 9999:
            return 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _scale_up(
    out: cython.uint[::1], at: cython.Py_ssize_t, size: cython.Py_ssize_t, times: cython.ulonglong, plus: cython.int
) -> cython.int:
    """Multiply a little-endian number of 32-bit words and add to it; what does not fit is lost."""
    i: cython.Py_ssize_t
    one: cython.ulonglong = 1
    mask: cython.ulonglong = (one << 32) - 1
    carry: cython.ulonglong = plus
    for i in range(at, at + size):
        carry += out[i] * times
        out[i] = carry & mask
        carry >>= 32
    return 0


@cython.boundscheck(False)
def decimals(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    precision: cython.int,
    scale: cython.int,
    out: cython.uint[::1],
    at: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
) -> tuple[int, int]:
    """Write decimals of `size` 32-bit words; gives (-1, GOOD) or a bad row and why."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t
    groups: cython.int
    first: cython.int
    group: cython.int
    weight: cython.int
    power: cython.int
    digits: cython.int
    why: cython.int = 0
    small: cython.ulonglong
    carry: cython.ulonglong
    rows: cython.Py_ssize_t = lens.shape[0]
    negative: cython.bint
    w: cython.Py_ssize_t
    one: cython.ulonglong = 1
    mask: cython.ulonglong = (one << 32) - 1
    if at < 0 or len(out) < (at + rows) * size or len(starts) < rows or size < 2:
        raise ValueError("no room for the column")
    with cython.nogil:
        for i in range(rows):
            w = (at + i) * size
            for k in range(size):
                out[w + k] = 0
            if lens[i] < 0:
                continue
            p = starts[i]
            why = _malformed(data, p, lens[i])
            if why:
                break
            groups = _u16(data, p)
            weight = _u16(data, p + 2)
            if weight > 32767:
                weight -= 65536
            negative = _u16(data, p + 4) != 0
            first = 0
            while first < groups and _u16(data, p + 8 + 2 * first) == 0:
                first += 1
                weight -= 1
            while groups > first and _u16(data, p + 6 + 2 * groups) == 0:
                groups -= 1
            groups -= first
            if groups == 0:
                continue
            p += 8 + 2 * first
            power = 4 * (weight - groups + 1) + scale  # of ten, that the digits are multiplied by
            group = _u16(data, p)
            digits = 4 * groups - (0 if group > 999 else 1 if group > 99 else 2 if group > 9 else 3)
            if power < -3:
                why = 3
                break
            if digits + power > precision:
                why = 4
                break
            group = _u16(data, p + 2 * groups - 2)
            if power < 0:
                if group % _ten(-power):
                    why = 3
                    break
                group //= _ten(-power)
            if digits + power <= 18:
                small = 0
                for k in range(groups - 1):
                    small = small * 10000 + _u16(data, p + 2 * k)
                small = small * _ten(4 + power if power < 0 else 4) + group
                while power > 0:
                    small *= _ten(power)
                    power -= 4
                out[w] = small & mask
                out[w + 1] = small >> 32
            else:
                for k in range(groups - 1):
                    _scale_up(out, w, size, 10000, _u16(data, p + 2 * k))
                _scale_up(out, w, size, _ten(4 + power if power < 0 else 4), group)
                while power > 0:
                    _scale_up(out, w, size, _ten(power), 0)
                    power -= 4
            if negative:
                carry = 1
                for k in range(size):
                    carry += mask - out[w + k]
                    out[w + k] = carry & mask
                    carry >>= 32
    if why:
        return i, why
    return -1, GOOD


def measure_texts(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    sizes: cython.longlong[::1],
) -> int:
    """Give the most bytes that each value's text takes; -1, or the first that is no numeric."""
    i: cython.Py_ssize_t
    bad: cython.Py_ssize_t = -1
    weight: cython.int
    why: cython.int
    with cython.nogil:
        for i in range(lens.shape[0]):
            sizes[i] = 0
            if lens[i] < 0:
                continue
            why = _malformed(data, starts[i], lens[i])
            if why == 1:
                bad = i
                break
            if why == 2:
                sizes[i] = 9
                continue
            weight = _u16(data, starts[i] + 2)
            if weight > 32767:
                weight = 0
            sizes[i] = 4 * weight + 6 + _u16(data, starts[i] + 6)
    return bad


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _digit(
    data: cython.const[cython.uchar][::1], p: cython.Py_ssize_t, groups: cython.int, n: cython.int
) -> cython.int:
    """Give decimal digit `n`, counted from the first group's first."""
    group: cython.int
    if n < 0 or n >= 4 * groups:
        return 48
    group = _u16(data, p + n // 4 * 2)
    n &= 3
    return 48 + (group // 1000 if n == 0 else group // 100 if n == 1 else group // 10 if n == 2 else group) % 10


@cython.boundscheck(False)
def texts(
    data: cython.const[cython.uchar][::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    out: cython.uchar[::1],
    special: cython.const[cython.uchar][::1],
) -> None:
    """Write texts as numeric_out does, and set `lens` and `starts` to where they lie in `out`.

    `measure_texts` has seen the values.  `special`: NaN-InfinityInfinity.
    """
    i: cython.Py_ssize_t
    k: cython.int
    p: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    groups: cython.int
    weight: cython.int
    scale: cython.int
    sign: cython.int
    whole: cython.int
    fault: cython.bint = False
    room: cython.Py_ssize_t = len(out)
    if len(special) < 20:
        raise ValueError("no names of what is no number")
    with cython.nogil:
        for i in range(lens.shape[0]):
            if lens[i] < 0:
                continue
            p = starts[i]
            begin = at
            groups = _u16(data, p)
            weight = _u16(data, p + 2)
            if weight > 32767:
                weight -= 65536
            sign = _u16(data, p + 4)
            scale = _u16(data, p + 6)
            if room - at < (9 if sign > 16384 else (4 * weight if weight > 0 else 0) + 6 + scale):
                fault = True
                break
            if sign > 16384:
                k = 0 if sign == 0xC000 else 12 if sign == 0xD000 else 3
                whole = 3 if k == 0 else 8 if k == 12 else 9
                while whole:
                    out[at] = special[k]
                    at += 1
                    k += 1
                    whole -= 1
            else:
                p += 8
                if sign:
                    out[at] = 45
                    at += 1
                k = 0
                whole = 4 * (weight + 1)
                while k < whole - 1 and _digit(data, p, groups, k) == 48:
                    k += 1
                if whole <= 0:
                    out[at] = 48
                    at += 1
                while k < whole:
                    out[at] = _digit(data, p, groups, k)
                    at += 1
                    k += 1
                if scale:
                    out[at] = 46
                    at += 1
                    k = whole
                    while k < whole + scale:
                        out[at] = _digit(data, p, groups, k)
                        at += 1
                        k += 1
            starts[i] = begin
            lens[i] = at - begin
    if fault:
        raise ValueError("no room for the values")
