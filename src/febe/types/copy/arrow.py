"""Arrow record batches to COPY data, without a Python object for a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from febe._kernel import assembly, copy_assembly, kinds
from febe._kernel.arrow import ArrowEncoder
from febe._kernel.columns import blank
from febe._kernel.plan import Plan
from febe.types import oids
from febe.types._arrow_plans import plan_for
from febe.types._codec import Codec, Registry
from febe.types._shapes import ArrayOf, CompositeOf, DomainOf, EnumOf
from febe.types.arrow import ArrowField, RecordBatch, plans_for, read_stream
from febe.types.copy.encoder import BINARY_HEADER, BINARY_TRAILER, CopyEncoder, Framing, frame
from febe.types.copy.errors import CopyError
from febe.types.copy.format import CopyFormat

_SPARE = 16
_LIMIT = 0x3FFFFFFE
_STEP = 4096
"""The most rows at a time: their values stay in the processor's caches."""


_CLOCK = frozenset((oids.DATE, oids.TIME, oids.TIMESTAMP, oids.TIMETZ))
"""Types that would drop a time zone without a word (manual: "Date/Time Types")."""
_VECTORS = frozenset((22, 30))
"""int2vector and oidvector, whose lower bound is 0."""


def plan_to_send(column: ArrowField, codec: Codec, registry: Registry, binary: bool) -> Plan | None:
    """Plan how a column is sent to one of type `codec`; None when it cannot be in the format.

    A domain is its base type, and an enum or citext a string.  Lists are arrays, and structs composites with fields of
    the same names, both in binary only.  In text any number, date, time or string may stand for any type: the server
    reads its text, as it reads that of a file.
    """
    while isinstance(codec.shape, DomainOf):
        codec = registry.by_oid(codec.shape.base)
    if column.format[:1] == "+":
        return _nested(column, codec, registry) if binary else None
    oid = codec.oid
    if isinstance(codec.shape, EnumOf) or codec.encode_binary == kinds.STRING_BINARY:
        oid = oids.TEXT
    values = column.dictionary.format if column.dictionary is not None else None
    plan = plan_for(column.name, column.format, values, oid, binary)
    zoned = column.format.startswith("ts") and column.format[4:] != ""
    if plan is not None or binary or (zoned and oid in _CLOCK):
        return plan
    return plan_for(column.name, column.format, values, oids.TEXT, False)


def _nested(column: ArrowField, codec: Codec, registry: Registry) -> Plan | None:
    shape, form = codec.shape, column.format
    if isinstance(shape, ArrayOf) and codec.oid not in _VECTORS and (form in ("+l", "+L") or form.startswith("+w:")):
        inner = plan_to_send(column.children[0], registry.by_oid(shape.element), registry, True)
        size = int(form[3:]) if form.startswith("+w:") else 0
        if inner is None or inner.layout == "list" or (form.startswith("+w:") and not size):
            return None
        code = {"+l": "i", "+L": "q"}.get(form, "")
        return Plan(name=column.name, layout="list", code=code, size=size, form=assembly.COPY, values=inner,
                    element=shape.element)  # fmt: skip
    if isinstance(shape, CompositeOf) and shape is not CompositeOf.OPEN and form == "+s":
        places = {part.name: place for place, part in enumerate(column.children)}
        if len(column.children) != len(shape.fields) or places.keys() != {name for name, _ in shape.fields}:
            return None
        parts = []
        for name, oid in shape.fields:
            plan = plan_to_send(column.children[places[name]], registry.by_oid(oid), registry, True)
            if plan is None:
                return None
            parts.append((places[name], oid, plan))
        return Plan(name=column.name, layout="struct", form=assembly.COPY, parts=parts)
    return None


class _Rows:
    """Puts rows together for one COPY; `head` comes before the first."""

    def __init__(self, form: CopyFormat, names: Sequence[str], framing: Framing) -> None:
        self.form = form
        self.framing = framing
        self.head = b""
        self._quoted = form.marked("force_quote", names) + b"\0"
        self._null = form.null_used.encode()

    def join(
        self, lens: memoryview, starts: memoryview, stride: int, rows: int, columns: int, arena: bytearray, held: int
    ) -> tuple[bytearray, int]:
        form, framed = self.form, self.framing is Framing.ROWS
        before = len(self.head) + (5 if self.framing is Framing.MESSAGES else 0)
        if form.binary:
            room = before + rows * (7 + 4 * columns) + held + _SPARE
        else:
            room = before + rows * (6 + columns * (9 + len(self._null))) + 2 * held + 8
        out = blank(room)
        out[before - len(self.head) : before] = self.head
        if form.binary:
            letter = 100 if framed else 0
            end = assembly.assemble(lens, starts, stride, rows, columns, arena, _LIMIT, letter, out, before)
        else:
            end = copy_assembly.lines(
                lens, starts, stride, rows, columns, arena, ord(form.delimiter_used),
                ord(form.quote_used) if form.csv else -1, ord(form.escape_used), self._null, self._quoted, framed,
                _LIMIT, out, before,
            )  # fmt: skip
        if end < 0:
            return out, -1 - end
        del out[end:]
        if framed and self.head:  # the first message holds the header too (copyto.c)
            size = int.from_bytes(out[before + 1 : before + 5], "big") + before
            out[0 : before + 5] = b"d" + size.to_bytes(4, "big") + self.head
        elif self.framing is Framing.MESSAGES:
            out[0:5] = b"d" + (end - 1).to_bytes(4, "big")
        self.head = b""
        return out, -1


class ArrowCopyEncoder:
    """Encodes the record batches of one COPY: `encode` each, then `finish`.

    `type_oids` are those of the table's columns, or what `plan_to_send` has planned for them.
    Errors: ArrowError for a column whose Arrow format cannot be sent as its type, ArrowValueError for a value.
    """

    def __init__(
        self, form: CopyFormat, schema: Sequence[ArrowField], type_oids: Sequence[int | Plan],
        framing: Framing = Framing.MESSAGES, names: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        form.check()
        if form.encoding is not None and not form.binary and form.encoding.upper().replace("-", "") != "UTF8":
            raise CopyError(f"Arrow to COPY in {form.encoding} is not supported", "0A000")
        self.names = list(names or [column.name for column in schema])
        self._rows = _Rows(form, self.names, framing)
        self._encoder = ArrowEncoder(plans_for(schema, [int(form.binary)], type_oids), self._rows)
        self._begun = False
        self._step = _STEP
        self.rows = 0
        """How many rows were encoded."""

    def encode(self, batch: RecordBatch, most: int = 1 << 20) -> Iterator[bytearray]:
        """Encode a batch in pieces of about `most` bytes."""
        row = 0
        while row < batch.length:
            yield from self._begin()
            before = row
            data, row = self._encoder.encode_some(batch, row, min(batch.length, row + self._step), most)
            self.rows += row - before
            # Rows that do not fit are looked at in vain: not many more than fitted last time.
            self._step = max(64, min(_STEP, 2 * (row - before)))
            yield data

    def encode_all(self, source: Any, most: int = 1 << 20) -> Iterator[bytearray]:
        """Encode what has `__arrow_c_stream__` and the schema given, and finish."""
        with read_stream(source) as reader:
            for batch in reader:
                with batch:
                    yield from self.encode(batch, most)
        if last := self.finish():
            yield bytearray(last)

    def finish(self) -> bytes:
        """Give what comes after the last row, and what comes before the first if there was none."""
        before = b"".join(self._begin())
        if not self._rows.form.binary:
            return before
        last = self._rows.head + BINARY_TRAILER
        self._rows.head = b""
        return last if self._rows.framing is Framing.BARE else frame(last)

    def _begin(self) -> Iterator[bytearray]:
        if self._begun:
            return
        self._begun = True
        form = self._rows.form
        if form.binary:
            self._rows.head = BINARY_HEADER
        elif form.header:
            yield bytearray(CopyEncoder.header_of(form, self.names, self._rows.framing))
