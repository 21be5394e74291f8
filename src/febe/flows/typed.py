"""Parameters as DB-API 2.0 has them: what is no str goes into a text column as a literal of its type would."""

from __future__ import annotations

from febe.flows.errors import EncodeError
from febe.flows.prepare import Statement, cached, place
from febe.flows.query import RESULT, run
from febe.flows.result import Result
from febe.flows.session import Session


async def typed(session: Session, sql: str, args: tuple[object, ...]) -> Result:
    """Run a statement; where the server wants text and the value is none, its type is the value's class's.

    Programs written for drivers that put values into the statement's text rely on it.  Errors: as `run`.
    """
    statement: str | Statement = sql
    declared = [0] * len(args)
    while True:
        try:
            return await run(session, statement, args, RESULT)
        except EncodeError as error:
            oid = _type(session, error)
            if not oid or error.parameter is None or declared[error.parameter - 1]:
                raise
            declared[error.parameter - 1] = oid
        types = tuple(declared)
        statement = session.statements.get(place(sql, types)) or cached(session, sql, types)


def _type(session: Session, error: EncodeError) -> int:
    if error.type_name != "text":
        return 0
    codec = session.types.by_class(type(error.value))
    return codec.oid if codec is not None else 0


__all__ = ["typed"]
