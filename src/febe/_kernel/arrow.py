"""Arrow record batches to DataRow messages, a column at a time and without a Python object per value.

The rows' strings are measured first, which bounds the piece; then every column's values are written in PostgreSQL's
form into one arena; then one pass over the rows copies them from there into messages.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from febe._kernel import assembly, fixed, nested, numerals, render
from febe._kernel import columns as c
from febe._kernel.plan import ArrowValueError, Batch, Column, Form, Plan

LENGTH_LIMIT = 0x3FFFFFFF
"""The largest length word (PostgreSQL: MaxAllocSize - 1 holds a whole message)."""

COLUMN_LIMIT = 32767
"""The most columns that DataRow's Int16 counts."""

_SPARE = 16
_KEPT = 1 << 22
_ELEMENTS = 1 << 18
"""The most elements of arrays that are written at a time."""

_LOADS: dict[str, tuple[Any, str]] = {
    "?": (c.load_bits, "B"),
    "b": (c.load_b, "b"),
    "B": (c.load_ub, "B"),
    "h": (c.load_h, "h"),
    "H": (c.load_uh, "H"),
    "i": (c.load_i, "i"),
    "I": (c.load_ui, "I"),
    "q": (c.load_q, "q"),
    "Q": (c.load_q, "q"),
}


_CELLS = {
    "boolean": 1,
    "integer": render.INTEGER_CELL,
    "float4": numerals.FLOAT_CELL,
    "float8": numerals.FLOAT_CELL,
    "date": render.DATE_CELL,
    "time": render.TIME_CELL,
    "timestamp": render.TIMESTAMP_CELL,
    "timestamptz": render.TIMESTAMP_CELL,
    "interval": render.INTERVAL_CELL,
}

_BYTES = {"spans", "views", "fixed", "dictionary", "list", "struct"}
_RATIOS = {  # what a form takes: times the value's length, plus
    assembly.COPY: (1, 0),
    assembly.HEX: (2, 2),
    assembly.VERSIONED: (1, 1),
    assembly.UUID_TEXT: (0, 36),
    assembly.UUID_BYTES: (0, 16),
    assembly.CHAR_BYTE: (0, 1),
}


def _longs(count: int) -> memoryview:
    return memoryview(bytearray(8 * count)).cast("q")


class DataRows:
    """Puts rows together as DataRow messages; others give other forms."""

    def join(
        self, lens: memoryview, starts: memoryview, stride: int, rows: int, columns: int, arena: bytearray, held: int
    ) -> tuple[bytearray, int]:
        """Give the rows, or a bad row; their values, `held` bytes in all, lie in `arena`."""
        size = rows * (7 + 4 * columns) + held
        frames = c.blank(size + _SPARE)
        end = assembly.assemble(lens, starts, stride, rows, columns, arena, LENGTH_LIMIT, 68, frames, 0)
        del frames[size:]
        return frames, -1 - end if end < 0 else -1


class ArrowEncoder:
    """Encodes the batches of one stream, by default as DataRow messages; one call at a time."""

    def __init__(self, plans: Sequence[Plan], form: Form | None = None) -> None:
        if len(plans) > COLUMN_LIMIT:
            raise ValueError(f"a row has at most {COLUMN_LIMIT} columns")
        self.plans = tuple(plans)
        self._form: Form = form or DataRows()
        # What a row takes besides its strings, for bounding a piece: the head, the length words, numbers by their size.
        self._each = 7 + sum(4 + (0 if plan.layout in _BYTES else plan.width or 8) for plan in plans)
        self._arena = bytearray()
        self._lens = memoryview(bytearray()).cast("i")
        self._starts = _longs(0)
        self._values = (_longs(0), _longs(0), _longs(0))
        self._sizes = _longs(0)
        self._scratch = memoryview(bytearray(32)).cast("I")
        self._digits = bytearray(numerals.SCRATCH)
        # By their plans' identities: dictionaries, which last as long as their batch, and arrays and composites
        self._dictionaries: dict[int, tuple[Column, bytearray, memoryview, memoryview]] = {}
        self._nested: dict[int, bytearray] = {}
        self._powers: tuple[Any, Any] | None = None
        self._busy = False

    def encode(self, batch: Batch, start: int, stop: int) -> bytearray:
        """Give the rows from `start` up to `stop` in the encoder's form.

        Errors: `ArrowValueError`; ValueError for rows that the batch has not.
        """
        return self.encode_some(batch, start, stop, 1 << 62)[0]

    def encode_some(self, batch: Batch, start: int, stop: int, most: int) -> tuple[bytearray, int]:
        """Give rows from `start` on, not beyond `stop`, of about `most` bytes, and the next row.

        At least one row is given.  The bound is exact for strings and approximate for numbers.
        """
        if not 0 <= start <= stop <= batch.length:
            raise ValueError(f"rows {start} to {stop} of a batch of {batch.length}")
        if len(batch.columns) != len(self.plans):
            raise ValueError(f"a batch of {len(batch.columns)} columns where {len(self.plans)} are described")
        if self._busy:
            raise RuntimeError("an encoder serves one call at a time")
        if start == stop:
            return bytearray(), start
        self._busy = True
        try:
            if most < 1 << 62:
                stop = self._reach(batch.columns, start, stop)
            return self._encode(batch.columns, start, stop, most)
        finally:
            self._busy = False
            self._nested.clear()
            if len(self._arena) > _KEPT:
                self._arena = bytearray()

    def _reach(self, columns: Sequence[Column], start: int, stop: int) -> int:
        for plan, column in zip(self.plans, columns, strict=True):
            if plan.layout != "list":
                continue
            places = None if plan.size else column.buffers[1].cast(plan.code)  # type: ignore[union-attr, call-overload]
            first = column.offset
            while stop - start > 1:
                held = plan.size * (stop - start) if places is None else places[first + stop] - places[first + start]
                if held <= _ELEMENTS:
                    break
                stop = start + (stop - start) // 2
        return stop

    def _encode(self, columns: Sequence[Column], start: int, stop: int, most: int) -> tuple[bytearray, int]:
        rows = stop - start
        self._reserve(rows)
        sizes = self._sizes[:rows]
        lens, starts = self._lens, self._starts
        c.clear(sizes)
        measured = False
        for k, plan in enumerate(self.plans):
            if plan.layout in _BYTES:
                of = slice(k * rows, (k + 1) * rows)
                self._measure(k, plan, columns[k], start, lens[of], starts[of])
                form = assembly.COPY if plan.layout == "dictionary" else plan.form
                assembly.add_lens(lens[of], *_RATIOS[form], sizes)  # type: ignore[index]
                measured = True
        count = assembly.fit(sizes, self._each, most) if measured or self._each * rows > most else rows
        if measured and (bad := assembly.over(sizes[:count], LENGTH_LIMIT)) >= 0:
            raise ArrowValueError(start + bad, 0, self.plans[0].name, "the row is too large", "54000")
        at = held = 0
        for k, plan in enumerate(self.plans):
            of = slice(k * rows, k * rows + count)
            if plan.layout == "null":
                c.absent(lens[of])
                continue
            at = self._write(k, plan, columns[k], start, lens[of], starts[of], self._arena, at)
            held += assembly.total(lens[of])
        self._room(self._arena, at)
        frames, bad = self._form.join(lens, starts, rows, count, len(self.plans), self._arena, held)
        if bad >= 0:
            raise ArrowValueError(start + bad, 0, self.plans[0].name, "the row is too large", "54000")
        return frames, start + count

    def _reserve(self, rows: int) -> None:
        cells = rows * len(self.plans)
        if len(self._lens) < cells:
            self._lens = memoryview(bytearray(4 * cells)).cast("i")
            self._starts = _longs(cells)
        if len(self._sizes) < rows:
            self._sizes = _longs(rows)
            self._values = (_longs(rows), _longs(rows), _longs(rows))

    @staticmethod
    def _room(arena: bytearray, size: int) -> None:
        missing = size + _SPARE - len(arena)
        if missing > 0:
            arena.extend(bytes(max(missing, len(arena) // 2)))

    @staticmethod
    def _mark(column: Column, first: int, lens: memoryview) -> None:
        if column.null_count and column.buffers and column.buffers[0] is not None:
            c.nulls(column.buffers[0], first, lens)
        else:
            c.present(lens)

    def _fault(self, k: int, row: int, reason: str, sqlstate: str) -> ArrowValueError:
        return ArrowValueError(row, k, self.plans[k].name, reason, sqlstate)

    def _measure(self, k: int, plan: Plan, column: Column, start: int, lens: memoryview, starts: memoryview) -> None:
        """Find the rows' lengths, and where the values lie, in a column of bytes."""
        first = column.offset + start
        self._mark(column, first, lens)
        bad = -1
        if plan.layout == "fixed":
            c.spans_fixed(plan.size, first, lens, starts)
        elif plan.layout == "list":
            self._measure_list(k, plan, column, start, lens, starts)
        elif plan.layout == "struct":
            self._measure_struct(k, plan, column, start, lens, starts)
        elif plan.layout == "dictionary":
            values = self._load(plan.code, column, first, len(lens), self._values[0])
            _, _, value_lens, value_starts = self._dictionary(k, plan, column)
            bad = assembly.look_up(values, lens, starts, value_lens, value_starts)
            if bad >= 0:
                raise self._fault(k, start + bad, "an index outside the dictionary", "XX000")
        else:
            places = column.buffers[1]
            assert places is not None
            if plan.layout == "views":
                bad = c.spans_view(places.cast("i"), first, lens)
            elif plan.code == "i":
                bad = c.spans_i(places.cast("i"), first, lens, starts)
            else:
                bad = c.spans_q(places.cast("q"), first, lens, starts)
        if bad >= 0:
            raise self._fault(k, start + bad, "offsets that run backwards", "XX000")

    def _measure_list(
        self, k: int, plan: Plan, column: Column, start: int, lens: memoryview, starts: memoryview
    ) -> None:
        """Make the rows' arrays; `lens` is marked where there is none."""
        first, rows = column.offset + start, len(lens)
        bad = -1
        if plan.size:
            c.spans_fixed(plan.size, first, lens, starts)
            low, high = first * plan.size, (first + rows) * plan.size
        else:
            places: Any = column.buffers[1].cast(plan.code)  # type: ignore[union-attr, call-overload]
            bad = (c.spans_i if plan.code == "i" else c.spans_q)(places, first, lens, starts)
            low, high = places[first], places[first + rows]
        (elements,) = column.children
        if bad >= 0 or not 0 <= low <= high <= elements.length:
            raise self._fault(k, start + max(bad, 0), "offsets that run backwards", "XX000")
        assert plan.values is not None
        try:
            inner, places, data = self._part(k, plan.values, elements, low, high - low)
        except ArrowValueError as error:
            row = bisect_right(starts, error.row) - 1
            raise self._fault(k, start + row, error.detail, error.sqlstate) from None
        counts, begins = memoryview(bytearray(lens)).cast("i"), memoryview(bytearray(starts)).cast("q")
        bad = nested.array_sizes(counts, begins, low, inner, LENGTH_LIMIT, lens)
        if bad >= 0:
            raise self._fault(k, start + bad, "the array is too large", "54000")
        made = self._nested[id(plan)] = c.blank(assembly.total(lens))
        nested.arrays(counts, begins, low, inner, places, data, plan.element, starts, made)

    def _measure_struct(
        self, k: int, plan: Plan, column: Column, start: int, lens: memoryview, starts: memoryview
    ) -> None:
        """Make the rows' composites; `lens` is marked where there is none."""
        rows = len(lens)
        inner, places = memoryview(bytearray(4 * rows * len(plan.parts))).cast("i"), _longs(rows * len(plan.parts))
        data = bytearray()
        types = _longs(len(plan.parts))
        for field, (child, oid, part) in enumerate(plan.parts):
            types[field] = oid
            found, at, held = self._part(k, part, column.children[child], start, rows)
            of = slice(field * rows, (field + 1) * rows)
            assembly.shift(at, len(data))
            inner[of], places[of] = found, at
            data += held
        bad = nested.record_sizes(inner, len(plan.parts), LENGTH_LIMIT, lens)
        if bad >= 0:
            raise self._fault(k, start + bad, "the composite value is too large", "54000")
        made = self._nested[id(plan)] = c.blank(assembly.total(lens))
        nested.records(lens, types, inner, places, data, starts, made)

    def _dictionary(self, k: int, plan: Plan, column: Column) -> tuple[Column, bytearray, memoryview, memoryview]:
        """Give the dictionary's values in PostgreSQL's form; written once per batch."""
        known = self._dictionaries.get(id(plan))
        if known is not None and known[0] is column.dictionary:
            return known
        values = column.dictionary
        assert plan.values is not None
        lens, starts, arena = self._part(k, plan.values, values, 0, values.length)
        self._dictionaries[id(plan)] = values, arena, lens, starts
        return self._dictionaries[id(plan)]

    def _part(
        self, k: int, plan: Plan, column: Column, start: int, rows: int
    ) -> tuple[memoryview, memoryview, bytearray]:
        """Give the values of what is inside a column, in PostgreSQL's form, in an arena of their own."""
        lens, starts, arena = memoryview(bytearray(4 * rows)).cast("i"), _longs(rows), bytearray()
        spare, self._values = self._values, (_longs(rows), _longs(rows), _longs(rows))
        try:
            if plan.layout in _BYTES:
                self._measure(k, plan, column, start, lens, starts)
            if plan.layout == "null":
                c.absent(lens)
            elif rows:
                self._room(arena, self._write(k, plan, column, start, lens, starts, arena, 0))
        finally:
            self._values = spare
        return lens, starts, arena

    @staticmethod
    def _load(code: str, column: Column, first: int, rows: int, into: memoryview) -> memoryview:
        load, item = _LOADS[code]
        values = into[:rows]
        source = column.buffers[1]
        assert source is not None
        load(source.cast(item), first, values)  # type: ignore[call-overload]
        return values

    def _write(
        self, k: int, plan: Plan, column: Column, start: int,
        lens: memoryview, starts: memoryview, arena: bytearray, at: int,
    ) -> int:  # fmt: skip
        """Write the column's values to `arena` from `at` on; gives the position after them."""
        first = column.offset + start
        rows = len(lens)
        if plan.layout in _BYTES:
            return self._write_bytes(k, plan, column, start, lens, starts, arena, at)
        self._mark(column, first, lens)
        if plan.layout == "decimal":
            source = column.buffers[1]
            assert source is not None
            return self._write_numeric(plan, source.cast("I"), first, plan.size, True, lens, starts, arena, at)
        if plan.layout == "interval":
            return self._write_interval(k, plan, column, start, lens, starts, arena, at)
        values = self._load(plan.code, column, first, rows, self._values[0])
        self._rebase(k, plan, values, lens, start)
        if plan.widen is not None:
            numerals.widen(values, *plan.widen)
        form = plan.form
        if form == "numeric":
            return self._write_numeric(
                plan, values.cast("B").cast("I"), 0, 2, plan.code != "Q", lens, starts, arena, at
            )
        cell = plan.width or _CELLS[form]  # type: ignore[index]
        end = at + rows * cell
        self._room(arena, end)
        if form == "fixed":
            fixed.fixed(values, lens, starts, arena, at, plan.width)
        elif form == "integer":
            render.integers(values, lens, starts, arena, at)
        elif form == "boolean":
            fixed.booleans(values, lens, starts, arena, at)
        elif form in ("float4", "float8"):
            if self._powers is None:
                self._powers = numerals.powers()
            numerals.floats(values, lens, starts, arena, at, form == "float8", *self._powers)
        elif form == "date":
            render.dates(values, lens, starts, arena, at)
        elif form == "time":
            render.times(values, lens, starts, arena, at)
        else:
            render.timestamps(values, lens, starts, arena, at, form == "timestamptz")
        return end

    def _rebase(self, k: int, plan: Plan, values: memoryview, lens: memoryview, start: int) -> None:
        if plan.rebase is not None and (bad := c.rebase(values, lens, *plan.rebase)) >= 0:
            value = values[bad]
            if plan.whole:
                told = value + 2**64 if plan.code == "Q" else value
                raise self._fault(k, start + bad, f"{told} is out of range for type {plan.type_name}", "22003")
            raise self._fault(k, start + bad, f"{plan.type_name} out of range: {value} in Arrow's unit", "22008")

    def _write_numeric(
        self, plan: Plan, words: memoryview, first: int, size: int, signed: bool,
        lens: memoryview, starts: memoryview, arena: bytearray, at: int,
    ) -> int:  # fmt: skip
        cell = 96 + abs(plan.scale)
        end = at + len(lens) * cell
        self._room(arena, end)
        numerals.numerics(
            words, first, size, signed, plan.scale, plan.binary,
            lens, starts, arena, at, cell, self._scratch, self._digits,
        )  # fmt: skip
        return end

    def _write_interval(
        self, k: int, plan: Plan, column: Column, start: int,
        lens: memoryview, starts: memoryview, arena: bytearray, at: int,
    ) -> int:  # fmt: skip
        rows = len(lens)
        first = column.offset + start
        months, days, micros = (values[:rows] for values in self._values)
        source = column.buffers[1]
        assert source is not None
        for values in (months, days, micros):
            c.clear(values)
        if plan.code == "M":
            c.load_i(source.cast("i"), first, months)
        elif plan.code == "D":
            c.load_days(source.cast("i"), first, days, micros)
        elif plan.code == "N":
            c.load_months(source.cast("i"), first, months, days, source.cast("q"), micros)
        else:
            c.load_q(source.cast("q"), first, micros)
        self._rebase(k, plan, micros, lens, start)
        end = at + rows * (16 if plan.binary else render.INTERVAL_CELL)
        self._room(arena, end)
        (fixed.interval_binary if plan.binary else render.intervals)(months, days, micros, lens, starts, arena, at)
        return end

    def _write_bytes(
        self, k: int, plan: Plan, column: Column, start: int,
        lens: memoryview, starts: memoryview, arena: bytearray, at: int,
    ) -> int:  # fmt: skip
        rows = len(lens)
        first = column.offset + start
        form = plan.form
        size = assembly.total(lens)
        if plan.layout in ("dictionary", "list", "struct"):
            self._room(arena, at + size)
            source = self._dictionaries[id(plan)][1] if plan.layout == "dictionary" else self._nested[id(plan)]
            return int(assembly.gather(source, lens, starts, arena, at, assembly.COPY))
        data: Any = column.buffers[2 if plan.layout == "spans" else 1]
        begin = at
        if plan.layout == "views":
            direct = form == assembly.COPY
            data = arena if direct else bytearray()
            self._room(data, at + size if direct else size)
            done = self._pack(k, column, start, lens, starts, data, at if direct else 0)
            if direct:
                at = done
                form = None  # type: ignore[assignment]
        elif plan.layout == "spans" and form == assembly.COPY:
            offsets: Any = column.buffers[1].cast(plan.code)  # type: ignore[union-attr, call-overload]
            low, high = offsets[first], offsets[first + rows]
            if high > len(data):
                raise self._fault(k, start, "offsets that run backwards", "XX000")
            if high - low <= 2 * size + 4096:  # what NULLs hold is not worth leaving out
                self._room(arena, at + high - low)
                arena[at : at + high - low] = data[low:high]
                assembly.shift(starts, at - low)
                at += high - low
                form = None  # type: ignore[assignment]
        if form is not None:
            times, plus = _RATIOS[form]  # type: ignore[index]
            self._room(arena, at + size * times + rows * plus)
            end = assembly.gather(data, lens, starts, arena, at, form)
            if end < 0:
                raise self._fault(k, start - 1 - end, f"not a valid {plan.type_name}", "22P02")
            at = end
        if plan.text and arena.find(0, begin, at) >= 0:
            for row in range(rows):  # a NULL's bytes may be anything
                if lens[row] > 0 and arena.find(0, starts[row], starts[row] + lens[row]) >= 0:
                    raise self._fault(k, start + row, "a string with a NUL character", "22021")
        if plan.form == assembly.COPY and plan.type_name == "char" and (bad := c.longer(lens, 1)) >= 0:
            raise self._fault(k, start + bad, 'more than one byte for "char"', "22001")
        return at

    def _pack(
        self, k: int, column: Column, start: int, lens: memoryview, starts: memoryview, packed: bytearray, at: int
    ) -> int:
        """Bring views' values together; they lie in the views themselves and in any number of buffers."""
        first = column.offset + start
        views = column.buffers[1]
        assert views is not None
        places = views.cast("i")
        number = -1
        while True:
            data = views if number < 0 else column.buffers[2 + number]
            at = c.pack_views(places, first, number, data, lens, starts, packed, at)
            if at < 0:
                raise self._fault(k, start - 1 - at, "a value outside its buffer", "XX000")
            number = c.next_buffer(places, first, lens, number)
            if number < 0:
                return at
            if number >= len(column.buffers) - 3:  # validity, views, buffers, sizes
                raise self._fault(k, start, "a value outside its buffers", "XX000")
