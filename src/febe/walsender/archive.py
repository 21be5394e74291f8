"""A base backup's bytes: tar archives, and the manifest that pg_verifybackup checks them by (manual: "Backup Manifest
Format")."""

from __future__ import annotations

import hashlib
import json
import tarfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from febe.protocol.lsn import format_lsn
from febe.server.engine import EngineError
from febe.walsender.source import Directory, File

BLOCK = 512
END = bytes(2 * BLOCK)
ALGORITHMS = {"SHA224": "sha224", "SHA256": "sha256", "SHA384": "sha384", "SHA512": "sha512"}


def tar(entries: Iterable[File | Directory], manifest: Manifest | None, prefix: str = "") -> Iterator[bytes]:
    """An archive in pieces, up to its END; what it holds is put into the manifest, under a tablespace's `prefix`.

    Errors: EngineError for a file that has not the size that it was said to have.
    """
    for entry in entries:
        if isinstance(entry, Directory):
            yield header(entry.path, tarfile.DIRTYPE, mode=entry.mode, modified=entry.modified)
            continue
        yield header(entry.path, tarfile.REGTYPE, mode=entry.mode, modified=entry.modified, size=entry.size)
        noted = None if manifest is None else manifest.file(entry, prefix)
        left = entry.size
        for piece in entry.pieces:
            left -= len(piece)
            if left < 0:
                break
            if noted is not None:
                noted.update(piece)
            yield piece
        if left:
            raise EngineError(f'the file "{entry.path}" has not {entry.size} bytes', sqlstate="58030")
        if noted is not None:
            noted.end()
        yield bytes(-entry.size % BLOCK)


def header(path: str, kind: bytes, *, mode: int, modified: float, size: int = 0, link: str = "") -> bytes:
    """A tar header as PostgreSQL writes it (tar.c, tarCreateHeader).  Errors: EngineError."""
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.mtime, member.size, member.linkname = kind, mode, int(modified), size, link
    member.uname = member.gname = "postgres"
    try:
        return member.tobuf(tarfile.GNU_FORMAT if size >= 8 << 30 else tarfile.USTAR_FORMAT, errors="surrogateescape")
    except ValueError as error:
        raise EngineError(f'file name too long for tar format: "{path}"', sqlstate="54000") from error


@dataclass(slots=True, kw_only=True)
class Manifest:
    """What is in a backup.  `algorithm` is a name of ALGORITHMS, or None for no checksums."""

    system: int
    version: int
    algorithm: str | None
    _files: list[str] = field(default_factory=list)

    def file(self, entry: File, prefix: str) -> _Noted:
        """Note a file; what is returned takes its content."""
        return _Noted(self, entry, prefix)

    def add(self, path: str, size: int, modified: float, checksum: str | None) -> None:
        """Note a file that is complete."""
        name = path.encode(errors="surrogateescape")
        # what is no UTF-8 is told in hexadecimal (backup_manifest.c, AddFileToBackupManifest)
        where = {"Path": path} if path.isprintable() else {"Encoded-Path": name.hex()}
        line: dict[str, object] = {**where, "Size": size, "Last-Modified": time.strftime(
            "%Y-%m-%d %H:%M:%S GMT", time.gmtime(modified))}
        if checksum is not None:
            line |= {"Checksum-Algorithm": self.algorithm, "Checksum": checksum}
        self._files.append(json.dumps(line))

    def finish(self, timeline: int, start: int, end: int) -> bytes:
        """The manifest's text, whose last line has the checksum of those before."""
        identity = f'"System-Identifier": {self.system},\n' if self.version >= 17 else ""
        text = (f'{{ "PostgreSQL-Backup-Manifest-Version": {2 if identity else 1},\n{identity}"Files": [\n'
                + ",\n".join(self._files) + "\n],\n"
                f'"WAL-Ranges": [\n{{ "Timeline": {timeline}, "Start-LSN": "{format_lsn(start)}", '
                f'"End-LSN": "{format_lsn(end)}" }}\n],\n').encode()
        return text + f'"Manifest-Checksum": "{hashlib.sha256(text).hexdigest()}"}}\n'.encode()


class _Noted:
    """A file of the manifest, whose checksum is being made."""

    def __init__(self, manifest: Manifest, entry: File, prefix: str) -> None:
        self._manifest, self._entry, self._prefix = manifest, entry, prefix
        self._hash = None if manifest.algorithm is None else hashlib.new(ALGORITHMS[manifest.algorithm])

    def update(self, piece: bytes) -> None:
        """Take a piece."""
        if self._hash is not None:
            self._hash.update(piece)

    def end(self) -> None:
        """Put it into the manifest."""
        self._manifest.add(self._prefix + self._entry.path, self._entry.size, self._entry.modified,
                           None if self._hash is None else self._hash.hexdigest())


__all__ = ["ALGORITHMS", "END", "Manifest", "header", "tar"]
