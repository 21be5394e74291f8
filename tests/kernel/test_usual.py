"""Usual spellings: what is read is what the type's own codec reads, and both kernels read the same."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types.registry import TYPES
from tests.kernel.kernels import COMPILED, SOURCE

KINDS = {"int2": "INT2", "int4": "INT4", "int8": "INT8", "float8": "FLOAT8", "bool": "BOOL", "date": "DATE",
         "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"}
USUAL = {
    "int2": ["0", "-0", "7", "-32768", "32767", "007"],
    "int4": ["0", "2147483647", "-2147483648", "-1"],
    "int8": ["0", "999999999999999999", "-999999999999999999"],
    "float8": ["0", "-0", "-0.0", "1.5", "0.1", "-12345.678901", "9007199254740992", ".5", "5.", "0.844421851525048"],
    "bool": ["t", "f"],
    "date": ["2024-02-29", "2000-01-01", "0001-01-01", "1999-12-31", "9999-12-31", "1900-02-28"],
    "timestamp": ["2024-02-29 10:11:12", "1999-12-31 23:59:59.999999", "0001-01-01 00:00:00.5"],
    "timestamptz": ["2024-02-29 10:11:12+00", "1999-12-31 23:59:59.999999-08", "2024-02-29 10:11:12.5+05:30"],
}
OTHERS = {
    "int2": ["", "-", " 7", "32768", "-32769", "1e3", "0x7"],
    "int4": ["2147483648", "-2147483649", "+1"],
    "int8": ["9223372036854775807", "1_000"],
    "float8": ["", "-", ".", "1e5", "NaN", "Infinity", "9007199254740993", "1.2.3", "0.12345678901234567"],
    "bool": ["", "true", "T", "1"],
    "date": ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-01-32", "0000-01-01", "2024-1-1",
             "infinity"],
    "timestamp": ["2024-02-29", "2024-02-29T10:11:12", "2024-02-29 24:00:00", "2024-02-29 10:11:12.", "infinity",
                  "2024-02-29 10:11:12.1234567", "2024-02-29 10:61:12", "2024-02-29 10:11:12+00"],
    "timestamptz": ["2024-02-29 10:11:12", "2024-02-29 10:11:12+16", "2024-02-29 10:11:12+05:60",
                    "2024-02-29 10:11:12Z"],
}
KERNELS = [pytest.param(kernel, id=kernel.KIND) for kernel in (COMPILED, SOURCE) if kernel is not None]


def read(kernel: SimpleNamespace, name: str, texts: list[str | None]) -> tuple[int, bytes]:
    kind = getattr(kernel.usual, KINDS[name])
    data = "".join(text or "" for text in texts).encode()
    lens, starts, at = [], [], 0
    for text in texts:
        lens.append(-1 if text is None else len(text.encode()))
        starts.append(at)
        at += max(0, lens[-1])
    out = bytearray(kernel.usual.WIDTHS[kind] * len(texts))
    lens_ = memoryview(bytearray(4 * len(texts))).cast("i")
    starts_ = memoryview(bytearray(8 * len(texts))).cast("q")
    for row, (size, start) in enumerate(zip(lens, starts, strict=True)):
        lens_[row], starts_[row] = size, start
    row = kernel.usual.usual(kind, data, lens_, starts_, out, 0)
    kernel.usual.settle(lens_, starts_, kernel.usual.WIDTHS[kind])
    assert [size < 0 for size in lens] == [size < 0 for size in lens_]
    return row, bytes(out)


def by_codec(name: str, text: str) -> bytes:
    codec = TYPES.by_name(name)
    decode, encode = codec.decode_text, codec.encode_binary
    assert isinstance(decode, int)
    assert isinstance(encode, int)
    return encode_value(encode, decode_value(decode, text.encode()))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", KINDS)
def test_usual(kernel: SimpleNamespace, name: str) -> None:
    texts = [None, *USUAL[name], None]
    expected = [by_codec(name, text) for text in USUAL[name]]
    width = len(expected[0])
    assert read(kernel, name, texts) == (-1, bytes(width) + b"".join(expected) + bytes(width))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in OTHERS.items() for text in texts])
def test_others_are_left(kernel: SimpleNamespace, name: str, text: str) -> None:
    assert read(kernel, name, [USUAL[name][0], None, text, text])[0] == 2


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("name", KINDS)
def test_they_agree(name: str) -> None:
    dice = random.Random(name)
    for _ in range(300):
        text = list(dice.choice(USUAL[name] + OTHERS[name]))
        for _ in range(dice.randrange(3)):
            if text:
                text[dice.randrange(len(text))] = dice.choice("0123456789-+.: tfe")
        given = ["".join(text)]
        assert COMPILED is not None
        found = read(COMPILED, name, given)
        assert found == read(SOURCE, name, given)
        if found[0] < 0:
            assert found[1] == by_codec(name, given[0])


@pytest.mark.parametrize("kernel", KERNELS)
def test_places_are_looked_at(kernel: SimpleNamespace) -> None:
    usual = kernel.usual
    lens, starts = memoryview(bytearray(4)).cast("i"), memoryview(bytearray(8)).cast("q")
    lens[0], starts[0] = 2, 1
    for call in (lambda: usual.usual(0, b"12", lens, starts, bytearray(2), 0),
                 lambda: usual.usual(8, b"123", lens, starts, bytearray(2), 0),
                 lambda: usual.usual(0, b"123", lens, starts, bytearray(1), 0),
                 lambda: usual.usual(0, b"123", lens, starts[:0], bytearray(2), 0),
                 lambda: usual.settle(lens, starts[:0], 2)):
        with pytest.raises(ValueError):
            call()
