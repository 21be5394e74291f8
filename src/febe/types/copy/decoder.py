"""COPY data to rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from febe._kernel.copy_binary import TupleDecoder, payload
from febe._kernel.copy_fields import LineDecoder
from febe._kernel.errors import CopyFault, ValueDecodeError
from febe.types.copy.column import CopyColumn, decoders
from febe.types.copy.errors import CopyError
from febe.types.copy.faults import FORMAT, encoding_error, fault_of, reject_of, value_error
from febe.types.copy.format import CopyFormat
from febe.types.copy.lines import LineFeed
from febe.types.copy.tuples import TupleFeed

LIMIT = 0x3FFFFFFE
"""The most bytes of a line or a field (PostgreSQL: MaxAllocSize - 1)."""


T = TypeVar("T")
Skipped = list[tuple[int, int, bytes | None, Exception]]


class Decoding(Generic[T]):
    """What decoders of COPY data have in common; they differ in what they make of lines and of tuples."""

    def __init__(
        self, form: CopyFormat, columns: Sequence[CopyColumn], *, row: type[tuple[Any, ...]] = tuple,
        skip: Callable[[CopyError], object] | None = None, limit: int = LIMIT,
    ) -> None:  # fmt: skip
        form.check()
        self.form = form
        self.columns = tuple(columns)
        self.skipped = 0
        self._skip = skip
        self._ended = False
        names = [column.name for column in columns]
        read = decoders(columns, form.binary)
        self._tuples: TupleFeed | None = None
        self._lines: LineFeed | None = None
        if form.binary:
            self._tuples = TupleFeed(names, limit)
            self._binary = TupleDecoder(read, row)
        else:
            self._lines = LineFeed(form, limit)
            self._text = LineDecoder(
                read, row, ord(form.delimiter_used), ord(form.quote_used) if form.csv else -1, ord(form.escape_used),
                form.null_used.encode(), None if form.default is None else form.default.encode(),
                bytes(column.has_default for column in columns), form.marked("force_not_null", names),
                form.marked("force_null", names),
            )  # fmt: skip
            self._header = form.header or False

    @property
    def line(self) -> int:
        """How many lines, or tuples, have been read."""
        return self._lines.last if self._lines is not None else self._tuples.count  # type: ignore[union-attr]

    def _of_lines(self, whole: bytes, start: int, ends: list[int], width: int, skipped: Skipped | None) -> list[T]:
        """Errors: CopyFault, ValueDecodeError."""
        raise NotImplementedError

    def _of_tuples(self, whole: bytes, end: int) -> list[T]:
        """Errors: ValueDecodeError."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[T]:
        """Decode another piece of what the CopyData messages hold."""
        if self._ended:
            raise ValueError("the COPY has been finished")
        return self._decode(data, False)

    def feed_run(self, data: bytes, start: int, end: int) -> list[T]:
        """Decode CopyData messages, headers included: data[start:end]."""
        return self.feed(payload(data, start, end))

    def finish(self) -> list[T]:
        """Decode what is left when CopyDone has come."""
        if self._ended:
            return []
        self._ended = True
        return self._decode(b"", True)

    def _decode(self, data: bytes, final: bool) -> list[T]:
        return self._decode_lines(data, final) if self._lines is not None else self._decode_tuples(data, final)

    def _decode_tuples(self, data: bytes, final: bool) -> list[T]:
        feed = self._tuples
        assert feed is not None
        before = feed.count
        whole, end = feed.feed(data, final)
        try:
            rows = self._of_tuples(whole, end)
        except ValueDecodeError as error:
            raise value_error(self.columns[error.column], before + 1 + error.row, error, True) from error
        feed.check()
        return rows

    def _decode_lines(self, data: bytes, final: bool) -> list[T]:
        feed = self._lines
        assert feed is not None
        whole, start, ends = feed.feed(data, final)
        if self._header and (ends or final):
            start = self._take_header(whole, start, ends)
        skipped: Skipped | None = [] if self.form.on_error == "ignore" else None
        try:
            rows = self._of_lines(whole, start, ends, feed.width, skipped)
        except CopyFault as fault:
            line = self._line_of(whole, start, ends, fault.line)
            raise self._fault(fault, feed.number(fault.line), line) from None
        except ValueDecodeError as error:
            raise value_error(self.columns[error.column], feed.number(error.row), error, False) from error
        if skipped:
            self._report(skipped, feed)
        feed.check()
        return rows

    def _fault(self, fault: CopyFault, number: int, line: str) -> CopyError:
        wrong = fault.__cause__
        if isinstance(wrong, UnicodeDecodeError):
            made = encoding_error(wrong.object, wrong.start, number)
            made.value = line
            return made
        name = self.columns[fault.column].name if fault.column >= 0 else ""
        return fault_of(fault.fault, number, name=name, line=line)

    def _line_of(self, whole: bytes, start: int, ends: list[int], number: int) -> str:
        begin = ends[number - 1] + self._lines.width if number else start  # type: ignore[union-attr]
        return whole[begin : ends[number]].decode(errors="replace")

    def _report(self, skipped: Skipped, feed: LineFeed) -> None:
        limit = self.form.reject_limit
        for line, column, value, error in skipped:
            self.skipped += 1
            decoded = ValueDecodeError(line, column, value or b"", str(error))
            decoded.__cause__ = error
            left_out = value_error(self.columns[column], feed.number(line), decoded, False)
            if self._skip is not None:
                self._skip(left_out)
            if limit is not None and self.skipped > limit:
                raise reject_of(limit, left_out)

    def _take_header(self, whole: bytes, start: int, ends: list[int]) -> int:
        """Check the header against the names, or leave it out (PostgreSQL: NextCopyFromRawFields)."""
        feed = self._lines
        assert feed is not None
        end = ends[0] if ends else start
        if self._header == "match":
            line = whole[start:end].decode(errors="replace")
            wrong = self._compare(whole, start, end, line)
            if wrong:
                raise CopyError(wrong, FORMAT, line=feed.number(0), value=line)
        self._header = False
        if not ends:
            return start
        del ends[0]
        feed.skip()
        return end + feed.width

    def _compare(self, whole: bytes, start: int, end: int, line: str) -> str:
        """Hold a header against the columns' names; "" or what is wrong."""
        try:
            count, found = self._text.fields(whole, start, end)
        except CopyFault as fault:
            raise self._fault(fault, self._lines.number(0), line) from None  # type: ignore[union-attr]
        if count != len(self.columns):
            return f"wrong number of fields in header line: got {count}, expected {len(self.columns)}"
        for place, (name, column) in enumerate(zip(found, self.columns, strict=True), 1):
            if name != column.name.encode():
                got = f'null value ("{self.form.null_used}")' if name is None else f'"{name.decode(errors="replace")}"'
                return f'column name mismatch in header line field {place}: got {got}, expected "{column.name}"'
        return ""


class CopyDecoder(Decoding[tuple[Any, ...]]):
    """Decodes the data of one COPY: `feed` with each piece, however cut, then `finish`; all give the rows so far whole.

    With ON_ERROR ignore, `skip` is called with the error of each row that is left out; they are counted in `skipped`.
    Errors: CopyError; what was decoded with the same call is lost then, as all of a COPY is.
    """

    def _of_lines(
        self, whole: bytes, start: int, ends: list[int], width: int, skipped: Skipped | None
    ) -> list[tuple[Any, ...]]:
        return self._text.decode(whole, start, ends, width, skipped)

    def _of_tuples(self, whole: bytes, end: int) -> list[tuple[Any, ...]]:
        return self._binary.decode(whole, 0, end)
