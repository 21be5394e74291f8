"""What can go wrong with a slot, and with a backup."""

from __future__ import annotations

from febe.protocol.errors import Error


class SlotLost(Error):
    """The slot is gone, invalidated, or no longer at the position that the program confirmed: changes are missing.

    Nothing but a new snapshot makes up for it.  `sqlstate` is the server's, 55000 where it was found out otherwise.
    """

    def __init__(self, message: str, *, sqlstate: str = "55000") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class BackupError(Error):
    """A backup, or log, cannot be written where it was to go, or holds what must not be unpacked."""


class TableChanged(Error):
    """A table has changed in a way that its copy cannot follow: the copy has to be made anew."""


LOST = frozenset({"42704", "55000", "58P01"})
"""SQLSTATEs of START_REPLICATION that say so: no such slot; invalidated; the log is removed."""

__all__ = ["LOST", "BackupError", "SlotLost", "TableChanged"]
