"""Answers to parts of a flight: what has no Sync of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from febe.flows.answer import Answer, settle
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.copy import CopyFail, CopyInResponse
from febe.protocol.errors import ConnectionLost, LocalProtocolError
from febe.protocol.extended import Execute, Flush, PortalSuspended, Sync
from febe.protocol.families import OperationalError
from febe.protocol.simple import CommandComplete, EmptyQueryResponse
from febe.protocol.states import State

if TYPE_CHECKING:
    from febe.flows.session import Session


_COPY_FAIL = CopyFail(reason="no COPY data comes from this program")
_REFUSED = Execute(portal="febe: stopped by the frontend", maximum_rows=0).encode()


class Skipped(OperationalError):
    """It was not run, because what came before it in the same pipeline failed."""


class Part(Answer):
    """The answer to so many runs of a statement; the first error fails it and every part after it."""

    is_part = True
    left = 1
    suspended = False
    is_skipped = False
    is_beginning = False
    """The server may be about to wait for COPY data."""
    is_ended_ahead = False
    """CopyFail and Sync were sent while that was not known."""

    def reply(self) -> bytes:
        """What to say in a state in which the server waits for us; the flight goes on."""
        if self.session.core.state is State.EXECUTE_COPY_IN:
            return self.session.core.send(_COPY_FAIL, Flush())
        return super().reply()

    def _copy_in(self, event: CopyInResponse) -> None:
        super()._copy_in(event)
        self._catch_up()

    def _catch_up(self) -> None:
        """Have the core take what was sent ahead for what it turns out to be: the end of this COPY."""
        core = self.session.core
        if self.is_ended_ahead:
            trace, core.trace = core.trace, None
            core.send(_COPY_FAIL, Sync())
            core.trace = trace

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

    def _done(self, count: int = 1) -> None:
        self.left -= count
        if not self.left:
            self.session.answers.popleft()
            self.finish()

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.is_skipped:
            raise Skipped("it was not run: what came before it in the same pipeline failed")
        super().check()
        if self.cut is not None:
            raise ConnectionLost(f"{self.cut}; whether the request was carried out is unknown") from self.cut


class Closed(Part):
    """The answer to Close within a flight."""

    def _nothing(self, _: object) -> None:
        self._done()


def is_interruption(error: BaseException) -> bool:
    """Nobody waits any more: a cancellation, Ctrl-C, or a time limit."""
    return not isinstance(error, Exception) or isinstance(error, TimeoutError)


async def end(session: Session, *, refuse: bool = False, wait: bool = True) -> None:
    """Say the Sync that ends a flight, and wait until it is answered; with `refuse` the flight has no effect.

    What is not waited for is read before the next answer.  Errors: PostgresError of a deferred check.
    """
    if session.is_over:
        raise session.unusable()
    core, answers, out = session.core, session.answers, b""
    try:
        if answers and isinstance(last := answers[-1], Part) and last.is_beginning:
            # CopyFail has no effect where no copy-in is under way; a Sync within one has none either.
            last.is_ended_ahead = wait = True  # nothing may follow before it is known what was ended
            out += core.send(_COPY_FAIL)
        if refuse and core.state is not State.SKIPPING:  # Sync would commit what has been done
            out += core.send_requests((State.EXECUTE,), _REFUSED)
        out += core.send(Sync())
    except LocalProtocolError:
        raise session.unusable() from None
    answer = Answer(session, None)
    answers.append(answer)
    session.port.write(out)
    if not wait:
        answer.abandon()
        return
    await settle(session, answer)
    if not refuse:
        answer.check()


__all__ = ["Closed", "Part", "Skipped", "end", "is_interruption"]
