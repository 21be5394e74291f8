"""Logs that programs read: a JSON object in each line; and a log of statements."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from febe.server.activity import Backend
from febe.server.parameters import printable
from febe.server.redact import redacted
from febe.server.telemetry.events import StatementEvent, Telemetry

logger = logging.getLogger("febe.server.statements")
FACTS = "febe_facts"
"""The attribute of a log record that has what the message says, by name."""


class JsonFormatter(logging.Formatter):
    """Each record as one line of JSON: time, level, logger, message, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(),
            **getattr(record, FACTS, {})}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=True)


class StatementLog(Telemetry):
    """Logs statements that take so many seconds or more, and those that fail.

    Literals are shown as `?`, so that no password and nobody's data get into the log.
    """

    def __init__(self, slower_than: float = 0.0) -> None:
        self._slower_than = slower_than

    def statement(self, event: StatementEvent) -> None:
        """Log one."""
        if event.sqlstate is None and event.seconds < self._slower_than:
            return
        facts: dict[str, Any] = {"event": "statement", "query": redacted(event.text), "kind": event.kind,
                                 "duration_ms": round(event.seconds * 1000, 3), "rows": event.rows,
                                 **about(event.client)}
        if event.sqlstate is not None:
            facts["sqlstate"] = event.sqlstate
        if event.traceparent is not None:
            facts["traceparent"] = event.traceparent
        logger.info("statement: %s", " ".join(f"{name}={value}" for name, value in facts.items()
                                              if name not in ("event", "query") and value is not None)
                    + f" query={printable(facts['query'])}", extra={FACTS: facts})


def about(client: Backend) -> dict[str, Any]:
    """Whose session it is."""
    return {"user": printable(client.user), "database": printable(client.database), "client": client.client_address,
            "application_name": printable(client.application_name), "process_id": client.process_id}


__all__ = ["FACTS", "JsonFormatter", "StatementLog", "about"]
