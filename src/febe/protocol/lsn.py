"""Positions in the write-ahead log, and the clock of replication messages.

A position is an int here and `16/B374D848` in text (manual: "pg_lsn Type"); times are microseconds since 2000-01-01.
"""

from __future__ import annotations

import re

from febe.protocol.errors import RemoteProtocolError

EPOCH = 946_684_800_000_000
"""2000-01-01 in microseconds of the Unix clock."""

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def format_lsn(lsn: int) -> str:
    """The position as PostgreSQL writes it up to version 18: `%X/%X`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """The position that a text names.

    Errors: RemoteProtocolError (22P02), as of `select 'x'::pg_lsn`.
    """
    match = _LSN.fullmatch(text)
    if match is None:
        raise RemoteProtocolError(f'invalid input syntax for type pg_lsn: "{text}"', sqlstate="22P02", fatal=False)
    return int(match[1], 16) << 32 | int(match[2], 16)


def from_unix(seconds: float) -> int:
    """A time of the Unix clock on the clock of replication messages."""
    return int(seconds * 1_000_000) - EPOCH


def to_unix(microseconds: int) -> float:
    """The other way round."""
    return (microseconds + EPOCH) / 1_000_000


__all__ = ["EPOCH", "format_lsn", "from_unix", "parse_lsn", "to_unix"]
