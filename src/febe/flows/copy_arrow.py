"""COPY of Arrow data, in and out, without a Python object for a value."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from febe._kernel.plan import ArrowValueError, Plan
from febe.flows.copy import CopyOut, Progress, Table, columns_of, copy_in, statement
from febe.flows.errors import EncodeError
from febe.flows.pipeline import Pipeline
from febe.flows.result import Result
from febe.flows.session import Session
from febe.types.arrow import ArrowError, ArrowField, ArrowReader, read_stream
from febe.types.copy import ArrowCopyEncoder, CopyColumn, CopyFormat, plan_to_send

if TYPE_CHECKING:
    from febe.types.arrow_rows import ArrowBatch, ArrowBuilder, ArrowOptions, ArrowTable

_PIECE = 1 << 18


async def copy_arrow(session: Session, table: Table, source: Any, *, columns: Sequence[str] | None = None,
                     form: CopyFormat | None = None, progress: Progress | None = None,
                     flight: Pipeline | None = None) -> Result:
    """Copy Arrow data into a table, its columns by their names unless `columns` says otherwise.

    `source` gives a stream, or is an iterable of such.  Without a format it is binary where every column can be sent
    so, and else text.  Errors: ArrowError; EncodeError that names row and column; PostgresError.
    """
    streams = _Streams(source)
    with await streams.first() as reader:
        names = list(columns) if columns is not None else [column.name for column in reader.schema]
        if len(names) != len(reader.schema):
            raise ArrowError(f"{len(reader.schema)} columns of Arrow for {len(names)} of the table")
        targets = await columns_of(session, table, names, flight)
        form, plans = _plan(session, reader.schema, targets, form)
        encoder = ArrowCopyEncoder(form, reader.schema, plans, names=names)
        return await copy_in(session, statement(table, names, "FROM STDIN", form), streams.encoded(encoder, reader),
                             progress, encoder, flight)


def _plan(session: Session, schema: Sequence[ArrowField], targets: Sequence[CopyColumn], form: CopyFormat | None
          ) -> tuple[CopyFormat, list[Plan]]:
    refused = ""
    for each in [form] if form is not None else [CopyFormat(format="binary"), CopyFormat(format="text")]:
        plans: list[Plan] = []
        for column, target in zip(schema, targets, strict=True):
            plan = plan_to_send(column, target.codec, session.types, each.binary)
            if plan is None:
                break
            plans.append(plan)
        else:
            return each, plans
        at = len(plans)
        refused = refused or (f'column "{schema[at].name}" of Arrow format {schema[at].format} cannot be sent as type '
                   f"{targets[at].codec.name} in {each.format}")
    raise ArrowError(refused)


class _Streams:
    """One stream, or those of an iterable, plain or asynchronous, which have one schema."""

    def __init__(self, source: Any) -> None:
        self._left = _each([source] if hasattr(source, "__arrow_c_stream__") else source)

    async def first(self) -> ArrowReader:
        async for source in self._left:
            return read_stream(source)
        raise ArrowError("no Arrow data, not even a schema")

    async def encoded(self, encoder: ArrowCopyEncoder, reader: ArrowReader) -> AsyncIterator[bytearray]:
        formats = _formats(reader.schema)
        for piece in _encoded(encoder, reader):
            yield piece
        async for source in self._left:
            with read_stream(source) as reader:
                if _formats(reader.schema) != formats:
                    raise ArrowError("the next stream has other columns than the first")
                for piece in _encoded(encoder, reader):
                    yield piece
        if last := encoder.finish():
            yield bytearray(last)


async def _each(sources: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(sources, AsyncIterable):
        async for source in sources:
            yield source
    else:
        for source in sources:
            yield source


def _formats(schema: Sequence[ArrowField]) -> list[Any]:
    return [(one.name, one.format, _formats(one.children), _formats([one.dictionary] if one.dictionary else []))
            for one in schema]


def _encoded(encoder: ArrowCopyEncoder, reader: ArrowReader) -> Iterable[bytearray]:
    for batch in reader:
        before = encoder.rows
        with batch:
            try:
                yield from encoder.encode(batch, _PIECE)
            except ArrowValueError as error:
                raise EncodeError(f"row {before + error.row}, column {error.name!r}: {error.detail}") from error


class _Batches:
    """What a binary COPY gives, as batches."""

    def __init__(self, builder: ArrowBuilder) -> None:
        from febe.types.copy import ArrowCopyReader

        self.builder = builder
        self._reader = ArrowCopyReader(builder)
        self.feed_run = self._reader.feed_run

    def finish(self) -> list[ArrowBatch]:
        last = self._reader.finish()
        return [last] if last is not None else []


class ArrowCopyOut(CopyOut):
    """COPY TO STDOUT, taken as Arrow tables."""

    def __init__(self, session: Session, what: Table, columns: Sequence[str] | None, *, size: int,
                 options: ArrowOptions | None, progress: Progress | None, flight: Pipeline | None = None) -> None:
        super().__init__(session, what, columns, form=CopyFormat(format="binary"), progress=progress, flight=flight)
        self._size, self._options = size, options

    def decoder(self, form: CopyFormat, found: Sequence[CopyColumn]) -> Any:
        """Make what turns the messages into batches.  Errors: ArrowError."""
        from febe.types.arrow_rows import ArrowBuilder, ArrowSource

        sources = [ArrowSource(name=one.name, codec=one.codec, typmod=one.typmod) for one in found]
        made = _Batches(ArrowBuilder(sources, self.session.types, self._options, rows=self._size))
        self._schema = made.builder.schema
        return made

    def count(self, data: list[Any]) -> int:
        """How many rows these batches have."""
        return sum(map(len, data))

    async def next(self) -> Any:
        """What has come as a table, [] at the end.  Errors: PostgresError, ValueDecodeError, ConnectionLost."""
        from febe.types.arrow_rows import ArrowTable

        batches: list[ArrowBatch] = await super().next()
        made: ArrowTable | list[Any] = ArrowTable(self._schema, batches) if batches else []
        return made


__all__ = ["ArrowCopyOut", "copy_arrow"]
