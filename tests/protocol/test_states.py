"""Every state and every message, in both roles and both directions."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import pytest

from febe.protocol.connection import Connection, CopyDataRun, DataRowRun, Event
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.message import Framing, Message, Sender
from febe.protocol.states import BACKEND, COPYING_IN, FRONTEND, REQUESTS, State
from tests.protocol.golden import FIRST
from tests.protocol.strategies import ALL, OTHER, SIDES

ENTRIES = (State.QUEUED, State.DROPPED, State.ANSWERED)
STATES = [state for state in State if state not in ENTRIES]
TABLES = {Sender.FRONTEND: FRONTEND, Sender.BACKEND: BACKEND}
PAIRS = [(sender, state) for sender in SIDES for state in STATES]
IDS = [f"{sender.value}-{state.name}" for sender, state in PAIRS]


def expected(sender: Sender, state: State, message: Message) -> State | None:
    """The state that the table promises when nothing else is under way; None: illegal."""
    after = TABLES[sender].get(state, {}).get(type(message))
    if after is State.QUEUED:
        answer = REQUESTS[type(message)]
        own = answer if isinstance(answer, State) else answer(message)
        return own if state is State.IDLE else state
    return {State.DROPPED: state, State.ANSWERED: State.IDLE}.get(after, after) if after is not None else None


def at(role: Sender, state: State) -> Connection:
    connection = Connection(role)
    connection.state = state
    return connection


@pytest.mark.parametrize(("sender", "state"), PAIRS, ids=IDS)
def test_every_message(sender: Sender, state: State) -> None:
    for cls in ALL:
        try:
            sending(sender, state, cls)
            receiving(sender, state, cls)
        except BaseException as error:
            error.add_note(f"with {cls.__name__} from {sender.name} while {state.name}")
            raise


def sending(sender: Sender, state: State, cls: type[Message]) -> None:
    connection, message = at(sender, state), FIRST[cls]
    before = connection.state, connection.transaction_status, copy.copy(connection._pending)
    after = expected(sender, state, message)
    if after is None:
        with pytest.raises(LocalProtocolError) as error:
            connection.send(message)
        assert error.value.sqlstate == "08P01"
        assert not error.value.fatal
        assert (connection.state, connection.transaction_status, connection._pending) == before
    else:
        assert connection.send(message) == message.encode()
        assert connection.state is after
        queued = TABLES[sender][state][cls] is State.QUEUED and state is not State.IDLE
        assert len(connection._pending) == queued


def receiving(sender: Sender, state: State, cls: type[Message]) -> None:
    connection, message = at(OTHER[sender], state), FIRST[cls]
    after = expected(sender, state, message)
    if after is None and taken_for_another(sender, state, cls):
        return
    connection.receive(message.encode())
    if after is None:
        if cls.framing is Framing.BYTE:
            # perhaps the beginning of a longer message, but no message
            with contextlib.suppress(RemoteProtocolError):
                assert connection.next_event() is None
            assert connection.state is state
            return
        with pytest.raises(RemoteProtocolError) as error:
            connection.next_event()
        assert error.value.sqlstate == ("0A000" if first_packet(sender, state) and cls.framing is Framing.STARTUP
                                        else "08P01")
        assert connection.state is state
        assert not connection._pending
        if error.value.fatal:                                  # and stays so
            with pytest.raises(RemoteProtocolError):
                connection.next_event()
        else:
            assert state in COPYING_IN
            assert connection.next_event() is None
    else:
        dropped = TABLES[sender][state][cls] is State.DROPPED
        assert list(events(connection)) == ([] if dropped else [message])
        assert connection.state is after


def first_packet(sender: Sender, state: State) -> bool:
    return sender is Sender.FRONTEND and any(
        legal.framing is Framing.STARTUP for legal in FRONTEND.get(state, {}))


def taken_for_another(sender: Sender, state: State, cls: type[Message]) -> bool:
    """Whether the bytes are those of another message that is legal: the password messages, and the one-byte answers,
    after which whatever follows is of the next state."""
    row = TABLES[sender].get(state, {})
    if any(legal.framing is Framing.BYTE for legal in row):
        return any(legal.type == cls.type for legal in row)
    return any(legal.type == cls.type and legal.framing is cls.framing and legal.code == cls.code for legal in row)


def events(connection: Connection) -> Iterator[Event]:
    while (event := connection.next_event()) is not None:
        if isinstance(event, DataRowRun | CopyDataRun):
            yield from event.messages()
        else:
            yield event


def test_every_state_can_be_reached_and_left() -> None:
    """From START by the tables; all but the ends lead on."""
    follows: dict[State, set[State]] = {state: set() for state in STATES}
    for table in TABLES.values():
        for state, row in table.items():
            for cls, after in row.items():
                if after is State.QUEUED:
                    answer = REQUESTS[cls]
                    follows[state] |= {answer} if isinstance(answer, State) else {
                        State.DESCRIBE_STATEMENT, State.DESCRIBE}
                elif after is State.ANSWERED:
                    follows[state].add(State.IDLE)
                elif after is not State.DROPPED:
                    follows[state].add(after)
    reached, todo = {State.START}, [State.START]
    while todo:
        new = follows[todo.pop()] - reached
        reached |= new
        todo += new
    assert reached == {*STATES} - {State.DIALECT}
    assert {state for state in STATES if not follows[state] - {state}} == {State.TERMINATED, State.CLOSED}


def test_tables_hold_no_entry_for_the_other_sender() -> None:
    for sender, table in TABLES.items():
        for row in table.values():
            for cls in row:
                assert cls.sender in (sender, Sender.BOTH)
