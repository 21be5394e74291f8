"""Rows that have been sent and may be wanted again: what lets a cursor go back (manual: "DECLARE", SCROLL)."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from struct import Struct

_INT32 = Struct("!i")
IN_MEMORY = 4 << 20
"""Bytes from which on the rows of one cursor lie on disk."""


class Spool:
    """DataRow messages in the order they came, in memory or, when they are many, in a temporary file."""

    def __init__(self, first: int = 0) -> None:
        """`first` is the number, from 0, of the row that `add` puts first."""
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="febe-cursor-")  # noqa: SIM115 - closed by close
        self._starts: list[int] = []
        self._places: list[int] = []
        self._last: tuple[int, bytes, list[int]] = -1, b"", []
        self.first = self.end = first
        self.size = 0

    def add(self, data: bytes | bytearray, rows: int) -> None:
        """Put rows at the end."""
        self._file.seek(self.size)
        self._file.write(data)
        self._starts.append(self.end)
        self._places.append(self.size)
        self.end += rows
        self.size += len(data)

    def read(self, number: int, most: int) -> tuple[bytes, int]:
        """Some of the rows from `number` on, up to `most`, and how many."""
        piece = bisect_right(self._starts, number) - 1
        data, frames = self._piece(piece)
        at = number - self._starts[piece]
        count = min(most, len(frames) - 1 - at)
        return data[frames[at]:frames[at + count]], count

    def close(self) -> None:
        """Forget the rows."""
        self._file.close()

    def _piece(self, number: int) -> tuple[bytes, list[int]]:
        """What was added together, and the offsets of its messages and of their end; the last one read is kept."""
        if self._last[0] != number:
            start = self._places[number]
            end = self._places[number + 1] if number + 1 < len(self._places) else self.size
            self._file.seek(start)
            data = self._file.read(end - start)
            frames = [0]
            while frames[-1] < len(data):
                frames.append(frames[-1] + 1 + _INT32.unpack_from(data, frames[-1] + 1)[0])
            self._last = number, data, frames
        return self._last[1:]
