"""SQLAlchemy's dialects on febe: `create_engine("postgresql+febe://...")`, and `create_async_engine` likewise."""

from __future__ import annotations

from febe.client.sqlalchemy.asynchronous import AsyncDialect
from febe.client.sqlalchemy.dialect import Dialect

__all__ = ["AsyncDialect", "Dialect"]
