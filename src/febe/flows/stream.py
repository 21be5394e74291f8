"""Rows in batches of bounded size, through a portal (manual: "Extended Query", Execute with a row limit)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from febe.flows.answer import Answer, ask, converse, settle
from febe.flows.arrow import table
from febe.flows.compose import Sql, settled
from febe.flows.errors import EncodeError
from febe.flows.infer import learn
from febe.flows.many import ready
from febe.flows.part import Closed, Part, end
from febe.flows.pipeline import Pipeline
from febe.flows.prepare import Statement
from febe.flows.result import Result
from febe.flows.session import Session
from febe.flows.watch import Operation
from febe.protocol.extended import Close, Execute, Flush, PortalSuspended, Sync
from febe.protocol.states import State

_SYNC = Sync().encode()
_FLUSH = Flush().encode()


class Batches:
    """One run of a statement, its rows taken batch by batch.

    In a transaction block the portal has a name and outlives Sync, so that other requests may come between two batches.
    Outside of one Sync would end it: nothing else is asked on the connection until the last batch, unless by the same
    `flight`, which has one Sync at its end.
    """

    def __init__(self, session: Session, what: Sql | Statement, args: tuple[object, ...], size: int,
                 reader: Callable[[Any, Any], Any] | None = None, flight: Pipeline | None = None) -> None:
        if size < 1:
            raise ValueError("a batch holds at least one row")
        self.session = session
        self.what: str | Statement
        if isinstance(what, Statement):
            self.what, self.args = what, args
        else:
            self.what, self.args = settled(what, args)
        self.size = size
        self.reader = reader
        self.flight = flight
        self.columns: tuple[Any, ...] = ()
        self.result = Result("")
        self._statement: Statement
        self._bind = b""
        self._tells = False
        self._seen: Operation | None = None
        self._portal = ""
        self._is_open = False
        self._holds = False
        self._ended = False

    async def open(self) -> None:
        """Describe the statement if that is needed; it runs with the first batch.  Errors: PostgresError."""
        if self.session.watch is not None:
            text = self.what if isinstance(self.what, str) else self.what.sql
            self._seen = self.session.watch.begin("query", text, has_values=not self.args)
            self._seen.event.rows = 0
        try:
            if self.flight is None:
                await self._make_ready()
            else:
                async with self.flight.turn(self):
                    self._statement, self._bind = await self.flight.bound(self.what, self.args, b"")
        except BaseException as error:
            self._end(error)
            raise
        self.columns = tuple(self._statement.columns)

    async def _make_ready(self) -> None:
        what = self.what
        while True:
            self._statement = await ready(self.session, what, self.args)
            try:
                self._bind = self._statement.bind(self.args, b"")
            except EncodeError as unfit:
                await learn(self.session, self._statement, self.args, unfit)
                what = self._statement
            else:
                return

    async def next(self) -> Any:
        """The next batch, empty when there is none.  Errors: PostgresError, DecodeError."""
        if self._ended:
            return []
        if self.flight is None and not self._holds:
            await self.session.admission()
        try:
            if self.flight is None:
                answer = await self._next()
            else:
                async with self.flight.turn(self):
                    answer = await self._next()
        except BaseException as error:
            self._ended = True
            if self._tells:  # whether the server has it now is not known
                self._statement.forget()
            self._end(error)
            await self.close()
            raise
        batch = (answer.rows or []) if answer.builder is None else table(answer.builder, answer.rows)
        if self._seen is not None:
            self._seen.event.rows = (self._seen.event.rows or 0) + len(batch)
        if self._ended:
            await self.close()
        return batch

    async def _next(self) -> Part | _Portion:
        session, out = self.session, b""
        states: tuple[State, ...] = (State.EXECUTE,)
        if not self._is_open:
            named = self.flight is not None or session.core.transaction_status == "T"
            self._portal = session.new_name() if named else ""
            out, states = self._bound(), (State.BIND, State.EXECUTE)
            if not self._statement.is_known:
                out, states = self._statement.parse + out, (State.PARSE, *states)
                self._statement.is_known = bool(self._statement.name)
                self._tells = True
            if not named:
                session.hold()
                self._holds = True
            self._is_open = True
        out += Execute(portal=self._portal, maximum_rows=self.size).encode()
        in_flight = self._holds or self.flight is not None
        answer = (Part if in_flight else _Portion)(session, self._statement.decode)
        answer.columns = self._statement.columns
        if self.reader is not None:
            answer.builder = self.reader(session.types, self._statement.columns)
            answer.decode = answer.builder.feed
        if in_flight:
            ask(session, states, out + _FLUSH, answer)
            await settle(session, answer)
        else:
            await converse(session, (*states, State.SYNC), out + _SYNC, answer)
        if not answer.suspended or answer.error is not None:
            self._ended = True
        answer.check()
        self._tells = False
        if self._ended:
            self.result = Result(answer.tag, (), self.columns)
        return answer

    async def close(self) -> None:
        """Give the portal back, whether it was read to its end or not."""
        session = self.session
        self._end()
        if not self._is_open:
            return
        self._is_open, self._ended = False, True
        close = Close(kind="P", name=self._portal).encode()
        if self.flight is not None:
            if self.flight.goes_on:
                async with self.flight.turn(self):
                    ask(session, (State.CLOSE,), close, Closed(session, None))
        elif self._holds:
            self._holds = False
            try:
                if not session.is_closed:
                    await end(session)
            finally:
                session.release()
        elif not session.is_closed:
            await session.admission()
            await converse(session, (State.CLOSE, State.SYNC), close + _SYNC, Answer(session, None))

    def _end(self, error: BaseException | None = None) -> None:
        if self._seen is not None:
            self._seen.end(error)

    def _bound(self) -> bytes:
        if not self._portal:
            return self._bind
        # The portal's name stands first in the body.
        name, out = self._portal.encode(), self._bind
        return b"B" + (len(out) - 1 + len(name)).to_bytes(4, "big") + name + out[5:]


class _Portion(Answer):
    """The answer to one batch that ends with Sync."""

    suspended = False

    def _suspended(self, _: PortalSuspended) -> None:
        self.suspended = True


__all__ = ["Batches"]
