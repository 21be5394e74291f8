# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Python values to bytes in both formats.

Text forms are those of PostgreSQL's output functions with DateStyle ISO, bytea_output hex and TimeZone UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from json import JSONEncoder
from operator import index
from struct import Struct
from typing import Any
from uuid import UUID

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds, parse
from febe._kernel.errors import MalformedRow, ValueEncodeError
from febe._kernel.far import FarDate, FarTimestamp, timestamp_of

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
    from cython.cimports.cpython.datetime import (
        PyDateTime_CheckExact,
        date_day,
        date_month,
        date_year,
        datetime_hour,
        datetime_microsecond,
        datetime_minute,
        datetime_second,
        datetime_tzinfo,
        import_datetime,
    )
    from cython.cimports.cpython.unicode import PyUnicode_AsUTF8AndSize
    from cython.cimports.febe._kernel.floats import float4_text, float8_text
    from cython.cimports.febe._kernel.wire import Encode, put, put16, put32

    _ENCODE = cython.declare(Encode[36])
    import_datetime()
else:
    from febe._kernel.floats import float4_text, float8_text
    from febe._kernel.wire import put, put32

    _ENCODE = [None] * kinds.COUNT

COMPILED: bool = cython.compiled

_INT2, _INT4, _INT8, _OID = Struct("!h").pack, Struct("!i").pack, Struct("!q").pack, Struct("!I").pack
_FLOAT4, _FLOAT8 = Struct("!f").pack, Struct("!d").pack
_SAME_FLOAT4 = Struct("!f").unpack
_NUMERIC = Struct("!HhHH").pack
_DAY_2000 = date(2000, 1, 1).toordinal()
_EPOCH = datetime(2000, 1, 1)
_UTC = timezone.utc  # noqa: UP017 - the C API's object
_MICROSECOND = timedelta(microseconds=1)
_DECIMAL = Decimal
_OCTAL = frozenset("01234567")
_json = JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Json(str):
    """JSON that is text already: sent as it is, where any other str becomes a JSON string."""

    __slots__ = ()


def _refuse(expected: str, value: object) -> TypeError:
    return TypeError(f"{expected} wanted, not {type(value).__name__}")


@cython.cfunc
def _integer(value: object, low: object, high: object) -> object:
    if type(value) is not int:
        try:
            value = index(value)  # type: ignore[arg-type]
        except TypeError:
            raise _refuse("an integer", value) from None
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
def _bool_text(value: object) -> bytes:
    return b"t" if _boolean(value) else b"f"


@cython.cfunc
def _bool_binary(value: object) -> bytes:
    return b"\1" if _boolean(value) else b"\0"


def _boolean(value: object) -> object:
    if value is not True and value is not False and type(value).__name__ not in ("bool", "bool_"):  # numpy's
        raise _refuse("a bool", value)
    return value


@cython.cfunc
def _int2_text(value: object) -> bytes:
    return _digits(_int2(value))


@cython.cfunc
def _int2_binary(value: object) -> bytes:
    return _INT2(_int2(value))


@cython.cfunc
def _int4_text(value: object) -> bytes:
    return _digits(_int4(value))


@cython.cfunc
def _int4_binary(value: object) -> bytes:
    return _INT4(_int4(value))


@cython.cfunc
def _int8_text(value: object) -> bytes:
    return _digits(_int8(value))


@cython.cfunc
def _int8_binary(value: object) -> bytes:
    return _INT8(_int8(value))


@cython.cfunc
def _oid_text(value: object) -> bytes:
    return _digits(_oid(value))


@cython.cfunc
def _oid_binary(value: object) -> bytes:
    return _OID(_oid(value))


def _float8(value: object) -> float:
    if type(value) is float:
        return value
    if isinstance(value, str | bytes | bytearray) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise _refuse("a float", value)
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
def _float4_text(value: object) -> bytes:
    return float4_text(_SAME_FLOAT4(_float4(value))[0])


@cython.cfunc
def _float4_binary(value: object) -> bytes:
    return _float4(value)


@cython.cfunc
def _float8_text(value: object) -> bytes:
    return float8_text(_float8(value))


@cython.cfunc
def _float8_binary(value: object) -> bytes:
    return _FLOAT8(_float8(value))


@cython.cfunc
def _encode_string(value: object) -> bytes:
    if not isinstance(value, str):
        raise _refuse("a str", value)
    data: bytes = value.encode()
    if b"\0" in data:
        raise ValueError("text cannot hold the character NUL")
    return data


@cython.cfunc
def _char_binary(value: object) -> bytes:
    r"""Write a "char": one byte, of which those over 127 are spelled `\351` (charin)."""
    if not isinstance(value, str):
        raise _refuse("a str", value)
    if len(value) == 4 and value[0] == "\\" and value[1] in "0123" and set(value[2:]) <= _OCTAL:
        return bytes([int(value[1:], 8)])
    data: bytes = value.encode()
    if len(data) > 1:
        raise ValueError("a char is one byte")
    return data or b"\0"


@cython.cfunc
def _char_text(value: object) -> bytes:
    data: bytes = _char_binary(value)
    if data == b"\0":
        return b""
    return f"\\{data[0]:03o}".encode() if data[0] > 127 else data


@cython.cfunc
def _bytea_binary(value: object) -> bytes:
    if type(value) is bytes:
        return value
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _refuse("bytes", value)
    return bytes(value)


@cython.cfunc
def _bytea_text(value: object) -> bytes:
    return b"\\x" + _bytea_binary(value).hex().encode()


def _day(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _refuse("a date", value)
    return value


@cython.cfunc
def _date_text(value: object) -> bytes:
    if type(value) is FarDate:
        return str(value).encode()
    return _day(value).isoformat().encode()


@cython.cfunc
@cython.exceptval(check=False)
def _days(year: cython.longlong, month: cython.longlong, day: cython.longlong) -> cython.longlong:
    """Count days from 2000-01-01 to a day of the years 1 to 9999; see _civil in binary.py."""
    if month > 2:
        month -= 3
    else:
        month += 9
        year -= 1
    era: cython.longlong = year // 400
    of_era: cython.longlong = year - era * 400
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 1 - 730425


@cython.cfunc
def _date_binary(value: object) -> bytes:
    if type(value) is FarDate:
        return _INT4(value._at)
    day = _day(value)
    if cython.compiled:
        out = cython.declare(cython.uchar[4])
        put32(out, 0, _days(date_year(day), date_month(day), date_day(day)))
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, out), 4)
    return _INT4(day.toordinal() - _DAY_2000)


def _moment(value: object, aware: bool) -> datetime | FarTimestamp:
    """Give the naive datetime that is sent: in UTC for a timestamptz."""
    if isinstance(value, FarTimestamp):
        if value.is_aware is not None and value.is_aware != aware:
            raise ValueError(f"timestamp{'tz wants one with' if aware else ' wants one without'} an offset from UTC")
        return value
    if not isinstance(value, datetime):
        raise _refuse("a datetime", value)
    zone = value.tzinfo
    if aware:
        offset = None if zone is None else value.utcoffset()
        if offset is None:
            raise ValueError("timestamptz wants a datetime with tzinfo")
        value = value.replace(tzinfo=None)
        try:
            return value - offset if offset else value
        except OverflowError:  # the moment is outside the years 1 to 9999 in UTC
            return timestamp_of((value - _EPOCH) // _MICROSECOND - offset // _MICROSECOND, True)
    if zone is not None and value.utcoffset() is not None:
        raise ValueError("timestamp wants a datetime without tzinfo")
    return value if zone is None else value.replace(tzinfo=None)


def _stamp(value: object, aware: bool) -> bytes:
    moment = _moment(value, aware)
    if isinstance(moment, FarTimestamp):
        return str(moment).encode()
    text = moment.isoformat(" ")
    if moment.microsecond:
        text = text.rstrip("0")
    return (text + "+00" if aware else text).encode()


def _micros(value: object, aware: bool) -> bytes:
    moment = _moment(value, aware)
    if isinstance(moment, FarTimestamp):
        return _INT8(moment._at)
    return _INT8((moment - _EPOCH) // _MICROSECOND)


@cython.cfunc
def _clock(value: object) -> bytes:
    """Encode the fields of a datetime, whatever its zone."""
    out = cython.declare(cython.uchar[8])
    seconds: cython.longlong = _days(date_year(value), date_month(value), date_day(value)) * 86400
    seconds += datetime_hour(value) * 3600 + datetime_minute(value) * 60 + datetime_second(value)
    micros: cython.longlong = seconds * 1000000 + datetime_microsecond(value)
    put32(out, 0, cython.cast(cython.int, micros >> 32))
    put32(out, 4, cython.cast(cython.int, micros))
    return PyBytes_FromStringAndSize(cython.cast(cython.p_char, out), 8)


@cython.cfunc
def _timestamp_text(value: object) -> bytes:
    return _stamp(value, False)


@cython.cfunc
def _timestamp_binary(value: object) -> bytes:
    if cython.compiled and PyDateTime_CheckExact(value) and datetime_tzinfo(value) is None:
        return _clock(value)
    return _micros(value, False)


@cython.cfunc
def _timestamptz_text(value: object) -> bytes:
    return _stamp(value, True)


@cython.cfunc
def _timestamptz_binary(value: object) -> bytes:
    if cython.compiled and PyDateTime_CheckExact(value) and datetime_tzinfo(value) is _UTC:
        return _clock(value)
    return _micros(value, True)


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
            raise _refuse("a Decimal, an int or a float", value) from None
    if number.is_snan():
        raise ValueError("numeric has no signalling NaN")
    if number.is_finite() and (number.adjusted() > 131071 or number.as_tuple().exponent < -16383):  # type: ignore[operator]
        raise OverflowError("number out of range of numeric")
    return number


@cython.cfunc
def _numeric_text(value: object) -> bytes:
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
def _numeric_binary(value: object) -> bytes:
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


def _identity(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        return parse.parse_uuid(value.encode())
    raise _refuse("a UUID", value)


@cython.cfunc
def _uuid_text(value: object) -> bytes:
    return str(_identity(value)).encode()


@cython.cfunc
def _uuid_binary(value: object) -> bytes:
    return _identity(value).bytes


def _spell(value: object) -> str:
    """Write JSON that holds Decimals, which the standard library's encoder cannot."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("JSON has no such number")
        return str(value)
    if isinstance(value, dict):
        # a key of another class becomes a string as the encoder makes it: {1: 0} -> {"1": 0}
        items = [(_json({key: 0}).removesuffix("0}")[1:], item) for key, item in value.items()]
        return "{" + ", ".join([key + _spell(item) for key, item in items]) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_spell, value))}]"
    return _json(value)


@cython.cfunc
def _encode_json(value: object) -> bytes:
    if isinstance(value, Json):
        return value.encode()
    try:
        text: str = _json(value)
    except TypeError:
        text = _spell(value)
    return text.encode()


@cython.cfunc
def _jsonb_binary(value: object) -> bytes:
    return b"\1" + _encode_json(value)


_ENCODE[kinds.BOOL_TEXT] = _bool_text
_ENCODE[kinds.BOOL_BINARY] = _bool_binary
_ENCODE[kinds.INT2_TEXT] = _int2_text
_ENCODE[kinds.INT2_BINARY] = _int2_binary
_ENCODE[kinds.INT4_TEXT] = _int4_text
_ENCODE[kinds.INT4_BINARY] = _int4_binary
_ENCODE[kinds.INT8_TEXT] = _int8_text
_ENCODE[kinds.INT8_BINARY] = _int8_binary
_ENCODE[kinds.OID_TEXT] = _oid_text
_ENCODE[kinds.OID_BINARY] = _oid_binary
_ENCODE[kinds.FLOAT4_TEXT] = _float4_text
_ENCODE[kinds.FLOAT4_BINARY] = _float4_binary
_ENCODE[kinds.FLOAT8_TEXT] = _float8_text
_ENCODE[kinds.FLOAT8_BINARY] = _float8_binary
_ENCODE[kinds.STRING_TEXT] = _encode_string
_ENCODE[kinds.STRING_BINARY] = _encode_string
_ENCODE[kinds.BYTEA_TEXT] = _bytea_text
_ENCODE[kinds.BYTEA_BINARY] = _bytea_binary
_ENCODE[kinds.DATE_TEXT] = _date_text
_ENCODE[kinds.DATE_BINARY] = _date_binary
_ENCODE[kinds.TIMESTAMP_TEXT] = _timestamp_text
_ENCODE[kinds.TIMESTAMP_BINARY] = _timestamp_binary
_ENCODE[kinds.TIMESTAMPTZ_TEXT] = _timestamptz_text
_ENCODE[kinds.TIMESTAMPTZ_BINARY] = _timestamptz_binary
_ENCODE[kinds.NUMERIC_TEXT] = _numeric_text
_ENCODE[kinds.NUMERIC_BINARY] = _numeric_binary
_ENCODE[kinds.UUID_TEXT] = _uuid_text
_ENCODE[kinds.UUID_BINARY] = _uuid_binary
_ENCODE[kinds.JSON_TEXT] = _encode_json
_ENCODE[kinds.JSON_BINARY] = _encode_json
_ENCODE[kinds.JSONB_TEXT] = _encode_json
_ENCODE[kinds.JSONB_BINARY] = _jsonb_binary
_ENCODE[kinds.CHAR_TEXT] = _char_text
_ENCODE[kinds.CHAR_BINARY] = _char_binary


def encode_value(kind: int, value: object) -> bytes:
    """Encode one value of a hot kind; ValueError, OverflowError or TypeError when the type cannot hold it."""
    if kind < 2 or kind >= kinds.COUNT:
        raise ValueError(f"unknown kind {kind}")
    code: cython.int = kind
    return _ENCODE[code](value)


def codes_of(columns: Sequence[int | Callable[[Any], Any]]) -> bytes:
    """Give one byte per column: its hot kind, or CALL for a callable."""
    codes = [column if isinstance(column, int) else kinds.CALL for column in columns]
    for code in codes:
        if code < 0 or code == 1 or code >= kinds.COUNT:
            raise ValueError(f"unknown kind {code}")
    if len(codes) > 0xFFFF:
        raise ValueError("more than 65535 columns")
    return bytes(codes)


def stand_in(value: object) -> object:
    """What a value of another library, or of an Enum, stands for; the value itself when that is not known."""
    if isinstance(value, Enum):
        return value.value
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        plain = value.tolist()
        if isinstance(plain, int) and type(value).__name__ == "datetime64":
            # nanoseconds, which datetime does not have: exact or not at all
            micros = value.astype("M8[us]")  # type: ignore[attr-defined]
            return micros.tolist() if micros == value else value
        return plain
    return value


@cython.cfunc
def encode_cell(kind: cython.int, function: object, value: object) -> bytes:
    """Encode a value by its kind or, where that is CALL, by its function."""
    try:
        if kind:
            return _ENCODE[kind](value)
        made = function(value)  # type: ignore[operator]
    except TypeError:
        other = stand_in(value)
        if other is value:
            raise
        return encode_cell(kind, function, other)
    if type(made) is not bytes:
        raise TypeError(f"its encoder gave {type(made).__name__}, not bytes")
    return made


@cython.cfunc
def gather(
    codes: bytes, functions: list[Any], values: Sequence[object], row: cython.Py_ssize_t, cells: list[Any]
) -> cython.Py_ssize_t:
    """Append every value's bytes (None for NULL) to `cells`; gives their length with the length words."""
    column: cython.Py_ssize_t = 0
    total: cython.Py_ssize_t = 4 * len(codes)
    kind: cython.int
    if len(values) != len(codes):
        raise MalformedRow(f"row {row} has {len(values)} values, not {len(codes)}")
    try:
        for value in values:
            if value is None:
                cells.append(None)
            else:
                kind = codes[column]
                data: bytes = encode_cell(kind, None if kind else functions[column], value)
                cells.append(data)
                total += len(data)
            column += 1
    except MemoryError:
        raise
    except Exception as error:
        raise ValueEncodeError(row, column, value, str(error)) from error
    return total


@cython.cfunc
def put_cells(out: cython.p_uchar, pos: cython.Py_ssize_t, cells: list[Any]) -> cython.Py_ssize_t:
    size: cython.Py_ssize_t
    for cell in cells:
        if cell is None:
            put32(out, pos, -1)
            pos += 4
        else:
            data: bytes = cell
            size = len(data)
            put32(out, pos, size)
            put(out, pos + 4, data, size)
            pos += 4 + size
    return pos
