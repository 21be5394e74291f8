"""A short run of the fuzz target, and what it found before."""

from __future__ import annotations

import pytest

from tests.protocol import fuzz

FOUND: list[bytes] = [
    b"\0\0\0\0",
    b"\0\0\0\0" + b"\xff" * 12,
    *(bytes([number, 0, 0, 0]) + b"R\0\0\0\x08\xff\xff\xff\xff" for number in range(len(fuzz.STATES))),
]


@pytest.mark.parametrize("data", FOUND)
def test_found_before(data: bytes) -> None:
    fuzz.one(data)


def test_a_short_run() -> None:
    assert fuzz.run(20_260, rounds=3_000) == 3_000
