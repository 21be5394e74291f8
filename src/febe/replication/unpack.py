"""A base backup's archive, unpacked as it comes: directories, files, and links to tablespaces."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from febe.replication.errors import BackupError

_BLOCK = 512
_END = bytes(_BLOCK)


class Unpacker:
    """Takes one archive, piece by piece.  `tablespace` says where the tablespace of an old directory goes."""

    def __init__(self, target: Path, tablespace: Callable[[str], Path]) -> None:
        self._target, self._tablespace = target, tablespace
        self._header = bytearray()
        self._file = -1
        self._left = 0
        self._fill = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Unpack what has come.  Errors: BackupError, OSError."""
        view = memoryview(data)
        while view:
            if self._left:
                piece = view[:self._left]
                written = os.write(self._file, piece)
                self._left -= written
                view = view[written:]
                if not self._left:
                    self._close()
            elif self._fill:
                skipped = min(self._fill, len(view))
                self._fill -= skipped
                view = view[skipped:]
            else:
                wanted = _BLOCK - len(self._header)
                self._header += view[:wanted]
                view = view[wanted:]
                if len(self._header) == _BLOCK:
                    header, self._header = bytes(self._header), bytearray()
                    if header != _END:
                        self._member(header)

    def finish(self) -> None:
        """The archive is over.  Errors: BackupError when it is cut."""
        if self._left or self._fill or self._header:
            raise BackupError("an archive of the backup is cut")

    def abandon(self) -> None:
        """Nothing more comes."""
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _member(self, header: bytes) -> None:
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise BackupError(f"an archive of the backup cannot be read: {error}") from error
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise BackupError(f"the backup holds a file called {member.name!r}")
        target = self._target / path
        if member.isdir():
            target.mkdir(mode=member.mode & 0o777 | 0o700, parents=True, exist_ok=True)
        elif member.issym() and path.parent.name == "pg_tblspc":
            place = self._tablespace(member.linkname)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.symlink_to(place)
        elif member.type == tarfile.REGTYPE:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                                 | getattr(os, "O_NOFOLLOW", 0), member.mode & 0o777)
            self._left, self._fill = member.size, -member.size % _BLOCK
            if not self._left:
                self._close()
        else:
            raise BackupError(f"the backup holds {member.name!r}, which is neither file nor directory")


__all__ = ["Unpacker"]
