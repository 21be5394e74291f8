# mypy: disable-error-code="import-untyped,untyped-decorator"
"""Floating point as PostgreSQL prints it."""

from __future__ import annotations

from math import floor, isfinite, log10
from struct import Struct

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

_POWERS = tuple(10.0**n for n in range(23))
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


@cython.ccall
def shortest_float4(value: cython.double) -> cython.double:
    """Give the float8 with the fewest decimal digits that rounds to this float4: 0.1, not 0.10000000149011612."""
    size: cython.double = abs(value)
    digits: cython.int
    exponent: cython.int
    scale: cython.int
    whole: cython.double
    short: cython.double
    power: cython.double
    if value == 0.0 or not isfinite(value) or (size < 1e6 and floor(size) == size):
        return value
    if 1e-9 < size < 1e21:
        exponent = floor(log10(size))
        power = _POWERS[exponent] if exponent >= 0 else 1.0 / _POWERS[-exponent]
        if size < power:
            exponent -= 1
        elif size >= power * 10.0:
            exponent += 1
        for digits in range(6, 10):
            scale = digits - 1 - exponent
            # Both operands are exact, so the quotient is the float8 nearest to the decimal.
            if scale >= 0:
                power = _POWERS[scale]
                whole = floor(size * power + 0.5)
                short = whole / power
            else:
                power = _POWERS[-scale]
                whole = floor(size / power + 0.5)
                short = whole * power
            if to_float4(short) == size:
                return short if value > 0 else -short
    for digits in range(1, 10):
        short = float(f"{value:.{digits - 1}e}")
        if to_float4(short) == value:
            return short
    return value


@cython.cfunc
def _float_text(value: cython.double, size: cython.double, least: cython.double) -> bytes:
    """Print the fewest digits; numbers from `least` on with an exponent (float8out, float4out: DBL_DIG, FLT_DIG)."""
    if value != value:
        return b"NaN"
    if size == float("inf"):
        return b"Infinity" if value > 0 else b"-Infinity"
    text: str = repr(value).removesuffix(".0")
    if size >= least and "e" not in text:
        sign: str = ""
        if value < 0:
            sign = "-"
            text = text[1:]
        whole, _, fraction = text.partition(".")
        digits: str = (whole + fraction).rstrip("0")
        text = f"{sign}{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e+{len(whole) - 1:02d}"
    return text.encode()


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
