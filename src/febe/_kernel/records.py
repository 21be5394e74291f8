# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Composite values and records in both formats (manual: "Composite Types"; record_send, record_out)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.encode import codes_of
from febe._kernel.errors import TypeChanged

if cython.compiled:
    from cython.cimports.febe._kernel.encode import encode_cell
    from cython.cimports.febe._kernel.rows import decode_cell
    from cython.cimports.febe._kernel.wire import i32, u32
else:
    from febe._kernel.encode import encode_cell
    from febe._kernel.rows import decode_cell
    from febe._kernel.wire import i32, u32

COMPILED: bool = cython.compiled

_COUNT, _FIELD, _NULL = Struct("!i").pack, Struct("!Ii").pack, Struct("!Ii").pack
_PLAIN = bytes(byte not in b'"\\(),' and byte != 32 and not 9 <= byte <= 13 for byte in range(256))
_PLAIN_BOUND = bytes(byte not in b'"\\()[],' and byte != 32 and not 9 <= byte <= 13 for byte in range(256))
MOST_FIELDS = 1600  # htup_details.h, MaxHeapAttributeNumber is 1600; a record has no more


@cython.cclass
class RecordReader:
    """Reads a composite value in binary format."""

    _kinds: bytes
    _functions: list[Any]
    _oids: list[int]
    _make: Any

    def __init__(
        self,
        fields: Sequence[int | Callable[[bytes], object]],
        oids: Sequence[int],
        make: Callable[[list[Any]], object],
    ) -> None:
        """Take how each field is read, its type's OID, and what makes the value of the list of fields."""
        self._kinds = codes_of(fields)
        self._functions = list(fields)
        self._oids = list(oids)
        self._make = make

    def __call__(self, data: bytes) -> object:
        """Read a record.  Errors: ValueError; TypeChanged when its fields are not those that were described."""
        pos: cython.Py_ssize_t = 4
        stop: cython.Py_ssize_t = len(data)
        count: cython.int
        size: cython.int
        n: cython.int
        values: list[Any] = []
        if stop < 4:
            raise ValueError(f"{stop} bytes are no binary record")
        count = i32(data, 0)[0]
        if count < 0:
            raise ValueError("a record with a negative number of fields")
        if count > (stop - 4) // 8:
            raise ValueError("the record ends before its fields")
        if count != len(self._oids):
            raise TypeChanged(f"it has {count} fields, where {len(self._oids)} were described")
        for n in range(count):
            if stop - pos < 8:
                raise ValueError("the record ends before its fields")
            if u32(data, pos)[0] != self._oids[n]:
                raise TypeChanged(f"field {n} is of type {u32(data, pos)[0]}, where {self._oids[n]} was described")
            size = i32(data, pos + 4)[0]
            pos += 8
            if size < 0:
                if size != -1:
                    raise ValueError(f"a field of length {size}")
                values.append(None)
                continue
            if size > stop - pos:
                raise ValueError(f"a field of length {size} is too long")
            values.append(decode_cell(self._kinds[n], self._functions[n], data, pos, size))
            pos += size
        if pos != stop:
            raise ValueError(f"{stop - pos} bytes after the record")
        return self._make(values)


def fields_of(data: bytes) -> list[tuple[int, bytes | None]]:
    """Split a record in binary format into its fields' type OIDs and bytes.  Errors: ValueError."""
    pos: cython.Py_ssize_t = 4
    stop: cython.Py_ssize_t = len(data)
    size: cython.int
    found: list[tuple[int, bytes | None]] = []
    if stop < 4:
        raise ValueError(f"{stop} bytes are no binary record")
    count: cython.int = i32(data, 0)[0]
    if count < 0:
        raise ValueError("a record with a negative number of fields")
    if count > (stop - 4) // 8:
        raise ValueError("the record ends before its fields")
    for _ in range(count):
        if stop - pos < 8:
            raise ValueError("the record ends before its fields")
        oid = u32(data, pos)[0]
        size = i32(data, pos + 4)[0]
        pos += 8
        if size < -1:
            raise ValueError(f"a field of length {size}")
        if size > stop - pos:
            raise ValueError(f"a field of length {size} is too long")
        found.append((oid, None if size < 0 else data[pos : pos + size]))
        if size > 0:
            pos += size
    if pos != stop:
        raise ValueError(f"{stop - pos} bytes after the record")
    return found


def item(data: bytes, start: int, ends: bytes) -> tuple[bytes | None, int]:
    """Read a field of a record or a bound of a range up to one of `ends`; None: nothing stands there.

    Gives the position of the end.  Errors: ValueError.
    """
    pos: cython.Py_ssize_t = start
    stop: cython.Py_ssize_t = len(data)
    byte: cython.int
    inside: cython.bint = False
    plain: cython.bint = True
    while pos < stop:
        byte = data[pos]
        if byte == 92:
            plain = False
            pos += 1
        elif byte == 34:
            plain = False
            inside = not inside
        elif not inside and byte in ends:
            break
        pos += 1
    if pos >= stop or inside:
        raise ValueError("malformed: it does not end")
    raw: bytes = data[start:pos]
    if plain:
        return raw or None, pos
    # the quotes themselves: a doubled one inside quotes stands for one
    made = bytearray()
    at: cython.Py_ssize_t = 0
    inside = False
    while at < len(raw):
        byte = raw[at]
        if byte == 92:
            at += 1
            made.append(raw[at])
        elif byte == 34:
            if inside and at + 1 < len(raw) and raw[at + 1] == 34:
                made.append(34)
                at += 1
            else:
                inside = not inside
        else:
            made.append(byte)
        at += 1
    return bytes(made), pos


@cython.cclass
class RecordTextReader:
    """Reads a composite value in text format; without `fields` every field is a str."""

    _kinds: bytes
    _functions: Any
    _make: Any

    def __init__(
        self, fields: Sequence[int | Callable[[bytes], object]] | None, make: Callable[[list[Any]], object]
    ) -> None:
        """Take how each field is read, and what makes the value of the list of fields."""
        self._kinds = b"" if fields is None else codes_of(fields)
        self._functions = None if fields is None else list(fields)
        self._make = make

    def __call__(self, data: bytes) -> object:
        """Read a record.  Errors: ValueError; TypeChanged when there are not as many fields as were described."""
        texts: list[Any] = []
        pos: cython.Py_ssize_t = 1
        if data[:1] != b"(":
            raise ValueError("malformed record: it begins with (")
        if data != b"()":
            while True:
                text, pos = item(data, pos, b",)")
                texts.append(text)
                pos += 1
                if data[pos - 1] == 41:
                    break
        else:
            pos = 2
        if pos != len(data):
            raise ValueError("malformed record: it ends with )")
        if self._functions is None:
            return self._make([None if text is None else str(text, "utf-8") for text in texts])
        if not texts and len(self._functions) == 1:
            texts.append(None)
        if len(texts) != len(self._functions):
            raise TypeChanged(f"it has {len(texts)} fields, where {len(self._functions)} were described")
        n: cython.Py_ssize_t
        values: list[Any] = []
        for n, text in enumerate(texts):
            if text is None:
                values.append(None)
            else:
                raw: bytes = text
                values.append(decode_cell(self._kinds[n], self._functions[n], raw, 0, len(raw)))
        return self._make(values)


@cython.cclass
class RecordWriter:
    """Writes sequences of fields as composite values, in binary or in text format."""

    _kinds: bytes
    _functions: list[Any]
    _oids: list[int]
    _names: Any
    _split: Any
    _binary: cython.bint

    def __init__(
        self,
        fields: Sequence[int | Callable[[Any], bytes]],
        oids: Sequence[int],
        names: Sequence[str],
        split: Callable[[object], Sequence[object]],
        binary: bool,
    ) -> None:
        """Take how each field is written, its type's OID and its name, and what splits a value into fields."""
        self._kinds = codes_of(fields)
        self._functions = list(fields)
        self._oids = list(oids)
        self._names = list(names)
        self._split = split
        self._binary = binary

    def __call__(self, value: object) -> bytes:
        """Write a record.  Errors: TypeError, ValueError, OverflowError."""
        n: cython.Py_ssize_t = 0
        values = self._split(value)
        if len(values) != len(self._oids):
            raise ValueError(f"it has {len(values)} fields, not {len(self._oids)}")
        parts: list[bytes] = [_COUNT(len(self._oids))] if self._binary else []
        try:
            for field in values:
                if field is None:
                    parts.append(_NULL(self._oids[n], -1) if self._binary else b"")
                else:
                    made: bytes = encode_cell(self._kinds[n], self._functions[n], field)
                    if self._binary:
                        parts.append(_FIELD(self._oids[n], len(made)))
                        parts.append(made)
                    else:
                        parts.append(quoted(made, _PLAIN))
                n += 1
        except (TypeError, ValueError, OverflowError) as error:
            raise type(error)(f'field "{self._names[n]}": {error}') from error
        if self._binary:
            return b"".join(parts)
        return b"(" + b",".join(parts) + b")"


def quoted(text: bytes, plain: bytes) -> bytes:
    """Quote a text with doubled quotes and backslashes where it holds a byte that is not plain, or nothing."""
    if text and all(plain[byte] for byte in text):
        return text
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'""') + b'"'


def quoted_bound(text: bytes) -> bytes:
    """Quote a bound of a range (range_bound_escape)."""
    return quoted(text, _PLAIN_BOUND)
