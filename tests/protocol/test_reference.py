"""The reference pages are what the declarations make of them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = runpy.run_path(str(ROOT / "tools" / "generate_reference.py"))


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_a_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == GENERATOR["PAGES"][name](), \
        "run tools/generate_reference.py"


def test_every_message_and_state_is_on_the_pages() -> None:
    messages, states = (GENERATOR["PAGES"][name]() for name in ("messages.md", "states.md"))
    for cls in GENERATOR["all_messages"]():
        assert f"\n### {cls.__name__}\n" in messages
    for _, members in GENERATOR["DIAGRAMS"].values():
        for state in members:
            assert f"\n| `{state.name}` | {state.value} |\n" in states
