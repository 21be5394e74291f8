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
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Final, TypeAlias

from febe._kernel.dialogue import Dialogue, Entry, Marks
from febe._kernel.frames import FrameScanner
from febe.protocol.dialect import ANY_CODE, POSTGRESQL, RUNS, UNTYPED, Dialect
from febe.protocol.errors import LocalProtocolError, RemoteProtocolError, UnsupportedVersion
from febe.protocol.message import SMALL_FROM_BACKEND, Framing, Message, Sender
from febe.protocol.run import CopyDataRun, DataRowRun
from febe.protocol.startup import STARTUP_LIMIT, GSSENCAccepted
from febe.protocol.states import COPYING_IN, State

_INT32 = Struct("!i")

_FIRST_PACKETS = frozenset({State.START, State.SSL_REFUSED, State.GSSENC_REFUSED, State.START_LAST})
_ENCRYPTION_ASKED = frozenset({State.SSL_ASKED, State.SSL_ASKED_LAST, State.GSSENC_ASKED, State.GSSENC_ASKED_LAST})
_AUTHENTICATING = frozenset({
    State.STARTED, State.NEGOTIATED, State.PASSWORD_WANTED, State.PASSWORD_SENT, State.GSS_WANTED, State.GSS_SENT,
    State.SASL_WANTED, State.SASL_SENT, State.SASL_CONTINUED, State.SASL_ENDED, State.UNSUPPORTED})
_BEFORE_SESSION = _FIRST_PACKETS | _ENCRYPTION_ASKED | _AUTHENTICATING
_MARKS = Marks(idle=State.IDLE, bind=State.BIND, execute=State.EXECUTE, sync=State.SYNC, queued=State.QUEUED,
               dropped=State.DROPPED, answered=State.ANSWERED, skipping=State.SKIPPING,
               copying_in=frozenset(COPYING_IN))


class DirectTLS(enum.Enum):
    """The client begins with a TLS handshake, without SSLRequest (manual: "SSL Session Encryption").

    Its bytes are still unread: `take_unread` hands them to whoever speaks TLS.
    """

    CLIENT_HELLO = "TLS handshake"


Event: TypeAlias = "Message | DataRowRun | CopyDataRun | DirectTLS"
Trace: TypeAlias = "Callable[[Sender, type[Message], bytes], None]"


class Connection(Dialogue):
    """One end of a conversation in the role of `role`.

    `state` is where the conversation is; `transaction_status` what the last ReadyForQuery said (`I`, `T` or `E`).
    `trace`, when set, is called with every message that goes either way.  `say` and `say_run` keep what is to be sent
    until `take`; `waiting` says how many bytes that is.
    """

    if TYPE_CHECKING:  # the kernel knows no more of them than that they are objects
        state: State
        transaction_status: str
        trace: Trace | None
        _pending: deque[State]
        _broken: RemoteProtocolError | None
        _data: bytes
        _pos: int
        _later_size: int
        waiting: int
        _frame: int
        _frames: list[tuple[int, int, int, int]]

        def next_event(self) -> Event | None: ...
        def pass_on(self, other: Dialogue, said: list[bytes | bytearray], halt: frozenset[type],
                    flush: object = None) -> Event | None: ...
        @property
        def unread(self) -> int: ...
        def _gathered(self) -> bool: ...
        def _find(self) -> bool | DirectTLS | None: ...
        def _scan(self, scanner: object, most: int) -> bool: ...

    def __init__(self, role: Sender, *, dialect: Dialect = POSTGRESQL, trace: Trace | None = None) -> None:
        if role is Sender.BOTH:
            raise ValueError("a connection is a frontend or a backend")
        self.role: Final = role
        self.peer: Final = Sender.BACKEND if role is Sender.FRONTEND else Sender.FRONTEND
        self.dialect = dialect
        scanner, self._scanner_early = _scanners(dialect, self.peer)
        super().__init__(State.START, _MARKS, _BEFORE_SESSION, dialect.taking_requests, dialect.rows[self.peer],
                         dialect.entries[role], scanner, dialect is POSTGRESQL)
        self.trace = trace

    def speak(self, dialect: Dialect) -> None:
        """Go on in another dialect: a server learns from the StartupMessage which one is meant."""
        self.dialect = dialect
        scanner, self._scanner_early = _scanners(dialect, self.peer)
        self._speak(dialect.taking_requests, dialect.rows[self.peer], dialect.entries[self.role], scanner,
                    dialect is POSTGRESQL)

    def _not_now(self, what: str) -> LocalProtocolError:
        return LocalProtocolError(f"{what} cannot be sent now: {self.state.value}")

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

    @property
    def next_type(self) -> int | None:
        """The type byte of the message after the last event, when it is here whole; None: not known yet."""
        return self._frames[self._frame][0] if self._frame < len(self._frames) else None

    def take_unread(self) -> bytes:
        """Hand out the bytes received and not read, and forget them; for the start of a TLS handshake."""
        data = b"".join((self._data[self._pos:], *self._later))
        self._data, self._pos, self._later, self._later_size = b"", 0, [], 0
        return data

    def _unreadable(self, entry: Entry, text: str) -> RemoteProtocolError:
        """A message that was well framed and cannot be read.  Note what answers it if it is a request."""
        if self.role is Sender.FRONTEND or self.state in _BEFORE_SESSION:
            return self._break(text)
        # The request is known by its frame alone, and its answer is going to be the error.
        if entry.after is State.QUEUED:
            self._enqueue(State.DESCRIBE if callable(entry.answer) else entry.answer)
        else:
            self._move(entry.after)
        return RemoteProtocolError(text, fatal=False)

    def _too_long(self, cls: type[Message], length: int) -> RemoteProtocolError:
        return self._break(f"invalid length of {cls.__name__}: {length} bytes")

    def _look_closer(self, found: dict[int, Entry] | None, kind: int, body: int, end: int) -> tuple[Entry, int]:
        """The entry that the leading Int32 names, and where the body goes on; any code may be a StartupMessage's."""
        entry = None
        if found is not None:
            if end - body < 4:
                raise self._break("insufficient data left in message")
            code = _INT32.unpack_from(self._data, body)[0]
            if code in found:
                return found[code], body + 4
            entry = found.get(ANY_CODE)
        if entry is None:
            raise self._unexpected(kind)
        return entry, body

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

    def _find_first(self) -> bool | DirectTLS | None:
        """Find the messages that are whole, where something comes before that.

        True: there is at least one; None: more bytes are needed.
        """
        if not self._gathered():
            return None
        self._frames, self._frame = [], 0
        state = self.state
        if self._pos == len(self._data):
            return None
        if state not in _BEFORE_SESSION:
            return self._find()
        if self.role is Sender.BACKEND and state in _FIRST_PACKETS:
            return self._find_first_packet()
        if state in _ENCRYPTION_ASKED and self._data[self._pos] != 0x45:
            # one byte without a length, unless the server is too old or too broken and sends an ErrorResponse
            self._frames = [(self._data[self._pos], self._pos, self._pos + 1, 1)]
            self._pos += 1
            return True
        return self._scan(self._scanner_early, 1)

    def _find_first_packet(self) -> bool | DirectTLS | None:
        data, pos = self._data, self._pos
        if data[pos] == 0x16 and self.state is State.START:
            return DirectTLS.CLIENT_HELLO
        if len(data) - pos < 4:
            self._need = 4
            return None
        length = _INT32.unpack_from(data, pos)[0]
        if not 8 <= length <= STARTUP_LIMIT:
            raise self._break("invalid length of startup packet")
        if len(data) - pos < length:
            self._need = length
            return None
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

    def _refuse_unread(self, cls: type[Message]) -> None:
        # Bytes that came in clear must not be taken for protected ones (CVE-2021-23222).
        if self.unread:
            what = "GSSAPI encryption" if cls is GSSENCAccepted else "SSL"
            raise self._break(f"received unencrypted data after {what} "
                              f"{'request' if self.role is Sender.BACKEND else 'response'}")

    # The state

    def follow(self, other: Connection) -> None:
        """Go on from where `other` is, which reads the other side of the same conversation."""
        self.state, self._pending, self.transaction_status = other.state, other._pending, other.transaction_status



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
        batched = "".join(cls.type for cls in dialect.messages[peer] if cls in RUNS).encode()
        found = FrameScanner(limits, batched), FrameScanner(early, b"")
        _made[dialect, peer] = found
    return found


__all__ = ["Connection", "CopyDataRun", "DataRowRun", "DirectTLS", "Event", "Trace"]
