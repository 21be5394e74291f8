"""The password file (libpq: "The Password File")."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path


class Passfile:
    """The lines `host:port:database:user:password` of a file, or of none where it may not be used."""

    def __init__(self, path: Path) -> None:
        self._lines = list(_lines(path))

    def find(self, host: str, port: str, database: str, user: str) -> str | None:
        """The password of the first line that fits; `*` fits everything."""
        wanted = [text.encode("utf-8", "surrogateescape") for text in (host, port, database, user)]
        for line in self._lines:
            pos = 0
            for value in wanted:
                pos = _after(line, pos, value)
                if pos < 0:
                    break
            else:
                return _password(line[pos:]).decode("utf-8", "surrogateescape")
        return None


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                _warn('password file "%s" is not a plain file', path)
                return
            if os.name != "nt" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                _warn('password file "%s" has group or world access; permissions should be u=rw (0600) or less', path)
                return
            for line in file.read().split(b"\n"):
                line = line.rstrip(b"\r")
                if line and not line.startswith(b"#"):
                    yield line
    except OSError:
        return


def _warn(text: str, path: Path) -> None:
    import logging

    logging.getLogger("febe.client").warning(text, path)


def _after(line: bytes, pos: int, value: bytes) -> int:
    """The place after the field at `pos` when it is `*` or `value`, else -1.

    A colon within the value need not be escaped, so that IPv6 addresses can be written as they are (pwdfMatchesString).
    """
    if line.startswith(b"*:", pos):
        return pos + 2
    for byte in value:
        if line[pos:pos + 1] == b"\\":
            pos += 1
        if line[pos:pos + 1] != bytes((byte,)):
            return -1
        pos += 1
    return pos + 1 if line[pos:pos + 1] == b":" else -1


def _password(field: bytes) -> bytes:
    """The last field up to a colon, without its backslashes."""
    made = bytearray()
    pos = 0
    while pos < len(field) and field[pos] != 0x3A:
        if field[pos] == 0x5C and pos + 1 < len(field):
            pos += 1
        made.append(field[pos])
        pos += 1
    return bytes(made)


__all__ = ["Passfile"]
