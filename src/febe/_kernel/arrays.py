# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Arrays in both formats (manual: "Arrays"; array_send, array_recv, array_out, array_in)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import kinds
from febe._kernel.encode import codes_of

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.cpython.list import PyList_New, PyList_SET_ITEM
    from cython.cimports.cpython.ref import Py_INCREF
    from cython.cimports.febe._kernel.rows import decode_cell
    from cython.cimports.febe._kernel.wire import f8, febe_utf8, i16, i32, i64, u32
else:
    from febe._kernel.rows import decode_cell
    from febe._kernel.wire import f8, i16, i32, i64, u32

COMPILED: bool = cython.compiled

DIMENSIONS = 6
"""The most that PostgreSQL has (array.h, MAXDIM)."""

Wrap = Callable[[list[Any], tuple[int, ...]], object]


def nested(flat: list[Any], sizes: list[int]) -> list[Any]:
    """Fold the elements of an array into lists of lists."""
    for size in sizes[:0:-1]:
        flat = [flat[at : at + size] for at in range(0, len(flat), size)]
    return flat


@cython.cclass
class ArrayReader:
    """Reads an array in binary format into a list, or lists of lists."""

    _kind: cython.int
    _function: Any
    _oid: cython.uint
    _wrap: Any
    _lists: cython.bint

    def __init__(
        self, element: int | Callable[[bytes], object], oid: int, wrap: Wrap, lists: bool = False
    ) -> None:
        """Take how an element is read, and its type's OID.

        `wrap` is given the list and the lower bounds of an array whose lower bounds are not all 1.  With `lists` the
        elements themselves may be lists, and an array of several dimensions is wrapped, too.
        """
        self._kind = codes_of([element])[0]
        self._function = element
        self._oid = oid
        self._wrap = wrap
        self._lists = lists

    def __call__(self, data: bytes) -> object:
        """Read an array.  Errors: ValueError."""
        pos: cython.Py_ssize_t = 12
        stop: cython.Py_ssize_t = len(data)
        dimensions: cython.int
        count: cython.longlong = 1
        length: cython.int
        n: cython.int
        plain: cython.bint = True
        if stop < 12:
            raise ValueError(f"{stop} bytes are no binary array")
        dimensions = i32(data, 0)[0]
        if dimensions < 0 or dimensions > 6:
            raise ValueError(f"an array of {dimensions} dimensions")
        if i32(data, 4)[0] not in (0, 1):
            raise ValueError("invalid flags of an array")
        if u32(data, 8)[0] != self._oid:
            raise ValueError(f"its elements are of type {u32(data, 8)[0]}, not {self._oid}")
        if stop < 12 + 8 * dimensions:
            raise ValueError("the array ends before its dimensions")
        sizes: list[int] = []
        lower: list[int] = []
        for n in range(dimensions):
            length = i32(data, pos)[0]
            sizes.append(length)
            lower.append(i32(data, pos + 4)[0])
            if lower[n] != 1:
                plain = False
            pos += 8
            if length < 0:
                raise ValueError("a dimension of negative size")
            count *= length
            # Every element has a length word, so more than these cannot follow.
            if count > stop // 4:
                raise ValueError("the array ends before its elements")
        if dimensions == 0:
            count = 0
        if count * 4 > stop - pos:
            raise ValueError("the array ends before its elements")
        values: list[Any] = self._elements(data, pos, count)
        if count == 0:
            return values
        if dimensions > 1:
            values = nested(values, sizes)
        if plain and (dimensions == 1 or not self._lists):
            return values
        return self._wrap(values, tuple(lower))

    @cython.cfunc
    def _elements(self, data: bytes, pos: cython.Py_ssize_t, count: cython.longlong) -> list[Any]:
        stop: cython.Py_ssize_t = len(data)
        kind: cython.int = self._kind
        size: cython.int
        n: cython.Py_ssize_t
        # Room was checked for; a list with empty places is let go of as it is.
        values: list[Any] = PyList_New(count) if cython.compiled else [None] * count
        value: object
        for n in range(count):
            if stop - pos < 4:
                raise ValueError("the array ends before its elements")
            size = i32(data, pos)[0]
            pos += 4
            if size < 0:
                if size != -1:
                    raise ValueError(f"an element of length {size}")
                value = None
                size = 0
            elif size > stop - pos:
                raise ValueError(f"an element of length {size} is too long")
            elif kind == 7 and size == 4:  # INT4_BINARY
                value = i32(data, pos)[0]
            elif kind == 9 and size == 8:  # INT8_BINARY
                value = i64(data, pos)[0]
            elif kind == 15 and size == 8:  # FLOAT8_BINARY
                value = f8(data, pos)[0]
            elif kind == 5 and size == 2:  # INT2_BINARY
                value = i16(data, pos)[0]
            elif cython.compiled and kind == 17:  # STRING_BINARY
                value = febe_utf8(PyBytes_AS_STRING(data) + pos, size)
            else:
                value = decode_cell(kind, self._function, data, pos, size)
            if cython.compiled:
                Py_INCREF(value)
                PyList_SET_ITEM(values, n, value)
            else:
                values[n] = value
            pos += size
        if pos != stop:
            raise ValueError(f"{stop - pos} bytes after the array")
        return values


assert (kinds.INT2_BINARY, kinds.INT4_BINARY, kinds.INT8_BINARY, kinds.FLOAT8_BINARY, kinds.STRING_BINARY) == (
    5, 7, 9, 15, 17)  # fmt: skip


@cython.cfunc
@cython.exceptval(check=False)
def _is_space(byte: cython.int) -> cython.bint:
    return byte == 32 or 9 <= byte <= 13


@cython.cclass
class ArrayTextReader:
    """Reads an array in text format (array_in)."""

    _kind: cython.int
    _function: Any
    _delimiter: cython.int
    _wrap: Any
    _lists: cython.bint

    def __init__(
        self, element: int | Callable[[bytes], object], delimiter: str, wrap: Wrap, lists: bool = False
    ) -> None:
        """Take how an element is read and what stands between two; for the rest see ArrayReader."""
        self._kind = codes_of([element])[0]
        self._function = element
        self._delimiter = ord(delimiter)
        self._wrap = wrap
        self._lists = lists

    def __call__(self, data: bytes) -> object:
        """Read an array.  Errors: ValueError."""
        pos: cython.Py_ssize_t = 0
        stop: cython.Py_ssize_t = len(data)
        depth: cython.int = 0
        level: cython.int = -1  # the depth of the elements
        opened: cython.bint = False  # `{` was the last
        wanted: cython.bint = True  # an element or `{` comes next
        byte: cython.int
        sizes: list[int] = [-1] * 7
        counts: list[int] = [0] * 7
        values: list[Any] = []
        lower: list[int] | None = None
        bounds: list[int] = []
        if stop and data[0] == 91:
            lower, bounds, pos = _bounds(data)
        while pos < stop:
            byte = data[pos]
            if _is_space(byte):
                pos += 1
            elif byte == 123:  # {
                if not wanted or depth == level or depth == 6 or (depth == 0 and values):
                    raise ValueError("malformed array: unexpected {")
                depth += 1
                counts[depth] = 0
                opened = True
                pos += 1
            elif depth == 0:
                raise ValueError("malformed array: it begins with { and ends with }")
            elif byte == 125:  # }
                if wanted and not (opened and depth == 1 and level < 0):
                    raise ValueError("malformed array: unexpected }")
                if sizes[depth] >= 0 and sizes[depth] != counts[depth]:
                    raise ValueError("malformed array: its parts have different sizes")
                sizes[depth] = counts[depth]
                depth -= 1
                counts[depth] += 1
                wanted = opened = False
                pos += 1
                if depth == 0:
                    break
            elif byte == self._delimiter:
                if wanted:
                    raise ValueError("malformed array: an element is missing")
                wanted, opened = True, False
                pos += 1
            else:
                if not wanted:
                    raise ValueError("malformed array: a delimiter is missing")
                if level < 0:
                    level = depth
                elif level != depth:
                    raise ValueError("malformed array: its parts have different depths")
                counts[depth] += 1
                wanted = opened = False
                pos = self._element(data, pos, values)
        while pos < stop and _is_space(data[pos]):
            pos += 1
        if depth or wanted or pos != stop:
            raise ValueError("malformed array: it begins with { and ends with }")
        if not values:
            return []
        sizes = sizes[1 : level + 1]
        if lower is not None and bounds != sizes:
            raise ValueError("malformed array: its bounds do not fit its elements")
        if level > 1:
            values = nested(values, sizes)
        plain: cython.bint = lower is None or lower == [1] * level
        if plain and (level == 1 or not self._lists):
            return values
        return self._wrap(values, tuple(lower or [1] * level))

    @cython.cfunc
    def _element(self, data: bytes, pos: cython.Py_ssize_t, values: list[Any]) -> cython.Py_ssize_t:
        """Read an element; gives the position after it."""
        stop: cython.Py_ssize_t = len(data)
        start: cython.Py_ssize_t = pos
        end: cython.Py_ssize_t
        escaped: cython.bint = False
        byte: cython.int
        if data[pos] == 34:
            start += 1
            pos = start
            while pos < stop and data[pos] != 34:
                if data[pos] == 92:
                    escaped = True
                    pos += 1
                pos += 1
            if pos >= stop:
                raise ValueError("malformed array: a quoted element does not end")
            end = pos
            pos += 1
        else:
            end = pos
            while pos < stop:
                byte = data[pos]
                if byte == self._delimiter or byte == 123 or byte == 125 or byte == 34:
                    break
                if byte == 92:
                    escaped = True
                    pos += 1
                pos += 1
                if not _is_space(byte):
                    end = pos
            if pos >= stop:
                raise ValueError("malformed array: it begins with { and ends with }")
            if end - start == 4 and data[start:end].upper() == b"NULL":
                values.append(None)
                return pos
        if escaped:
            raw: bytes = unescaped(data[start:end])
            values.append(decode_cell(self._kind, self._function, raw, 0, len(raw)))
        else:
            values.append(decode_cell(self._kind, self._function, data, start, end - start))
        return pos


def unescaped(raw: bytes) -> bytes:
    """Take the backslashes out that make the next byte an ordinary one."""
    parts = raw.split(b"\\")
    made = [parts[0]]
    n = 1
    while n < len(parts):
        if not parts[n] and n + 1 < len(parts):  # a backslash that is escaped itself
            n += 1
            made.append(b"\\" + parts[n])
        else:
            made.append(parts[n])
        n += 1
    return b"".join(made)


def _bounds(data: bytes) -> tuple[list[int], list[int], int]:
    """Read `[1:2][0:3]=`: lower bounds, sizes, and the position after it."""
    end = data.find(b"=")
    if end < 0 or end > 200:
        raise ValueError("malformed array: bounds without =")
    lower, sizes = [], []
    for part in data[1:end].rstrip().removesuffix(b"]").split(b"]["):
        first, _, last = part.partition(b":")
        try:
            low, high = int(first), int(last)
        except ValueError:
            raise ValueError("malformed array: its bounds are no integers") from None
        if not -0x80000000 <= low <= high + 1 <= 0x80000000:
            raise ValueError("malformed array: bounds out of range")
        lower.append(low)
        sizes.append(high - low + 1)
    return lower, sizes, end + 1
