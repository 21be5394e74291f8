"""uuid as uuid.UUID (manual: "UUID Type"); encoded from UUID, and from str in any form PostgreSQL reads."""

from __future__ import annotations

from uuid import UUID

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, hot


def register(registry: Registry) -> None:
    """Add uuid."""
    hot(registry, oids.UUID, kinds.UUID_TEXT, UUID)
