# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Rows of logical replication, from runs of CopyData messages (manual: "Logical Replication Message Formats")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.encode import codes_of
from febe._kernel.errors import MalformedRow, ValueDecodeError

if cython.compiled:
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
        u32,
    )
else:
    from febe._kernel.rows import read_value
    from febe._kernel.wire import collector_pause, collector_resume, i16, i32, u32

COMPILED: bool = cython.compiled


@cython.cclass
class Shape:
    """How the rows of one relation are read, each column in either format."""

    _relation: Any
    _row: Any
    _text: bytes
    _binary: bytes
    _text_functions: list[Any]
    _binary_functions: list[Any]

    def __init__(
        self,
        relation: object,
        text: Sequence[int | Callable[[bytes], object]],
        binary: Sequence[int | Callable[[bytes], object]],
        row: type[tuple[Any, ...]],
    ) -> None:
        """Take what stands for the relation in changes, each column's reader in text and in binary, the rows' class."""
        if len(text) != len(binary):
            raise ValueError("as many readers of text as of binary")
        if not issubclass(row, tuple) or row.__basicsize__ != tuple.__basicsize__ or row.__dictoffset__:
            raise TypeError("the class of rows must be tuple or a subclass of it with __slots__ = ()")
        self._relation = relation
        self._row = row
        self._text = codes_of(text)
        self._binary = codes_of(binary)
        self._text_functions = list(text)
        self._binary_functions = list(binary)


@cython.cclass
class ChangeDecoder:
    """Decodes Insert, Update and Delete; what else there is, is left to the caller."""

    _insert: Any
    _update: Any
    _delete: Any
    _unchanged: Any
    _at: cython.Py_ssize_t
    _column: cython.Py_ssize_t
    _size: cython.Py_ssize_t

    def __init__(self, insert: type, update: type, delete: type, unchanged: object) -> None:
        """Take the classes of changes, subclasses of tuple without fields of their own, and the value that stands for a
        TOASTed one that was not sent.

        They are made of (relation, new, xid), (relation, old, new, identity, xid) and (relation, old, identity, xid).
        """
        for made in (insert, update, delete):
            if not issubclass(made, tuple) or made.__basicsize__ != tuple.__basicsize__ or made.__dictoffset__:
                raise TypeError("a class of changes must be a subclass of tuple with __slots__ = ()")
        self._insert = insert
        self._update = update
        self._delete = delete
        self._unchanged = unchanged
        self._at = 0
        self._column = 0
        self._size = 0

    def decode(
        self,
        shapes: dict[int, Shape],
        data: bytes,
        pos: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        in_stream: cython.bint,
        out: list[Any],
    ) -> int:
        """Decode data[pos:end], whole CopyData messages, as far as they are changes of known shapes; where that ends.

        `in_stream` says that each change has a transaction id of its own.  Errors: MalformedRow for counts and lengths
        that do not fit; ValueDecodeError for a value, its `row` the number of changes before it in `out`.
        """
        if pos < 0 or end > len(data):
            raise ValueError("position outside the data")
        paused: cython.bint = collector_pause()
        try:
            return self._decode(shapes, data, pos, end, in_stream, out)
        except (MalformedRow, MemoryError):
            raise
        except Exception as error:
            raise ValueDecodeError(
                len(out), self._column, data[self._at : self._at + self._size], str(error)
            ) from error
        finally:
            collector_resume(paused)

    @cython.cfunc
    def _decode(
        self,
        shapes: dict[int, Shape],
        data: bytes,
        pos: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
        in_stream: cython.bint,
        out: list[Any],
    ) -> cython.Py_ssize_t:
        stop: cython.Py_ssize_t
        letter: cython.int
        mark: cython.int
        length: cython.Py_ssize_t
        head: cython.Py_ssize_t = 39 if in_stream else 35
        found: object
        shape: Shape
        xid: object = None
        old: object
        identity: object
        while end - pos >= head:
            # d, Int32 length, w, two positions and a time; then the message of the plugin
            if data[pos] != 100:
                raise MalformedRow("not a CopyData message")
            length = i32(data, pos + 1)[0]
            stop = pos + 1 + length
            if length < 4 or stop > end:
                raise MalformedRow("the length of a CopyData does not fit")
            if stop - pos < head or data[pos + 5] != 119:
                break
            letter = data[pos + 30]
            if letter != 73 and letter != 85 and letter != 68:
                break
            found = shapes.get(u32(data, pos + head - 4)[0])
            if found is None:
                break
            shape = found
            if in_stream:
                xid = u32(data, pos + 31)[0]
            self._at = pos + head
            if self._at >= stop:
                raise MalformedRow("a change without a row")
            mark = data[self._at]
            self._at += 1
            old = identity = None
            if letter != 73 and (mark == 75 or mark == 79):
                identity = "K" if mark == 75 else "O"
                old = self._read(shape, data, stop, None)
                if letter == 85:
                    if self._at >= stop:
                        raise MalformedRow("an update without a new row")
                    mark = data[self._at]
                    self._at += 1
            if letter == 68:
                if identity is None:
                    raise MalformedRow("a delete without an old row")
                out.append(_made(self._delete, (shape._relation, old, identity, xid)))
            else:
                if mark != 78:
                    raise MalformedRow("a change without a new row")
                new = self._read(shape, data, stop, old if identity == "O" else None)
                if letter == 73:
                    out.append(_made(self._insert, (shape._relation, new, xid)))
                else:
                    out.append(_made(self._update, (shape._relation, old, new, identity, xid)))
            if self._at != stop:
                raise MalformedRow(f"{stop - self._at} bytes left over in a change")
            pos = stop
        return pos

    @cython.cfunc
    def _read(self, shape: Shape, data: bytes, stop: cython.Py_ssize_t, old: object) -> object:
        """A row at `_at`, which moves behind it.  What was not sent is taken from `old`, if that is there."""
        pos: cython.Py_ssize_t = self._at
        width: cython.Py_ssize_t = len(shape._text)
        column: cython.Py_ssize_t
        size: cython.Py_ssize_t
        kind: cython.int
        code: cython.int
        compiled: cython.bint = cython.compiled
        self._column = 0
        self._size = 0
        if stop - pos < 2 or i16(data, pos)[0] != width:
            raise MalformedRow(f"a row that has not {width} columns")
        pos += 2
        if compiled:
            row = febe_new_row(shape._row, width)
        else:
            values: list[Any] = []
        for column in range(width):
            if pos >= stop:
                raise MalformedRow(f"a row ends before column {column}")
            kind = data[pos]
            pos += 1
            if kind == 116 or kind == 98:
                if stop - pos < 4:
                    raise MalformedRow(f"a row ends before column {column}")
                size = i32(data, pos)[0]
                pos += 4
                if size < 0 or size > stop - pos:
                    raise MalformedRow(f"column {column}: length {size}")
                self._at = pos
                self._size = size
                self._column = column
                code = shape._text[column] if kind == 116 else shape._binary[column]
                if code:
                    value = read_value(code, data, pos, size)
                elif kind == 116:
                    value = shape._text_functions[column](data[pos : pos + size])
                else:
                    value = shape._binary_functions[column](data[pos : pos + size])
                pos += size
            elif kind == 110:
                value = None
            elif kind == 117:
                value = self._unchanged if old is None else old[column]  # type: ignore[index]
            else:
                raise MalformedRow(f"column {column}: kind {kind}")
            if compiled:
                Py_INCREF(value)
                PyTuple_SET_ITEM(row, column, value)
            else:
                values.append(value)
        if compiled:
            PyObject_GC_Track(row)
        else:
            row = tuple.__new__(shape._row, values)
        self._at = pos
        return row


@cython.cfunc
def _made(cls: Any, values: tuple[Any, ...]) -> object:
    """A tuple of a class of ours."""
    if cython.compiled:
        made = febe_new_row(cls, len(values))
        place: cython.Py_ssize_t
        for place in range(len(values)):
            value = values[place]
            Py_INCREF(value)
            PyTuple_SET_ITEM(made, place, value)
        PyObject_GC_Track(made)
        return made
    return tuple.__new__(cls, values)
