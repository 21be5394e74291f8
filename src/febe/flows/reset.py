"""Bringing a session back to what it was when it began (manual: DISCARD)."""

from __future__ import annotations

from febe.flows.answer import Answer, ask
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.errors import ConnectionLost
from febe.protocol.simple import Query
from febe.protocol.states import State

# What DISCARD ALL does, without forgetting prepared statements and plans, which are the session's own cache.
RESET = ("CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
         "DISCARD TEMP; DISCARD SEQUENCES")


class _Answer(Answer):
    """The answer to the reset, which nobody waits for."""

    def _error(self, event: ErrorResponse) -> None:
        super()._error(event)
        self.session.lost(ConnectionLost(f"the connection could not be reset: {self.error}", retry_is_safe=True))


def reset(session: Session, sql: str) -> None:
    """Send what resets a session, after a ROLLBACK where one may be due, and do not wait: whatever is asked next comes
    after it.  A reset that fails ends the session.

    Errors: Error when nothing can be asked now.
    """
    in_block = session.core.transaction_status != "I" or session.blocks or session.answers
    ask(session, (State.QUERY,), Query(query=f"ROLLBACK; {sql}" if in_block else sql).encode(), _Answer(session, None))
    session.blocks.clear()


def is_at_rest(session: Session) -> bool:
    """Whether a request can follow: no stream, COPY or listener is left open."""
    return not (session.is_closed or session.held_by is not None or session.listeners)


__all__ = ["RESET", "is_at_rest", "reset"]
