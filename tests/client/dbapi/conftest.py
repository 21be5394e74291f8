"""Connections of DB-API 2.0."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import febe.dbapi
from tests.peers.postgres import Postgres


@pytest.fixture
def connection(pg18: Postgres) -> Iterator[febe.dbapi.Connection]:
    made = febe.dbapi.connect(pg18.dsn())
    yield made
    if not made.closed:
        made.close()
