"""Postgres-XC and Postgres-XL: what a coordinator and its datanodes say beyond protocol 3.0.

The dialogue is switched on by the run-time parameter `remotetype` in the StartupMessage's `options`.  A coordinator
puts a request into a transaction of the whole cluster by messages that are not answered: the transaction id, the time,
the snapshot, the command's number.  Parse names its types instead of numbering them, and RowDescription names them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Annotated

from febe._kernel.fields import insufficient
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import LocalProtocolError
from febe.protocol.extended import Parse
from febe.protocol.fields import (
    INT32,
    STRING,
    UINT16,
    Choice,
    Counted,
    Int,
    Int16,
    Int32,
    Int64,
    Kind,
    Oid,
    Record,
    String,
    UInt32,
)
from febe.protocol.message import LARGE, Message, Sender, declared_fields, message
from febe.protocol.simple import RowDescription
from febe.protocol.states import ANSWERING, State, Table

_SECTION = "Postgres-XC"
_XIDS = Counted(INT32, Int(32, signed=False), least=4)


class _HostXid(Kind[int]):
    """Int32 in the byte order of a little-endian host: Postgres-XL copies it as it lies in memory."""

    notation = "Int32 (little-endian)"
    _struct = Struct("<I")

    def read(self, data: bytes, pos: int, end: int) -> tuple[int, int]:
        if end - pos < 4:
            raise insufficient()
        return self._struct.unpack_from(data, pos)[0], pos + 4

    def write(self, out: bytearray, value: int) -> None:
        if not 0 <= value < 1 << 32:
            raise LocalProtocolError(f"{value} does not fit {self.notation}", sqlstate="22003")
        out += self._struct.pack(value)


_HOST = _HostXid()
HostXid = Annotated[int, _HOST]


@message("g", sender=Sender.FRONTEND, section=_SECTION, since="Postgres-XC 1.0")
class GlobalTransactionId(Message):
    """The transaction that what follows belongs to (F); not answered."""

    gxid: UInt32


@message("t", sender=Sender.FRONTEND, section=_SECTION, since="Postgres-XC 1.0")
class GlobalTimestamp(Message):
    """The transaction manager's time, in microseconds since 2000-01-01 (F); not answered."""

    timestamp: Int64


@message("s", sender=Sender.FRONTEND, limit=LARGE, section=_SECTION, since="Postgres-XC 1.0")
class GlobalSnapshot(Message):
    """What the next request sees (F): everything before `xmin`, nothing from `xmax` on, nor `xip`; not answered."""

    xmin: UInt32
    xmax: UInt32
    recent_global_xmin: UInt32
    xip: Annotated[list[int], _XIDS]


@message("M", sender=Sender.FRONTEND, section=_SECTION, since="Postgres-XC 1.0")
class CommandId(Message):
    """The number of the next command within its transaction (F); not answered."""

    command_id: UInt32


@message("M", sender=Sender.BACKEND, section=_SECTION, since="Postgres-XC 1.0")
class CommandIdChanged(Message):
    """The datanode has used up command ids (B): this is the next."""

    command_id: UInt32


@message("b", sender=Sender.FRONTEND, section=_SECTION, since="Postgres-XC 1.0")
class Barrier(Message):
    """A point in time common to all nodes (F): P prepare, X execute, E end."""

    step: Annotated[str, Choice("PXE", "BARRIER step")]
    identifier: String


@message("b", sender=Sender.BACKEND, section=_SECTION, since="Postgres-XC 1.0")
class BarrierDone(Message):
    """The step of the barrier is done (B); no ReadyForQuery follows."""

    identifier: String


@message("P", sender=Sender.FRONTEND, limit=LARGE, section=_SECTION, since="Postgres-XC 1.0")
class NamedParse(Message):
    """Parse with the parameters' types by name, as format_type gives them (F)."""

    statement: String
    query: String
    parameter_types: Annotated[list[str], Counted(UINT16, STRING, least=1)]


@dataclass(slots=True, kw_only=True)
class NamedFieldDescription:
    """A FieldDescription with the type's name, as pg_type has it."""

    name: String
    type_name: String
    table_oid: Oid = 0
    attribute_number: Int16 = 0
    type_oid: Oid
    type_size: Int16
    type_modifier: Int32 = -1
    format: Int16 = 0


@message("T", sender=Sender.BACKEND, limit=LARGE, section=_SECTION, since="Postgres-XC 1.0")
class NamedRowDescription(Message):
    """RowDescription with the types' names (B)."""

    columns: Annotated[list[NamedFieldDescription], Counted(
        UINT16, Record(NamedFieldDescription, declared_fields(NamedFieldDescription)), least=20)]


@message("g", sender=Sender.FRONTEND, section=_SECTION, since="Postgres-XL 9.2")
class HostTransactionId(Message):
    """GlobalTransactionId in the host's byte order (F)."""

    gxid: HostXid


@message("s", sender=Sender.FRONTEND, limit=LARGE, section=_SECTION, since="Postgres-XL 9.2")
class HostSnapshot(Message):
    """GlobalSnapshot in the host's byte order, but for the count (F)."""

    xmin: HostXid
    xmax: HostXid
    recent_global_xmin: HostXid
    xip: Annotated[list[int], Counted(INT32, _HOST, least=4)]


@message("p", sender=Sender.FRONTEND, limit=LARGE, section=_SECTION, since="Postgres-XL 9.2")
class PlannedStatement(Message):
    """A statement with its plan, serialized (F); ParseComplete answers it."""

    statement: String
    query: String
    plan: String
    parameter_types: Annotated[list[str], Counted(UINT16, STRING, least=1)]


_NO_COMMAND = frozenset({State.IDLE, State.DIALECT})


def _made(name: str, *unanswered: type[Message], planned: bool = False) -> Dialect:
    backend: Table = {state: {CommandIdChanged: state} for state in ANSWERING if state not in _NO_COMMAND}
    backend[State.DIALECT] = {BarrierDone: State.ANSWERED}
    return POSTGRESQL.extended(
        name,
        requests={Barrier: State.DIALECT, **({PlannedStatement: State.PARSE} if planned else {})},
        frontend={state: dict.fromkeys(unanswered, state) for state in (*ANSWERING, State.SKIPPING)},
        backend=backend,
        replacements={Parse: NamedParse, RowDescription: NamedRowDescription})


XC = _made("Postgres-XC", GlobalTransactionId, GlobalTimestamp, GlobalSnapshot, CommandId)
"""Postgres-XC 1.x and Postgres-X2."""

XL = _made("Postgres-XL", HostTransactionId, GlobalTimestamp, HostSnapshot, CommandId, planned=True)
"""Postgres-XL 9.2 between little-endian hosts."""

REMOTE_TYPES = frozenset({"application", "coordinator", "datanode", "gtm", "gtmproxy"})
_SWITCHING = frozenset({"coordinator", "datanode"})


def remote_type(settings: Mapping[str, str]) -> str:
    """Who the client says it is: the run-time parameter `remotetype`, by default an application.

    Errors: LocalProtocolError (22023) for what is none of the five.
    """
    said = settings.get("remotetype", "application").lower()
    if said not in REMOTE_TYPES:
        raise LocalProtocolError(f'invalid value for parameter "remotetype": "{said}"', sqlstate="22023")
    return said


def is_node(settings: Mapping[str, str]) -> bool:
    """Whether the other nodes' dialect is to be spoken with a client of these settings."""
    return remote_type(settings) in _SWITCHING


__all__ = [
    "REMOTE_TYPES", "XC", "XL", "Barrier", "BarrierDone", "CommandId", "CommandIdChanged", "GlobalSnapshot",
    "GlobalTimestamp", "GlobalTransactionId", "HostSnapshot", "HostTransactionId", "NamedFieldDescription",
    "NamedParse", "NamedRowDescription", "PlannedStatement", "is_node", "remote_type"]
