"""`next_repeats`: answers to Bind and Execute that are the same bytes over and over are read in one step."""

from __future__ import annotations

import pytest

from febe.protocol.connection import Connection
from febe.protocol.extended import BindComplete
from febe.protocol.message import Sender
from febe.protocol.simple import CommandComplete
from febe.protocol.startup import ReadyForQuery
from febe.protocol.states import State

TAG = "INSERT 0 1"
ONE = BindComplete().encode() + CommandComplete(tag=TAG).encode()
OTHER = BindComplete().encode() + CommandComplete(tag="INSERT 0 2").encode()
READY = ReadyForQuery(status="I").encode()


def asked(times: int) -> Connection:
    """A core that has asked so many times."""
    core = Connection(Sender.FRONTEND)
    core.state = State.IDLE
    core.send_requests((State.BIND, State.EXECUTE) * times + (State.SYNC,), b"")
    return core


def test_as_many_as_there_are() -> None:
    core = asked(5)
    core.receive(ONE * 5 + READY)
    assert core.next_repeats(10) == (5, TAG)
    assert core.next_event() == ReadyForQuery(status="I")
    assert (core.state, core.unread, core.next_repeats(1)) == (State.IDLE, 0, None)


@pytest.mark.parametrize(("data", "most", "passed"), [
    (ONE * 2 + OTHER + ONE, 9, 2), (ONE * 4, 3, 3), (ONE * 3 + ONE[:-1], 9, 3), (ONE + READY, 9, 1)])
def test_no_more_than_are_the_same_and_whole(data: bytes, most: int, passed: int) -> None:
    core = asked(6)
    core.receive(data)
    assert core.next_repeats(most) == (passed, TAG)
    assert (core.state, core.unread) == (State.BIND, len(data) - passed * len(ONE))


@pytest.mark.parametrize("data", [
    b"", ONE[:5], ONE[:-1], READY, BindComplete().encode() * 2 + ONE, ONE[:9] + b"\4" + ONE[10:], ONE[:-1] + b"x",
    ONE[:-3] + b"\0" + ONE[-2:], b"2\0\0\0\5" + ONE[5:]])
def test_what_is_something_else_is_left_alone(data: bytes) -> None:
    core = asked(6)
    core.receive(data)
    assert core.next_repeats(9) is None
    assert (core.state, core.unread) == (State.BIND, len(data))


def test_never_more_than_were_asked_for() -> None:
    core = asked(3)
    core.receive(ONE * 5)
    assert core.next_repeats(9) == (3, TAG)
    assert core.state is State.SYNC
    assert core.next_repeats(9) is None


def test_pieces_are_put_together() -> None:
    core = asked(3)
    for byte in ONE * 2 + ONE[:7]:
        core.receive(bytes([byte]))
        core.next_repeats(1)
    assert core.unread == 7
    core.receive(ONE[7:])
    assert core.next_repeats(9) == (1, TAG)
    assert (core.state, core.unread) == (State.SYNC, 0)


def test_after_events_of_the_same_bytes_nothing_is_read_twice() -> None:
    core = asked(3)
    core.receive(ONE * 3)
    assert core.next_event() == BindComplete()
    assert core.next_repeats(9) is None
    assert core.next_event() == CommandComplete(tag=TAG)
    assert core.next_repeats(9) is None  # the frames behind it are found already
    assert core.next_event() == BindComplete()


def test_a_trace_sees_each_message() -> None:
    core = asked(3)
    core.receive(ONE * 3)
    core.trace = lambda sender, cls, data: None
    assert core.next_repeats(9) is None
