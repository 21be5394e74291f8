"""What a trace shows and what it keeps to itself."""

from __future__ import annotations

import io

import pytest

from febe.protocol.connection import Connection
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.message import Framing, Message, Sender
from febe.protocol.observer import Observer
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import StartupMessage
from febe.protocol.states import State
from febe.protocol.trace import Hide, Tracer
from tests.protocol.golden import FIRST, GOLDEN
from tests.protocol.strategies import SIDES

F, B = SIDES


def line(message: Message, hide: Hide = Hide.SECRETS, sender: Sender | None = None) -> str:
    out = io.StringIO()
    who = sender or (F if message.sender is Sender.FRONTEND else B)
    Tracer(out, hide=hide)(who, type(message), message.encode())
    return out.getvalue()


SECRET = {
    "PasswordMessage": ("secret", "****"), "GSSResponse": ("\\x00\\x01", "****"),
    "SASLInitialResponse": ("n,,", "3 ****"),
    "SASLResponse": ("c=biws", "****"), "AuthenticationSASLContinue": ("r=1", "****"),
    "AuthenticationSASLFinal": ("v=1", "****"), "AuthenticationGSSContinue": ("tok", "****"),
    "BackendKeyData": ("\\x01\\x02\\x03\\x04", "****"), "CancelRequest": ("\\xde\\xad\\xbe\\xef", "****"),
}


def test_secrets_are_shown_to_those_who_ask_only() -> None:
    with_secrets = {cls.__name__: message for cls, message in FIRST.items() if cls.has_secrets()}
    assert with_secrets.keys() == SECRET.keys()
    for name, message in with_secrets.items():
        shown, hidden = SECRET[name]
        assert shown in line(message, Hide(0))
        assert shown not in line(message)
        assert line(message).rstrip().endswith(hidden)


def test_a_secret_that_cannot_be_read_is_no_less_secret() -> None:
    out = io.StringIO()
    Tracer(out)(F, type(FIRST[next(cls for cls in FIRST if cls.__name__ == "PasswordMessage")]), b"p\0\0\0\x0ahunter")
    assert "hunter" not in out.getvalue()
    assert out.getvalue() == "F\t10\tPasswordMessage\t **** (invalid string in message)\n"


@pytest.mark.parametrize("message", [message for message, _ in GOLDEN], ids=lambda message: type(message).__name__)
def test_every_message_has_a_line(message: Message) -> None:
    sender, length, name, *fields = line(message, Hide(0)).rstrip("\n").split("\t")
    data = message.encode()
    assert sender == ("F" if message.sender is Sender.FRONTEND else "B")
    assert int(length) == len(data) - (message.framing is Framing.TYPED)
    assert name == type(message).__name__ or (message.framing is Framing.BYTE and name.endswith("Response"))
    assert all(field.startswith(" ") for field in fields)
    assert bool(fields) == bool(message.fields or message.framing in (Framing.STARTUP, Framing.BYTE))


@pytest.mark.parametrize(("data", "text"), [
    (b"Q\0\0\0\5x", "F\t5\tQuery\t 'x' (invalid string in message)\n"),
    (b"Q\0\0\0\7x\0y", "F\t7\tQuery\t 'x\\x00y' (invalid message format: 1 bytes left over in Query)\n"),
])
def test_what_cannot_be_read_is_shown_as_bytes(data: bytes, text: str) -> None:
    out = io.StringIO()
    Tracer(out)(F, Query, data)
    assert out.getvalue() == text


def test_a_connection_traces_both_ways_and_each_row_of_a_run() -> None:
    out = io.StringIO()
    core = Connection(F, trace=Tracer(out))
    core.state = State.IDLE
    core.send(Query(query="x"))
    row = DataRow(values=[b"1"]).encode()
    core.receive(b"T\0\0\0\6\0\0" + row * 2 + b"C\0\0\0\5\0Z\0\0\0\5I")
    while core.next_event() is not None:
        pass
    core.send_requests((State.SYNC,), b"S\0\0\0\4")
    assert out.getvalue().splitlines() == [
        'F\t6\tQuery\t "x"', "B\t6\tRowDescription\t 0", "B\t11\tDataRow\t 1 1 '1'", "B\t11\tDataRow\t 1 1 '1'",
        'B\t5\tCommandComplete\t ""', "B\t5\tReadyForQuery\t I", "F\t4\tSync"]


def test_an_observer_knows_the_state_and_gives_up_on_nonsense() -> None:
    observer = Observer()
    observer.receive(F, FIRST[StartupMessage].encode())
    assert observer.next_event(F) == FIRST[StartupMessage]
    assert observer.next_event(F) is None
    observer.receive(B, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\5T")
    assert [type(event).__name__ for event in iter(lambda: observer.next_event(B), None)] == [
        "AuthenticationOk", "ReadyForQuery"]
    assert (observer.state, observer.transaction_status) == (State.IDLE, "T")
    observer.receive(F, b"\0")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            observer.next_event(F)
