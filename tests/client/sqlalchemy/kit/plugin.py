"""SQLAlchemy's own plugin for pytest, with febe's dialects, which need not be installed."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import registry

registry.register("postgresql.febe", "febe.client.sqlalchemy", "Dialect")
registry.register("postgresql.febe_async", "febe.client.sqlalchemy", "AsyncDialect")
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403
