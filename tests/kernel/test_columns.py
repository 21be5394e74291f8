"""Values to Arrow buffers: both kernels write the same, and find the same fault, for bytes right and wrong.

What is right is said by PostgreSQL and by Arrow's own libraries in tests/types/test_arrow_rows.py.
"""

from __future__ import annotations

import random
from functools import partial
from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.kernels import COMPILED, SOURCE

WIDTHS = {"shorts": ("h", 2), "ints": ("i", 4), "longs": ("q", 8)}


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


def longs(values: list[int]) -> memoryview:
    return memoryview(bytearray(pack(f"={len(values)}q", *values))).cast("q")


def ints(values: list[int]) -> memoryview:
    return memoryview(bytearray(pack(f"={len(values)}i", *values))).cast("i")


def numeric(dice: random.Random) -> bytes:
    groups = dice.randrange(6)
    digits = [dice.choice((0, 1, 9999, 1200, dice.randrange(10000))) for _ in range(groups)]
    sign = dice.choice((0, 0x4000, 0, 0x4000, 0xC000, 0xD000, 0xF000, 7)) if dice.random() < 0.3 else 0
    if sign >= 0xC000:
        groups, digits = 0, []
    return pack(f"!HhHH{groups}H", groups, dice.randrange(-4, 5), sign, dice.randrange(12), *digits)


def values(dice: random.Random, width: int) -> tuple[bytes, list[int], list[int]]:
    """Some bytes, and where values lie in them: mostly right."""
    data, lens, starts = bytearray(), [], []
    for _ in range(dice.randrange(12)):
        made = numeric(dice) if width == 0 else dice.randbytes(width)
        if dice.random() < 0.1:
            made = dice.choice((b"\x7f" + b"\xff" * (width - 1), b"\x80" + bytes(max(0, width - 1)), bytes(width)))
        if dice.random() < 0.03:
            made = made[: dice.randrange(len(made) + 1)]
        starts.append(len(data))
        lens.append(-1 if dice.random() < 0.2 else len(made))
        data += made
    if starts and dice.random() < 0.05:
        starts[-1] = dice.choice((-1, len(data), len(data) - 1))
    return bytes(data), lens, starts


def filled(kernel: SimpleNamespace, seed: int) -> list[Any]:
    dice = random.Random(seed)
    fill, cells, decimals = kernel.fill, kernel.cells, kernel.decimals
    found: list[Any] = []
    for name, (code, width) in WIDTHS.items():
        data, lens, starts = values(dice, width)
        at = dice.randrange(3)
        out: Any = memoryview(bytearray(width * (at + len(lens) - (dice.random() < 0.02))))
        out = out.cast(code)
        held = ints(lens)
        found.append((outcome(partial(getattr(fill, name), data, held, longs(starts), out, at)), out.tobytes()))
        infinite = dice.randrange(3)
        if found[-1][0] == -1 and code == "i":
            found.append((fill.dates(out, at, held, infinite), out.tobytes(), held.tobytes()))
        if found[-1][0] == -1 and code == "q":
            found.append(fill.outside(out, at, held, 1 << 60))
            found.append((fill.stamps(out, at, held, infinite), out.tobytes(), held.tobytes()))
        bitmap = bytearray(b"\xff" * ((at + len(lens)) // 8 + 1))
        found.append((fill.mark(held, bitmap, at), bitmap))
    data, lens, starts = values(dice, 1)
    bitmap = bytearray(b"\xaa" * 3)
    found.append((outcome(lambda: fill.bools(data, ints(lens), longs(starts), bitmap, dice.randrange(3))), bitmap))
    data, lens, starts = values(dice, 16)
    out = memoryview(bytearray(16 * 20))
    found.append((outcome(lambda: fill.sized(data, ints(lens), longs(starts), out, 1, 16)), out.tobytes()))
    found.append((outcome(lambda: fill.intervals(data, ints(lens), longs(starts), out.cast("i"), out.cast("q"), 2)),
                  out.tobytes()))  # fmt: skip
    data, lens, starts = values(dice, dice.randrange(1, 40))
    offsets, texts = ints([0] * (len(lens) + 2)), bytearray(600)
    written = outcome(lambda: fill.spans(data, ints(lens), longs(starts), offsets, 1, texts))
    del texts[max(offsets) :]
    found.append((written, offsets.tobytes(), texts, fill.inside_character(texts, offsets, 1)))
    labels = {data[s : s + n]: k for k, (s, n) in enumerate(zip(starts, lens, strict=True)) if k % 5 or k < 3}
    found.append((fill.labels(data, ints(lens), longs(starts), labels, held := ints([7] * 20), 2), held.tobytes()))
    held, places = ints(lens), longs(starts)
    found.append((cells.behead(data, held, places, data[0] if data else 0), held.tobytes(), places.tobytes()))
    data, lens, starts = values(dice, 0)
    for words in (4, 8):
        out = memoryview(bytearray(4 * words * 14)).cast("I")
        precision, scale = dice.choice(((38, 9), (5, 2), (20, 12), (38, -2)))
        told = decimals.decimals(data, ints(lens), longs(starts), precision, scale, out, 1, words)
        found.append((told, out.tobytes()))
    sizes, held, places = longs([0] * len(lens)), ints(lens), longs(starts)
    found.append((bad := decimals.measure_texts(data, held, places, sizes), sizes.tobytes()))
    if bad < 0:
        text = bytearray(sum(sizes))
        decimals.texts(data, held, places, text, b"NaN-InfinityInfinity")
        found.append((text, held.tobytes(), places.tobytes()))
    return found


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(200))
def test_buffers_agree(seed: int) -> None:
    assert COMPILED is not None
    assert filled(COMPILED, seed) == filled(SOURCE, seed)


def nested(dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        parts = [dice.randbytes(dice.randrange(5)) for _ in range(2)]
        return pack("!i", 2) + b"".join(pack("!Ii", 25, len(part)) + part for part in parts)
    parts = [dice.randbytes(dice.randrange(5)) for _ in range(dice.randrange(4))]
    head = pack("!iiI", 1, 0, 25) + pack("!ii", len(parts), 1) if parts else pack("!iiI", 0, 0, 25)
    return head + b"".join(pack("!i", len(part)) + part for part in parts)


def found(kernel: SimpleNamespace, seed: int) -> list[Any]:
    dice = random.Random(seed)
    cells = kernel.cells
    told: list[Any] = []
    data, lens, starts = bytearray(), [], []
    for _ in range(dice.randrange(8)):
        made = bytearray(nested(dice))
        for _ in range(dice.choice((0, 0, 0, 0, 1, 2))):
            made[dice.randrange(len(made))] = dice.choice((0, 1, 2, 255))
        lens.append(-1 if dice.random() < 0.2 else len(made))
        starts.append(len(data))
        data += made
    whole = bytes(data)
    counted = cells.count_elements(whole, ints(lens), longs(starts), 1)
    told.append(counted)
    if counted[1] < 0:
        inner, places, offsets = ints([9] * counted[0]), longs([9] * counted[0]), ints([3] * (len(lens) + 1))
        told.append((cells.elements(whole, ints(lens), longs(starts), offsets, 0, inner, places), inner.tobytes(),
                     places.tobytes(), offsets.tobytes()))  # fmt: skip
    inner, places = ints([9] * 2 * len(lens)), longs([9] * 2 * len(lens))
    told.append((cells.fields(whole, ints(lens), longs(starts), 2, inner, places), inner.tobytes(), places.tobytes()))
    rows = bytearray()
    framed = dice.random() < 0.5
    for size in lens:
        body = pack("!H", 2) + pack("!i", -1 if size < 0 else 3) + (b"abc" if size >= 0 else b"") + pack("!i", 0)
        rows += (b"D" + pack("!i", len(body) + 4) if framed else b"") + body
    for _ in range(dice.choice((0, 0, 1))):
        if rows:
            rows[dice.randrange(len(rows))] = dice.choice((0, 1, 2, 68, 255))
    held, places = ints([9] * 10), longs([9] * 10)
    told.append((outcome(lambda: cells.locate(bytes(rows), 0, len(rows), framed, 2, 5, dice.choice((1, 20, 1 << 20)),
                                              held, places)), held.tobytes(), places.tobytes()))  # fmt: skip
    return told


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(300))
def test_places_agree(seed: int) -> None:
    assert COMPILED is not None
    assert found(COMPILED, seed) == found(SOURCE, seed)


def test_no_room(kernel: SimpleNamespace) -> None:
    """What the faces never do is refused rather than written."""
    fill, cells, decimals = kernel.fill, kernel.cells, kernel.decimals
    one, here = ints([4]), longs([0])
    with pytest.raises(ValueError, match="no room"):
        fill.mark(one, bytearray(), 0)
    with pytest.raises(ValueError, match="no room"):
        fill.ints(b"abcd", one, here, ints([]), 0)
    with pytest.raises(ValueError, match="no room"):
        fill.spans(b"abcd", one, here, ints([0, 0]), 0, bytearray(3))
    with pytest.raises(ValueError, match="no width"):
        fill.sized(b"abcd", one, here, bytearray(4), 0, 0)
    with pytest.raises(ValueError, match="no room"):
        cells.fields(b"abcd", one, here, 2, ints([0]), longs([0]))
    for start, end in ((-1, 2), (0, 5), (3, 2)):
        with pytest.raises(ValueError, match="position outside"):
            cells.locate(b"abcd", start, end, True, 1, 1, 1, one, here)
    with pytest.raises(ValueError, match="no room for the rows"):
        cells.locate(b"abcd", 0, 4, True, 1, 2, 1, one, here)
    with pytest.raises(ValueError, match="no room"):
        decimals.decimals(b"", one, here, 5, 2, memoryview(bytearray(8)).cast("I"), 0, 4)
    with pytest.raises(ValueError, match="no names"):
        decimals.texts(b"", one, here, bytearray(9), b"NaN")
    value = pack("!HhHHH", 1, 0, 0, 0, 7)
    with pytest.raises(ValueError, match="no room"):
        decimals.texts(value, ints([10]), here, bytearray(3), b"NaN-InfinityInfinity")


def characters(kernel: SimpleNamespace, seed: int) -> Any:
    dice = random.Random(seed)
    texts = ["".join(dice.choices("aä€😀\0", k=dice.randrange(6))).encode() for _ in range(dice.randrange(8))]
    offsets = [0]
    for text in texts:
        offsets.append(offsets[-1] + len(text))
    data = bytearray(b"".join(texts))
    if data and dice.random() < 0.3:
        data[dice.randrange(len(data))] = 0x85
    if dice.random() < 0.1:
        offsets[-1] += dice.choice((-100, 100))
    width = outcome(lambda: kernel.characters.longest(data, ints(offsets)))
    if not isinstance(width, int):
        return width
    out = memoryview(bytearray(4 * width * len(texts) or 4)).cast("I")
    return width, outcome(lambda: kernel.characters.spread(data, ints(offsets), out, width)), out.tobytes()


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@pytest.mark.parametrize("seed", range(100))
def test_characters_agree(seed: int) -> None:
    assert COMPILED is not None
    assert characters(COMPILED, seed) == characters(SOURCE, seed)


def test_characters_without_room(kernel: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="no room for the texts"):
        kernel.characters.spread(b"ab", ints([0, 2]), memoryview(bytearray(4)).cast("I"), 2)
