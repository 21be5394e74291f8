"""Sending requests and reading their answers.

Whoever asks puts an `Answer` behind those that are due already, and waits until it is complete.  One of those who wait
reads, and deals out what comes to all; when it has its own answer it leaves the reading to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from struct import Struct
from typing import TYPE_CHECKING, Any

from febe._kernel.errors import MalformedRow, TypeChanged, ValueDecodeError
from febe._kernel.row import Row
from febe.flows.errors import DecodeError, NotSupported
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse, NotificationResponse
from febe.protocol.connection import CopyDataRun, DataRowRun
from febe.protocol.copy import CopyBothResponse, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import (
    ConnectionLost,
    Error,
    LocalProtocolError,
    PostgresError,
    RemoteProtocolError,
    postgres_error,
)
from febe.protocol.extended import (
    BindComplete,
    CloseComplete,
    NoData,
    ParameterDescription,
    ParseComplete,
    PortalSuspended,
    Sync,
)
from febe.protocol.function import FunctionCallResponse
from febe.protocol.simple import CommandComplete, EmptyQueryResponse, FieldDescription, RowDescription
from febe.protocol.startup import ParameterStatus, ReadyForQuery
from febe.protocol.states import State

if TYPE_CHECKING:
    from febe.flows.port import Signal

_INT32 = Struct("!i")

DecodeRun = Callable[[bytes, int, int], list[Row]]


class Answer:
    """What the server says to one flight of requests, which ends with Sync.

    `decode` is given to turn rows into values; without it they are read and dropped.  With `one` only the first row is
    kept.
    """

    # Defaults live on the class: most answers set two of them.
    rows: list[Row] | None = None
    tag: str = ""
    error: PostgresError | None = None
    failure: Error | None = None
    """Our own trouble with the answer, told when it has been read to its end."""
    bound = False
    complete = False
    """Nothing more belongs to it."""
    status = "I"
    """Of ReadyForQuery: whether a transaction block is open after it."""
    builder: Any = None
    """What makes something else than tuples of the rows."""
    cut: BaseException | None = None
    """What ended the session before the answer was complete."""
    is_abandoned = False
    is_rollback = False
    """It is short and has to be done: no cancel request is sent for it, which might leave the transaction open."""
    is_part = False
    """It has no Sync of its own; who asked for it has the session alone."""
    signal: Signal | None = None
    """Whom to wake, when another one reads."""
    tagged = False
    """The command tag is wanted although there are rows."""
    brief = False
    """It is expected to be BindComplete, rows, CommandComplete, ReadyForQuery, which are read in one step."""
    is_many = False
    """It is expected to be BindComplete and CommandComplete again and again, which `many_at_once` reads."""
    parameter_types: list[int] = []  # noqa: RUF012 - replaced, never changed
    columns: list[FieldDescription] = []  # noqa: RUF012

    def __init__(self, session: Session, decode: DecodeRun | None, one: bool = False) -> None:
        self.session = session
        self.decode = decode
        self.one = one

    def check(self) -> None:
        """Raise what went wrong, if anything did; what we refused may be the cause of the server's error."""
        if self.failure is not None:
            if self.error is not None:
                raise self.failure from self.error
            raise self.failure
        if self.error is not None:
            raise self.error

    def cut_off(self, why: BaseException) -> None:
        """The session has ended before this answer."""
        self.cut = why
        self.finish()

    def finish(self) -> None:
        """It is complete: wake who waits for it."""
        self.complete = True
        if self.signal is not None:
            self.signal.set()

    def abandon(self) -> None:
        """Nobody waits for it any more; what comes of it is dropped."""
        self.is_abandoned = True
        self.decode = self.signal = None

    def reply(self) -> bytes:
        """What to say in a state in which the server waits for us."""
        messages = _REPLIES.get(self.session.core.state)
        return b"" if messages is None else self.session.core.send(*messages)

    # What to do with each event

    def briefly(self, data: bytes, start: int, end: int, rows: int, tag_end: int) -> None:
        """All of it in one step."""
        self.bound = True
        if rows and self.decode is not None:
            self._rows(data, start, end)
            if not self.tagged:
                return
        self._tag(data[end + 5:tag_end].decode())

    def many_at_once(self) -> bool:
        """Take as many parts of it in one step as are here; False: see the next event."""
        return False

    def _row_run(self, run: DataRowRun) -> None:
        self._rows(run.data, run.start, run.end)

    def _rows(self, data: bytes, start: int, end: int) -> None:
        decode = self.decode
        if decode is None:
            return
        if self.one:
            self.decode = None
            end = start + 1 + _INT32.unpack_from(data, start + 1)[0]
        try:
            rows = decode(data, start, end)
        except ValueDecodeError as error:
            self.decode = None
            self.failure = self._decode_error(error)
        except MalformedRow as error:
            raise RemoteProtocolError(f"invalid DataRow: {error}") from error
        else:
            if self.rows is None:
                self.rows = rows
            else:
                self.rows.extend(rows)

    def _decode_error(self, error: ValueDecodeError) -> DecodeError:
        if isinstance(error.__cause__, TypeChanged):
            self.session.types_changed()
        column = self.columns[error.column]
        type_name = self.session.types.by_oid(column.type_oid).name
        row = error.row + len(self.rows or ())
        shown = repr(error.data) if len(error.data) <= 80 else f"{error.data[:80]!r}... ({len(error.data)} bytes)"
        made = DecodeError(f'column "{column.name}" ({type_name}), row {row}: {error.reason}: {shown}', row=row,
                           column=column.name, type_name=type_name, data=error.data)
        made.__cause__ = error
        return made

    def _row_description(self, event: RowDescription) -> None:
        self.columns = event.columns

    def _parameter_description(self, event: ParameterDescription) -> None:
        self.parameter_types = event.parameter_types

    def _parse_complete(self, _: ParseComplete) -> None:
        pass

    def _bind_complete(self, _: BindComplete) -> None:
        self.bound = True

    def _command_complete(self, event: CommandComplete) -> None:
        self._tag(event.tag)

    def _tag(self, tag: str) -> None:
        self.tag = tag
        if tag.startswith(FLUSHING):
            self.session.flush_statements(tag)

    def _empty_query(self, _: EmptyQueryResponse) -> None:
        self.tag = ""

    def _suspended(self, _: PortalSuspended) -> None:
        pass

    def _error(self, event: ErrorResponse) -> None:
        if self.error is None:  # later ones are about what was to come after it
            self.error = postgres_error(event.fields_by_code)

    def _ready(self, event: ReadyForQuery) -> None:
        self.status = event.status
        self.session.answers.popleft()
        self.finish()

    def _function_result(self, event: FunctionCallResponse) -> None:
        pass

    def _copy_out(self, _: CopyOutResponse) -> None:
        self._refuse("COPY TO STDOUT was read and dropped")

    def _copy_in(self, _: CopyInResponse) -> None:
        self._refuse("COPY FROM STDIN was ended without data")

    def _copy_both(self, _: CopyBothResponse) -> None:
        self._refuse("a stream of replication was ended without data")

    def _copy_data(self, run: CopyDataRun) -> None:
        pass

    def _copy_done(self, _: CopyDone) -> None:
        pass

    def _refuse(self, what: str) -> None:
        if self.failure is None:
            self.failure = NotSupported(f"{what}: fetch, execute and prepared statements carry no COPY data")

    def _notice(self, event: NoticeResponse) -> None:
        self.session.notice(event)

    def _parameter_status(self, event: ParameterStatus) -> None:
        self.session.parameter_status(event)
        if event.name == "client_encoding" and event.value != "UTF8" and self.failure is None:
            self.failure = NotSupported(f"client_encoding is {event.value} now, and febe speaks UTF8 only: text would "
                                        "be misread; set it back")

    def _notification(self, event: NotificationResponse) -> None:
        self.session.notification(event)

    def _no_data(self, _: NoData) -> None:
        pass

    def _nothing(self, _: object) -> None:
        pass


class Between(Answer):
    """What the server says when nothing is due."""

    def _error(self, event: ErrorResponse) -> None:
        self.session.farewell(postgres_error(event.fields_by_code))


# Names, for a kind of answer may have its own way with an event.
_HANDLERS: dict[Any, str] = {
    DataRowRun: "_row_run",
    RowDescription: "_row_description",
    ParameterDescription: "_parameter_description",
    ParseComplete: "_parse_complete",
    BindComplete: "_bind_complete",
    CommandComplete: "_command_complete",
    EmptyQueryResponse: "_empty_query",
    PortalSuspended: "_suspended",
    ErrorResponse: "_error",
    ReadyForQuery: "_ready",
    FunctionCallResponse: "_function_result",
    CopyInResponse: "_copy_in",
    CopyOutResponse: "_copy_out",
    CopyBothResponse: "_copy_both",
    CopyDataRun: "_copy_data",
    CopyDone: "_copy_done",
    NoticeResponse: "_notice",
    ParameterStatus: "_parameter_status",
    NotificationResponse: "_notification",
    NoData: "_no_data",
    CloseComplete: "_nothing",
}

_COPY_FAIL = CopyFail(reason="no COPY data comes from this program")
_REPLIES = {
    State.QUERY_COPY_IN: (_COPY_FAIL,),
    # The Sync that was sent ahead is ignored during copy-in (manual: "COPY Operations").
    State.EXECUTE_COPY_IN: (_COPY_FAIL, Sync()),
    State.COPY_BOTH: (CopyDone(),),
    State.COPY_BOTH_BACKEND_DONE: (CopyDone(),),
}

# After these the server may describe the same SQL otherwise, or have forgotten it.
FLUSHING = ("ALTER", "CREATE", "DROP", "DISCARD ALL", "DEALLOCATE")


def ask(session: Session, states: tuple[State, ...], out: bytes, answer: Answer) -> None:
    """Send requests, which are answered in `states`; what the server says goes to `answer`.

    Errors: Error when nothing can be asked now.
    """
    if session.is_over:
        raise session.unusable()
    try:
        session.core.send_requests(states, out)
        session.answers.append(answer)
        session.asked += 1
        session.port.write(out)
    except LocalProtocolError:
        raise session.unusable() from None
    except BaseException as error:
        session.lost(error)
        raise


def converse(session: Session, states: tuple[State, ...], out: bytes, answer: Answer) -> Coroutine[Any, Any, None]:
    """Ask and wait for the answer.  Errors: as `ask` and `settle`."""
    ask(session, states, out, answer)
    return settle(session, answer)


async def settle(session: Session, answer: Answer) -> None:
    """Wait until the answer is complete, reading for all if nobody does.

    Errors: ConnectionLost, RemoteProtocolError: they end the session.  A cancellation, or Ctrl-C, while the answer is
    awaited has the server cancel the request, and the session goes on.
    """
    port = session.port
    suspended: BaseException | None = None
    broken: Error | None = None
    try:
        while not answer.complete:
            try:
                if session.reading:
                    answer.signal = port.signal()
                    await answer.signal.wait()
                    answer.signal = None
                    continue
                session.reading = True
                try:
                    await port.wait()
                finally:
                    session.reading = False
            except BaseException as error:
                suspended = error
                raise
            deliver(session, port.take())
    except Error as error:
        broken = error
        session.lost(error)
    except BaseException as error:
        if suspended is error:
            await _give_up(session, answer, error)
        else:  # in the middle of something: nothing may follow it, because answers would be mistaken
            session.lost(error)
        raise
    if session.answers or session.listeners:
        # Who goes on to ask reads on.
        port.later(hand_over, session)
    if answer.cut is not None:
        raise _cut(answer, broken)


def deliver(session: Session, data: bytes) -> None:
    """Give what was received to the answers that it belongs to.  Errors: RemoteProtocolError."""
    core, answers = session.core, session.answers
    core.receive(data)
    while True:
        if answers:
            answer = answers[0]
            if answer.brief and (found := core.next_answer()) is not None:
                answer.status = core.transaction_status
                answer.briefly(*found)
                answers.popleft()
                answer.complete = True
                if answer.signal is not None:
                    answer.signal.set()
                if core.unread:
                    continue
                return
            if answer.is_many and answer.many_at_once():
                continue
        else:
            answer = session.between
        event = core.next_event()
        if event is None:
            break
        getattr(answer, _HANDLERS[type(event)])(event)
    if answers and (out := answers[0].reply()):
        session.port.write(out)


def hand_over(session: Session) -> None:
    """Leave the reading to the first one who waits."""
    if not session.reading:
        for answer in session.answers:
            if answer.signal is not None:
                answer.signal.set()
                return
        for listener in session.listeners:
            if listener.news.signal is not None:
                listener.news.signal.set()
                return


async def _give_up(session: Session, answer: Answer, error: BaseException) -> None:
    """Have the server cancel what nobody waits for any more; what still comes of it is read before the next answer."""
    if answer.complete:
        return
    answer.abandon()
    hand_over(session)
    if session.cancel is None and answer in session.answers:
        session.lost(error)
    # Not its turn yet: a cancel request would hit another one's.
    elif session.cancel is not None and not answer.is_rollback and _has_its_turn(session, answer):
        await session.cancel()


def _has_its_turn(session: Session, answer: Answer) -> bool:
    """Whether the server is busy with this answer, or with an earlier part of the same flight."""
    for other in session.answers:
        if other is answer:
            return True
        if not other.is_part:
            return False
    return False


def _cut(answer: Answer, broken: Error | None) -> BaseException:
    """Why an answer is not complete, for its own caller; `broken` is what that one found out by reading."""
    cut = answer.cut
    if answer.error is not None:  # the server has said why it goes away
        made: BaseException = answer.error
    elif broken is not None and not isinstance(broken, ConnectionLost):
        return broken
    else:
        made = ConnectionLost(f"{cut}; whether the request was carried out is unknown")
    made.__cause__ = cut
    return made


__all__ = ["FLUSHING", "Answer", "Between", "DecodeRun", "ask", "converse", "deliver", "hand_over", "settle"]
