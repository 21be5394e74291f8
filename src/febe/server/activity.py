"""Which sessions there are and what each is at: what pg_stat_activity shows (manual: "The Cumulative Statistics
System")."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backend:
    """One session, by the columns of pg_stat_activity; times in seconds since 1970, None where there is none.

    `cancel` stops what it runs; `terminate` ends it.  Both may be called from any thread.
    """

    process_id: int
    user: str
    database: str
    cancel: Callable[[], object]
    terminate: Callable[[], object]
    application_name: str = ""
    client_address: str | None = None
    client_port: int | None = None
    backend_start: float = field(default_factory=time.time)
    xact_start: float | None = None
    query_start: float | None = None
    state_change: float | None = None
    state: str = "idle"
    """`active`, `idle`, `idle in transaction` or `idle in transaction (aborted)`."""
    query: str = ""
    rows: int = 0
    """How many rows the current or last statement has sent or taken so far."""
    security: Mapping[str, object] = field(default_factory=dict)
    """How the connection is encrypted, and as whom the client proved itself by that, by the columns of
    pg_stat_get_activity; empty in clear."""
    progress: Callable[[], float | None] = field(default=lambda: None, repr=False)
    """How much of the current statement is done, from 0 to 1, where that is known.  From any thread."""

    def works(self, query: str) -> None:
        """A statement begins."""
        self.state, self.query, self.rows = "active", query, 0
        self.query_start = self.state_change = time.time()
        if self.xact_start is None:
            self.xact_start = self.query_start

    def rests(self, status: str) -> None:
        """ReadyForQuery is said with this status."""
        if self.state == "active":
            self.state, self.state_change = _STATES[status], time.time()
        if status == "I":
            self.xact_start = None


_STATES = {"I": "idle", "T": "idle in transaction", "E": "idle in transaction (aborted)"}


class Activity:
    """The sessions of one server."""

    def __init__(self) -> None:
        self._backends: dict[int, Backend] = {}

    def enter(self, backend: Backend) -> None:
        """A session has begun."""
        self._backends[backend.process_id] = backend

    def leave(self, process_id: int) -> None:
        """It is over."""
        self._backends.pop(process_id, None)

    def get(self, process_id: int) -> Backend | None:
        """The session of this process ID."""
        return self._backends.get(process_id)

    def all(self) -> list[Backend]:
        """Every session, oldest first."""
        return list(self._backends.values())
