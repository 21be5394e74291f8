"""A short run of the fuzz target over start-up and authentication."""

from __future__ import annotations

from tests.flows import fuzz


def test_a_short_run() -> None:
    assert fuzz.run(20_260, 3_000) > 100
