"""The write-ahead log, streamed into segment files as pg_receivewal does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from febe.client.options import Options, resolve
from febe.client.run_blocking import Runner, open_session, runner
from febe.flows import replicate
from febe.flows.close import close
from febe.flows.session import Session
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyDone
from febe.protocol.errors import PostgresError
from febe.protocol.lsn import from_unix, parse_lsn
from febe.protocol.message import Sender
from febe.protocol.replication import STREAMING, PrimaryKeepalive, StandbyStatusUpdate, XLogData, read_payload
from febe.protocol.replication_commands import (
    CreateReplicationSlot,
    IdentifySystem,
    ReadReplicationSlot,
    Show,
    StartReplication,
    TimelineHistory,
)
from febe.replication.segments import PARTIAL, Segments, history_name, resume_at
from febe.replication.slots import text

_UNITS = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}

Progress = Callable[[int], object]


@dataclass(slots=True, kw_only=True)
class WalEnd:
    """Up to where the log was received, and on which timeline."""

    position: int
    timeline: int


def receive_wal(conninfo: str = "", directory: str | Path = ".", *, slot: str | None = None, create: bool = False,
                start: int | str | None = None, until: int | str | None = None, synchronous: bool = False,
                progress: Progress | None = None, **options: object) -> WalEnd:
    """Receive the log of a PostgreSQL 10 or later into a directory of segment files, up to `until` or for ever.

    It goes on where the files in the directory end, else at `start`, else where the slot is, else at the beginning of
    the segment that the server is writing.  `create` makes the slot if it is not there.  The server hears what is safe
    on disk when a segment is complete, and after every piece with `synchronous`.  `progress` is called with the
    position.  New timelines are followed, and their history files kept.

    Errors: PostgresError, ConnectionLost, BackupError, OSError.
    """
    target = Path(directory)
    target.mkdir(parents=True, exist_ok=True)
    given = cast(Options, options)
    session = open_session(resolve(conninfo, {**given, "settings": {
        **given.get("settings", {}), "replication": "true"}}))
    run = runner(session)
    try:
        timeline, position = _identify(session, run)
        size = segment_size(session, run)
        if slot is not None and create:
            _create(session, run, slot)
        resumed = resume_at(target, size)
        if resumed is not None:
            timeline, position = resumed
        elif start is not None:
            position = _position(start)
        elif slot is not None and (kept := _read(session, run, slot)) is not None:
            timeline, position = kept
        receiver = WalReceiver(session, target, size, slot=slot, synchronous=synchronous, progress=progress)
        return receiver.follow(timeline, position - position % size, None if until is None else _position(until))
    finally:
        run(close(session))


def segment_size(session: Session, run: Runner) -> int:
    """How many bytes a segment has on this server."""
    if replicate.major_version(session) < 11:
        return 16 << 20  # a constant of the build until then
    said = text(run(replicate.command(session, Show(name="wal_segment_size"))).rows[0][0])
    digits = said.rstrip("BkMG")
    return int(digits) * _UNITS[said[len(digits):] or "B"]


class WalReceiver:
    """Writes what one connection streams."""

    def __init__(self, session: Session, directory: Path, size: int, *, slot: str | None = None,
                 synchronous: bool = False, progress: Progress | None = None, partial: str = PARTIAL) -> None:
        self._session, self._directory, self._size = session, directory, size
        self._slot, self._synchronous, self._progress, self._partial = slot, synchronous, progress, partial
        self._run = runner(session)

    def follow(self, timeline: int, start: int, until: int | None) -> WalEnd:
        """Receive from a segment's beginning up to a position, over as many timelines as there are."""
        while True:
            self._keep_history(timeline)
            segments = Segments(self._directory, timeline, start, size=self._size, partial=self._partial)
            try:
                begun = self._run(replicate.start(self._session, StartReplication(
                    slot=self._slot, lsn=start, timeline=timeline)))
                reply = begun if begun.rows else self._receive(segments, until)
            finally:
                segments.close()
            if until is not None and segments.position >= until:
                return WalEnd(position=segments.position, timeline=timeline)
            if not reply.rows:
                return WalEnd(position=segments.position, timeline=timeline)  # the server is shutting down
            timeline = int(reply.rows[0][0] or 0)
            switched = parse_lsn(text(reply.rows[0][1]))
            start = switched - switched % self._size

    def _receive(self, segments: Segments, until: int | None) -> replicate.Reply:
        """Write until the position is reached or the timeline ends."""
        session, run = self._session, self._run
        reply, ended = replicate.Reply(), False
        while not ended and (until is None or segments.position < until):
            flushed, wanted = segments.flushed, False
            for event in run(replicate.receive(session)):
                if isinstance(event, CopyDataRun):
                    for body in event.bodies():
                        payload = read_payload(STREAMING[Sender.BACKEND], body)
                        if isinstance(payload, XLogData):
                            segments.write(payload.start_lsn, payload.data)
                        elif isinstance(payload, PrimaryKeepalive):
                            wanted = wanted or bool(payload.reply_requested)
                else:
                    ended = True
                    replicate.note(session, reply, event)
            if self._synchronous or ended:
                segments.sync()
            if not ended and (wanted or segments.flushed > flushed):
                self._tell(segments)
            if self._progress is not None:
                self._progress(segments.position)
        if not ended:
            segments.sync()
            self._tell(segments)
        run(replicate.finish_reply(session, reply, b"" if ended else session.core.send(CopyDone())))
        if reply.error is not None:
            raise reply.error
        return reply

    def _tell(self, segments: Segments) -> None:
        self._run(replicate.send(self._session, StandbyStatusUpdate(
            written=segments.position, flushed=segments.flushed, applied=0, sent_at=from_unix(time.time()),
            reply_requested=0)))

    def _keep_history(self, timeline: int) -> None:
        path = self._directory / history_name(timeline)
        if timeline > 1 and not path.exists():
            content = self._run(replicate.command(self._session, TimelineHistory(timeline=timeline))).rows[0][1] or b""
            path.write_bytes(content)


def _identify(session: Session, run: Runner) -> tuple[int, int]:
    row = run(replicate.command(session, IdentifySystem())).rows[0]
    return int(row[1] or 0), parse_lsn(text(row[2]))


def _create(session: Session, run: Runner, slot: str) -> None:
    try:
        run(replicate.command(session, CreateReplicationSlot(slot=slot, options={"reserve_wal": None})))
    except PostgresError as error:
        if error.sqlstate != "42710":
            raise


def _read(session: Session, run: Runner, slot: str) -> tuple[int, int] | None:
    """Timeline and position of a slot, where the server tells (15)."""
    if replicate.major_version(session) < 15:
        return None
    _, position, timeline = run(replicate.command(session, ReadReplicationSlot(slot=slot))).rows[0][:3]
    return None if position is None else (int(timeline or 0), parse_lsn(text(position)))


def _position(value: int | str) -> int:
    return parse_lsn(value) if isinstance(value, str) else value


__all__ = ["WalEnd", "WalReceiver", "receive_wal", "segment_size"]
