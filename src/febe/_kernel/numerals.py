# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM108 - a conditional expression has no C type of both kinds
"""PostgreSQL's text of floating point columns and both forms of numeric ones; called as `render`'s functions are.

Everything is integer arithmetic on the values' bits, so compiled and interpreted give the same digits.
"""

from __future__ import annotations

from array import array

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled

FLOAT_CELL = 32

POINT = 256
"""Where the decimal point lies in the scratch digits: a decimal256 of a scale up to 128 fits on both sides."""

SCRATCH = 512


def powers() -> tuple[array[int], array[int]]:
    """10**-k for k from 292 down to -324 as 126-bit fractions, rounded up: the upper and the lower 63 bits."""
    upper, lower = array("Q"), array("Q")
    for exponent in range(-292, 325):
        shift = (exponent * 913124641741 >> 38) - 125
        if exponent >= 0:
            value = (10**exponent >> shift if shift > 0 else 10**exponent << -shift) + 1
        else:
            value = (1 << -shift) // 10**-exponent + 1
        upper.append(value >> 63)
        lower.append(value & 0x7FFFFFFFFFFFFFFF)
    return upper, lower


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _high(a: cython.ulonglong, b: cython.ulonglong) -> cython.ulonglong:
    """Give the upper half of a 64-bit product."""
    one: cython.ulonglong = 1  # a literal of more than 32 bits would be a Python object
    half: cython.ulonglong = (one << 32) - 1
    al: cython.ulonglong = a & half
    bl: cython.ulonglong = b & half
    a >>= 32
    b >>= 32
    low: cython.ulonglong = al * bl
    mid: cython.ulonglong = a * bl + (low >> 32)
    other: cython.ulonglong = al * b + (mid & half)
    return a * b + (mid >> 32) + (other >> 32)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _scaled(upper: cython.ulonglong, lower: cython.ulonglong, value: cython.ulonglong) -> cython.ulonglong:
    """Multiply by a power of ten; the last bit tells whether anything was cut off ("round to odd")."""
    one: cython.ulonglong = 1
    most: cython.ulonglong = (one << 63) - 1
    carry: cython.ulonglong = ((upper * value) >> 1 & most) + _high(lower, value)
    whole: cython.ulonglong = _high(upper, value) + (carry >> 63)
    if carry & most:
        whole |= 1
    return whole


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.cdivision(True)
def _shortest(
    c: cython.ulonglong,
    shift: cython.int,
    uneven: cython.bint,
    upper: cython.ulonglong,
    lower: cython.ulonglong,
) -> cython.ulonglong:
    """Give the fewest digits, and of those the nearest, strictly between the neighbours' midpoints of a float.

    Raffaello Giulietti, "The Schubfach way to render doubles" (2020), section 9.  The midpoints themselves are never
    taken, even where reading back would round to even: PostgreSQL does the same (its d2s.c: acceptBounds false).
    """
    value: cython.ulonglong = _scaled(upper, lower, (c << 2) << shift)
    gap: cython.int = 1 if uneven else 2
    below: cython.ulonglong = _scaled(upper, lower, ((c << 2) - gap) << shift) + 1
    above: cython.ulonglong = _scaled(upper, lower, ((c << 2) + 2) << shift)
    s: cython.ulonglong = value >> 2
    ten: cython.ulonglong = s // 10 * 10
    low: cython.bint
    high: cython.bint
    if s >= 10:
        low = below <= (ten << 2)
        high = ((ten + 10) << 2) + 1 <= above
        if low != high:
            return ten if low else ten + 10
    low = below <= (s << 2)
    high = ((s + 1) << 2) + 1 <= above
    if low != high:
        return s if low else s + 1
    ten = (s << 2) + 2
    if value < ten or (value == ten and s & 1 == 0):
        return s
    return s + 1


@cython.cdivision(True)
def floats(
    values: cython.longlong[::1],
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
    double: cython.bint,
    upper: cython.ulonglong[::1],
    lower: cython.ulonglong[::1],
) -> None:
    """Shortest digits that read back as the same float4 or float8 (PostgreSQL: float4out, float8out), from its bits."""
    i: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    begin: cython.Py_ssize_t
    end: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    fraction_bits: cython.int = 52 if double else 23
    exponent_mask: cython.longlong = 2047 if double else 255
    bias: cython.int = 1075 if double else 150
    widest: cython.int = 15 if double else 6  # PostgreSQL: DBL_DIG, FLT_DIG; from there on with an exponent
    one: cython.longlong = 1
    mask: cython.longlong = (one << fraction_bits) - 1
    bits: cython.longlong
    fraction: cython.longlong
    biased: cython.int
    q: cython.longlong
    k: cython.longlong
    shift: cython.longlong
    exponent: cython.longlong
    uneven: cython.bint
    log_two: cython.longlong = 661971961083  # log10(2) * 2**41
    log_part: cython.longlong = 274743187321  # log10(4/3) * 2**41
    log_ten: cython.longlong = 913124641741  # log2(10) * 2**38
    sign: cython.int = 63 if double else 31
    digits: cython.ulonglong
    rest: cython.ulonglong
    count: cython.int
    out: cython.p_uchar
    if len(starts) < rows or at < 0 or len(arena) < at + rows * FLOAT_CELL or len(upper) < 617 or len(lower) < 617:
        raise ValueError("no room for the column")
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
            begin = p
            bits = values[i]
            fraction = bits & mask
            biased = (bits >> fraction_bits) & exponent_mask
            if biased == exponent_mask and fraction:
                out[p] = 78  # NaN
                out[p + 1] = 97
                out[p + 2] = 78
                p += 3
                starts[i] = begin
                lens[i] = 3
                continue
            if (bits >> sign) & 1:
                out[p] = 45  # -
                p += 1
            if biased == exponent_mask:
                out[p] = 73  # Infinity
                out[p + 1] = 110
                out[p + 2] = 102
                out[p + 3] = 105
                out[p + 4] = 110
                out[p + 5] = 105
                out[p + 6] = 116
                out[p + 7] = 121
                p += 8
                starts[i] = begin
                lens[i] = p - begin
                continue
            if biased == 0 and fraction == 0:
                out[p] = 48
                p += 1
                starts[i] = begin
                lens[i] = p - begin
                continue
            uneven = fraction == 0 and biased > 1  # the gap below a power of two is half the gap above
            if biased:
                fraction += one << fraction_bits
                q = biased - bias
            else:
                q = 1 - bias
            # floor(log10(2**q)), or of three quarters of it; floor(log2(10**-k)).
            k = q * log_two
            if uneven:
                k -= log_part
            k >>= 41
            shift = q + ((-k * log_ten) >> 38) + 2
            digits = _shortest(fraction, shift, uneven, upper[292 - k], lower[292 - k])
            while digits % 10 == 0:
                digits //= 10
                k += 1
            count = 0
            rest = digits
            while rest:
                rest //= 10
                count += 1
            exponent = k + count - 1
            if exponent < -4 or exponent >= widest:
                end = p + count + 1  # d.ddd, the point put in afterwards
                for _ in range(count):
                    end -= 1
                    out[end] = 48 + digits % 10
                    digits //= 10
                out[p] = out[p + 1]
                p += 1
                if count > 1:
                    out[p] = 46
                    p += count
                out[p] = 101
                out[p + 1] = 43
                if exponent < 0:
                    out[p + 1] = 45
                    exponent = -exponent
                p += 2
                if exponent >= 100:
                    out[p] = 48 + exponent // 100
                    exponent %= 100
                    p += 1
                out[p] = 48 + exponent // 10
                out[p + 1] = 48 + exponent % 10
                p += 2
            else:
                if exponent < 0:
                    end = p + 1 - k  # 0.000ddd: one digit, the point, -k digits
                    end += 1
                elif k < 0:
                    end = p + count + 1
                else:
                    end = p + count + k
                begin = p
                p = end
                while k > 0:
                    end -= 1
                    out[end] = 48
                    k -= 1
                while end > begin:
                    end -= 1
                    out[end] = 48 + digits % 10
                    digits //= 10
                    k += 1
                    if k == 0 and end > begin:
                        end -= 1
                        out[end] = 46
                        k = 1
                if (bits >> sign) & 1:
                    begin -= 1
            starts[i] = begin
            lens[i] = p - begin


@cython.cdivision(True)
def numerics(
    words: cython.const[cython.uint][::1],
    first: cython.Py_ssize_t,
    size: cython.int,
    signed: cython.bint,
    scale: cython.int,
    binary: cython.bint,
    lens: cython.int[::1],
    starts: cython.longlong[::1],
    arena: cython.uchar[::1],
    at: cython.Py_ssize_t,
    cell: cython.Py_ssize_t,
    scratch: cython.uint[::1],
    digits: cython.uchar[::1],
) -> None:
    """Integers of `size` 32-bit words, least first, divided by 10**scale (PostgreSQL: numeric_out, numeric_send)."""
    i: cython.Py_ssize_t
    w: cython.Py_ssize_t
    j: cython.Py_ssize_t
    p: cython.Py_ssize_t = at
    begin: cython.Py_ssize_t
    last: cython.Py_ssize_t
    top: cython.Py_ssize_t
    rows: cython.Py_ssize_t = lens.shape[0]
    negative: cython.bint
    part: cython.ulonglong
    carry: cython.ulonglong
    half: cython.ulonglong = 0xFFFFFFFF
    point: cython.Py_ssize_t = 256
    shown: cython.int = scale if scale > 0 else 0
    group: cython.int
    groups: cython.int
    weight: cython.int
    if (
        len(starts) < rows
        or at < 0
        or len(arena) < at + rows * cell
        or cell < 96 + abs(scale)
        or len(scratch) < size
        or not 1 < size <= 8
        or len(digits) < SCRATCH
        or not -128 <= scale <= 128
        or first < 0
        or len(words) < (first + rows) * size
    ):
        raise ValueError("no room for the column")
    with cython.nogil:
        for i in range(rows):
            if lens[i] < 0:
                continue
            j = (first + i) * size
            negative = signed and words[j + size - 1] >> 31
            carry = 1
            for w in range(size):
                part = words[j + w]
                if negative:
                    part = (part ^ half) + carry
                    carry = part >> 32
                    part &= half
                scratch[w] = part
            top = size
            while top > 2 and scratch[top - 1] == 0:
                top -= 1
            begin = point + scale
            while top > 2:
                carry = 0
                for w in range(top - 1, -1, -1):
                    part = (carry << 32) | scratch[w]
                    scratch[w] = part // 1000000000
                    carry = part % 1000000000
                for _ in range(9):
                    begin -= 1
                    digits[begin] = 48 + carry % 10
                    carry //= 10
                if scratch[top - 1] == 0:
                    top -= 1
            part = scratch[1]
            part = (part << 32) | scratch[0]
            while part:
                begin -= 1
                digits[begin] = 48 + part % 10
                part //= 10
            last = point + scale
            if begin == last:  # zero
                negative = False
                if begin > point - 1:
                    begin = point - 1 if not binary else point
                    for j in range(begin, last):
                        digits[j] = 48
                else:
                    begin = last = point - 1
                    digits[begin] = 48
                    last = point
            while last < point:
                digits[last] = 48
                last += 1
            starts[i] = p
            if binary:
                # Whole groups of four digits on both sides of the point, without zero groups at either end.
                while begin > point:
                    begin -= 1
                    digits[begin] = 48
                while (point - begin) & 3:
                    begin -= 1
                    digits[begin] = 48
                while (last - point) & 3:
                    digits[last] = 48
                    last += 1
                while begin < last and (
                    digits[begin] == 48
                    and digits[begin + 1] == 48
                    and digits[begin + 2] == 48
                    and digits[begin + 3] == 48
                ):
                    begin += 4
                while begin < last and (
                    digits[last - 1] == 48
                    and digits[last - 2] == 48
                    and digits[last - 3] == 48
                    and digits[last - 4] == 48
                ):
                    last -= 4
                groups = (last - begin) >> 2
                weight = 0
                if groups:
                    weight = ((point - begin) >> 2) - 1
                arena[p] = 0
                arena[p + 1] = groups & 255
                arena[p + 2] = (weight >> 8) & 255
                arena[p + 3] = weight & 255
                arena[p + 4] = 64 if negative else 0
                arena[p + 5] = 0
                arena[p + 6] = 0
                arena[p + 7] = shown
                p += 8
                while begin < last:
                    group = (
                        (digits[begin] - 48) * 1000
                        + (digits[begin + 1] - 48) * 100
                        + (digits[begin + 2] - 48) * 10
                        + (digits[begin + 3] - 48)
                    )
                    arena[p] = group >> 8
                    arena[p + 1] = group & 255
                    p += 2
                    begin += 4
            else:
                while begin > point - 1:
                    begin -= 1
                    digits[begin] = 48
                if negative:
                    arena[p] = 45
                    p += 1
                while begin < point:
                    arena[p] = digits[begin]
                    p += 1
                    begin += 1
                if shown:
                    arena[p] = 46
                    p += 1
                    while begin < last:
                        arena[p] = digits[begin]
                        p += 1
                        begin += 1
            lens[i] = p - starts[i]


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _widened(
    bits: cython.longlong, sign: cython.int, fraction_bits: cython.int, wide_sign: cython.int, wide_bits: cython.int
) -> cython.longlong:
    """Give a binary float's bits in a wider format, exactly; each format by its sign's and its fraction's position."""
    one: cython.longlong = 1
    fraction: cython.longlong = bits & ((one << fraction_bits) - 1)
    top: cython.longlong = (one << (sign - fraction_bits)) - 1
    wide_top: cython.longlong = (one << (wide_sign - wide_bits)) - 1
    exponent: cython.longlong = (bits >> fraction_bits) & top
    wide: cython.longlong
    if exponent == top:
        exponent = wide_top
    elif exponent or fraction:
        if exponent == 0:  # subnormal here, normal there
            exponent = 1
            while not fraction >> fraction_bits:
                fraction <<= 1
                exponent -= 1
            fraction -= one << fraction_bits
        exponent += (wide_top >> 1) - (top >> 1)
    wide = (exponent << wide_bits) | (fraction << (wide_bits - fraction_bits))
    if (bits >> sign) & 1:
        # The smallest integer of the wide format is its sign alone.
        wide += -(one << 62) - (one << 62) if wide_sign == 63 else one << wide_sign
    return wide


def widen(
    values: cython.longlong[::1],
    sign: cython.int,
    fraction_bits: cython.int,
    wide_sign: cython.int,
    wide_bits: cython.int,
) -> None:
    """Change floats' bits in place: half (15, 10), single (31, 23) to single or double (63, 52)."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(values.shape[0]):
            values[i] = _widened(values[i], sign, fraction_bits, wide_sign, wide_bits)
