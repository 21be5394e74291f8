"""Function call (manual: "Function Call")."""

from __future__ import annotations

from febe.protocol.fields import FormatList, Int16, Oid, Value, ValueList
from febe.protocol.message import LARGE, Message, Sender, message


@message("F", sender=Sender.FRONTEND, limit=LARGE, section="Function Call")
class FunctionCall(Message):
    """Call a function by OID (F).  Formats as in Bind; `result_format` 0 is text, 1 binary."""

    function_oid: Oid
    argument_formats: FormatList
    arguments: ValueList
    result_format: Int16


@message("V", sender=Sender.BACKEND, limit=LARGE, section="Function Call")
class FunctionCallResponse(Message):
    """The function's result; None is NULL (B)."""

    value: Value
