"""Cursors of the server's (manual: DECLARE, FETCH, MOVE, CLOSE)."""

from __future__ import annotations

from typing import Any

from febe.flows.compose import Sql, settled
from febe.flows.into import Make
from febe.flows.prepare import Statement, discard
from febe.flows.query import ALL, RESULT, all_rows, run
from febe.flows.quote import identifier
from febe.flows.session import Session


class Cursor:
    """A query whose result stays at the server and is fetched from there, in any direction with `scroll`."""

    def __init__(self, session: Session, what: Sql, args: tuple[object, ...], make: Make[Any] | None, *,
                 scroll: bool | None, hold: bool, name: str | None) -> None:
        self.session = session
        self.name = name if name is not None else session.new_name()
        self._quoted = identifier(self.name)
        scrolling = "" if scroll is None else "SCROLL " if scroll else "NO SCROLL "
        sql, self._args = settled(what, args)
        self._declare = f"DECLARE {self._quoted} {scrolling}CURSOR {'WITH HOLD ' if hold else ''}FOR {sql}"
        self._give = all_rows(make)
        # A statement of FETCH knows the columns of its cursor; another cursor of the same name may have others.
        self._statements: dict[str, Statement] = {}
        self._is_open = False

    async def open(self) -> None:
        """Declare it.  Errors: PostgresError: without `hold` only a transaction block may have cursors."""
        await run(self.session, Statement(self._declare, False), self._args, RESULT)
        self._is_open = True

    async def fetch(self, direction: str) -> list[Any]:
        """The rows that FETCH gives.  Errors: PostgresError, DecodeError."""
        return await run(self.session, self._statement(f"FETCH {direction} FROM {self._quoted}"), (), self._give)

    async def fetchrow(self, direction: str) -> Any:
        """The row that FETCH gives, None where there is none.  Errors: as `fetch`."""
        return next(iter(await self.fetch(direction)), None)

    async def move(self, direction: str) -> int:
        """Go somewhere without fetching; how many rows FETCH would have given.  Errors: PostgresError."""
        result = await run(self.session, self._statement(f"MOVE {direction} FROM {self._quoted}"), (), RESULT)
        return result.rowcount or 0

    async def close(self) -> None:
        """Close it; once is enough, and a transaction that has ended did it already.  Errors: PostgresError."""
        if not self._is_open:
            return
        self._is_open = False
        session = self.session
        for statement in self._statements.values():
            discard(session, statement)
        if session.is_closed or session.core.transaction_status == "E":
            return
        there = await run(session, "SELECT 1 FROM pg_catalog.pg_cursors WHERE name = $1", (self.name,), ALL)
        if there:
            await run(session, Statement(f"CLOSE {self._quoted}", False), (), RESULT)

    def _statement(self, sql: str) -> Statement:
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._statements[sql] = Statement(sql, True)
        return statement


def forward(count: int | None) -> str:
    """FETCH's direction for so many rows, backwards where the number is negative, and all without one."""
    if count is None:
        return "FORWARD ALL"
    return f"FORWARD {count:d}" if count >= 0 else f"BACKWARD {-count:d}"


__all__ = ["Cursor", "forward"]
