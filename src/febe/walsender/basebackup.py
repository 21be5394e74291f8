"""BASE_BACKUP, answered from a source (manual: "Streaming Replication Protocol")."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from febe.protocol.copy import CopyData, CopyDone, CopyOutResponse
from febe.protocol.lsn import format_lsn
from febe.protocol.message import Message
from febe.protocol.replication import BackupData, BackupManifest, BackupProgress, NewArchive
from febe.protocol.replication_commands import BaseBackup, boolean
from febe.protocol.simple import CommandComplete
from febe.replication.segments import segment_name
from febe.server.engine import EngineError
from febe.walsender.archive import ALGORITHMS, END, Manifest, header, tar
from febe.walsender.source import Backup, File, Source

if TYPE_CHECKING:
    from febe.walsender.session import WalSenderSession

PIECE = 1 << 16
AT_ONCE = 1 << 19
"""How much is read before it is sent."""
_OPTIONS = frozenset({"label", "progress", "checkpoint", "wal", "wait", "max_rate", "tablespace_map",
                      "verify_checksums", "manifest", "manifest_checksums", "target"})
_NOT_HERE = frozenset({"compression", "compression_detail", "target_detail", "incremental"})
_RATES = range(32, (1 << 20) + 1)
_SYMLINK = b"2"


async def send_backup(session: WalSenderSession, source: Source, command: BaseBackup) -> None:
    """Answer with two result sets, the archives and the manifest, and a last result set.  Errors: EngineError."""
    await _Sender(session, source, command).run()


class _Sender:
    def __init__(self, session: WalSenderSession, source: Source, command: BaseBackup) -> None:
        self._session, self._source, self._options = session, source, command.options
        self._check()
        self._rate = int(self._options.get("max_rate") or 0) * 1024
        self._progress = self._flag("progress")
        self._begun = 0.0
        self._sent = self._done = 0

    def _flag(self, name: str) -> bool:
        return name in self._options and boolean(name, self._options[name])

    def _check(self) -> None:
        options = self._options
        for name in options:
            if name in _NOT_HERE or (name == "target" and options[name] != "client"):
                raise EngineError(f'the base backup option "{name}" is not supported by this server',
                                  sqlstate="0A000")
            if name not in _OPTIONS:
                raise EngineError(f'unrecognized base backup option: "{name}"', sqlstate="42601")
        rate = options.get("max_rate") or "0"
        if not rate.isdecimal() or (int(rate) and int(rate) not in _RATES):
            raise EngineError(f'{rate} is outside the valid range for parameter "MAX_RATE" ({_RATES[0]} .. '
                              f"{_RATES[-1]})", sqlstate="22003")
        checksums = (options.get("manifest_checksums") or "NONE").upper()
        if checksums != "NONE" and checksums not in ALGORITHMS:
            raise EngineError(f'unrecognized checksum algorithm: "{checksums}"; this server has '
                              f"{', '.join(ALGORITHMS)}", sqlstate="0A000" if checksums == "CRC32C" else "42601")

    async def run(self) -> None:
        session, options = self._session, self._options
        system = await self._source.system()
        backup = await self._source.backup(options.get("label") or "base backup",
                                           (options.get("checkpoint") or "spread") == "fast")
        # "the default is CRC32C" of PostgreSQL; this one is checked by whoever takes a manifest as well
        algorithm = (options.get("manifest_checksums") or "SHA256").upper()
        manifest = None
        if options.get("manifest", "no") != "no":
            manifest = Manifest(system=system.identifier, version=int(self._source.server_version.split(".")[0]),
                                algorithm=None if algorithm == "NONE" else algorithm)
        position = (format_lsn(backup.start), str(backup.timeline))
        session.rows(("recptr", "tli"), [position], numbers=("tli",))
        session.rows(("spcoid", "spclocation", "size"), [
            (str(space.oid) if space.oid else None, space.location or None,
             str(space.size // 1024) if self._progress else None) for space in backup.tablespaces],
            numbers=("size",))
        session.say(CopyOutResponse(format=0, column_formats=[]))
        self._begun = time.monotonic()
        for space in sorted(backup.tablespaces, key=lambda space: space.oid == 0):
            self._say(NewArchive(name=f"{space.oid or 'base'}.tar", tablespace=space.location))
            self._done = 0
            await self._send(tar(space.entries, manifest, f"pg_tblspc/{space.oid}/" if space.oid else ""))
            if not space.oid:
                await self._send(self._links(backup, manifest))
            if not space.oid and self._flag("wal"):
                await self._send_log(backup)
            await self._send(iter([END]))
        if manifest is not None:
            self._say(BackupManifest())
            await self._send(iter([manifest.finish(backup.timeline, backup.start, backup.end)]))
        session.say(CopyDone())
        session.rows(("recptr", "tli"), [(format_lsn(backup.end), str(backup.timeline))], numbers=("tli",))
        session.say(CommandComplete(tag="BASE_BACKUP"))

    def _links(self, backup: Backup, manifest: Manifest | None) -> Iterator[bytes]:
        """Where the tablespaces are: links, or the file that stands for them."""
        spaces = [space for space in backup.tablespaces if space.oid]
        if self._flag("tablespace_map"):
            text = "".join(f"{space.oid} {space.location}\n" for space in spaces).encode()
            if text:
                yield from tar([File(path="tablespace_map", size=len(text), pieces=[text],
                                     modified=time.time())], manifest)
            return
        for space in spaces:
            yield header(f"pg_tblspc/{space.oid}", _SYMLINK, mode=0o777, modified=time.time(), link=space.location)

    async def _send_log(self, backup: Backup) -> None:
        """The segments that the backup needs, the last filled up with zeros; the manifest has them as a range."""
        size = int(self._source.settings["wal_segment_size"].removesuffix("MB")) << 20
        for number in range(backup.start // size, (max(backup.end, backup.start + 1) - 1) // size + 1):
            segment = bytearray()
            end = min((number + 1) * size, backup.end)
            async for piece in self._source.log(backup.timeline, number * size):
                segment += piece
                if number * size + len(segment) >= end:
                    break
            del segment[size:]
            if number * size + len(segment) < end:
                raise EngineError("the log that the backup needs is not there", sqlstate="58P01")
            segment += bytes(size - len(segment))
            name = f"pg_wal/{segment_name(backup.timeline, number, size)}"
            await self._send(tar([File(path=name, size=size, pieces=[bytes(segment)], modified=time.time())], None))

    async def _send(self, pieces: Iterator[bytes]) -> None:
        session = self._session
        while data := await session.work(_gather, pieces, waits=True):
            view = memoryview(data)
            for start in range(0, len(view), PIECE):
                self._say(BackupData(data=bytes(view[start:start + PIECE])))
            self._sent += len(view)
            self._done += len(view)
            if self._progress:
                self._say(BackupProgress(done=self._done))
            await session.conversation.deliver()
            if self._rate:
                ahead = self._sent / self._rate - (time.monotonic() - self._begun)
                if ahead > 0:
                    await asyncio.sleep(ahead)

    def _say(self, payload: Message) -> None:
        self._session.say(CopyData(data=payload.encode()))


def _gather(pieces: Iterator[bytes]) -> bytes:
    """Some of it, as much as is sent at once."""
    found, size = [], 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= AT_ONCE:
            break
    return b"".join(found)


__all__ = ["send_backup"]
