"""bool as bool (manual: "Boolean Type")."""

from __future__ import annotations

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, hot


def register(registry: Registry) -> None:
    """Add bool."""
    hot(registry, oids.BOOL, kinds.BOOL_TEXT, bool)
