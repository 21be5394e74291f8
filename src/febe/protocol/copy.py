"""COPY in both directions (manual: "COPY Operations")."""

from __future__ import annotations

from febe.protocol.fields import ByteN, FormatList, Int8, String
from febe.protocol.message import LARGE, Message, Sender, message


@message("d", sender=Sender.BOTH, limit=LARGE, section="COPY Operations")
class CopyData(Message):
    """A piece of the COPY stream (F & B).  A backend sends one message a row; a frontend may cut anywhere."""

    data: ByteN


@message("c", sender=Sender.BOTH, section="COPY Operations")
class CopyDone(Message):
    """The stream is complete (F & B)."""


@message("f", sender=Sender.FRONTEND, section="COPY Operations")
class CopyFail(Message):
    """The COPY is to fail, for the reason given (F)."""

    reason: String


@message("G", sender=Sender.BACKEND, section="COPY Operations")
class CopyInResponse(Message):
    """The backend waits for the stream (B).  `format` 0 is textual, 1 binary; one format code a column."""

    format: Int8
    column_formats: FormatList


@message("H", sender=Sender.BACKEND, section="COPY Operations")
class CopyOutResponse(Message):
    """The stream follows (B)."""

    format: Int8
    column_formats: FormatList


@message("W", sender=Sender.BACKEND, section="COPY Operations", since="3.0 (PostgreSQL 9.1)")
class CopyBothResponse(Message):
    """Both sides may send (B); used only by streaming replication."""

    format: Int8
    column_formats: FormatList
