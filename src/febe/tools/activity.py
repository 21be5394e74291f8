"""Who is at what on a server: pg_stat_activity, and how far what runs has come (manual: "Monitoring Statistics")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from febe.client.blocking import Connection
from febe.protocol.errors import PostgresError

APPLICATION = "febe top"

_ACTIVITY = "select *, current_timestamp as febe_now from pg_stat_activity"
_PROGRESS = " union all ".join(
    f"select pid, cast({done} as float8) / nullif({total}, 0) from pg_stat_progress_{view}" for view, done, total in (
        ("copy", "bytes_processed", "bytes_total"), ("create_index", "blocks_done", "blocks_total"),
        ("vacuum", "heap_blks_scanned", "heap_blks_total"), ("analyze", "sample_blks_scanned", "sample_blks_total"),
        ("cluster", "heap_blks_scanned", "heap_blks_total"), ("basebackup", "backup_streamed", "backup_total")))
"""What PostgreSQL tells of commands that take long, where it knows how much there is to do (manual: "Progress
Reporting"); febe's own servers have it in pg_stat_activity."""

_ORDER = {"active": 0, "fastpath function call": 0, "idle in transaction (aborted)": 1, "idle in transaction": 1}


@dataclass(slots=True, kw_only=True)
class Activity:
    """One session.  Times are how long ago: `statement` its statement began or, when it is idle, ended."""

    process_id: int
    user: str = ""
    database: str = ""
    application: str = ""
    client: str = ""
    state: str = ""
    waits_for: str = ""
    query: str = ""
    statement: timedelta | None = None
    transaction: timedelta | None = None
    rows: int | None = None
    progress: float | None = None

    @property
    def runs(self) -> bool:
        """Whether a statement runs."""
        return _ORDER.get(self.state) == 0

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open and nothing runs."""
        return _ORDER.get(self.state) == 1


@dataclass(slots=True, kw_only=True)
class Sample:
    """What a server is at, those that run longest first."""

    server: str
    version: str
    moment: datetime
    sessions: list[Activity] = field(default_factory=list)


def read_activity(connection: Connection[Any]) -> Sample:
    """Ask a server, febe's or PostgreSQL, what its clients are at.  Errors: Error."""
    rows = connection.into(_row).fetch(_ACTIVITY)
    progress: dict[int, float] = {}
    if not rows or "progress" not in rows[0]:
        try:
            progress = {pid: part for pid, part in connection.fetch(_PROGRESS) if part is not None}
        except PostgresError:
            progress = {}  # a version without one of the views
    sessions = [_activity(row, progress) for row in rows if _is_client(row)]
    sessions.sort(key=lambda one: (_ORDER.get(one.state, 2), -(one.statement or timedelta()).total_seconds()))
    return Sample(server=_peer(connection), version=connection.server_version,
                  moment=rows[0]["febe_now"] if rows else datetime.now().astimezone(), sessions=sessions)


def _row(**columns: Any) -> dict[str, Any]:
    return columns


def _peer(connection: Connection[Any]) -> str:
    """The server's address, as the socket has it."""
    found = connection.socket.getpeername()
    return f"{found[0]}:{found[1]}" if isinstance(found, tuple) else str(found)


def _is_client(row: Mapping[str, Any]) -> bool:
    return (row.get("backend_type") in (None, "client backend", "walsender")
            and row.get("application_name") != APPLICATION)


def _activity(row: Mapping[str, Any], progress: Mapping[int, float]) -> Activity:
    now = row["febe_now"]
    state = row.get("state") or ""
    since = row.get("query_start") if _ORDER.get(state) == 0 else row.get("state_change")
    waits = [text for text in (row.get("wait_event_type"), row.get("wait_event")) if text]
    address, port = row.get("client_addr"), row.get("client_port")  # -1: a Unix socket
    return Activity(
        process_id=row["pid"], user=_clean(row.get("usename")), database=_clean(row.get("datname")),
        application=_clean(row.get("application_name")), state=state,
        client=str(address).partition("/")[0] if address is not None else "local" if port is not None else "",
        # who is idle waits for its client, which is no news
        waits_for=":".join(waits) if waits and waits[0] != "Client" else "",
        query=_clean(row.get("query")),
        statement=_age(now, since), transaction=_age(now, row.get("xact_start")),
        rows=row.get("rows_sent") if _ORDER.get(state) == 0 else None,
        progress=row.get("progress", progress.get(row["pid"])))


def _clean(text: str | None) -> str:
    """In one line, and without what a terminal would obey: others have chosen it."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join((text or "").split()))


def _age(now: datetime, then: datetime | None) -> timedelta | None:
    return None if then is None else max(now - then, timedelta())


__all__ = ["APPLICATION", "Activity", "Sample", "read_activity"]
