"""Segment files of the write-ahead log, named and filled as PostgreSQL's own (xlog_internal.h, receivelog.c)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from febe.replication.errors import BackupError

PARTIAL = ".partial"
"""What a file is called beside, until its segment is complete."""
_NAME = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")


def segment_name(timeline: int, number: int, size: int) -> str:
    """The file of a segment; `number` counts from the log's beginning, `size` is a segment's in bytes."""
    per_id = (1 << 32) // size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"


def history_name(timeline: int) -> str:
    """The file that tells where a timeline began."""
    return f"{timeline:08X}.history"


def resume_at(directory: Path, size: int) -> tuple[int, int] | None:
    """Timeline and position from which a directory's log goes on; None when there is none.

    A segment that is not complete is received again from its beginning.
    """
    latest: tuple[int, bool, int] | None = None
    for path in directory.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            number = int(match[2], 16) * ((1 << 32) // size) + int(match[3], 16)
            complete = match[4] is None
            if complete and path.stat().st_size != size:
                raise BackupError(f"{path} has {path.stat().st_size} bytes where a segment has {size}")
            found = number, complete, int(match[1], 16)
            latest = found if latest is None else max(latest, found)
    return None if latest is None else (latest[2], (latest[0] + latest[1]) * size)


class Segments:
    """The segments of one timeline, from a position on that is a segment's beginning.

    `position` is what was written, `flushed` what is on disk.  `partial` is the suffix of a segment that is not
    complete; with none, `close` fills it up with zeros, which is how a backup's log ends.
    """

    def __init__(self, directory: Path, timeline: int, start: int, *, size: int, partial: str = PARTIAL) -> None:
        if start % size:
            raise BackupError("the log is received from a segment's beginning")
        self.position = self.flushed = start
        self._directory, self._timeline, self._size, self._partial = directory, timeline, size, partial
        self._file = -1
        self._path = directory

    def write(self, lsn: int, data: bytes | memoryview) -> None:
        """Write what follows.  Errors: BackupError where it does not follow; OSError."""
        if lsn != self.position:
            raise BackupError(f"the log goes on at {lsn:X} where {self.position:X} was expected")
        view = memoryview(data)
        while view:
            offset = self.position % self._size
            if self._file < 0:
                self._open()
            written = os.write(self._file, view[:self._size - offset])
            self.position += written
            view = view[written:]
            if self.position % self._size == 0:
                self._complete()

    def sync(self) -> None:
        """Have all of it on disk."""
        if self._file >= 0:
            os.fsync(self._file)
        self.flushed = self.position

    def close(self) -> None:
        """Nothing more follows."""
        if self._file >= 0 and not self._partial:
            os.ftruncate(self._file, self._size)
        self.sync()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        name = segment_name(self._timeline, self.position // self._size, self._size)
        self._path = self._directory / name
        self._file = os.open(f"{self._path}{self._partial}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                             | getattr(os, "O_BINARY", 0), 0o600)

    def _complete(self) -> None:
        os.fsync(self._file)
        os.close(self._file)
        self._file = -1
        if self._partial:
            Path(f"{self._path}{self._partial}").rename(self._path)
        sync_directory(self._directory)
        self.flushed = self.position


def sync_directory(place: Path) -> None:
    """Have a directory's entries on disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["PARTIAL", "Segments", "history_name", "resume_at", "segment_name", "sync_directory"]
