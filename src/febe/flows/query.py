"""Running statements."""

from __future__ import annotations

from typing import Any

from febe._kernel.row import Row
from febe.flows.answer import Answer, converse
from febe.flows.errors import EncodeError
from febe.flows.prepare import Statement, cached, describe, discard
from febe.flows.session import Session
from febe.protocol.errors import PostgresError
from febe.protocol.extended import Sync
from febe.protocol.simple import Query
from febe.protocol.states import State

_IDLE = State.IDLE  # see protocol/connection.py
_ANSWERS = (State.BIND, State.EXECUTE, State.SYNC)


def is_stale(error: PostgresError) -> bool:
    """The server no longer has the statement in the form in which it was described.

    That is 26000 after DEALLOCATE or DISCARD, and "cached plan must not change result type" after a change of a table
    (plancache.c, RevalidateCachedQuery), which shares 0A000 with much else.
    """
    return error.sqlstate == "26000" or (error.sqlstate == "0A000" and error.routine == "RevalidateCachedQuery")


async def run(session: Session, what: str | Statement, args: tuple[object, ...], rows: bool = True,
              one: bool = False) -> Answer:
    """Run SQL by way of the statement cache, or a prepared statement; rows are decoded if `rows`, the first if `one`.

    A statement that went stale is prepared again and run once more, unless that would happen inside a transaction,
    which the error has ended.  Errors: PostgresError, EncodeError, DecodeError, NotSupported; the session goes on.
    """
    core = session.core
    again = True
    while True:
        if isinstance(what, str):
            found = session.statement(what)
            if found is None:
                found = await cached(session, what)
                again = False
            statement = what = found
        else:
            statement = what
        if not statement.ready:
            await describe(session, statement)
            again = False
        if core.state is not _IDLE:
            raise session.unusable()
        in_transaction = core.transaction_status != "I"
        try:
            out = statement.request(args)
        except EncodeError:
            if not statement.name:
                await converse(session, core.send(Sync()), Answer(session, None))
            raise
        answer = Answer(session, statement.decode if rows else None, one)
        answer.columns = statement.columns
        await converse(session, core.send_requests(_ANSWERS, out), answer)
        error = answer.error
        if error is None:
            if answer.failure is not None:
                raise answer.failure
            return answer
        # Once bound, the error is that of something else which the statement itself did.
        if not answer.bound and is_stale(error):
            discard(session, statement)
            if again and not in_transaction:
                continue
            error.add_note("febe: the statement was prepared before the change and is prepared anew when it is next "
                           "run; inside a transaction that cannot be done in silence, because the error has failed it")
        answer.check()


async def fetch(session: Session, what: str | Statement, args: tuple[object, ...]) -> list[Row]:
    """All rows."""
    return (await run(session, what, args)).rows or []


async def fetchrow(session: Session, what: str | Statement, args: tuple[object, ...]) -> Row | None:
    """The first row, or None; the rest is read and dropped.

    No row limit is sent: the statement runs to its end as it does otherwise, and may run in parallel.
    """
    rows = (await run(session, what, args, one=True)).rows
    return rows[0] if rows else None


async def fetchval(session: Session, what: str | Statement, args: tuple[object, ...]) -> Any:
    """The first value of the first row, or None."""
    rows = (await run(session, what, args, one=True)).rows
    return next(iter(rows[0]), None) if rows else None


async def execute(session: Session, what: str | Statement, args: tuple[object, ...]) -> str:
    """Run, drop the rows, and return the command tag, the last one of several.

    SQL without parameters is a simple query, which may hold several statements; with them it is one statement.
    """
    if args or isinstance(what, Statement):
        return (await run(session, what, args, rows=False)).tag
    if session.core.state is not _IDLE:
        raise session.unusable()
    answer = Answer(session, None)
    await converse(session, session.core.send(Query(query=what)), answer)
    answer.check()
    return answer.tag


__all__ = ["execute", "fetch", "fetchrow", "fetchval", "is_stale", "run"]
