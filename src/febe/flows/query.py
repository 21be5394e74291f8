"""Running statements."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from febe._kernel.row import Row
from febe.flows.answer import Answer, converse
from febe.flows.errors import EncodeError
from febe.flows.prepare import Statement, cached, describe, discard
from febe.flows.session import Session
from febe.protocol.errors import PostgresError
from febe.protocol.extended import Sync
from febe.protocol.simple import Query
from febe.protocol.states import State

T = TypeVar("T")
Flow: TypeAlias = "Coroutine[Any, Any, T]"

_IDLE = State.IDLE  # see protocol/connection.py
_ANSWERS = (State.BIND, State.EXECUTE, State.SYNC)


def is_stale(error: PostgresError) -> bool:
    """The server no longer has the statement in the form in which it was described.

    That is 26000 after DEALLOCATE or DISCARD, and "cached plan must not change result type" after a change of a table
    (plancache.c, RevalidateCachedQuery), which shares 0A000 with much else; servers that are no PostgreSQL may name no
    routine.
    """
    return error.sqlstate == "26000" or (error.sqlstate == "0A000" and error.routine in (None, "RevalidateCachedQuery"))


def all_rows(answer: Answer) -> list[Row]:
    """What `fetch` gives."""
    return answer.rows or []


def first_row(answer: Answer) -> Row | None:
    """What `fetchrow` gives."""
    return answer.rows[0] if answer.rows else None


def first_value(answer: Answer) -> Any:
    """What `fetchval` gives; a row may have no columns."""
    return next(iter(answer.rows[0]), None) if answer.rows else None


def command_tag(answer: Answer) -> str:
    """What `execute` gives."""
    return answer.tag


async def run(session: Session, what: str | Statement, args: tuple[object, ...], give: Callable[[Answer], T]) -> T:
    """Run SQL by way of the statement cache, or a prepared statement, and return what `give` makes of the answer.

    No row limit is sent where one row is wanted: the statement runs to its end as it does otherwise, and may run in
    parallel.  A statement that went stale is prepared again and run once more, unless that would happen inside a
    transaction, which the error has ended.  Errors: PostgresError, EncodeError, DecodeError, NotSupported; the session
    goes on.
    """
    core = session.core
    again = True
    while True:
        statement = session.statements.get(what) if isinstance(what, str) else what
        if statement is None:
            statement = what = await cached(session, what)  # type: ignore[arg-type]
            again = False
        elif statement is not session.latest:
            session.used(statement)
        if not statement.ready:
            await describe(session, statement)
            again = False
        if core.state is not _IDLE:
            raise session.unusable()
        status = core.transaction_status
        try:
            out = statement.request(args)
        except EncodeError:
            if not statement.name:
                await converse(session, core.send(Sync()), Answer(session, None))
            raise
        answer = Answer(session, None if give is command_tag else statement.decode, give is not all_rows)
        answer.columns = statement.columns
        await converse(session, core.send_requests(_ANSWERS, out), answer)
        error = answer.error
        if error is None:
            if answer.failure is not None:
                raise answer.failure
            return give(answer)
        # Once bound, the error is that of something else which the statement itself did.
        if not answer.bound and is_stale(error):
            discard(session, statement)
            if again and status == "I":
                continue
            error.add_note("febe: the statement was prepared before the change and is prepared anew when it is next "
                           "run; inside a transaction that cannot be done in silence, because the error has failed it")
        answer.check()


async def run_simple(session: Session, sql: str) -> str:
    """Run a query string, which may hold several statements; drop the rows and return the last command tag."""
    if session.core.state is not _IDLE:
        raise session.unusable()
    answer = Answer(session, None)
    await converse(session, session.core.send(Query(query=sql)), answer)
    answer.check()
    return answer.tag


# Plain functions: a coroutine around another would cost on every resumption.

def fetch(session: Session, what: str | Statement, args: tuple[object, ...]) -> Flow[list[Row]]:
    """All rows."""
    return run(session, what, args, all_rows)


def fetchrow(session: Session, what: str | Statement, args: tuple[object, ...]) -> Flow[Row | None]:
    """The first row, or None; the rest is read and dropped."""
    return run(session, what, args, first_row)


def fetchval(session: Session, what: str | Statement, args: tuple[object, ...]) -> Flow[Any]:
    """The first value of the first row, or None."""
    return run(session, what, args, first_value)


def execute(session: Session, what: str | Statement, args: tuple[object, ...]) -> Flow[str]:
    """The command tag, the rows dropped; SQL without parameters is a simple query and may be several statements."""
    if args or isinstance(what, Statement):
        return run(session, what, args, command_tag)
    return run_simple(session, what)


__all__ = ["execute", "fetch", "fetchrow", "fetchval", "is_stale", "run", "run_simple"]
