"""What a subscription hands out.

Changes are tuples with names.  `xid` is the transaction that a change was made in where the stream tells it: inside
blocks of a transaction in progress it may be a subtransaction.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from febe._kernel.row import Row

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Unchanged(enum.Enum):
    """The type of UNCHANGED."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"

    def __bool__(self) -> bool:
        return False


UNCHANGED = Unchanged.UNCHANGED
"""Stands for a large value that an update left as it was: the server does not send it, unless the table's replica
identity is FULL."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Column:
    """A column of a relation."""

    name: str
    type_oid: int
    type_modifier: int
    type_name: str
    is_key: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Relation:
    """A table as it is described from here on; handed out before the first change of it, and when it has changed."""

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[Column, ...]
    names: tuple[str, ...] = field(init=False)
    key: tuple[int, ...] = field(init=False)
    """Places of the columns that identify a row; all of them when the replica identity is FULL."""

    def __post_init__(self) -> None:
        self.names = tuple(column.name for column in self.columns)
        self.key = tuple(place for place, column in enumerate(self.columns) if column.is_key)

    @property
    def full_name(self) -> str:
        """Schema and name with a dot between."""
        return f"{self.schema}.{self.name}"

    def same_as(self, other: Relation | None) -> bool:
        """Whether nothing has changed."""
        return other is not None and (self.schema, self.name, self.replica_identity, self.columns) == (
            other.schema, other.name, other.replica_identity, other.columns)

    def __repr__(self) -> str:
        return f"<Relation {self.full_name} ({', '.join(self.names)})>"


class Insert(NamedTuple):
    """A row was inserted; also a row of the snapshot."""

    relation: Relation
    new: Row
    xid: int | None = None


class Update(NamedTuple):
    """A row was updated.

    `identity` K: `old` holds the old key and None elsewhere; O: all of the old row; None: the key is as it was.
    """

    relation: Relation
    old: Row | None
    new: Row
    identity: str | None
    xid: int | None = None


class Delete(NamedTuple):
    """A row was deleted; `old` holds its key (`identity` K) or all of it (O)."""

    relation: Relation
    old: Row
    identity: str
    xid: int | None = None


class Truncate(NamedTuple):
    """Tables were emptied."""

    relations: tuple[Relation, ...]
    cascade: bool
    restart_identity: bool
    xid: int | None = None


class Message(NamedTuple):
    """What pg_logical_emit_message wrote."""

    transactional: bool
    lsn: int
    prefix: str
    content: bytes
    xid: int | None = None

    @property
    def end_lsn(self) -> int:
        """The position that confirms it when it stands outside a transaction: `lsn` is where its record begins."""
        return 0 if self.transactional else self.lsn + 1


class Begin(NamedTuple):
    """A transaction begins.

    `kind` is `transaction`; `prepared`, which ends with Prepare; `snapshot`: all rows of all tables follow as Inserts,
    and what an earlier snapshot gave is void.
    """

    kind: str
    xid: int
    lsn: int
    microseconds: int
    gid: str | None = None
    origin: str | None = None

    @property
    def time(self) -> datetime:
        """When it was committed or prepared."""
        return _EPOCH + timedelta(microseconds=self.microseconds)


class Commit(NamedTuple):
    """The transaction is complete; `end_lsn` is what confirms it."""

    xid: int
    lsn: int
    end_lsn: int
    microseconds: int

    @property
    def time(self) -> datetime:
        """When it was committed."""
        return _EPOCH + timedelta(microseconds=self.microseconds)


class Prepare(NamedTuple):
    """The transaction is prepared, and may be committed or rolled back."""

    xid: int
    gid: str
    lsn: int
    end_lsn: int
    microseconds: int


class CommitPrepared(NamedTuple):
    """A transaction that was prepared earlier is committed."""

    xid: int
    gid: str
    lsn: int
    end_lsn: int
    microseconds: int


class RollbackPrepared(NamedTuple):
    """A transaction that was prepared earlier is rolled back."""

    xid: int
    gid: str
    end_lsn: int
    microseconds: int


class Block(NamedTuple):
    """A block of a transaction in progress begins (streaming live): changes up to BlockEnd belong to it."""

    xid: int
    first: bool


class BlockEnd(NamedTuple):
    """The block is over."""

    xid: int


class Abort(NamedTuple):
    """A transaction in progress, or the subtransaction of it that `subtransaction` names, is void (streaming live).

    When the connection was lost, all that is in progress is void and comes again from its beginning.
    """

    xid: int
    subtransaction: int


class Raw(NamedTuple):
    """What a plugin other than pgoutput wrote; `lsn` is 0 but for the last piece of a record."""

    lsn: int
    data: bytes

    @property
    def end_lsn(self) -> int:
        """The position that confirms it."""
        return self.lsn


Change: TypeAlias = "Insert | Update | Delete | Truncate"
Event: TypeAlias = ("Insert | Update | Delete | Truncate | Message | Relation | Begin | Commit | Prepare | "
                    "CommitPrepared | RollbackPrepared | Block | BlockEnd | Abort | Raw")

ENDS: frozenset[type[Any]] = frozenset({Commit, Prepare, CommitPrepared, RollbackPrepared, Message, Raw})
"""What an `end_lsn` confirms together with all that came before it."""

def end_of(event: Event) -> int:
    """The position that confirms an event and all before it; 0 for those that end nothing."""
    return event.end_lsn if event.__class__ in ENDS else 0  # type: ignore[union-attr]


__all__ = [
    "ENDS", "UNCHANGED", "Abort", "Begin", "Block", "BlockEnd", "Change", "Column", "Commit", "CommitPrepared",
    "Delete", "Event", "Insert", "Message", "Prepare", "Raw", "Relation", "RollbackPrepared", "Truncate", "Unchanged",
    "Update", "end_of"]
