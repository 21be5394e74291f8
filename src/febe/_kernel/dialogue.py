# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return,attr-defined"
"""Where a conversation is, and what every message of it passes through: the loop of `febe.protocol.Connection`.

What a state and a message are it is told; what is rare - the first packets, errors, traces - it leaves to the methods
that Connection has for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel.errors import MalformedMessage

if cython.compiled:
    from cython.cimports.febe._kernel.frames import find_answer
else:
    from febe._kernel.frames import find_answer

COMPILED: bool = cython.compiled

_ALL = 1 << 30
_STATUS = {73: "I", 84: "T", 69: "E"}


@cython.cclass
class Entry:
    """What a type byte means in one state."""

    message = cython.declare(object, visibility="readonly")
    after = cython.declare(object, visibility="readonly")
    known = cython.declare(dict, visibility="readonly")
    answer = cython.declare(object, visibility="readonly")
    run = cython.declare(object, visibility="readonly")
    _read: Callable[..., tuple[Any, int]]
    _encoded: dict[str, bytes]
    _limit: cython.Py_ssize_t
    _is_ready: cython.bint
    _last_in_clear: cython.bint

    def __init__(
        self,
        message: Any,
        after: object,
        *,
        known: dict[bytes, Any],
        answer: object = None,
        run: object = None,
        is_ready: bool = False,
        last_in_clear: bool = False,
    ) -> None:
        """Take the message's class, the state after it, and what is special about it.

        `known` are the messages that few bodies tell whole, by body.  `answer` is the state in which a request is
        answered, or a callable that gives it of the request.  `run` makes an event of a run of such messages.
        """
        self.message = message
        self.after = after
        self.known = known
        self.answer = answer
        self.run = run
        self._read = message.reader.read
        self._encoded = {body.decode(): made.encode() for body, made in known.items()}
        self._limit = message.limit
        self._is_ready = is_ready
        self._last_in_clear = last_in_clear


@cython.cclass
class Marks:
    """The states of which the loop has to know, and the entries that are no states."""

    idle: Any
    bind: Any
    execute: Any
    sync: Any
    queued: Any
    dropped: Any
    answered: Any
    skipping: Any
    copying_in: Collection[Any]

    def __init__(
        self,
        *,
        idle: object,
        bind: object,
        execute: object,
        sync: object,
        queued: object,
        dropped: object,
        answered: object,
        skipping: object,
        copying_in: Collection[object],
    ) -> None:
        self.idle = idle
        self.bind = bind
        self.execute = execute
        self.sync = sync
        self.queued = queued
        self.dropped = dropped
        self.answered = answered
        self.skipping = skipping
        self.copying_in = copying_in


@cython.cclass
class Dialogue:
    """A conversation's state, what was asked in it and not answered, and what was received and not handed out."""

    state = cython.declare(object, visibility="public")
    transaction_status = cython.declare(object, visibility="public")
    flush_heard = cython.declare(cython.bint, visibility="public")
    trace = cython.declare(object, visibility="public")
    _pending = cython.declare(object, visibility="public")
    _broken = cython.declare(object, visibility="public")
    _incoming = cython.declare(dict, visibility="public")
    _outgoing = cython.declare(dict, visibility="public")
    _scanner = cython.declare(object, visibility="public")
    _limits: bytes
    _data = cython.declare(bytes, visibility="public")
    _pos = cython.declare(cython.Py_ssize_t, visibility="public")
    _later = cython.declare(list, visibility="public")
    _later_size = cython.declare(cython.Py_ssize_t, visibility="public")
    _need = cython.declare(cython.Py_ssize_t, visibility="public")
    _frames = cython.declare(list, visibility="public")
    _frame = cython.declare(cython.Py_ssize_t, visibility="public")
    waiting = cython.declare(cython.Py_ssize_t, visibility="readonly")
    _said: list[Any]
    _marks: Marks
    _before_session: Collection[Any]
    _taking_requests: Collection[Any]
    _is_plain: cython.bint

    def __init__(
        self,
        state: object,
        marks: Marks,
        before_session: Collection[object],
        taking_requests: Collection[object],
        incoming: Mapping[Any, Any],
        outgoing: Mapping[Any, Any],
        scanner: Any,
        is_plain: bool,
    ) -> None:
        """Begin in `state`.

        `incoming` and `outgoing` give, by state, an Entry by type byte and by class.  `scanner` finds a session's
        frames.  `is_plain` says that no dialect changes what answers Bind and Execute.
        """
        self.state = state
        self.transaction_status = "I"
        self.trace = None
        self.flush_heard = False
        self._pending = deque()
        self._broken = None
        self._data = b""
        self._pos = 0
        self._later = []
        self._later_size = 0
        self._need = 1
        self._frames = []
        self._frame = 0
        self.waiting = 0
        self._said = []
        self._marks = marks
        self._before_session = before_session
        self._speak(taking_requests, incoming, outgoing, scanner, is_plain)

    def _speak(
        self,
        taking_requests: Collection[object],
        incoming: Mapping[Any, Any],
        outgoing: Mapping[Any, Any],
        scanner: Any,
        is_plain: bool,
    ) -> None:
        """Go on by these tables."""
        self._taking_requests = taking_requests
        self._incoming = dict(incoming)
        self._outgoing = dict(outgoing)
        self._scanner = scanner
        self._limits = scanner.limits
        self._is_plain = is_plain

    @property
    def unread(self) -> int:
        """How many bytes were received and not yet handed out as events."""
        pos: cython.Py_ssize_t = self._pos
        if self._frame < len(self._frames):
            pos = self._frames[self._frame][1]
        return len(self._data) - pos + self._later_size

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer, cut anywhere."""
        if self._pos == len(self._data) and self._frame == len(self._frames) and not self._later:
            self._data = data
            self._pos = 0
        else:
            self._later.append(data)
            self._later_size += len(data)

    def next_event(self) -> Any:
        """The next thing the peer said; None when more bytes are needed.

        Errors: RemoteProtocolError.  Where it is not fatal the message was well framed and has been passed over; a
        server answers the error and goes on.
        """
        marks: Marks = self._marks
        entry: Entry
        kind: cython.int
        start: cython.Py_ssize_t
        end: cython.Py_ssize_t
        body: cython.Py_ssize_t
        while True:
            if self._frame == len(self._frames):
                if self._broken is not None:
                    raise self._broken
                if self._pos == len(self._data) and not self._later:
                    return None
                found = self._find()
                if found is not True:
                    return found
            frame = self._frames[self._frame]
            self._frame += 1
            kind, start, end = frame[0], frame[1], frame[2]
            state = self.state
            body = start + 5 if kind >= 0 else start + 4
            found = self._incoming[state].get(kind)
            if not isinstance(found, Entry):
                found, body = self._look_closer(found, kind, body, end)
            entry = found
            if self.trace is not None:
                self._trace_received(entry.message, start, end)
            after = entry.after
            if after is marks.dropped:
                if kind == 72:  # H, Flush
                    self.flush_heard = True
                continue
            if entry.run is not None:
                if after is not state:
                    self._move(after)
                return entry.run(self._data, start, end, frame[3])
            message = entry.known.get(self._data[body:end]) if entry.known else None
            if message is None:
                if end - start - (kind >= 0) > entry._limit:
                    raise self._too_long(entry.message, end - start)
                try:
                    message, body = entry._read(self._data, body, end)
                except MalformedMessage as error:
                    raise self._unreadable(entry, str(error)) from None
                if body != end:
                    raise self._unreadable(
                        entry, f"invalid message format: {end - body} bytes left over in {entry.message.__name__}"
                    )
            if after is marks.queued:
                answer = entry.answer
                self._enqueue(answer(message) if callable(answer) else answer)
                return message
            if entry._is_ready:
                self.transaction_status = message.status
            self._move(after)
            if entry._last_in_clear:
                self._refuse_unread(entry.message)
            return message

    def next_answer(self) -> tuple[bytes, int, int, int, int] | None:
        """The whole answer to Bind, Execute and Sync in one step, where that comes next, is here, and is nothing else.

        (data, start of the rows, their end, their number, end of the command tag); the tag begins 5 bytes after the
        rows' end.  None: see what `next_event` says.
        """
        marks: Marks = self._marks
        pending: Any = self._pending
        if (
            self.state is not marks.bind
            or len(pending) < 2
            or pending[0] is not marks.execute
            or pending[1] is not marks.sync
            or self._frame != len(self._frames)
            or self._later
            or self.trace is not None
            or not self._is_plain
        ):
            return None
        found = find_answer(self._limits, self._data, self._pos)
        if found is None:
            return None
        end: cython.Py_ssize_t = found[4]
        self._pos = end + 7
        self.transaction_status = _STATUS[self._data[end + 6]]
        pending.popleft()
        pending.popleft()
        self.state = pending.popleft() if pending else marks.idle
        return found

    def next_repeats(self, most: cython.Py_ssize_t) -> tuple[int, str] | None:
        """As many answers to Bind and Execute in one step, at most `most`, as come next, are here, and are BindComplete
        and the same CommandComplete.

        (their number, the command tag).  None: see what `next_event` says.
        """
        marks: Marks = self._marks
        pending: Any = self._pending
        done: cython.Py_ssize_t = 0
        count: cython.Py_ssize_t
        size: cython.Py_ssize_t
        if (
            self.state is not marks.bind
            or self._frame != len(self._frames)
            or self.trace is not None
            or not self._is_plain
            or not self._gathered()
        ):
            return None
        found = self._scanner.repeats(self._data, self._pos, most)
        if found is None:
            return None
        count, size = found
        while done < count and self.state is marks.bind and pending and pending[0] is marks.execute:
            pending.popleft()
            self.state = pending.popleft() if pending else marks.idle
            done += 1
        if done == 0:
            return None
        tag = self._data[self._pos + 10 : self._pos + size - 1].decode("utf-8", "surrogateescape")
        self._pos += done * size
        return done, tag

    def pass_on(
        self, other: Dialogue, said: list[bytes | bytearray], halt: frozenset[type], flush: object = None
    ) -> Any:
        """Have `other` say to its peer what ours said here, and add the bytes to `said`.

        The first event of a class in `halt` is returned and not passed on; None: more bytes are needed.  `flush` is
        said where our peer said Flush, which is no event.  Errors: RemoteProtocolError, LocalProtocolError.
        """
        while True:
            event = self.next_event()
            if self.flush_heard:
                self.flush_heard = False
                row = other._outgoing.get(other.state)
                if row is not None and type(flush) in row:
                    said.append(other._send(flush))
            if event is None or type(event) in halt:
                return event
            said.append(other._send(event))

    @cython.ccall
    def _gathered(self) -> cython.bint:
        """Put together what came in pieces; False: it is not as much as is needed yet."""
        if self._later:
            if len(self._data) - self._pos + self._later_size < self._need:
                return False
            self._data = b"".join((self._data[self._pos :], *self._later))
            self._pos = 0
            self._later.clear()
            self._later_size = 0
        self._need = 1
        return True

    @cython.ccall
    def _find(self) -> object:
        """Find the messages that are whole.  True: there is at least one; None: more bytes are needed."""
        if self._later or self.state in self._before_session:
            return self._find_first()
        return self._scan(self._scanner, _ALL)

    @cython.ccall
    def _scan(self, scanner: object, most: cython.Py_ssize_t) -> object:
        frames, pos, status = scanner.scan(self._data, self._pos, most)
        self._frames, self._pos, self._frame = frames, pos, 0
        self._need = status if status > 0 else 1
        if frames:
            return True
        if status < 0:
            raise self._bad_frame(status)
        return None

    def send(self, *messages: Any) -> bytes:
        """Check that each message may be said now, note it, and return the bytes to give to the peer.

        Errors: LocalProtocolError; the messages before the one refused are noted, so their bytes are lost: send what
        may fail alone.
        """
        if len(messages) == 1:
            return self._send(messages[0])
        return b"".join([self._send(message) for message in messages])

    @cython.ccall
    def _send(self, message: Any) -> bytes:
        entry: Entry
        data: bytes
        cls = type(message)
        row = self._outgoing.get(self.state)
        found = None if row is None else row.get(cls)
        if found is None:
            raise self._not_now(cls.__name__)
        entry = found
        if entry._is_ready:
            data = entry._encoded[message.status]
        elif entry._encoded:
            data = entry._encoded[""]
        else:
            data = message.encode()
        if entry._last_in_clear:
            self._refuse_unread(cls)
        if self.trace is not None:
            self.trace(self.role, cls, data)
        if entry.after is self._marks.queued:
            answer = entry.answer
            self._enqueue(answer(message) if callable(answer) else answer)
            return data
        if entry._is_ready:
            self.transaction_status = message.status
        self._move(entry.after)
        return data

    def say(self, *messages: Any) -> None:
        """Send, and keep the bytes until they are taken; `waiting` says how many those are.

        Errors: LocalProtocolError; the messages before the one refused are said.
        """
        data: bytes
        for message in messages:
            data = self._send(message)
            self._said.append(data)
            self.waiting += len(data)

    def say_run(self, cls: Any, data: bytes | bytearray) -> None:
        """Send messages that were encoded elsewhere, and keep the bytes.  Errors: LocalProtocolError."""
        self._said.append(self._send_run(cls, data))
        self.waiting += len(data)

    def take(self) -> bytes:
        """Hand out what has been said and not taken."""
        data: bytes = b"".join(self._said)
        self._said.clear()
        self.waiting = 0
        return data

    def send_run(self, cls: Any, data: bytes | bytearray) -> bytes | bytearray:
        """Note messages that were encoded elsewhere: a run of DataRow or CopyData by the kernel, or one answer that is
        kept encoded because it is sent again and again.

        Errors: LocalProtocolError.
        """
        return self._send_run(cls, data)

    @cython.ccall
    def _send_run(self, cls: Any, data: bytes | bytearray) -> object:
        entry: Entry
        row = self._outgoing.get(self.state)
        found = None if row is None else row.get(cls)
        if found is None:
            raise self._not_now(cls.__name__)
        entry = found
        if entry.after is self._marks.queued or entry._is_ready:  # of which more has to be known
            raise self._not_now(cls.__name__)
        if self.trace is not None:
            self._trace_frames(data)
        self._move(entry.after)
        return data

    def send_requests(self, answers: tuple[Any, ...], data: bytes) -> bytes:
        """Note requests that were encoded elsewhere (by the kernel): the state in which each is answered.

        Errors: LocalProtocolError when no request may be sent now.
        """
        marks: Marks = self._marks
        if self.state is marks.idle:
            self.state = answers[0]
            self._pending.extend(answers[1:])
        elif self.state in self._taking_requests:
            self._pending.extend(answers)
        else:
            raise self._not_now("a request")
        if self.trace is not None:
            self._trace_frames(data)
        return data

    @cython.ccall
    def _enqueue(self, answer: object) -> None:
        if self.state is self._marks.idle:
            self.state = answer
        else:
            self._pending.append(answer)

    @cython.ccall
    def _move(self, after: object) -> None:
        marks: Marks = self._marks
        pending: Any = self._pending
        if after is self.state or after is marks.dropped:
            return
        if after is marks.answered:
            after = pending.popleft() if pending else marks.idle
        elif after is marks.skipping:
            # all that was sent up to the next Sync is going to be dropped
            while pending:
                if pending.popleft() is marks.sync:
                    after = marks.sync
                    break
        elif after in marks.copying_in and pending:
            # a Sync sent ahead is read, and ignored, as part of the copy
            self._pending = deque([answer for answer in pending if answer is not marks.sync])
        self.state = after
