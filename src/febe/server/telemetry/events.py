"""What there is to tell of a server, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from febe.server.activity import Backend

if TYPE_CHECKING:
    from febe.server.listener import Listener

logger = logging.getLogger("febe.server")


@dataclass(slots=True, kw_only=True)
class StatementEvent:
    """A statement, or a query string of several, that has been answered.

    `kind` is the message that ended it: `Query`, `Execute`, `FunctionCall`, or the one that failed.  `client` says
    whose it was.  `began` is the time of day in nanoseconds; `seconds` has the time of Parse and Bind in it.
    `sqlstate` is that of its error.  `traceparent` is what the client says about the trace that it belongs to (W3C
    Trace Context).
    """

    kind: str
    client: Backend
    text: str
    began: int
    seconds: float
    rows: int
    sqlstate: str | None = None
    traceparent: str | None = None


class Telemetry:
    """Somebody who is told; a subclass overrides what it wants to know.

    All but `started` and `stopped` are called in the event loop, and must not wait.
    """

    def started(self, listener: Listener) -> None:
        """The server listens.  Errors: OSError, which keeps it from starting."""

    def stopped(self) -> None:
        """The server has ended."""

    def opened(self, client: Backend) -> None:
        """A session has begun."""

    def closed(self, client: Backend) -> None:
        """It is over."""

    def refused(self, address: str | None, sqlstate: str) -> None:
        """Somebody was not let in."""

    def statement(self, event: StatementEvent) -> None:
        """A statement has been answered."""


class Several(Telemetry):
    """Tells each of several; what one raises is logged, and does no harm to the others."""

    def __init__(self, members: Sequence[Telemetry]) -> None:
        self._members = tuple(members)

    def started(self, listener: Listener) -> None:
        """Start each, or none."""
        begun: list[Telemetry] = []
        try:
            for member in self._members:
                member.started(listener)
                begun.append(member)
        except BaseException:
            for member in begun:
                member.stopped()
            raise

    def stopped(self) -> None:
        """Tell each."""
        self._tell(lambda member: member.stopped)

    def opened(self, client: Backend) -> None:
        """Tell each."""
        self._tell(lambda member: member.opened, client)

    def closed(self, client: Backend) -> None:
        """Tell each."""
        self._tell(lambda member: member.closed, client)

    def refused(self, address: str | None, sqlstate: str) -> None:
        """Tell each."""
        self._tell(lambda member: member.refused, address, sqlstate)

    def statement(self, event: StatementEvent) -> None:
        """Tell each."""
        self._tell(lambda member: member.statement, event)

    def _tell(self, method: Callable[[Telemetry], Callable[..., object]], *args: Any) -> None:
        for member in self._members:
            try:
                method(member)(*args)
            except Exception:
                logger.exception("%r failed", member)


__all__ = ["Several", "StatementEvent", "Telemetry"]
