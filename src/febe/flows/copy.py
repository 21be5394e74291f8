"""COPY in and out (manual: "COPY Operations")."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from typing import Any

from febe._kernel.row import row_type
from febe.flows.answer import Answer, converse, deliver, settle
from febe.flows.errors import EncodeError, NotSupported
from febe.flows.prepare import Statement, describe
from febe.flows.quote import identifier
from febe.flows.result import Result
from febe.flows.session import Session
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import Error
from febe.protocol.simple import CommandComplete, Query
from febe.protocol.states import State
from febe.types.copy import CopyColumn, CopyDecoder, CopyEncodeError, CopyEncoder, CopyFormat
from febe.types.copy.encoder import frame

Table = str | tuple[str, ...]
Progress = Callable[[int, int], object]
"""Called with the rows (0 where bytes are given) and the bytes sent so far."""
_QUERY = (State.QUERY,)
_PIECE = 1 << 18


class CopyAnswer(Answer):
    """The answer to COPY, complete for the moment when data may follow or have come."""

    direction = ""
    """`in` or `out`, when the server has said so."""
    decoder: CopyDecoder | None = None

    def __init__(self, session: Session) -> None:
        super().__init__(session, None)
        self.data: list[Any] = []

    def _copy_in(self, _: CopyInResponse) -> None:
        self.direction = "in"
        self.finish()

    def _copy_out(self, _: CopyOutResponse) -> None:
        self.direction = "out"
        self.finish()

    def _copy_data(self, run: CopyDataRun) -> None:
        if self.is_abandoned:
            return
        if self.decoder is None:
            self.data.extend(run.bodies())
        else:
            try:
                self.data.extend(self.decoder.feed_run(run.data, run.start, run.end))
            except Exception as error:
                self._failed(error)
        self.finish()

    def _command_complete(self, event: CommandComplete) -> None:
        if self.decoder is not None and not self.is_abandoned and self.failure is None:
            try:
                self.data.extend(self.decoder.finish())
            except Exception as error:
                self._failed(error)
        super()._command_complete(event)

    def _failed(self, error: Exception) -> None:
        self.failure = error  # type: ignore[assignment]
        self.decoder = None
        self.is_abandoned = True

    @property
    def ended(self) -> bool:
        """ReadyForQuery has come, or the session has ended."""
        return self not in self.session.answers

    def reply(self) -> bytes:
        """Copy-in is answered by who has the data; one that is abandoned, or a stream both ways, is ended."""
        if self.is_abandoned or self.session.core.state in (State.COPY_BOTH, State.COPY_BOTH_BACKEND_DONE):
            return super().reply()
        return b""


async def begin(session: Session, sql: str, answer: CopyAnswer, direction: str) -> None:
    """Send a COPY statement, up to where data follow.

    Errors: PostgresError; NotSupported when it is no COPY in this direction.
    """
    await converse(session, _QUERY, Query(query=sql).encode(), answer)
    if answer.direction == direction:
        return
    if not answer.ended:
        answer.abandon()
        answer.complete = False
        session.port.write(answer.reply())
        await settle(session, answer)
    answer.check()
    raise NotSupported(f"the statement is no COPY {'FROM STDIN' if direction == 'in' else 'TO STDOUT'}")


async def copy_in(session: Session, sql: str, pieces: Any, progress: Progress | None = None,
                  encoder: CopyEncoder | None = None) -> Result:
    """Run COPY FROM STDIN with CopyData messages that `pieces` gives.

    Whatever ends the pieces early fails the COPY, so that nothing of it stays.  Errors: PostgresError, what the pieces
    raise.
    """
    async with session.alone():
        answer = CopyAnswer(session)
        await begin(session, sql, answer, "in")
        answer.complete = False
        sent = 0
        try:
            async for piece in pieces:
                session.core.send_run(CopyData, piece)
                await session.port.flush(piece)
                sent += len(piece)
                if progress is not None:
                    progress(encoder.rows if encoder is not None else 0, sent)
                if not session.reading and (said := session.port.take()):
                    deliver(session, said)
                if answer.error is not None or answer.complete:
                    break
            if session.core.state is State.QUERY_COPY_IN:
                session.port.write(session.core.send(CopyDone()))
        except BaseException as error:
            await _fail(session, answer, error)
            raise
        await settle(session, answer)
    answer.check()
    return Result(answer.tag)


async def _fail(session: Session, answer: CopyAnswer, error: BaseException) -> None:
    """End a copy-in that is to have no effect."""
    if session.is_closed or answer.ended:
        return
    if session.core.state is State.QUERY_COPY_IN:
        session.port.write(session.core.send(CopyFail(reason=f"{type(error).__name__} in the frontend")))
    answer.abandon()
    if isinstance(error, Exception):  # else it is a cancellation, and what comes is read before the next answer
        await settle(session, answer)


class CopyOut:
    """COPY TO STDOUT, taken piece by piece: rows where there is a decoder, else the bytes of the messages."""

    def __init__(self, session: Session, what: Table, columns: Sequence[str] | None, *, bare: bool) -> None:
        self.session = session
        self.what = what
        self.names = columns
        self.bare = bare
        self.result = Result("")
        self._answer: CopyAnswer | None = None

    async def open(self) -> None:
        """Begin.  Errors: PostgresError, NotSupported."""
        session, answer = self.session, CopyAnswer(self.session)
        if self.bare:
            assert isinstance(self.what, str)
            sql = self.what
        else:
            form = CopyFormat(format="binary")
            found = await columns_of(session, self.what, self.names)
            names = tuple(column.name for column in found)
            answer.decoder = CopyDecoder(form, found, row=row_type(names))
            sql = statement(self.what, names, "TO STDOUT", form)
        await session.admission()
        session.hold()
        try:
            await begin(session, sql, answer, "out")
        except BaseException:
            session.release()
            raise
        self._answer = answer

    async def next(self) -> list[Any]:
        """What has come, empty at the end.  Errors: PostgresError, CopyError, ConnectionLost."""
        answer = self._answer
        assert answer is not None
        while not answer.data and not answer.ended:
            answer.complete = False
            await settle(self.session, answer)
        data, answer.data = answer.data, []
        if not data:
            answer.check()
            self.result = Result(answer.tag)
        return data

    async def close(self) -> None:
        """Read and drop what is left, which the server is asked to leave out."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        try:
            if not answer.ended:
                answer.abandon()
                if self.session.cancel is not None:
                    await self.session.cancel()
                answer.complete = False
                await settle(self.session, answer)
        finally:
            self.session.release()


async def columns_of(session: Session, table: Table, names: Sequence[str] | None) -> list[CopyColumn]:
    """The columns of a table as COPY has them.  Errors: PostgresError."""
    wanted = ", ".join(map(identifier, names)) if names is not None else "*"
    statement = Statement(f"SELECT {wanted} FROM {named(table)}", False)
    await session.admission()
    await describe(session, statement)
    return [CopyColumn(name=column.name, codec=session.types.by_oid(column.type_oid)) for column in statement.columns]


def named(table: Table) -> str:
    """A table's name as SQL; a tuple has the schema first."""
    return identifier(table) if isinstance(table, str) else identifier(*table)


def statement(table: Table, names: Sequence[str] | None, direction: str, form: CopyFormat) -> str:
    """The COPY statement."""
    listed = f" ({', '.join(map(identifier, names))})" if names is not None else ""
    return f"COPY {named(table)}{listed} {direction} {form.sql()}"


async def copy_records(session: Session, table: Table, rows: Any, *, columns: Sequence[str] | None = None,
                       form: CopyFormat | None = None, progress: Progress | None = None) -> Result:
    """Copy rows into a table, in binary unless a format is given.

    Errors: EncodeError that names row and column; PostgresError.
    """
    form = form or CopyFormat(format="binary")
    found = await columns_of(session, table, columns)
    encoder = CopyEncoder(form, found)
    names = [column.name for column in found]
    try:
        return await copy_in(session, statement(table, names, "FROM STDIN", form), encoded(encoder, rows), progress,
                             encoder)
    except CopyEncodeError as error:
        raise EncodeError(f"row {error.row}, column {error.name!r}: {error.reason}", value=error.value) from error


async def encoded(encoder: CopyEncoder, rows: Iterable[Any] | AsyncIterable[Any]) -> Any:
    """Rows as CopyData messages."""
    if isinstance(rows, AsyncIterable):
        waiting: list[Any] = []
        async for row in rows:
            waiting.append(row)
            if len(waiting) == 1000:
                yield encoder.encode(waiting)
                waiting = []
        if waiting:
            yield encoder.encode(waiting)
    else:
        left = iter(rows)
        while data := encoder.encode_some(left, _PIECE):
            yield data
    if data := encoder.finish():
        yield data


async def framed(source: Any) -> Any:
    """Bytes, a file, or an iterable of bytes as CopyData messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        data = source
        source = (data[at:at + _PIECE] for at in range(0, len(data), _PIECE))
    elif hasattr(source, "read"):
        source = _read(source)
    if isinstance(source, AsyncIterable):
        async for piece in source:
            yield frame(_bytes(piece))
    else:
        for piece in source:
            yield frame(_bytes(piece))


def _read(file: Any) -> Iterator[Any]:
    while piece := file.read(_PIECE):
        yield piece


def _bytes(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise Error(f"COPY data are bytes or str, not {type(piece).__name__}")
    return bytes(piece)


__all__ = ["CopyOut", "Progress", "Table", "columns_of", "copy_in", "copy_records", "framed", "named",
           "statement"]
