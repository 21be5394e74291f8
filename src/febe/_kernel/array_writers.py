# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Lists to arrays in both formats (array_send, array_out)."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import Struct
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.arrays import DIMENSIONS
from febe._kernel.encode import codes_of

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.febe._kernel.encode import encode_cell
    from cython.cimports.febe._kernel.wire import put, put32
else:
    from febe._kernel.encode import encode_cell
    from febe._kernel.wire import put, put32

COMPILED: bool = cython.compiled

_HEAD = Struct("!iiI").pack
_BOUND = Struct("!ii").pack
_special = re.compile(rb'["\\{} \t\n\r\v\f]').search
_MOST = 134217727  # array.h, MaxArraySize

Shape = Callable[[object], tuple[list[Any], tuple[int, ...] | None]]
"""Gives the list that a value stands for, and its lower bounds: None when they are all 1."""


def dimensions(values: list[Any], most: int) -> tuple[list[int], list[Any]]:
    """Give the sizes and the elements of lists of lists, of `most` dimensions or as many as they have when that is 0.

    Errors: ValueError when they are not all of one size and depth.
    """
    sizes: list[int] = []
    flat = values
    while flat and (not most or len(sizes) != most):
        if len(sizes) == DIMENSIONS:
            raise ValueError(f"an array has at most {DIMENSIONS} dimensions")
        if not sizes:
            sizes.append(len(flat))
        else:
            size = len(flat[0])
            if not all(type(part) is list and len(part) == size for part in flat):
                raise ValueError("the lists in an array must be of one size")
            sizes.append(size)
            flat = [value for part in flat for value in part]
        if not most and not (flat and type(flat[0]) is list):
            break
    if not flat:
        return [], []
    if most and len(sizes) != most:
        raise ValueError(f"the lists are not {most} deep")
    if not most and any(type(value) is list for value in flat):
        raise ValueError("the lists in an array must be of one depth")
    if len(flat) > _MOST:
        raise ValueError(f"an array has at most {_MOST} elements")
    return sizes, flat


@cython.cclass
class ArrayWriter:
    """Writes lists as arrays in binary format."""

    _kind: cython.int
    _function: Any
    _oid: object
    _shape: Any
    _lists: cython.bint

    def __init__(
        self, element: int | Callable[[Any], bytes], oid: int, shape: Shape, lists: bool = False
    ) -> None:
        """Take how an element is written and its type's OID.

        With `lists` the elements themselves may be lists: a plain list is then of one dimension.
        """
        self._kind = codes_of([element])[0]
        self._function = element
        self._oid = oid
        self._shape = shape
        self._lists = lists

    def __call__(self, value: object) -> bytes:
        """Write an array.  Errors: TypeError, ValueError, OverflowError."""
        values, lower = self._shape(value)
        sizes, flat = dimensions(values, len(lower) if lower else 1 if self._lists else 0)
        total: cython.Py_ssize_t = 12 + 8 * len(sizes)
        pos: cython.Py_ssize_t = total
        n: cython.Py_ssize_t = 0
        cells: list[Any] = []
        nulls: cython.bint = False
        try:
            for item in flat:
                if item is None:
                    cells.append(None)
                    nulls = True
                else:
                    made: bytes = encode_cell(self._kind, self._function, item)
                    cells.append(made)
                    total += len(made)
                n += 1
        except (TypeError, ValueError, OverflowError) as error:
            raise type(error)(f"element {n}: {error}") from error
        total += 4 * n
        if total > 0x3FFFFFFF:
            raise ValueError("the array is longer than PostgreSQL takes")
        buffer: bytearray = bytearray(total)
        head: bytes = _HEAD(len(sizes), nulls, self._oid)
        for n in range(len(sizes)):
            head += _BOUND(sizes[n], lower[n] if lower else 1)
        out: cython.p_uchar = buffer
        put(out, 0, head, len(head))
        for cell in cells:
            if cell is None:
                put32(out, pos, -1)
                pos += 4
            else:
                data: bytes = cell
                put32(out, pos, len(data))
                put(out, pos + 4, data, len(data))
                pos += 4 + len(data)
        return bytes(buffer)


@cython.cclass
class ArrayTextWriter:
    """Writes lists as arrays in text format."""

    _kind: cython.int
    _function: Any
    _delimiter: bytes
    _shape: Any
    _lists: cython.bint

    def __init__(
        self, element: int | Callable[[Any], bytes], delimiter: str, shape: Shape, lists: bool = False
    ) -> None:
        """Take how an element is written and what stands between two; for the rest see ArrayWriter."""
        self._kind = codes_of([element])[0]
        self._function = element
        self._delimiter = delimiter.encode()
        self._shape = shape
        self._lists = lists

    def __call__(self, value: object) -> bytes:
        """Write an array.  Errors: TypeError, ValueError, OverflowError."""
        values, lower = self._shape(value)
        sizes, flat = dimensions(values, len(lower) if lower else 1 if self._lists else 0)
        n: cython.Py_ssize_t = 0
        delimiter: bytes = self._delimiter
        cells: list[bytes] = []
        try:
            for item in flat:
                if item is None:
                    cells.append(b"NULL")
                else:
                    made: bytes = encode_cell(self._kind, self._function, item)
                    cells.append(quoted(made) if _needs_quotes(made, delimiter[0]) else made)
                n += 1
        except (TypeError, ValueError, OverflowError) as error:
            raise type(error)(f"element {n}: {error}") from error
        for size in sizes[:0:-1]:
            cells = [
                b"{" + delimiter.join(cells[at : at + size]) + b"}" for at in range(0, len(cells), size)
            ]
        text: bytes = b"{" + delimiter.join(cells) + b"}"
        if lower and sizes and any(bound != 1 for bound in lower):
            bounds = [f"[{low}:{low + size - 1}]" for low, size in zip(lower, sizes, strict=True)]
            text = "".join(bounds).encode() + b"=" + text
        return text


@cython.cfunc
def _needs_quotes(text: bytes, delimiter: cython.int) -> cython.bint:
    """Whether array_out quotes an element."""
    size: cython.Py_ssize_t = len(text)
    at: cython.Py_ssize_t
    byte: cython.int
    if size == 0 or (size == 4 and text.upper() == b"NULL"):
        return True
    if cython.compiled:
        data: cython.p_char = PyBytes_AS_STRING(text)
        for at in range(size):
            byte = data[at]
            if (
                byte == 34 or byte == 92 or byte == 123 or byte == 125 or byte == delimiter or byte == 32
                or 9 <= byte <= 13
            ):  # fmt: skip
                return True
        return False
    else:
        return _special(text) is not None or delimiter in text


def quoted(text: bytes) -> bytes:
    """Quote an element with backslashes before quotes and backslashes."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
