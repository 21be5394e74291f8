# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Floating point as PostgreSQL prints it."""

from __future__ import annotations

from decimal import Decimal
from math import copysign, frexp, ldexp, ulp
from struct import Struct

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.cpython.mem import PyMem_Free
    from cython.cimports.febe._kernel.wire import PyOS_double_to_string
    from cython.cimports.libc.math import floor, log10

    _POWERS = cython.declare(cython.double[23])
else:
    from math import floor, log10

    _POWERS = [0.0] * 23

for _n in range(23):
    _POWERS[_n] = 10.0**_n

_FLOAT4 = Struct("!f")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def to_float4(value: cython.double) -> cython.float:
    """Round to the nearest float4; infinite when there is none."""
    if cython.compiled:
        return cython.cast(cython.float, value)
    else:
        try:
            return _FLOAT4.unpack(_FLOAT4.pack(value))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")


def _shortest(value: float, bits: int, least: int) -> tuple[int, int]:
    """Give (n, k) so that n * 10**k has the fewest digits between the middles to the neighbours of a positive number.

    `bits` of precision, the last one never worth less than 2**`least`.  PostgreSQL leaves the middles out
    (double_to_shortest_decimal_bufn: acceptBounds = false) where Python's repr takes one that rounds to even: 1e23.
    """
    exponent = max(frexp(value)[1] - bits, least)
    mantissa = int(ldexp(value, -exponent))
    # In quarters of the last bit; below a power of two the neighbour is half as far.
    low = 4 * mantissa - (1 if mantissa == 1 << bits - 1 and exponent > least else 2)
    high = 4 * mantissa + 2
    exponent -= 2
    for digits in range(1, 18):
        power = Decimal(value).adjusted() - digits + 1
        left = 10 ** max(power, 0) << max(-exponent, 0)
        right = 10 ** max(-power, 0) << max(exponent, 0)
        n, rest = divmod(4 * mantissa * right, left)
        inside = [one for one in (n, n + 1) if low * right < one * left < high * right]
        if inside:
            return (n + (2 * rest + n % 2 > left) if len(inside) == 2 else inside[0]), power
    raise AssertionError("17 digits tell every float8 from its neighbours")


@cython.ccall
def shortest_float4(value: cython.double) -> cython.double:
    """Give the float8 of the fewest digits that stand for this float4: 0.1, not 0.10000000149011612."""
    size: cython.double = abs(value)
    digits: cython.int
    exponent: cython.int
    scale: cython.int
    whole: cython.double
    short: cython.double
    power: cython.double
    place: cython.double
    twice: cython.double
    if value == 0.0 or value - value != 0.0 or (size < 1e6 and floor(size) == size):
        return value
    if 1e-9 < size < 1e21:
        exponent = cython.cast(cython.int, floor(log10(size))) if cython.compiled else floor(log10(size))
        power = _POWERS[exponent] if exponent >= 0 else 1.0 / _POWERS[-exponent]
        if size < power:
            exponent -= 1
        elif size >= power * 10.0:
            exponent += 1
        twice = size - size / 16777216.0
        lone: cython.bint = to_float4(twice) == twice  # a power of two
        for digits in range(6, 10):
            scale = digits - 1 - exponent
            # Both operands are exact, so the quotient is the float8 nearest to the decimal.
            if scale >= 0:
                power = _POWERS[scale]
                place = size * power
                whole = floor(place + 0.5)
                short = whole / power
            else:
                power = _POWERS[-scale]
                place = size / power
                whole = floor(place + 0.5)
                short = whole * power
            if short == size:
                return value
            twice = size + 2.0 * (short - size)
            if to_float4(twice) == twice or whole - place == 0.5 or lone:
                break  # in the middle to a neighbour, or between two decimals, or the neighbours are not equally far
            if to_float4(short) == size:
                return short if value > 0 else -short
    n, k = _shortest(size, 24, -149)
    short = float(f"{n}e{k}")
    return short if value > 0 else -short


@cython.cfunc
def _float_text(value: cython.double, size: cython.double, least: cython.double) -> bytes:
    """Print the fewest digits; numbers from `least` on with an exponent (float8out, float4out: DBL_DIG, FLT_DIG)."""
    if value != value:
        return b"NaN"
    if size == float("inf"):
        return b"Infinity" if value > 0 else b"-Infinity"
    if cython.compiled and size < least:
        # repr() without the final ".0"
        made: cython.p_char = PyOS_double_to_string(value, 114, 0, 0, cython.NULL)
        if made == cython.NULL:
            raise MemoryError
        try:
            return made
        finally:
            PyMem_Free(made)
    text: str = repr(size).removesuffix(".0")
    digits: str
    places: int
    if size >= least:
        if "e" not in text:
            whole, _, fraction = text.partition(".")
            digits, places = (whole + fraction).rstrip("0"), len(whole)
        else:
            head, _, tail = text.partition("e")
            digits, places = head.replace(".", ""), int(tail) + 1
        # From 2**53 on middles are whole numbers, and up to 10**40 short decimals may be such.
        if least > 1e6 and 9007199254740992.0 <= size < 1e41:
            exact: object = int(size)
            if abs(int(digits) * 10 ** (places - len(digits)) - exact) * 2 == int(ulp(size)):
                n, k = _shortest(size, 53, -1074)
                digits = str(n)
                places = len(digits) + k
                digits = digits.rstrip("0")
        text = f"{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e+{places - 1:02d}"
    return (f"-{text}" if value < 0 or (value == 0.0 and copysign(1.0, value) < 0) else text).encode()


@cython.cfunc
def float8_text(value: cython.double) -> bytes:
    """Print a float8 as float8out does with extra_float_digits at its default."""
    text: bytes = _float_text(value, abs(value), 1e15)
    return text


@cython.cfunc
def float4_text(value: cython.double) -> bytes:
    """Print a float4 as float4out does with extra_float_digits at its default."""
    value = shortest_float4(to_float4(value))
    text: bytes = _float_text(value, abs(value), 1e6)
    return text
