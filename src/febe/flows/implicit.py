"""Transaction blocks that begin with the first statement, as DB-API 2.0 has them (PEP 249, "Connection methods")."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from febe.flows.answer import ask, settle
from febe.flows.query import Script, is_stale, script
from febe.flows.session import Session
from febe.flows.transaction import TransactionRolledBack
from febe.protocol.errors import PostgresError
from febe.protocol.simple import Query
from febe.protocol.states import State

T = TypeVar("T")

PLAIN = "BEGIN"


async def within(session: Session, begin: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do `work` in the transaction block that is open, or in one that `begin` begins.

    A plain BEGIN cannot fail, so it goes out ahead of the first request and is not waited for.  A statement that went
    stale before the block had done anything begins it anew.  Errors: those of `begin` and of `work`.
    """
    if session.core.transaction_status != "I":
        return await work()
    for is_last in (False, True):
        try:
            return await _begun(session, begin, work)
        except PostgresError as error:
            if is_last or not is_stale(error):
                raise
            await script(session, "ROLLBACK")
    raise AssertionError


async def _begun(session: Session, begin: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    if begin != PLAIN:
        await script(session, begin)
        return await work()
    if session.held_by is not None:
        await session.admission()
    opening = Script(session)
    ask(session, (State.QUERY,), Query(query=begin).encode(), opening)
    try:
        done = await work()
    except Exception:
        if not opening.complete and not session.is_over:
            await settle(session, opening)
        if opening.error is not None:
            raise opening.error from None
        raise
    if not opening.complete:  # the work asked for nothing
        await settle(session, opening)
    opening.check()
    return done


async def finish(session: Session, sql: str) -> None:
    """End the transaction block, if one is open, by COMMIT, ROLLBACK or PREPARE TRANSACTION.

    Errors: PostgresError; TransactionRolledBack when it was not to be rolled back.
    """
    if session.core.transaction_status == "I" and not session.answers:
        return
    (done,) = await script(session, sql)
    if done == "ROLLBACK" != sql:
        raise TransactionRolledBack("the transaction was rolled back, because a statement in it had failed")


__all__ = ["PLAIN", "finish", "within"]
