"""SQLAlchemy's suite for dialects."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import ServerSideCursorsTest as _ServerSideCursorsTest


class ServerSideCursorsTest(_ServerSideCursorsTest):  # type: ignore[misc]
    """The suite knows the drivers that SQLAlchemy comes with, and asks the dialect for no other's cursors."""

    def _is_server_side(self, cursor: Any) -> bool:
        return cursor.server_side if self.engine.dialect.driver == "febe" else super()._is_server_side(cursor)
