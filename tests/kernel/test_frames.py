"""The frame scanner: whole messages, runs, limits before anything else, cut anywhere."""

from __future__ import annotations

from struct import pack
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernel.kernels import COMPILED, SOURCE

LIMITS = [-1] * 256
for _kind, _limit in {b"D": 0x3FFFFFFF, b"d": 0x3FFFFFFF, b"Z": 5, b"C": 30000, b"T": 30000}.items():
    LIMITS[_kind[0]] = _limit


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + pack("!i", len(body) + 4) + body


STREAM = (
    message(b"T", b"columns") + message(b"D", b"a") + message(b"D") + message(b"D", b"ccc") + message(b"C", b"SELECT 3")
    + message(b"d", b"1") + message(b"d", b"22") + message(b"D", b"x") + message(b"Z", b"I")
)  # fmt: skip
FRAMES = [(84, 0, 12, 1), (68, 12, 31, 3), (67, 31, 44, 1), (100, 44, 57, 2), (68, 57, 63, 1), (90, 63, 69, 1)]


def scanner(kernel: SimpleNamespace) -> SimpleNamespace:
    return kernel.frames.FrameScanner(LIMITS, b"Dd")


def test_runs_become_one_entry(kernel: SimpleNamespace) -> None:
    assert scanner(kernel).scan(STREAM, 0, 100) == (FRAMES, len(STREAM), 5)


def test_starts_at_a_position(kernel: SimpleNamespace) -> None:
    assert scanner(kernel).scan(STREAM, 31, 100) == (FRAMES[2:], len(STREAM), 5)


@pytest.mark.parametrize("most", range(7))
def test_stops_at_most(kernel: SimpleNamespace, most: int) -> None:
    frames, position, status = scanner(kernel).scan(STREAM, 0, most)
    assert frames == FRAMES[:most]
    assert position == (FRAMES[most - 1][2] if most else 0)
    assert status == (0 if most < 6 else 5)


def test_cut_anywhere(kernel: SimpleNamespace) -> None:
    ends = {0} | {end for _, _, end, _ in FRAMES} | {18, 23, 50}
    for cut in range(len(STREAM) + 1):
        frames, position, status = scanner(kernel).scan(STREAM[:cut], 0, 100)
        assert position == max(end for end in ends if end <= cut)
        if cut - position < 5:
            assert status == 5
        else:
            assert status == 5 + int.from_bytes(STREAM[position + 1 : position + 5], "big") - 4
        rest, end, _ = scanner(kernel).scan(STREAM, position, 100)
        assert end == len(STREAM)
        assert sum(count for *_, count in frames) + sum(count for *_, count in rest) == 9


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"D\0\0\0\3", -1),
        (b"D\xff\xff\xff\xff", -1),
        (b"D\x80\0\0\0", -1),
        (b"D\x7f\xff\xff\xff", -2),
        (b"D\x40\0\0\0", -2),
        (b"D\x3f\xff\xff\xff", 0x40000000),
        (b"Z\0\0\0\6", -2),
        (b"Z\0\0\0\5", 6),
        (b"?\0\0\0\4", -3),
        (b"?", -3),
        (b"\0", -3),
        (b"", 5),
    ],
)
def test_judges_the_header_alone(kernel: SimpleNamespace, data: bytes, status: int) -> None:
    assert scanner(kernel).scan(data, 0, 10) == ([], 0, status)
    before = message(b"D", b"row")
    assert scanner(kernel).scan(before + data, 0, 10) == ([(68, 0, 8, 1)], 8, status)


def test_refuses_positions_outside(kernel: SimpleNamespace) -> None:
    for position in (-1, 4):
        with pytest.raises(ValueError, match="position outside the data"):
            scanner(kernel).scan(b"abc", position, 1)


def test_wants_256_limits(kernel: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="256"):
        kernel.frames.FrameScanner([1], b"D")


@pytest.mark.skipif(COMPILED is None, reason="no compiled kernel is loaded")
@given(
    st.lists(
        st.one_of(
            st.builds(message, st.sampled_from([b"D", b"d", b"Z", b"C", b"?"]), st.binary(max_size=6)),
            st.binary(max_size=8),
        ),
        max_size=8,
    ).map(b"".join),
    st.integers(0, 5),
)
def test_kernels_agree(data: bytes, most: int) -> None:
    assert COMPILED is not None
    assert scanner(COMPILED).scan(data, 0, most) == scanner(SOURCE).scan(data, 0, most)
