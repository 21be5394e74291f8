"""Which type speaks which format, and how; one registry per connection, all sharing one until they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from febe._kernel import kinds

Decode = int | Callable[[bytes], Any]
Encode = int | Callable[[Any], bytes]


@dataclass(slots=True, kw_only=True)
class Codec:
    """How values of one type are read and written in each format; None: the format is not spoken.

    An int is a hot kind of the kernel (`febe._kernel.kinds`).  Callables never see NULL.
    """

    oid: int
    name: str
    typlen: int = -1
    array_oid: int = 0
    decode_text: Decode | None = kinds.STRING_TEXT
    decode_binary: Decode | None = None
    encode_text: Encode | None = kinds.STRING_TEXT
    encode_binary: Encode | None = None


class Registry:
    """Types by OID, by name and by Python class."""

    __slots__ = ("_by_class", "_by_name", "_by_oid", "_shared")

    def __init__(self) -> None:
        """Begin without any type."""
        self._by_oid: dict[int, Codec] = {}
        self._by_name: dict[str, Codec] = {}
        self._by_class: dict[type, Codec] = {}
        self._shared = False

    def copy(self) -> Registry:
        """Give a registry that begins with the same types; what either registers later is its own."""
        other = Registry.__new__(Registry)
        other._by_oid, other._by_name, other._by_class = self._by_oid, self._by_name, self._by_class
        self._shared = other._shared = True
        return other

    def register(self, codec: Codec, *classes: type) -> None:
        """Add a type or put another in its place; `classes` are the Python classes it is the best type for."""
        if self._shared:
            self._by_oid, self._by_name = dict(self._by_oid), dict(self._by_name)
            self._by_class = dict(self._by_class)
            self._shared = False
        self._by_oid[codec.oid] = codec
        self._by_name[codec.name] = codec
        for known in classes:
            self._by_class[known] = codec

    def by_oid(self, oid: int) -> Codec:
        """Give the type of this OID; one that is not known speaks text only, as str."""
        codec = self._by_oid.get(oid)
        return Codec(oid=oid, name=f"type {oid}") if codec is None else codec

    def by_name(self, name: str) -> Codec:
        """Give the type of this name as in pg_type; KeyError when there is none."""
        return self._by_name[name]

    def by_class(self, python: type) -> Codec | None:
        """Give the best type for values of a Python class or of the nearest class it derives from."""
        for known in python.__mro__:
            codec = self._by_class.get(known)
            if codec is not None:
                return codec
        return None


def both(
    registry: Registry, oid: int, decode: tuple[Decode, Decode], encode: tuple[Encode, Encode], *classes: type
) -> None:
    """Register a built-in type by its (text, binary) pairs; name and lengths are known."""
    codec = replace(
        registry.by_oid(oid),
        decode_text=decode[0], decode_binary=decode[1], encode_text=encode[0], encode_binary=encode[1],
    )  # fmt: skip
    registry.register(codec, *classes)


def hot(
    registry: Registry, oid: int, text: int, *classes: type, binary: tuple[Decode, Encode] | None = None
) -> None:
    """Register a built-in type whose text format is the hot kind `text`, its binary format the kind after that."""
    decode, encode = binary or (text + 1, text + 1)
    both(registry, oid, (text, decode), (text, encode), *classes)
