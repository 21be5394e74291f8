"""What carries much data on the face for trio, streams and COPY.

Generated from asynchronous_bulk.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from febe.client.base import copy_format
from febe.client.run_trio import runner
from febe.flows import arrow, copy, copy_arrow
from febe.flows.compose import Sql
from febe.flows.pipeline import Pipeline
from febe.flows.query import Flow
from febe.flows.result import Result
from febe.flows.session import Session
from febe.flows.stream import Batches
from febe.protocol.simple import FieldDescription

if TYPE_CHECKING:
    from febe.types.arrow import ArrowStreamable
    from febe.types.arrow_rows import ArrowOptions


class Bulk:
    """Streams and COPY, of a connection or of a pipeline."""

    def __init__(self, session: Session, flight: Pipeline | None = None) -> None:
        self._session = session
        self._run = runner(session)
        self._flight = flight

    def stream(self, sql: Sql, *args: object, size: int = 1000) -> Stream:
        """Run a statement and take its rows in batches of at most `size`: `async with` it, then `async for` batch.

        Outside of a transaction block nothing else can be asked meanwhile on this connection, but by its own pipeline.
        """
        return Stream(self._run, Batches(self._session, sql, args, size, flight=self._flight))

    def stream_arrow(self, sql: Sql, *args: object, size: int = 1 << 16, options: ArrowOptions | None = None) -> Stream:
        """Run a statement as `stream` does, each batch an Arrow table of at most `size` rows."""
        return Stream(self._run, Batches(self._session, sql, args, size, arrow.Reader(options, size), self._flight))

    def copy_in(self, table: copy.Table, rows: Iterable[Any] | AsyncIterable[Any] | ArrowStreamable, *,
                columns: Sequence[str] | None = None, progress: copy.Progress | None = None,
                **options: Any) -> Flow[Result]:
        """Copy rows or Arrow data into a table, in binary where its types have that, unless `format` says otherwise.

        `table` is a name, or a tuple of schema and name.  Arrow data are what has `__arrow_c_stream__`, such as data
        frames and DuckDB's relations, or an iterable of such; their columns are found by their names.
        Errors: EncodeError that names the row; ArrowError for a column that cannot be sent; PostgresError.
        """
        return self._run(copy.copy_records(self._session, table, rows, columns=columns, form=copy_format(options),
                                           progress=progress, flight=self._flight))

    def copy_in_bytes(self, sql: str, source: Any, *, progress: copy.Progress | None = None) -> Flow[Result]:
        """Run COPY ... FROM STDIN with bytes, a file, or an iterable of bytes or str.  Errors: PostgresError."""
        return self._run(copy.copy_in(self._session, sql, copy.framed(source), progress, flight=self._flight))

    def copy_out(self, table: copy.Table, *, columns: Sequence[str] | None = None,
                 progress: copy.Progress | None = None, **options: Any) -> CopyOut:
        """Copy a table's rows out, in binary as `copy_in`: `async with` it, then `async for` list of rows."""
        return CopyOut(self._run, copy.CopyOut(self._session, table, columns, form=copy_format(options),
                                               progress=progress, flight=self._flight))

    def copy_out_arrow(self, table: copy.Table, *, columns: Sequence[str] | None = None, size: int = 1 << 16,
                       options: ArrowOptions | None = None, progress: copy.Progress | None = None) -> CopyOut:
        """Copy a table out as Arrow: `async with` it, then `async for` Arrow table, of batches of `size` rows."""
        return CopyOut(self._run, copy_arrow.ArrowCopyOut(self._session, table, columns, size=size, options=options,
                                                          progress=progress, flight=self._flight))

    def copy_out_bytes(self, sql: str, *, progress: copy.Progress | None = None) -> CopyOut:
        """Run COPY ... TO STDOUT: `async with` it, then `async for` list of pieces, as bytes."""
        return CopyOut(self._run, copy.CopyOut(self._session, sql, bare=True, progress=progress, flight=self._flight))

    def copy_out_file(self, sql: str, file: Any, *, progress: copy.Progress | None = None) -> Flow[Result]:
        """Run COPY ... TO STDOUT and write what comes, as bytes, with the file's `write`.  Errors: PostgresError."""
        return self._run(copy.copy_to_file(self._session, sql, file, progress, self._flight))


class Stream:
    """A statement's rows, batch by batch; `stream` makes it."""

    def __init__(self, run: Any, batches: Batches) -> None:
        self._run = run
        self._batches = batches

    @property
    def columns(self) -> tuple[FieldDescription, ...]:
        """The columns of the result."""
        return self._batches.columns

    @property
    def result(self) -> Result:
        """The command tag, when the last batch has come."""
        return self._batches.result

    async def __aenter__(self) -> Self:
        await self._run(self._batches.open())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._run(self._batches.close())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if batch := await self._run(self._batches.next()):
            return batch
        raise StopAsyncIteration


class CopyOut:
    """What COPY TO STDOUT gives; `copy_out` and its like make it."""

    def __init__(self, run: Any, out: copy.CopyOut) -> None:
        self._run = run
        self._out = out

    @property
    def result(self) -> Result:
        """The command tag, when all has been read."""
        return self._out.result

    async def __aenter__(self) -> Self:
        await self._run(self._out.open())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._run(self._out.close(error is not None))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if piece := await self._run(self._out.next()):
            return piece
        raise StopAsyncIteration


__all__ = ["Bulk", "CopyOut", "Stream"]
