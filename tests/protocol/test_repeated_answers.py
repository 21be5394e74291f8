"""`next_repeats`: answers to Bind and Execute that are the same bytes over and over are passed over in one step."""

from __future__ import annotations

import pytest

from febe.protocol.connection import Connection
from febe.protocol.extended import BindComplete
from febe.protocol.message import Sender
from febe.protocol.simple import CommandComplete
from febe.protocol.startup import ReadyForQuery
from febe.protocol.states import State

ONE = BindComplete().encode() + CommandComplete(tag="INSERT 0 1").encode()
OTHER = BindComplete().encode() + CommandComplete(tag="INSERT 0 2").encode()
READY = ReadyForQuery(status="I").encode()


def asked(times: int, data: bytes) -> Connection:
    """A core that has asked so many times, and has read the first answer."""
    core = Connection(Sender.FRONTEND)
    core.state = State.IDLE
    core.send_requests((State.BIND, State.EXECUTE) * times + (State.SYNC,), b"")
    core.receive(data)
    assert isinstance(core.next_event(), BindComplete)
    assert core.next_event() == CommandComplete(tag="INSERT 0 1")
    return core


def test_as_many_as_there_are() -> None:
    core = asked(5, ONE * 5 + READY)
    assert core.next_repeats(len(ONE), 10) == 4
    assert core.next_event() == ReadyForQuery(status="I")
    assert (core.state, core.unread, core.next_repeats(len(ONE), 1)) == (State.IDLE, 0, 0)


@pytest.mark.parametrize(("rest", "most", "passed"), [
    (ONE * 2 + OTHER + ONE, 9, 2), (OTHER, 9, 0), (ONE * 4, 3, 3), (ONE * 3 + ONE[:-1], 9, 3), (b"", 9, 0),
    (ONE + READY, 9, 1)])
def test_no_more_than_are_the_same_and_whole(rest: bytes, most: int, passed: int) -> None:
    core = asked(6, ONE + rest)
    assert core.next_repeats(len(ONE), most) == passed
    assert (core.state, core.unread) == (State.BIND, len(rest) - passed * len(ONE))


def test_never_more_than_were_asked_for() -> None:
    core = asked(3, ONE * 5)
    assert core.next_repeats(len(ONE), 9) == 2
    assert core.state is State.SYNC


def test_a_wrong_size_passes_nothing() -> None:
    core = asked(3, ONE * 3)
    assert [core.next_repeats(size, 9) for size in (1, 5, len(ONE) - 1, len(ONE) + 1, 2 * len(ONE))] == [0] * 5


def test_a_trace_sees_each_message() -> None:
    core = asked(3, ONE * 3)
    core.trace = lambda sender, cls, data: None
    assert core.next_repeats(len(ONE), 9) == 0
