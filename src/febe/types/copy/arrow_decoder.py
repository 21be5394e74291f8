"""COPY data to Arrow record batches."""

from __future__ import annotations

from collections.abc import Sequence

from febe._kernel.copy_binary import payload
from febe._kernel.errors import CopyFault, ValueDecodeError
from febe.types._codec import Registry
from febe.types.arrow import ArrowField
from febe.types.arrow_rows import ArrowBatch, ArrowBuilder, ArrowOptions, ArrowSource
from febe.types.copy.column import CopyColumn
from febe.types.copy.decoder import LIMIT, Decoding, Skipped
from febe.types.copy.errors import CopyError
from febe.types.copy.format import CopyFormat
from febe.types.copy.tuples import TupleFeed


class ArrowCopyDecoder(Decoding[ArrowBatch]):
    """As CopyDecoder, without a Python object for a value: `feed` and `finish` give the batches that are full.

    ON_ERROR ignore and DEFAULT are CopyDecoder's.  Errors: CopyError; ValueError for such a format; ArrowError for
    columns that cannot be Arrow's.
    """

    def __init__(
        self, form: CopyFormat, columns: Sequence[CopyColumn], registry: Registry, options: ArrowOptions | None = None
    ) -> None:
        if form.on_error == "ignore" or form.default is not None:
            raise ValueError("rows that are left out, and defaults, are not for Arrow")
        super().__init__(form, columns)
        sources = [ArrowSource(name=one.name, codec=one.codec, typmod=one.typmod, binary=form.binary)
                   for one in columns]  # fmt: skip
        self._builder = ArrowBuilder(sources, registry, options)

    @property
    def schema(self) -> ArrowField:
        """What every batch has."""
        return self._builder.schema

    def finish(self) -> list[ArrowBatch]:
        """Decode what is left when CopyDone has come."""
        full = super().finish()
        last = self._builder.finish()
        return [*full, last] if last is not None else full

    def _of_lines(
        self, whole: bytes, start: int, ends: list[int], width: int, skipped: Skipped | None
    ) -> list[ArrowBatch]:
        try:
            tuples = bytes(self._text.tuples(whole, start, ends, width))
            return self._builder.feed_tuples(tuples, 0, len(tuples))
        except (CopyFault, ValueDecodeError):
            # which fault comes first, and its words, are told by who takes value after value
            self._text.decode(whole, start, ends, width, None)
            raise

    def _of_tuples(self, whole: bytes, end: int) -> list[ArrowBatch]:
        return self._builder.feed_tuples(whole, 0, end)


class ArrowCopyReader:
    """Makes batches of the data of a binary COPY, cut anywhere: `feed` or `feed_run`, then `finish`.

    Errors: CopyError.
    """

    def __init__(self, builder: ArrowBuilder, limit: int = LIMIT) -> None:
        self.names, self.schema = builder.names, builder.schema
        self._builder = builder
        self._tuples = TupleFeed(builder.names, limit)

    def feed(self, data: bytes) -> list[ArrowBatch]:
        """Take another piece of what the CopyData messages hold, and give the batches that are full."""
        return self._feed(data, False)

    def feed_run(self, data: bytes, start: int, end: int) -> list[ArrowBatch]:
        """Take CopyData messages, headers included."""
        return self._feed(payload(data, start, end), False)

    def finish(self) -> ArrowBatch | None:
        """Give the rows that are left when CopyDone has come, if there are any."""
        self._feed(b"", True)
        return self._builder.finish()

    def _feed(self, data: bytes, final: bool) -> list[ArrowBatch]:
        before = self._tuples.count
        whole, end = self._tuples.feed(data, final)
        try:
            full = self._builder.feed_tuples(whole, 0, end)
        except ValueDecodeError as error:
            name = self.names[error.column]
            raise CopyError(
                f"column \"{name}\": {error.reason}", "22P03", line=before + 1 + error.row, column=name
            ) from error
        self._tuples.check()
        return full
