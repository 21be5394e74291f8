"""What a walsender sends, as whoever writes a source of a log and of backups gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from febe.server.engine import EngineError


@dataclass(slots=True, kw_only=True)
class System:
    """A cluster: its number, the timeline it is on, and up to where its log can be sent."""

    identifier: int
    timeline: int
    position: int


@dataclass(slots=True, kw_only=True)
class Slot:
    """A place in the log up to which somebody has it; `position` is 0 while nothing is reserved."""

    name: str
    position: int
    timeline: int
    temporary: bool = False


@dataclass(slots=True, kw_only=True)
class File:
    """A file of a backup.  `path` is relative with slashes, `pieces` are its content, `size` bytes in all."""

    path: str
    size: int
    pieces: Iterable[bytes]
    mode: int = 0o600
    modified: float = 0.0
    """In seconds of the Unix clock."""


@dataclass(slots=True, kw_only=True)
class Directory:
    """A directory of a backup."""

    path: str
    mode: int = 0o700
    modified: float = 0.0


@dataclass(slots=True, kw_only=True)
class Tablespace:
    """One archive of a backup: the cluster's directory, or that of the tablespace `oid`, whose place is `location`.

    `entries` are its files and directories, each directory before what is in it; `size` is about how many bytes.
    """

    entries: Iterable[File | Directory]
    size: int
    oid: int = 0
    location: str = ""


@dataclass(slots=True, kw_only=True)
class Backup:
    """A copy of a cluster: the log is needed from `start` to `end` to make it consistent."""

    start: int
    end: int
    timeline: int
    tablespaces: list[Tablespace]


class Source:
    """A log, and backups, for clients such as pg_receivewal, pg_basebackup and standbys.

    Override `system` and `log`, and `backup` where there are any.  Slots are kept in memory unless their three methods
    are overridden.  An EngineError is told to the client.  Calls come from the event loop; `Tablespace.entries` and
    `File.pieces` are gone through in a thread.
    """

    settings: Mapping[str, str] = {"wal_segment_size": "16MB", "data_directory_mode": "0700"}
    """What SHOW tells."""
    server_version = "18.0"

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}

    async def system(self) -> System:
        """Which cluster this is, and where it is."""
        raise NotImplementedError

    def log(self, timeline: int, position: int) -> AsyncIterator[bytes]:
        """The log from a position on, in pieces of any size, waiting for what is still to come.

        It ends where the timeline does, or when there is never going to be more.
        """
        raise NotImplementedError

    async def next_timeline(self, timeline: int) -> tuple[int, int] | None:
        """The timeline that came after a timeline that has ended, and where it began; None for the newest."""
        return None

    async def history(self, timeline: int) -> bytes:
        """The content of a timeline's history file."""
        raise EngineError(f'could not open file "pg_wal/{timeline:08X}.history": No such file or directory',
                          sqlstate="58P01")

    async def backup(self, label: str, fast: bool) -> Backup:
        """Begin a backup."""
        raise EngineError("this server gives no base backups", sqlstate="0A000")

    # Slots

    async def slot(self, name: str) -> Slot | None:
        """A slot, None when there is no such."""
        return self.slots.get(name)

    async def keep_slot(self, slot: Slot) -> None:
        """Keep a slot that is new or has moved."""
        self.slots[slot.name] = slot

    async def drop_slot(self, name: str) -> None:
        """Forget a slot that is there."""
        del self.slots[name]


__all__ = ["Backup", "Directory", "File", "Slot", "Source", "System", "Tablespace"]
