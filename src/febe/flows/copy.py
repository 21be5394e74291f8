"""COPY in and out (manual: "COPY Operations")."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any

from febe._kernel.copy_binary import payload
from febe._kernel.row import row_type
from febe.flows.answer import Answer, converse, deliver, settle
from febe.flows.errors import EncodeError, NotSupported
from febe.flows.part import Part, is_interruption
from febe.flows.pipeline import Pipeline
from febe.flows.prepare import Statement, describe
from febe.flows.quote import identifier
from febe.flows.result import Result
from febe.flows.session import Session
from febe.flows.watch import Operation, watching
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import Error
from febe.protocol.extended import Bind, Execute, Flush, Parse
from febe.protocol.simple import CommandComplete, Query
from febe.protocol.states import COPYING_IN, State
from febe.types.copy import ArrowCopyEncoder, CopyColumn, CopyDecoder, CopyEncodeError, CopyEncoder, CopyFormat
from febe.types.copy.encoder import frame
from febe.types.styles import styled

Table = str | tuple[str, ...]
Progress = Callable[[int, int], object]
"""Called with the rows (0 where bytes are given) and the bytes sent so far."""
_RUN = (Bind(portal="", statement="", parameter_formats=[], parameters=[], result_formats=[]).encode()
        + Execute(portal="", maximum_rows=0).encode() + Flush().encode())
_PIECE = 1 << 18


class CopyAnswer(Answer):
    """The answer to COPY, complete for the moment when data may follow or have come."""

    direction = ""
    """`in` or `out`, when the server has said so."""
    decoder: Any = None
    """Takes the messages' data and gives rows or batches, where they are not wanted as they are."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, None)
        self.data: list[Any] = []
        self.received = 0

    def _copy_in(self, _: CopyInResponse) -> None:
        self.direction = "in"
        self.finish()

    def _copy_out(self, _: CopyOutResponse) -> None:
        self.direction = "out"
        self.finish()

    def _copy_data(self, run: CopyDataRun) -> None:
        if self.is_abandoned:
            return
        self.received += run.end - run.start
        if self.decoder is None:
            self.data.append(payload(run.data, run.start, run.end))
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


class CopyPart(CopyAnswer, Part):
    """The answer to COPY within a flight."""

    @property
    def is_beginning(self) -> bool:  # type: ignore[override]
        """It is not known yet whether data are to follow."""
        return not self.direction

    def _copy_in(self, event: CopyInResponse) -> None:
        super()._copy_in(event)
        self._catch_up()


async def begin(session: Session, sql: str, answer: CopyAnswer, direction: str) -> None:
    """Send a COPY statement, up to where data follow.

    Errors: PostgresError; NotSupported when it is no COPY in this direction.
    """
    if answer.is_part:  # nothing is said after it until the COPY is over, for it would be taken for data
        out = Parse(statement="", query=sql, parameter_types=[]).encode() + _RUN
        await converse(session, (State.PARSE, State.BIND, State.EXECUTE), out, answer)
    else:
        await converse(session, (State.QUERY,), Query(query=sql).encode(), answer)
    if answer.direction == direction:
        return
    if not answer.ended:
        answer.abandon()
        answer.complete = False
        session.port.write(answer.reply())
        await settle(session, answer)
    if not answer.direction:
        answer.check()
    wanted = "FROM STDIN" if direction == "in" else "TO STDOUT"
    raise NotSupported(f"the statement is no COPY {wanted}") from answer.error


async def copy_in(session: Session, sql: str, pieces: Any, progress: Progress | None = None,
                  encoder: CopyEncoder | ArrowCopyEncoder | None = None, flight: Pipeline | None = None) -> Result:
    """Run COPY FROM STDIN with CopyData messages that `pieces` gives.

    Whatever ends the pieces early fails the COPY, so that nothing of it stays.  Errors: PostgresError, what the pieces
    raise.
    """
    answer = CopyAnswer(session) if flight is None else CopyPart(session)
    with watching(session, "copy", sql) as seen:
        async with session.alone() if flight is None else flight.turn(answer, copies=True):
            try:
                sent = await _copy_in(session, sql, pieces, progress, encoder, answer)
            finally:
                if flight is not None:
                    flight.done(answer)
        result = Result(answer.tag)
        if seen is not None:
            seen.tag, seen.rows, seen.bytes = answer.tag, result.rowcount, sent
        return result


async def _copy_in(session: Session, sql: str, pieces: Any, progress: Progress | None,
                   encoder: CopyEncoder | ArrowCopyEncoder | None, answer: CopyAnswer) -> int:
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
        if session.core.state in COPYING_IN:
            _finish(session, answer, CopyDone())
    except BaseException as error:
        await _fail(session, answer, error)
        raise
    await settle(session, answer)
    answer.check()
    return sent


def _finish(session: Session, answer: CopyAnswer, message: CopyDone | CopyFail) -> None:
    """End a copy-in; within a flight no Sync makes the server answer at once."""
    session.port.write(session.core.send(message, Flush()) if answer.is_part else session.core.send(message))


async def _fail(session: Session, answer: CopyAnswer, error: BaseException) -> None:
    """End a copy-in that is to have no effect."""
    if session.is_closed or answer.ended:
        return
    if session.core.state in COPYING_IN:
        _finish(session, answer, CopyFail(reason=f"{type(error).__name__} in the frontend"))
    answer.abandon()
    if not is_interruption(error):
        await settle(session, answer)
    elif session.cancel is not None:
        # Nobody waits, and what comes is read before the next answer; the server may be waiting for something else than
        # the end of the data.
        await session.cancel()


class CopyOut:
    """COPY TO STDOUT, taken piece by piece: rows of a table, or with `bare` the bytes that a statement gives."""

    def __init__(self, session: Session, what: Table, columns: Sequence[str] | None = None, *, bare: bool = False,
                 form: CopyFormat | None = None, progress: Progress | None = None,
                 flight: Pipeline | None = None) -> None:
        self.session = session
        self.flight = flight
        self.what = what
        self.names = columns
        self.bare = bare
        self.form = form
        self.progress = progress
        self.result = Result("")
        self._rows = 0
        self._answer: CopyAnswer | None = None
        self._seen: Operation | None = None

    async def open(self) -> None:
        """Begin.  Errors: PostgresError, NotSupported."""
        session, flight = self.session, self.flight
        answer = CopyAnswer(session) if flight is None else CopyPart(session)
        if self.bare:
            assert isinstance(self.what, str)
            sql = self.what
        else:
            found = await columns_of(session, self.what, self.names, flight)
            form = self.form or _form_of([column.codec.decoder()[1] for column in found])
            answer.decoder = self.decoder(form, found)
            sql = statement(self.what, [column.name for column in found], "TO STDOUT", form)
        if flight is None:
            await session.admission()
            session.hold()
        if session.watch is not None:
            self._seen = session.watch.begin("copy", sql)
        try:
            async with self._turn():
                await begin(session, sql, answer, "out")
        except BaseException as error:
            if flight is None:
                session.release()
            else:
                flight.done(self)
            self._end(error)
            raise
        self._answer = answer

    def _turn(self) -> Any:
        return nullcontext() if self.flight is None else self.flight.turn(self, copies=True)

    def decoder(self, form: CopyFormat, found: Sequence[CopyColumn]) -> Any:
        """Make what reads the messages' data."""
        return CopyDecoder(form, found, row=row_type(tuple(column.name for column in found)))

    def count(self, data: list[Any]) -> int:
        """How many rows these are; 0 where nobody can tell."""
        return 0 if self.bare else len(data)

    async def next(self) -> list[Any]:
        """What has come, empty at the end.  Errors: PostgresError, CopyError, ConnectionLost."""
        answer = self._answer
        assert answer is not None
        try:
            async with self._turn():
                while not answer.data and not answer.ended:
                    answer.complete = False
                    await settle(self.session, answer)
                data, answer.data = answer.data, []
                if not data:
                    answer.check()
        except BaseException as error:
            self._end(error)
            raise
        if not data:
            self.result = Result(answer.tag)
        elif self.progress is not None:
            self._rows += self.count(data)
            self.progress(self._rows, answer.received)
        return data

    async def close(self, failed: bool = False) -> None:
        """Read and drop what is left, which the server is asked to leave out; within a flight only if `failed`.

        For that fails the flight.
        """
        answer, self._answer = self._answer, None
        if answer is None:
            return
        try:
            if not answer.ended:
                answer.abandon()
                if self.session.cancel is not None and (self.flight is None or failed):
                    await self.session.cancel()
                answer.complete = False
                await settle(self.session, answer)
        finally:
            if self.flight is None:
                self.session.release()
            else:
                self.flight.done(self)
            if self._seen is not None:
                self._seen.event.bytes = answer.received
                self._seen.event.tag, self._seen.event.rows = answer.tag, Result(answer.tag).rowcount
            self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self._seen is not None:
            self._seen.end(error)


async def columns_of(session: Session, table: Table, names: Sequence[str] | None,
                     flight: Pipeline | None = None) -> list[CopyColumn]:
    """The columns of a table as COPY has them.  Errors: PostgresError."""
    wanted = ", ".join(map(identifier, names)) if names is not None else "*"
    statement = Statement(f"SELECT {wanted} FROM {named(table)}", False)
    if flight is None:
        await session.admission()
        await describe(session, statement)
    else:
        async with flight.turn(statement):
            await flight.statement(statement)
    types = styled(session.types, session.parameters)
    return [CopyColumn(name=column.name, codec=types.by_oid(column.type_oid), typmod=column.type_modifier)
            for column in statement.columns]


def _form_of(codes: Sequence[int]) -> CopyFormat:
    """Binary, or text where a column's type has or prefers that."""
    return CopyFormat(format="text" if 0 in codes else "binary")


def named(table: Table) -> str:
    """A table's name as SQL; a tuple has the schema first."""
    return identifier(table) if isinstance(table, str) else identifier(*table)


def statement(table: Table, names: Sequence[str] | None, direction: str, form: CopyFormat) -> str:
    """The COPY statement."""
    listed = f" ({', '.join(map(identifier, names))})" if names is not None else ""
    return f"COPY {named(table)}{listed} {direction} {form.sql()}"


async def copy_records(session: Session, table: Table, rows: Any, *, columns: Sequence[str] | None = None,
                       form: CopyFormat | None = None, progress: Progress | None = None,
                       flight: Pipeline | None = None) -> Result:
    """Copy rows or Arrow data into a table.

    Without a format it is binary where every column's type has that, and else text.
    Errors: EncodeError that names row and column; ArrowError; PostgresError.
    """
    first, rows = await _peek(rows)
    if hasattr(first, "__arrow_c_stream__"):
        from febe.flows.copy_arrow import copy_arrow

        return await copy_arrow(session, table, rows, columns=columns, form=form, progress=progress, flight=flight)
    found = await columns_of(session, table, columns, flight)
    if form is None:
        form = _form_of([column.codec.encoder()[1] for column in found])
    encoder = CopyEncoder(form, found)
    names = [column.name for column in found]
    try:
        return await copy_in(session, statement(table, names, "FROM STDIN", form), encoded(encoder, rows), progress,
                             encoder, flight)
    except CopyEncodeError as error:
        raise EncodeError(f"row {error.row}, column {error.name!r}: {error.reason}", value=error.value) from error


async def _peek(rows: Any) -> tuple[Any, Any]:
    """The first of rows or of Arrow tables, None where there is none, and all of them."""
    if hasattr(rows, "__arrow_c_stream__"):
        return rows, rows
    if isinstance(rows, AsyncIterable):
        following = aiter(rows)
        async for first in following:
            return first, _chained(first, following)
        return None, ()
    if isinstance(rows, list | tuple):
        return rows[0] if rows else None, rows
    left = iter(rows)
    for first in left:
        return first, chain((first,), left)
    return None, ()


async def _chained(first: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for one in rest:
        yield one


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
        for at in range(0, len(source), _PIECE):
            yield frame(_bytes(source[at:at + _PIECE]))
    elif hasattr(source, "read"):
        while piece := await _settled(source.read(_PIECE)):
            yield frame(_bytes(piece))
    elif isinstance(source, AsyncIterable):
        async for piece in source:
            yield frame(_bytes(piece))
    else:
        for piece in source:
            yield frame(_bytes(piece))


async def copy_to_file(session: Session, sql: str, file: Any, progress: Progress | None = None,
                       flight: Pipeline | None = None) -> Result:
    """Run COPY TO STDOUT and write what comes to a file, plain or asynchronous.  Errors: PostgresError; the file's."""
    out = CopyOut(session, sql, bare=True, progress=progress, flight=flight)
    await out.open()
    try:
        while pieces := await out.next():
            await _settled(file.write(b"".join(pieces)))
    finally:
        await out.close()
    return out.result


async def _settled(given: Any) -> Any:
    """What a method of a file gives, waited for where the file is asynchronous."""
    return await given if inspect.isawaitable(given) else given


def _bytes(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise Error(f"COPY data are bytes or str, not {type(piece).__name__}")
    return bytes(piece)


__all__ = ["CopyOut", "Progress", "Table", "columns_of", "copy_in", "copy_records", "copy_to_file", "framed", "named",
           "statement"]
