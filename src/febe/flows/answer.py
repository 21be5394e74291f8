"""Sending requests and reading their answers, up to the point where nothing more is due."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from febe._kernel.errors import MalformedRow, ValueDecodeError
from febe._kernel.row import Row
from febe.flows.errors import DecodeError, NotSupported
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse, NotificationResponse
from febe.protocol.connection import CopyDataRun, DataRowRun
from febe.protocol.copy import CopyBothResponse, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import ConnectionLost, Error, PostgresError, RemoteProtocolError, postgres_error
from febe.protocol.extended import (
    BindComplete,
    CloseComplete,
    NoData,
    ParameterDescription,
    ParseComplete,
    PortalSuspended,
    Sync,
)
from febe.protocol.simple import CommandComplete, EmptyQueryResponse, FieldDescription, RowDescription
from febe.protocol.startup import ParameterStatus, ReadyForQuery
from febe.protocol.states import State

_IDLE = State.IDLE  # see protocol/connection.py
_INT32 = Struct("!i")

DecodeRun = Callable[[bytes, int, int], list[Row]]


class Answer:
    """What the server says to one flight of requests.

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
    """ReadyForQuery came, and nothing else was asked."""
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

    # What to do with each event

    def _row_run(self, run: DataRowRun) -> None:
        decode = self.decode
        if decode is None:
            return
        end = run.end
        if self.one:
            self.decode = None
            end = run.start + 1 + _INT32.unpack_from(run.data, run.start + 1)[0]
        try:
            rows = decode(run.data, run.start, end)
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

    def _bind_complete(self, _: BindComplete) -> None:
        self.bound = True

    def _command_complete(self, event: CommandComplete) -> None:
        self.tag = event.tag

    def _empty_query(self, _: EmptyQueryResponse) -> None:
        self.tag = ""

    def _error(self, event: ErrorResponse) -> None:
        error = postgres_error(event.fields_by_code)
        if self.complete:  # not of this answer: the server says good-bye after it
            self.session.farewell(error)
        elif self.error is None:  # later ones are about what was to come after it
            self.error = error

    def _ready(self, _: ReadyForQuery) -> None:
        self.complete = self.session.core.state is _IDLE

    def _copy_out(self, _: CopyOutResponse) -> None:
        self._refuse("COPY TO STDOUT was read and dropped")

    def _copy(self, _: CopyInResponse | CopyBothResponse) -> None:
        self._refuse("COPY FROM STDIN was ended without data")

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

    def _nothing(self, _: object) -> None:
        pass


_HANDLERS: dict[Any, Callable[[Answer, Any], None]] = {
    DataRowRun: Answer._row_run,
    RowDescription: Answer._row_description,
    ParameterDescription: Answer._parameter_description,
    BindComplete: Answer._bind_complete,
    CommandComplete: Answer._command_complete,
    EmptyQueryResponse: Answer._empty_query,
    ErrorResponse: Answer._error,
    ReadyForQuery: Answer._ready,
    CopyInResponse: Answer._copy,
    CopyOutResponse: Answer._copy_out,
    CopyBothResponse: Answer._copy,
    NoticeResponse: Answer._notice,
    ParameterStatus: Answer._parameter_status,
    NotificationResponse: Answer._notification,
    **dict.fromkeys((ParseComplete, CloseComplete, NoData, PortalSuspended, CopyDataRun, CopyDone), Answer._nothing),
}

_COPY_FAIL = CopyFail(reason="no COPY data comes from this program")
# What is said in a state in which the server waits for us.
_REPLIES = {
    State.QUERY_COPY_IN: (_COPY_FAIL,),
    # The Sync that was sent ahead is ignored during copy-in (manual: "COPY Operations").
    State.EXECUTE_COPY_IN: (_COPY_FAIL, Sync()),
    State.COPY_BOTH: (CopyDone(),),
    State.COPY_BOTH_BACKEND_DONE: (CopyDone(),),
    # An error in a flight that ended with Flush
    State.SKIPPING: (Sync(),),
}


async def converse(session: Session, out: bytes, answer: Answer) -> None:
    """Send `out` and read until everything that was asked is answered; what the server says goes to `answer`.

    Errors: ConnectionLost, RemoteProtocolError, and whatever interrupts it; all of them end the session.
    """
    core, exchange, handlers = session.core, session.port.exchange, _HANDLERS
    try:
        while True:
            core.receive(await exchange(out))
            out = b""
            while (event := core.next_event()) is not None:
                handlers[type(event)](answer, event)
            state = core.state
            if state is _IDLE or (answer.complete and state is State.CLOSED):
                return
            if state in _REPLIES:
                out = core.send(*_REPLIES[state])
    except ConnectionLost as lost:
        session.lost(lost)
        if answer.error is not None:  # the server has said why it goes away
            raise answer.error from lost
        raise
    except BaseException as error:
        session.lost(error)
        raise


__all__ = ["Answer", "DecodeRun", "converse"]
