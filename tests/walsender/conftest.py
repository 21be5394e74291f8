"""PostgreSQL behind, and directories that its user may have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.installation import scratch
from tests.replication.conftest import newest, publishers

__all__ = ["newest", "place", "publishers"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the server's user may have."""
    with scratch("walsender") as found:
        yield found
