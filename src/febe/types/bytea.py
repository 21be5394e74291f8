"""bytea as bytes (manual: "Binary Data Types"); text is written in hex format and read in both."""

from __future__ import annotations

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, hot


def register(registry: Registry) -> None:
    """Add bytea."""
    hot(registry, oids.BYTEA, kinds.BYTEA_TEXT, bytes, bytearray, memoryview)
