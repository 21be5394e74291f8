"""The clocks of a session: statement_timeout, transaction_timeout, idle_session_timeout and
idle_in_transaction_session_timeout (manual: "Statement Behavior")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from febe.server.parameters import milliseconds

IDLE = ("terminating connection due to idle-session timeout", "57P05")
IDLE_IN_TRANSACTION = ("terminating connection due to idle-in-transaction timeout", "25P03")
TRANSACTION = ("terminating connection due to transaction timeout", "25P04")
STATEMENT = "canceling statement due to statement timeout"


class Timeouts:
    """Started and stopped by the session as it works and rests.

    `value` gives a parameter's value, `cancel` stops what runs, and `end` ends the connection with a text and an
    SQLSTATE.  `expired` says that the statement that runs was stopped by its clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, value: Callable[[str], str],
                 cancel: Callable[[], object], end: Callable[[str, str], object]) -> None:
        self._loop = loop
        self._value = value
        self._cancel = cancel
        self._end = end
        self._statement: asyncio.TimerHandle | None = None
        self._transaction: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.expired = False

    def works(self) -> None:
        """A message has come."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._statement is None:
            self.expired = False
            self._statement = self._start("statement_timeout", self._stop_statement)
        if self._transaction is None:
            self._transaction = self._start("transaction_timeout", self._end, *TRANSACTION)

    def statement_done(self) -> None:
        """A statement has ended, and another one may follow before the session rests."""
        if self._statement is not None:
            self._statement.cancel()
            self._statement = None

    def next_statement(self) -> None:
        """As `statement_done`, and another one of the same query string may begin."""
        self.statement_done()
        self.works()

    def rests(self, status: str) -> None:
        """ReadyForQuery is said with this status."""
        self.statement_done()
        if status == "I":
            if self._transaction is not None:
                self._transaction.cancel()
                self._transaction = None
            self._idle = self._start("idle_session_timeout", self._end, *IDLE)
        else:
            self._idle = self._start("idle_in_transaction_session_timeout", self._end, *IDLE_IN_TRANSACTION)

    def close(self) -> None:
        """The session is over."""
        for timer in (self._statement, self._transaction, self._idle):
            if timer is not None:
                timer.cancel()

    def _start(self, name: str, call: Callable[..., object], *args: str) -> asyncio.TimerHandle | None:
        value = self._value(name)
        return self._loop.call_later(milliseconds(value) / 1000, call, *args) if value != "0" else None

    def _stop_statement(self) -> None:
        self.expired = True
        self._cancel()


__all__ = ["STATEMENT", "Timeouts"]
