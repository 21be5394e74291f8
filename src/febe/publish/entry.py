"""What the log of a publisher consists of: transactions, and pieces of those that are large or prepared."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field


class Kind(enum.StrEnum):
    """What happened."""

    COMMIT = "commit"
    BLOCK = "block"
    """A transaction in progress has grown by some parts."""
    SUBABORT = "subabort"
    """Some of its subtransactions were rolled back."""
    ABORT = "abort"
    PREPARE = "prepare"
    COMMIT_PREPARED = "commit prepared"
    ROLLBACK_PREPARED = "rollback prepared"


ENDS = frozenset({Kind.COMMIT, Kind.ABORT, Kind.COMMIT_PREPARED, Kind.ROLLBACK_PREPARED})
"""What nothing of the transaction follows."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One of them: `lsn` is its position, `end` the one after it.

    `relations` is what the transaction is about so far; its changes are the parts from `first` to before `parts`, where
    `streamed` says that each change tells its transaction, and `void` are subtransactions that do not count.
    """

    lsn: int
    kind: Kind
    xid: int
    at: int
    relations: list[int] = field(default_factory=list)
    first: int = 0
    parts: int = 0
    streamed: bool = False
    void: list[int] = field(default_factory=list)
    gid: str = ""
    prepare_lsn: int = 0
    prepared_at: int = 0

    @property
    def end(self) -> int:
        return after(self.lsn)

    @property
    def prepare_end(self) -> int:
        return after(self.prepare_lsn)


@dataclass(slots=True, kw_only=True)
class Progress:
    """A transaction that has not ended: what is written of it, and where it was prepared if it was."""

    xid: int
    relations: set[int] = field(default_factory=set)
    emptied: set[int] = field(default_factory=set)
    parts: int = 0
    streamed: bool = False
    void: list[int] = field(default_factory=list)
    gid: str = ""
    prepare_lsn: int = 0
    prepared_at: int = 0

    @property
    def is_written(self) -> bool:
        """Whether its rows are pending in the store, or some of them."""
        return self.streamed or self.gid != ""

    def to_json(self) -> str:
        """As the store keeps it."""
        return json.dumps({name: sorted(value) if isinstance(value, set) else value for name in self.__slots__
                           if (value := getattr(self, name))})

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """As the store has kept it."""
        found = json.loads(text)
        return cls(**found | {name: set(found.get(name, ())) for name in ("relations", "emptied")})


def after(lsn: int) -> int:
    """The position after an entry's."""
    return lsn + 0x10


__all__ = ["ENDS", "Entry", "Kind", "Progress", "after"]
