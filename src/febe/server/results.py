"""A result on its way out: pulled from the engine and encoded a piece at a time, so that memory holds one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from febe._kernel.errors import ValueEncodeError
from febe._kernel.rows import RowDecoder, RowEncoder
from febe.protocol.simple import FieldDescription, RowDescription
from febe.server.engine import ArrowStream, Column, EngineError, Result
from febe.types.registry import TYPES, Codec

if TYPE_CHECKING:
    from febe._kernel.plan import Plan
    from febe.types.arrow import ArrowField

PIECE_ROWS = 4096
PIECE_BYTES = 1 << 18
"""How many rows and about how many bytes are encoded before they are sent."""

WAIT_BYTES = 8192
"""What waits for more rows before it is sent, as in PostgreSQL (pqcomm.c, PQ_SEND_BUFFER_SIZE)."""

Formats = tuple[int, ...]
"""One format code a column: 0 text, 1 binary."""


class Source(Protocol):
    """Gives DataRow messages and how many; no rows: there are no more.  `most` bounds the rows; 0 does not.

    `ended` says early, where that is known without asking, that there are no more.
    """

    ended: bool

    def pull(self, most: int) -> tuple[bytes | bytearray, int]: ...

    def close(self) -> None: ...


def expand(formats: Sequence[int], columns: int) -> Formats:
    """One format for each column from Bind's list of none, one or all (manual: "Message Formats", Bind)."""
    if len(formats) == columns:
        return tuple(formats)
    return (formats[0] if formats else 0,) * columns


class Shape:
    """How rows of these columns are sent in these formats."""

    __slots__ = ("_description", "_encoder", "columns", "formats")

    def __init__(self, columns: Sequence[Column], formats: Formats) -> None:
        self.columns = columns
        self.formats = formats
        self._description: bytes | None = None
        self._encoder: RowEncoder | None = None

    @property
    def description(self) -> bytes:
        """The RowDescription, encoded."""
        if self._description is None:
            self._description = row_description(self.columns, self.formats)
        return self._description

    @property
    def encoder(self) -> RowEncoder:
        """What makes DataRow messages.  Errors: EngineError (42883) for a type that is not spoken in its format."""
        if self._encoder is None:
            self._encoder = _encoder(tuple([column.type_oid for column in self.columns]), self.formats)
        return self._encoder

    def encode(self, rows: Sequence[Sequence[object]]) -> bytes:
        """DataRow messages.  Errors: EngineError."""
        try:
            return self.encoder.encode(rows)
        except ValueEncodeError as error:
            raise _unsendable(self.columns, error) from error


_SHAPES = 512
_shapes: dict[tuple[int, Formats], Shape] = {}


def shape_of(columns: Sequence[Column], formats: Formats) -> Shape:
    """The shape of these columns, known by the tuple that they are in: the same one comes again and again."""
    found = _shapes.get((id(columns), formats))
    if found is None:
        found = Shape(columns, formats)
        if type(columns) is tuple:
            if len(_shapes) >= _SHAPES:
                _shapes.clear()
            # it holds the columns, so that nobody else gets their id
            _shapes[id(columns), formats] = found
    return found


def at_once(result: Result, columns: Sequence[Column], formats: Formats, most: int) -> tuple[bytes, int] | None:
    """All the rows, encoded, where they are few and here already."""
    batches = result.rows
    if type(batches) is not list or len(batches) != 1:
        return None
    rows = batches[0]
    if type(rows) is not list or not 0 < len(rows) <= (most or PIECE_ROWS) <= PIECE_ROWS:
        return None
    return shape_of(columns, formats).encode(rows), len(rows)


def source_of(result: Result, columns: Sequence[Column], formats: Formats) -> Source | None:
    """Where the rows come from; None when the statement returned none."""
    if result.rows is not None:
        return _Rows(result.rows, columns, formats)
    if result.arrow is not None:
        return _Arrow(result.arrow, columns, formats, result)
    return None


def unread(result: Result) -> None:
    """Let go of a result of which no row was asked for."""
    close = getattr(result.rows if result.rows is not None else result.arrow, "close", None)
    if close is not None:
        close()


class _Rows:
    """Python rows."""

    def __init__(self, batches: Iterable[Sequence[Sequence[object]]], columns: Sequence[Column],
                 formats: Formats) -> None:
        self._shape = shape_of(columns, formats)
        self._ahead: Iterator[Sequence[Sequence[object]]] = iter(batches)
        self._left = len(batches) if isinstance(batches, list | tuple) else -1
        self._batch: Sequence[Sequence[object]] = ()
        self._next = 0
        self.ended = False

    def pull(self, most: int) -> tuple[bytes, int]:
        while self._next >= len(self._batch):
            batch = next(self._ahead, None)
            if batch is None:
                return b"", 0
            self._batch, self._next = batch, 0
            self._left -= 1
        rows = min(most or PIECE_ROWS, PIECE_ROWS, len(self._batch) - self._next)
        piece = self._batch if rows == len(self._batch) else self._batch[self._next:self._next + rows]
        self._next += rows
        self.ended = self._left == 0 and self._next == len(self._batch)
        return self._shape.encode(piece), rows

    def close(self) -> None:
        close = getattr(self._ahead, "close", None)
        if close is not None:
            close()


class _Arrow:
    """An Arrow stream."""

    def __init__(self, stream: ArrowStream, columns: Sequence[Column], formats: Formats, result: Result) -> None:
        # ctypes is loaded by who serves Arrow only
        from febe.types import arrow

        self._columns = columns
        self._failure = result.failure
        self._error = arrow.ArrowError
        self._reader = arrow.read_stream(stream)
        self._recode, formats, sent = _nested(self._reader.schema, columns, formats)
        self._encoder = arrow.ArrowEncoder(arrow.plans_for(self._reader.schema, formats, sent))
        self._batch: arrow.RecordBatch | None = None
        self._next = 0
        self._ahead: Exception | None = None
        self.ended = False

    def pull(self, most: int) -> tuple[bytes | bytearray, int]:
        if self._ahead is not None:
            raise self._ahead
        if not self._find():
            return b"", 0
        assert self._batch is not None
        start = self._next
        stop = min(start + most, self._batch.length) if most else self._batch.length
        try:
            encoded, self._next = self._encoder.encode_some(self._batch, start, stop, PIECE_BYTES)
        except ValueEncodeError as error:
            raise _unsendable(self._columns, error) from error
        data, rows = self._recode(encoded) if self._recode is not None else encoded, self._next - start
        if len(data) < WAIT_BYTES and rows != most:
            # The way here costs more than to see whether this is all.
            try:
                self._find()
            except Exception as error:
                self._ahead = error
        return data, rows

    def _find(self) -> bool:
        """Have a batch with rows that have not been given; False, and `ended`: there is none."""
        while self._batch is None or self._next >= self._batch.length:
            if self._batch is not None:
                self._batch.release()
            self._next = 0
            try:
                self._batch = next(self._reader, None)
            except self._error as error:
                if self._failure is not None:
                    raise self._failure(str(error.strerror or error)) from error
                raise
            if self._batch is None:
                self.ended = True
                return False
        return True

    def close(self) -> None:
        if self._batch is not None:
            self._batch.release()
            self._batch = None
        self._reader.close()


def _nested(schema: Sequence[ArrowField], columns: Sequence[Column], formats: Formats,
            ) -> tuple[Callable[[bytes | bytearray], bytes] | None, Formats, Sequence[int | Plan]]:
    """How lists and structs of Arrow are sent: in binary, which is made text where that is asked for."""
    if not any(field.format[:1] == "+" for field in schema):
        if any(field.dictionary is not None for field in schema):
            return None, formats, [column.type_oid for column in columns]
        return None, formats, _plain_plans(tuple([(field.name, field.format) for field in schema]), formats,
                                           tuple([column.type_oid for column in columns]))
    from febe.types.copy.arrow import plan_to_send

    sent: list[int | Plan] = []
    used = list(formats)
    readers: list[Any] = [bytes] * len(columns)
    writers: list[Any] = [bytes] * len(columns)
    for place, (field, column) in enumerate(zip(schema, columns, strict=True)):
        codec = TYPES.by_oid(column.type_oid)
        plan = plan_to_send(field, codec, TYPES, True) if field.format[:1] == "+" else None
        sent.append(column.type_oid if plan is None else plan)
        if plan is not None and not formats[place]:
            used[place] = 1
            readers[place], writers[place] = codec.decode_binary, codec.encode_text
    if tuple(used) == formats:
        return None, formats, sent
    decoder, encoder = RowDecoder(readers, tuple), RowEncoder(writers)
    return lambda data: encoder.encode(decoder.decode(bytes(data), 0, len(data))), tuple(used), sent


@lru_cache(512)
def _plain_plans(fields: tuple[tuple[str, str], ...], formats: Formats, oids: tuple[int, ...]) -> Sequence[int | Plan]:
    """Plans for columns of these names and Arrow formats, which are the same again and again."""
    from febe.types import arrow

    schema = [arrow.ArrowField(name=name, format=form, flags=0, children=[], dictionary=None, metadata={})
              for name, form in fields]
    return arrow.plans_for(schema, formats, oids)


def _unsendable(columns: Sequence[Column], error: ValueEncodeError) -> EngineError:
    """A value that the column's type cannot hold is an error of the data, which the client may know."""
    column = columns[error.column]
    return EngineError(f'a value of column "{column.name}" cannot be sent as {TYPES.by_oid(column.type_oid).name}',
                       sqlstate=getattr(error, "sqlstate", "22000"), detail=str(error))


def check_formats(columns: Sequence[Column], formats: Formats) -> None:
    """Errors: EngineError when a column's type is not spoken in the format asked for."""
    _ = shape_of(columns, formats).encoder


def no_function(codec: Codec, form: int, direction: str) -> EngineError:
    """PostgreSQL's words for a type without a send or receive function (lsyscache.c, getTypeBinaryOutputInfo)."""
    return EngineError(f"no {'binary ' if form else ''}{direction} function available for type {codec.name}",
                       sqlstate="42883")


def transcoded(data: bytes | bytearray, columns: Sequence[Column], formats: Formats, wanted: Formats) -> bytes:
    """DataRow messages in other formats.  Errors: EngineError where a type is not read in the format it is in."""
    oids = tuple([column.type_oid for column in columns])
    return _encoder(oids, wanted).encode(row_decoder(oids, formats).decode(bytes(data), 0, len(data)))


@lru_cache(512)
def row_decoder(oids: tuple[int, ...], formats: Formats) -> RowDecoder:
    """The decoder of rows of these types.  Errors: EngineError (42883) for a type that is not read in its format."""
    chosen = []
    for oid, form in zip(oids, formats, strict=True):
        codec = TYPES.by_oid(oid)
        decode = codec.decode_binary if form else codec.decode_text
        if decode is None:
            raise no_function(codec, form, "input")
        chosen.append(decode)
    return RowDecoder(chosen, tuple)


@lru_cache(512)
def _encoder(oids: tuple[int, ...], formats: Formats) -> RowEncoder:
    codecs = [TYPES.by_oid(oid) for oid in oids]
    chosen = []
    for codec, form in zip(codecs, formats, strict=True):
        encode = codec.encode_binary if form else codec.encode_text
        if encode is None:
            raise no_function(codec, form, "output")
        chosen.append(encode)
    return RowEncoder(chosen)


def row_description(columns: Sequence[Column], formats: Formats) -> bytes:
    """The RowDescription, encoded."""
    return _row_description(tuple([(column.name, column.type_oid, column.type_modifier, column.table_oid,
                                    column.attribute_number) for column in columns]), formats)


@lru_cache(512)
def _row_description(columns: tuple[tuple[str, int, int, int, int], ...], formats: Formats) -> bytes:
    return RowDescription(columns=[
        FieldDescription(name=name, type_oid=oid, type_size=TYPES.by_oid(oid).typlen, type_modifier=modifier,
                         table_oid=table, attribute_number=number, format=form)
        for (name, oid, modifier, table, number), form in zip(columns, formats, strict=True)]).encode()
