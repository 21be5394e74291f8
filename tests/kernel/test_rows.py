"""Runs of DataRow messages: golden bytes, NULL, callables, row classes, malformed rows, the collector."""

from __future__ import annotations

import gc
import pickle
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.values import FAMILIES

INT4, TEXT, FLOAT8 = FAMILIES["int4"] + 1, FAMILIES["text"] + 1, FAMILIES["float8"] + 1
JSON = FAMILIES["json"]


def data_row(*values: bytes | None) -> bytes:
    body = pack("!H", len(values))
    for value in values:
        body += b"\xff\xff\xff\xff" if value is None else pack("!i", len(value)) + value
    return b"D" + pack("!i", len(body) + 4) + body


ROWS: list[tuple[Any, ...]] = [(1, "one", 1.5), (None, "", None), (-2, "zwö", -0.0)]
DATA = (
    b"D\0\0\0\x21\0\3\0\0\0\4\0\0\0\1\0\0\0\3one\0\0\0\x08\x3f\xf8\0\0\0\0\0\0"
    b"D\0\0\0\x12\0\3\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff"
    b"D\0\0\0\x22\0\3\0\0\0\4\xff\xff\xff\xfe\0\0\0\4zw\xc3\xb6\0\0\0\x08\x80\0\0\0\0\0\0\0"
)


def test_golden(kernel: SimpleNamespace) -> None:
    assert kernel.rows.RowEncoder([INT4, TEXT, FLOAT8]).encode(ROWS) == DATA
    assert kernel.rows.RowDecoder([INT4, TEXT, FLOAT8], tuple).decode(DATA, 0, len(DATA)) == ROWS


def test_decodes_a_part(kernel: SimpleNamespace) -> None:
    decoder = kernel.rows.RowDecoder([INT4, TEXT, FLOAT8], tuple)
    assert decoder.decode(b"xx" + DATA + b"Z\0", 2, 2 + len(DATA)) == ROWS
    assert decoder.decode(DATA, 34, 53) == ROWS[1:2]
    assert decoder.decode(DATA, 34, 34) == []
    for start, end in ((-1, 5), (0, len(DATA) + 1)):
        with pytest.raises(ValueError, match="position outside the data"):
            decoder.decode(DATA, start, end)


def test_no_columns_and_no_rows(kernel: SimpleNamespace) -> None:
    assert kernel.rows.RowEncoder([]).encode([(), ()]) == data_row() * 2
    assert kernel.rows.RowDecoder([], tuple).decode(data_row() * 2, 0, 14) == [(), ()]
    assert kernel.rows.RowEncoder([INT4]).encode([]) == b""


def test_callables(kernel: SimpleNamespace) -> None:
    data = kernel.rows.RowEncoder([str.encode, INT4]).encode([("ab", 1), (None, 2)])
    assert data == data_row(b"ab", b"\0\0\0\1") + data_row(None, b"\0\0\0\2")
    decoder = kernel.rows.RowDecoder([bytes.hex, INT4], tuple)
    assert decoder.decode(data, 0, len(data)) == [("6162", 1), (None, 2)]


def test_any_sequence_is_a_row(kernel: SimpleNamespace) -> None:
    assert kernel.rows.RowEncoder([INT4]).encode(([1], (1,), range(1, 2))) == data_row(b"\0\0\0\1") * 3


def test_large_batch_grows_the_buffer(kernel: SimpleNamespace) -> None:
    rows = [(n, "x" * n, n / 2) for n in range(700)]
    data = kernel.rows.RowEncoder([INT4, TEXT, FLOAT8]).encode(rows)
    assert kernel.rows.RowDecoder([INT4, TEXT, FLOAT8], tuple).decode(data, 0, len(data)) == rows


@pytest.mark.parametrize(
    "data",
    [
        b"D", b"D\0\0\0\6", b"E\0\0\0\6\0\1", b"D\0\0\0\5\0\1", b"D\xff\xff\xff\xff\0\1", b"D\x7f\xff\xff\xff\0\1",
        data_row(), data_row(b"\0\0\0\1", b"x"), b"D\0\0\0\6\xff\xff", b"D\0\0\0\6\0\1", b"D\0\0\0\x09\0\1\0\0\0",
        b"D\0\0\0\x0a\0\1\0\0\0\4", b"D\0\0\0\x0a\0\1\x7f\xff\xff\xff", b"D\0\0\0\x0a\0\1\xff\xff\xff\xfe",
        b"D\0\0\0\x0a\0\1\x80\0\0\0", b"D\0\0\0\x0b\0\1\xff\xff\xff\xffx", data_row(b"\0\0\0\1")[:-1],
        data_row(b"\0\0\0\1") + b"D\0",
    ],
)  # fmt: skip
def test_malformed(kernel: SimpleNamespace, data: bytes) -> None:
    with pytest.raises(kernel.errors.MalformedRow):
        kernel.rows.RowDecoder([INT4], tuple).decode(data, 0, len(data))
    with pytest.raises(kernel.errors.MalformedRow):
        kernel.rows.RowDecoder([INT4], tuple).decode(data + data_row(b"\0\0\0\1"), 0, len(data))


def test_a_bad_value_is_named(kernel: SimpleNamespace) -> None:
    data = data_row(b"\0\0\0\1", b"a") + data_row(b"\0\0\0\2", b"\xff")
    with pytest.raises(kernel.errors.ValueDecodeError, match=r"^row 1, column 1: .*utf-8.*: b'\\xff'$") as caught:
        kernel.rows.RowDecoder([INT4, TEXT], tuple).decode(data, 0, len(data))
    assert (caught.value.row, caught.value.column, caught.value.data) == (1, 1, b"\xff")
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)


def test_a_long_bad_value_is_shortened(kernel: SimpleNamespace) -> None:
    data = data_row(b"x" * 100000)
    with pytest.raises(kernel.errors.ValueDecodeError) as caught:
        kernel.rows.RowDecoder([INT4], tuple).decode(data, 0, len(data))
    assert len(str(caught.value)) < 250
    assert len(caught.value.data) == 100000


def test_errors_of_callables_are_named(kernel: SimpleNamespace) -> None:
    def fail(_value: object) -> Any:
        raise KeyError("why")

    data = data_row(b"a")
    with pytest.raises(kernel.errors.ValueDecodeError, match="row 0, column 0: 'why'"):
        kernel.rows.RowDecoder([fail], tuple).decode(data, 0, len(data))
    with pytest.raises(kernel.errors.ValueEncodeError, match="row 0, column 0: 'why'"):
        kernel.rows.RowEncoder([fail]).encode([("a",)])


def test_encoders_want_bytes_from_callables(kernel: SimpleNamespace) -> None:
    with pytest.raises(kernel.errors.ValueEncodeError, match="row 0, column 0"):
        kernel.rows.RowEncoder([lambda value: "text"]).encode([(1,)])


def test_rows_of_another_width(kernel: SimpleNamespace) -> None:
    for row in ((), (1, 2)):
        with pytest.raises(kernel.errors.MalformedRow, match="row 1 has"):
            kernel.rows.RowEncoder([INT4]).encode([(1,), row])


def test_too_many_columns(kernel: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="65535"):
        kernel.rows.RowDecoder([INT4] * 65536, tuple)
    data = kernel.rows.RowEncoder([INT4] * 65535).encode([[1] * 65535])
    assert kernel.rows.RowDecoder([INT4] * 65535, tuple).decode(data, 0, len(data)) == [(1,) * 65535]


def test_row_classes(kernel: SimpleNamespace) -> None:
    class Light(tuple[Any, ...]):
        __slots__ = ()

        def __new__(cls) -> Light:
            raise AssertionError

    class Heavy(tuple[Any, ...]):
        pass

    rows = kernel.rows.RowDecoder([INT4, TEXT, FLOAT8], Light).decode(DATA, 0, len(DATA))
    assert {type(row) for row in rows} == {Light}
    assert rows == ROWS
    assert [hash(row) for row in rows] == [hash(row) for row in ROWS]
    for other in (Heavy, list):
        with pytest.raises(TypeError, match="__slots__"):
            kernel.rows.RowDecoder([INT4], other)


def test_named_rows(kernel: SimpleNamespace) -> None:
    names = ("id", "name", "count", "class", "id", "_x", "a b", "")
    row_type = kernel.row.row_type(names)
    assert kernel.row.row_type(names) is row_type
    data = data_row(*(b"%d" % n for n in range(8)))
    (row,) = kernel.rows.RowDecoder([FAMILIES["int4"]] * 8, row_type).decode(data, 0, len(data))
    assert row == tuple(range(8))
    assert isinstance(row, kernel.row.Row)
    assert (row.id, row.name, row["count"], row["id"], row["_x"], row["a b"], row[""]) == (0, 1, 2, 0, 5, 6, 7)
    assert row.count(2) == 1  # tuple's own
    assert getattr(row, "class") == 3
    assert (row[0], row[-1], row[1:3]) == (0, 7, (1, 2))
    assert row.keys() == names
    assert list(row.items())[1] == ("name", 1)
    assert repr(row) == "Row(id=0, name=1, count=2, class=3, id=4, _x=5, a b=6, =7)"
    assert not gc.is_tracked(row) or kernel.KIND == "python"
    with pytest.raises(KeyError, match="other"):
        row["other"]
    with pytest.raises(AttributeError):
        row.other  # noqa: B018
    with pytest.raises(AttributeError):
        row.id = 5


def test_rows_pickle() -> None:
    from febe._kernel.row import row_type

    row = tuple.__new__(row_type(("a", "b")), (1, 2))
    again = pickle.loads(pickle.dumps(row))
    assert (type(again), again, again.b) == (type(row), row, 2)


def test_rows_that_may_hold_cycles_are_collected(kernel: SimpleNamespace) -> None:
    data = data_row(b"[]")
    (row,) = kernel.rows.RowDecoder([JSON], tuple).decode(data, 0, len(data))
    assert gc.is_tracked(row)


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_paused_and_restored(kernel: SimpleNamespace, running: bool) -> None:
    seen = []

    def look(value: bytes) -> int:
        seen.append(gc.isenabled())
        return 1 // len(value)

    decoder = kernel.rows.RowDecoder([look], tuple)
    (gc.enable if running else gc.disable)()
    try:
        decoder.decode(data_row(b"a"), 0, 12)
        assert gc.isenabled() is running
        with pytest.raises(kernel.errors.ValueDecodeError):
            decoder.decode(data_row(b""), 0, 11)
        assert gc.isenabled() is running
    finally:
        gc.enable()
    assert seen == [False, False]


def test_parameters(kernel: SimpleNamespace) -> None:
    encoder = kernel.parameters.ParameterEncoder([INT4, TEXT, str.encode])
    prefix, suffix, trailer = b"\0s\0\0\1\0\1", b"\0\1\0\1", b"S\0\0\0\4"
    body = prefix + b"\0\3\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\0\0\1x" + suffix
    wanted = b"B" + pack("!i", len(body) + 4) + body + trailer
    assert encoder.encode(prefix, (7, None, "x"), suffix, trailer) == wanted
    assert kernel.parameters.ParameterEncoder([]).encode(b"", [], b"", b"") == b"B\0\0\0\6\0\0"
    with pytest.raises(kernel.errors.MalformedRow, match="2 values, not 3"):
        encoder.encode(prefix, (7, None), suffix, trailer)
    with pytest.raises(kernel.errors.ValueEncodeError, match="column 0: integer out of range"):
        encoder.encode(prefix, (2**31, None, "x"), suffix, trailer)


def test_many_sets_of_parameters(kernel: SimpleNamespace) -> None:
    encoder = kernel.parameters.ParameterEncoder([INT4, TEXT, str.encode])
    prefix, suffix, trailer = b"\0s\0\0\1\0\1", b"\0\1\0\1", b"S\0\0\0\4"
    sets = [(number, None if number % 3 else "\u00e9" * number, "x" * number) for number in range(0, 3000, 100)]
    one_by_one = b"".join([encoder.encode(prefix, values, suffix, trailer) for values in sets])
    assert encoder.encode_many(prefix, sets, suffix, trailer) == one_by_one
    assert encoder.encode_many(prefix, [], suffix, trailer) == b""
    with pytest.raises(kernel.errors.MalformedRow, match="row 1 has 2 values, not 3"):
        encoder.encode_many(prefix, [sets[0], (7, None)], suffix, trailer)
    with pytest.raises(kernel.errors.ValueEncodeError, match="column 0: integer out of range") as caught:
        encoder.encode_many(prefix, [sets[0], sets[1], (2**31, None, "x")], suffix, trailer)
    assert caught.value.row == 2


def test_as_many_parameters_as_fit(kernel: SimpleNamespace) -> None:
    data = kernel.parameters.ParameterEncoder([INT4] * 65535).encode(b"\0\0", [1] * 65535, b"", b"")
    assert data[7:9] == b"\xff\xff"
    assert len(data) == 9 + 8 * 65535
