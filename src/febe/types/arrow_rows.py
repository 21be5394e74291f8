"""Rows as PostgreSQL sends them to Arrow record batches, without a Python object for a value and without pyarrow.

What comes out speaks the Arrow PyCapsule interface, which Polars, pandas, pyarrow, DuckDB and nanoarrow take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from febe._kernel.cells import locate
from febe._kernel.errors import ValueDecodeError
from febe.types._arrow_columns import BadValue, Growing
from febe.types._arrow_export import Exported, array_capsule, schema_capsule, stream_capsule
from febe.types._arrow_types import ArrowOptions, column_for
from febe.types._codec import Codec, Registry
from febe.types.arrow import ArrowField

__all__ = ["ArrowBatch", "ArrowBuilder", "ArrowOptions", "ArrowSource", "ArrowStream", "ArrowTable"]

_CELLS = 1 << 16
"""The most values that are looked at in one go: where they lie should fit into the processor's caches."""
_DATA_LIMIT = 1 << 30


@dataclass(slots=True, kw_only=True)
class ArrowSource:
    """A column of rows: its name, type, type modifier, and whether its values come in binary format."""

    name: str
    codec: Codec
    typmod: int = -1
    binary: bool = True


class _Described:
    """What has a schema."""

    __slots__ = ("_schema",)

    def __init__(self, schema: ArrowField) -> None:
        self._schema = schema

    @property
    def schema(self) -> ArrowField:
        """The rows' schema: a struct whose children are the columns."""
        return self._schema

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self._schema.children]

    def __arrow_c_schema__(self) -> object:
        return schema_capsule(self._schema)


class ArrowBatch(_Described):
    """Rows in Arrow's layout; may be handed out any number of times."""

    __slots__ = ("_rows",)

    def __init__(self, schema: ArrowField, rows: Exported) -> None:
        super().__init__(schema)
        self._rows = rows

    def __len__(self) -> int:
        return self._rows.length

    @property
    def columns(self) -> Sequence[Exported]:
        """The columns' flat buffers."""
        return self._rows.children

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return schema_capsule(self._schema), array_capsule(self._rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return stream_capsule(self._schema, iter([self._rows]), _nothing)

    def __repr__(self) -> str:
        return f"<ArrowBatch: {len(self)} rows of {', '.join(self.names)}>"


class ArrowTable(_Described):
    """All batches of a result; may be handed out any number of times."""

    __slots__ = ("batches",)

    def __init__(self, schema: ArrowField, batches: Iterable[ArrowBatch]) -> None:
        super().__init__(schema)
        self.batches = list(batches)

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def __iter__(self) -> Iterator[ArrowBatch]:
        return iter(self.batches)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return stream_capsule(self._schema, iter([batch._rows for batch in self.batches]), _nothing)

    def __repr__(self) -> str:
        return f"<ArrowTable: {len(self)} rows of {', '.join(self.names)}>"


class ArrowStream(_Described):
    """Batches that are made as they are asked for; handed out once.  `close` is called when it is let go of."""

    __slots__ = ("_batches", "_close")

    def __init__(
        self, schema: ArrowField, batches: Iterable[ArrowBatch], close: Callable[[], object] | None = None
    ) -> None:
        super().__init__(schema)
        self._batches: Iterator[ArrowBatch] | None = iter(batches)
        self._close = close or _nothing

    def __iter__(self) -> Iterator[ArrowBatch]:
        taken, self._batches = self._batches, None
        if taken is None:
            raise ValueError("the stream has been taken already")
        return taken

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return stream_capsule(self._schema, (batch._rows for batch in iter(self)), self._close)


def _nothing() -> None: ...


class ArrowBuilder(_Described):
    """Makes batches of the rows of one result: `feed` with runs of DataRow, or `feed_tuples`, then `finish`.

    A batch ends after `rows` rows, or when the rows took `size` bytes on the wire, whichever comes first.
    Errors: ValueDecodeError for a value, `row` counting from the run's first; MalformedRow.  The batch in the making
    is lost then, the builder goes on with the next run.
    """

    def __init__(
        self, columns: Sequence[ArrowSource], registry: Registry, options: ArrowOptions | None = None, *,
        rows: int = 1 << 16, size: int = 1 << 24,
    ) -> None:  # fmt: skip
        if rows < 1 or not 1 <= size <= _DATA_LIMIT:
            raise ValueError("a batch has at least one row, and one byte up to a gigabyte")
        options = options or ArrowOptions()
        self._columns: list[Growing] = [
            column_for(one.name, one.codec, one.typmod, one.binary, registry, options) for one in columns
        ]
        fields = [column.field for column in self._columns]
        super().__init__(
            ArrowField(name="", format="+s", flags=0, children=fields, dictionary=None, metadata={}))  # fmt: skip
        self._most_rows, self._most_size = rows, size
        self._rows = self._size = 0
        self._stride = max(1, min(rows, _CELLS // max(1, len(columns))))
        cells = self._stride * len(columns)
        self._lens = memoryview(bytearray(4 * cells or 4)).cast("i")
        self._starts = memoryview(bytearray(8 * cells or 8)).cast("q")

    def feed(self, data: bytes, start: int, end: int) -> list[ArrowBatch]:
        """Take the DataRow messages data[start:end], and give the batches that are full."""
        return self._feed(data, start, end, True)

    def feed_tuples(self, data: bytes, start: int, end: int) -> list[ArrowBatch]:
        """Take whole tuples of a binary COPY, and give the batches that are full."""
        return self._feed(data, start, end, False)

    def finish(self) -> ArrowBatch | None:
        """Give the rows that are left, if there are any."""
        return self._take() if self._rows else None

    def _feed(self, data: bytes, start: int, end: int, framed: bool) -> list[ArrowBatch]:
        full: list[ArrowBatch] = []
        done = 0
        try:
            while start < end:
                most = min(self._stride, self._most_rows - self._rows)
                rows, after = locate(
                    data, start, end, framed, len(self._columns), most, max(1, self._most_size - self._size),
                    self._lens, self._starts,
                )  # fmt: skip
                after = self._append(data, done, start, after, rows, most, framed)
                done += self._added
                self._size += after - start
                start = after
                if self._rows >= self._most_rows or self._size >= self._most_size or self._added < rows:
                    full.append(self._take())
        except BaseException:
            self._drop()
            raise
        return full

    def _append(
        self, data: bytes, done: int, start: int, after: int, rows: int, stride: int, framed: bool
    ) -> int:
        """Hand the values that `locate` found to their columns; gives the position after the rows that were taken."""
        lens, starts = self._lens, self._starts
        place = 0
        try:
            fit = rows
            for place, column in enumerate(self._columns):
                of = slice(place * stride, place * stride + fit)
                fit = column.fits(data, lens[of], starts[of], self._most_size)
            if fit < rows:
                head = 7 if framed else 2
                after = starts[fit] - head - 4 if self._columns else after
            for place, column in enumerate(self._columns):
                of = slice(place * stride, place * stride + fit)
                column.append(data, lens[of], starts[of])
        except BadValue as error:
            raise self._bad(data, done, start, rows, stride, place, error, framed) from error.__cause__ or error
        self._rows += fit
        self._added = fit
        return after

    def _bad(
        self, data: bytes, done: int, start: int, rows: int, stride: int, place: int, error: BadValue, framed: bool
    ) -> ValueDecodeError:
        # The arrays may have been changed: the value is looked up anew.
        locate(data, start, len(data), framed, len(self._columns), stride, 1 << 62, self._lens, self._starts)
        at = place * stride + error.row
        value = data[self._starts[at] : self._starts[at] + max(0, self._lens[at])]
        return ValueDecodeError(done + error.row, place, value, error.reason)

    def _take(self) -> ArrowBatch:
        taken = [column.take() for column in self._columns]
        made = Exported(length=self._rows, nulls=0, buffers=[None], children=taken)
        self._rows = self._size = 0
        return ArrowBatch(self._schema, made)

    def _drop(self) -> None:
        for column in self._columns:
            column.drop()
        self._rows = self._size = 0
