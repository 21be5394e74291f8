# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Booleans, integers, floats and numerics to bytes in both formats (boolout, int4out, float8out, numeric_send, ...)."""

from __future__ import annotations

from decimal import Decimal
from operator import index
from struct import Struct

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.errors import unfit

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
    from cython.cimports.cpython.unicode import PyUnicode_AsUTF8AndSize
    from cython.cimports.febe._kernel.floats import float4_text as float4_digits
    from cython.cimports.febe._kernel.floats import float8_text as float8_digits
    from cython.cimports.febe._kernel.wire import put16
else:
    from febe._kernel.floats import float4_text as float4_digits
    from febe._kernel.floats import float8_text as float8_digits

COMPILED: bool = cython.compiled

_INT2, _INT4, _INT8, _OID = Struct("!h").pack, Struct("!i").pack, Struct("!q").pack, Struct("!I").pack
_FLOAT4, _FLOAT8 = Struct("!f").pack, Struct("!d").pack
_SAME_FLOAT4 = Struct("!f").unpack
_NUMERIC = Struct("!HhHH").pack
_DECIMAL = Decimal


@cython.cfunc
def _integer(value: object, low: object, high: object) -> object:
    if type(value) is not int:
        try:
            value = index(value)  # type: ignore[arg-type]
        except TypeError:
            raise unfit("an integer", value) from None
    if value < low or value > high:  # type: ignore[operator]
        raise OverflowError(f"integer out of range {low} to {high}")
    return value


@cython.cfunc
def _int2(value: object) -> object:
    return _integer(value, -0x8000, 0x7FFF)


@cython.cfunc
def _int4(value: object) -> object:
    return _integer(value, -0x80000000, 0x7FFFFFFF)


@cython.cfunc
def _int8(value: object) -> object:
    return _integer(value, -0x8000000000000000, 0x7FFFFFFFFFFFFFFF)


@cython.cfunc
def _oid(value: object) -> object:
    return _integer(value, 0, 0xFFFFFFFF)


@cython.cfunc
def _digits(value: object) -> bytes:
    return str(value).encode()


@cython.cfunc
def bool_text(value: object) -> bytes:
    return b"t" if _boolean(value) else b"f"


@cython.cfunc
def bool_binary(value: object) -> bytes:
    return b"\1" if _boolean(value) else b"\0"


def _boolean(value: object) -> object:
    if value is not True and value is not False and type(value).__name__ not in ("bool", "bool_"):  # numpy's
        raise unfit("a bool", value)
    return value


@cython.cfunc
def int2_text(value: object) -> bytes:
    return _digits(_int2(value))


@cython.cfunc
def int2_binary(value: object) -> bytes:
    return _INT2(_int2(value))


@cython.cfunc
def int4_text(value: object) -> bytes:
    return _digits(_int4(value))


@cython.cfunc
def int4_binary(value: object) -> bytes:
    return _INT4(_int4(value))


@cython.cfunc
def int8_text(value: object) -> bytes:
    return _digits(_int8(value))


@cython.cfunc
def int8_binary(value: object) -> bytes:
    return _INT8(_int8(value))


@cython.cfunc
def oid_text(value: object) -> bytes:
    return _digits(_oid(value))


@cython.cfunc
def oid_binary(value: object) -> bytes:
    return _OID(_oid(value))


def _float8(value: object) -> float:
    if type(value) is float:
        return value
    if isinstance(value, str | bytes | bytearray) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise unfit("a float", value)
    return float(value)  # type: ignore[arg-type]


def _float4(value: object) -> bytes:
    number = _float8(value)
    try:
        data = _FLOAT4(number)
    except OverflowError:
        raise OverflowError("float out of range of float4") from None
    if number != 0.0 and data in (b"\0\0\0\0", b"\x80\0\0\0"):
        raise OverflowError("float out of range of float4")
    return data


@cython.cfunc
def float4_text(value: object) -> bytes:
    return float4_digits(_SAME_FLOAT4(_float4(value))[0])


@cython.cfunc
def float4_binary(value: object) -> bytes:
    return _float4(value)


@cython.cfunc
def float8_text(value: object) -> bytes:
    return float8_digits(_float8(value))


@cython.cfunc
def float8_binary(value: object) -> bytes:
    return _FLOAT8(_float8(value))


def _decimal(value: object) -> Decimal:
    """Give the value as Decimal in PostgreSQL's range: 131072 digits before the point, 16383 after it."""
    if isinstance(value, Decimal):
        number = value
    elif type(value) is float or isinstance(value, float):
        number = Decimal(float.__repr__(value))
    else:
        try:
            number = Decimal(index(value))  # type: ignore[arg-type]
        except TypeError:
            raise unfit("a Decimal, an int or a float", value) from None
    if number.is_snan():
        raise ValueError("numeric has no signalling NaN")
    if number.is_finite() and (number.adjusted() > 131071 or number.as_tuple().exponent < -16383):  # type: ignore[operator]
        raise OverflowError("number out of range of numeric")
    return number


@cython.cfunc
def numeric_text(value: object) -> bytes:
    return _numeric_form(value).encode()


def _numeric_form(value: object) -> str:
    number = _decimal(value)
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity" if number > 0 else "-Infinity"
    text = format(number, "f")
    if not number:  # no minus before zero, and no zeros for a large exponent
        exponent = number.as_tuple().exponent
        return f"{0:.{-exponent}f}" if isinstance(exponent, int) and exponent < 0 else "0"
    return text


@cython.cfunc
def numeric_binary(value: object) -> bytes:
    if cython.compiled and (type(value) is _DECIMAL or type(value) is int):
        size: cython.Py_ssize_t = 0
        text: str = str(value)
        data: cython.p_const_char = PyUnicode_AsUTF8AndSize(text, cython.address(size))
        if size <= 64:
            out = cython.declare(cython.uchar[64])
            size = _groups(data, size, out)
            if size:
                return PyBytes_FromStringAndSize(cython.cast(cython.p_char, out), size)
    return _numeric_groups(value)


@cython.cfunc
@cython.exceptval(check=False)
def _groups(text: cython.p_const_char, size: cython.Py_ssize_t, out: cython.p_uchar) -> cython.Py_ssize_t:
    """Write digits with a sign and a point as numeric_send does; gives the length, 0: not such a text."""
    at: cython.Py_ssize_t
    digit: cython.int
    point: cython.int = -1
    start: cython.int = 1 if size and text[0] == 45 else 0
    stop: cython.int = size
    for at in range(start, size):
        if text[at] == 46:
            if point >= 0:
                return 0
            point = at
        elif text[at] < 48 or text[at] > 57:
            return 0
    if point < 0:
        point = stop
    if point == start:
        return 0
    # The first group holds as many digits as make the others whole; from there on four each.
    weight: cython.int = (point - start + 3) // 4 - 1
    count: cython.int = 0  # written, the last of them possibly zeros
    kept: cython.int = 0  # up to the last that is not zero
    group: cython.int = 0
    place: cython.int = (4 - (point - start) % 4) % 4
    for at in range(start, size):
        if at == point:
            continue
        digit = text[at] - 48
        group = group * 10 + digit
        place += 1
        if place == 4:
            if group or count:
                out[8 + 2 * count] = group >> 8
                out[9 + 2 * count] = group & 255
                count += 1
                if group:
                    kept = count
            else:
                weight -= 1
            group = place = 0
    if place:
        while place < 4:
            group *= 10
            place += 1
        if group:
            out[8 + 2 * count] = group >> 8
            out[9 + 2 * count] = group & 255
            count += 1
            kept = count
    if kept == 0:
        weight = start = 0
    put16(out, 0, kept)
    put16(out, 2, weight & 0xFFFF)
    put16(out, 4, 0x4000 if start else 0)
    put16(out, 6, 0 if point == stop else stop - point - 1)
    return 8 + 2 * kept


def _numeric_groups(value: object) -> bytes:
    text = _numeric_form(value)
    special = {"NaN": 0xC000, "Infinity": 0xD000, "-Infinity": 0xF000}.get(text)
    if special is not None:
        # numeric_send gives infinities this display scale, and NaN none.
        return _NUMERIC(0, 0, special, 0 if special == 0xC000 else 32)
    sign = 0x4000 if text.startswith("-") else 0
    whole, _, fraction = text.lstrip("-").partition(".")
    scale = len(fraction)
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    digits = whole + fraction
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    weight = len(whole) // 4 - 1
    first, last = 0, len(groups)
    while first < last and groups[first] == 0:
        first += 1
    while last > first and groups[last - 1] == 0:
        last -= 1
    groups = groups[first:last]
    weight = weight - first if groups else 0
    return _NUMERIC(len(groups), weight, sign, scale) + Struct(f"!{len(groups)}H").pack(*groups)
