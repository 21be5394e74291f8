"""What CopyData messages hold in streaming replication and in base backups (manual: "Streaming Replication Protocol").

    payload = read_payload(STREAMING[Sender.BACKEND], body)

Positions are ints, times microseconds since 2000-01-01 (`febe.protocol.lsn`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from febe.protocol.errors import RemoteProtocolError
from febe.protocol.fields import ByteN, IfLeft, Int, Int8, Int64, Record, String, UInt32
from febe.protocol.message import LARGE, Framing, Message, Sender, declared_fields, message

_SECTION = "Streaming Replication Protocol"
_BACKUP = "Base Backup"

Lsn = Annotated[int, Int(64, signed=False)]
Microseconds = Int64


@message("w", sender=Sender.BACKEND, framing=Framing.PAYLOAD, limit=LARGE, section=_SECTION)
class XLogData(Message):
    """A piece of the write-ahead log, or a message of a logical decoding plugin (B).

    `start_lsn` is where the data begins, `end_lsn` where the server's log ends.  Of logical decoding both are the
    record's position, and 0 but for the last message that a record gives rise to.
    """

    start_lsn: Lsn
    end_lsn: Lsn
    sent_at: Microseconds
    data: ByteN


@message("k", sender=Sender.BACKEND, framing=Framing.PAYLOAD, section=_SECTION, since="3.0 (PostgreSQL 9.2)")
class PrimaryKeepalive(Message):
    """The server's log ends here (B); with `reply_requested` 1 it wants a StandbyStatusUpdate at once."""

    end_lsn: Lsn
    sent_at: Microseconds
    reply_requested: Int8


@message("s", sender=Sender.BACKEND, framing=Framing.PAYLOAD, section=_SECTION, since="3.0 (PostgreSQL 19)")
class PrimaryStatusUpdate(Message):
    """What the primary is at (B), asked for with PrimaryStatusRequest; transaction ids with their epoch."""

    lsn: Lsn
    oldest_xid: Int64
    next_xid: Int64
    sent_at: Microseconds


@message("r", sender=Sender.FRONTEND, framing=Framing.PAYLOAD, section=_SECTION, since="3.0 (PostgreSQL 9.1)")
class StandbyStatusUpdate(Message):
    """How far the log is received, safe on disk, and applied: each the position after the last byte (F)."""

    written: Lsn
    flushed: Lsn
    applied: Lsn
    sent_at: Microseconds
    reply_requested: Int8


@dataclass(slots=True, kw_only=True)
class CatalogHorizon:
    """The oldest transaction whose system catalogs the standby still needs, for its slots."""

    xmin: UInt32
    epoch: UInt32


@message("h", sender=Sender.FRONTEND, framing=Framing.PAYLOAD, section=_SECTION, since="3.0 (PostgreSQL 9.1)")
class HotStandbyFeedback(Message):
    """The oldest transactions that the standby's queries still see (F); 0 for none.

    `catalog` is not there before PostgreSQL 10.
    """

    sent_at: Microseconds
    xmin: UInt32
    epoch: UInt32
    catalog: Annotated[CatalogHorizon | None, IfLeft(
        Record(CatalogHorizon, declared_fields(CatalogHorizon)))] = None


@message("p", sender=Sender.FRONTEND, framing=Framing.PAYLOAD, section=_SECTION, since="3.0 (PostgreSQL 19)")
class PrimaryStatusRequest(Message):
    """Asks for a PrimaryStatusUpdate (F)."""

    sent_at: Microseconds


@message("n", sender=Sender.BACKEND, framing=Framing.PAYLOAD, section=_BACKUP, since="3.0 (PostgreSQL 15)")
class NewArchive(Message):
    """An archive begins (B); `tablespace` is the directory of its tablespace, empty for the main one."""

    name: String
    tablespace: String


@message("m", sender=Sender.BACKEND, framing=Framing.PAYLOAD, section=_BACKUP, since="3.0 (PostgreSQL 15)")
class BackupManifest(Message):
    """The manifest begins (B)."""


@message("d", sender=Sender.BACKEND, framing=Framing.PAYLOAD, limit=LARGE, section=_BACKUP,
         since="3.0 (PostgreSQL 15)")
class BackupData(Message):
    """A piece of the archive or manifest (B)."""

    data: ByteN


@message("p", sender=Sender.BACKEND, framing=Framing.PAYLOAD, section=_BACKUP, since="3.0 (PostgreSQL 15)")
class BackupProgress(Message):
    """How many bytes of the current tablespace are done (B)."""

    done: Int64


Payloads = Mapping[int, type[Message]]


def by_byte(*classes: type[Message]) -> Payloads:
    """Messages by type byte."""
    return {ord(cls.type): cls for cls in classes}


STREAMING: Mapping[Sender, Payloads] = {
    Sender.BACKEND: by_byte(XLogData, PrimaryKeepalive, PrimaryStatusUpdate),
    Sender.FRONTEND: by_byte(StandbyStatusUpdate, HotStandbyFeedback, PrimaryStatusRequest),
}
"""What may lie in CopyData after START_REPLICATION, by sender."""

BACKUP: Payloads = by_byte(NewArchive, BackupManifest, BackupData, BackupProgress)
"""What may lie in CopyData after BASE_BACKUP, from PostgreSQL 15 on; before, it is the archive itself."""


def read_payload(table: Payloads, data: bytes) -> Message:
    """The message that a CopyData's content is.  Errors: RemoteProtocolError."""
    if not data:
        raise RemoteProtocolError("insufficient data left in message")
    cls = table.get(data[0])
    if cls is None:
        raise RemoteProtocolError(f'unexpected message type "{chr(data[0])}" inside CopyData')
    return cls.decode(data, 1, len(data))


__all__ = [
    "BACKUP", "STREAMING", "BackupData", "BackupManifest", "BackupProgress", "CatalogHorizon", "HotStandbyFeedback",
    "Lsn", "Microseconds", "NewArchive", "Payloads", "PrimaryKeepalive", "PrimaryStatusRequest", "PrimaryStatusUpdate",
    "StandbyStatusUpdate", "XLogData", "by_byte", "read_payload"]
