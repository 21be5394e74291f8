# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Python values to bytes by their kind, and rows of them to cells.

Text forms are those of PostgreSQL's output functions with DateStyle ISO, bytea_output hex and TimeZone UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds
from febe._kernel.errors import MalformedRow, ValueEncodeError

if cython.compiled:
    from cython.cimports.febe._kernel.number_writers import (
        bool_binary,
        bool_text,
        float4_binary,
        float4_text,
        float8_binary,
        float8_text,
        int2_binary,
        int2_text,
        int4_binary,
        int4_text,
        int8_binary,
        int8_text,
        numeric_binary,
        numeric_text,
        oid_binary,
        oid_text,
    )
    from cython.cimports.febe._kernel.text_writers import (
        bytea_binary,
        bytea_text,
        char_binary,
        char_text,
        json_bytes,
        jsonb_binary,
        string_bytes,
        uuid_binary,
        uuid_text,
    )
    from cython.cimports.febe._kernel.time_writers import (
        date_binary,
        date_text,
        timestamp_binary,
        timestamp_text,
        timestamptz_binary,
        timestamptz_text,
    )
    from cython.cimports.febe._kernel.wire import (
        Encode,
        plain_length,
        put,
        put16,
        put32,
        put64,
        put_double,
        put_plain,
        within,
    )

    _ENCODE = cython.declare(Encode[36])
else:
    from febe._kernel.number_writers import (
        bool_binary,
        bool_text,
        float4_binary,
        float4_text,
        float8_binary,
        float8_text,
        int2_binary,
        int2_text,
        int4_binary,
        int4_text,
        int8_binary,
        int8_text,
        numeric_binary,
        numeric_text,
        oid_binary,
        oid_text,
    )
    from febe._kernel.text_writers import (
        bytea_binary,
        bytea_text,
        char_binary,
        char_text,
        json_bytes,
        jsonb_binary,
        string_bytes,
        uuid_binary,
        uuid_text,
    )
    from febe._kernel.time_writers import (
        date_binary,
        date_text,
        timestamp_binary,
        timestamp_text,
        timestamptz_binary,
        timestamptz_text,
    )
    from febe._kernel.wire import plain_length, put, put16, put32, put64, put_double, put_plain, within

    _ENCODE = [None] * kinds.COUNT

COMPILED: bool = cython.compiled

_ENCODE[kinds.BOOL_TEXT] = bool_text
_ENCODE[kinds.BOOL_BINARY] = bool_binary
_ENCODE[kinds.INT2_TEXT] = int2_text
_ENCODE[kinds.INT2_BINARY] = int2_binary
_ENCODE[kinds.INT4_TEXT] = int4_text
_ENCODE[kinds.INT4_BINARY] = int4_binary
_ENCODE[kinds.INT8_TEXT] = int8_text
_ENCODE[kinds.INT8_BINARY] = int8_binary
_ENCODE[kinds.OID_TEXT] = oid_text
_ENCODE[kinds.OID_BINARY] = oid_binary
_ENCODE[kinds.FLOAT4_TEXT] = float4_text
_ENCODE[kinds.FLOAT4_BINARY] = float4_binary
_ENCODE[kinds.FLOAT8_TEXT] = float8_text
_ENCODE[kinds.FLOAT8_BINARY] = float8_binary
_ENCODE[kinds.STRING_TEXT] = string_bytes
_ENCODE[kinds.STRING_BINARY] = string_bytes
_ENCODE[kinds.BYTEA_TEXT] = bytea_text
_ENCODE[kinds.BYTEA_BINARY] = bytea_binary
_ENCODE[kinds.DATE_TEXT] = date_text
_ENCODE[kinds.DATE_BINARY] = date_binary
_ENCODE[kinds.TIMESTAMP_TEXT] = timestamp_text
_ENCODE[kinds.TIMESTAMP_BINARY] = timestamp_binary
_ENCODE[kinds.TIMESTAMPTZ_TEXT] = timestamptz_text
_ENCODE[kinds.TIMESTAMPTZ_BINARY] = timestamptz_binary
_ENCODE[kinds.NUMERIC_TEXT] = numeric_text
_ENCODE[kinds.NUMERIC_BINARY] = numeric_binary
_ENCODE[kinds.UUID_TEXT] = uuid_text
_ENCODE[kinds.UUID_BINARY] = uuid_binary
_ENCODE[kinds.JSON_TEXT] = json_bytes
_ENCODE[kinds.JSON_BINARY] = json_bytes
_ENCODE[kinds.JSONB_TEXT] = json_bytes
_ENCODE[kinds.JSONB_BINARY] = jsonb_binary
_ENCODE[kinds.CHAR_TEXT] = char_text
_ENCODE[kinds.CHAR_BINARY] = char_binary


_WAYS = {kinds.INT4_BINARY: 1, kinds.INT8_BINARY: 2, kinds.FLOAT8_BINARY: 3, kinds.STRING_BINARY: 4}
"""The types whose common values are written without an object in between."""


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


def ways_of(codes: bytes) -> bytes:
    """Give one byte per column: how `put_row` writes what is most common."""
    return bytes([_WAYS.get(kind, 0) for kind in codes])


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


@cython.cfunc
def make_room(buffer: bytearray, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    """Make the buffer so long that `size` bytes go in at `pos`, and the head of another message."""
    missing: cython.Py_ssize_t = pos + size + 16 - len(buffer)
    if missing > 0:
        buffer.extend(bytes(max(missing, len(buffer))))
    return None


@cython.cfunc
def put_row(
    codes: bytes, ways: bytes, functions: list[Any], buffer: bytearray, pos: cython.Py_ssize_t, values: Any,
    row: cython.Py_ssize_t,
) -> cython.Py_ssize_t:  # fmt: skip
    """Write the number of values and each with its length, as Bind and COPY's binary format have them; the position
    after them.

    What is most common is written without an object in between.
    """
    column: cython.Py_ssize_t = 0
    width: cython.Py_ssize_t = len(ways)
    size: cython.Py_ssize_t
    room: cython.Py_ssize_t
    way: cython.int
    kind: cython.int
    data: bytes
    out: cython.p_uchar
    if len(values) != width:
        raise MalformedRow(f"row {row} has {len(values)} values, not {width}")
    make_room(buffer, pos, 2)
    out = buffer
    room = len(buffer) - 16
    put16(out, pos, width)
    pos += 2
    try:
        for value in values:
            if pos + 12 > room:
                make_room(buffer, pos, 12)
                out = buffer
                room = len(buffer) - 16
            way = ways[column]
            if value is None:
                put32(out, pos, -1)
                pos += 4
            elif way == 1 and within(value, -0x80000000, 0x7FFFFFFF):
                put32(out, pos, 4)
                put32(out, pos + 4, value)
                pos += 8
            elif way == 2 and within(value, -0x7FFFFFFFFFFFFFFF - 1, 0x7FFFFFFFFFFFFFFF):
                put32(out, pos, 8)
                put64(out, pos + 4, value)
                pos += 12
            elif way == 3 and type(value) is float:
                put32(out, pos, 8)
                put_double(out, pos + 4, value)
                pos += 12
            else:
                size = plain_length(value) if way == 4 else -1
                if size >= 0:
                    if pos + 4 + size > room:
                        make_room(buffer, pos, 4 + size)
                        out = buffer
                        room = len(buffer) - 16
                    put32(out, pos, size)
                    put_plain(out, pos + 4, value, size)
                else:
                    kind = codes[column]
                    data = encode_cell(kind, None if kind else functions[column], value)
                    size = len(data)
                    if pos + 4 + size > room:
                        make_room(buffer, pos, 4 + size)
                        out = buffer
                        room = len(buffer) - 16
                    put32(out, pos, size)
                    put(out, pos + 4, data, size)
                pos += 4 + size
            column += 1
    except MemoryError:
        raise
    except Exception as error:
        raise ValueEncodeError(row, column, value, str(error)) from error
    return pos
