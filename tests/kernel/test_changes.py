"""Changes of logical replication, compiled and interpreted: the same, or the same error."""

from __future__ import annotations

import random
from collections import namedtuple
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from febe._kernel import kinds
from tests.kernel.kernels import COMPILED, SOURCE

KERNELS = [kernel for kernel in (COMPILED, SOURCE) if kernel is not None]
Insert = namedtuple("Insert", "relation new xid")
Update = namedtuple("Update", "relation old new identity xid")
Delete = namedtuple("Delete", "relation old identity xid")
TEXT = [kinds.INT4_TEXT, kinds.STRING_TEXT, bytes.hex]
BINARY = [kinds.INT4_BINARY, kinds.STRING_BINARY, bytes.hex]


def row(*cells: bytes | str | None) -> bytes:
    made = [b"n" if cell is None else b"u" if cell == "u" else b"t" + pack("!i", len(cell)) + bytes(cell)  # type: ignore[arg-type]
            for cell in cells]
    return pack("!h", len(cells)) + b"".join(made)


def frame(message: bytes) -> bytes:
    return b"d" + pack("!i", 29 + len(message)) + b"w" + bytes(24) + message


def decoded(kernel: SimpleNamespace, data: bytes, *, in_stream: bool = False) -> Any:
    shapes = {7: kernel.changes.Shape("t", TEXT, BINARY, tuple)}
    out: list[Any] = []
    try:
        end = kernel.changes.ChangeDecoder(Insert, Update, Delete, "UNCHANGED").decode(
            shapes, data, 0, len(data), in_stream, out)
    except ValueError as error:
        return type(error).__name__, str(error)
    return end, out


SEVEN = pack("!I", 7)
FULL, KEY = row(b"1", b"a", b"x"), row(b"1", None, None)
BINARY_ROW = pack("!h", 3) + b"b" + pack("!ii", 4, 5) + b"nn"


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.KIND)
def test_changes(kernel: SimpleNamespace) -> None:
    data = b"".join(map(frame, (
        b"I" + SEVEN + b"N" + FULL, b"I" + SEVEN + b"N" + BINARY_ROW, b"U" + SEVEN + b"N" + row(b"1", "u", None),
        b"U" + SEVEN + b"K" + KEY + b"N" + FULL, b"U" + SEVEN + b"O" + FULL + b"N" + row(b"2", "u", "u"),
        b"D" + SEVEN + b"K" + KEY)))
    assert decoded(kernel, data + frame(b"C")) == (len(data), [
        Insert("t", (1, "a", "78"), None), Insert("t", (5, None, None), None),
        Update("t", None, (1, "UNCHANGED", None), None, None),
        Update("t", (1, None, None), (1, "a", "78"), "K", None),
        Update("t", (1, "a", "78"), (2, "a", "78"), "O", None), Delete("t", (1, None, None), "K", None)])
    assert decoded(kernel, frame(b"I" + pack("!I", 9) + SEVEN + b"N" + FULL), in_stream=True)[1] == [
        Insert("t", (1, "a", "78"), 9)]
    assert decoded(kernel, frame(b"I" + pack("!I", 8) + b"N" + FULL)) == (0, [])
    assert decoded(kernel, b"d" + pack("!i", 22) + b"k" + bytes(17)) == (0, [])


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.KIND)
@pytest.mark.parametrize(("message", "error"), [
    (b"I" + SEVEN + b"N" + row(b"x", b"", b""), "ValueDecodeError"), (b"I" + SEVEN + b"N" + row(b"1"), "MalformedRow"),
    (b"I" + SEVEN + b"K" + KEY, "MalformedRow"), (b"D" + SEVEN + b"N" + FULL, "MalformedRow"),
    (b"U" + SEVEN + b"K" + KEY, "MalformedRow"), (b"I" + SEVEN + b"N" + FULL + b"x", "MalformedRow"),
    (b"I" + SEVEN + b"N" + FULL[:-1], "MalformedRow"), (b"I" + SEVEN, "MalformedRow")])
def test_what_is_wrong(kernel: SimpleNamespace, message: bytes, error: str) -> None:
    assert decoded(kernel, frame(message))[0] == error


def test_both_agree_on_mutated_bytes() -> None:
    chosen = random.Random(3)
    whole = [b"I" + SEVEN + b"N" + FULL, b"U" + SEVEN + b"O" + FULL + b"N" + row(b"2", "u", "u"),
             b"D" + SEVEN + b"K" + KEY, b"U" + SEVEN + b"N" + BINARY_ROW]
    for _ in range(5000):
        data = bytearray(b"".join(frame(chosen.choice(whole)) for _ in range(chosen.randint(1, 3))))
        for _ in range(chosen.randint(1, 3)):
            data[chosen.randrange(30, len(data))] = chosen.randrange(256)
        first, *others = [decoded(kernel, bytes(data)) for kernel in KERNELS]
        assert all(other == first for other in others)
