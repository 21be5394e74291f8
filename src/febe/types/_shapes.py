"""What a type is made of: the OIDs of the types inside it (manual: "pg_type", "pg_range", "pg_enum")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(slots=True, frozen=True)
class ArrayOf:
    """An array of a type."""

    element: int


@dataclass(slots=True, frozen=True)
class RangeOf:
    """A range over a type."""

    subtype: int


@dataclass(slots=True, frozen=True)
class MultirangeOf:
    """A multirange of a range type."""

    range: int


@dataclass(frozen=True)
class CompositeOf:
    """A composite type: its fields' names and types in order."""

    fields: tuple[tuple[str, int], ...]
    OPEN: ClassVar[CompositeOf]
    """A composite type whose fields only the server knows."""


CompositeOf.OPEN = CompositeOf((("", 0),))


@dataclass(slots=True, frozen=True)
class EnumOf:
    """An enum type: its labels in order."""

    labels: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class DomainOf:
    """A domain over a type."""

    base: int


@dataclass(slots=True, frozen=True)
class AnyRecord:
    """A record: its bytes tell what it is made of."""


@dataclass(slots=True, frozen=True)
class AnyArray:
    """An array whose bytes tell its element type."""


Shape = AnyArray | AnyRecord | ArrayOf | RangeOf | MultirangeOf | CompositeOf | EnumOf | DomainOf
