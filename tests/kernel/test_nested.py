"""Arrays and composites put together: both kernels write the same, and find the same fault, for right and wrong.

What is right is said by PostgreSQL in tests/types/test_arrow_nested.py.
"""

from __future__ import annotations

import random
from functools import partial
from struct import pack
from typing import Any

import pytest

from tests.kernel.kernels import COMPILED, SOURCE

from .test_columns import ints, longs, outcome


def inner(dice: random.Random, count: int) -> tuple[bytes, list[int], list[int]]:
    """So many values, and where they lie; now and then not quite."""
    data, lens, starts = bytearray(), [], []
    for _ in range(count):
        made = dice.randbytes(dice.choice((0, 1, 4, 9)))
        lens.append(-1 if dice.random() < 0.2 else len(made))
        starts.append(len(data))
        data += made
    if count and dice.random() < 0.15:
        at = dice.randrange(count)
        lens[at], starts[at] = dice.choice(((5, len(data) - 2), (1, -1), (3, 1 << 40), (2**31 - 1, 0)))
    return bytes(data), lens, starts


def arrays(kernel: Any, seed: int) -> list[Any]:
    dice = random.Random(seed)
    found = []
    for _ in range(60):
        low = dice.randrange(3)
        counts = [dice.choice((-1, 0, 1, 2, 5)) for _ in range(dice.randrange(6))]
        begins, at = [], low
        for count in counts:
            begins.append(at)
            at += max(count, 0)
        data, lens, starts = inner(dice, at - low)
        if begins and dice.random() < 0.2:
            begins[-1] += dice.choice((-9, 1, 1 << 40))
        sizes, places = ints([0] * len(counts)), longs([0] * len(counts))
        most = dice.choice((60, 1 << 30))
        bad = outcome(partial(kernel.nested.array_sizes, ints(counts), longs(begins), low, ints(lens), most, sizes))
        found.append((bad, bytes(sizes)))
        room = max(0, sum(size for size in sizes.tolist() if size > 0) - dice.choice((0, 0, 0, 1, 7)))
        out = bytearray(min(room, 1000))
        done = outcome(partial(kernel.nested.arrays, ints(counts), longs(begins), low, ints(lens), longs(starts), data,
                               1007, places, out))
        found.append((done, bytes(out) if done is None else b"", bytes(places) if done is None else b""))
    return found


def records(kernel: Any, seed: int) -> list[Any]:
    dice = random.Random(seed)
    found = []
    for _ in range(60):
        rows, fields = dice.randrange(5), dice.randrange(4)
        data, lens, starts = inner(dice, rows * fields)
        if dice.random() < 0.1:
            lens = lens[1:]
        marks, places = ints([dice.choice((-1, 0, 0)) for _ in range(rows)]), longs([0] * rows)
        most = dice.choice((40, 1 << 30))
        bad = outcome(partial(kernel.nested.record_sizes, ints(lens), fields, most, marks))
        found.append((bad, bytes(marks)))
        room = max(0, sum(size for size in marks.tolist() if size > 0) - dice.choice((0, 0, 0, 1, 7)))
        out = bytearray(min(room, 1000))
        done = outcome(partial(kernel.nested.records, marks, longs([23, 25, 1007][:fields]), ints(lens), longs(starts),
                               data, places, out))
        found.append((done, bytes(out) if done is None else b"", bytes(places) if done is None else b""))
    return found


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(10))
def test_both_kernels_agree(seed: int) -> None:
    assert arrays(COMPILED, seed) == arrays(SOURCE, seed)
    assert records(COMPILED, seed) == records(SOURCE, seed)


@pytest.mark.parametrize("kernel", [one for one in (COMPILED, SOURCE) if one is not None], ids=lambda one: one.KIND)
def test_an_array_and_a_composite(kernel: Any) -> None:
    data, lens, starts = b"abc", ints([2, -1, 1]), longs([0, 0, 2])
    sizes, places = ints([0, 0, 0]), longs([0, 0, 0])
    assert kernel.nested.array_sizes(ints([3, -1, 0]), longs([7, 10, 10]), 7, lens, 1 << 20, sizes) == -1
    assert sizes.tolist() == [35, -1, 12]
    out = bytearray(47)
    kernel.nested.arrays(ints([3, -1, 0]), longs([7, 10, 10]), 7, lens, starts, data, 25, places, out)
    assert bytes(out) == (pack("!iiiiii2siic", 1, 1, 25, 3, 1, 2, b"ab", -1, 1, b"c")) + pack("!iii", 0, 0, 25)
    assert places.tolist() == [0, 0, 35]
    marks, out = ints([0]), bytearray(4 + 24 + 3)
    assert kernel.nested.record_sizes(lens, 3, 1 << 20, marks) == -1
    kernel.nested.records(marks, longs([25, 23, 18]), lens, starts, data, longs([9]), out)
    assert bytes(out) == pack("!iii2siiiic", 3, 25, 2, b"ab", 23, -1, 18, 1, b"c")
