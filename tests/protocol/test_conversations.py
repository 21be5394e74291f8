"""Two cores joined back to back, and an observer between them: conversations written down by hand.

A conversation is a line such as `Q | T D C Z`: what the frontend says, what the backend says, the frontend again.
"""

from __future__ import annotations

import pytest

from febe.protocol.authentication import GSSResponse, PasswordMessage, SASLInitialResponse, SASLResponse
from febe.protocol.connection import Connection, CopyDataRun, DataRowRun, DirectTLS, Event
from febe.protocol.copy import CopyData
from febe.protocol.dialect import POSTGRESQL
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError, UnsupportedVersion
from febe.protocol.extended import Describe
from febe.protocol.message import Message, Sender
from febe.protocol.observer import Observer
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import (
    CancelRequest,
    EncryptionRefused,
    GSSENCAccepted,
    GSSENCRequest,
    ReadyForQuery,
    SSLAccepted,
    SSLRequest,
    StartupMessage,
)
from febe.protocol.states import State
from tests.protocol.golden import FIRST
from tests.protocol.strategies import OTHER, SIDES

F, B = SIDES

# Words of the language: type bytes, and names where several messages share one.
WORDS: dict[Sender, dict[str, Message]] = {sender: {
    cls.type if cls.code is None else f"{cls.type}{cls.code}": FIRST[cls]
    for cls in POSTGRESQL.messages[sender] if cls.type} for sender in SIDES}
WORDS[F] |= {"start": FIRST[StartupMessage], "ssl": FIRST[SSLRequest], "gssenc": FIRST[GSSENCRequest],
             "cancel": FIRST[CancelRequest], "password": FIRST[PasswordMessage], "token": FIRST[GSSResponse],
             "mechanism": FIRST[SASLInitialResponse], "proof": FIRST[SASLResponse],
             "Ds": Describe(kind="S", name=""), "Dp": Describe(kind="P", name="")}
WORDS[B] |= {"yes": FIRST[SSLAccepted], "gssyes": FIRST[GSSENCAccepted], "no": FIRST[EncryptionRefused],
             "S": WORDS[B]["S"], "N": WORDS[B]["N"], "G": WORDS[B]["G"],
             "ZT": ReadyForQuery(status="T"), "ZE": ReadyForQuery(status="E")}
for _name in "SNG":  # the one-byte answers share these bytes
    WORDS[B][_name] = next(FIRST[cls] for cls in POSTGRESQL.messages[B] if cls.type == _name and cls.fields)

SESSION = "start | R0 S K Z"
LEGAL = [
    # start-up and authentication
    "start | R0 S S K Z", "start | R0 Z", "start | R0 S N K S Z", "start | v R0 K Z", "start | E", "start | v E",
    "start | R0 E", "start | R0 | X",
    "start | R3 | password | R0 Z", "start | R5 | password | R0 K Z", "start | R3 | password | E", "start | R3 E",
    "start | R10 | mechanism | R11 | proof | R12 R0 S K Z", "start | v R10 | mechanism | R11 | proof | R12 R0 Z",
    "start | R10 | mechanism | R0 Z", "start | R10 | mechanism | R11 | proof | E", "start | R10 | mechanism | E",
    "start | R10 | mechanism | R11 | proof | R11 | proof | R12 R0 Z",
    "start | R7 | token | R8 | token | R0 Z", "start | R7 | token | R8 R0 Z", "start | R9 | token | R8 | token | E",
    "start | R2 E", "start | R6", "start | R4", "start | R1",
    "ssl | yes | start | R0 Z", "ssl | no | start | R0 Z", "ssl | E", "ssl | yes | cancel", "cancel",
    "ssl | no | gssenc | gssyes | start | R0 Z", "ssl | no | gssenc | no | start | R0 Z", "ssl | no | cancel",
    "gssenc | gssyes | start | R0 Z", "gssenc | no | ssl | yes | start | R0 Z", "gssenc | no | ssl | no | start | R0 Z",
    "gssenc | no | start | R0 Z", "gssenc | E",
    # simple query
    *(f"{SESSION} | {more}" for more in (
        "Q | C Z", "Q | T C Z", "Q | T D D D C Z | Q | I Z | X", "Q | E Z", "Q | T D E Z", "Q | T E Z",
        "Q | C C T D C C Z", "Q | T D C E Z", "Q | C ZT | Q | E ZE | Q | C Z", "Q | N T N D S D A C N Z A S N",
        "Q | E", "X", "| E", "| A A S N E", "H S | Z",
        # several requests under way
        "Q Q Q | T D C Z E Z C Z", "Q Q X",
        # extended query
        "P | 1", "P B Dp E S | 1 2 T D D C Z", "P B Dp E S | 1 2 n C Z", "P Ds S | 1 t T Z", "P Ds S | 1 t n Z",
        "B E S | 2 C Z", "B E S | 2 I Z", "B E E E S | 2 D D s D s D C Z", "C S | 3 Z", "S | Z", "S S S | Z Z Z",
        "P H | 1 | B H | 2 | E S | D C Z", "P B E H | 1 2 D C | S | Z", "P S | N 1 A S Z",
        # errors, and what is skipped after them
        "P S | E Z", "P B Dp E S | E Z", "P B Dp E S | 1 E Z", "P B Dp E S | 1 2 E Z", "P B Dp E S | 1 2 T E Z",
        "P B Dp E S | 1 2 T D E Z", "P B E S | 1 2 C E Z", "P Ds S | 1 t E Z", "C S | E Z", "P | E | B Dp E S | Z",
        "P | E | Q F P C H d c f S | Z | Q | C Z", "P | E | X", "P | E N A S | S | Z",
        "P B E S P B E S P B E S | 1 2 C Z E Z 1 2 D C Z", "P B E P B E S B S | 1 2 C E Z 2 Z",
        "P B E H P B E S | 1 2 C 1 2 D C Z", "P Q S | 1 C Z Z",
        # copy
        "Q | G | d d d c | C Z", "Q | G | f | E Z", "Q | G | d d | E Z | d d c | A | Q | C Z",
        "Q | G | H S d H c | C Z", "Q | G | c | E Z", "Q | G | d c | C G | d c | C T D C Z", "Q | G N S A | d c | C Z",
        "Q | G | d | E | d d f | Z | Q | C Z", "Q | G | X", "d c f | A", "Q | T D | d d | C Z",
        "Q | H d d d c C Z", "Q | H c C Z", "Q | H d d E Z", "Q | H d N d S d A c C Z", "Q | H d c E Z",
        "Q | H d c C H d c C Z",
        "P B E | 1 2 G | d c | C | S | Z", "P B E S | 1 2 G | d c | C | S | Z", "P B E H | 1 2 G | d d c S | C Z",
        "P B E | 1 2 G | d | E | d c S | Z", "P B E | 1 2 G | f S | E Z", "P B E S | 1 2 H d d c C Z",
        "P B E S | 1 2 H d E Z", "P B E | 1 2 G | S H d c S | C Z", "P B E | 1 2 G | d c S P S | C Z 1 Z",
        # copy-both
        "Q | W d | d | d | c | d d c C C Z", "Q | W d c | d d c | C Z", "Q | W d c | c | T D C C Z", "Q | W E Z | d c",
        "Q | W | c | c d C C Z", "Q | W c d d | c | C Z", "Q | W | d d X", "Q | W d E Z", "Q | W | c | d E Z",
        "Q | W c | d | E Z | d c | A",
        # BASE_BACKUP, now and before PostgreSQL 15
        "Q | T D C T D C H d d N c T D C C Z", "Q | T D C T D C H d c H d c T D C C Z",
        # function call
        "F | V Z", "F | E Z", "F | N V S Z", "F Q | V Z C Z", "P F S | 1 V Z Z",
    )),
]

# The last word is what may not be said.
ILLEGAL = [
    "Q", "P", "X", "password", "start | K", "start | Z", "start | 1", "start | R0 R0", "start | R0 R3", "start | R0 T",
    "start | v v", "start | R3 | proof", "start | R3 | token", "start | R3 | mechanism", "start | R3 | Q",
    "start | R3 R3", "start | R3 | password | R3", "start | R3 | password | Z", "start | R10 | password",
    "start | R10 | proof", "start | R10 | mechanism | R12 R11", "start | R10 | mechanism | R11 | mechanism",
    "start | R10 | mechanism | R11 R12", "start | R11", "start | R12", "start | R8", "start | R7 | token | R11",
    "start | N", "start | v S", "start | R0 | Q", "start | R2 | password", "start start", "start | E R0",
    "ssl ssl", "ssl start", "ssl | gssyes", "ssl | yes | ssl", "ssl | yes | gssenc", "ssl | no | ssl", "gssenc | yes",
    "gssenc | gssyes | ssl", "gssenc | no | gssenc", "ssl | no | gssenc | no | ssl", "cancel start",
    *(f"{SESSION} | {more}" for more in (
        "start", "ssl", "password", "cancel", "| Z", "| C", "| T", "| 1", "| D", "| R0", "| K", "| v", "| t", "| d",
        "Q | D", "Q | Z", "Q | T T", "Q | T Z", "Q | T D T", "Q | T I", "Q | T D s", "Q | 1", "Q | 2", "Q | n", "Q | V",
        "Q | t", "Q | E T", "Q | C D", "Q | C s", "Q | C Z Z", "Q | d", "Q | c",
        "P | 2", "P | C", "P | Z", "P | T", "P B | 1 1", "P B | 1 D", "P B Dp | 1 2 D", "P B Dp | 1 2 t", "P Ds | 1 T",
        "P Ds | 1 n", "P Ds | 1 t t", "P B E | 1 2 T", "P B E | 1 2 Z", "P B E | 1 2 C D", "P B E | 1 2 C C",
        "P B E S | 1 2 C Z Z", "B E | 2 W", "C | 1", "S | C", "S | 1", "F | C", "F | V V", "F | Z", "F | T",
        "P | E 1", "P | E Z", "P S | E 1", "P B E S | E 2", "P | E | S | Z Z",
        "Q | G C", "Q | G d", "Q | G Z", "Q | G | Q", "Q | G | P", "Q | G | F", "Q | G | d c | Z", "Q | G | d c | T",
        "Q | H T", "Q | H C", "Q | H d c d", "Q | H d Z", "Q | H d c Z",
        "P B E | 1 2 G | P", "P B E | 1 2 G | E", "P B E | 1 2 H C", "P B E | 1 2 H d c T",
        "Q | W | Q", "Q | W | S", "Q | W | f", "Q | W | H", "Q | W | P", "Q | W | c d", "Q | W | c | c T d",
        "Q | W C", "Q | W Z", "Q | W c C", "Q | W c | Q", "Q | W | c c", "X Q", "X X", "X | Z", "X | A", "| E | Q",
    )),
]


def sections(line: str) -> list[tuple[Sender, list[Message]]]:
    return [(sender, [WORDS[sender][word] for word in section.split()])
            for sender, section in zip((F, B) * line.count("|") + (F, B), line.split("|"), strict=False)]


class Joined:
    """Two cores and the observer of their talk."""

    def __init__(self, cut: int = 0) -> None:
        self.cores = {side: Connection(side) for side in SIDES}
        self.observer = Observer()
        self.cut = cut

    def say(self, sender: Sender, messages: list[Message]) -> None:
        """Have `sender` say these, and the other side and the observer hear just these."""
        data = b"".join(self.cores[sender].send(message) for message in messages)
        step = self.cut or len(data) or 1
        peer = self.cores[OTHER[sender]]
        seen: list[Message] = []
        heard: list[Message] = []
        for pos in range(0, len(data), step):
            self.observer.receive(sender, data[pos:pos + step])
            while (event := self.observer.next_event(sender)) is not None:
                seen += spread(event)
            peer.receive(data[pos:pos + step])
            while (event := peer.next_event()) is not None:
                heard += spread(event)
        assert heard == seen
        # what is dropped is no event; all else is heard as it was said
        unheard = list(messages)
        for message in heard:
            while unheard and unheard[0] != message:
                assert unheard.pop(0).type in "QPBEDCFHSdcf"
            assert unheard
            unheard.pop(0)
        assert all(message.type in "QPBEDCFHSdcf" for message in unheard)
        self.agree()

    def agree(self) -> None:
        frontend, backend = (self.cores[side] for side in SIDES)
        assert frontend.state is backend.state is self.observer.state
        assert frontend._pending == backend._pending
        assert frontend.transaction_status == backend.transaction_status == self.observer.transaction_status
        assert not frontend.unread
        assert not backend.unread


def spread(event: Event) -> list[Message]:
    if isinstance(event, DataRowRun | CopyDataRun):
        return list(event.messages())
    assert not isinstance(event, DirectTLS)
    return [event]


@pytest.mark.parametrize("cut", [0, 1, 3], ids=["whole", "byte by byte", "in threes"])
def test_legal(cut: int) -> None:
    for line in LEGAL:
        joined = Joined(cut)
        try:
            for sender, messages in sections(line):
                joined.say(sender, messages)
        except BaseException as error:
            error.add_note(f"in {line}")
            raise


@pytest.mark.parametrize("line", ILLEGAL)
def test_illegal(line: str) -> None:
    *before, (sender, last) = sections(line)
    joined = Joined()
    for who, messages in before:
        joined.say(who, messages)
    joined.say(sender, last[:-1])
    state = joined.cores[sender].state
    with pytest.raises(LocalProtocolError) as local:
        joined.cores[sender].send(last[-1])
    assert local.value.sqlstate == "08P01"
    joined.agree()
    if any(cls.type == last[-1].type and cls.code == last[-1].code
           for cls in POSTGRESQL.tables[sender].get(state, {})):
        return  # the bytes are those of a message that is legal
    peer = joined.cores[OTHER[sender]]
    peer.receive(last[-1].encode())
    joined.observer.receive(sender, last[-1].encode())
    for listen in (peer.next_event, lambda: joined.observer.next_event(sender)):
        with pytest.raises(RemoteProtocolError) as remote:
            listen()
        assert remote.value.sqlstate in ("08P01", "0A000")
    assert peer.state is joined.observer.state is state


def test_each_ready_for_query_answers_one_sync() -> None:
    joined = Joined()
    for sender, messages in sections(SESSION):
        joined.say(sender, messages)
    joined.say(F, [WORDS[F]["S"]] * 1000)
    for number in range(1000):
        assert joined.cores[F].state is State.SYNC, number
        joined.say(B, [WORDS[B]["Z"]])
    assert joined.cores[F].state is State.IDLE


def test_runs() -> None:
    """Rows that lie side by side are one event; a message between them ends the run."""
    joined = Joined()
    for sender, messages in sections(f"{SESSION} | Q | T"):
        joined.say(sender, messages)
    rows = [DataRow(values=[str(number).encode(), None]) for number in range(5)]
    words = [*rows[:3], WORDS[B]["N"], *rows[3:], WORDS[B]["C"], WORDS[B]["Z"]]
    joined.cores[F].receive(b"".join(joined.cores[B].send(message) for message in words))
    events = []
    while (event := joined.cores[F].next_event()) is not None:
        events.append(event)
    assert [event.count if isinstance(event, DataRowRun) else type(event).__name__ for event in events] == [
        3, "NoticeResponse", 2, "CommandComplete", "ReadyForQuery"]
    assert isinstance(events[0], DataRowRun)
    assert list(events[0].messages()) == rows[:3]
    assert list(events[0].bodies()) == [row.encode()[5:] for row in rows[:3]]


def test_a_run_is_given_out_as_far_as_it_is_there() -> None:
    joined = Joined()
    for sender, messages in sections(f"{SESSION} | Q | H"):
        joined.say(sender, messages)
    pieces = [CopyData(data=bytes([number])) for number in range(4)]
    data = joined.cores[B].send(*pieces)
    core = joined.cores[F]
    core.receive(data[:14])
    event = core.next_event()
    assert isinstance(event, CopyDataRun)
    assert event.count == 2
    assert core.next_event() is None
    assert core.unread == 2
    core.receive(data[14:])
    event = core.next_event()
    assert isinstance(event, CopyDataRun)
    assert list(event.messages()) == pieces[2:]


def test_requests_and_runs_that_were_encoded_elsewhere() -> None:
    joined = Joined()
    for sender, messages in sections(SESSION):
        joined.say(sender, messages)
    frontend, backend = joined.cores[F], joined.cores[B]
    data = b"".join(WORDS[F][word].encode() for word in "PBES")
    assert frontend.send_requests((State.PARSE, State.BIND, State.EXECUTE, State.SYNC), data) == data
    backend.receive(data)
    while backend.next_event() is not None:
        pass
    assert (frontend.state, frontend._pending) == (backend.state, backend._pending)
    frontend.receive(backend.send(WORDS[B]["1"], WORDS[B]["2"]))
    row = WORDS[B]["D"].encode()
    frontend.receive(bytes(backend.send_run(DataRow, row * 3)))
    with pytest.raises(LocalProtocolError):
        backend.send_run(CopyData, WORDS[B]["d"].encode())
    with pytest.raises(LocalProtocolError):
        backend.send_run(ReadyForQuery, WORDS[B]["Z"].encode())
    frontend.receive(backend.send(WORDS[B]["C"], WORDS[B]["Z"]))
    assert [type(event).__name__ for event in iter(frontend.next_event, None)] == [
        "ParseComplete", "BindComplete", "DataRowRun", "CommandComplete", "ReadyForQuery"]
    assert frontend.state is backend.state is State.IDLE
    frontend.send(WORDS[F]["X"])
    with pytest.raises(LocalProtocolError):
        frontend.send_requests((State.SYNC,), WORDS[F]["S"].encode())


def test_bytes_in_clear_after_tls_was_granted() -> None:
    """CVE-2021-23222 and CVE-2021-23214: they must not be taken for protected ones."""
    frontend, backend = Connection(F), Connection(B)
    backend.receive(frontend.send(SSLRequest()) + StartupMessage(version=196608, parameters={"user": "u"}).encode())
    assert backend.next_event() == SSLRequest()
    with pytest.raises(RemoteProtocolError, match="received unencrypted data after SSL request"):
        backend.send(SSLAccepted())
    frontend.receive(b"S" + b"E\0\0\0\5\0")
    with pytest.raises(RemoteProtocolError, match="received unencrypted data after SSL response"):
        frontend.next_event()


def test_bytes_after_a_refusal_are_read() -> None:
    backend = Connection(B)
    startup = StartupMessage(version=196608, parameters={"user": "u"})
    backend.receive(SSLRequest().encode() + startup.encode())
    assert backend.next_event() == SSLRequest()
    backend.send(EncryptionRefused())
    assert backend.next_event() == startup


def test_direct_tls() -> None:
    backend = Connection(B)
    hello = b"\x16\x03\x01\x02\x00"
    for byte in hello[:2]:
        backend.receive(bytes([byte]))
        assert backend.next_event() is DirectTLS.CLIENT_HELLO
    backend.receive(hello[2:])
    assert backend.take_unread() == hello
    assert backend.unread == 0
    startup = StartupMessage(version=196608, parameters={"user": "u"})
    backend.receive(startup.encode())                          # as it comes out of the TLS layer
    assert backend.next_event() == startup


def test_the_bytes_needed_are_those_of_the_message_that_is_next() -> None:
    """A long message is complete; a short one after it, which came in two pieces, is not held back."""
    frontend = Connection(F)
    frontend.send(FIRST[StartupMessage])
    long = WORDS[B]["R10"].encode()
    short = WORDS[B]["E"].encode()
    frontend.receive(long[:6])
    assert frontend.next_event() is None
    frontend.receive(long[6:] + b"E")
    assert frontend.next_event() == WORDS[B]["R10"]
    frontend.receive(short[1:])
    assert frontend.next_event() == WORDS[B]["E"]


@pytest.mark.parametrize(("data", "text"), [
    (b"\0\0\0\x04", "invalid length of startup packet"),
    (b"\0\0\x27\x15\0\3\0\0", "invalid length of startup packet"),   # 10,005
    (b"GET / HTTP/1.1", "invalid length of startup packet"),
    (b"\0\0\0\x0a\0\3\0\0x\0", "invalid string"),
    (b"\0\0\0\x0c\x04\xd2\x16\x2e\0\0\0\1", "bytes where 1 to 256"),
    (b"\0\0\0\x0c\x04\xd2\x16\x2f\0\0\0\1", "invalid length of SSLRequest"),
])
def test_first_packets_that_make_no_sense(data: bytes, text: str) -> None:
    backend = Connection(B)
    backend.receive(data)
    with pytest.raises(RemoteProtocolError, match=text) as error:
        backend.next_event()
    assert (error.value.sqlstate, error.value.fatal) == ("08P01", True)


def test_the_longest_startup_packet() -> None:
    backend, startup = Connection(B), StartupMessage(version=196608, parameters={"user": "x" * (10_004 - 15)})
    backend.receive(startup.encode())
    assert backend.next_event() == startup


@pytest.mark.parametrize("version", [0x00020000, 0x00010000, 0x00040000, 0x04D21700, -1])
def test_other_major_versions_are_told_by_their_first_words(version: int) -> None:
    backend = Connection(B)
    backend.receive(b"\0\0\1\x28" + version.to_bytes(4, "big", signed=True) + b"not a list" + bytes(278))
    with pytest.raises(UnsupportedVersion) as error:
        backend.next_event()
    assert error.value.sqlstate == "0A000"
    backend.send(WORDS[B]["E"])                                # the answer may be said


@pytest.mark.parametrize(("role", "state", "header", "text"), [
    (B, State.IDLE, b"D\0\0\x27\x11", "invalid message length"),          # 10,001
    (B, State.IDLE, b"Q\x3f\xff\xff\xff", "invalid message length"),
    (B, State.IDLE, b"Q\0\0\0\3", "invalid message length"),
    (B, State.IDLE, b"Q\xff\xff\xff\xff", "invalid message length"),
    (B, State.IDLE, b"!", "invalid frontend message type 33"),
    (B, State.IDLE, b"p\0\0\0\5\0", "invalid frontend message type 112"),
    (B, State.PASSWORD_WANTED, b"p\0\1\0\0", "invalid message length"),
    (B, State.PASSWORD_WANTED, b"Q\0\0\0\5\0", "expected password response, got message type 81"),
    (F, State.IDLE, b"Z\0\0\x75\x31", "lost synchronization with server: got message type \"Z\", length 30001"),
    (F, State.IDLE, b"Z\0\0\0\3", "lost synchronization"),
    (F, State.IDLE, b"?", "unexpected message type 0x3F from server"),
    (F, State.STARTED, b"R\0\0\0\x08\0\0\0\x63", "expected authentication request from server"),
    (F, State.STARTED, b"R\0\0\x07\xd1\0\0\0\0" + bytes(1993), "invalid length of AuthenticationOk"),
    (F, State.STARTED, b"R\0\0\0\6\0\0", "insufficient data left in message"),
    (F, State.STARTED, b"H\0\0\0\4", "received H"),
    (F, State.SSL_ASKED, b"X", "invalid response"),
])
def test_frames_that_make_no_sense(role: Sender, state: State, header: bytes, text: str) -> None:
    """As soon as the header is there, and for good."""
    core = Connection(role)
    core.state = state
    core.receive(header)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=text) as error:
            core.next_event()
        assert (error.value.sqlstate, error.value.fatal) == ("08P01", True)


def test_a_server_goes_on_after_a_message_that_makes_no_sense() -> None:
    """Its frame is whole, so the next one is known; its answer is going to be the error."""
    joined = Joined()
    for sender, messages in sections(SESSION):
        joined.say(sender, messages)
    backend = joined.cores[B]
    backend.receive(b"B\0\0\0\6\0\0" + WORDS[F]["E"].encode() + WORDS[F]["S"].encode())
    with pytest.raises(RemoteProtocolError) as error:
        backend.next_event()
    assert not error.value.fatal
    backend.send(WORDS[B]["E"])
    assert backend.next_event() is None or backend.state is State.SYNC
    assert backend.next_event() is None
    backend.send(WORDS[B]["Z"])
    backend.receive(Query(query="select 1").encode())
    assert backend.next_event() == Query(query="select 1")


def test_a_client_gives_up_after_one() -> None:
    frontend = Connection(F)
    frontend.state = State.QUERY
    frontend.receive(b"T\0\0\0\5\0" + WORDS[B]["C"].encode())
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as error:
            frontend.next_event()
        assert error.value.fatal


def test_values_that_cannot_be_said_change_nothing() -> None:
    joined = Joined()
    for sender, messages in sections(SESSION):
        joined.say(sender, messages)
    with pytest.raises(LocalProtocolError):
        joined.cores[F].send(Query(query="\0"))
    with pytest.raises(LocalProtocolError):
        joined.cores[F].send(Describe(kind="x", name=""))
    joined.agree()
    joined.say(F, [WORDS[F]["Q"]])
