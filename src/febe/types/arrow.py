"""Arrow streams through the C data interface, with nothing but ctypes, and how their columns become PostgreSQL's.

Arrow: "The Arrow C data interface", "The Arrow C stream interface", "The Arrow PyCapsule Interface".
"""

from __future__ import annotations

import ctypes
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol

from febe._kernel.arrow import ArrowEncoder
from febe._kernel.plan import ArrowValueError, Plan
from febe.types._arrow_abi import (
    EMPTY,
    LAST_ERROR,
    READ,
    Array,
    Schema,
    Stream,
    capsule_pointer,
    get,
    memory,
    release,
)
from febe.types._arrow_plans import plan_for

__all__ = [
    "ArrowColumn",
    "ArrowEncoder",
    "ArrowError",
    "ArrowField",
    "ArrowReader",
    "ArrowSource",
    "ArrowStreamable",
    "ArrowValueError",
    "MovedSource",
    "RecordBatch",
    "encoder_for",
    "plans_for",
    "read_stream",
]


class ArrowStreamable(Protocol):
    """What gives an Arrow stream: data frames, tables, readers, DuckDB's relations (Arrow: "PyCapsule Interface")."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowError(OSError):
    """A stream that failed, with the producer's errno and message; or one that cannot be read, with no errno."""


@dataclass(slots=True, kw_only=True)
class ArrowField:
    """A column's description: the format string says its type (Arrow: "Data type description - format strings")."""

    name: str
    format: str
    flags: int
    children: list[ArrowField]
    dictionary: ArrowField | None
    metadata: dict[bytes, bytes]

    @property
    def nullable(self) -> bool:
        return bool(self.flags & 2)


@dataclass(slots=True, kw_only=True)
class ArrowColumn:
    """A column's flat buffers in Arrow's order, as long as format, `offset` and `length` say; None: not there.

    `null_count` is -1 when the producer has not counted.  `dictionary` holds the values of a dictionary-encoded column.
    """

    length: int
    offset: int
    null_count: int
    buffers: list[memoryview | None]
    children: list[ArrowColumn]
    dictionary: ArrowColumn | None


@dataclass(slots=True, eq=False)
class RecordBatch:
    """Rows of a stream.  `release` gives the memory back; the columns must not be used after it."""

    length: int
    columns: list[ArrowColumn]
    _array: Array = field(repr=False)

    def release(self) -> None:
        """Give the memory back; may be called again."""
        self.length = 0
        self.columns = []
        release(self._array)

    def __enter__(self) -> RecordBatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def _metadata(address: int | None) -> dict[bytes, bytes]:
    """Read key-value pairs: native int32 counts and lengths (Arrow: "ArrowSchema.metadata")."""
    if not address:
        return {}
    at = address

    def number() -> int:
        nonlocal at
        at += 4
        return ctypes.c_int32.from_address(at - 4).value

    def text() -> bytes:
        nonlocal at
        size = number()
        at += size
        return ctypes.string_at(at - size, size)

    return {text(): text() for _ in range(number())}


def _read_field(schema: Schema) -> ArrowField:
    return ArrowField(
        name=(schema.name or b"").decode("utf-8", "replace"),
        format=schema.format.decode("ascii", "replace"),
        flags=schema.flags,
        children=[_read_field(schema.children[i].contents) for i in range(schema.n_children)],
        dictionary=_read_field(schema.dictionary.contents) if schema.dictionary else None,
        metadata=_metadata(schema.metadata),
    )


_ITEM_BITS = {
    "b": 1, "c": 8, "C": 8, "s": 16, "S": 16, "i": 32, "I": 32, "l": 64, "L": 64, "e": 16, "f": 32, "g": 64,
    "tdD": 32, "tdm": 64, "tts": 32, "ttm": 32, "ttu": 64, "ttn": 64, "tDs": 64, "tDm": 64, "tDu": 64, "tDn": 64,
    "tiM": 32, "tiD": 64, "tin": 128,
}  # fmt: skip
_OFFSET_BYTES = {"u": 4, "z": 4, "U": 8, "Z": 8}


@lru_cache(512)
def _item_bits(form: str) -> int | None:
    """Give the bits of one value in a column of values of one size, None for every other layout."""
    if form.startswith("ts") and form[2:3] in ("s", "m", "u", "n"):
        return 64
    if form.startswith("d:"):
        parts = form[2:].split(",")
        return int(parts[2]) if len(parts) == 3 else 128
    if form.startswith("w:"):
        return 8 * int(form[2:])
    return _ITEM_BITS.get(form)


def _view(address: int | None, size: int) -> memoryview:
    return memory(address, size, READ) if address and size else EMPTY


def _read_column(array: Array, form: ArrowField, offset: int, length: int) -> ArrowColumn:
    """Read one column; `offset` and `length` already take the parent's into account."""
    if length < 0 or offset < 0 or array.length < 0 or array.offset < 0:
        raise ArrowError(f'column "{form.name}": a negative length or offset')
    count = array.n_buffers
    if count and not array.buffers:
        raise ArrowError(f'column "{form.name}": no buffers')
    addresses = [array.buffers[i] for i in range(count)]
    end = offset + length
    buffers: list[memoryview | None] = []
    wanted = 0
    bits = _item_bits(form.format)
    if bits is not None:
        wanted = 2
    elif form.format in (*_OFFSET_BYTES, "vu", "vz"):
        wanted = 3
    if wanted:
        if count < wanted:
            raise ArrowError(f'column "{form.name}" of format {form.format}: {count} buffers')
        buffers.append(_view(addresses[0], (end + 7) // 8) if addresses[0] and length else None)
        if bits is not None:
            sizes = [(end * bits + 7) // 8]
        elif form.format in _OFFSET_BYTES:
            width = _OFFSET_BYTES[form.format]
            sizes = [(end + 1) * width if length else 0, 0]
            if length and addresses[1]:
                last = (ctypes.c_int32 if width == 4 else ctypes.c_int64).from_address(addresses[1] + end * width).value
                sizes[1] = max(0, last)
        else:
            many = count - 3
            lengths = _view(addresses[-1], 8 * many).cast("q")
            if len(lengths) < many:
                raise ArrowError(f'column "{form.name}": no lengths of its buffers')
            sizes = [16 * end, *(max(0, lengths[i]) for i in range(many)), 8 * many]
        if length and sizes[0] and not addresses[1]:
            raise ArrowError(f'column "{form.name}": no buffer of values')
        buffers.extend(_view(addresses[1 + i], size) for i, size in enumerate(sizes))
    children: list[ArrowColumn] = []
    if form.format[:1] == "+":
        buffers, children = _read_nested(array, form, addresses, offset, length)
    values = None
    if array.dictionary and form.dictionary is not None:
        contents = array.dictionary.contents
        values = _read_column(contents, form.dictionary, contents.offset, contents.length)
    return ArrowColumn(
        length=length, offset=offset, null_count=array.null_count, buffers=buffers, children=children, dictionary=values
    )


def _read_nested(
    array: Array, form: ArrowField, addresses: list[int | None], offset: int, length: int
) -> tuple[list[memoryview | None], list[ArrowColumn]]:
    """Read a column of lists or of structs; others have no buffers that anybody looks at."""
    kind, end = form.format, offset + length
    width = {"+l": 4, "+L": 8}.get(kind)
    fixed = int(kind[3:]) if kind.startswith("+w:") else None
    if width is None and fixed is None and kind != "+s":
        return [], []
    if array.n_children != len(form.children) or (kind != "+s" and len(form.children) != 1):
        raise ArrowError(f'column "{form.name}" of format {kind}: {array.n_children} children')
    if not addresses or (width is not None and len(addresses) < 2):
        raise ArrowError(f'column "{form.name}" of format {kind}: {len(addresses)} buffers')
    buffers: list[memoryview | None] = [_view(addresses[0], (end + 7) // 8) if addresses[0] and length else None]
    if width is not None:
        if length and not addresses[1]:
            raise ArrowError(f'column "{form.name}": no buffer of values')
        buffers.append(_view(addresses[1], (end + 1) * width if length else 0))
    children = []
    for i, part in enumerate(form.children):
        child = array.children[i].contents
        wanted = end if kind == "+s" else end * (fixed or 0)
        if child.length < wanted:
            raise ArrowError(f'column "{form.name}": "{part.name}" is shorter than it')
        if kind == "+s":
            children.append(_read_column(child, part, child.offset + offset, length))
        else:
            children.append(_read_column(child, part, child.offset, child.length))
    return buffers, children


def _read_batch(array: Array, schema: list[ArrowField]) -> RecordBatch:
    # Released by its own __del__ should reading the columns fail.
    batch = RecordBatch(array.length, [], array)
    if array.n_children != len(schema):
        raise ArrowError(f"a batch of {array.n_children} columns where {len(schema)} are described")
    if array.null_count > 0 and array.n_buffers and array.buffers[0]:
        raise ArrowError("a batch with rows that are NULL as a whole")
    for i, form in enumerate(schema):
        child = array.children[i].contents
        if child.length < array.offset + array.length:
            raise ArrowError(f'column "{form.name}" is shorter than its batch')
        batch.columns.append(_read_column(child, form, child.offset + array.offset, array.length))
    return batch


class ArrowSource(ABC):
    """A stream by its functions (Arrow: "The C stream interface"), where both ends are in this process and in Python.

    `schema_to` and `next_to` fill the structure at an address and give an errno; `last_error` says more.
    """

    @abstractmethod
    def schema_to(self, out: int) -> int:
        """get_schema."""

    @abstractmethod
    def next_to(self, out: int) -> int:
        """get_next."""

    @abstractmethod
    def last_error(self) -> str | None:
        """get_last_error."""

    @abstractmethod
    def close(self) -> None:
        """Release it; may be called again."""


class MovedSource(ArrowSource):
    """A stream moved out of its capsule, whoever made it.  Errors: ArrowError when it was taken or released before."""

    def __init__(self, capsule: object) -> None:
        origin = Stream.from_address(capsule_pointer(capsule, b"arrow_array_stream"))
        if not origin.release:
            raise ArrowError("the stream was already taken or released")
        # Moving is copying and marking the source as released (Arrow: "Moving an array").
        self.stream = Stream.from_buffer_copy(origin)
        origin.release = None
        self._at = ctypes.addressof(self.stream)

    def schema_to(self, out: int) -> int:
        return int(get(self.stream.get_schema)(self._at, out))

    def next_to(self, out: int) -> int:
        return int(get(self.stream.get_next)(self._at, out))

    def last_error(self) -> str | None:
        function = self.stream.get_last_error
        text = LAST_ERROR(function)(self._at) if function else None
        return text.decode("utf-8", "replace") if text else None

    def close(self) -> None:
        release(self.stream)


class ArrowReader:
    """Iterates over the record batches of a stream, which it owns and releases.

    `schema` describes the columns.  Batches stay valid after the next one was read and after `close`.
    Errors: `ArrowError`.
    """

    def __init__(self, source: ArrowSource) -> None:
        self.schema: list[ArrowField] = []
        self._source = source
        self._open = True
        try:
            self.schema = self._read_schema()
        except BaseException:
            self.close()
            raise

    def _read_schema(self) -> list[ArrowField]:
        schema = Schema()
        self._check(self._source.schema_to(ctypes.addressof(schema)))
        try:
            if schema.format != b"+s":
                raise ArrowError(f"a stream of format {schema.format!r}, not of record batches")
            return _read_field(schema).children
        finally:
            release(schema)

    def _check(self, code: int) -> None:
        if code:
            raise ArrowError(code, self._source.last_error() or os.strerror(code))

    def __iter__(self) -> Iterator[RecordBatch]:
        return self

    def __next__(self) -> RecordBatch:
        if not self._open:
            raise StopIteration
        array = Array()
        self._check(self._source.next_to(ctypes.addressof(array)))
        if not array.release:
            raise StopIteration
        return _read_batch(array, self.schema)

    def close(self) -> None:
        """Release the stream; may be called again."""
        self._open = False
        self._source.close()

    def __enter__(self) -> ArrowReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def read_stream(source: Any) -> ArrowReader:
    """Read what has `__arrow_c_stream__`, the capsule that it gives, or an `ArrowSource`.

    Errors: `ArrowError`; what the producer itself raises.
    """
    # under another name: a producer that only the caller's expression holds lives on until the schema is read
    found = source
    if not isinstance(found, ArrowSource):
        found = MovedSource(found.__arrow_c_stream__() if hasattr(found, "__arrow_c_stream__") else found)
    return ArrowReader(found)


def encoder_for(schema: Sequence[ArrowField], formats: Sequence[int], type_oids: Sequence[int]) -> ArrowEncoder:
    """Make the encoder of a stream's batches for columns announced with these type OIDs and formats (0 text, 1 binary).

    Fewer formats than columns: as in Bind, none is text for all and one is for all.  Errors: as `plans_for`.
    """
    return ArrowEncoder(plans_for(schema, formats, type_oids))


def plans_for(schema: Sequence[ArrowField], formats: Sequence[int], type_oids: Sequence[int | Plan]) -> list[Plan]:
    """Plan how a stream's columns are written; `ArrowError` names one whose Arrow format cannot be sent as its type.

    A plan may stand in the place of a type OID.
    """
    if len(type_oids) != len(schema):
        raise ValueError(f"{len(type_oids)} type OIDs for {len(schema)} columns")
    if len(formats) <= 1:
        formats = [formats[0] if formats else 0] * len(schema)
    if len(formats) != len(schema) or any(code not in (0, 1) for code in formats):
        raise ValueError("formats are 0 or 1, one for each column")
    plans = []
    for column, code, oid in zip(schema, formats, type_oids, strict=True):
        if isinstance(oid, Plan):
            plans.append(oid)
            continue
        values = column.dictionary.format if column.dictionary is not None else None
        plan = plan_for(column.name, column.format, values, oid, code == 1)
        if plan is None:
            shown = column.format if values is None else f"{column.format} (dictionary of {values})"
            way = "binary" if code else "text"
            raise ArrowError(f'column "{column.name}" of Arrow format {shown} cannot be sent as type {oid} in {way}')
        plans.append(plan)
    return plans
