"""From the description of a table to the readers of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from febe._kernel.changes import Shape
from febe._kernel.errors import TypeChanged
from febe._kernel.row import row_type
from febe.protocol import logical
from febe.replication.changes import Column, Relation
from febe.types.registry import Registry

_FIRST_NORMAL = 16384
"""OIDs from here on are of types that somebody made (transam.h, FirstNormalObjectId)."""


def _no_binary(name: str) -> Callable[[bytes], object]:
    def refuse(data: bytes) -> object:
        raise ValueError(f"type {name} has no binary form here; subscribe without binary=True")

    return refuse


def relation_of(message: logical.Relation, types: Registry, names: Mapping[int, str]) -> Relation:
    """What the program is told; `names` are those of types that are not built in, by OID."""
    return Relation(
        oid=message.oid, schema=message.namespace or "pg_catalog", name=message.name,
        replica_identity=message.replica_identity,
        columns=tuple(Column(name=column.name, type_oid=column.type_oid, type_modifier=column.type_modifier,
                             type_name=names.get(column.type_oid) or types.by_oid(column.type_oid).name,
                             is_key=bool(column.flags & 1)) for column in message.columns))


def _steady(read: int | Callable[[bytes], Any], keep: Callable[[bytes], object]) -> int | Callable[[bytes], Any]:
    """A stream tells of the past, when a composite type may have had other fields than the catalog describes now."""
    if isinstance(read, int):
        return read

    def steady(data: bytes) -> object:
        try:
            return read(data)
        except TypeChanged:
            return keep(data)

    return steady


def shape_of(relation: Relation, types: Registry) -> Shape:
    """How the kernel reads its rows."""
    text: list[int | Callable[[bytes], Any]] = []
    binary: list[int | Callable[[bytes], Any]] = []
    for column in relation.columns:
        codec = types.by_oid(column.type_oid)
        # what is spoken in no text form either is text, as it stands
        as_text = bytes.decode if codec.decode_text is None else codec.decode_text
        as_binary = _no_binary(column.type_name) if codec.decode_binary is None else codec.decode_binary
        if codec.oid >= _FIRST_NORMAL:
            as_text, as_binary = _steady(as_text, bytes.decode), _steady(as_binary, bytes)
        text.append(as_text)
        binary.append(as_binary)
    return Shape(relation, text, binary, row_type(relation.names))


__all__ = ["relation_of", "shape_of"]
