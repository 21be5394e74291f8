"""The public-domain test suite of DB-API 2.0 (PyPI: dbapi-compliance), on febe.dbapi."""

from __future__ import annotations

from typing import Any

import dbapi20
import pytest

import febe.dbapi
from tests.peers.postgres import Postgres


class TestDBAPI20(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    """What the suite leaves to each driver is overridden; everything else runs as it is."""

    driver = febe.dbapi

    @pytest.fixture(autouse=True)
    def _server(self, pg18: Postgres) -> None:
        self.connect_args = (pg18.dsn(),)

    def help_nextset_setUp(self, cursor: Any) -> None:
        """A PostgreSQL procedure gives one result at most; several statements give several."""
        self.two_results = f"select count(*) from {self.table_prefix}booze; select name from {self.table_prefix}booze"

    def test_nextset(self) -> None:
        with self._connect() as connection:
            cursor = connection.cursor()
            self.executeDDL1(cursor)
            for sql in self._populate():
                cursor.execute(sql)
            self.help_nextset_setUp(cursor)
            cursor.execute(self.two_results)
            assert cursor.fetchone() == (len(self.samples),)
            assert cursor.nextset()
            assert [name for name, in cursor.fetchall()] == self.samples
            assert cursor.nextset() is None
            connection.rollback()

    def test_setoutputsize(self) -> None:
        with self._connect() as connection:
            cursor = connection.cursor()
            cursor.setoutputsize(1)
            assert cursor.execute("select repeat('x', 100)").fetchone() == ("x" * 100,)
