"""`next_answer`: one step where Bind, Execute and Sync are answered and nothing else is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from febe.protocol.asynchronous import NoticeResponse
from febe.protocol.connection import Connection
from febe.protocol.extended import BindComplete
from febe.protocol.message import Sender
from febe.protocol.simple import CommandComplete, DataRow
from febe.protocol.startup import ReadyForQuery
from febe.protocol.states import State
from tests.protocol.fuzz import CORES
from tests.protocol.strategies import SIDES

REQUESTS = ("BIND", "EXECUTE", "SYNC")
ROW = DataRow(values=[b"5", None]).encode()
ANSWER = (BindComplete().encode() + ROW * 3 + CommandComplete(tag="SELECT 3").encode()
          + ReadyForQuery(status="T").encode())


def asked(times: int = 1) -> Connection:
    core = Connection(Sender.FRONTEND)
    core.state = State.IDLE
    for _ in range(times):
        core.send_requests(tuple(State[name] for name in REQUESTS), b"")
    return core


def test_in_one_step() -> None:
    core = asked(2)
    core.receive(ANSWER + ANSWER)
    for _ in range(2):
        found = core.next_answer()
        assert found is not None
        data, start, end, rows, tag_end = found
        assert (data[start:end], rows, data[end + 5:tag_end], core.transaction_status) == (ROW * 3, 3, b"SELECT 3", "T")
    assert (core.state, core.next_answer(), core.next_event()) == (State.IDLE, None, None)


@pytest.mark.parametrize("data", [
    ANSWER[:-1], ANSWER[:20], b"", NoticeResponse(fields_by_code={"S": "x"}).encode() + ANSWER,
    ANSWER.replace(b"SELECT 3\0", b"SELECT\0 3"), ANSWER.replace(b"SELECT 3\0", b"SELECT 3."), ANSWER[:-1] + b"X",
    ANSWER[:5] + b"D\0\0\0\3" + ANSWER[5:], ANSWER[:5] + b"D\x7f\xff\xff\xff" + ANSWER[5:]])
def test_anything_else_is_left_to_next_event(data: bytes) -> None:
    core = asked()
    core.receive(data)
    assert core.next_answer() is None
    assert (core.state, core.unread) == (State.BIND, len(data))


def test_a_trace_sees_each_message() -> None:
    core, seen = asked(), []
    core.trace = lambda sender, cls, data: seen.append(cls.__name__)
    core.receive(ANSWER)
    assert core.next_answer() is None
    while core.next_event() is not None:
        pass
    assert seen == ["BindComplete", "DataRow", "DataRow", "DataRow", "CommandComplete", "ReadyForQuery"]


@given(data=st.lists(st.sampled_from([*(ANSWER[pos:pos + 1] for pos in range(len(ANSWER))), ANSWER, ROW, ANSWER[:5],
                                      ANSWER[-6:], ANSWER[-20:]]), max_size=12).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_the_same_as_event_by_event(data: bytes) -> None:
    outcomes: list[Any] = []
    for kernel in CORES:
        for brief in (True, False):
            core = kernel.at(SIDES[1], State.IDLE)
            for _ in range(2):
                core.send_requests(tuple(kernel.states.State[name] for name in REQUESTS), b"")
            core.receive(data)
            heard: list[object] = []
            while brief and (found := core.next_answer()) is not None:
                answer, start, end, rows, tag_end = found
                heard += ["BindComplete()", *(answer[start + 5:end].split(ROW[:5]) if rows else [])]
                heard += [f"CommandComplete(tag={answer[end + 5:tag_end].decode()!r})",
                          f"ReadyForQuery(status={core.transaction_status!r})"]
            heard += kernel.hear(core, [b""])
            outcomes.append((heard, core.state.name, core.transaction_status, len(core._pending)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
