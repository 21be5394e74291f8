"""Columns handed out through Arrow's C interfaces; they live until whoever took them lets go of them.

Arrow: "Release callback semantics", "Moving an array", "The Arrow PyCapsule Interface".
"""

from __future__ import annotations

import ctypes
import errno
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Any

from febe.types._arrow_abi import RELEASE, Array, Schema, Stream
from febe.types.arrow import ArrowField

_SCHEMA, _ARRAY, _STREAM = b"arrow_schema", b"arrow_array", b"arrow_array_stream"

_GET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_TEXT = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
# A capsule's destructor gets an object whose count is zero already: never as a Python object.
_dying_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_dying_name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(("PyCapsule_GetName", ctypes.pythonapi))

_keys = itertools.count(1)
_live: dict[int, Any] = {}
"""What each exported structure stands on, by the key in its private data."""
_held: dict[int, Any] = {}
"""The structures in capsules, by their address."""


@dataclass(slots=True, kw_only=True)
class Exported:
    """A column as Arrow's layout of its format has it; None: a buffer that is not there."""

    length: int
    nulls: int
    buffers: Sequence[bytearray | None]
    children: Sequence[Exported] = ()
    dictionary: Exported | None = None
    kept: list[Any] = field(default_factory=list)


def _address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def _metadata(pairs: dict[bytes, bytes]) -> bytes | None:
    if not pairs:
        return None
    made = pack("=i", len(pairs))
    for key, value in pairs.items():
        made += pack("=i", len(key)) + key + pack("=i", len(value)) + value
    return made


def _fill_schema(schema: Schema, described: ArrowField) -> None:
    children = [Schema() for _ in described.children]
    for child, inner in zip(children, described.children, strict=True):
        _fill_schema(child, inner)
    pointers = (ctypes.POINTER(Schema) * len(children))(*map(ctypes.pointer, children))
    dictionary = None
    if described.dictionary is not None:
        dictionary = Schema()
        _fill_schema(dictionary, described.dictionary)
        schema.dictionary = ctypes.pointer(dictionary)
    texts = [described.format.encode(), described.name.encode()]
    metadata = _metadata(described.metadata)
    held = None if metadata is None else ctypes.create_string_buffer(metadata, len(metadata))
    schema.format, schema.name = texts
    schema.metadata = None if held is None else ctypes.addressof(held)
    schema.flags = described.flags
    schema.n_children, schema.children = len(children), pointers
    schema.release = _RELEASE_SCHEMA
    schema.private_data = _keep((texts, held, children, pointers, dictionary))


def _fill_array(array: Array, column: Exported) -> None:
    children = [Array() for _ in column.children]
    for child, inner in zip(children, column.children, strict=True):
        _fill_array(child, inner)
    pointers = (ctypes.POINTER(Array) * len(children))(*map(ctypes.pointer, children))
    dictionary = None
    if column.dictionary is not None:
        dictionary = Array()
        _fill_array(dictionary, column.dictionary)
        array.dictionary = ctypes.pointer(dictionary)
    places = [None if one is None else (ctypes.c_char * len(one)).from_buffer(one) for one in column.buffers]
    addresses = (ctypes.c_void_p * len(places))(*(None if one is None else ctypes.addressof(one) for one in places))
    array.length, array.null_count, array.offset = column.length, column.nulls, 0
    array.n_buffers, array.buffers = len(places), addresses
    array.n_children, array.children = len(children), pointers
    array.release = _RELEASE_ARRAY
    array.private_data = _keep((places, addresses, children, pointers, dictionary))


def _keep(thing: Any) -> int:
    key = next(_keys)
    _live[key] = thing
    return key


def _capsule(name: bytes, thing: Schema | Array | Stream) -> object:
    address = ctypes.addressof(thing)
    _held[address] = thing
    return _new_capsule(address, name, _DESTRUCTOR)


def schema_capsule(described: ArrowField) -> object:
    """Hand out a schema."""
    schema = Schema()
    _fill_schema(schema, described)
    return _capsule(_SCHEMA, schema)


def array_capsule(column: Exported) -> object:
    """Hand out an array."""
    array = Array()
    _fill_array(array, column)
    return _capsule(_ARRAY, array)


class _Source:
    """A stream's other end."""

    def __init__(self, described: ArrowField, batches: Iterator[Exported], close: Callable[[], object]) -> None:
        self.described = described
        self.batches = batches
        self.close = close
        self.failure: str | None = None
        self.text = ctypes.create_string_buffer(1)


def stream_capsule(described: ArrowField, batches: Iterator[Exported], close: Callable[[], object]) -> object:
    """Hand out a stream of record batches; `close` is called when it is let go of."""
    stream = Stream(*_STREAM_CALLS, _RELEASE_STREAM, _keep(_Source(described, batches, close)))
    return _capsule(_STREAM, stream)


def _source(stream: int) -> _Source:
    return _live[Stream.from_address(stream).private_data or 0]  # type: ignore[no-any-return]


def _on_schema(stream: int, out: int) -> int:
    ctypes.memset(out, 0, ctypes.sizeof(Schema))
    _fill_schema(Schema.from_address(out), _source(stream).described)
    return 0


def _on_next(stream: int, out: int) -> int:
    source = _source(stream)
    ctypes.memset(out, 0, ctypes.sizeof(Array))
    if source.failure is not None:
        return errno.EIO
    try:
        batch = next(source.batches, None)
        if batch is not None:
            _fill_array(Array.from_address(out), batch)
    except BaseException as error:  # nothing may pass through C
        source.failure = f"{type(error).__name__}: {error}"
        return errno.EIO
    return 0


def _on_error(stream: int) -> int:
    source = _source(stream)
    source.text = ctypes.create_string_buffer((source.failure or "").encode())
    return ctypes.addressof(source.text)


def _on_release_stream(address: int) -> None:
    stream = Stream.from_address(address)
    source = _live.pop(stream.private_data or 0, None)
    stream.release = None
    if source is not None:
        source.close()


def _on_release(kind: type[Schema] | type[Array]) -> Callable[[int], None]:
    def release(address: int) -> None:
        thing = kind.from_address(address)
        inner = [thing.children[i].contents for i in range(thing.n_children)]
        if thing.dictionary:
            inner.append(thing.dictionary.contents)
        for one in inner:
            if one.release:  # not moved elsewhere
                RELEASE(one.release)(ctypes.addressof(one))
        key, thing.release = thing.private_data, None
        _live.pop(key or 0, None)

    return release


def _on_destroy(capsule: int) -> None:
    name = _dying_name(capsule)
    address = _dying_pointer(capsule, name)
    thing = _held.pop(address, None)
    if thing is not None and thing.release:  # nobody moved it out
        RELEASE(thing.release)(address)


# The callbacks live as long as the process: others hold their addresses.
_callbacks = (
    _GET(_on_schema), _GET(_on_next), _TEXT(_on_error), RELEASE(_on_release_stream), RELEASE(_on_release(Schema)),
    RELEASE(_on_release(Array)), RELEASE(_on_destroy),
)  # fmt: skip
_STREAM_CALLS = tuple(map(_address, _callbacks[:3]))
_RELEASE_STREAM, _RELEASE_SCHEMA, _RELEASE_ARRAY, _DESTRUCTOR = map(_address, _callbacks[3:])
