"""COPY between a client and the engine (manual: "COPY Operations"): a piece at a time in both directions, so that
memory holds one piece and who is slow holds the other back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, cast

from febe._kernel import kinds
from febe._kernel.rows import RowDecoder
from febe.flows.serve import DELIVER_AT
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.errors import ConnectionLost, RemoteProtocolError
from febe.server.command import Command
from febe.server.engine import CopyTarget, EngineError, Prepared, Result
from febe.server.inputs import lenient
from febe.server.portals import Portal
from febe.server.results import check_formats
from febe.server.statements import Statement
from febe.types.copy import (
    ArrowCopyDecoder,
    CopyColumn,
    CopyDecoder,
    CopyEncodeError,
    CopyEncoder,
    CopyError,
    CopyFormat,
    Framing,
)
from febe.types.registry import TYPES, Codec

if TYPE_CHECKING:
    from febe.server.execution import Execution
    from febe.types.arrow_rows import ArrowBatch

PIECE_BYTES = 1 << 20
"""How much of what a client sends is decoded and handed to the engine at once."""
_INT32 = Struct("!i")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def as_engine_error(error: CopyError, table: str = "") -> EngineError:
    """What a codec found wrong, for the client."""
    return EngineError(error.message, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint,
                       where=error.context(table) if table else None)


class Copy(Command):
    """A COPY, which is a conversation of its own and ends with a tag."""

    def __init__(self, form: CopyFormat) -> None:
        super().__init__(_no_action, reaches_engine=True)
        self.form = form

    async def converse(self, session: Execution) -> str:
        """Have it; the transaction is ready.  Errors: EngineError, ConnectionLost."""
        raise NotImplementedError


def _no_action(values: Sequence[Any]) -> Result:
    raise AssertionError("a COPY is a conversation")


class CopyIn(Copy):
    """COPY table FROM STDIN."""

    def __init__(self, session: Execution, table: str, name: str, columns: Sequence[str], form: CopyFormat,
                 where: str) -> None:
        super().__init__(form)
        self.writes = True
        self._engine = session.engine
        self._table = table
        self._name = name
        self._columns = columns
        self._where = where

    async def converse(self, session: Execution) -> str:
        """Take rows until the client has given all; an error leaves nothing of them, as the transaction goes."""
        target = await session.work(self._engine.copy_into, self._table, self._columns, self._where)
        done = False
        try:
            columns = [CopyColumn(name=column.name, codec=lenient(column.type_oid, session.zone),
                                  typmod=column.type_modifier) for column in target.columns]
            feed = _Feed(self, session, columns, target)
            form = int(self.form.binary)
            session.say(CopyInResponse(format=form, column_formats=[form] * len(columns)))
            await self._receive(session, feed)
            await session.work(feed.finish)
            rows = await session.work(target.finish)
            done = True
            return f"COPY {rows}"
        finally:
            if not done:
                await session.work(target.close)

    async def _receive(self, session: Execution, feed: _Feed) -> None:
        conversation = session.conversation
        waiting: list[CopyDataRun] = []
        size = 0
        while True:
            try:
                event = await conversation.next_event()
            except RemoteProtocolError as error:
                if error.fatal:
                    raise
                raise EngineError(str(error), sqlstate=error.sqlstate, where=feed.where()) from error
            if isinstance(event, CopyDataRun):
                waiting.append(event)
                size += event.end - event.start
                if size >= PIECE_BYTES:
                    await session.work(feed.feed, waiting)
                    waiting, size = [], 0
            elif isinstance(event, CopyDone):
                if waiting:
                    await session.work(feed.feed, waiting)
                return
            elif isinstance(event, CopyFail):
                if waiting:
                    await session.work(feed.feed, waiting)
                raise EngineError(f"COPY from stdin failed: {event.reason}", sqlstate="57014", where=feed.where())
            else:  # Terminate
                raise ConnectionLost("the client has gone in the middle of a COPY")

    @property
    def name(self) -> str:
        """The table's name, for messages."""
        return self._name


class _Feed:
    """What the client sends, decoded and handed on."""

    def __init__(self, copy: CopyIn, session: Execution, columns: Sequence[CopyColumn],
                 target: CopyTarget) -> None:
        self._name = copy.name
        self._session = session
        self._target = target
        self._verbose = copy.form.log_verbosity == "verbose"
        self._silent = copy.form.log_verbosity == "silent"
        by_rows = target.arrow is None or copy.form.on_error == "ignore" or copy.form.default is not None
        self._decoder: CopyDecoder | ArrowCopyDecoder
        try:
            self._decoder = (CopyDecoder(copy.form, columns, skip=self._skipped) if by_rows else
                             ArrowCopyDecoder(copy.form, columns, TYPES, target.arrow))
        except CopyError as error:
            raise as_engine_error(error) from error

    def where(self) -> str:
        """The context of an error that is no row's."""
        return f"COPY {self._name}, line {self._decoder.line + 1}"

    def feed(self, runs: Sequence[CopyDataRun]) -> None:
        self._session.check_cancelled()
        for run in runs:
            try:
                made = self._decoder.feed_run(run.data, run.start, run.end)
            except CopyError as error:
                raise as_engine_error(error, self._name) from error
            self._hand_on(made)

    def finish(self) -> None:
        try:
            made = self._decoder.finish()
        except CopyError as error:
            raise as_engine_error(error, self._name) from error
        self._hand_on(made)
        skipped = self._decoder.skipped
        if skipped and not self._silent:
            self._session.tell(f"{skipped} row{'s were' if skipped > 1 else ' was'} skipped due to data type "
                               "incompatibility")

    def _hand_on(self, made: list[tuple[Any, ...]] | list[ArrowBatch]) -> None:
        if not made:
            return
        rows = len(made)
        try:
            if isinstance(self._decoder, ArrowCopyDecoder):
                rows = 0
                for batch in cast("list[ArrowBatch]", made):
                    self._target.write_arrow(batch)
                    rows += len(batch)
            else:
                self._target.write(cast("list[tuple[Any, ...]]", made))
        except EngineError as error:
            if error.where is None:
                error.where = f"COPY {self._name}"
            raise
        self._session.backend.rows += rows

    def _skipped(self, error: CopyError) -> None:
        if self._verbose:
            self._session.tell(f'skipping row due to data type incompatibility at line {error.line} for column '
                               f'"{error.column}": "{error.value}"', where=f"COPY {self._name}")


class CopyOut(Copy):
    """COPY table or query TO STDOUT."""

    def __init__(self, session: Execution, prepared: Prepared, form: CopyFormat) -> None:
        super().__init__(form)
        self._columns = prepared.columns
        if self._columns is None:
            raise EngineError("COPY query must have a RETURNING clause", sqlstate="0A000")
        self._statement = Statement(prepared)
        self.writes = prepared.writes
        try:
            self._names = [CopyColumn(name=column.name, codec=TYPES.by_oid(column.type_oid))
                           for column in self._columns]
            CopyEncoder(form, self._names)
        except CopyError as error:
            raise as_engine_error(error) from error

    def close(self) -> None:
        """Forget the query."""
        self._statement.release()

    async def converse(self, session: Execution) -> str:
        """Send all rows, holding back while the client does not read."""
        form = int(self.form.binary)
        columns = self._columns or ()
        formats = (form,) * len(columns)
        check_formats(columns, formats)
        portal = Portal(self._statement.hold(), (), formats)
        conversation = session.conversation
        try:
            pieces = _pieces(portal, self.form, self._names)
            first = await session.work(_next, session, pieces)
            session.say(CopyOutResponse(format=form, column_formats=list(formats)))
            rows, piece = 0, first
            while piece is not None:
                data, count = piece
                if data:
                    conversation.say_run(CopyData, data)
                rows += count
                session.backend.rows = rows
                if conversation.waiting >= DELIVER_AT:
                    await conversation.deliver()
                piece = await session.work(_next, session, pieces)
            session.say(CopyDone())
            return f"COPY {rows}"
        finally:
            if portal.open:
                await session.work(portal.close)
            else:
                portal.close()


Piece = tuple[bytes | bytearray, int]


def _next(session: Execution, pieces: Iterator[Piece]) -> Piece | None:
    session.check_cancelled()
    try:
        return next(pieces, None)
    except CopyEncodeError as error:
        raise EngineError(f'a value of column "{error.name}" cannot be sent', sqlstate="22000",
                          detail=error.reason) from error


def _pieces(portal: Portal, form: CopyFormat, columns: Sequence[CopyColumn]) -> Iterator[Piece]:
    """CopyData messages, one a row, and how many."""
    result = portal.start()
    if result.rows is not None:
        rows = chain.from_iterable(result.rows)
        return _encoded(CopyEncoder(form, columns, Framing.ROWS), iter([rows]))
    if form.binary:
        return _relabelled(portal)
    # What the engine gives as Arrow is in text form already, only not escaped.
    texts = [CopyColumn(name=column.name, codec=_TEXT) for column in columns]
    decoder = RowDecoder([kinds.STRING_TEXT] * len(columns), tuple)
    return _encoded(CopyEncoder(form, texts, Framing.ROWS), _decoded(portal, decoder))


_TEXT = Codec(oid=25, name="text")


def _decoded(portal: Portal, decoder: RowDecoder) -> Iterator[Iterator[Sequence[object]]]:
    while True:
        data, count = portal.pull(0)
        if not count:
            return
        yield iter(decoder.decode(bytes(data), 0, len(data)))


def _encoded(encoder: CopyEncoder, batches: Iterator[Iterator[Sequence[object]]]) -> Iterator[Piece]:
    for rows in batches:
        before = encoder.rows
        while data := encoder.encode_some(rows):
            yield data, encoder.rows - before
            before = encoder.rows
    yield encoder.finish(), 0


def _relabelled(portal: Portal) -> Iterator[Piece]:
    """Binary rows: but for the type of the message a DataRow is what COPY wants (manual: "COPY", Binary Format)."""
    head = _HEADER
    while True:
        found, count = portal.pull(0)
        if not count:
            break
        data = bytearray(found)
        pos = 0
        while pos < len(data):
            data[pos] = 0x64
            pos += 1 + _INT32.unpack_from(data, pos + 1)[0]
        if head:
            data[1:5] = _INT32.pack(_INT32.unpack_from(data, 1)[0] + len(head))
            data[5:5] = head
            head = b""
        yield data, count
    last = head + _TRAILER
    yield b"d" + _INT32.pack(4 + len(last)) + last, 0
