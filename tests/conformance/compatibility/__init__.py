"""Every client beside every feature: each cell of docs/compatibility.md is measured here."""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in (
    "drivers", "frames", "java", "node", "ours", "shells")))
