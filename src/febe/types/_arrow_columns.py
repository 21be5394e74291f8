"""Arrow columns in the making: each takes values in binary format a run at a time and writes them to flat buffers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from febe._kernel import assembly, cells, decimals, fill, usual
from febe.types._arrow_export import Exported
from febe.types.arrow import ArrowField

Recode = Callable[[bytes], bytes]

_SPARE = 16
_TEXTS = 1 << 28
"""The most bytes of numerics' texts in one run; eight bytes may stand for 147,000 digits."""
_DAY = 86_400_000_000
_SPECIAL = b"NaN-InfinityInfinity"
_WHY = {
    cells.CUT: "not a valid binary value",
    cells.SIZE: "not a valid binary value",
    cells.DIMENSIONS: "an array of several dimensions, which Arrow's list cannot hold",
    cells.BOUNDS: "an array whose lower bound is not 1, which Arrow's list cannot hold",
    cells.FIELDS: "a composite value of another number of fields",
}


class BadValue(Exception):
    """A value that the column cannot hold; `row` counts from the run's first."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.reason = reason


def _longs(count: int) -> memoryview:
    return memoryview(bytearray(8 * count)).cast("q")


def _ints(count: int) -> memoryview:
    return memoryview(bytearray(4 * count)).cast("i")


class Growing:
    """Columns that grow by doubling and are cut to size in the end."""

    def __init__(self, field: ArrowField, recode: Recode | None = None) -> None:
        self.field = field
        self.rows = 0
        self._recode = recode
        self._begin()

    def _begin(self) -> None:
        self.rows = self._nulls = 0
        self._bitmap = bytearray()

    def drop(self) -> None:
        """Forget what was taken so far."""
        self._begin()

    def append(self, data: bytes, lens: memoryview, starts: memoryview) -> None:
        """Take the values of rows; both arrays may be changed.  Errors: BadValue."""
        if self._recode is not None:
            data = recoded(self._recode, data, lens, starts)
        after = self.rows + len(lens)
        self._fill(data, lens, starts, after)
        self._room(self._bitmap, after // 8 + 1)
        self._nulls += fill.mark(lens, self._bitmap, self.rows)
        self.rows = after

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        """Write values from `self.rows` on; `after` is the place after them."""
        raise NotImplementedError

    def fits(self, data: bytes, lens: memoryview, starts: memoryview, most: int) -> int:
        """Count the rows, at least one, that make less than about `most` bytes."""
        return len(lens)

    @staticmethod
    def _room(buffer: bytearray, size: int) -> None:
        if len(buffer) < size + _SPARE:
            fill.resize(buffer, max(size + _SPARE, 2 * len(buffer)))

    def take(self) -> Exported:
        """Give what was taken so far, and begin anew."""
        made = Exported(length=self.rows, nulls=self._nulls, buffers=[self._validity(), *self._values()])
        self._begin()
        return made

    def _validity(self) -> bytearray | None:
        return self._cut(self._bitmap, (self.rows + 7) // 8) if self._nulls else None

    def _values(self) -> list[bytearray | None]:
        raise NotImplementedError

    @staticmethod
    def _cut(buffer: bytearray, size: int) -> bytearray:
        # Arrow wants an address even where there is nothing; C has none of an empty array.
        fill.resize(buffer, max(size, 8))
        return buffer


@dataclass(slots=True, frozen=True)
class UsualText:
    """A recoding of text to a binary form of one size: the kernel does what is spelt as usual, `other` the rest."""

    kind: int
    other: Recode

    def __call__(self, data: bytes) -> bytes:
        return self.other(data)

    def column(self, data: bytes, lens: memoryview, starts: memoryview) -> bytes:
        """Bring each value of a column to its binary form.  Errors: BadValue."""
        width = usual.WIDTHS[self.kind]
        made = bytearray(width * len(lens))
        row = usual.usual(self.kind, data, lens, starts, made, 0)
        while row >= 0:
            made[row * width : (row + 1) * width] = _recoded_value(self.other, data, lens, starts, row)
            row = usual.usual(self.kind, data, lens, starts, made, row + 1)
        usual.settle(lens, starts, width)
        return bytes(made)


def _recoded_value(recode: Recode, data: bytes, lens: memoryview, starts: memoryview, row: int) -> bytes:
    try:
        return recode(data[starts[row] : starts[row] + lens[row]])
    except Exception as error:
        raise BadValue(row, str(error)) from error


def recoded(recode: Recode, data: bytes, lens: memoryview, starts: memoryview) -> bytes:
    """Bring each value to other bytes, which the arrays then describe."""
    if isinstance(recode, UsualText):
        return recode.column(data, lens, starts)
    made = bytearray()
    for row, size in enumerate(lens):
        if size < 0:
            continue
        value = _recoded_value(recode, data, lens, starts, row)
        starts[row], lens[row] = len(made), len(value)
        made += value
    return bytes(made)


def bad(row: int, reason: str = "not a valid binary value") -> None:
    """Raise for a row that the kernel found, if it found one."""
    if row >= 0:
        raise BadValue(row, reason)


class Fixed(Growing):
    """Values of 2, 4 or 8 bytes: numbers, times, moments."""

    def __init__(
        self, field: ArrowField, code: str, recode: Recode | None = None, *, moment: bool = False, time: bool = False,
        infinite: int = fill.ERROR,
    ) -> None:  # fmt: skip
        self._code = code
        self._write = {"h": fill.shorts, "i": fill.ints, "q": fill.longs}[code]
        self._moment, self._time, self._infinite = moment, time, infinite
        self._width = {"h": 2, "i": 4, "q": 8}[code]
        super().__init__(field, recode)

    def _begin(self) -> None:
        super()._begin()
        self._buffer = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        self._room(self._buffer, after * self._width)
        whole = len(self._buffer) // self._width * self._width
        out: Any = memoryview(self._buffer)[:whole].cast(self._code)  # type: ignore[call-overload]
        bad(self._write(data, lens, starts, out, self.rows))
        if self._moment:
            turn: Any = fill.dates if self._code == "i" else fill.stamps
            bad(turn(out, self.rows, lens, self._infinite), "infinity or a moment that Arrow's type cannot hold")
        elif self._time:
            bad(fill.outside(out, self.rows, lens, _DAY), "the time 24:00, which Arrow's type cannot hold")

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._buffer, self.rows * self._width)]


class Bools(Growing):
    """One bit a value."""

    def _begin(self) -> None:
        super()._begin()
        self._bits = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        self._room(self._bits, after // 8 + 1)
        bad(fill.bools(data, lens, starts, self._bits, self.rows))

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._bits, (self.rows + 7) // 8)]


class Sized(Growing):
    """Values of one size that are copied as they are."""

    def __init__(self, field: ArrowField, width: int, recode: Recode | None = None) -> None:
        self._width = width
        super().__init__(field, recode)

    def _begin(self) -> None:
        super()._begin()
        self._buffer = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        self._room(self._buffer, after * self._width)
        bad(fill.sized(data, lens, starts, self._buffer, self.rows, self._width))

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._buffer, self.rows * self._width)]


class Intervals(Growing):
    """Months, days and nanoseconds."""

    def _begin(self) -> None:
        super()._begin()
        self._buffer = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        self._room(self._buffer, after * 16)
        whole = memoryview(self._buffer)[: len(self._buffer) // 16 * 16]
        row = fill.intervals(data, lens, starts, whole.cast("i"), whole.cast("q"), self.rows)
        bad(row, "infinity or over 292 years of seconds, which Arrow's interval cannot hold")

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._buffer, self.rows * 16)]


class Decimals(Growing):
    """Decimals of a precision and a scale, in 128 or 256 bits."""

    def __init__(self, field: ArrowField, precision: int, scale: int, recode: Recode | None = None) -> None:
        self._precision, self._scale = precision, scale
        self._words = 4 if precision <= 38 else 8
        self._why = {
            decimals.SPECIAL: "NaN or infinity, which Arrow's decimal cannot hold",
            decimals.SCALE: f"digits beyond the scale of {scale}",
            decimals.PRECISION: f"more than {precision} digits",
        }
        super().__init__(field, recode)

    def _begin(self) -> None:
        super()._begin()
        self._buffer = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        width = 4 * self._words
        self._room(self._buffer, after * width)
        out = memoryview(self._buffer)[: len(self._buffer) // 4 * 4].cast("I")
        row, why = decimals.decimals(
            data, lens, starts, self._precision, self._scale, out, self.rows, self._words
        )
        bad(row, self._why.get(why, "not a valid binary value"))

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._buffer, self.rows * 4 * self._words)]


class Strings(Growing):
    """Values one after the other, with offsets.  `text`: they have to be UTF-8; `head`: a first byte to leave out."""

    def __init__(
        self, field: ArrowField, recode: Recode | None = None, *, text: bool = True, head: int | None = None
    ) -> None:
        self._text, self._head = text, head
        super().__init__(field, recode)

    def _begin(self) -> None:
        super()._begin()
        self._offsets = bytearray(4)
        self._size = 0
        self._bytes = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        if self._head is not None:
            bad(cells.behead(data, lens, starts, self._head), "unknown version of binary jsonb")
        size = self._size + assembly.total(lens)
        if size > 0x7FFFFFFF:
            raise BadValue(0, "more than two gigabytes of one column in one batch")
        self._room(self._offsets, 4 * (after + 1))
        self._room(self._bytes, size)
        offsets = memoryview(self._offsets)[: 4 * (after + 1)].cast("i")
        fill.spans(data, lens, starts, offsets, self.rows, self._bytes)
        if self._text:
            self._check(offsets, size)
        self._size = size

    def _check(self, offsets: memoryview, size: int) -> None:
        """Whoever takes the strings relies on their being UTF-8."""
        begun = self._size
        added = bytes(memoryview(self._bytes)[begun:size])
        if added.isascii():
            return
        try:
            added.decode()
        except UnicodeDecodeError as error:
            bad(bisect_right(offsets, begun + error.start) - 1 - self.rows, str(error))
        bad(fill.inside_character(memoryview(self._bytes)[:size], offsets, self.rows), "not valid UTF-8")

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._offsets, 4 * (self.rows + 1)), self._cut(self._bytes, self._size)]


class NumericTexts(Strings):
    """Numerics of any size, as PostgreSQL prints them."""

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        sizes = _longs(len(lens))
        bad(decimals.measure_texts(data, lens, starts, sizes))
        room = sum(sizes)
        if room > _TEXTS:
            raise BadValue(0, f"numerics whose texts take {room} bytes")
        made = bytearray(room + _SPARE)
        decimals.texts(data, lens, starts, made, _SPECIAL)
        super()._fill(bytes(made), lens, starts, after)

    def fits(self, data: bytes, lens: memoryview, starts: memoryview, most: int) -> int:
        """Numbers of few bytes may have long texts."""
        if self._recode is not None:
            return len(lens)
        sizes = _longs(len(lens))
        bad(decimals.measure_texts(data, lens, starts, sizes))
        return int(assembly.fit(sizes, 0, most))


class Labels(Growing):
    """Indices into an enum's labels."""

    def __init__(self, field: ArrowField, labels: Sequence[str]) -> None:
        self._known = {label.encode(): place for place, label in enumerate(labels)}
        super().__init__(field)

    def _begin(self) -> None:
        super()._begin()
        self._buffer = bytearray()

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        self._room(self._buffer, after * 4)
        out = memoryview(self._buffer)[: len(self._buffer) // 4 * 4].cast("i")
        bad(fill.labels(data, lens, starts, self._known, out, self.rows), "a label that the enum has not")

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._buffer, self.rows * 4)]

    def take(self) -> Exported:
        made = super().take()
        texts = list(self._known)
        offsets = bytearray(4 * (len(texts) + 1))
        for place, text in enumerate(texts):
            end = int.from_bytes(offsets[4 * place : 4 * place + 4], _NATIVE) + len(text)
            offsets[4 * place + 4 : 4 * place + 8] = end.to_bytes(4, _NATIVE)
        values = bytearray(b"".join(texts) or bytes(8))
        made.dictionary = Exported(length=len(texts), nulls=0, buffers=[None, offsets, values])
        return made


_NATIVE: Any = "little" if memoryview(bytearray(b"\1\0")).cast("h")[0] == 1 else "big"


class Lists(Growing):
    """Arrays of one dimension."""

    def __init__(
        self, field: ArrowField, element: Growing, lower: int = 1, recode: Recode | None = None
    ) -> None:
        self._element, self._lower = element, lower
        super().__init__(field, recode)

    def _begin(self) -> None:
        super()._begin()
        self._offsets = bytearray(4)

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        count, row, why = cells.count_elements(data, lens, starts, self._lower)
        bad(row, _WHY.get(why, ""))
        if self._element.rows + count > 0x7FFFFFFF:
            raise BadValue(0, "more than two billion elements of one column in one batch")
        self._room(self._offsets, 4 * (after + 1))
        offsets = memoryview(self._offsets)[: 4 * (after + 1)].cast("i")
        inner_lens, inner_starts = _ints(count), _longs(count)
        row, why = cells.elements(data, lens, starts, offsets, self.rows, inner_lens, inner_starts)
        bad(row, _WHY.get(why, ""))
        before = self._element.rows
        try:
            self._element.append(data, inner_lens, inner_starts)
        except BadValue as error:
            raise BadValue(bisect_right(offsets, before + error.row) - 1 - self.rows, error.reason) from error

    def drop(self) -> None:
        self._element.drop()
        self._begin()

    def take(self) -> Exported:
        inner = self._element.take()
        made = super().take()
        made.children = [inner]
        return made

    def _values(self) -> list[bytearray | None]:
        return [self._cut(self._offsets, 4 * (self.rows + 1))]


class Structs(Growing):
    """Composite values."""

    def __init__(self, field: ArrowField, fields: Sequence[Growing], recode: Recode | None = None) -> None:
        self._fields = fields
        super().__init__(field, recode)

    def _fill(self, data: bytes, lens: memoryview, starts: memoryview, after: int) -> None:
        rows, count = len(lens), len(self._fields)
        inner_lens, inner_starts = _ints(rows * count), _longs(rows * count)
        row, why = cells.fields(data, lens, starts, count, inner_lens, inner_starts)
        bad(row, _WHY.get(why, ""))
        for place, one in enumerate(self._fields):
            of = slice(place * rows, (place + 1) * rows)
            one.append(data, inner_lens[of], inner_starts[of])

    def drop(self) -> None:
        for one in self._fields:
            one.drop()
        self._begin()

    def take(self) -> Exported:
        inner = [one.take() for one in self._fields]
        made = super().take()
        made.children = inner
        return made

    def _values(self) -> list[bytearray | None]:
        return []
