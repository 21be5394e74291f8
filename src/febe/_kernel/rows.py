# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""DataRow messages to rows and back (manual: "Message Formats", DataRow)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds
from febe._kernel.encode import codes_of
from febe._kernel.errors import MalformedRow, ValueDecodeError

if cython.compiled:
    from cython.cimports.cpython.ref import Py_INCREF
    from cython.cimports.cpython.tuple import PyTuple_SET_ITEM
    from cython.cimports.febe._kernel.binary import (
        bool_binary,
        bytea_binary,
        char_binary,
        date_binary,
        decode_json,
        decode_string,
        float4_binary,
        float8_binary,
        int2_binary,
        int4_binary,
        int8_binary,
        jsonb_binary,
        numeric_binary,
        oid_binary,
        timestamp_binary,
        timestamptz_binary,
        uuid_binary,
    )
    from cython.cimports.febe._kernel.encode import gather, put_cells
    from cython.cimports.febe._kernel.text import (
        bool_text,
        bytea_text,
        date_text,
        float4_text,
        float8_text,
        int2_text,
        int4_text,
        int8_text,
        numeric_text,
        oid_text,
        timestamp_text,
        timestamptz_text,
        uuid_text,
    )
    from cython.cimports.febe._kernel.wire import (
        Decode,
        PyObject_GC_Track,
        collector_pause,
        collector_resume,
        febe_new_row,
        i32,
        put16,
        put32,
        row_head,
    )

    _DECODE = cython.declare(Decode[36])
else:
    from struct import Struct

    from febe._kernel.binary import (
        bool_binary,
        bytea_binary,
        char_binary,
        date_binary,
        decode_json,
        decode_string,
        float4_binary,
        float8_binary,
        int2_binary,
        int4_binary,
        int8_binary,
        jsonb_binary,
        numeric_binary,
        oid_binary,
        timestamp_binary,
        timestamptz_binary,
        uuid_binary,
    )
    from febe._kernel.encode import gather, put_cells
    from febe._kernel.text import (
        bool_text,
        bytea_text,
        date_text,
        float4_text,
        float8_text,
        int2_text,
        int4_text,
        int8_text,
        numeric_text,
        oid_text,
        timestamp_text,
        timestamptz_text,
        uuid_text,
    )
    from febe._kernel.wire import collector_pause, collector_resume, i32, put16, put32, row_head

    _DECODE = [None] * kinds.COUNT
    # Values of one size are unpacked together with their length; one of another size goes to its function and is
    # refused.
    _FIXED = {kind: (4 + size, Struct("!i" + code).unpack_from) for kind, size, code in (
        (kinds.INT2_BINARY, 2, "h"), (kinds.INT4_BINARY, 4, "i"), (kinds.INT8_BINARY, 8, "q"),
        (kinds.OID_BINARY, 4, "I"), (kinds.FLOAT8_BINARY, 8, "d"))}
    _NEVER = 1 << 32
    """No message is as long."""

COMPILED: bool = cython.compiled

_DECODE[kinds.BOOL_TEXT] = bool_text
_DECODE[kinds.BOOL_BINARY] = bool_binary
_DECODE[kinds.INT2_TEXT] = int2_text
_DECODE[kinds.INT2_BINARY] = int2_binary
_DECODE[kinds.INT4_TEXT] = int4_text
_DECODE[kinds.INT4_BINARY] = int4_binary
_DECODE[kinds.INT8_TEXT] = int8_text
_DECODE[kinds.INT8_BINARY] = int8_binary
_DECODE[kinds.OID_TEXT] = oid_text
_DECODE[kinds.OID_BINARY] = oid_binary
_DECODE[kinds.FLOAT4_TEXT] = float4_text
_DECODE[kinds.FLOAT4_BINARY] = float4_binary
_DECODE[kinds.FLOAT8_TEXT] = float8_text
_DECODE[kinds.FLOAT8_BINARY] = float8_binary
_DECODE[kinds.STRING_TEXT] = decode_string
_DECODE[kinds.STRING_BINARY] = decode_string
_DECODE[kinds.BYTEA_TEXT] = bytea_text
_DECODE[kinds.BYTEA_BINARY] = bytea_binary
_DECODE[kinds.DATE_TEXT] = date_text
_DECODE[kinds.DATE_BINARY] = date_binary
_DECODE[kinds.TIMESTAMP_TEXT] = timestamp_text
_DECODE[kinds.TIMESTAMP_BINARY] = timestamp_binary
_DECODE[kinds.TIMESTAMPTZ_TEXT] = timestamptz_text
_DECODE[kinds.TIMESTAMPTZ_BINARY] = timestamptz_binary
_DECODE[kinds.NUMERIC_TEXT] = numeric_text
_DECODE[kinds.NUMERIC_BINARY] = numeric_binary
_DECODE[kinds.UUID_TEXT] = uuid_text
_DECODE[kinds.UUID_BINARY] = uuid_binary
_DECODE[kinds.JSON_TEXT] = decode_json
_DECODE[kinds.JSON_BINARY] = decode_json
_DECODE[kinds.JSONB_TEXT] = decode_json
_DECODE[kinds.JSONB_BINARY] = jsonb_binary
_DECODE[kinds.CHAR_TEXT] = decode_string
_DECODE[kinds.CHAR_BINARY] = char_binary


def decode_value(kind: int, data: bytes) -> object:
    """Decode one value of a hot kind; ValueError (also as UnicodeDecodeError) when it is not valid."""
    if kind < 2 or kind >= kinds.COUNT:
        raise ValueError(f"unknown kind {kind}")
    code: cython.int = kind
    return _DECODE[code](data, 0, len(data))


@cython.cfunc
def read_value(kind: cython.int, data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t) -> object:
    """Decode one value of a hot kind where it lies."""
    return _DECODE[kind](data, pos, size)


@cython.cfunc
def decode_cell(
    kind: cython.int, function: object, data: bytes, pos: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> object:
    """Decode a value that lies inside another one, by its kind or, where that is CALL, by its function."""
    if kind:
        return _DECODE[kind](data, pos, size)
    return function(data[pos : pos + size])  # type: ignore[operator]


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
        codes: bytes = codes_of(columns)
        if not issubclass(row, tuple) or row.__basicsize__ != tuple.__basicsize__ or row.__dictoffset__:
            raise TypeError("the class of rows must be tuple or a subclass of it with __slots__ = ()")
        self._row = row
        self._kinds = codes
        # Rows of values that hold nothing else stay out of the cyclic collector.
        self._plain = not any(code in kinds.HOLDING for code in codes)
        if cython.compiled:
            self._functions = list(columns)
        else:
            # (size with the length word, how a value of that size is unpacked with it, what reads any other)
            self._functions = [
                (*_FIXED.get(column, (_NEVER, None)), _DECODE[column]) if isinstance(column, int)
                else (_NEVER, None, _called(column))
                for column in columns
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
        size: cython.int = 0
        letter: cython.int
        count: cython.int
        column: cython.Py_ssize_t = 0
        codes: bytes = self._kinds
        functions: list[Any] = self._functions
        row_class: Any = self._row
        # local names: the interpreter would look the others up for every value
        compiled: cython.bint = cython.compiled
        new: Any = tuple.__new__
        kind: cython.int
        try:
            while pos < end:
                if end - pos < 7:
                    raise MalformedRow("not a DataRow message")
                letter, size, count = row_head(data, pos)
                if letter != 68:
                    raise MalformedRow("not a DataRow message")
                stop = pos + 1 + size
                if size < 6 or stop > end:
                    raise MalformedRow("the length of a DataRow does not fit")
                if count != width:
                    raise MalformedRow(f"row {len(rows)} has {count} columns, not {width}")
                pos += 7
                column = -1
                if compiled:
                    row = febe_new_row(row_class, width)
                else:
                    values: list[Any] = []
                for reader in functions:
                    column += 1
                    if not compiled:
                        fixed, unpack, read = reader
                        if stop - pos >= fixed:
                            size, value = unpack(data, pos)
                            if size == fixed - 4:
                                values.append(value)
                                pos += fixed
                                continue
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
                            raise MalformedRow(f"row {len(rows)}, column {column}: length {size} is too long")
                        if compiled:
                            kind = codes[column]
                            value = reader(data[pos : pos + size]) if kind == 0 else _DECODE[kind](data, pos, size)
                        else:
                            value = read(data, pos, size)
                        pos += size
                    if compiled:
                        Py_INCREF(value)
                        PyTuple_SET_ITEM(row, column, value)
                    else:
                        values.append(value)
                if compiled:
                    if not self._plain:
                        PyObject_GC_Track(row)
                else:
                    row = new(row_class, values)
                rows.append(row)
                if pos != stop:
                    raise MalformedRow(f"row {len(rows) - 1} has {stop - pos} bytes more than its columns")
        except (MalformedRow, MemoryError):
            raise
        except Exception as error:
            raise ValueDecodeError(len(rows), column, data[pos : pos + size], str(error)) from error
        return None


@cython.cclass
class RowEncoder:
    """Encodes rows of one description as DataRow messages."""

    _kinds: bytes
    _functions: list[Any]

    def __init__(self, columns: Sequence[int | Callable[[Any], bytes]]) -> None:
        """Take each column's hot kind, or a callable that gives a value's bytes (not called for None)."""
        self._kinds = codes_of(columns)
        self._functions = list(columns)

    def encode(self, rows: Sequence[Sequence[object]]) -> bytes:
        """Encode rows, one message each.

        Errors: ValueEncodeError for a value; MalformedRow for a row of another width, or over PostgreSQL's 1 GB.
        """
        pos: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t
        row: cython.Py_ssize_t
        buffer: bytearray = bytearray(256 + 16 * len(self._kinds))
        cells: list[Any] = []
        for row, values in enumerate(rows):
            cells.clear()
            size = 6 + gather(self._kinds, self._functions, values, row, cells)
            if size > 0x3FFFFFFF:
                raise MalformedRow(f"row {row} is too long for a message")
            if pos + 1 + size > len(buffer):
                buffer.extend(bytes(len(buffer) + 1 + size))
            out: cython.p_uchar = buffer
            out[pos] = 68
            put32(out, pos + 1, size)
            put16(out, pos + 5, len(self._kinds))
            pos = put_cells(out, pos + 7, cells)
        return bytes(memoryview(buffer)[:pos])
