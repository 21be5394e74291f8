"""The dialogue of a real coordinator and datanode, byte for byte, in both roles."""

from __future__ import annotations

import pytest

from febe.protocol import xc
from febe.protocol.connection import Connection, CopyDataRun, DataRowRun
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.message import Message, Sender
from febe.protocol.simple import Query
from febe.protocol.startup import StartupMessage
from febe.protocol.states import State
from tests.xc.vectors import vectors

F, B = Sender.FRONTEND, Sender.BACKEND


def events(core: Connection) -> list[Message]:
    found: list[Message] = []
    while (event := core.next_event()) is not None:
        found += event.messages() if isinstance(event, DataRowRun | CopyDataRun) else [event]  # type: ignore[list-item]
    return found


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "switched after StartupMessage"])
def test_the_dialogue_is_read_and_said_byte_for_byte(late: bool) -> None:
    cores = {F: Connection(F, dialect=xc.XC), B: Connection(B, dialect=POSTGRESQL if late else xc.XC)}
    seen = set()
    for sender, data in vectors():
        peer = cores[B if sender is F else F]
        peer.receive(data)
        (message,) = events(peer)
        if isinstance(message, StartupMessage) and late:
            peer.speak(xc.XC)
        assert cores[sender].send(message) == data
        assert cores[F].state is cores[B].state
        seen.add(type(message))
    assert cores[F].state is State.IDLE
    assert {xc.GlobalTransactionId, xc.GlobalTimestamp, xc.GlobalSnapshot, xc.CommandId, xc.CommandIdChanged,
            xc.NamedParse, xc.NamedRowDescription} <= seen


def started(dialect: Dialect) -> dict[Sender, Connection]:
    cores = {side: Connection(side, dialect=dialect) for side in (F, B)}
    for count, (sender, data) in enumerate(vectors()):
        peer = cores[B if sender is F else F]
        peer.receive(data)
        for message in events(peer):
            cores[sender].send(message)
        if count == 14:
            return cores
    raise AssertionError("the log is too short")


GOLDEN: list[tuple[Message, bytes]] = [
    (xc.Barrier(step="P", identifier="b1"), b"b\0\0\0\x08Pb1\0"),
    (xc.BarrierDone(identifier="b1"), b"b\0\0\0\x07b1\0"),
    (xc.GlobalSnapshot(xmin=1, xmax=2, recent_global_xmin=3, xip=[4294967295]),
     b"s\0\0\0\x18\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\1\xff\xff\xff\xff"),
    (xc.HostTransactionId(gxid=10021), b"g\0\0\0\x08\x25\x27\0\0"),
    (xc.HostSnapshot(xmin=1, xmax=2, recent_global_xmin=3, xip=[4]),
     b"s\0\0\0\x18\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0\1\4\0\0\0"),
    (xc.PlannedStatement(statement="s", query="q", plan="p", parameter_types=["integer"]),
     b"p\0\0\0\x14s\0q\0p\0\0\1integer\0"),
]


@pytest.mark.parametrize(("message", "data"), GOLDEN, ids=lambda value: type(value).__name__)
def test_messages_that_the_log_does_not_have(message: Message, data: bytes) -> None:
    assert message.encode() == data
    assert type(message).decode(data, 5, len(data)) == message
    for end in range(5, len(data)):
        with pytest.raises(RemoteProtocolError):
            type(message).decode(data[:end], 5, end)


def test_a_barrier_is_answered_without_ready_for_query() -> None:
    cores = started(xc.XC)
    for step in "PXE":
        cores[B].receive(cores[F].send(xc.Barrier(step=step, identifier="one")))
        assert events(cores[B]) == [xc.Barrier(step=step, identifier="one")]
        cores[F].receive(cores[B].send(xc.BarrierDone(identifier="one")))
        assert events(cores[F]) == [xc.BarrierDone(identifier="one")]
        assert cores[F].state is cores[B].state is State.IDLE


def test_xl_writes_transaction_ids_as_they_lie_in_memory_and_sends_plans() -> None:
    cores = started(xc.XL)
    said = [xc.HostTransactionId(gxid=1), xc.GlobalTimestamp(timestamp=2), xc.CommandId(command_id=3),
            xc.HostSnapshot(xmin=1, xmax=2, recent_global_xmin=3, xip=[]),
            xc.PlannedStatement(statement="", query="q", plan="{}", parameter_types=[])]
    cores[B].receive(cores[F].send(*said))
    assert events(cores[B]) == said
    assert cores[F].state is cores[B].state is State.PARSE
    with pytest.raises(LocalProtocolError):
        cores[F].send(xc.GlobalTransactionId(gxid=1))


def test_postgresql_knows_none_of_it() -> None:
    core = Connection(B)
    with pytest.raises(LocalProtocolError):
        core.send(xc.CommandIdChanged(command_id=1))
    with pytest.raises(LocalProtocolError):
        started(xc.XC)[B].send(Query(query=""))


def test_remotetype_switches() -> None:
    assert not xc.is_node({})
    assert not xc.is_node({"remotetype": "application"})
    assert xc.is_node({"remotetype": "Coordinator"})
    with pytest.raises(LocalProtocolError) as error:
        xc.remote_type({"remotetype": "toaster"})
    assert error.value.sqlstate == "22023"
