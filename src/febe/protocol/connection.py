"""One end of a conversation: bytes in, events out; messages in, bytes out.  No I/O.

The same class is client and server; only the table it sends by and the table it receives by change places.

    core = Connection(Sender.FRONTEND)
    data = core.send(Query(query="select 1"))      # give these bytes to the peer
    core.receive(what_the_peer_sent)
    while (event := core.next_event()) is not None:
        ...

An event is a message, or a whole run of DataRow or CopyData messages that lay side by side in the bytes received.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from febe._kernel.frames import FrameScanner
from febe.protocol.copy import CopyData
from febe.protocol.dialect import ANY_CODE, POSTGRESQL, UNTYPED, Dialect, Entry
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError, UnsupportedVersion
from febe.protocol.message import SMALL_FROM_BACKEND, Framing, Message, Sender
from febe.protocol.simple import DataRow
from febe.protocol.startup import (
    STARTUP_LIMIT,
    GSSENCAccepted,
    ReadyForQuery,
    SSLAccepted,
)
from febe.protocol.states import COPYING_IN, State

# Looking up a member on its class takes 80 ns before Python 3.12, and every message asks several times.
_IDLE, _QUEUED, _DROPPED, _ANSWERED, _SKIPPING, _SYNC = (
    State.IDLE, State.QUEUED, State.DROPPED, State.ANSWERED, State.SKIPPING, State.SYNC)

_INT32 = Struct("!i")
_AS_MANY_AS_THERE_ARE = 1 << 30

_FIRST_PACKETS = frozenset({State.START, State.SSL_REFUSED, State.GSSENC_REFUSED, State.START_LAST})
_ENCRYPTION_ASKED = frozenset({State.SSL_ASKED, State.SSL_ASKED_LAST, State.GSSENC_ASKED, State.GSSENC_ASKED_LAST})
_AUTHENTICATING = frozenset({
    State.STARTED, State.NEGOTIATED, State.PASSWORD_WANTED, State.PASSWORD_SENT, State.GSS_WANTED, State.GSS_SENT,
    State.SASL_WANTED, State.SASL_SENT, State.SASL_CONTINUED, State.SASL_ENDED, State.UNSUPPORTED})
_BEFORE_SESSION = _FIRST_PACKETS | _ENCRYPTION_ASKED | _AUTHENTICATING


@dataclass(slots=True)
class Run:
    """Messages of one type that lay side by side: `data[start:end]`, headers included, `count` of them."""

    data: bytes
    start: int
    end: int
    count: int

    def bodies(self) -> Iterator[bytes]:
        """Each message's body."""
        pos = self.start
        while pos < self.end:
            after = pos + 1 + _INT32.unpack_from(self.data, pos + 1)[0]
            yield self.data[pos + 5:after]
            pos = after


class DataRowRun(Run):
    """A run of DataRow messages; the kernel decodes it in one call."""

    __slots__ = ()

    def messages(self) -> Iterator[DataRow]:
        """The rows one by one, for who wants messages."""
        return (DataRow.decode(body, 0, len(body)) for body in self.bodies())


class CopyDataRun(Run):
    """A run of CopyData messages."""

    __slots__ = ()

    def messages(self) -> Iterator[CopyData]:
        """The messages one by one."""
        return (CopyData(data=body) for body in self.bodies())


class DirectTLS(enum.Enum):
    """The client begins with a TLS handshake, without SSLRequest (manual: "SSL Session Encryption").

    Its bytes are still unread: `take_unread` hands them to whoever speaks TLS.
    """

    CLIENT_HELLO = "TLS handshake"


Event: TypeAlias = "Message | DataRowRun | CopyDataRun | DirectTLS"
Trace: TypeAlias = "Callable[[Sender, type[Message], bytes], None]"


class Connection:
    """One end of a conversation in the role of `role`.

    `state` is where the conversation is; `transaction_status` what the last ReadyForQuery said (`I`, `T` or `E`).
    `trace`, when set, is called with every message that goes either way.
    """

    def __init__(self, role: Sender, *, dialect: Dialect = POSTGRESQL, trace: Trace | None = None) -> None:
        if role is Sender.BOTH:
            raise ValueError("a connection is a frontend or a backend")
        self.role: Final = role
        self.peer: Final = Sender.BACKEND if role is Sender.FRONTEND else Sender.FRONTEND
        self.dialect: Final = dialect
        self.trace = trace
        self.state = State.START
        self.transaction_status = "I"
        self._pending: deque[State] = deque()
        self._broken: RemoteProtocolError | None = None
        self._outgoing = dialect.tables[role]
        self._incoming = dialect.rows[self.peer]
        self._data = b""
        self._pos = 0
        self._later: list[bytes] = []
        self._later_size = 0
        self._need = 1
        self._frames: list[tuple[int, int, int, int]] = []
        self._frame = 0
        self._scanner, self._scanner_early = _scanners(dialect, self.peer)

    # Sending

    def send(self, *messages: Message) -> bytes:
        """Check that each message may be said now, note it, and return the bytes to give to the peer.

        Errors: LocalProtocolError; the messages before the one refused are noted, so their bytes are lost: send what
        may fail alone.
        """
        if len(messages) == 1:
            return self._send(messages[0])
        return b"".join([self._send(message) for message in messages])

    def _send(self, message: Message) -> bytes:
        cls = type(message)
        after = self._outgoing.get(self.state, _NOTHING).get(cls)
        if after is None:
            raise LocalProtocolError(f"{cls.__name__} cannot be sent now: {self.state.value}")
        data = _READY.get(message.status) if isinstance(message, ReadyForQuery) else None
        if data is None:
            data = message.encode()
        if cls is SSLAccepted or cls is GSSENCAccepted:
            self._refuse_unread("GSSAPI encryption" if cls is GSSENCAccepted else "SSL")
        if self.trace is not None:
            self.trace(self.role, cls, data)
        if after is _QUEUED:
            self._enqueue(self._answer(message))
        else:
            if isinstance(message, ReadyForQuery):
                self.transaction_status = message.status
            self._move(after)
        return data

    def send_requests(self, answers: tuple[State, ...], data: bytes) -> bytes:
        """Note requests that were encoded elsewhere (by the kernel): one state of `REQUESTS` for each.

        Errors: LocalProtocolError when no request may be sent now.
        """
        state = self.state
        if state is _IDLE:
            self.state = answers[0]
            self._pending.extend(answers[1:])
        elif _QUEUED in self._outgoing.get(state, _NOTHING).values():
            self._pending.extend(answers)
        else:
            raise LocalProtocolError(f"no request can be sent now: {state.value}")
        if self.trace is not None:
            self._trace_frames(data)
        return data

    def send_run(self, cls: type[Message], data: bytes | bytearray) -> bytes | bytearray:
        """Note messages that were encoded elsewhere: a run of DataRow or CopyData by the kernel, or one answer that is
        kept encoded because it is sent again and again.

        Errors: LocalProtocolError.
        """
        after = self._outgoing.get(self.state, _NOTHING).get(cls)
        if after is None or after is _QUEUED or cls is ReadyForQuery:  # whose status has to be known
            raise LocalProtocolError(f"{cls.__name__} cannot be sent now: {self.state.value}")
        if self.trace is not None:
            self._trace_frames(data)
        self._move(after)
        return data

    def _trace_frames(self, data: bytes | bytearray) -> None:
        assert self.trace is not None
        row = self.dialect.rows[self.role]
        pos = 0
        while pos < len(data):
            after = pos + 1 + _INT32.unpack_from(data, pos + 1)[0]
            entry = row[self.state].get(data[pos]) or row[State.IDLE][data[pos]]
            assert isinstance(entry, Entry)
            self.trace(self.role, entry.message, bytes(data[pos:after]))
            pos = after

    # Receiving

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer, cut anywhere."""
        if self._pos == len(self._data) and self._frame == len(self._frames) and not self._later:
            self._data = data
            self._pos = 0
        else:
            self._later.append(data)
            self._later_size += len(data)

    @property
    def unread(self) -> int:
        """How many bytes were received and not yet handed out as events."""
        pos = self._frames[self._frame][1] if self._frame < len(self._frames) else self._pos
        return len(self._data) - pos + self._later_size

    @property
    def next_type(self) -> int | None:
        """The type byte of the message after the last event, when it is here whole; None: not known yet."""
        return self._frames[self._frame][0] if self._frame < len(self._frames) else None

    def take_unread(self) -> bytes:
        """Hand out the bytes received and not read, and forget them; for the start of a TLS handshake."""
        data = b"".join((self._data[self._pos:], *self._later))
        self._data, self._pos, self._later, self._later_size = b"", 0, [], 0
        return data

    def next_event(self) -> Event | None:
        """The next thing the peer said; None when more bytes are needed.

        Errors: RemoteProtocolError.  Where it is not fatal the message was well framed and has been passed over; a
        server answers the error and goes on.
        """
        while True:
            if self._frame == len(self._frames):
                if self._broken is not None:
                    raise self._broken
                if self._pos == len(self._data) and not self._later:
                    return None
                found = self._scan()
                if found is not True:
                    return found or None
            kind, start, end, count = self._frames[self._frame]
            self._frame += 1
            state = self.state
            body = start + 5 if kind != UNTYPED else start + 4
            entry = self._incoming[state].get(kind)
            if isinstance(entry, dict):
                entry, body = self._entry_by_code(entry, body, end)
            if entry is None:
                raise self._unexpected(kind)
            cls, after, known = entry
            if self.trace is not None:
                self._trace_received(cls, start, end)
            if after is _DROPPED:
                continue
            run = _RUNS.get(cls)
            if run is not None:
                if after is not state:
                    self._move(after)
                return run(self._data, start, end, count)
            message = known.get(self._data[body:end]) if known else None
            if message is None and end - start - (kind != UNTYPED) > cls.limit:
                raise self._break(f"invalid length of {cls.__name__}: {end - start} bytes")
            if message is None or after is _QUEUED:
                message = self._read(cls, after, message, body, end)
                if after is _QUEUED:
                    return message
            if cls is ReadyForQuery:
                self.transaction_status = message.status  # type: ignore[attr-defined]
            self._move(after)
            if cls is SSLAccepted or cls is GSSENCAccepted:
                self._refuse_unread("GSSAPI encryption" if cls is GSSENCAccepted else "SSL")
            return message

    def _read(self, cls: type[Message], after: State, message: Message | None, body: int, end: int) -> Message:
        """Read a message, unless it is known, and if it is a request note what answers it."""
        try:
            if message is None:
                message = cls.decode(self._data, body, end)
            if after is _QUEUED:
                self._enqueue(self._answer(message))
            return message
        except RemoteProtocolError as error:
            if self.role is Sender.FRONTEND or self.state in _BEFORE_SESSION:
                raise self._break(str(error)) from None
            # The request is known by its frame alone, and its answer is going to be the error.
            if after is _QUEUED:
                answer = self.dialect.requests[cls]
                self._enqueue(answer if isinstance(answer, State) else State.DESCRIBE)
            else:
                self._move(after)
            raise

    def _entry_by_code(self, by_code: dict[int, Entry], body: int, end: int) -> tuple[Entry | None, int]:
        """The entry that the leading Int32 names, and where the body goes on; any code may be a StartupMessage's."""
        if end - body < 4:
            raise self._break("insufficient data left in message")
        code = _INT32.unpack_from(self._data, body)[0]
        if code in by_code:
            return by_code[code], body + 4
        return by_code.get(ANY_CODE), body

    def _answer(self, request: Message) -> State:
        """The state in which the backend answers this request."""
        answer = self.dialect.requests[type(request)]
        return answer if isinstance(answer, State) else answer(request)

    def _trace_received(self, cls: type[Message], start: int, end: int) -> None:
        assert self.trace is not None
        pos = start
        while pos < end:
            after = end
            if cls.framing is Framing.TYPED:
                after = pos + 1 + _INT32.unpack_from(self._data, pos + 1)[0]
            self.trace(self.peer, cls, self._data[pos:after])
            pos = after

    # Frames

    def _scan(self) -> bool | DirectTLS:
        """Find the messages that are whole.  True: there is at least one; False: more bytes are needed."""
        if self._later:
            if len(self._data) - self._pos + self._later_size < self._need:
                return False
            self._data = b"".join((self._data[self._pos:], *self._later))
            self._pos = 0
            self._later.clear()
            self._later_size = 0
        self._need = 1
        if self._pos == len(self._data):
            return False
        state = self.state
        self._frames, self._frame = [], 0
        if self.role is Sender.BACKEND and state in _FIRST_PACKETS:
            return self._scan_first_packet()
        if state in _ENCRYPTION_ASKED and self._data[self._pos] != 0x45:
            # one byte without a length, unless the server is too old or too broken and sends an ErrorResponse
            self._frames = [(self._data[self._pos], self._pos, self._pos + 1, 1)]
            self._pos += 1
            return True
        if state in _BEFORE_SESSION:
            frames, pos, status = self._scanner_early.scan(self._data, self._pos, 1)
        else:
            frames, pos, status = self._scanner.scan(self._data, self._pos, _AS_MANY_AS_THERE_ARE)
        self._frames, self._pos = frames, pos
        if status > 0:
            self._need = status
        elif status < 0 and not frames:
            raise self._bad_frame(status)
        return bool(frames)

    def _scan_first_packet(self) -> bool | DirectTLS:
        data, pos = self._data, self._pos
        if data[pos] == 0x16 and self.state is State.START:
            return DirectTLS.CLIENT_HELLO
        if len(data) - pos < 4:
            self._need = 4
            return False
        length = _INT32.unpack_from(data, pos)[0]
        if not 8 <= length <= STARTUP_LIMIT:
            raise self._break("invalid length of startup packet")
        if len(data) - pos < length:
            self._need = length
            return False
        # Judged before the rest is read: protocol 2.0 has another form of it.
        code = _INT32.unpack_from(data, pos + 4)[0]
        if code >> 16 != 3 and code not in self._incoming[self.state][UNTYPED]:
            self._broken = UnsupportedVersion(code)
            raise self._broken
        self._frames = [(UNTYPED, pos, pos + length, 1)]
        self._pos = pos + length
        return True

    # Errors of the peer

    def _break(self, text: str, *, sqlstate: str = "08P01") -> RemoteProtocolError:
        self._broken = RemoteProtocolError(text, sqlstate=sqlstate)
        self._frames, self._frame = [], 0  # what was found behind it is not looked at
        return self._broken

    def _bad_frame(self, status: int) -> RemoteProtocolError:
        kind = self._data[self._pos]
        if status == -3:
            return self._unexpected(kind)
        length = _INT32.unpack_from(self._data, self._pos + 1)[0]
        if self.role is Sender.BACKEND:
            return self._break("invalid message length")
        return self._break(f'lost synchronization with server: got message type "{chr(kind)}", length {length}')

    def _unexpected(self, kind: int) -> RemoteProtocolError:
        if self.role is Sender.FRONTEND:
            if self.state in _ENCRYPTION_ASKED:
                return self._break(f"received invalid response to SSL or GSSAPI negotiation: {chr(kind)}")
            if self.state in _BEFORE_SESSION:
                return self._break(f"expected authentication request from server, but received {chr(kind)}")
            return self._break(f"unexpected message type 0x{kind:02X} from server: {self.state.value}")
        if self.state in COPYING_IN and kind in self._incoming[State.IDLE]:
            return RemoteProtocolError(f"unexpected message type 0x{kind:02X} during COPY from stdin", fatal=False)
        if self.state in _AUTHENTICATING:
            return self._break(f"expected password response, got message type {kind}")
        return self._break(f"invalid frontend message type {kind}")

    def _refuse_unread(self, what: str) -> None:
        # Bytes that came in clear must not be taken for protected ones (CVE-2021-23222).
        if self.unread:
            raise self._break(f"received unencrypted data after {what} "
                              f"{'request' if self.role is Sender.BACKEND else 'response'}")

    # The state

    def follow(self, other: Connection) -> None:
        """Go on from where `other` is, which reads the other side of the same conversation."""
        self.state, self._pending, self.transaction_status = other.state, other._pending, other.transaction_status

    def _enqueue(self, answer: State) -> None:
        if self.state is _IDLE:
            self.state = answer
        else:
            self._pending.append(answer)

    def _move(self, after: State) -> None:
        if after is self.state or after is _DROPPED:
            return
        pending = self._pending
        if after is _ANSWERED:
            after = pending.popleft() if pending else _IDLE
        elif after is _SKIPPING:
            # all that was sent up to the next Sync is going to be dropped
            while pending:
                if pending.popleft() is _SYNC:
                    after = _SYNC
                    break
        elif after in COPYING_IN and pending:
            # a Sync sent ahead is read, and ignored, as part of the copy
            self._pending = deque(answer for answer in pending if answer is not _SYNC)
        self.state = after


_NOTHING: dict[type[Message], State] = {}
_RUNS: dict[type[Message], type[DataRowRun] | type[CopyDataRun]] = {DataRow: DataRowRun, CopyData: CopyDataRun}
_READY = {status: ReadyForQuery(status=status).encode() for status in "ITE"}

_made: dict[tuple[Dialect, Sender], tuple[FrameScanner, FrameScanner]] = {}


def _scanners(dialect: Dialect, peer: Sender) -> tuple[FrameScanner, FrameScanner]:
    """Scanners for what `peer` sends: in a session, and before the frontend is authenticated."""
    found = _made.get((dialect, peer))
    if found is None:
        limits = dialect.limits(peer)
        early = [-1] * 256
        for state in _BEFORE_SESSION:
            for kind in dialect.rows[peer][state]:
                if kind != UNTYPED:
                    early[kind] = min(limits[kind], SMALL_FROM_BACKEND) if chr(kind) == "E" else limits[kind]
        batched = "".join(cls.type for cls in dialect.messages[peer] if cls in _RUNS).encode()
        found = FrameScanner(limits, batched), FrameScanner(early, b"")
        _made[dialect, peer] = found
    return found
