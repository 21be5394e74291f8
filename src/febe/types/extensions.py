"""Types of extensions, known by name because their OIDs differ: hstore, citext, ltree, lquery, ltxtquery, and
pgvector's vector, halfvec and sparsevec (manual: "Additional Supplied Modules"; hstore_io.c; pgvector's vector.c,
halfvec.c, sparsevec.c).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from struct import Struct, pack
from typing import Any

from febe._kernel import kinds
from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types._codec import Codec, Registry
from febe.types.strings import VERSION_1

_LENGTH = Struct("!i")
_MOST_DIMENSIONS = 16000  # vector.h, VECTOR_MAX_DIM; a sparse one may have 1,000,000,000
_PAIR = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s"=,]+)\s*=>\s*("(?:[^"\\]|\\.)*"|[^\s",]+)\s*(?:,|$)', re.DOTALL)


def _decode_hstore_text(data: bytes) -> dict[str, str | None]:
    text = data.decode()
    found: dict[str, str | None] = {}
    at = 0
    while text[at:].strip():
        match = _PAIR.match(text, at)
        if match is None:
            raise ValueError("malformed hstore")
        value = match[2]
        found.setdefault(_unquoted(match[1]), None if value.upper() == "NULL" else _unquoted(value))
        at = match.end()
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1] if text.startswith('"') else text, flags=re.DOTALL)


def _decode_hstore(data: bytes) -> dict[str, str | None]:
    count = int.from_bytes(data[:4], "big", signed=True)
    if len(data) < 4 or count < 0 or count > (len(data) - 4) // 8:
        raise ValueError(f"{count} pairs in {len(data)} bytes")
    found: dict[str, str | None] = {}
    at = 4
    for _ in range(count):
        key, at = _part(data, at)
        if key is None:
            raise ValueError("a key of an hstore is NULL")
        found[key], at = _part(data, at)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the hstore")
    return found


def _part(data: bytes, at: int) -> tuple[str | None, int]:
    if len(data) - at < 4:
        raise ValueError("the hstore ends before its parts")
    (size,) = _LENGTH.unpack_from(data, at)
    at += 4
    if size == -1:
        return None, at
    if size < 0 or size > len(data) - at:
        raise ValueError(f"a part of length {size}")
    return data[at : at + size].decode(), at + size


def _pairs(value: object) -> list[tuple[bytes, bytes | None]]:
    """A mapping's pairs in hstore's order: shorter keys first (hstoreUniquePairs)."""
    if not isinstance(value, Mapping):
        raise TypeError(f"a mapping of str to str or None wanted, not {type(value).__name__}")
    made = [(encode_value(kinds.STRING_TEXT, key),
             None if item is None else encode_value(kinds.STRING_TEXT, item)) for key, item in value.items()]
    return sorted(made, key=lambda pair: (len(pair[0]), pair[0]))


def _encode_hstore_text(value: object) -> bytes:
    return b", ".join([_quoted(key) + b"=>" + (b"NULL" if item is None else _quoted(item))
                       for key, item in _pairs(value)])


def _quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _encode_hstore(value: object) -> bytes:
    pairs = _pairs(value)
    made = [_LENGTH.pack(len(pairs))]
    for pair in pairs:
        made += [_LENGTH.pack(-1) if part is None else _LENGTH.pack(len(part)) + part for part in pair]
    return b"".join(made)


class SparseVector:
    """A vector of which most elements are 0: `SparseVector(5, {0: 1.5, 2: 2.0})`, positions counting from 0."""

    __slots__ = ("dimensions", "elements")
    dimensions: int
    elements: dict[int, float]

    def __init__(self, dimensions: int, elements: Mapping[int, float]) -> None:
        """Errors: ValueError for a position outside the dimensions."""
        self.dimensions = dimensions
        self.elements = {at: elements[at] for at in sorted(elements) if elements[at]}
        if not 0 < dimensions <= 1000000000 or any(not 0 <= at < dimensions for at in self.elements):
            raise ValueError("a position of a sparse vector is outside its dimensions")

    def dense(self) -> array[float]:
        """Give all elements."""
        made = array("f", bytes(4 * self.dimensions))
        for at, value in self.elements.items():
            made[at] = value
        return made

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, SparseVector) and other.dimensions == self.dimensions
                and other.elements == self.elements)

    def __hash__(self) -> int:
        return hash((self.dimensions, tuple(self.elements.items())))

    def __repr__(self) -> str:
        return f"SparseVector({self.dimensions}, {self.elements!r})"


def _decode_vector(data: bytes, letter: str) -> array[float]:
    size = 4 if letter == "f" else 2
    count = int.from_bytes(data[:2], "big", signed=True)
    if len(data) < 4 or count < 1 or count * size != len(data) - 4:
        raise ValueError(f"{count} elements in {len(data)} bytes")
    return array("f", Struct(f"!{count}{letter}").unpack_from(data, 4))


def _decode_vector_text(data: bytes) -> array[float]:
    if not data.startswith(b"[") or not data.endswith(b"]"):
        raise ValueError("a vector begins with [ and ends with ]")
    return array("f", [float(decode_value(kinds.FLOAT8_TEXT, part)) for part in data[1:-1].split(b",")])  # type: ignore[arg-type]


def _elements(value: object) -> list[float]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"an array of floats wanted, not {type(value).__name__}")
    made = [float(item) for item in value]
    if not 0 < len(made) <= _MOST_DIMENSIONS:
        raise ValueError(f"a vector has 1 to {_MOST_DIMENSIONS} elements")
    if any(item - item != 0 for item in made):
        raise ValueError("a vector holds neither NaN nor infinity")
    return made


def _encode_vector(value: object, letter: str) -> bytes:
    made = _elements(value)
    try:
        return pack(f"!hh{len(made)}{letter}", len(made), 0, *made)
    except OverflowError:
        raise OverflowError("an element of the vector is out of range") from None


def _encode_vector_text(value: object, letter: str) -> bytes:
    # through the element's own precision: what is printed is what is stored
    single = _decode_vector(_encode_vector(value, letter), letter)
    return b"[" + b",".join([encode_value(kinds.FLOAT4_TEXT, item) for item in single]) + b"]"


def _decode_sparse(data: bytes) -> SparseVector:
    if len(data) < 12:
        raise ValueError(f"{len(data)} bytes are no binary sparsevec")
    dimensions, count, _ = Struct("!iii").unpack_from(data)
    if count < 0 or count * 8 != len(data) - 12:
        raise ValueError(f"{count} elements in {len(data)} bytes")
    numbers = Struct(f"!{count}i{count}f").unpack_from(data, 12)
    return SparseVector(dimensions, {
        at: decode_value(kinds.FLOAT4_BINARY, pack("!f", value))  # type: ignore[misc]
        for at, value in zip(numbers[:count], numbers[count:], strict=True)})


_SPARSE = re.compile(rb"\{((?:\d{1,10}:[^,{}/]+,?)*)\}/(\d{1,10})")


def _decode_sparse_text(data: bytes) -> SparseVector:
    match = _SPARSE.fullmatch(data)
    if match is None:
        raise ValueError("a sparse vector is written like {1:1.5,3:2}/5")
    pairs = [part.partition(b":") for part in match[1].split(b",") if part]
    return SparseVector(int(match[2]), {
        int(at) - 1: decode_value(kinds.FLOAT4_TEXT, value) for at, _, value in pairs})  # type: ignore[misc]


def _sparse(value: object) -> SparseVector:
    if not isinstance(value, SparseVector):
        raise TypeError(f"a SparseVector wanted, not {type(value).__name__}")
    return value


def _encode_sparse(value: object) -> bytes:
    vector = _sparse(value)
    count = len(vector.elements)
    return pack(f"!iii{count}i", vector.dimensions, count, 0, *vector.elements) + b"".join(
        [encode_value(kinds.FLOAT4_BINARY, item) for item in vector.elements.values()])


def _encode_sparse_text(value: object) -> bytes:
    vector = _sparse(value)
    inner = [b"%d:%s" % (at + 1, encode_value(kinds.FLOAT4_TEXT, item)) for at, item in vector.elements.items()]
    return b"{%s}/%d" % (b",".join(inner), vector.dimensions)


def register(registry: Registry) -> None:
    """Add the types by their names."""

    def add(name: str, decode: tuple[Any, Any], encode: tuple[Any, Any], *classes: type, lists: bool = False) -> None:
        registry.register(Codec(oid=0, name=name, schema="", decode_text=decode[0], decode_binary=decode[1],
                                encode_text=encode[0], encode_binary=encode[1], lists=lists), *classes)

    add("hstore", (_decode_hstore_text, _decode_hstore), (_encode_hstore_text, _encode_hstore))
    add("citext", (kinds.STRING_TEXT, kinds.STRING_BINARY), (kinds.STRING_TEXT, kinds.STRING_BINARY))
    for name in ("ltree", "lquery", "ltxtquery"):
        add(name, *VERSION_1)
    for name, letter in (("vector", "f"), ("halfvec", "e")):
        add(name, (_decode_vector_text, lambda data, letter=letter: _decode_vector(data, letter)),
            (lambda value, letter=letter: _encode_vector_text(value, letter),
             lambda value, letter=letter: _encode_vector(value, letter)), lists=True)
    add("sparsevec", (_decode_sparse_text, _decode_sparse), (_encode_sparse_text, _encode_sparse), SparseVector)
