"""What a database holds, as an engine tells it: the catalogs are filled from this (manual: "System Catalogs").

Every name is as SQL would quote it, without the quotes.  Only names are needed; what an engine has no notion of stays
at its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Type:
    """A column's or argument's type: `oid` of a built-in one, or the schema and name of one in this description."""

    oid: int = 25
    modifier: int = -1
    schema: str | None = None
    name: str | None = None
    array: bool = False
    """An array of the named type."""


@dataclass(slots=True, kw_only=True)
class Attribute:
    """A column of a relation, or a field of a composite type."""

    name: str
    type: Type
    not_null: bool = False
    default: str | None = None
    """The default's expression, or the generation expression of a generated column, as SQL."""
    generated: bool = False
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Constraint:
    """A constraint; `kind` is pg_constraint's: p primary key, u unique, f foreign key, c check."""

    name: str
    kind: str
    columns: Sequence[str] = ()
    expression: str | None = None
    foreign: tuple[str, str] | None = None
    """The schema and name of the table that a foreign key references."""
    foreign_columns: Sequence[str] = ()
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Index:
    """An index that no constraint makes; an entry of `keys` is a column's name or, in parentheses, an expression."""

    name: str
    keys: Sequence[str]
    unique: bool = False
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Relation:
    """A table ("r"), view ("v"), materialized view ("m") or foreign table ("f").

    `rows` is an estimate for the planner's reltuples, -1 when unknown; `size` is in bytes, None when unknown.
    """

    name: str
    columns: Sequence[Attribute]
    kind: str = "r"
    query: str | None = None
    constraints: Sequence[Constraint] = ()
    indexes: Sequence[Index] = ()
    rows: float = -1
    size: int | None = None
    temporary: bool = False
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class SequenceObject:
    """A sequence generator."""

    name: str
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cycle: bool = False
    last: int | None = None
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Enum:
    """An enumerated type."""

    name: str
    labels: Sequence[str]
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Composite:
    """A composite type."""

    name: str
    attributes: Sequence[Attribute]
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Domain:
    """A name for another type."""

    name: str
    base: Type
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Function:
    """A function ("f"), aggregate ("a"), window function ("w") or procedure ("p"); arguments are (name, type)."""

    name: str
    arguments: Sequence[tuple[str, Type]] = ()
    result: Type = field(default_factory=Type)
    kind: str = "f"
    returns_set: bool = False
    body: str = ""
    volatile: bool = True
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Schema:
    """A schema and all that is in it."""

    name: str
    relations: Sequence[Relation] = ()
    sequences: Sequence[SequenceObject] = ()
    types: Sequence[Enum | Composite | Domain] = ()
    functions: Sequence[Function] = ()
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Role:
    """A role beside the session's own."""

    name: str
    superuser: bool = False
    login: bool = True
    comment: str | None = None


@dataclass(slots=True, kw_only=True)
class Database:
    """The database that a session is connected to.

    `search_path` names the schemas in which the engine looks for an unqualified name, the one that CREATE uses first.
    `others` are the other databases that could be connected to.  `writable`: INSERT and CREATE are allowed.
    """

    schemas: Sequence[Schema] = ()
    search_path: Sequence[str] = ()
    others: Sequence[str] = ()
    roles: Sequence[Role] = ()
    comment: str | None = None
    size: int | None = None
    writable: bool = True
