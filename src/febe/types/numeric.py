"""numeric as Decimal with its display scale: 1.50 stays 1.50 (manual: "Arbitrary Precision Numbers").

Encoded from Decimal, int, and float by its shortest digits.
"""

from __future__ import annotations

from decimal import Decimal

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, hot


def register(registry: Registry) -> None:
    """Add numeric."""
    hot(registry, oids.NUMERIC, kinds.NUMERIC_TEXT, Decimal)
