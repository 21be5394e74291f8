"""COPY's loops: both kernels give the same for data of every kind, right and wrong; what the faces never do is refused.

What is right is said by PostgreSQL in tests/types/test_copy_*.py.
"""

from __future__ import annotations

import random
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.kernels import COMPILED, SOURCE
from tests.kernel.values import FAMILIES

INT4, TEXT, JSON = FAMILIES["int4"], FAMILIES["text"], FAMILIES["json"]


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "__dict__", {}).keys()


def lines(kernel: SimpleNamespace, data: bytes, seed: int) -> Any:
    dice = random.Random(seed)
    csv = dice.random() < 0.5
    quote, escape = (dice.choice([(34, 34), (34, 92), (97, 98)])) if csv else (-1, -1)
    scanner = kernel.copy_lines.LineScanner(quote, escape, dice.choice([1000, 20]))
    scanned, unread, start = [], b"", 0
    while start < len(data):
        size = dice.randrange(1, 30)
        piece = unread + data[start : start + size]
        start += size
        scanned.append((scanner.scan(piece, start >= len(data)), scanner.width))
        unread = piece[scanned[-1][0][1] :]
    decoder = kernel.copy_fields.LineDecoder(
        [TEXT, INT4, bytes.decode], tuple, 44 if csv else 9, quote, escape, b"" if csv else b"\\N", b"7", b"\1\1\0",
        b"\0\0\1", b"\1\0\0",
    )  # fmt: skip
    ends = [at for at in range(len(data)) if data[at] == 10]
    found = []
    for skipped in ([], None):
        decoded = outcome(lambda skipped=skipped: decoder.decode(data, 0, ends, 1, skipped))
        found.append((repr(decoded), repr(skipped)))
    found.append(repr(outcome(lambda: decoder.tuples(data, 0, ends, 1))))
    plain = kernel.copy_fields.LineDecoder(
        [TEXT, INT4], tuple, 44 if csv else 9, quote, escape, b"" if csv else b"\\N", None, b"\1\1", b"\0\1", b"\1\0")
    for begin, end in zip([0, *(one + 1 for one in ends)], ends, strict=False):
        found.append(repr(outcome(lambda begin=begin, end=end: plain.tuples(data, begin, [end], 1))))
    for begin, end in zip([0, *ends], ends, strict=False):
        found.append(repr(outcome(lambda begin=begin, end=end: decoder.fields(data, begin, end))))
    return scanned, found


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(300))
def test_lines_agree(seed: int) -> None:
    dice = random.Random(seed)
    some = [b"\t", b",", b"\n", b"\n", b"\r", b"\r\n", b"\\", b"\\.", b'"', b"a", b"b", b"7", b"12", b"\\N",
            b"\xc3\xa9", b"\\x4", b"\\101", b"\\377", b"\xff"]  # fmt: skip
    data = b"".join(dice.choices(some, k=dice.randrange(80)))
    assert COMPILED is not None
    assert lines(COMPILED, data, seed) == lines(SOURCE, data, seed)


def tuples(kernel: SimpleNamespace, data: bytes, seed: int) -> Any:
    dice = random.Random(seed)
    scanner = kernel.copy_binary.TupleScanner(2, 300)
    scanned, unread, start = [], b"", 0
    while start < len(data):
        size = dice.randrange(1, 20)
        piece = unread + data[start : start + size]
        start += size
        scanned.append((scanner.scan(piece), scanner.column))
        unread = piece[scanned[-1][0][1] :]
    decoder = kernel.copy_binary.TupleDecoder([INT4 + 1, TEXT + 1], tuple)
    found = outcome(lambda: decoder.decode(data, 0, len(data)))
    return scanned, found, outcome(lambda: kernel.copy_binary.payload(data, 0, len(data)))


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(300))
def test_tuples_agree(seed: int) -> None:
    dice = random.Random(seed)
    data = bytearray()
    for _ in range(dice.randrange(6)):
        text = dice.randbytes(dice.randrange(5)).hex().encode()
        data += b"\0\2\0\0\0\4" + dice.randbytes(4) + len(text).to_bytes(4, "big") + text
    if dice.random() < 0.3:
        data = bytearray(b"d" + (len(data) + 4).to_bytes(4, "big") + data)
    for _ in range(dice.choice((0, 0, 1, 2))):
        if data:
            data[dice.randrange(len(data))] = dice.choice((0, 1, 2, 255, dice.randrange(256)))
    assert COMPILED is not None
    assert tuples(COMPILED, bytes(data), seed) == tuples(SOURCE, bytes(data), seed)


def encoded(kernel: SimpleNamespace, seed: int) -> Any:
    dice = random.Random(seed)
    default = kernel.copy_fields.DEFAULT
    texts = ["a", "b\t", '"', ",", "\n\r", "\\", "", "é", "\b\f\v\1", "N" * 50, 5, default]
    rows = [(dice.choice([None, 1, -5, 10**6, default]), dice.choice(texts), dice.choice([None, "x", 3]))
            for _ in range(dice.randrange(20))]  # fmt: skip
    form, framing = dice.randrange(3), dice.randrange(3)
    recode = dice.choice([None, lambda data: data.decode().encode("latin-1")])
    encoder = kernel.copy_encode.CopyRowEncoder(
        [INT4 + (form == 2), TEXT, lambda value: str(value).encode() if value == "x" else value], form, framing,
        dice.choice([9, 44]), 34, dice.choice([34, 92]), b"\\N", dice.choice([None, b"D"]), b"\0\0\1", recode,
    )  # fmt: skip
    waiting = iter(rows)
    found = [encoder.header([b"a", b'"b', b"\t"])]
    return found + [outcome(lambda most=most: encoder.encode_some(b"head", waiting, most)) for most in (1, 40, 1 << 20)]


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(300))
def test_encoders_agree(seed: int) -> None:
    assert COMPILED is not None
    assert encoded(COMPILED, seed) == encoded(SOURCE, seed)


def test_what_is_refused(kernel: SimpleNamespace) -> None:
    class Wide(tuple):
        pass

    copy_fields, copy_binary = kernel.copy_fields, kernel.copy_binary
    for row in (Wide, list):
        with pytest.raises(TypeError, match="class of rows"):
            copy_binary.TupleDecoder([TEXT], row)
        with pytest.raises(TypeError, match="class of rows"):
            copy_fields.LineDecoder([TEXT], row, 9, -1, -1, b"", None, b"\0", b"\0", b"\0")
    with pytest.raises(ValueError, match="one byte per column"):
        copy_fields.LineDecoder([TEXT], tuple, 9, -1, -1, b"", None, b"", b"\0", b"\0")
    with pytest.raises(ValueError, match="one byte per column"):
        kernel.copy_encode.CopyRowEncoder([TEXT], 0, 0, 9, -1, -1, b"", None, b"", None)
    lines = copy_fields.LineDecoder([TEXT], tuple, 9, -1, -1, b"", None, b"\0", b"\0", b"\0")
    for start, ends in ((-1, [1]), (2, [1]), (0, [9])):
        with pytest.raises(ValueError, match="position outside the data"):
            lines.decode(b"abc", start, ends, 1, None)
        with pytest.raises(ValueError, match="position outside the data"):
            lines.fields(b"abc", start, ends[0])
    with pytest.raises(ValueError, match="position outside the data"):
        copy_binary.TupleDecoder([TEXT], tuple).decode(b"abc", 0, 4)
    with pytest.raises(ValueError, match="position outside the data"):
        copy_binary.payload(b"abc", 2, 1)


@pytest.mark.parametrize("kind", [TEXT, JSON])
def test_rows_that_hold_nothing_else_stay_out_of_the_collector(kernel: SimpleNamespace, kind: int) -> None:
    import gc

    lines = kernel.copy_fields.LineDecoder([kind], tuple, 9, -1, -1, b"", None, b"\0", b"\0", b"\0")
    (row,) = lines.decode(b"[1]", 0, [3], 1, None)
    if kernel.copy_fields.COMPILED:
        assert gc.is_tracked(row) == (kind == JSON)
    (row,) = kernel.copy_binary.TupleDecoder([kind + 1], tuple).decode(b"\0\1\0\0\0\3[1]", 0, 9)
    if kernel.copy_fields.COMPILED:
        assert gc.is_tracked(row) == (kind == JSON)


def assembled(kernel: SimpleNamespace, seed: int) -> Any:
    dice = random.Random(seed)
    columns, rows = dice.randrange(1, 4), dice.randrange(5)
    arena, lens, starts = bytearray(), [], []
    for _ in range(columns * rows):
        made = b"".join(dice.choices([b"a", b"\t", b",", b'"', b"\\", b"\n", b"\b", b"\\.", b""], k=dice.randrange(4)))
        starts.append(len(arena))
        lens.append(-1 if dice.random() < 0.2 else len(made))
        arena += made
    if starts and dice.random() < 0.1:
        starts[0] = dice.choice((-1, len(arena) + 1, 1 << 40))
    quote, escape = dice.choice(((-1, -1), (34, 34), (34, 92), (97, 98)))
    out = bytearray(dice.choice((1000, 1000, 1000, 60)))
    given = memoryview(bytearray(pack(f"={len(lens)}i", *lens))).cast("i")
    places = memoryview(bytearray(pack(f"={len(lens)}q", *starts))).cast("q")
    framed, most = dice.random() < 0.5, dice.choice((1000, 12))
    end = outcome(lambda: kernel.copy_assembly.lines(
        given, places, rows, rows, columns, bytes(arena), dice.choice((9, 44)), quote, escape, b"a",
        dice.choice((b"\0\0\0", b"\1\0\1")), framed, most, out, 3))  # fmt: skip
    return end, out[3:end] if isinstance(end, int) and end > 0 else b""


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(200))
def test_lines_of_columns_agree(seed: int) -> None:
    assert COMPILED is not None
    assert assembled(COMPILED, seed) == assembled(SOURCE, seed)


class Whole(int):
    """No plain int."""


class Word(str):
    """No plain str."""


class Real(float):
    """No plain float."""


INTEGERS = [0, -1, True, Whole(7), 2**15, -(2**31), 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**80), 1.0, "1"]
DIRECT = {
    "int4": INTEGERS, "int8": INTEGERS,
    "float8": [0.0, -0.0, float("inf"), Real(1.5), 3, Whole(3), True, "1", 10**400],
    "text": ["", "plain", "é", "😀", "a\0b", Word("sub"), b"bytes", "\ud800", 5, "x" * 10_000],
}


def binary(kernel: SimpleNamespace, name: str, value: object) -> Any:
    columns = [FAMILIES[name] + 1, INT4 + 1]
    encoder = kernel.copy_encode.CopyRowEncoder(columns, 2, 1, 9, 34, 34, b"", None, b"\0\0", None)
    return outcome(lambda: encoder.encode_some(b"", iter([(value, 1), (None, None), (value, 2)]), 1 << 30))


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("name", DIRECT)
def test_values_written_directly_agree(name: str) -> None:
    for value in DIRECT[name]:
        assert repr(binary(COMPILED, name, value)) == repr(binary(SOURCE, name, value))


@pytest.mark.parametrize("kernel", [one for one in (COMPILED, SOURCE) if one is not None], ids=lambda one: one.KIND)
def test_values_written_directly_are_those_of_the_codec(kernel: SimpleNamespace) -> None:
    for name, values in DIRECT.items():
        for value in values:
            want = outcome(lambda name=name, value=value: kernel.encode.encode_value(FAMILIES[name] + 1, value))
            found = binary(kernel, name, value)
            if isinstance(want, bytes):
                row = pack("!hi", 2, len(want)) + want
                assert bytes(found[0][5:]) == b"".join(
                    [row + pack("!ii", 4, 1), pack("!hii", 2, -1, -1), row + pack("!ii", 4, 2)])
            else:
                assert found[0] == "ValueEncodeError" and want[1] in found[1]
