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
    "information_schema.enabled_roles": "roles of other tests",
    "pg_catalog.pg_replication_slots": "slots of other tests", "pg_catalog.pg_stat_replication_slots": "of other tests",
    "pg_catalog.pg_stat_ssl": "its sessions", "pg_catalog.pg_stat_gssapi": "its sessions",
    "pg_catalog.pg_locks": "its locks of its own catalogs", "pg_catalog.pg_stat_database": "its databases",
    "pg_catalog.pg_stat_database_conflicts": "its databases",
    "pg_catalog.pg_cursors": "the driver's", "information_schema.schemata": "schemas of temporary tables",
}
# PostgreSQL counts what is done to each object.
COUNTED = re.compile(r"pg_catalog\.pg_stat(io|_xact)?_(all|sys|user)_")
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
    elif view not in ITS_OWN and not COUNTED.match(view):
        assert found == expected


def test_statistics_are_of_the_same_objects(both: tuple[Any, Any]) -> None:
    for sql in ("select schemaname, relname, n_live_tup is not null, seq_scan is not null, idx_scan is not null "
                "from pg_stat_user_tables order by 1, 2",
                "select schemaname, relname, indexrelname, idx_scan is not null from pg_stat_user_indexes order by 3",
                "select schemaname, relname, heap_blks_read is not null from pg_statio_user_tables order by 1, 2",
                "select schemaname, relname, blks_read is not null from pg_statio_user_sequences order by 2"):
        ours, theirs = (one.execute(sql).fetchall() for one in both)
        assert ours == theirs != []
    numbers = [one.execute("select n_live_tup from pg_stat_user_tables where relname = 'every'").fetchall()
               for one in both]
    assert numbers[0] == [(1,)]
    assert both[0].execute("show track_counts").fetchall() == [("off",)]


def test_most_views_are_answered(both: tuple[Any, Any]) -> None:
    """All of information_schema but one, all of pg_catalog but statistics and what only PostgreSQL has."""
    refused = set()
    for view in VIEWS:
        try:
            both[0].execute(f"select * from {view} limit 0")
        except psycopg.errors.FeatureNotSupported:
            refused.add(view)
    assert {one for one in refused if not re.search(r"shmem", one)} == {
        "information_schema.element_types", *(f"pg_catalog.{name}" for name in (
            "pg_aios", "pg_backend_memory_contexts", "pg_config", "pg_file_settings", "pg_hba_file_rules",
            "pg_ident_file_mappings", "pg_wait_events", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs",
            "pg_stat_archiver", "pg_stat_bgwriter", "pg_stat_checkpointer", "pg_stat_io", "pg_stat_progress_copy",
            "pg_stat_recovery_prefetch", "pg_stat_slru", "pg_stat_wal"))}
