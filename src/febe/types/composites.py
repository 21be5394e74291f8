"""Composite types as Row, a tuple that knows its fields' names; records as tuples; enums as str; domains as what they
are over (manual: "Composite Types", "Enumerated Types", "Domain Types").

A composite value is written from any sequence of as many fields, a mapping, a dataclass or another object with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from febe._kernel import kinds
from febe._kernel.records import RecordReader, RecordTextReader, RecordWriter, fields_of
from febe._kernel.row import row_type
from febe._kernel.rows import decode_value
from febe.types import oids
from febe.types._codec import BUILDERS, Codec, Decode, Registry
from febe.types._shapes import AnyRecord, CompositeOf, DomainOf, EnumOf

_DEPTH = 64
"""How deep records may lie in records: unlike other types they say themselves what they hold."""

_depth: ContextVar[int] = ContextVar("depth", default=0)


@contextmanager
def _deeper() -> Iterator[None]:
    depth = _depth.get()
    if depth >= _DEPTH:
        raise ValueError(f"records are nested more than {_DEPTH} deep")
    token = _depth.set(depth + 1)
    try:
        yield
    finally:
        _depth.reset(token)


def read_record(registry: Registry) -> Callable[[bytes], tuple[Any, ...]]:
    """Read a record, whose bytes tell its fields' types; those that are not known stay bytes."""

    def decode(data: bytes) -> tuple[Any, ...]:
        with _deeper():
            return tuple([None if raw is None else _value(registry, oid, raw) for oid, raw in fields_of(data)])

    return decode


def _value(registry: Registry, oid: int, raw: bytes) -> Any:
    read = registry.by_oid(oid).decode_binary
    if read is None:
        return raw
    return decode_value(read, raw) if isinstance(read, int) else read(raw)


def _splitter(names: Sequence[str]) -> Callable[[object], Sequence[object]]:
    """What takes a value apart into the fields of these names."""
    wanted = set(names)

    def split(value: object) -> Sequence[object]:
        if isinstance(value, tuple):
            # A namedtuple of the same names in another order is meant by its names.
            mine = getattr(value, "_fields", None)
            return [getattr(value, name) for name in names] if mine and set(mine) == wanted else value
        if isinstance(value, list):
            return value
        if isinstance(value, Mapping):
            if set(value) != wanted:
                raise ValueError(f"its keys are not {', '.join(names)}")
            return [value[name] for name in names]
        if is_dataclass(value) and not isinstance(value, type):
            if not wanted <= {field.name for field in fields(value)}:
                raise ValueError(f"its fields are not {', '.join(names)}")
            return [getattr(value, name) for name in names]
        raise TypeError(f"a tuple, a mapping or a dataclass wanted, not {type(value).__name__}")

    return split


def _build_composite(registry: Registry, codec: Codec) -> Codec:
    assert isinstance(codec.shape, CompositeOf)
    if codec.shape is CompositeOf.OPEN:
        return replace(codec, shape=codec.shape, decode_text=kinds.STRING_TEXT, encode_text=kinds.STRING_TEXT)
    names = tuple([name for name, _ in codec.shape.fields])
    numbers = [oid for _, oid in codec.shape.fields]
    inner = [registry.by_oid(oid) for oid in numbers]
    make = _maker(names, registry.class_of(codec))
    split = _splitter(names)

    def all_of(attribute: str) -> list[Any] | None:
        functions = [getattr(field, attribute) for field in inner]
        return None if None in functions else functions

    read_text, read = all_of("decode_text"), all_of("decode_binary")
    write_text, write = all_of("encode_text"), all_of("encode_binary")
    return replace(
        codec, prefers_text=any(field.prefers_text for field in inner),
        decode_text=None if read_text is None else RecordTextReader(read_text, make),
        decode_binary=None if read is None else RecordReader(read, numbers, make),
        encode_text=None if write_text is None else RecordWriter(write_text, numbers, names, split, False),
        encode_binary=None if write is None else RecordWriter(write, numbers, names, split, True),
    )  # fmt: skip


def _maker(names: tuple[str, ...], python: type | None) -> Callable[[list[Any]], Any]:
    if python is None:
        row = row_type(names)
        return lambda values: tuple.__new__(row, values)
    return lambda values: python(**dict(zip(names, values, strict=True)))


def _build_enum(registry: Registry, codec: Codec) -> Codec:
    python = registry.class_of(codec)
    if python is None:
        text: Decode = kinds.STRING_TEXT
        return replace(codec, decode_text=text, decode_binary=text, encode_text=_label, encode_binary=_label)
    members = {label: member for member in python for label in (member.name, member.value)}  # type: ignore[attr-defined]

    def decode(data: bytes) -> Any:
        label = data.decode()
        try:
            return members[label]
        except KeyError:
            raise ValueError(f"{python.__name__} has no member for it") from None

    assert isinstance(codec.shape, EnumOf)
    labels = set(codec.shape.labels)

    def encode(value: object) -> bytes:
        if isinstance(value, python):
            return _label(value.value if value.value in labels else value.name)  # type: ignore[attr-defined]
        return _label(value)

    return replace(codec, decode_text=decode, decode_binary=decode, encode_text=encode, encode_binary=encode)


def _label(value: object) -> bytes:
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name
    if not isinstance(value, str):
        raise TypeError(f"a str or a member of an Enum wanted, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError("text cannot hold the character NUL")
    return value.encode()


def _build_domain(registry: Registry, codec: Codec) -> Codec:
    assert isinstance(codec.shape, DomainOf)
    base = registry.by_oid(codec.shape.base)
    return replace(codec, decode_text=base.decode_text, decode_binary=base.decode_binary, encode_text=base.encode_text,
                   encode_binary=base.encode_binary, prefers_text=base.prefers_text, lists=base.lists)  # fmt: skip


BUILDERS[AnyRecord] = lambda registry, codec: _build_record(registry, codec)
BUILDERS[CompositeOf] = _build_composite
BUILDERS[EnumOf] = _build_enum
BUILDERS[DomainOf] = _build_domain


def _build_record(registry: Registry, codec: Codec) -> Codec:
    return replace(codec, decode_text=RecordTextReader(None, tuple), decode_binary=read_record(registry),
                   encode_text=_no_record, encode_binary=_no_record)  # fmt: skip


def _no_record(value: object) -> bytes:
    raise TypeError("a record has no type of its own: cast the parameter to a composite type")


def register(registry: Registry) -> None:
    """Add record and the catalogs' own row types."""
    registry.register(replace(registry.by_oid(oids.RECORD), shape=AnyRecord()))
    for oid, _, _, category, _, _ in oids.TYPE_DATA:
        if category == "C":
            registry.register(replace(registry.by_oid(oid), shape=CompositeOf.OPEN))
