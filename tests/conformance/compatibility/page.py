"""docs/compatibility.md, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.conformance.compatibility.features import FEATURES

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
_HEAD = """# Compatibility

What clients can do with `febe serve` on DuckDB, measured: each cell is a test, and the tests write this page
(`FEBE_WRITE_COMPATIBILITY=1 make test ARGS=tests/conformance/compatibility`). An empty cell is a feature that the
client does not have, or that has no test.

"""
YES, NO = "yes", "no"


def rendered(measured: Mapping[str, Mapping[str, bool]], known: Mapping[tuple[str, str], str]) -> str:
    """The page; `measured` is by client and feature, `known` says what is behind a no."""
    notes = [reason for (name, feature), reason in known.items() if not measured[name].get(feature, True)]
    numbers = {reason: number for number, reason in enumerate(dict.fromkeys(notes), 1)}
    names = list(measured)
    lines = [_row("", *names), _row("---", *[":-:"] * len(names))]
    for feature, title in FEATURES.items():
        cells = []
        for name in names:
            found = measured[name].get(feature)
            note = numbers.get(known.get((name, feature), ""))
            cells.append("" if found is None else YES if found else f"{NO} [^{note}]".replace(" ", ""))
        lines.append(_row(title, *cells))
    foot = "".join(f"\n[^{number}]: {reason}\n" for reason, number in numbers.items())
    return _HEAD + "\n".join(lines) + "\n" + foot


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
