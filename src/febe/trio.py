"""febe for trio: `await febe.trio.connect(...)`."""

from __future__ import annotations

from febe.client.structured import Connection, PreparedStatement, connect
from febe.client.structured_pool import Pool
from febe.client.structured_retry import retry

__all__ = ["Connection", "Pool", "PreparedStatement", "connect", "retry"]
