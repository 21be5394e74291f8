# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
"""Lines of COPY's text and csv formats to rows (PostgreSQL: CopyReadAttributesText, CopyReadAttributesCSV)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds
from febe._kernel.encode import codes_of
from febe._kernel.errors import CopyFault, ValueDecodeError

if cython.compiled:
    from cython.cimports.cpython.ref import Py_INCREF
    from cython.cimports.cpython.tuple import PyTuple_SET_ITEM
    from cython.cimports.febe._kernel.rows import read_value
    from cython.cimports.febe._kernel.wire import (
        PyObject_GC_Track,
        collector_pause,
        collector_resume,
        febe_new_row,
    )
else:
    from febe._kernel.rows import read_value
    from febe._kernel.wire import collector_pause, collector_resume

COMPILED: bool = cython.compiled

_PLAIN, _ESCAPED, _NULL, _DEFAULT = 0, 1, 2, 3

_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))?", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _letter(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 8) & 255])
    if match[2]:
        return bytes([int(match[2], 16)])
    return _LETTERS.get(match[3], match[3]) if match[3] else b""


def unescape_text(data: bytes) -> bytes:
    """Undo a text field's backslashes; one at the very end is dropped.  ValueError when that makes no UTF-8 string."""
    made = _ESCAPE.sub(_letter, data)
    if not made.isascii():
        made.decode()
    if b"\0" in made:
        raise UnicodeDecodeError("utf-8", made, made.index(b"\0"), made.index(b"\0") + 1, "a NUL")
    return made


class Default:
    """`DEFAULT`: the column's default value is wanted, said by the option DEFAULT's marker."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT = Default()


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.boundscheck(False)
def _copy(
    source: cython.const[cython.uchar][::1], pos: cython.Py_ssize_t, out: cython.uchar[::1], p: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
) -> cython.void:  # fmt: skip
    k: cython.Py_ssize_t
    for k in range(size):
        out[p + k] = source[pos + k]


@cython.cclass
class LineDecoder:
    """Decodes lines that a LineScanner found."""

    _kinds: bytes
    _functions: list[Any]
    _row: Any
    _plain: cython.bint
    _delimiter: cython.int
    _quote: cython.int
    _escape: cython.int
    _null: bytes
    _default: object
    _defaults: bytes
    _force_not_null: bytes
    _force_null: bytes
    _starts: cython.longlong[::1]
    _ends: cython.longlong[::1]
    _marks: cython.uchar[::1]
    _texts: list[Any]

    def __init__(
        self, columns: Sequence[int | Callable[[bytes], object]], row: type[tuple[Any, ...]], delimiter: int,
        quote: int, escape: int, null: bytes, default: bytes | None, defaults: bytes,
        force_not_null: bytes, force_null: bytes,
    ) -> None:  # fmt: skip
        """Take the columns as RowDecoder does; the format's bytes, `quote` -1 for text format; one byte per column that
        says whether it has a default, is FORCE_NOT_NULL, is FORCE_NULL.
        """
        self._kinds = codes_of(columns)
        self._functions = list(columns)
        if not issubclass(row, tuple) or row.__basicsize__ != tuple.__basicsize__ or row.__dictoffset__:
            raise TypeError("the class of rows must be tuple or a subclass of it with __slots__ = ()")
        self._row = row
        self._plain = not any(code in kinds.HOLDING for code in self._kinds)
        self._delimiter, self._quote, self._escape = delimiter, quote, escape
        self._null, self._default = null, default
        self._defaults, self._force_not_null, self._force_null = defaults, force_not_null, force_null
        if not len(columns) == len(defaults) == len(force_not_null) == len(force_null):
            raise ValueError("one byte per column")
        room = len(columns) + 1  # no empty buffers
        self._starts = memoryview(bytearray(8 * room)).cast("q")
        self._ends = memoryview(bytearray(8 * room)).cast("q")
        self._marks = memoryview(bytearray(room))
        self._texts = [b""] * room

    def decode(
        self, data: bytes, start: cython.Py_ssize_t, ends: list[int], width: cython.Py_ssize_t,
        skipped: list[tuple[int, int, bytes | None, Exception]] | None,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """Decode lines: the first begins at `start`, each ends at its place in `ends`, the next `width` after that.

        Lines with a value that cannot be decoded go to `skipped` (line, column, the value, the error) when it is given.
        Errors: CopyFault; ValueDecodeError, its `row` being the line and its `data` the value without quotes or
        backslashes.
        """
        rows: list[Any] = []
        line: cython.Py_ssize_t = 0
        stop: cython.Py_ssize_t
        paused: cython.bint = collector_pause()
        try:
            for end in ends:
                stop = end
                if stop > len(data) or start < 0 or start > stop:
                    raise ValueError("position outside the data")
                row = self._line(data, start, stop, line, skipped)
                if row is not None:
                    rows.append(row)
                start = stop + width
                line += 1
        finally:
            collector_resume(paused)
        return rows

    def tuples(
        self, data: bytes, start: cython.Py_ssize_t, ends: list[int], width: cython.Py_ssize_t
    ) -> bytearray:  # fmt: skip
        """Put lines together as the binary format does tuples, with values that are text still; lines as `decode` has.

        Errors: CopyFault; ValueError where a DEFAULT marker may come.
        """
        columns: cython.Py_ssize_t = len(self._kinds)
        count: cython.Py_ssize_t
        column: cython.Py_ssize_t
        line: cython.Py_ssize_t = 0
        stop: cython.Py_ssize_t
        size: cython.Py_ssize_t
        pos: cython.Py_ssize_t
        p: cython.Py_ssize_t = 0
        mark: cython.int
        source: cython.const[cython.uchar][::1] = memoryview(data)
        if self._default is not None:
            raise ValueError("a value may be the column's default")
        # a field without its quotes or backslashes is not longer than with them
        made = bytearray((ends[-1] - start if ends else 0) + len(ends) * (2 + 4 * columns) + 1)
        out: cython.uchar[::1] = memoryview(made)
        for end in ends:
            stop = end
            if stop > len(data) or start < 0 or start > stop:
                raise ValueError("position outside the data")
            count = self._split(data, start, stop, line)
            if count > columns:
                raise CopyFault(line, "extra")
            if count < columns:
                raise CopyFault(line, "missing", count)
            out[p] = columns >> 8
            out[p + 1] = columns & 255
            p += 2
            for column in range(columns):
                mark = self._marks[column]
                if mark == _PLAIN and not self._force_null[column]:
                    pos, size = self._starts[column], self._ends[column] - self._starts[column]
                    _copy(source, pos, out, p + 4, size)
                elif mark == _NULL and not self._force_not_null[column]:
                    size = -1
                else:
                    field = self._null if mark == _NULL else self._field(data, column)
                    size = len(field)
                    if mark != _NULL and self._force_null[column] and field == self._null:
                        size = -1
                    else:
                        _copy(memoryview(field), 0, out, p + 4, size)
                out[p] = size >> 24 & 255
                out[p + 1] = size >> 16 & 255
                out[p + 2] = size >> 8 & 255
                out[p + 3] = size & 255
                p += 4 + (size if size > 0 else 0)
            start = stop + width
            line += 1  # noqa: SIM113 - C's counting
        out = None
        del made[p:]
        return made

    def fields(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> tuple[int, list[bytes | None]]:
        """Split one line: how many fields it has, and those that have a column, None for NULL."""
        if start < 0 or end > len(data) or start > end:
            raise ValueError("position outside the data")
        count: cython.Py_ssize_t = self._split(data, start, end, 0)
        some = min(count, len(self._kinds))
        return count, [None if self._marks[i] == _NULL else self._field(data, i) for i in range(some)]

    @cython.cfunc
    def _split(
        self, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t, line: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Find the fields' places; counts all, keeps those that have a column."""
        count: cython.Py_ssize_t = 0
        width: cython.Py_ssize_t = len(self._kinds)
        begin: cython.Py_ssize_t
        escaped: cython.bint
        found: cython.bint
        c: cython.int
        delimiter: cython.int = self._delimiter
        quote: cython.int = self._quote
        escape: cython.int = self._escape
        if width == 0:
            return pos < end
        while True:
            begin = pos
            escaped = False
            found = False
            if quote < 0:
                while pos < end:
                    c = data[pos]
                    if c == delimiter:
                        found = True
                        break
                    if c == 92:
                        escaped = True
                        pos += 1
                        if pos == end:
                            pos -= 1  # one that ends the line is dropped, and no part of what is held against NULL
                            break
                    pos += 1
            else:
                while pos < end:
                    c = data[pos]
                    if c == delimiter:
                        found = True
                        break
                    pos += 1
                    if c == quote:
                        escaped = True
                        while True:
                            if pos >= end:
                                raise CopyFault(line, "quote")
                            c = data[pos]
                            pos += 1
                            if c == escape and pos < end and (data[pos] == escape or data[pos] == quote):
                                pos += 1
                            elif c == quote:
                                break
            if count < width:
                self._starts[count] = begin
                self._ends[count] = pos
                self._marks[count] = self._mark(data, begin, pos, escaped, line, count)
                if quote < 0 and self._marks[count] == _ESCAPED:
                    try:
                        self._texts[count] = unescape_text(data[begin:pos])
                    except UnicodeDecodeError as error:
                        raise CopyFault(line, "encoding") from error
            count += 1
            if not found:
                return count
            pos += 1

    @cython.cfunc
    @cython.exceptval(-1)
    def _mark(
        self, data: bytes, begin: cython.Py_ssize_t, end: cython.Py_ssize_t, escaped: cython.bint,
        line: cython.Py_ssize_t, column: cython.Py_ssize_t,
    ) -> cython.int:  # fmt: skip
        quoted: cython.bint = escaped and self._quote >= 0
        if end - begin == len(self._null) and not quoted and data[begin:end] == self._null:
            return _NULL
        if self._default is not None and data[begin:end] == self._default:
            if not self._defaults[column]:
                raise CopyFault(line, "default", column)
            return _DEFAULT
        return _ESCAPED if escaped else _PLAIN

    @cython.cfunc
    def _field(self, data: bytes, column: cython.Py_ssize_t) -> bytes:
        """Give a field without its quotes or backslashes."""
        if self._marks[column] != _ESCAPED:
            return data[self._starts[column] : self._ends[column]]
        if self._quote < 0:
            return self._texts[column]
        return self._unquote(data[self._starts[column] : self._ends[column]])

    @cython.cfunc
    def _unquote(self, raw: bytes) -> bytes:
        out: bytearray = bytearray(len(raw))
        at: cython.Py_ssize_t = 0
        pos: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(raw)
        quoted: cython.bint = False
        c: cython.int
        while pos < end:
            c = raw[pos]
            pos += 1
            if quoted:
                if c == self._escape and pos < end and (raw[pos] == self._escape or raw[pos] == self._quote):
                    c = raw[pos]
                    pos += 1
                elif c == self._quote:
                    quoted = False
                    continue
            elif c == self._quote:
                quoted = True
                continue
            out[at] = c
            at += 1
        return bytes(memoryview(out)[:at])

    @cython.cfunc
    def _line(
        self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, line: cython.Py_ssize_t, skipped: Any
    ) -> object:
        """Decode one line; None when it was skipped."""
        width: cython.Py_ssize_t = len(self._kinds)
        count: cython.Py_ssize_t = self._split(data, start, end, line)
        column: cython.Py_ssize_t = 0
        kind: cython.int
        mark: cython.int
        field: Any = None
        codes: bytes = self._kinds
        if count > width:
            raise CopyFault(line, "extra")
        if cython.compiled:
            row = febe_new_row(self._row, width)
        else:
            values: list[Any] = []
        try:
            for column in range(width):
                if column >= count:
                    raise CopyFault(line, "missing", column)
                kind = codes[column]
                mark = self._marks[column]
                field = None
                if mark == _PLAIN and kind and not self._force_null[column]:
                    value = read_value(kind, data, self._starts[column], self._ends[column] - self._starts[column])
                elif mark == _DEFAULT:
                    value = DEFAULT
                elif mark == _NULL and not self._force_not_null[column]:
                    value = None
                else:
                    field = self._null if mark == _NULL else self._field(data, column)
                    if mark != _NULL and self._force_null[column] and field == self._null:
                        value = None
                    elif kind:
                        value = read_value(kind, field, 0, len(field))
                    else:
                        value = self._functions[column](field)
                if cython.compiled:
                    Py_INCREF(value)
                    PyTuple_SET_ITEM(row, column, value)
                else:
                    values.append(value)
        except (CopyFault, MemoryError):
            raise
        except Exception as error:
            if field is None:
                field = data[self._starts[column] : self._ends[column]]
            if skipped is None:
                raise ValueDecodeError(line, column, field, str(error)) from error
            skipped.append((line, column, field, error))
            return None
        if cython.compiled:
            if not self._plain:
                PyObject_GC_Track(row)
        else:
            row = tuple.__new__(self._row, values)
        return row
