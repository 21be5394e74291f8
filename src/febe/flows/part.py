"""Answers to parts of a flight: what has no Sync of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from febe.flows.answer import Answer, settle
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.errors import LocalProtocolError
from febe.protocol.extended import PortalSuspended, Sync
from febe.protocol.families import OperationalError
from febe.protocol.simple import CommandComplete, EmptyQueryResponse

if TYPE_CHECKING:
    from febe.flows.session import Session


class Skipped(OperationalError):
    """It was not run, because what came before it in the same pipeline failed."""


class Part(Answer):
    """The answer to so many runs of a statement; the first error fails it and every part after it."""

    is_part = True
    left = 1
    suspended = False
    is_skipped = False

    def _command_complete(self, event: CommandComplete) -> None:
        super()._command_complete(event)
        self._done()

    def _empty_query(self, event: EmptyQueryResponse) -> None:
        super()._empty_query(event)
        self._done()

    def _suspended(self, _: PortalSuspended) -> None:
        self.suspended = True
        self._done()

    def _error(self, event: ErrorResponse) -> None:
        super()._error(event)
        answers = self.session.answers
        answers.popleft()
        self.finish()
        while answers and isinstance(part := answers[0], Part):
            answers.popleft()
            part.is_skipped = True
            part.finish()

    def _done(self) -> None:
        self.left -= 1
        if not self.left:
            self.session.answers.popleft()
            self.finish()

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.is_skipped:
            raise Skipped("it was not run: what came before it in the same pipeline failed")
        super().check()


async def end(session: Session) -> None:
    """Send the Sync that ends a flight, and wait until it is answered.  Errors: PostgresError of a deferred check."""
    try:
        out = session.core.send(Sync())
    except LocalProtocolError:
        raise session.unusable() from None
    answer = Answer(session, None)
    session.answers.append(answer)
    session.port.write(out)
    await settle(session, answer)
    answer.check()


__all__ = ["Part", "Skipped", "end"]
