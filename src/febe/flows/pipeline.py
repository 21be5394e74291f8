"""Requests with a shared fate: one flight, one Sync, all or none (manual: "Pipelining")."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from febe.flows.answer import ask, settle
from febe.flows.errors import EncodeError
from febe.flows.introspect import introspect
from febe.flows.part import Part, Skipped, end
from febe.flows.prepare import Statement, cached
from febe.flows.query import Give
from febe.flows.session import Session
from febe.flows.watch import watching
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


async def run(session: Session, replies: list[Reply[Any]]) -> None:
    """Send requests in one flight and read all their answers.

    Errors: that of the first request that fails; nothing has been done then, unless a transaction block was open.
    """
    if not replies:
        return
    with watching(session, "pipeline", size=len(replies)):
        await _run(session, replies)


async def _run(session: Session, replies: list[Reply[Any]]) -> None:
    failed: BaseException | None = None
    async with session.alone():
        for reply in replies:
            if failed is None:
                failed = await _send(session, reply)
            if failed is not None and reply.part is None:
                reply.error = Skipped("it was not sent: what came before it in the same pipeline failed")
        if failed is not None and session.core.state is not State.SKIPPING:
            # Sync would commit what was sent before.
            ask(session, (State.EXECUTE,), _REFUSED, Part(session, None))
        try:
            await end(session)
        except Error as error:
            failed = failed or error
    for reply in replies:
        if reply.part is not None and reply.part.complete:
            reply.part.check()
    if failed is not None:
        raise failed


_REFUSED = Execute(portal="febe: stopped by the frontend", maximum_rows=0).encode()


async def _send(session: Session, reply: Reply[Any]) -> BaseException | None:
    what = reply.what
    statement = session.statements.get(what) or cached(session, what) if isinstance(what, str) else what
    if not statement.ready:
        error = await _describe(session, statement)
        if error is not None:
            reply.error = error
            return error
    try:
        out = statement.bind(reply.args, _EXECUTE)
    except EncodeError as error:
        reply.error = error
        return error
    states: tuple[State, ...] = (State.BIND, State.EXECUTE)
    if not statement.is_known:
        out = statement.parse + out
        states = (State.PARSE, *states)
        statement.is_known = bool(statement.name)
    part = Part(session, statement.decode, reply.give.one)
    part.columns = statement.columns
    part.tagged = True
    if session.core.state is State.SKIPPING:
        part.is_skipped = part.complete = True
    else:
        ask(session, states, out, part)
    reply.part = part
    return None


async def _describe(session: Session, statement: Statement) -> BaseException | None:
    """Parse and describe within the flight, which goes on: what it did before may be what the statement is about."""
    name = session.new_name() if statement.keep and session.pooled is False else ""
    out = Parse(statement=name, query=statement.sql, parameter_types=[]).encode()
    out += Describe(kind="S", name=name).encode() + _FLUSH
    if session.core.state is State.SKIPPING:
        return Skipped("it was not sent: what came before it in the same pipeline failed")
    described = Described(session, None)
    described.columns = []
    ask(session, (State.PARSE, State.DESCRIBE_STATEMENT), out, described)
    await settle(session, described)
    try:
        described.check()
        oids = [*described.parameter_types, *[column.type_oid for column in described.columns]]
        await introspect(session, oids, in_flight=True)
    except Error as error:
        return error
    statement.is_known = bool(name)
    statement.described(session.types, name, described.parameter_types, described.columns)
    return None


__all__ = ["Reply", "run"]
