"""Views of PostgreSQL that are truthfully empty here, each with the reason.

Catalogs without a row in any description are empty for the same reason as in a PostgreSQL that has no such object.
Whatever is neither here nor answered from rows is an error, never an empty table.
"""

from __future__ import annotations

_NOTHING_RUNS = "no such operation exists here, so none is in progress"
_NO_REPLICATION = "nothing replicates from or to this server's sessions"

EMPTY: dict[str, str] = {
    "pg_catalog.pg_available_extension_versions": "no extension can be created",
    "pg_catalog.pg_available_extensions": "no extension can be created",
    "pg_catalog.pg_prepared_xacts": "two-phase commit is refused",
    "pg_catalog.pg_publication_tables": "there are no publications",
    "pg_catalog.pg_replication_origin_status": _NO_REPLICATION,
    "pg_catalog.pg_replication_slots": _NO_REPLICATION,
    "pg_catalog.pg_seclabels": "no label provider can be loaded",
    "pg_catalog.pg_stat_progress_analyze": _NOTHING_RUNS,
    "pg_catalog.pg_stat_progress_basebackup": _NOTHING_RUNS,
    "pg_catalog.pg_stat_progress_cluster": _NOTHING_RUNS,
    "pg_catalog.pg_stat_progress_create_index": _NOTHING_RUNS,
    "pg_catalog.pg_stat_progress_vacuum": _NOTHING_RUNS,
    "pg_catalog.pg_stat_replication": _NO_REPLICATION,
    "pg_catalog.pg_stat_replication_slots": _NO_REPLICATION,
    "pg_catalog.pg_stat_subscription": _NO_REPLICATION,
    "pg_catalog.pg_stat_subscription_stats": _NO_REPLICATION,
    "pg_catalog.pg_stat_wal_receiver": _NO_REPLICATION,
    "pg_catalog.pg_timezone_abbrevs": "a zone goes by its name only",
    "information_schema.triggered_update_columns": "there are no triggers",
    "information_schema.triggers": "there are no triggers",
}
UNANSWERED = {
    "pg_statistic": "nothing is sampled",
    "pg_largeobject": "read large objects by their functions",
}
"""Catalogs that PostgreSQL would have rows in."""

for _name in ("routine_column_usage", "routine_routine_usage", "routine_sequence_usage", "routine_table_usage"):
    # PostgreSQL records them for SQL-standard bodies only, which no function has here
    EMPTY[f"information_schema.{_name}"] = "only SQL-standard function bodies would be recorded, and there are none"
