"""Every view of information_schema and pg_catalog: its columns and the rows that PostgreSQL 18 has in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from febe.server.catalog import builtin
from febe.server.catalog.empty import EMPTY

psycopg = pytest.importorskip("psycopg")

from .conftest import Place  # noqa: E402

VIEWS = sorted(f"{one.schema}.{one.name}" for one in builtin.relations().values() if one.view is not None)

# What PostgreSQL's own rows are of, where they are not the schema's.
ITS_OWN = {
    "pg_catalog.pg_available_extension_versions": "its extensions",
    "pg_catalog.pg_available_extensions": "its extensions",
    "pg_catalog.pg_settings": "its settings", "pg_catalog.pg_stat_activity": "its processes",
    "pg_catalog.pg_timezone_names": "its time zones",
    "information_schema.routine_routine_usage": "of the information schema's own functions",
    "pg_catalog.pg_user": "roles of other tests", "pg_catalog.pg_roles": "roles of other tests",
    "pg_catalog.pg_shadow": "roles of other tests", "pg_catalog.pg_group": "roles of other tests",
    "pg_catalog.pg_replication_slots": "slots of other tests", "pg_catalog.pg_stat_replication_slots": "of other tests",
    "pg_catalog.pg_cursors": "the driver's", "information_schema.schemata": "schemas of temporary tables",
}
# A view takes rows in PostgreSQL, and not in DuckDB.
WRITING = {"is_insertable_into", "is_updatable"}


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    with (psycopg.connect(served.dsn, autocommit=True) as ours, psycopg.connect(beside.dsn, autocommit=True) as theirs):
        ours.execute("set search_path = main")
        yield ours, theirs


def rows(con: Any, view: str) -> tuple[list[tuple[str, int]], set[str]]:
    """Columns, and rows without the OIDs that are part of a function's specific name."""
    found = con.execute(f"select * from {view}")
    columns = [(column.name, column.type_code) for column in found.description]
    kept = [i for i, (name, _) in enumerate(columns) if name not in WRITING]
    return columns, {re.sub(r"_\d{4,}\b", "_N", json.dumps([row[i] for i in kept], default=str))
                     for row in found.fetchall()}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_same_rows(view: str, both: tuple[Any, Any]) -> None:
    try:
        columns, found = rows(both[0], view)
    except psycopg.Error as error:
        # what is not answered says so
        assert error.sqlstate == "0A000", error
        assert "is not supported" in str(error)
        return
    expected_columns, expected = rows(both[1], view)
    # febe tells more of a session, after PostgreSQL's columns
    assert columns[:len(expected_columns)] == expected_columns
    assert len(columns) == len(expected_columns) or view == "pg_catalog.pg_stat_activity"
    if view in EMPTY:
        assert not found
    elif view not in ITS_OWN:
        assert found == expected


def test_most_views_are_answered(both: tuple[Any, Any]) -> None:
    """All of information_schema but one, all of pg_catalog but statistics and what only PostgreSQL has."""
    refused = set()
    for view in VIEWS:
        try:
            both[0].execute(f"select * from {view} limit 0")
        except psycopg.errors.FeatureNotSupported:
            refused.add(view)
    assert {one for one in refused if not re.search(r"pg_stat|shmem", one)} == {
        "information_schema.element_types", "pg_catalog.pg_aios", "pg_catalog.pg_backend_memory_contexts",
        "pg_catalog.pg_config", "pg_catalog.pg_file_settings", "pg_catalog.pg_hba_file_rules",
        "pg_catalog.pg_ident_file_mappings", "pg_catalog.pg_locks", "pg_catalog.pg_timezone_abbrevs",
        "pg_catalog.pg_wait_events"}
