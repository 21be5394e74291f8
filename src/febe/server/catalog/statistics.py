"""PostgreSQL's functions of cumulative statistics, as they answer where track_counts is off: nothing is counted.

Manual: "The Cumulative Statistics System".  How many rows a table has is known without counting what is done to it.
"""

from __future__ import annotations

_COUNTS = (
    "numscans", "tuples_returned", "tuples_fetched", "tuples_inserted", "tuples_updated", "tuples_deleted",
    "tuples_hot_updated", "tuples_newpage_updated", "dead_tuples", "mod_since_analyze", "ins_since_vacuum",
    "vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count", "blocks_fetched", "blocks_hit",
    "xact_numscans", "xact_tuples_returned", "xact_tuples_fetched", "xact_tuples_inserted", "xact_tuples_updated",
    "xact_tuples_deleted", "xact_tuples_hot_updated", "xact_tuples_newpage_updated",
    *(f"db_{what}" for what in (
        "xact_commit", "xact_rollback", "blocks_fetched", "blocks_hit", "tuples_returned", "tuples_fetched",
        "tuples_inserted", "tuples_updated", "tuples_deleted", "conflict_all", "conflict_tablespace", "conflict_lock",
        "conflict_snapshot", "conflict_bufferpin", "conflict_startup_deadlock", "conflict_logicalslot", "temp_files",
        "temp_bytes", "deadlocks", "sessions", "sessions_abandoned", "sessions_fatal", "sessions_killed",
        "parallel_workers_to_launch", "parallel_workers_launched")))
_TIMES = ("total_vacuum_time", "total_autovacuum_time", "total_analyze_time", "total_autoanalyze_time",
          *(f"db_{what}_time" for what in ("blk_read", "blk_write", "session", "active", "idle_in_transaction")))
_MOMENTS = ("lastscan", "last_vacuum_time", "last_autovacuum_time", "last_analyze_time", "last_autoanalyze_time",
            "db_checksum_last_failure", "db_stat_reset_time")
# Of functions nothing is told until they are counted; checksums there are none of.
_NOTHING = {"function_calls": "BIGINT", "function_total_time": "DOUBLE", "function_self_time": "DOUBLE",
            "xact_function_calls": "BIGINT", "xact_function_total_time": "DOUBLE", "xact_function_self_time": "DOUBLE",
            "db_checksum_failures": "BIGINT"}
_IF_ANY = "CASE WHEN a IS NULL THEN NULL ELSE {} END"

STATISTICS: dict[str, list[tuple[str, str]]] = {
    **{f"pg_stat_get_{name}": [("a", _IF_ANY.format("0::BIGINT"))] for name in _COUNTS},
    **{f"pg_stat_get_{name}": [("a", _IF_ANY.format("0::DOUBLE"))] for name in _TIMES},
    **{f"pg_stat_get_{name}": [("a", "NULL::TIMESTAMPTZ")] for name in _MOMENTS},
    **{f"pg_stat_get_{name}": [("a", f"NULL::{kind}")] for name, kind in _NOTHING.items()},
    "pg_stat_get_live_tuples": [("a", "(SELECT greatest(any_value(k.reltuples), 0)::BIGINT FROM pg_class k "
                                      "WHERE k.oid = a::UINTEGER)")],
    "pg_stat_get_db_numbackends": [("a", "(SELECT count(*)::INTEGER FROM febe_backend WHERE febe_o = a::UINTEGER)")],
}
"""Macros of the private database (functions.py)."""
