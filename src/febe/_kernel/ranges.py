# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Ranges and multiranges in both formats (manual: "Range Types"; range_send, range_out, multirange_send)."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.encode import codes_of
from febe._kernel.records import item, quoted_bound

if cython.compiled:
    from cython.cimports.febe._kernel.encode import encode_cell
    from cython.cimports.febe._kernel.rows import decode_cell
    from cython.cimports.febe._kernel.wire import i32
else:
    from febe._kernel.encode import encode_cell
    from febe._kernel.rows import decode_cell
    from febe._kernel.wire import i32

COMPILED: bool = cython.compiled

_LENGTH = Struct("!i").pack

# rangetypes.h: the flags of the first byte
EMPTY, LOWER_INCLUSIVE, UPPER_INCLUSIVE, LOWER_INFINITE, UPPER_INFINITE = 1, 2, 4, 8, 16

Make = Callable[[int, object, object], object]
"""Makes a range of its flags and its bounds, None for an infinite one."""


@cython.cclass
class RangeReader:
    """Reads a range in binary format."""

    _kind: cython.int
    _function: Any
    _make: Any

    def __init__(self, element: int | Callable[[bytes], object], make: Make) -> None:
        """Take how a bound is read, and what makes the range."""
        self._kind = codes_of([element])[0]
        self._function = element
        self._make = make

    def __call__(self, data: bytes) -> object:
        """Read a range.  Errors: ValueError."""
        pos: cython.Py_ssize_t = 1
        stop: cython.Py_ssize_t = len(data)
        flags: cython.int
        size: cython.int
        lower: object = None
        upper: object = None
        if stop < 1:
            raise ValueError("0 bytes are no binary range")
        flags = data[0]
        if flags & ~31 or (flags & 1 and flags != 1) or flags & 10 == 10 or flags & 20 == 20:
            raise ValueError(f"invalid flags {flags} of a range")
        if flags & 9 == 0:
            size = _size(data, pos)
            lower = decode_cell(self._kind, self._function, data, pos + 4, size)
            pos += 4 + size
        if flags & 17 == 0:
            size = _size(data, pos)
            upper = decode_cell(self._kind, self._function, data, pos + 4, size)
            pos += 4 + size
        if pos != stop:
            raise ValueError(f"{stop - pos} bytes after the range")
        return self._make(flags, lower, upper)


@cython.cfunc
@cython.exceptval(-1)
def _size(data: bytes, pos: cython.Py_ssize_t) -> cython.int:
    size: cython.int
    if len(data) - pos < 4:
        raise ValueError("the value ends before its parts")
    size = i32(data, pos)[0]
    if size < 0 or size > len(data) - pos - 4:
        raise ValueError(f"a part of length {size}")
    return size


@cython.cclass
class RangeTextReader:
    """Reads a range in text format."""

    _kind: cython.int
    _function: Any
    _make: Any

    def __init__(self, element: int | Callable[[bytes], object], make: Make) -> None:
        """Take how a bound is read, and what makes the range."""
        self._kind = codes_of([element])[0]
        self._function = element
        self._make = make

    def __call__(self, data: bytes) -> object:
        """Read a range.  Errors: ValueError."""
        flags: cython.int = 0
        if data.strip().lower() == b"empty":
            return self._make(1, None, None)
        if not data or data[0] not in b"([":
            raise ValueError("malformed range: it begins with ( or [")
        first, middle = item(data, 1, b",)]")
        if data[middle] != 44:
            raise ValueError("malformed range: it has two bounds")
        last, end = item(data, middle + 1, b",)]")
        if data[end] == 44 or end + 1 != len(data):
            raise ValueError("malformed range: it ends with ) or ]")
        if first is None:
            flags |= 8
        elif data[0] == 91:
            flags |= 2
        if last is None:
            flags |= 16
        elif data[end] == 93:
            flags |= 4
        return self._make(flags, self._bound(first), self._bound(last))

    @cython.cfunc
    def _bound(self, text: object) -> object:
        if text is None:
            return None
        raw: bytes = text  # type: ignore[assignment]
        return decode_cell(self._kind, self._function, raw, 0, len(raw))


@cython.cclass
class RangeWriter:
    """Writes ranges in binary or in text format."""

    _kind: cython.int
    _function: Any
    _split: Any
    _binary: cython.bint

    def __init__(
        self,
        element: int | Callable[[Any], bytes],
        split: Callable[[object], tuple[int, object, object]],
        binary: bool,
    ) -> None:
        """Take how a bound is written, and what splits a range into its flags and bounds."""
        self._kind = codes_of([element])[0]
        self._function = element
        self._split = split
        self._binary = binary

    def __call__(self, value: object) -> bytes:
        """Write a range.  Errors: TypeError, ValueError, OverflowError."""
        flags: cython.int
        split = self._split(value)
        flags = split[0]
        if flags & 1:
            return b"\x01" if self._binary else b"empty"
        first: bytes = b""
        last: bytes = b""
        if not flags & 8:
            first = encode_cell(self._kind, self._function, split[1])
            first = _LENGTH(len(first)) + first if self._binary else quoted_bound(first)
        if not flags & 16:
            last = encode_cell(self._kind, self._function, split[2])
            last = _LENGTH(len(last)) + last if self._binary else quoted_bound(last)
        if self._binary:
            return bytes([flags]) + first + last
        return (b"[" if flags & 2 else b"(") + first + b"," + last + (b"]" if flags & 4 else b")")


def parts(data: bytes) -> list[bytes]:
    """Split a multirange in binary format into its ranges.  Errors: ValueError."""
    pos: cython.Py_ssize_t = 4
    count: cython.longlong
    size: cython.int
    found: list[bytes] = []
    if len(data) < 4:
        raise ValueError(f"{len(data)} bytes are no binary multirange")
    count = i32(data, 0)[0]
    # A range takes five bytes at the least.
    if count < 0 or count > (len(data) - 4) // 5:
        raise ValueError(f"a multirange of {count} ranges")
    for _ in range(count):
        size = _size(data, pos)
        found.append(data[pos + 4 : pos + 4 + size])
        pos += 4 + size
    if pos != len(data):
        raise ValueError(f"{len(data) - pos} bytes after the multirange")
    return found


def texts(data: bytes) -> list[bytes]:
    """Split a multirange in text format into its ranges.  Errors: ValueError."""
    found: list[bytes] = []
    inner = data.strip()
    if not inner.startswith(b"{") or not inner.endswith(b"}") or len(inner) < 2:
        raise ValueError("malformed multirange: it begins with { and ends with }")
    inner = inner[1:]
    start: cython.Py_ssize_t = 0
    while True:
        while inner[start] in b" \t\n\r\v\f":
            start += 1
        if inner[start] == 125 and not found:
            break
        if inner[start : start + 5].lower() == b"empty":
            end = start + 5
        else:
            _, middle = item(inner, start + 1, b",)]")
            if inner[middle] != 44:
                raise ValueError("malformed multirange: a range has two bounds")
            _, end = item(inner, middle + 1, b",)]")
            end += 1
        found.append(inner[start:end])
        start = end
        if inner[start : start + 1] not in (b",", b"}"):
            raise ValueError("malformed multirange: a comma is missing")
        start += 1
        if inner[start - 1] == 125:
            break
        if start >= len(inner):
            raise ValueError("malformed multirange: it does not end")
    if start + (0 if found else 1) != len(inner):
        raise ValueError("malformed multirange: it ends with }")
    return found
