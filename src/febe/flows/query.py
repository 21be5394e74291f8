"""Running statements."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from febe.flows.answer import Answer, converse
from febe.flows.compose import Sql, settled
from febe.flows.errors import EncodeError
from febe.flows.infer import chosen, learn, undetermined
from febe.flows.into import Make
from febe.flows.introspect import introspect
from febe.flows.prepare import KNOWN, TOLD, Flight, Statement, cached, decoder, describe, discard
from febe.flows.result import Result
from febe.flows.session import Session
from febe.protocol.errors import PostgresError
from febe.protocol.simple import CommandComplete, EmptyQueryResponse, Query, RowDescription
from febe.protocol.states import State
from febe.types.styles import styled

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Flow: TypeAlias = "Coroutine[Any, Any, T]"


def is_stale(error: PostgresError) -> bool:
    """The server no longer has the statement in the form in which it was described.

    That is 26000 after DEALLOCATE or DISCARD, and "cached plan must not change result type" after a change of a table
    (plancache.c, RevalidateCachedQuery), which shares 0A000 with much else; servers that are no PostgreSQL may name no
    routine.
    """
    return error.sqlstate == "26000" or (error.sqlstate == "0A000" and error.routine in (None, "RevalidateCachedQuery"))


@dataclass(slots=True)
class Give(Generic[T_co]):
    """What is made of an answer; `one` when it needs the first row only, `tagged` when it needs the command tag."""

    make: Callable[[Answer], T_co]
    one: bool = False
    tagged: bool = False
    reader: Callable[[Any, Any], Any] | None = None
    """Makes what reads the rows of these types and columns, where they are not to become tuples."""


def _made(answer: Answer, make: Make[T] | None) -> list[T]:
    rows: list[Any] = answer.rows or []
    if make is None or not rows:
        return rows
    made = make(tuple(column.name for column in answer.columns))
    return [made(row) for row in rows]


def all_rows(make: Make[T] | None = None) -> Give[list[T]]:
    """What `fetch` gives."""
    return ALL if make is None else Give(lambda answer: _made(answer, make))


def first_row(make: Make[T] | None = None) -> Give[T | None]:
    """What `fetchrow` gives."""
    return FIRST if make is None else Give(lambda answer: next(iter(_made(answer, make)), None), one=True)


ALL: Give[Any] = Give(lambda answer: answer.rows or [])
FIRST: Give[Any] = Give(lambda answer: answer.rows[0] if answer.rows else None, one=True)
# A row may have no columns.
VALUE: Give[Any] = Give(lambda answer: next(iter(answer.rows[0]), None) if answer.rows else None, one=True)
RESULT = Give(lambda answer: Result(answer.tag, answer.rows or [], answer.columns), tagged=True)


def run(session: Session, what: Sql | Statement, args: tuple[object, ...], give: Give[T]) -> Flow[T]:
    """Run SQL by way of the statement cache, or a prepared statement, and return what `give` makes of the answer.

    No row limit is sent where one row is wanted: the statement runs to its end as it does otherwise, and may run in
    parallel.  A statement that went stale is described again and run once more, unless the error has failed a
    transaction.  Errors: PostgresError, EncodeError, DecodeError, NotSupported; the session goes on.
    """
    if not isinstance(what, str) and not isinstance(what, Statement):
        what, args = settled(what, args)
    return (_run if session.watch is None else _watched)(session, what, args, give)


async def _watched(session: Session, what: str | Statement, args: tuple[object, ...], give: Give[T]) -> T:
    assert session.watch is not None
    text = what if isinstance(what, str) else what.sql
    with session.watch.operation("query", text, has_values=not args) as seen:
        def make(answer: Answer) -> T:
            made = give.make(answer)
            seen.tag = answer.tag
            if answer.builder is None:
                seen.rows = len(answer.rows or ())
            elif hasattr(made, "batches"):  # an Arrow table
                seen.rows = sum(map(len, made.batches))
            return made

        return await _run(session, what, args, replace(give, make=make))


async def _run(session: Session, what: str | Statement, args: tuple[object, ...], give: Give[T]) -> T:
    again = True
    while True:
        if isinstance(what, str):
            statement = session.statements.get(what)
            if statement is None:
                statement = cached(session, what)
        else:
            statement = what
        if statement is not session.latest:
            session.used(statement)
        if statement.open:
            statement = chosen(session, statement, args)
        if session.held_by is not None:
            await session.admission()
        while not statement.ready:
            if len(args) > _MOST_PARAMETERS:
                raise EncodeError(f"a statement takes at most {_MOST_PARAMETERS} parameters, {len(args)} given")
            try:
                await describe(session, statement)
            except PostgresError as refused:
                undetermined(session, statement, args, refused)
                statement = chosen(session, statement, args)
        answer = Flight(session, statement, one=give.one, tagged=give.tagged, reader=give.reader)
        try:
            out = statement.request(args)
        except EncodeError as unfit:
            await learn(session, statement, args, unfit)
            what = statement  # the cache may be off
            continue
        states = KNOWN if answer.brief else TOLD
        if statement.copies_in:
            async with session.alone():
                await converse(session, states, out, answer)
        else:
            await converse(session, states, out, answer)
        error = answer.error
        if error is None:
            if answer.failure is not None:
                raise answer.failure
            return give.make(answer)
        # Once bound, the error is that of something else which the statement itself did.
        if not answer.bound and (is_stale(error) or (not answer.brief and error.sqlstate == "08P01")):
            discard(session, statement)
            if again and answer.status == "I":
                again = False
                continue
            error.add_note("febe: the statement was prepared before the change and is prepared anew when it is next "
                           "run; inside a transaction that cannot be done in silence, because the error has failed it")
        answer.check()


class Script(Answer):
    """The answer to a query string: a result for each statement.

    Rows with types that are not known yet wait in `waiting`: the catalog can be asked only after the answer.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session, None)
        self.results: list[Result] = []
        self.waiting: list[tuple[Result, list[bytes]]] = []
        self._kept: list[bytes] = []

    def _row_description(self, event: RowDescription) -> None:
        self.columns = event.columns
        self.rows = None
        if self.is_abandoned:
            return
        if self.session.types.unknown([column.type_oid for column in event.columns]):
            self.decode = self._keep
        else:
            self.decode = decoder(styled(self.session.types, self.session.parameters), event.columns)

    def _keep(self, data: bytes, start: int, end: int) -> list[Any]:
        self._kept.append(data[start:end])
        return []

    def _command_complete(self, event: CommandComplete) -> None:
        super()._command_complete(event)
        self._next()

    def _empty_query(self, event: EmptyQueryResponse) -> None:
        super()._empty_query(event)
        self._next()

    def _next(self) -> None:
        self.results.append(Result(self.tag, self.rows or [], self.columns))
        if self._kept:
            self.waiting.append((self.results[-1], self._kept))
            self._kept = []
        self.rows, self.decode, self.columns = None, None, []

    async def settle_types(self) -> None:
        """Look up the types that were not known, and read the rows that waited.  Errors: DecodeError."""
        session = self.session
        await introspect(session, [column.type_oid for result, _ in self.waiting for column in result.columns])
        types = styled(session.types, session.parameters)
        for result, kept in self.waiting:
            self.columns = list(result.columns)
            self.rows, self.decode = None, decoder(types, self.columns)
            for data in kept:
                self._rows(data, 0, len(data))
            result.rows = self.rows or []
            if self.failure is not None:
                raise self.failure


async def script(session: Session, sql: str) -> list[Result]:
    """Run a query string, which may hold several statements, and return the result of each."""
    if session.watch is None:
        return await _script(session, sql)
    with session.watch.operation("query", sql, has_values=True) as seen:
        results = await _script(session, sql)
        seen.tag, seen.rows = str(results[-1]), sum(len(result.rows) for result in results)
        return results


async def _script(session: Session, sql: str) -> list[Result]:
    if session.held_by is not None:
        await session.admission()
    answer = Script(session)
    answer.is_rollback = sql.startswith("ROLLBACK")
    out = Query(query=sql).encode()
    if "stdin" in sql.lower():  # data that follows would be taken for its own
        async with session.alone():
            await converse(session, _QUERY, out, answer)
    else:
        await converse(session, _QUERY, out, answer)
    answer.check()
    if answer.waiting:
        await answer.settle_types()
    return answer.results


async def last(session: Session, sql: str) -> Result:
    """The result of the last statement of a query string; it knows the others'."""
    given = await script(session, sql)
    given[-1].results = tuple(given)
    return given[-1]


# Plain functions: a coroutine around another would cost on every resumption.

def fetch(session: Session, what: Sql | Statement, args: tuple[object, ...], make: Make[T] | None = None
          ) -> Flow[list[T]]:
    """All rows."""
    return run(session, what, args, ALL if make is None else all_rows(make))


def fetchrow(session: Session, what: Sql | Statement, args: tuple[object, ...], make: Make[T] | None = None
             ) -> Flow[T | None]:
    """The first row, or None; the rest is read and dropped."""
    return run(session, what, args, FIRST if make is None else first_row(make))


def fetchval(session: Session, what: Sql | Statement, args: tuple[object, ...]) -> Flow[Any]:
    """The first value of the first row, or None."""
    return run(session, what, args, VALUE)


def execute(session: Session, what: Sql | Statement, args: tuple[object, ...]) -> Flow[Result]:
    """The result; SQL without parameters is a simple query and may be several statements, the last of which counts."""
    if args or isinstance(what, Statement):
        return run(session, what, args, RESULT)
    if not isinstance(what, str):
        what, args = settled(what, args)
        if args:
            return run(session, what, args, RESULT)
    return last(session, what)


_QUERY = (State.QUERY,)
_MOST_PARAMETERS = 65535
"""What 16 bits hold; more are described with a wrong number (postgres.c, exec_describe_statement_message)."""

__all__ = ["ALL", "FIRST", "RESULT", "VALUE", "Flow", "Give", "all_rows", "execute", "fetch",
           "fetchrow", "fetchval", "first_row", "is_stale", "run", "script"]
