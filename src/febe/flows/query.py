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

_ANSWERS = (State.BIND, State.EXECUTE, State.SYNC)


def is_stale(error: PostgresError) -> bool:
    """The server no longer has the statement in the form in which it was described.

    That is 26000 after DEALLOCATE or DISCARD, and "cached plan must not change result type" after a change of a table
    (plancache.c, RevalidateCachedQuery), which shares 0A000 with much else.
    """
    return error.sqlstate == "26000" or (error.sqlstate == "0A000" and error.routine == "RevalidateCachedQuery")


async def run(session: Session, statement: Statement, args: tuple[object, ...], *, rows: bool = True,
              one: bool = False) -> Answer:
    """Run a statement; rows are decoded if `rows`, only the first if `one`.

    A statement that went stale is prepared again and run once more, unless that would happen inside a transaction,
    which the error has ended.  Errors: PostgresError, EncodeError, DecodeError, NotSupported; the session goes on.
    """
    core = session.core
    again = True
    while True:
        if core.state is not State.IDLE:
            raise session.unusable()
        if not statement.ready:
            await describe(session, statement)
            again = False
        in_transaction = core.transaction_status != "I"
        try:
            out = statement.request(args)
        except EncodeError:
            if not statement.name:
                await converse(session, core.send(Sync()), Answer(session))
            raise
        answer = Answer(session, statement.decode if rows else None, one)
        answer.columns = statement.columns
        await converse(session, core.send_requests(_ANSWERS, out), answer)
        error = answer.error
        # Once bound, the error is that of something else which the statement itself did.
        if error is not None and not answer.bound and is_stale(error):
            discard(session, statement)
            if again and not in_transaction:
                continue
            error.add_note("febe: the statement was prepared before the change and is prepared anew when it is next "
                           "run; inside a transaction that cannot be done in silence, because the error has failed it")
        answer.check()
        return answer


async def fetch(session: Session, sql: str, args: tuple[object, ...]) -> list[Row]:
    """All rows of a statement."""
    return (await run(session, await cached(session, sql), args)).rows or []


async def fetchrow(session: Session, sql: str, args: tuple[object, ...]) -> Row | None:
    """The first row of a statement, or None; the rest is read and dropped.

    No row limit is sent: the statement runs to its end as it does otherwise, and may run in parallel.
    """
    rows = (await run(session, await cached(session, sql), args, one=True)).rows
    return rows[0] if rows else None


async def fetchval(session: Session, sql: str, args: tuple[object, ...]) -> Any:
    """The first value of the first row, or None."""
    rows = (await run(session, await cached(session, sql), args, one=True)).rows
    return next(iter(rows[0]), None) if rows else None


async def execute(session: Session, sql: str, args: tuple[object, ...]) -> str:
    """Run and return the command tag, the last one of several.

    Without parameters it is a simple query, which may hold several statements; with them it is one statement.
    """
    if args:
        return (await run(session, await cached(session, sql), args, rows=False)).tag
    if session.core.state is not State.IDLE:
        raise session.unusable()
    answer = Answer(session)
    await converse(session, session.core.send(Query(query=sql)), answer)
    answer.check()
    return answer.tag


async def fetch_prepared(session: Session, statement: Statement, args: tuple[object, ...]) -> list[Row]:
    """All rows of a prepared statement."""
    return (await run(session, statement, args)).rows or []


async def fetchrow_prepared(session: Session, statement: Statement, args: tuple[object, ...]) -> Row | None:
    """The first row of a prepared statement, or None."""
    rows = (await run(session, statement, args, one=True)).rows
    return rows[0] if rows else None


async def fetchval_prepared(session: Session, statement: Statement, args: tuple[object, ...]) -> Any:
    """The first value of a prepared statement's first row, or None."""
    rows = (await run(session, statement, args, one=True)).rows
    return next(iter(rows[0]), None) if rows else None


async def execute_prepared(session: Session, statement: Statement, args: tuple[object, ...]) -> str:
    """The command tag of a prepared statement, whose rows are read and dropped."""
    return (await run(session, statement, args, rows=False)).tag


__all__ = ["execute", "execute_prepared", "fetch", "fetch_prepared", "fetchrow", "fetchrow_prepared", "fetchval",
           "fetchval_prepared", "is_stale", "run"]
