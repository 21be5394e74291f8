"""Identifiers of transactions in two phases (PEP 249, "Optional Two-Phase Commit Extensions")."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime

from febe.protocol.families import ProgrammingError


@dataclass(frozen=True, slots=True)
class Xid:
    """A transaction's identifier as X/Open has it; `tpc_recover` also tells when and by whom it was prepared.

    Where `format_id` is None, `gtrid` is the server's own identifier, as PREPARE TRANSACTION takes it.
    """

    format_id: int | None
    gtrid: str
    bqual: str | None
    prepared: datetime | None = None
    owner: str | None = None
    database: str | None = None

    def __post_init__(self) -> None:
        if self.format_id is None:
            return
        if not 0 <= self.format_id < 1 << 31:
            raise ProgrammingError("format_id is a number of 31 bits")
        for part in (self.gtrid, self.bqual):
            if part is None or len(part) > 64 or not part.isascii() or not part.isprintable():
                raise ProgrammingError("gtrid and bqual are at most 64 printable ASCII characters each")

    def __str__(self) -> str:
        """The server's identifier, in the form that pgJDBC and psycopg give it too."""
        if self.format_id is None:
            return self.gtrid
        assert self.bqual is not None
        return f"{self.format_id}_{_packed(self.gtrid)}_{_packed(self.bqual)}"

    @classmethod
    def parse(cls, gid: str, prepared: datetime | None = None, owner: str | None = None,
              database: str | None = None) -> Xid:
        """The identifier that the server has as `gid`."""
        try:
            number, gtrid, bqual = gid.split("_")
            found = cls(int(number), _unpacked(gtrid), _unpacked(bqual), prepared, owner, database)
            if str(found) == gid:
                return found
        except (ValueError, ProgrammingError):
            pass
        return cls(None, gid, None, prepared, owner, database)


def _packed(part: str) -> str:
    return b64encode(part.encode()).decode()


def _unpacked(part: str) -> str:
    try:
        return b64decode(part, validate=True).decode("ascii")
    except binascii.Error as error:
        raise ValueError(part) from error


__all__ = ["Xid"]
