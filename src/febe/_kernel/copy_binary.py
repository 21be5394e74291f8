# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
# ruff: noqa: SIM108 - shorter lines
"""COPY's binary format to rows (manual: "COPY", Binary Format), and CopyData messages to what they hold."""

from __future__ import annotations

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
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.cpython.ref import Py_INCREF
    from cython.cimports.cpython.tuple import PyTuple_SET_ITEM
    from cython.cimports.febe._kernel.rows import read_value
    from cython.cimports.febe._kernel.wire import (
        PyObject_GC_Track,
        collector_pause,
        collector_resume,
        febe_new_row,
        i16,
        i32,
        memcpy,
    )
else:
    from febe._kernel.rows import read_value
    from febe._kernel.wire import collector_pause, collector_resume, i16, i32

COMPILED: bool = cython.compiled


def payload(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
    """Join what the CopyData messages in data[start:end] hold.  ValueError when they are not whole such messages."""
    pos: cython.Py_ssize_t = start
    at: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t
    if start < 0 or end > len(data) or start > end:
        raise ValueError("position outside the data")
    buffer: bytearray = bytearray(end - start)
    out: cython.p_uchar = buffer
    while pos < end:
        if end - pos < 5 or data[pos] != 100:
            raise ValueError("not a CopyData message")
        size = i32(data, pos + 1)[0] - 4
        pos += 5
        if size < 0 or size > end - pos:
            raise ValueError("the length of a CopyData does not fit")
        if cython.compiled:
            memcpy(out + at, PyBytes_AS_STRING(data) + pos, size)
        else:
            out[at : at + size] = data[pos : pos + size]
        pos += size
        at += size
    return bytes(memoryview(buffer)[:at])


@cython.cclass
class TupleScanner:
    """Finds where tuples end in data that come in pieces cut anywhere."""

    _columns: cython.int
    _limit: cython.Py_ssize_t
    _left: cython.int
    _skip: cython.Py_ssize_t

    def __init__(self, columns: int, limit: int) -> None:
        """Take how many fields a tuple must have, and the longest that one may be."""
        self._columns = columns
        self._limit = limit
        self._left = -1  # between tuples
        self._skip = 0

    @property
    def column(self) -> int:
        """The field that is being read, -1 between tuples."""
        return -1 if self._left < 0 else self._columns - self._left - (1 if self._skip else 0)

    def scan(self, data: bytes) -> tuple[int, int, int, str, int]:
        """Walk over `data`: where the last whole tuple ends (0: none does), up to where was read, how many ended,
        what is the matter, and a number that goes with it.

        What was not read is wanted again in front of the next piece.  The matter: "" nothing; "end" the trailer was
        read; "count" a tuple of so many fields; "size" a field of that length; "long" a field over the limit.
        """
        pos: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t = len(data)
        last: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t = 0
        left: cython.int = self._left
        skip: cython.Py_ssize_t = self._skip
        length: cython.Py_ssize_t
        matter: str = ""
        number: cython.int = 0
        while True:
            if skip:
                if skip > size - pos:
                    skip -= size - pos
                    pos = size
                    break
                pos += skip
                skip = 0
            if left == 0:
                left = -1
                last = pos
                count += 1
            if left < 0:
                if size - pos < 2:
                    break
                number = i16(data, pos)[0]
                if number != self._columns:
                    matter = "end" if number == -1 else "count"
                    pos += 2
                    break
                pos += 2
                left = number
            else:
                if size - pos < 4:
                    break
                length = i32(data, pos)[0]
                if length < -1:
                    matter, number = "size", length
                    break
                if length > self._limit:
                    matter, number = "long", length
                    break
                pos += 4
                left -= 1
                skip = length if length > 0 else 0
        self._left = left
        self._skip = skip
        return last, pos, count, matter, number


@cython.cclass
class TupleDecoder:
    """Decodes tuples that a TupleScanner found."""

    _kinds: bytes
    _functions: list[Any]
    _row: Any
    _plain: cython.bint

    def __init__(self, columns: Sequence[int | Callable[[bytes], object]], row: type[tuple[Any, ...]]) -> None:
        """Take the columns and the class of the rows as RowDecoder does."""
        self._kinds = codes_of(columns)
        self._functions = list(columns)
        if not issubclass(row, tuple) or row.__basicsize__ != tuple.__basicsize__ or row.__dictoffset__:
            raise TypeError("the class of rows must be tuple or a subclass of it with __slots__ = ()")
        self._row = row
        self._plain = not any(code in kinds.HOLDING for code in self._kinds)

    def decode(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> list[tuple[Any, ...]]:
        """Decode data[start:end], whole tuples.

        Errors: CopyFault; ValueDecodeError, its `row` counting from the first tuple.
        """
        if start < 0 or end > len(data):
            raise ValueError("position outside the data")
        rows: list[Any] = []
        paused: cython.bint = collector_pause()
        try:
            self._decode(data, start, end, rows)
        finally:
            collector_resume(paused)
        return rows

    @cython.cfunc
    def _decode(self, data: bytes, pos: cython.Py_ssize_t, end: cython.Py_ssize_t, rows: list[Any]) -> object:
        width: cython.Py_ssize_t = len(self._kinds)
        size: cython.Py_ssize_t = 0
        column: cython.Py_ssize_t = 0
        kind: cython.int
        codes: bytes = self._kinds
        functions: list[Any] = self._functions
        try:
            while pos < end:
                if end - pos < 2:
                    raise CopyFault(len(rows), "cut")
                if i16(data, pos)[0] != width:
                    raise CopyFault(len(rows), "count", i16(data, pos)[0])
                pos += 2
                if cython.compiled:
                    row = febe_new_row(self._row, width)
                else:
                    values: list[Any] = []
                for column in range(width):
                    if end - pos < 4:
                        raise CopyFault(len(rows), "cut", column)
                    size = i32(data, pos)[0]
                    pos += 4
                    if size < 0:
                        if size != -1:
                            raise CopyFault(len(rows), "size", column)
                        value = None
                    else:
                        if size > end - pos:
                            raise CopyFault(len(rows), "cut", column)
                        kind = codes[column]
                        if kind:
                            value = read_value(kind, data, pos, size)
                        else:
                            value = functions[column](data[pos : pos + size])
                        pos += size
                    if cython.compiled:
                        Py_INCREF(value)
                        PyTuple_SET_ITEM(row, column, value)
                    else:
                        values.append(value)
                if cython.compiled:
                    if not self._plain:
                        PyObject_GC_Track(row)
                else:
                    row = tuple.__new__(self._row, values)
                rows.append(row)
        except (CopyFault, MemoryError):
            raise
        except Exception as error:
            raise ValueDecodeError(len(rows), column, data[pos : pos + size], str(error)) from error
        return None
