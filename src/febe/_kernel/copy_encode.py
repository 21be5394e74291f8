# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Rows to COPY's three formats (PostgreSQL: CopyOneRowTo), as CopyData messages or as what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.copy_fields import DEFAULT
from febe._kernel.encode import codes_of, ways_of
from febe._kernel.errors import MalformedRow, ValueEncodeError

if cython.compiled:
    from cython.cimports.febe._kernel.encode import encode_cell, make_room, put_row
    from cython.cimports.febe._kernel.wire import put, put32
else:
    from febe._kernel.encode import encode_cell, make_room, put_row
    from febe._kernel.wire import put, put32

COMPILED: bool = cython.compiled

TEXT, CSV, BINARY = range(3)
BARE, ONE, ROWS = range(3)
"""What `encode_some` gives: no messages; one CopyData message; one for each row, as a backend sends them."""

_LIMIT: cython.Py_ssize_t = 0x3FFFFFFE - 4  # PQ_LARGE_MESSAGE_LIMIT, less the length word itself


@cython.cclass
class CopyRowEncoder:
    """Encodes rows of one description."""

    _kinds: bytes
    _ways: bytes
    _is_binary: cython.bint
    _by_row: cython.bint
    _functions: list[Any]
    _form: cython.int
    _framing: cython.int
    _delimiter: cython.int
    _quote: cython.int
    _escape: cython.int
    _null: bytes
    _default: Any
    _force_quote: bytes
    _recode: Any

    def __init__(
        self, columns: Sequence[int | Callable[[Any], bytes]], form: int, framing: int, delimiter: int, quote: int,
        escape: int, null: bytes, default: bytes | None, force_quote: bytes,
        recode: Callable[[bytes], bytes] | None,
    ) -> None:  # fmt: skip
        """Take the columns as RowEncoder does, and the format's bytes; one byte per column, whether it is always
        quoted; and what brings a row to another encoding.
        """
        self._kinds = codes_of(columns)
        self._functions = list(columns)
        self._ways = ways_of(self._kinds)
        self._form, self._framing = form, framing
        self._is_binary, self._by_row = form == BINARY, framing == ROWS
        self._delimiter, self._quote, self._escape = delimiter, quote, escape
        self._null, self._default = null, default
        self._force_quote = force_quote
        self._recode = recode
        if len(force_quote) != len(columns):
            raise ValueError("one byte per column")

    def encode_some(
        self, head: bytes, rows: Iterator[Sequence[object]], most: cython.Py_ssize_t
    ) -> tuple[bytearray, int]:
        """Take rows until their data reach `most` bytes or there are no more; gives those, `head` in front of the
        first, and how many rows they are.

        Errors: ValueEncodeError, MalformedRow; `row` counts from the first of this call.
        """
        pos: cython.Py_ssize_t = 0
        begin: cython.Py_ssize_t
        count: cython.Py_ssize_t = 0
        frame: cython.Py_ssize_t = 5 if self._framing else 0
        limit: cython.Py_ssize_t = _LIMIT
        buffer: bytearray = bytearray(4096 + len(head) + 16 * len(self._kinds))
        out: cython.p_uchar = buffer
        put(out, frame, head, len(head))
        pos = frame + len(head)
        begin = 0
        for values in rows:
            if self._is_binary:
                pos = put_row(self._kinds, self._ways, self._functions, buffer, pos, values, count)
            else:
                pos = self._line(buffer, pos, values, count)
            count += 1
            if frame:
                if pos - begin - 5 > limit:
                    raise MalformedRow(f"row {count - 1} is too long for a message")
                if self._by_row:
                    out = buffer
                    out[begin] = 100
                    put32(out, begin + 1, pos - begin - 1)
                    begin = pos
                    if pos >= most:
                        break
                    pos += 5
            if pos >= most:
                break
        if self._framing == ROWS and pos > begin:  # no row after the last message
            pos = begin
        if self._framing == ONE:
            out = buffer
            out[0] = 100
            put32(out, 1, pos - 1)
        if count == 0:
            pos = 0
        del buffer[pos:]
        return buffer, count

    @cython.cfunc
    def _line(
        self, buffer: bytearray, pos: cython.Py_ssize_t, values: Any, row: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        column: cython.Py_ssize_t = 0
        begin: cython.Py_ssize_t = pos
        kind: cython.int
        data: bytes
        single: cython.bint = len(self._kinds) == 1
        out: cython.p_uchar
        if len(values) != len(self._kinds):
            raise MalformedRow(f"row {row} has {len(values)} values, not {len(self._kinds)}")
        try:
            for value in values:
                if value is None:
                    data = self._null
                    kind = -1
                elif value is DEFAULT and self._default is not None:
                    data = self._default
                    kind = -1
                else:
                    kind = self._kinds[column]
                    data = encode_cell(kind, self._functions[column], value)
                make_room(buffer, pos, 2 * len(data) + 4)
                out = buffer
                if column:
                    out[pos] = self._delimiter
                    pos += 1
                if kind < 0:
                    put(out, pos, data, len(data))
                    pos += len(data)
                elif self._form == TEXT:
                    pos = _put_escaped(out, pos, data, self._delimiter)
                else:
                    pos = self._put_csv(out, pos, data, self._force_quote[column], single)
                column += 1
        except (MalformedRow, MemoryError):
            raise
        except Exception as error:
            raise ValueEncodeError(row, column, value, str(error)) from error
        if self._recode is not None:
            try:
                data = self._recode(bytes(memoryview(buffer)[begin:pos]))
            except UnicodeError as error:
                raise ValueEncodeError(row, -1, None, str(error)) from error
            make_room(buffer, begin, len(data) + 1)
            out = buffer
            put(out, begin, data, len(data))
            pos = begin + len(data)
        make_room(buffer, pos, 1)
        out = buffer
        out[pos] = 10
        return pos + 1

    @cython.cfunc
    def _put_csv(
        self, out: cython.p_uchar, pos: cython.Py_ssize_t, data: bytes, quoted: cython.bint, single: cython.bint
    ) -> cython.Py_ssize_t:
        """Write a csv field (PostgreSQL: CopyAttributeOutCSV)."""
        k: cython.Py_ssize_t
        c: cython.int
        size: cython.Py_ssize_t = len(data)
        if not quoted:
            quoted = data == self._null or (single and data == b"\\.")
        if not quoted:
            for k in range(size):
                c = data[k]
                if c == self._delimiter or c == self._quote or c == 10 or c == 13:
                    quoted = True
                    break
        if not quoted:
            put(out, pos, data, size)
            return pos + size
        out[pos] = self._quote
        pos += 1
        for k in range(size):
            c = data[k]
            if c == self._quote or c == self._escape:
                out[pos] = self._escape
                pos += 1
            out[pos] = c
            pos += 1
        out[pos] = self._quote
        return pos + 1

    def header(self, names: Sequence[bytes]) -> bytes:
        """Give the line with the columns' names, without a message around it."""
        buffer: bytearray = bytearray(16 + sum(2 * len(name) + 4 for name in names))
        out: cython.p_uchar = buffer
        pos: cython.Py_ssize_t = 0
        number: cython.Py_ssize_t
        for number, name in enumerate(names):
            if number:
                out[pos] = self._delimiter
                pos += 1
            if self._form == TEXT:
                pos = _put_escaped(out, pos, name, self._delimiter)
            else:
                pos = self._put_csv(out, pos, name, False, len(names) == 1)
        data = bytes(memoryview(buffer)[:pos])
        return (data if self._recode is None else self._recode(data)) + b"\n"


@cython.cfunc
def _put_escaped(
    out: cython.p_uchar, pos: cython.Py_ssize_t, data: bytes, delimiter: cython.int
) -> cython.Py_ssize_t:
    """Write a text field (PostgreSQL: CopyAttributeOutText)."""
    k: cython.Py_ssize_t
    c: cython.int
    for k in range(len(data)):
        c = data[k]
        if c < 32 and 8 <= c <= 13:
            out[pos] = 92
            out[pos + 1] = 98 if c == 8 else 116 if c == 9 else 110 if c == 10 else 118 if c == 11 else (
                102 if c == 12 else 114)
            pos += 2
            continue
        if c == 92 or c == delimiter:
            out[pos] = 92
            pos += 1
        out[pos] = c
        pos += 1
    return pos
