"""One statement with many sets of parameters (manual: "Pipelining")."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from febe._kernel.errors import MalformedRow, ValueEncodeError
from febe._kernel.row import Row
from febe.flows.answer import ask, settle
from febe.flows.errors import EncodeError
from febe.flows.infer import chosen, learn, undetermined
from febe.flows.part import Part, end, is_interruption
from febe.flows.prepare import Statement, cached, describe
from febe.flows.result import rowcount
from febe.flows.session import Session
from febe.flows.watch import watching
from febe.protocol.errors import PostgresError
from febe.protocol.extended import Execute, Flush
from febe.protocol.simple import CommandComplete
from febe.protocol.states import State

_EXECUTE = Execute(portal="", maximum_rows=0).encode()
_FLUSH = Flush().encode()
_SIZE = 1000
"""Sets of parameters in one piece: the server begins while the next is made."""
_AHEAD = 10
"""So many pieces are on their way at a time."""

Many = Iterable[Any] | AsyncIterable[Any]


class Batch(Part):
    """The answer to one piece."""

    is_many = True

    def __init__(self, session: Session, statement: Statement, first: int, count: int, keep: bool) -> None:
        super().__init__(session, statement.decode if keep else None)
        self.columns = statement.columns
        self.first = first
        self.count = self.left = count
        self.affected = 0

    def many_at_once(self) -> bool:
        found = self.session.core.next_repeats(self.left)
        if found is None:
            return False
        count, tag = found
        self._tag(tag)
        self.affected += count * (rowcount(tag) or 0)
        self._done(count)
        return True

    def _command_complete(self, event: CommandComplete) -> None:
        self.affected += rowcount(event.tag) or 0
        super()._command_complete(event)


async def executemany(session: Session, what: str | Statement, many: Many) -> int:
    """Run a statement once for each set of parameters, all or none; how many rows it was in all.

    Errors: PostgresError, with a note that names the set; EncodeError; what the iterable raises.
    """
    return await _run(session, what, many, None)


async def fetchmany(session: Session, what: str | Statement, many: Many) -> list[Row]:
    """Run a statement once for each set of parameters, all or none, and return what rows they gave.

    Errors: as `executemany`.
    """
    rows: list[Row] = []
    await _run(session, what, many, rows)
    return rows


async def _run(session: Session, what: str | Statement, many: Many, rows: list[Row] | None) -> int:
    with watching(session, "query", what if isinstance(what, str) else what.sql) as seen:
        affected, size = await _run_all(session, what, many, rows)
        if seen is not None:
            seen.rows, seen.size = affected if rows is None else len(rows), size
        return affected


async def _run_all(session: Session, what: str | Statement, many: Many, rows: list[Row] | None) -> tuple[int, int]:
    pieces = _pieces(many)
    piece: list[Any] = await anext(pieces, [])
    statement = await _fitting(session, what, tuple(piece[0]) if piece else ())
    affected = 0
    waiting: deque[Batch] = deque()
    number = 0
    async with session.alone():
        try:
            while piece:
                out = _encode(statement, piece, number)
                if not statement.is_known:
                    ask(session, (State.PARSE,), statement.parse, Parsed(session, None))
                    statement.is_known = bool(statement.name)
                batch = Batch(session, statement, number, len(piece), rows is not None)
                ask(session, (State.BIND, State.EXECUTE) * len(piece), out, batch)
                waiting.append(batch)
                number += len(piece)
                while len(waiting) > _AHEAD:
                    affected += await _take(session, waiting, rows)
                piece = await anext(pieces, [])
            while waiting:
                affected += await _take(session, waiting, rows)
        except BaseException as error:
            await _stop(session, number > 0, error)
            raise
        if number:
            await end(session)
    return affected, number


class Parsed(Part):
    """The answer to Parse within a flight."""

    def _parse_complete(self, _: object) -> None:
        self._done()


async def ready(session: Session, what: str | Statement, args: Sequence[object] = ()) -> Statement:
    """The statement of SQL for these values, described.  Errors: as `describe`."""
    statement = session.statements.get(what) or cached(session, what) if isinstance(what, str) else what
    if statement.open:
        statement = chosen(session, statement, args)
    while not statement.ready:
        await session.admission()
        try:
            await describe(session, statement)
        except PostgresError as refused:
            undetermined(session, statement, args, refused)
            statement = chosen(session, statement, args)
    return statement


async def _fitting(session: Session, what: str | Statement, args: tuple[object, ...]) -> Statement:
    """The statement for sets of parameters like these."""
    while True:
        statement = await ready(session, what, args)
        try:
            if args:
                statement.bind(args, b"")
        except EncodeError as unfit:
            try:
                await learn(session, statement, args, unfit)
            except EncodeError:
                return statement  # the error names the set
            what = statement
        else:
            return statement


async def _pieces(many: Many) -> Any:
    if isinstance(many, AsyncIterable):
        piece = []
        async for one in many:
            piece.append(one)
            if len(piece) == _SIZE:
                yield piece
                piece = []
        if piece:
            yield piece
    else:
        sets = iter(many)
        while piece := list(islice(sets, _SIZE)):
            yield piece


def _encode(statement: Statement, piece: list[Any], number: int) -> bytes:
    sets = [tuple(args) for args in piece]
    try:
        return statement.bind_many(sets, _EXECUTE) + _FLUSH
    except (ValueEncodeError, MalformedRow):
        for place, args in enumerate(sets):
            try:
                statement.bind(args, b"")
            except EncodeError as error:
                error.add_note(f"febe: in set {number + place} of the parameters, counted from 0")
                raise
        raise


async def _take(session: Session, waiting: deque[Batch], rows: list[Row] | None) -> int:
    batch = waiting.popleft()
    await settle(session, batch)
    if batch.error is not None:
        batch.error.add_note(f"febe: in set {batch.first + batch.count - batch.left} of the parameters, counted from 0")
    batch.check()
    if rows is not None and batch.rows:
        rows.extend(batch.rows)
    return batch.affected


async def _stop(session: Session, begun: bool, error: BaseException) -> None:
    """End a flight that is not to have any effect."""
    if begun and not session.is_closed:
        with suppress(Exception):
            await end(session, refuse=True, wait=not is_interruption(error))


__all__ = ["Many", "executemany", "fetchmany", "ready"]
