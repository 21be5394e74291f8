"""Other members of the family: a coordinator and its datanode, and messages inside CopyData."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated

import pytest

from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection, DataRowRun
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.extended import Flush, Parse, ParseComplete, Sync
from febe.protocol.fields import (
    INT32,
    STRING,
    UINT16,
    Byte1,
    ByteN,
    Counted,
    Int16,
    Int32,
    Int64,
    Oid,
    Record,
    String,
    When,
)
from febe.protocol.message import LARGE, Framing, Message, Sender, declared_fields, message
from febe.protocol.simple import CommandComplete, DataRow, Query, RowDescription
from febe.protocol.startup import ReadyForQuery, StartupMessage
from febe.protocol.states import ANSWERING, State
from febe.protocol.trace import Hide, Tracer
from tests.protocol.golden import FIRST
from tests.protocol.strategies import OTHER, SIDES

F, B = SIDES

# Postgres-XC: three messages without an answer before a request, types by name in Parse and RowDescription.


@message("g", sender=F, section="Postgres-XC")
class GXID(Message):
    """The transaction the next request belongs to."""

    gxid: Int32


@message("t", sender=F, section="Postgres-XC")
class Timestamp(Message):
    """The coordinator's time."""

    timestamp: Int64


@message("s", sender=F, section="Postgres-XC", limit=LARGE)
class Snapshot(Message):
    """What the next request may see."""

    xmin: Int32
    xmax: Int32
    recent_global_xmin: Int32
    xip: Annotated[list[int], Counted(INT32, INT32, least=4)]


@message("b", sender=F, section="Postgres-XC")
class Barrier(Message):
    """A point in time common to all nodes."""

    identifier: String


@message("b", sender=B, section="Postgres-XC")
class BarrierDone(Message):
    """The barrier is there; no ReadyForQuery follows."""

    identifier: String


@message("P", sender=F, limit=LARGE, section="Postgres-XC")
class ParseByName(Message):
    """Parse with the parameter types by name."""

    statement: String
    query: String
    parameter_types: Annotated[list[str], Counted(UINT16, STRING, least=1)]


@dataclass(slots=True, kw_only=True)
class NamedColumn:
    """A column with its type's name."""

    name: String
    type_name: String
    table_oid: Oid
    attribute_number: Int16
    type_oid: Oid
    type_size: Int16
    type_modifier: Int32
    format: Int16


@message("T", sender=B, limit=LARGE, section="Postgres-XC")
class NamedRowDescription(Message):
    """RowDescription with the types' names."""

    columns: Annotated[list[NamedColumn], Counted(UINT16, Record(NamedColumn, declared_fields(NamedColumn)), least=20)]


XC = POSTGRESQL.extended(
    "Postgres-XC",
    requests={Barrier: State.DIALECT},
    frontend={state: dict.fromkeys((GXID, Timestamp, Snapshot), state) for state in (*ANSWERING, State.SKIPPING)},
    backend={State.DIALECT: {BarrierDone: State.ANSWERED}},
    replacements={Parse: ParseByName, RowDescription: NamedRowDescription},
)

PARSE = ParseByName(statement="", query="INSERT INTO public.t (a, b) VALUES ($1, $2)",
                    parameter_types=["integer", "text"])
COLUMNS = NamedRowDescription(columns=[NamedColumn(
    name="a", type_name="int4", table_oid=0, attribute_number=0, type_oid=23, type_size=4, type_modifier=-1, format=0)])


def talk(cores: dict[Sender, Connection], sender: Sender, *messages: Message) -> None:
    peer = cores[OTHER[sender]]
    peer.receive(cores[sender].send(*messages))
    heard: list[object] = []
    while (event := peer.next_event()) is not None:
        heard += event.messages() if isinstance(event, DataRowRun) else [event]
    assert heard == [message for message in messages if type(message) is not Flush]
    assert cores[F].state is cores[B].state


def started(dialect: Dialect) -> dict[Sender, Connection]:
    cores = {side: Connection(side, dialect=dialect) for side in SIDES}
    talk(cores, F, FIRST[StartupMessage])
    talk(cores, B, FIRST[AuthenticationOk], ReadyForQuery(status="I"))
    return cores


def test_a_coordinator_and_a_datanode() -> None:
    cores = started(XC)
    talk(cores, F, GXID(gxid=801), Timestamp(timestamp=1 << 40),
         Snapshot(xmin=1, xmax=3, recent_global_xmin=1, xip=[2]), Query(query="select a from t"))
    talk(cores, B, COLUMNS, DataRow(values=[b"1"]), CommandComplete(tag="SELECT 1"), ReadyForQuery(status="T"))
    talk(cores, F, GXID(gxid=802), PARSE, GXID(gxid=803), Sync())
    talk(cores, B, ParseComplete(), ReadyForQuery(status="I"))
    talk(cores, F, Barrier(identifier="one"), Query(query="select 1"))
    talk(cores, B, FIRST[NoticeResponse], BarrierDone(identifier="one"), CommandComplete(tag="SELECT 1"))
    assert cores[F].state is State.QUERY_NEXT


def test_its_bytes() -> None:
    assert GXID(gxid=801).encode() == b"g\0\0\0\x08\0\0\x03\x21"
    assert Timestamp(timestamp=1).encode() == b"t\0\0\0\x0c\0\0\0\0\0\0\0\1"
    assert Snapshot(xmin=1, xmax=2, recent_global_xmin=3, xip=[4]).encode() == \
        b"s\0\0\0\x18\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\1\0\0\0\4"
    assert PARSE.encode().endswith(b"\0\0\2integer\0text\0")
    assert COLUMNS.encode()[7:15] == b"a\0int4\0\0"


def test_what_the_dialect_has_not() -> None:
    cores = started(XC)
    for foreign in (Parse(statement="", query="", parameter_types=[]), BarrierDone(identifier="")):
        with pytest.raises(LocalProtocolError):
            cores[F].send(foreign)
    with pytest.raises(LocalProtocolError):
        cores[B].send(BarrierDone(identifier=""))
    with pytest.raises(LocalProtocolError):
        started(POSTGRESQL)[F].send(GXID(gxid=1))
    plain = started(POSTGRESQL)[B]
    plain.receive(GXID(gxid=1).encode())
    with pytest.raises(RemoteProtocolError, match="invalid frontend message type 103"):
        plain.next_event()


def test_skipping_takes_the_dialects_messages_along() -> None:
    cores = started(XC)
    talk(cores, F, PARSE)
    talk(cores, B, FIRST[ErrorResponse])
    cores[B].receive(cores[F].send(GXID(gxid=1), Barrier(identifier=""), Sync()))
    assert [type(event) for event in iter(cores[B].next_event, None)] == [GXID, Sync]
    assert cores[F].state is cores[B].state is State.SYNC


def test_two_messages_of_one_byte_in_one_state_are_refused() -> None:
    with pytest.raises(ValueError, match="shares its type byte"):
        POSTGRESQL.extended("twice", frontend={State.IDLE: {ParseByName: State.IDLE}})


# Messages inside CopyData: streaming replication's WAL, and a logical change with a field that only streams have.


@message("w", sender=B, section="Streaming Replication Protocol", framing=Framing.PAYLOAD)
class XLogData(Message):
    """A piece of the write-ahead log."""

    start: Int64
    end: Int64
    sent: Int64
    data: ByteN


@message("I", sender=B, section="Logical Replication Message Formats", framing=Framing.PAYLOAD)
class Insert(Message):
    """A row was inserted; `xid` only inside a stream."""

    xid: Annotated[int | None, When("stream", INT32)] = None
    relation: Oid
    new: Byte1
    rest: ByteN


def test_payloads() -> None:
    wal = XLogData(start=1, end=2, sent=3, data=b"x")
    data = b"w" + b"\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3" + b"x"
    assert wal.encode() == data
    assert XLogData.decode(data, 1, len(data)) == wal
    with pytest.raises(RemoteProtocolError):
        XLogData.decode(data, 1, 20)
    out = io.StringIO()
    Tracer(out)(B, XLogData, data)
    assert out.getvalue() == "B\t26\tXLogData\t 1 2 3 'x'\n"


@pytest.mark.parametrize(("xid", "when", "head"), [(None, (), b""), (7, ("stream",), b"\0\0\0\7")])
def test_a_field_that_depends_on_the_conversation(xid: int | None, when: tuple[str, ...], head: bytes) -> None:
    change = Insert(xid=xid, relation=16384, new="N", rest=b"\0\0")
    data = b"I" + head + b"\0\0\x40\0N\0\0"
    assert change.encode() == data
    assert Insert.decode(data, 1, len(data), when) == change
    assert change.trace(Hide(0)) == (" 7" if xid else "") + " 16384 N '\\x00\\x00'"
