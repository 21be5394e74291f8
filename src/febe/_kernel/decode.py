# mypy: disable-error-code="import-untyped,untyped-decorator"
"""DataRow messages to rows (manual: "Message Formats", DataRow; binary forms: the types' `..._send` functions)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from json import JSONDecoder
from struct import Struct, unpack_from
from typing import Any
from uuid import UUID, SafeUUID

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds, parse
from febe._kernel.errors import MalformedRow, ValueDecodeError

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.cpython.datetime import date_new, datetime_new, import_datetime
    from cython.cimports.cpython.object import PyObject_GenericSetAttr, PyTypeObject
    from cython.cimports.cpython.ref import Py_INCREF
    from cython.cimports.cpython.tuple import PyTuple_SET_ITEM
    from cython.cimports.cpython.unicode import PyUnicode_DecodeUTF8
    from cython.cimports.febe._kernel.floats import shortest_float4
    from cython.cimports.febe._kernel.wire import (
        Decode, PyObject_GC_Track, PyOS_string_to_double, collector_pause, collector_resume, f4, f8, febe_new_object,
        febe_new_row, febe_uint128, i16, i32, i64, u16, u32,
    )  # fmt: skip

    import_datetime()
    _DECODE = cython.declare(Decode[34])
else:
    from febe._kernel.floats import shortest_float4
    from febe._kernel.wire import collector_pause, collector_resume, f4, f8, i16, i32, i64, u16, u32

    _DECODE: list[Any] = [None] * kinds.COUNT

COMPILED: bool = cython.compiled

_UTC = timezone.utc  # noqa: UP017 - the C API's object
_EPOCH = datetime(2000, 1, 1)
_EPOCH_UTC = datetime(2000, 1, 1, tzinfo=_UTC)
_DECIMAL = Decimal
_UUID = UUID
_UNKNOWN = SafeUUID.unknown
_NAN, _INFINITY, _MINUS_INFINITY = Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")
_numeric_head = Struct("!HhHH").unpack_from
_json = JSONDecoder().decode


def _wrong_size(name: str, size: int) -> ValueError:
    return ValueError(f"{size} bytes are no binary {name}")


@cython.cfunc
def _text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> str:
    if cython.compiled:
        return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(data) + pos, size, cython.NULL)
    else:
        return str(data[pos : pos + size], "utf-8")


@cython.cfunc
def _decode_string(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _text(data, pos, size)


@cython.cfunc
def _bool_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size == 1:
        if data[pos] == 116:
            return True
        if data[pos] == 102:
            return False
    return parse.parse_bool(data[pos : pos + size])


@cython.cfunc
def _bool_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 1:
        raise _wrong_size("bool", size)
    return data[pos] != 0


@cython.cfunc
def _int(
    data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t, low: cython.longlong, high: cython.longlong
) -> object:
    if cython.compiled:
        # Up to 18 digits cannot overflow; the rest, and every odd spelling, goes the long way.
        at: cython.Py_ssize_t = pos
        stop: cython.Py_ssize_t = pos + size
        value: cython.longlong = 0
        digit: cython.int
        if 0 < size <= 18:
            if data[at] == 45:
                at += 1
            if at < stop:
                while at < stop:
                    digit = data[at] - 48
                    if digit < 0 or digit > 9:
                        break
                    value = value * 10 + digit
                    at += 1
                else:
                    if data[pos] == 45:
                        value = -value
                    if low <= value <= high:
                        return value
    return parse.parse_int(data[pos : pos + size], low, high)


@cython.cfunc
def _int2_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, -0x8000, 0x7FFF)


@cython.cfunc
def _int4_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, -0x80000000, 0x7FFFFFFF)


@cython.cfunc
def _int8_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, -0x7FFFFFFFFFFFFFFF - 1, 0x7FFFFFFFFFFFFFFF)


@cython.cfunc
def _oid_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _int(data, pos, size, 0, 0xFFFFFFFF)


@cython.cfunc
def _int2_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 2:
        raise _wrong_size("int2", size)
    return i16(data, pos)[0]


@cython.cfunc
def _int4_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("int4", size)
    return i32(data, pos)[0]


@cython.cfunc
def _int8_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("int8", size)
    return i64(data, pos)[0]


@cython.cfunc
def _oid_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("oid", size)
    return u32(data, pos)[0]


@cython.cfunc
def _float4_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return parse.parse_float4(data[pos : pos + size])


@cython.cfunc
def _float8_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        start: cython.p_char = PyBytes_AS_STRING(data) + pos
        end: cython.p_char = start
        value: cython.double
        # A bytes object ends in a NUL, so the reader stops; what it does not read to the end goes the long way.
        if size and (48 <= start[0] <= 57 or (start[0] == 45 and size > 1 and 48 <= start[1] <= 57)):
            value = PyOS_string_to_double(start, cython.address(end), cython.NULL)
            if end == start + size and value != 0.0 and value - value == 0.0:
                return value
    return parse.parse_float(data[pos : pos + size])


@cython.cfunc
def _float4_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("float4", size)
    return shortest_float4(f4(data, pos)[0])


@cython.cfunc
def _float8_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("float8", size)
    return f8(data, pos)[0]


@cython.cfunc
def _bytea_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return parse.parse_bytea(data[pos : pos + size])


@cython.cfunc
def _bytea_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
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
def _digits(data: bytes, pos: cython.Py_ssize_t, width: cython.int) -> cython.int:
    """Read `width` decimal digits; negative when there are others among them."""
    value: cython.int = 0
    digit: cython.int
    at: cython.Py_ssize_t
    for at in range(pos, pos + width):
        digit = data[at] - 48
        if digit < 0 or digit > 9:
            return -1000000
        value = value * 10 + digit
    return value


@cython.cfunc
def _date_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled and size == 10 and data[pos + 4] == 45 and data[pos + 7] == 45:
        year: cython.int = _digits(data, pos, 4)
        month: cython.int = _digits(data, pos + 5, 2)
        day: cython.int = _digits(data, pos + 8, 2)
        if year > 0 and 0 < month < 13 and 0 < day < 29:
            return date_new(year, month, day)
    return parse.parse_date(data[pos : pos + size])


@cython.cfunc
def _date_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 4:
        raise _wrong_size("date", size)
    days: cython.longlong = i32(data, pos)[0]
    if days < -730119 or days > 2921939:
        raise ValueError("date is infinite or outside the years 1 to 9999")
    if cython.compiled:
        packed: cython.int = _civil(days)
        return date_new(packed >> 9, (packed >> 5) & 15, packed & 31)
    else:
        return date.fromordinal(days + 730120)


@cython.cfunc
def _clock_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t, zone: object) -> object:
    """Read `YYYY-MM-DD HH:MM:SS[.ffffff]` of exactly this size; None for any other form."""
    year: cython.int
    month: cython.int
    day: cython.int
    hour: cython.int
    minute: cython.int
    second: cython.int
    micros: cython.int = 0
    width: cython.int
    if size != 19 and (size < 21 or size > 26 or data[pos + 19] != 46):
        return None
    if data[pos + 4] != 45 or data[pos + 7] != 45 or data[pos + 10] != 32:
        return None
    if data[pos + 13] != 58 or data[pos + 16] != 58:
        return None
    year = _digits(data, pos, 4)
    month = _digits(data, pos + 5, 2)
    day = _digits(data, pos + 8, 2)
    hour = _digits(data, pos + 11, 2)
    minute = _digits(data, pos + 14, 2)
    second = _digits(data, pos + 17, 2)
    if size > 19:
        width = size - 20
        micros = _digits(data, pos + 20, width)
        while width < 6 and micros > 0:
            micros *= 10
            width += 1
    if (
        year < 1 or month < 1 or month > 12 or day < 1 or day > 28
        or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59 or micros < 0
    ):  # fmt: skip
        return None  # a 29th, 30th or 31st may not exist
    return datetime_new(year, month, day, hour, minute, second, micros, zone)


@cython.cfunc
def _timestamp_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        value = _clock_text(data, pos, size, None)
        if value is not None:
            return value
    return parse.parse_timestamp(data[pos : pos + size])


@cython.cfunc
def _timestamptz_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        end: cython.Py_ssize_t = pos + size
        if size > 20 and data[end - 3] == 43 and data[end - 2] == 48 and data[end - 1] == 48:
            value = _clock_text(data, pos, size - 3, _UTC)
            if value is not None:
                return value
    return parse.parse_timestamptz(data[pos : pos + size])


@cython.cfunc
def _clock_binary(data: bytes, pos: cython.Py_ssize_t, zone: object) -> object:
    micros: cython.longlong = i64(data, pos)[0]
    # No constant here is over 31 bits: the compiler would make it a Python object.
    seconds: cython.longlong = micros // 1000000
    days: cython.longlong = seconds // 86400
    if days < -730119 or days > 2921939:
        raise ValueError("timestamp is infinite or outside the years 1 to 9999")
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
def _timestamp_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("timestamp", size)
    return _clock_binary(data, pos, None)


@cython.cfunc
def _timestamptz_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 8:
        raise _wrong_size("timestamptz", size)
    return _clock_binary(data, pos, _UTC)


@cython.cfunc
def _numeric_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled:
        at: cython.Py_ssize_t
        points: cython.int = 0
        digits: cython.int = 0
        for at in range(pos, pos + size):
            if 48 <= data[at] <= 57:
                digits += 1
            elif data[at] == 46:
                points += 1
            elif data[at] != 45 or at > pos:
                points = 2
            if points > 1:
                break
        if digits and points <= 1:
            return _DECIMAL(_text(data, pos, size))
    return parse.parse_numeric(data[pos : pos + size])


@cython.cfunc
def _numeric_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
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
        out: cython.char[80]
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
            for group in range(0 if n >= 0 else -n):  # groups of zeros between the point and the first digits
                out[at] = out[at + 1] = out[at + 2] = out[at + 3] = 48
                at += 4
            if n < 0:
                n = 0
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
def _new_uuid(raw: cython.p_char) -> object:
    value = febe_new_object(_UUID)
    PyObject_GenericSetAttr(value, "int", febe_uint128(raw))
    PyObject_GenericSetAttr(value, "is_safe", _UNKNOWN)
    return value


@cython.cfunc
def _uuid_text(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if cython.compiled and size == 36:
        out: cython.char[16]
        at: cython.Py_ssize_t = pos
        n: cython.int
        digit: cython.int
        for n in range(32):
            if n == 8 or n == 12 or n == 16 or n == 20:
                if data[at] != 45:
                    break
                at += 1
            digit = data[at]
            if 48 <= digit <= 57:
                digit -= 48
            elif 97 <= digit <= 102:
                digit -= 87
            else:
                break
            out[n >> 1] = digit if n & 1 == 0 else out[n >> 1] << 4 | digit
            at += 1
        else:
            return _new_uuid(out)
    return parse.parse_uuid(data[pos : pos + size])


@cython.cfunc
def _uuid_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size != 16:
        raise _wrong_size("uuid", size)
    if cython.compiled:
        return _new_uuid(PyBytes_AS_STRING(data) + pos)
    else:
        return parse.new_uuid(data[pos : pos + size])


@cython.cfunc
def _decode_json(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    return _json(_text(data, pos, size))


@cython.cfunc
def _jsonb_binary(data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    if size < 1 or data[pos] != 1:
        raise ValueError("unknown version of binary jsonb")
    return _json(_text(data, pos + 1, size - 1))


_DECODE[kinds.BOOL_TEXT] = _bool_text
_DECODE[kinds.BOOL_BINARY] = _bool_binary
_DECODE[kinds.INT2_TEXT] = _int2_text
_DECODE[kinds.INT2_BINARY] = _int2_binary
_DECODE[kinds.INT4_TEXT] = _int4_text
_DECODE[kinds.INT4_BINARY] = _int4_binary
_DECODE[kinds.INT8_TEXT] = _int8_text
_DECODE[kinds.INT8_BINARY] = _int8_binary
_DECODE[kinds.OID_TEXT] = _oid_text
_DECODE[kinds.OID_BINARY] = _oid_binary
_DECODE[kinds.FLOAT4_TEXT] = _float4_text
_DECODE[kinds.FLOAT4_BINARY] = _float4_binary
_DECODE[kinds.FLOAT8_TEXT] = _float8_text
_DECODE[kinds.FLOAT8_BINARY] = _float8_binary
_DECODE[kinds.STRING_TEXT] = _decode_string
_DECODE[kinds.STRING_BINARY] = _decode_string
_DECODE[kinds.BYTEA_TEXT] = _bytea_text
_DECODE[kinds.BYTEA_BINARY] = _bytea_binary
_DECODE[kinds.DATE_TEXT] = _date_text
_DECODE[kinds.DATE_BINARY] = _date_binary
_DECODE[kinds.TIMESTAMP_TEXT] = _timestamp_text
_DECODE[kinds.TIMESTAMP_BINARY] = _timestamp_binary
_DECODE[kinds.TIMESTAMPTZ_TEXT] = _timestamptz_text
_DECODE[kinds.TIMESTAMPTZ_BINARY] = _timestamptz_binary
_DECODE[kinds.NUMERIC_TEXT] = _numeric_text
_DECODE[kinds.NUMERIC_BINARY] = _numeric_binary
_DECODE[kinds.UUID_TEXT] = _uuid_text
_DECODE[kinds.UUID_BINARY] = _uuid_binary
_DECODE[kinds.JSON_TEXT] = _decode_json
_DECODE[kinds.JSON_BINARY] = _decode_json
_DECODE[kinds.JSONB_TEXT] = _decode_json
_DECODE[kinds.JSONB_BINARY] = _jsonb_binary


def decode_value(kind: int, data: bytes) -> object:
    """Decode one value of a hot kind; ValueError (also as UnicodeDecodeError) when it is not valid."""
    if kind < 2 or kind >= kinds.COUNT:
        raise ValueError(f"unknown kind {kind}")
    code: cython.int = kind
    return _DECODE[code](data, 0, len(data))


def _called(function: Callable[[bytes], object]) -> Callable[[bytes, int, int], object]:
    return lambda data, pos, size: function(data[pos : pos + size])


@cython.cclass
class RowDecoder:
    """Decodes runs of DataRow messages of one description."""

    _kinds: bytes
    _functions: list[Any]
    _row: Any
    _plain: cython.bint

    def __init__(self, columns: Sequence[int | Callable[[bytes], object]], row: type[tuple[Any, ...]]) -> None:
        """Take each column's hot kind, or a callable for its bytes (not called for NULL), and the class of the rows.

        The class must add no fields to tuple (`__slots__ = ()`); its `__new__` and `__init__` are not called.
        """
        codes = [column if isinstance(column, int) else kinds.CALL for column in columns]
        for code in codes:
            if code < 0 or code == 1 or code >= kinds.COUNT:
                raise ValueError(f"unknown kind {code}")
        if len(codes) > 0xFFFF:
            raise ValueError("more than 65535 columns")
        if not issubclass(row, tuple) or row.__basicsize__ != tuple.__basicsize__ or row.__dictoffset__:
            raise TypeError("the class of rows must be tuple or a subclass of it with __slots__ = ()")
        self._row = row
        self._kinds = bytes(codes)
        # Rows of values that hold nothing else stay out of the cyclic collector.
        self._plain = not any(code == kinds.CALL or code >= kinds.JSON_TEXT for code in codes)
        if cython.compiled:
            self._functions = list(columns)
        else:
            self._functions = [
                _called(column) if not isinstance(column, int) else _DECODE[column] for column in columns
            ]

    def decode(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> list[tuple[Any, ...]]:
        """Decode data[start:end], whole DataRow messages with their headers.

        Errors: MalformedRow for counts and lengths that do not fit; ValueDecodeError for a value.
        """
        if start < 0 or end > len(data):
            raise ValueError("position outside the data")
        rows: list[tuple[Any, ...]] = []
        paused: cython.bint = collector_pause()
        try:
            self._decode(data, start, end, rows)
        finally:
            collector_resume(paused)
        return rows

    @cython.cfunc
    def _decode(self, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t, rows: list[Any]) -> object:
        width: cython.Py_ssize_t = len(self._kinds)
        stop: cython.Py_ssize_t
        size: cython.Py_ssize_t = 0
        column: cython.Py_ssize_t = 0
        try:
            while pos < end:
                if end - pos < 7 or data[pos] != 68:
                    raise MalformedRow("not a DataRow message")
                size = i32(data, pos + 1)[0]
                stop = pos + 1 + size
                if size < 6 or stop > end:
                    raise MalformedRow("the length of a DataRow does not fit")
                if u16(data, pos + 5)[0] != width:
                    raise MalformedRow(f"row {len(rows)} has {u16(data, pos + 5)[0]} columns, not {width}")
                pos += 7
                column = 0
                if cython.compiled:
                    kind: cython.int
                    row = febe_new_row(self._row, width)
                    for column in range(width):
                        if stop - pos < 4:
                            raise MalformedRow(f"row {len(rows)} ends before column {column}")
                        size = i32(data, pos)[0]
                        pos += 4
                        if size < 0:
                            if size != -1:
                                raise MalformedRow(f"row {len(rows)}, column {column}: length {size}")
                            value = None
                        else:
                            if size > stop - pos:
                                raise MalformedRow(f"row {len(rows)}, column {column}: length {size} is over its row's end")
                            kind = self._kinds[column]
                            if kind:
                                value = _DECODE[kind](data, pos, size)
                            else:
                                value = self._functions[column](data[pos : pos + size])
                            pos += size
                        Py_INCREF(value)
                        PyTuple_SET_ITEM(row, column, value)
                    if not self._plain:
                        PyObject_GC_Track(row)
                    rows.append(row)
                else:
                    values: list[Any] = []
                    for function in self._functions:
                        if stop - pos < 4:
                            raise MalformedRow(f"row {len(rows)} ends before column {column}")
                        size = i32(data, pos)[0]
                        pos += 4
                        if size < 0:
                            if size != -1:
                                raise MalformedRow(f"row {len(rows)}, column {column}: length {size}")
                            values.append(None)
                        else:
                            if size > stop - pos:
                                raise MalformedRow(f"row {len(rows)}, column {column}: length {size} is over its row's end")
                            values.append(function(data, pos, size))
                            pos += size
                        column += 1
                    rows.append(tuple.__new__(self._row, values))
                if pos != stop:
                    raise MalformedRow(f"row {len(rows) - 1} has {stop - pos} bytes more than its columns")
        except (MalformedRow, MemoryError):
            raise
        except Exception as error:
            raise ValueDecodeError(len(rows), column, data[pos : pos + size], str(error)) from error
        return None
