"""Messages a backend may send whenever it likes (manual: "Asynchronous Operations", "Error and Notice Message
Fields")."""

from __future__ import annotations

from febe.protocol.fields import ErrorFields, ProcessId, String
from febe.protocol.message import LARGE, Message, Sender, message


@message("E", sender=Sender.BACKEND, limit=LARGE, section="Error and Notice Message Fields")
class ErrorResponse(Message):
    """An error (B).  `fields_by_code` maps field codes to texts; S, V, C and M are always there."""

    fields_by_code: ErrorFields


@message("N", sender=Sender.BACKEND, limit=LARGE, section="Error and Notice Message Fields")
class NoticeResponse(Message):
    """A warning or an information (B)."""

    fields_by_code: ErrorFields


@message("A", sender=Sender.BACKEND, limit=LARGE, section="Asynchronous Operations")
class NotificationResponse(Message):
    """A NOTIFY by the session `process_id` (B)."""

    process_id: ProcessId
    channel: String
    payload: String
