"""Requests with a shared fate: one flight, one Sync, all or none (manual: "Pipelining")."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

from febe.flows.answer import ask, settle
from febe.flows.errors import EncodeError
from febe.flows.infer import chosen, learn
from febe.flows.introspect import introspect
from febe.flows.part import Part, Skipped, end, is_interruption
from febe.flows.prepare import Statement, cached
from febe.flows.query import Give
from febe.flows.session import Session
from febe.flows.watch import Operation
from febe.protocol.errors import Error
from febe.protocol.extended import Describe, Execute, Flush, NoData, Parse
from febe.protocol.simple import RowDescription
from febe.protocol.states import State

T = TypeVar("T")

_EXECUTE = Execute(portal="", maximum_rows=0).encode()
_FLUSH = Flush().encode()


class Reply(Generic[T]):
    """What a request of a pipeline is going to give."""

    def __init__(self, what: str | Statement, args: tuple[object, ...], give: Give[T]) -> None:
        self.what = what
        self.args = args
        self.give = give
        self.part: Part | None = None
        self.error: BaseException | None = None

    def result(self) -> T:
        """The result, when the pipeline has ended.  Errors: those of the request; Skipped; Error before the end."""
        if self.error is not None:
            raise self.error
        if self.part is None or not self.part.complete:
            raise Error("the pipeline has not ended yet")
        self.part.check()
        return self.give.make(self.part)


class Described(Part):
    """The answer to Parse and Describe within a flight."""

    def _row_description(self, event: RowDescription) -> None:
        self.columns = event.columns
        self._done()

    def _no_data(self, _: NoData) -> None:
        self._done()


class Pipeline:
    """One flight.  Requests wait until its end, or until a stream or a COPY has its turn, which they go ahead of.

    What goes out before the end has the session to itself until then.  Whatever fails, fails all.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.replies: list[Reply[Any]] = []
        self.failed: BaseException | None = None
        self._sent = 0
        self._holds = False
        self._is_over = False
        self._copies: object = None
        self._told: list[Statement] = []
        self._seen: Operation | None = None

    @asynccontextmanager
    async def turn(self, who: object, *, copies: bool = False) -> AsyncIterator[None]:
        """Go on with the flight, after what was asked before.

        With `copies`, `who` is going to have turns until `done`, and no one else has one in between: nothing else can
        be answered during a COPY.  Errors: Error when there is no turn; the one that has failed the flight.
        """
        if self._is_over:
            raise Error("the pipeline has ended")
        if self._copies not in (None, who):
            raise Error("the pipeline is in the middle of a COPY: finish it first")
        if self.failed is not None:
            raise Skipped("it was not run: what came before it in the same pipeline failed") from self.failed
        try:
            if self._copies is None:
                await self._begin()
                await self._send_all()
            if copies:
                self._copies = who
            yield
        except BaseException as error:
            first = self._first_error() if isinstance(error, Skipped) else None
            self.failed = first or error
            if first is not None:
                raise first from None
            raise

    def done(self, who: object) -> None:
        """The COPY is over."""
        if self._copies is who:
            self._copies = None

    @property
    def goes_on(self) -> bool:
        """More may be said in it, and would be heard."""
        return (not self._is_over and self.failed is None and self._copies is None and not self.session.is_closed
                and self.session.core.state is not State.SKIPPING)

    async def statement(self, what: str | Statement, args: tuple[object, ...] = ()) -> Statement:
        """The statement of SQL for these values, described within the flight.  Errors: PostgresError."""
        statement = self.session.statements.get(what) or cached(self.session, what) if isinstance(what, str) else what
        if statement.open:
            statement = chosen(self.session, statement, args)
        if not statement.ready:
            await _describe(self.session, statement)
        return statement

    async def bound(self, what: str | Statement, args: tuple[object, ...], trailer: bytes) -> tuple[Statement, bytes]:
        """The statement of SQL, and Bind with what follows it.  Errors: PostgresError, EncodeError."""
        while True:
            statement = await self.statement(what, args)
            try:
                return statement, statement.bind(args, trailer)
            except EncodeError as unfit:
                await learn(self.session, statement, args, unfit, in_flight=True)
                what = statement

    async def end(self, error: BaseException | None = None) -> None:
        """Say what was not said yet, then Sync, and read all the answers; with `error` nothing is to stay.

        Errors: that of the first request that fails; nothing has been done then, unless a transaction block was open.
        """
        if self._is_over:
            return
        self._is_over = True
        if not self._holds and (error is not None or not self.replies):
            return
        await self._begin()
        failure = error or self.failed
        try:
            if failure is None:
                failure = await self._finish()
            else:
                await self._refuse(failure)
        except BaseException as caught:
            failure = caught
            raise
        finally:
            self.session.release()
            if failure is not None:
                for statement in self._told:  # whether the server has them now is not known
                    statement.forget()
            if self._seen is not None:
                self._seen.event.size = len(self.replies)
                self._seen.end(failure)
        if error is None and failure is not None:
            raise failure

    async def _finish(self) -> BaseException | None:
        """Say the rest, and Sync; what failed."""
        failure: BaseException | None = None
        try:
            await self._send_all()
        except BaseException as error:
            await self._refuse(error)
            if not isinstance(error, Exception):
                raise
            failure = error
        else:
            try:
                await end(self.session)
            except Error as error:
                failure = error
        return self._first_error() or failure

    async def _refuse(self, error: BaseException) -> None:
        """Have nothing of it stay."""
        for reply in self.replies[self._sent:]:
            reply.error = Skipped("it was not sent: what came before it in the same pipeline failed")
        with suppress(Error):  # why it failed is known, and told
            await end(self.session, refuse=True, wait=not is_interruption(error))

    async def _begin(self) -> None:
        if not self._holds:
            await self.session.admission()
            self.session.hold()
            self._holds = True
            if self.session.watch is not None:
                self._seen = self.session.watch.begin("pipeline")

    async def _send_all(self) -> None:
        while self._sent < len(self.replies):
            reply = self.replies[self._sent]
            self._sent += 1
            try:
                await self._send(reply)
            except BaseException as error:
                reply.error = error if isinstance(error, Exception) else Skipped("it was interrupted")
                raise

    async def _send(self, reply: Reply[Any]) -> None:
        session = self.session
        statement, out = await self.bound(reply.what, reply.args, _EXECUTE)
        states: tuple[State, ...] = (State.BIND, State.EXECUTE)
        if not statement.is_known:
            out = statement.parse + out
            states = (State.PARSE, *states)
            statement.is_known = bool(statement.name)
            self._told.append(statement)
        part = Part(session, statement.decode, reply.give.one)
        part.columns = statement.columns
        part.tagged = True
        reply.part = part
        if session.core.state is State.SKIPPING:
            part.is_skipped = part.complete = True
            return
        if statement.copies_in:  # what follows would be taken for its data
            part.is_beginning = True
            ask(session, states, out + _FLUSH, part)
            await settle(session, part)
        else:
            ask(session, states, out, part)

    def _first_error(self) -> BaseException | None:
        """What failed first of the requests."""
        for reply in self.replies:
            if reply.error is not None:
                return reply.error
            if reply.part is not None and reply.part.complete:
                try:
                    reply.part.check()
                except Exception as error:
                    return error
        return None


async def _describe(session: Session, statement: Statement) -> None:
    """Parse and describe within the flight, which goes on: what it did before may be what the statement is about."""
    name = session.new_name() if statement.keep and session.pooled is False else ""
    out = Parse(statement=name, query=statement.sql, parameter_types=list(statement.declared)).encode()
    out += Describe(kind="S", name=name).encode() + _FLUSH
    if session.core.state is State.SKIPPING:
        raise Skipped("it was not sent: what came before it in the same pipeline failed")
    described = Described(session, None)
    described.columns = []
    ask(session, (State.PARSE, State.DESCRIBE_STATEMENT), out, described)
    await settle(session, described)
    described.check()
    oids = [*described.parameter_types, *[column.type_oid for column in described.columns]]
    await introspect(session, oids, in_flight=True)
    statement.is_known = bool(name)
    statement.described(session.types, name, described.parameter_types, described.columns)


__all__ = ["Pipeline", "Reply"]
