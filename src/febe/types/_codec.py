"""Which type speaks which format, and how; one registry per connection, all sharing one until they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from febe._kernel import kinds
from febe.types._shapes import CompositeOf, Shape

Decode = int | Callable[[bytes], Any]
Encode = int | Callable[[Any], bytes]


@dataclass(slots=True, kw_only=True)
class Codec:
    """How values of one type are read and written in each format; None: the format is not spoken.

    An int is a hot kind of the kernel (`febe._kernel.kinds`).  Callables never see NULL.  `oid` 0 means that the type
    is known by its name, as extensions' are.  `shape` says what a type is made of; its four functions are then made
    from those of its parts.  `prefers_text`: a client asks for text although binary is spoken too.  `lists`: the values
    of the type are lists themselves.
    """

    oid: int
    name: str
    schema: str = "pg_catalog"
    typlen: int = -1
    array_oid: int = 0
    delimiter: str = ","
    decode_text: Decode | None = kinds.STRING_TEXT
    decode_binary: Decode | None = None
    encode_text: Encode | None = kinds.STRING_TEXT
    encode_binary: Encode | None = None
    prefers_text: bool = False
    lists: bool = False
    shape: Shape | None = None

    def decoder(self) -> tuple[Decode, int]:
        """How a client reads the type, and the format code it asks for.  Errors: ValueError."""
        if self.decode_binary is not None and not (self.prefers_text and self.decode_text is not None):
            return self.decode_binary, 1
        if self.decode_text is None:
            raise ValueError(f"type {self.name} cannot be decoded")
        return self.decode_text, 0

    def encoder(self) -> tuple[Encode, int]:
        """How a client writes the type, and the format code it sends.  Errors: ValueError."""
        if self.encode_binary is not None and not (self.prefers_text and self.encode_text is not None):
            return self.encode_binary, 1
        if self.encode_text is None:
            raise ValueError(f"type {self.name} cannot be encoded")
        return self.encode_text, 0


Build = Callable[["Registry", Codec], Codec]
BUILDERS: dict[type, Build] = {}
"""What gives a type of each shape its functions; the families put themselves here."""

_DEPTH = 32
"""How deep types may be nested in types; a server may describe anything."""


class Registry:
    """Types by OID, by name (`name` or `schema.name`) and by Python class.

    A type registered later stands in for the one before, also inside the arrays, ranges and composites that hold it.
    """

    __slots__ = ("_built", "_by_class", "_by_name", "_by_oid", "_classes", "_depth", "_learned", "_named", "_shared")

    def __init__(self) -> None:
        """Begin without any type."""
        self._by_oid: dict[int, Codec] = {}
        self._by_name: dict[str, int] = {}
        self._named: dict[str, Codec] = {}
        self._by_class: dict[type, int | str] = {}
        self._classes: dict[str, type] = {}
        self._learned: dict[int, Codec | None] = {}
        # Types of a shape, made when they are first asked for
        self._built: dict[int, Codec] = {}
        self._shared = False
        self._depth = 0

    def copy(self) -> Registry:
        """Give a registry that begins with the same types; what either registers later is its own."""
        other = Registry.__new__(Registry)
        other._by_oid, other._by_name, other._by_class = self._by_oid, self._by_name, self._by_class
        other._named, other._classes, other._learned = self._named, self._classes, self._learned
        other._built, other._depth = self._built, 0
        self._shared = other._shared = True
        return other

    def register(self, codec: Codec, *classes: type) -> None:
        """Add a type or put another in its place; `classes` are the Python classes it is the best type for.

        A codec without OID is for every type of its name, `name` or `schema.name`, that turns up or is here already.
        """
        self._own()
        if codec.oid:
            self._by_oid[codec.oid] = codec
            self._by_name[codec.name] = self._by_name[f"{codec.schema}.{codec.name}"] = codec.oid
        else:
            self._named[codec.name] = codec
            oid = self._by_name.get(codec.name)
            if oid is not None:
                self._by_oid[oid] = _settled(codec, self._by_oid[oid])
        for known in classes:
            self._by_class[known] = codec.oid or codec.name

    def register_class(self, name: str, python: type) -> None:
        """Have a composite type's values made as `python(field=value, ...)`, or an enum's as members of that Enum.

        `name` is the type's, `name` or `schema.name`; it also becomes the best type for values of the class.
        """
        self._own()
        self._classes[name] = self._classes[name.rpartition(".")[2]] = python
        self._by_class[python] = name

    def class_of(self, codec: Codec) -> type | None:
        """Give the Python class that values of a composite or enum type are made of."""
        return self._classes.get(f"{codec.schema}.{codec.name}") or self._classes.get(codec.name)

    def learn(self, found: Iterable[Codec]) -> None:
        """Add types that a catalog describes, but for those that are known.

        One whose name has a codec of its own gets that one's functions.
        """
        self._own()
        for codec in found:
            known = self._by_oid.get(codec.oid)
            if known is not None and known.shape is not CompositeOf.OPEN:
                continue
            self._learned[codec.oid] = known
            own = self._named.get(f"{codec.schema}.{codec.name}") or self._named.get(codec.name)
            self._by_oid[codec.oid] = codec if own is None else _settled(own, codec)
            self._by_name.setdefault(codec.name, codec.oid)
            self._by_name[f"{codec.schema}.{codec.name}"] = codec.oid

    def learned(self) -> list[Codec]:
        """What a catalog has described."""
        return [self._by_oid[oid] for oid in self._learned]

    def forget(self) -> None:
        """Drop what a catalog has described, so that it is looked up anew."""
        if not self._learned:
            return
        self._own()
        for oid, before in self._learned.items():
            codec = self._by_oid.pop(oid)
            if before is not None:
                self._by_oid[oid] = before
            for name in (codec.name, f"{codec.schema}.{codec.name}"):
                if before is None and self._by_name.get(name) == oid:
                    del self._by_name[name]
        self._learned = {}

    def unknown(self, oids: Sequence[int]) -> list[int]:
        """Give those of the OIDs whose type only a catalog can tell."""
        known = self._by_oid
        return [oid for oid in dict.fromkeys(oids)
                if oid and (oid not in known or known[oid].shape is CompositeOf.OPEN)]  # fmt: skip

    def by_oid(self, oid: int) -> Codec:
        """Give the type of this OID; one that is not known speaks text only, as str."""
        codec = self._by_oid.get(oid)
        if codec is None:
            return Codec(oid=oid, name=f"type {oid}")
        if codec.shape is None:
            return codec
        return self._built.get(oid) or self._build(codec)

    def by_name(self, name: str) -> Codec:
        """Give the type of this name, `name` or `schema.name`; KeyError when there is none."""
        return self.by_oid(self._by_name[name])

    def by_class(self, python: type) -> Codec | None:
        """Give the best type for values of a Python class or of the nearest class it derives from."""
        for known in python.__mro__:
            name = self._by_class.get(known)
            if name is not None:
                oid = name if isinstance(name, int) else self._by_name.get(name)
                if oid is not None:
                    return self.by_oid(oid)
        return None

    def name_of_class(self, python: type) -> str | None:
        """Give the name under which a class was registered for a type that only a catalog can tell."""
        for known in python.__mro__:
            name = self._by_class.get(known)
            if name is not None:
                return name if isinstance(name, str) else None
        return None

    def _own(self) -> None:
        if self._shared:
            self._by_oid, self._by_name, self._by_class = dict(self._by_oid), dict(self._by_name), dict(self._by_class)
            self._named, self._classes, self._learned = dict(self._named), dict(self._classes), dict(self._learned)
            self._shared = False
        self._built = {}

    def _build(self, codec: Codec) -> Codec:
        if self._depth >= _DEPTH:
            raise ValueError(f"type {codec.name} is nested more than {_DEPTH} deep")
        self._depth += 1
        built = self._built  # a builder may register nothing, but another thread may
        try:
            made = BUILDERS[type(codec.shape)](self, codec)
        finally:
            self._depth -= 1
        built[codec.oid] = made
        return made


def _settled(codec: Codec, place: Codec) -> Codec:
    """A codec that is known by name, for the type that was found."""
    return replace(codec, oid=place.oid, name=place.name, schema=place.schema, typlen=place.typlen,
                   array_oid=place.array_oid, delimiter=place.delimiter)  # fmt: skip


def both(
    registry: Registry, oid: int, decode: tuple[Decode, Decode | None], encode: tuple[Encode, Encode | None],
    *classes: type, prefers_text: bool = False, lists: bool = False,
) -> None:  # fmt: skip
    """Register a built-in type by its (text, binary) pairs; name and lengths are known."""
    codec = replace(
        registry.by_oid(oid), shape=None, prefers_text=prefers_text, lists=lists,
        decode_text=decode[0], decode_binary=decode[1], encode_text=encode[0], encode_binary=encode[1],
    )  # fmt: skip
    registry.register(codec, *classes)


def hot(
    registry: Registry, oid: int, text: int, *classes: type, binary: tuple[Decode, Encode] | None = None,
    lists: bool = False,
) -> None:  # fmt: skip
    """Register a built-in type whose text format is the hot kind `text`, its binary format the kind after that."""
    decode, encode = binary or (text + 1, text + 1)
    both(registry, oid, (text, decode), (text, encode), *classes, lists=lists)
