"""Simple query and what any query may be answered with (manual: "Simple Query")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from febe.protocol.fields import UINT16, Counted, Int16, Int32, Oid, Record, String, ValueList
from febe.protocol.message import LARGE, Message, Sender, declared_fields, message


@message("Q", sender=Sender.FRONTEND, limit=LARGE, section="Simple Query")
class Query(Message):
    """Run a string of SQL statements (F)."""

    query: String


@dataclass(slots=True, kw_only=True)
class FieldDescription:
    """One column of a RowDescription.

    `table_oid` and `attribute_number` are 0 when the column is no table's; `type_size` is negative for variable
    width; `format` is 0 for text, 1 for binary.
    """

    name: String
    table_oid: Oid = 0
    attribute_number: Int16 = 0
    type_oid: Oid
    type_size: Int16
    type_modifier: Int32 = -1
    format: Int16 = 0


FieldDescriptions = Annotated[
    list[FieldDescription], Counted(UINT16, Record(FieldDescription, declared_fields(FieldDescription)), least=19)]


@message("T", sender=Sender.BACKEND, limit=LARGE, section="Simple Query")
class RowDescription(Message):
    """The columns of the rows that follow (B)."""

    columns: FieldDescriptions


@message("D", sender=Sender.BACKEND, limit=LARGE, section="Simple Query")
class DataRow(Message):
    """One row, each value in the format its RowDescription or Bind gave; None is NULL (B)."""

    values: ValueList


@message("C", sender=Sender.BACKEND, section="Simple Query")
class CommandComplete(Message):
    """An SQL command completed (B); `tag` such as `INSERT 0 1`, `SELECT 5`, `BEGIN`."""

    tag: String


@message("I", sender=Sender.BACKEND, section="Simple Query")
class EmptyQueryResponse(Message):
    """The query string was empty (B); stands in for CommandComplete."""


__all__ = ["CommandComplete", "DataRow", "EmptyQueryResponse", "FieldDescription", "Query", "RowDescription"]
