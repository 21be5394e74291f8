"""Transactions in progress, kept until they end: in memory while they are small, then in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from struct import Struct
from typing import IO

IN_MEMORY = 1 << 20
PIECE = 1 << 19

_LENGTH = Struct("!i").unpack_from
_XID = Struct("!I").unpack_from
_LETTER_AT, _XID_AT = 30, 31
"""Where letter and transaction id are in a CopyData message: after type, length, w, two positions and a time."""


class Spool:
    """One transaction's changes, as CopyData messages; `aborted` are the subtransactions that are void."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it is replayed
        self.aborted: set[int] = set()

    def add(self, data: bytes) -> None:
        """Keep some messages."""
        self._file.write(data)

    def pieces(self) -> Iterator[bytes]:
        """Whole messages, some at a time, without those that are void."""
        self._file.seek(0)
        rest = b""
        while piece := self._file.read(PIECE):
            data = rest + piece
            end = _whole(data)
            rest = data[end:]
            if end:
                yield self._valid(data[:end])

    def close(self) -> None:
        """Forget it all."""
        self._file.close()

    def _valid(self, data: bytes) -> bytes:
        if not self.aborted:
            return data
        kept, pos = [], 0
        while pos < len(data):
            after = pos + 1 + _LENGTH(data, pos + 1)[0]
            # What describes relations and types is told once in a transaction, by whichever of its parts comes first.
            if data[pos + _LETTER_AT] in b"RY" or _XID(data, pos + _XID_AT)[0] not in self.aborted:
                kept.append(data[pos:after])
            pos = after
        return b"".join(kept)


def _whole(data: bytes) -> int:
    """Where the last whole message ends."""
    pos = 0
    while len(data) - pos >= 5:
        after = pos + 1 + _LENGTH(data, pos + 1)[0]
        if after > len(data):
            break
        pos = after
    return pos


__all__ = ["Spool"]
