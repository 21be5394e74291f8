"""febe for trio: `await febe.trio.connect(...)`."""

from __future__ import annotations

from febe.client.structured import Connection, PreparedStatement, connect

__all__ = ["Connection", "PreparedStatement", "connect"]
