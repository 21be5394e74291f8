"""Base backups: a copy of a whole cluster that a PostgreSQL starts from (manual: "Streaming Replication Protocol",
BASE_BACKUP)."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from febe.client.options import Options, resolve
from febe.client.run_blocking import open_session, runner
from febe.flows import replicate
from febe.flows.close import close
from febe.flows.errors import NotSupported
from febe.flows.session import Session
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyDone
from febe.protocol.lsn import parse_lsn
from febe.protocol.message import Message
from febe.protocol.replication import BACKUP, BackupManifest, NewArchive, read_payload
from febe.protocol.replication_commands import BaseBackup, CreateReplicationSlot
from febe.replication.errors import BackupError
from febe.replication.segments import sync_directory
from febe.replication.slots import text
from febe.replication.unpack import Unpacker
from febe.replication.wal import WalReceiver, segment_size

OLDEST = 15
"""The version from which archives come with names and in one stream."""
_FORMATS = {"plain": "stream", "tar": "fetch"}

Progress = Callable[[int, int], object]


@dataclass(slots=True, kw_only=True)
class Backup:
    """A backup that is complete: from where to where the log is needed, and how many bytes it had."""

    start_lsn: int
    end_lsn: int
    timeline: int
    bytes: int


def base_backup(conninfo: str = "", directory: str | Path = ".", *, format: str = "plain", label: str = "febe backup",
                fast: bool = True, wal: str | None = None, max_rate: int | None = None, manifest: bool = True,
                manifest_checksums: str | None = None, tablespaces: Mapping[str, str] | None = None,
                sync: bool = True, progress: Progress | None = None, **options: object) -> Backup:
    """Copy a cluster of PostgreSQL 15 or later into a directory that is empty or not there.

    `format` plain unpacks it, tar keeps the archives.  `wal` says how the log comes along that the backup needs to
    start: `stream` keeps it by a slot and receives it after the files, `fetch` has the server put it into the archive,
    `none` leaves it out; by default a plain backup streams and tar files have it in them.  `max_rate` is in kB/s.
    `tablespaces` maps the directories of tablespaces to new ones.  `sync` has it all on disk at the end.  `progress` is
    called with bytes done and bytes in all.  `options` are those of `febe.connect`.  What was written is removed after
    an error.

    Errors: BackupError, PostgresError, ConnectionLost, NotSupported.
    """
    if format not in _FORMATS:
        raise ValueError("format is plain or tar")
    wal = wal or _FORMATS[format]
    if wal not in ("stream", "fetch", "none") or (wal, format) == ("stream", "tar"):
        raise ValueError("wal is stream (plain only), fetch or none")
    target = Path(directory)
    if target.exists() and any(target.iterdir()):
        raise BackupError(f"{target} is there and not empty")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.chmod(0o700)
    asked: dict[str, str | None] = {"label": label, "progress": None, "checkpoint": "fast" if fast else "spread",
                                    "manifest": "yes" if manifest else "no"}
    asked |= {"wal": None} if wal == "fetch" else {"wait": "false"} if wal == "stream" else {}
    asked |= {"max_rate": str(max_rate)} if max_rate is not None else {}
    asked |= {"manifest_checksums": manifest_checksums} if manifest_checksums is not None else {}
    asked |= {"tablespace_map": None} if format == "tar" else {}
    given = cast(Options, options)
    session = open_session(resolve(conninfo, {**given, "settings": {
        **given.get("settings", {}), "replication": "true"}}))
    receiver = _Receiver(session, target, format, tablespaces or {}, progress)
    try:
        made = receiver.run(BaseBackup(options=asked), streams=wal == "stream")
        for place in receiver.places if sync else ():
            _sync_all(place)
        return made
    except BaseException:
        for place in receiver.places:
            _empty(place)
        raise
    finally:
        runner(session)(close(session))


class _Receiver:
    """One backup on its way."""

    def __init__(self, session: Session, target: Path, format: str, tablespaces: Mapping[str, str],
                 progress: Progress | None) -> None:
        self.places = [target]
        self._session, self._target, self._format, self._tablespaces = session, target, format, tablespaces
        self._progress = progress
        self._run = runner(session)
        self._end = replicate.Reply()
        self._done = self._total = 0
        self._archive: Unpacker | None = None
        self._file: IO[bytes] | None = None

    def run(self, command: BaseBackup, *, streams: bool) -> Backup:
        session, run = self._session, self._run
        if replicate.major_version(session) < OLDEST:
            raise NotSupported(f"base backups are taken from PostgreSQL {OLDEST} and later")
        slot = f"febe_backup_{secrets.token_hex(8)}"
        if streams:
            run(replicate.command(session, CreateReplicationSlot(slot=slot, temporary=True,
                                                                 options={"reserve_wal": None})))
        reply = run(replicate.copy_out(session, command))
        start, timeline = parse_lsn(text(reply.sets[0][0][0])), int(reply.sets[0][0][1] or 0)
        self._total = sum(int(row[2] or 0) for row in reply.sets[1]) * 1024
        try:
            self._receive()
        finally:
            self._abandon()
        run(replicate.finish_reply(session, self._end, b""))
        if self._end.error is not None:
            raise self._end.error
        end = parse_lsn(text(self._end.rows[0][0]))
        if streams:
            size = segment_size(session, run)
            log = self._target / "pg_wal"
            log.mkdir(mode=0o700, exist_ok=True)
            WalReceiver(session, log, size, slot=slot, partial="").follow(timeline, start - start % size, end)
        return Backup(start_lsn=start, end_lsn=end, timeline=timeline, bytes=self._done)

    def _receive(self) -> None:
        ended = False
        while not ended:
            for event in self._run(replicate.receive(self._session)):
                if isinstance(event, CopyDataRun):
                    for body in event.bodies():
                        if body[:1] == b"d":
                            self._data(memoryview(body)[1:])
                        else:
                            self._message(read_payload(BACKUP, body))
                    continue
                replicate.note(self._session, self._end, event)
                if isinstance(event, CopyDone):
                    self._finish()
                    ended = True
            if self._end.error is not None:
                self._run(replicate.finish_reply(self._session, self._end, b""))
                raise self._end.error

    def _data(self, piece: memoryview) -> None:
        self._done += len(piece)
        if self._archive is not None:
            self._archive.feed(piece)
        elif self._file is not None:
            self._file.write(piece)
        else:
            raise BackupError("the backup begins with no archive")

    def _message(self, message: Message) -> None:
        if isinstance(message, NewArchive):
            self._finish()
            if PurePosixPath(message.name).name != message.name or message.name == "backup_manifest":
                raise BackupError(f"an archive called {message.name!r}")
            if self._format == "tar":
                self._file = (self._target / message.name).open("xb")
            else:
                place = self._target if not message.tablespace else self._mapped(message.tablespace)
                self._archive = Unpacker(place, self._mapped)
        elif isinstance(message, BackupManifest):
            self._finish()
            self._file = (self._target / "backup_manifest").open("xb")
        elif self._progress is not None:
            self._progress(self._done, max(self._total, self._done))

    def _finish(self) -> None:
        """One archive is complete."""
        if self._archive is not None:
            self._archive.finish()
        self._abandon()

    def _abandon(self) -> None:
        if self._archive is not None:
            self._archive.abandon()
        if self._file is not None:
            self._file.close()
        self._archive = self._file = None

    def _mapped(self, tablespace: str) -> Path:
        new = self._tablespaces.get(tablespace)
        if new is None:
            raise BackupError(f"the tablespace in {tablespace} needs a new directory: name one in `tablespaces`")
        place = Path(new).absolute()
        if place not in self.places:
            if place.exists() and any(place.iterdir()):
                raise BackupError(f"{place} is there and not empty")
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.places.append(place)
        return place


def _sync_all(place: Path) -> None:
    for directory, _, files in os.walk(place):
        for name in files:
            handle = os.open(os.path.join(directory, name), os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_directory(Path(directory))


def _empty(place: Path) -> None:
    for entry in place.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


__all__ = ["Backup", "base_backup"]
