"""Valid and mutated bytes of every message, derived from the declarations."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from febe.protocol.connection import Connection
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.message import Framing, Message
from febe.protocol.states import BACKEND, FRONTEND, State
from tests.protocol.fuzz import CORES
from tests.protocol.golden import GOLDEN
from tests.protocol.strategies import ALL, OTHER, SIDES, body_start, decoded, messages

F, B = SIDES
TABLES = {F: FRONTEND, B: BACKEND}
STATES = [(sender, state) for sender in SIDES for state, row in TABLES[sender].items() if row]
typed_bytes = st.sampled_from([data for message, data in GOLDEN if message.framing is Framing.TYPED])


@pytest.mark.parametrize("cls", ALL)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_round_trip(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    encoded = message.encode()
    assert decoded(cls, encoded) == message
    assert decoded(cls, encoded).encode() == encoded
    message.trace()


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls.fields])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_body_is_read_or_refused(cls: type[Message], data: st.DataObject) -> None:
    """A body that is read writes back, and reads again, as the same message."""
    whole = data.draw(messages(cls)).encode()
    mutated = data.draw(mutations(whole[body_start(cls):]))
    try:
        message = cls.decode(mutated, 0, len(mutated))
    except RemoteProtocolError as error:
        assert error.sqlstate == "08P01"
    else:
        assert decoded(cls, message.encode()) == message


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        pos = draw(st.integers(0, len(out)))
        match draw(st.integers(0, 3)):
            case 0:
                out[pos:pos + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del out[pos:pos + draw(st.integers(1, 8))]
            case 2:
                out[pos:pos] = draw(st.binary(max_size=8))
            case _:
                out[pos:pos + 4] = draw(st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]))
    return bytes(out)


@given(sender_and_state=st.sampled_from(STATES), parts=st.lists(typed_bytes, max_size=6), data=st.data())
@example((B, State.STARTED), [], None)
@settings(max_examples=500, deadline=None)
def test_any_bytes_in_any_state(sender_and_state: tuple[Any, State], parts: list[bytes],
                                data: st.DataObject | None) -> None:
    """No exception but RemoteProtocolError, and the same whatever the cuts."""
    sender, state = sender_and_state
    stream = b"".join(parts)
    cuts: list[int] = []
    if data is not None:
        stream = data.draw(mutations(stream))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    if state.name.endswith(("_ASKED", "_ASKED_LAST")) and stream[:1] in (b"S", b"G"):
        return  # what follows in clear is refused when it is there, and belongs to TLS when it comes later
    bounds = [0, *cuts, len(stream)]
    outcomes = []
    for pieces in ([stream], [stream[a:b] for a, b in pairwise(bounds)],
                   [stream[pos:pos + 1] for pos in range(len(stream))]):
        core = Connection(OTHER[sender])
        core.state = state
        outcomes.append((CORES[0].hear(core, pieces), core.state, core.transaction_status, core._pending))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_long_message_takes_no_room_before_it_is_there() -> None:
    for role, header in ((B, b"Q\x3f\xff\xff\xfe"), (F, b"D\x3f\xff\xff\xfe"),
                         (B, b"B\x3f\xff\xff\xfe\0\0\0\0\xff\xff")):
        core = Connection(role)
        core.state = State.IDLE if role is B else State.QUERY_ROWS
        tracemalloc.start()
        core.receive(header)
        assert core.next_event() is None
        assert tracemalloc.get_traced_memory()[1] < 10_000
        tracemalloc.stop()
