"""A session that is watched: times, rows and errors of what it answers."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from febe.protocol.connection import Event
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse
from febe.protocol.function import FunctionCall
from febe.protocol.simple import Query
from febe.server.telemetry.events import StatementEvent, Telemetry

if TYPE_CHECKING:
    from febe.server.session import Session

_ENDS = (Query, Execute, FunctionCall)
_LEADS = (Parse, Bind, Describe, Close)
# As sqlcommenter has it in a comment (W3C Trace Context, "traceparent Header")
_TRACEPARENT = re.compile(r"traceparent='(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})'")
_GONE = "57P01"


class Observed:
    """Handles messages as the session does, and tells of each statement."""

    def __init__(self, session: Session, telemetry: Telemetry) -> None:
        self._session = session
        self._telemetry = telemetry
        self._lead = 0.0

    async def handle(self, message: Event) -> None:
        """Answer one message."""
        session, kind = self._session, type(message)
        session.failure = None
        known, began, start = session.backend.query_start, time.time_ns(), time.perf_counter()
        try:
            await session.handle(message)
        except BaseException as error:
            self._tell(kind, known, began, start, getattr(error, "sqlstate", _GONE))
            raise
        failure = session.failure
        if failure is not None or kind in _ENDS:
            self._tell(kind, known, began, start, failure.sqlstate if failure is not None else None)
        elif kind in _LEADS:
            self._lead += time.perf_counter() - start
        else:
            self._lead = 0.0

    async def refuse(self, error: RemoteProtocolError) -> None:
        """A message that was well framed and made no sense."""
        await self._session.refuse(error)

    def _tell(self, kind: type[object], known: float | None, began: int, start: float, sqlstate: str | None) -> None:
        client, lead = self._session.backend, self._lead
        self._lead = 0.0
        # A message that failed before there was a statement says nothing of the one before it.
        text = client.query if client.query_start != known else ""
        found = _TRACEPARENT.search(text) if "traceparent" in text else None
        self._telemetry.statement(StatementEvent(
            kind=kind.__name__, client=client, text=text, began=began - round(lead * 1e9),
            seconds=lead + time.perf_counter() - start, rows=client.rows if text else 0, sqlstate=sqlstate,
            traceparent=found[1] if found is not None else None))


__all__ = ["Observed"]
