"""PostgreSQL 16 to 18 as subscribers."""

from tests.replication.conftest import newest, publishers

__all__ = ["newest", "publishers"]
