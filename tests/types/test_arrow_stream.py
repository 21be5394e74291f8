"""Streams as such: ownership, errors, slices, bounds, and producers that do not keep to the rules."""

from __future__ import annotations

import errno
import gc
import struct
import subprocess
import sys
from typing import Any

import pytest

from febe.types.arrow import ArrowError, ArrowValueError, encoder_for, read_stream

from .arrow_producer import Producer
from .arrow_rows import column, data_rows, sent

INT4, INT8, TEXT, NUMERIC = 23, 20, 25, 1700


def ints(*values: int) -> list[bytes | None]:
    return [None, struct.pack(f"={len(values)}i", *values)]


def strings(offsets: list[int], data: bytes) -> list[bytes | None]:
    return [None, struct.pack(f"={len(offsets)}i", *offsets), data]


def test_everything_is_released_once() -> None:
    first = 2, [ints(1, -2), strings([0, 1, 3], b"abc")]
    producer = Producer(["i", "u"], [first, (1, [ints(3), strings([0, 0], b"")])])
    assert sent(producer, [INT4, TEXT]) == [[b"1", b"a"], [b"-2", b"bc"], [b"3", b""]]
    assert producer.all_released and producer.made == {"schema": 1, "array": 2}


def test_a_stream_is_moved_out_of_its_capsule() -> None:
    producer = Producer(["i"], [(1, [ints(1)])])
    capsule = producer.__arrow_c_stream__()
    reader = read_stream(capsule)
    with pytest.raises(ArrowError, match="already taken"):
        read_stream(capsule)
    batch = next(reader)
    reader.close()
    reader.close()
    assert list(reader) == []
    assert batch.length == 1  # a batch outlives its stream
    batch.release()
    batch.release()
    assert producer.all_released


def test_what_is_dropped_is_released() -> None:
    producer = Producer(["i"], [(1, [ints(1)]), (1, [ints(2)])])
    reader = read_stream(producer)
    batch = next(reader)
    del reader, batch
    gc.collect()
    assert producer.all_released


def test_a_thousand_streams_leave_nothing() -> None:
    pa = pytest.importorskip("pyarrow")
    before = pa.total_allocated_bytes()
    for number in range(1000):
        source = pa.table({"a": list(range(100)), "b": ["x" * 50] * 100})
        reader = read_stream(source)
        encoder = encoder_for(reader.schema, [], [INT8, TEXT])
        for batch in reader:
            encoder.encode(batch, 0, batch.length)
        if number % 2:
            reader.close()
    del source, reader, batch, encoder
    gc.collect()
    assert pa.total_allocated_bytes() == before


@pytest.mark.parametrize("message", [b"the disk is on fire", None])
def test_an_error_in_mid_stream(message: bytes | None) -> None:
    producer = Producer(["i"], [(1, [ints(1)])], error=(errno.EIO, message))
    with read_stream(producer) as reader:
        next(reader).release()
        with pytest.raises(ArrowError) as caught:
            next(reader)
    assert caught.value.errno == errno.EIO
    assert caught.value.strerror == (message.decode() if message else "Input/output error")
    assert producer.all_released


def test_duckdb_without_pyarrow() -> None:
    pytest.importorskip("duckdb")
    script = """
import sys
sys.modules["pyarrow"] = None
import duckdb
from febe.types.arrow import ArrowError, encoder_for, read_stream
connection = duckdb.connect()
connection.execute("set enable_progress_bar = false")
reader = read_stream(connection.sql("select i, i::varchar s from range(300000) t(i)"))
encoder = encoder_for(reader.schema, [], [20, 25])
print(sum(len(encoder.encode(batch, 0, batch.length)) for batch in reader))
reader.close()
connection.execute("set threads = 1")
query = "select case when i = 9900000 then error('stop') else i end from range(10000000) t(i)"
reader = read_stream(connection.sql(query))
rows = 0
try:
    for batch in reader:
        rows += batch.length
except ArrowError as error:
    print(rows > 0, error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    digits = sum(len(str(number)) for number in range(300_000))
    assert done.stdout.splitlines() == [str(300_000 * 15 + 2 * digits), "True Invalid Input Error: stop"]


def test_not_record_batches() -> None:
    producer = Producer([], top="i")
    with pytest.raises(ArrowError, match="not of record batches"):
        read_stream(producer)
    assert producer.all_released


def test_no_columns_and_no_rows() -> None:
    producer = Producer([], [(3, []), (0, [])])
    assert sent(producer, []) == [[], [], []]
    empty = Producer(["i", "u", "vu"], [(0, [[None, None], [None, None, None], [None, None, None]])])
    assert sent(empty, [INT4, TEXT, TEXT]) == []
    assert empty.all_released


def test_1600_columns() -> None:
    producer = Producer(["i"] * 1600, [(3, [ints(n, n + 1, n + 2) for n in range(1600)])])
    assert sent(producer, [INT4] * 1600) == [[b"%d" % (n + row) for n in range(1600)] for row in range(3)]
    with pytest.raises(ValueError, match="32767"):
        encoder_for(read_stream(Producer(["i"] * 32768)).schema, [], [INT4] * 32768)


def test_null_counts() -> None:
    bits = b"\x05"  # rows 0 and 2
    for null_count, expected in ((-1, [b"1", None, b"3"]), (1, [b"1", None, b"3"]), (0, [b"1", b"2", b"3"])):
        producer = Producer(["i"], [(3, [[bits, ints(1, 2, 3)[1]]])], null_count=null_count)
        assert column(producer, INT4) == expected


@pytest.mark.parametrize("offsets", [[0, 2, 1], [-1, 0, 1], [3, 2, 2], [0, 5, 3]])
@pytest.mark.parametrize("form", ["u", "U", "z"])
def test_offsets_that_run_backwards(offsets: list[int], form: str) -> None:
    packed = struct.pack("=3q" if form == "U" else "=3i", *offsets)
    producer = Producer([form], [(2, [[None, packed, b"abcdefgh"]])])
    with pytest.raises(ArrowValueError, match="run backwards"):
        sent(producer, [17 if form == "z" else TEXT])


def test_later_offsets_may_not_hide_a_fault() -> None:
    producer = Producer(["u"], [(3, [strings([0, 100000, 100001, 3], b"abc")])])
    with read_stream(producer) as reader:
        encoder = encoder_for(reader.schema, [], [TEXT])
        with next(reader) as batch, pytest.raises(ArrowValueError, match="run backwards"):
            encoder.encode(batch, 0, 1)


def view(size: int, buffer: int, offset: int) -> bytes:
    return struct.pack("=i4sii", size, b"pref", buffer, offset)


@pytest.mark.parametrize("wrong", [view(20, 0, 10), view(20, 1, 0), view(-1, 0, 0), view(13, -1, 0), view(13, 0, -5)])
def test_views_outside_their_buffers(wrong: bytes) -> None:
    good = [None, view(13, 0, 0), b"x" * 25, struct.pack("=q", 25)]
    assert column(Producer(["vu"], [(1, [good])]), TEXT) == [b"x" * 13]
    with pytest.raises(ArrowValueError):
        column(Producer(["vu"], [(1, [[None, wrong, *good[2:]]])]), TEXT)


def missing_children(array: Any) -> None:
    array.n_children = 0


def short_children(array: Any) -> None:
    array.children[0].contents.length -= 1


def negative_offset(array: Any) -> None:
    array.children[0].contents.offset = -1


def one_buffer(array: Any) -> None:
    array.children[0].contents.n_buffers = 1


@pytest.mark.parametrize("change", [missing_children, short_children, negative_offset, one_buffer])
def test_batches_that_do_not_fit_their_schema(change: Any) -> None:
    producer = Producer(["i"], [(2, [ints(1, 2)])], change=change)
    with read_stream(producer) as reader, pytest.raises(ArrowError):
        next(reader)
    gc.collect()
    assert producer.all_released


def test_a_parent_offset_counts_for_its_columns() -> None:
    def change(array: Any) -> None:
        array.offset, array.length = 1, 2

    assert column(Producer(["i"], [(3, [ints(1, 2, 3)])], change=change), INT4) == [b"2", b"3"]


def test_slices_of_slices() -> None:
    pa = pytest.importorskip("pyarrow")
    values = [None if n % 7 == 3 else n for n in range(100)]
    text = [None if n % 5 == 1 else "v" * (n % 20) + str(n) for n in range(100)]
    whole = pa.table({
        "i": pa.array(values, pa.int32()), "b": [None if v is None else v % 2 == 0 for v in values], "s": text,
        "v": pa.array(text, pa.string_view()), "d": pa.array(text).dictionary_encode(),
        "n": pa.array(values, pa.decimal128(9, 0)), "l": pa.array(values, pa.int64()),
    })  # fmt: skip
    oids = [INT4, 16, TEXT, TEXT, TEXT, NUMERIC, INT8]
    for form in (0, 1):
        everything = sent(whole, oids, [form])
        for start, stop in ((0, 100), (1, 99), (7, 9), (8, 64), (63, 66), (99, 100)):
            assert sent(whole.slice(start, stop - start), oids, [form], step=10) == everything[start:stop]
        assert sent(whole, oids, [form], step=3) == everything


def test_pieces_are_bounded_by_bytes() -> None:
    pa = pytest.importorskip("pyarrow")
    text = ["x" * (n % 50) * (200 if n == 500 else 1) for n in range(1000)] + ["y" * 1_000_000, "z", None]
    source = pa.table({"i": pa.array(range(1003), pa.int32()), "s": text, "b": [t and t.encode() for t in text]})
    oids = [INT4, TEXT, 17]
    everything = sent(source, oids)
    for most in (1, 1000, 5000, 1 << 20):
        with read_stream(source) as reader:
            encoder = encoder_for(reader.schema, [], oids)
            batch = next(reader)
            rows, row = [], 0
            while row < batch.length:
                frames, after = encoder.encode_some(batch, row, batch.length, most)
                assert after > row
                assert after == row + 1 or len(frames) <= most
                rows += data_rows(frames)
                row = after
        assert rows == everything


def test_a_row_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from febe._kernel import arrow

    monkeypatch.setattr(arrow, "LENGTH_LIMIT", 30)
    assert column(Producer(["u"], [(1, [strings([0, 20], b"x" * 20)])]), TEXT) == [b"x" * 20]
    for form, oid in (("u", TEXT), ("z", 17)):
        producer = Producer([form], [(2, [strings([0, 1, 22], b"x" * 22)])])
        with pytest.raises(ArrowValueError, match="too large") as caught:
            column(producer, oid)
        assert (caught.value.row, caught.value.sqlstate) == (1, "54000")


def test_lengths_are_summed_in_64_bits() -> None:
    """Two strings of 600 MB in one row: refused before anything of that size is made."""
    producer = Producer(["U", "U"], [(1, [[None, struct.pack("=2q", 0, 600_000_000), b"x"]] * 2)])
    with read_stream(producer) as reader:
        encoder = encoder_for(reader.schema, [], [TEXT, TEXT])
        with next(reader) as batch, pytest.raises(ArrowValueError, match="too large"):
            encoder.encode(batch, 0, 1)
    producer = Producer(["U"], [(1, [[None, struct.pack("=2q", 0, 1 << 40), b"x"]])])
    with read_stream(producer) as reader:
        encoder = encoder_for(reader.schema, [], [TEXT])
        with next(reader) as batch, pytest.raises(ArrowValueError, match="too large"):
            encoder.encode(batch, 0, 1)


def test_wrong_calls() -> None:
    with read_stream(Producer(["i"], [(2, [ints(1, 2)])])) as reader:
        encoder = encoder_for(reader.schema, [], [INT4])
        batch = next(reader)
        for start, stop in ((-1, 1), (1, 0), (0, 3)):
            with pytest.raises(ValueError, match="rows"):
                encoder.encode(batch, start, stop)
        assert encoder.encode(batch, 2, 2) == b""
        batch.release()
        with pytest.raises(ValueError, match="rows"):
            encoder.encode(batch, 0, 2)
        for formats, oids in (([], [INT4, INT4]), ([2], [INT4]), ([0, 0], [INT4])):
            with pytest.raises(ValueError):
                encoder_for(reader.schema, formats, oids)


def test_an_error_leaves_the_encoder_usable() -> None:
    days = struct.pack("=3i", 1, -(2**31), 2)
    with read_stream(Producer(["tdD"], [(3, [[None, days]])])) as reader:
        encoder = encoder_for(reader.schema, [], [1082])
        with next(reader) as batch:
            with pytest.raises(ArrowValueError):
                encoder.encode(batch, 0, 3)
            assert data_rows(encoder.encode(batch, 2, 3)) == [[b"1970-01-03"]]
