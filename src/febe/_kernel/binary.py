# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Values in binary format to Python (the types' `..._send` functions), and the forms that both formats share."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from json import JSONDecoder
from struct import Struct, unpack_from
from uuid import UUID, SafeUUID

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import parse
from febe._kernel.far import date_of, timestamp_of

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.cpython.datetime import date_new, datetime_new, import_datetime
    from cython.cimports.cpython.object import PyObject_GenericSetAttr
    from cython.cimports.cpython.unicode import PyUnicode_DecodeUTF8
    from cython.cimports.febe._kernel.floats import shortest_float4
    from cython.cimports.febe._kernel.wire import (
        f4,
        f8,
        febe_new_object,
        febe_uint128,
        febe_utf8,
        i16,
        i32,
        i64,
        u16,
        u32,
    )

    import_datetime()
else:
    from febe._kernel.floats import shortest_float4
    from febe._kernel.wire import f4, f8, i16, i32, i64, u16, u32

_UTC = timezone.utc  # noqa: UP017 - the C API's object
_EPOCH = datetime(2000, 1, 1)
_EPOCH_UTC = datetime(2000, 1, 1, tzinfo=_UTC)
_DECIMAL = Decimal
_UUID = UUID
_UNKNOWN = SafeUUID.unknown
_NAN, _INFINITY, _MINUS_INFINITY = Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")
_numeric_head = Struct("!HhHH").unpack_from


_CHARS = ["", *[chr(byte) for byte in range(1, 128)], *[f"\\{byte:03o}" for byte in range(128, 256)]]
"""How charout spells each byte."""


def _number(text: str) -> float | Decimal:
    """Read a JSON number with a point or an exponent: a float where it is exactly that decimal, else a Decimal."""
    value = float(text)
    if len(text) <= 15 and "e" not in text and "E" not in text:  # DBL_DIG digits survive
        return value
    exact = Decimal(text)
    return value if Decimal(repr(value)) == exact else exact


def _constant(text: str) -> object:
    raise ValueError(f"JSON has no {text}")


_json = JSONDecoder(parse_float=_number, parse_constant=_constant).decode


@cython.cfunc
def utf8(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> str:
    if cython.compiled:
        return febe_utf8(PyBytes_AS_STRING(data) + pos, size)
    else:
        return str(data[pos : pos + size], "utf-8")


def _wrong_size(name: str, size: int) -> ValueError:
    return ValueError(f"{size} bytes are no binary {name}")


@cython.cfunc
def bool_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 1:
        raise _wrong_size("bool", size)
    return data[pos] != 0


@cython.cfunc
def int2_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 2:
        raise _wrong_size("int2", size)
    return i16(data, pos)[0]


@cython.cfunc
def int4_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("int4", size)
    return i32(data, pos)[0]


@cython.cfunc
def int8_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("int8", size)
    return i64(data, pos)[0]


@cython.cfunc
def oid_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("oid", size)
    return u32(data, pos)[0]


@cython.cfunc
def float4_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("float4", size)
    return shortest_float4(f4(data, pos)[0])


@cython.cfunc
def float8_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("float8", size)
    return f8(data, pos)[0]


@cython.cfunc
def decode_string(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        return utf8(data, pos, size)
    return str(data[pos : pos + size], "utf-8")


@cython.cfunc
def char_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 1:
        raise _wrong_size("char", size)
    return _CHARS[data[pos]]


@cython.cfunc
def bytea_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return data[pos : pos + size]


@cython.cfunc
@cython.exceptval(check=False)
def _civil(days: cython.longlong) -> cython.int:
    """Turn days since 2000-01-01 (of the years 1 to 9999) into year * 512 + month * 32 + day."""
    # Days counted from 1 March of year 0 in eras of 400 years, so that the leap day ends the year.
    days += 730425
    era: cython.longlong = days // 146097
    of_era: cython.longlong = days - era * 146097
    year: cython.longlong = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day: cython.longlong = of_era - (365 * year + year // 4 - year // 100)
    month: cython.longlong = (5 * day + 2) // 153
    day = day - (153 * month + 2) // 5 + 1
    if month < 10:
        month += 3
    else:
        month -= 9
        year += 1
    return (year + era * 400) * 512 + month * 32 + day


@cython.cfunc
def date_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("date", size)
    days: cython.longlong = i32(data, pos)[0]
    if days < -730119 or days > 2921939:
        return date_of(days)
    if cython.compiled:
        packed: cython.int = _civil(days)
        return date_new(packed >> 9, (packed >> 5) & 15, packed & 31)
    else:
        return date.fromordinal(days + 730120)


@cython.cfunc
def _clock_binary(data: bytes, pos: cython.Py_ssize_t, zone: object) -> object:
    micros: cython.longlong = i64(data, pos)[0]
    # No constant here is over 31 bits: the compiler would make it a Python object.
    seconds: cython.longlong = micros // 1000000
    days: cython.longlong = seconds // 86400
    if days < -730119 or days > 2921939:
        return timestamp_of(micros, zone is not None)
    if cython.compiled:
        packed: cython.int = _civil(days)
        second: cython.int = seconds - days * 86400
        return datetime_new(
            packed >> 9, (packed >> 5) & 15, packed & 31, second // 3600, second // 60 % 60, second % 60,
            micros - seconds * 1000000, zone,
        )  # fmt: skip
    else:
        return (_EPOCH if zone is None else _EPOCH_UTC) + timedelta(0, 0, micros)


@cython.cfunc
def timestamp_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("timestamp", size)
    return _clock_binary(data, pos, None)


@cython.cfunc
def timestamptz_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("timestamptz", size)
    return _clock_binary(data, pos, _UTC)


@cython.cfunc
def numeric_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    """Read groups of four digits (numeric_send); digits beyond the display scale are cut off (numeric_recv)."""
    groups: cython.int
    weight: cython.int
    sign: cython.int
    scale: cython.int
    group: cython.int
    n: cython.int
    if size < 8:
        raise _wrong_size("numeric", size)
    if cython.compiled:
        groups = u16(data, pos)[0]
        weight = i16(data, pos + 2)[0]
        sign = u16(data, pos + 4)[0]
        scale = u16(data, pos + 6)[0]
    else:
        groups, weight, sign, scale = _numeric_head(data, pos)
    if size != 8 + 2 * groups:
        raise _wrong_size("numeric", size)
    if sign != 0 and sign != 0x4000:
        if sign == 0xC000:
            return _NAN
        if sign == 0xD000:
            return _INFINITY
        if sign == 0xF000:
            return _MINUS_INFINITY
        raise ValueError("invalid sign of numeric")
    if scale > 0x3FFF:
        raise ValueError("invalid scale of numeric")
    if cython.compiled:
        for n in range(groups):
            if u16(data, pos + 8 + 2 * n)[0] > 9999:
                raise ValueError("invalid digit of numeric")
    if cython.compiled and -8 <= weight <= 8 and scale <= 32:
        # At most 9 groups before the point and 9 after it.
        out = cython.declare(cython.char[80])
        at: cython.int = 0
        point: cython.int
        if sign:
            out[0] = 45
            at = 1
        if weight < 0:
            out[at] = 48
            at += 1
        else:
            for n in range(weight + 1):
                group = u16(data, pos + 8 + 2 * n)[0] if n < groups else 0
                out[at] = 48 + group // 1000
                out[at + 1] = 48 + group // 100 % 10
                out[at + 2] = 48 + group // 10 % 10
                out[at + 3] = 48 + group % 10
                at += 4
        if scale:
            out[at] = 46
            at += 1
            point = at
            n = weight + 1
            while n < 0:  # groups of zeros between the point and the first digits
                out[at] = out[at + 1] = out[at + 2] = out[at + 3] = 48
                at += 4
                n += 1
            while at < point + scale:
                group = u16(data, pos + 8 + 2 * n)[0] if n < groups else 0
                out[at] = 48 + group // 1000
                out[at + 1] = 48 + group // 100 % 10
                out[at + 2] = 48 + group // 10 % 10
                out[at + 3] = 48 + group % 10
                at += 4
                n += 1
            at = point + scale
        return _DECIMAL(PyUnicode_DecodeUTF8(out, at, cython.NULL))
    digits: str = "%04d" * groups % unpack_from(f"!{groups}H", data, pos + 8)
    if len(digits) != 4 * groups:
        raise ValueError("invalid digit of numeric")
    if weight < 0:
        digits = "0" * (-4 * (weight + 1)) + digits
        whole, fraction = "0", digits
    else:
        whole = digits[: 4 * (weight + 1)].ljust(4 * (weight + 1), "0")
        fraction = digits[4 * (weight + 1) :]
    return _DECIMAL(f"{'-' if sign else ''}{whole}.{fraction[:scale].ljust(scale, '0')}")


@cython.cfunc
def new_uuid(raw: cython.p_char) -> object:
    value = febe_new_object(_UUID)
    PyObject_GenericSetAttr(value, "int", febe_uint128(raw))
    PyObject_GenericSetAttr(value, "is_safe", _UNKNOWN)
    return value


@cython.cfunc
def uuid_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 16:
        raise _wrong_size("uuid", size)
    if cython.compiled:
        return new_uuid(PyBytes_AS_STRING(data) + pos)
    else:
        return parse.new_uuid(data[pos : pos + size])


@cython.cfunc
def decode_json(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _json(utf8(data, pos, size))


@cython.cfunc
def jsonb_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size < 1 or data[pos] != 1:
        raise ValueError("unknown version of binary jsonb")
    return _json(utf8(data, pos + 1, size - 1))
