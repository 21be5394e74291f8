"""febe for trio: `await febe.trio.connect(...)`."""

from __future__ import annotations

from febe.client.structured import Connection, PreparedStatement, connect
from febe.client.structured_listening import Gap, Listening, listen
from febe.client.structured_pool import Pool
from febe.client.structured_retry import retry

__all__ = ["Connection", "Gap", "Listening", "Pool", "PreparedStatement", "connect", "listen", "retry"]
