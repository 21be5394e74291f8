"""DB-API 2.0 (PEP 249) over the flows of the client; `febe.dbapi` is its module."""

from __future__ import annotations

from febe.client.dbapi.connection import Connection
from febe.client.dbapi.cursor import Cursor, StreamCursor
from febe.client.dbapi.xid import Xid

__all__ = ["Connection", "Cursor", "StreamCursor", "Xid"]
