"""PREPARE, EXECUTE and DEALLOCATE (manual: "SQL Commands")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from febe.server.command import Command, done, refused
from febe.server.commands._arguments import argument
from febe.server.commands._words import Words
from febe.server.engine import EngineError, Result
from febe.server.statements import Statement
from febe.server.typenames import oid_of

if TYPE_CHECKING:
    from febe.server.execution import Execution


def prepare(session: Execution, words: Words) -> Command:
    """PREPARE name [(types)] AS statement."""
    words.token()
    if words.take("TRANSACTION"):
        return refused("two-phase commit")
    name = words.identifier()
    following = words.ahead()
    types = [oid_of(text) for text in words.items()] if following is not None and following.text == "(" else []
    words.expect("AS")
    text, offset = words.rest()

    def act() -> None:
        session.statements.check_free(name)
        prepared = session.understand(text, types, offset)
        session.statements.add(Statement(prepared, name=name, text=words.sql, from_sql=True))

    return done("PREPARE", act, reaches_engine=True)


def execute(session: Execution, words: Words) -> Command:
    """EXECUTE name [(arguments)]."""
    words.token()
    name = words.identifier()
    texts = words.items() if not words.ended else []
    words.end()
    statement = session.statements.get(name)
    inner = statement.prepared
    if inner is None:
        return done("", reaches_engine=True)
    if len(texts) != len(statement.parameters):
        raise EngineError(f'wrong number of parameters for prepared statement "{name}"', sqlstate="42601",
                          detail=f"Expected {len(statement.parameters)} parameters but got {len(texts)}.")

    def action(values: Sequence[Any]) -> Result:
        return inner.execute(statement.values((), _evaluated(session, texts), session.zone))

    command = Command(action, columns=inner.columns, reaches_engine=True)
    command.writes = inner.writes
    return command


def _evaluated(session: Execution, texts: list[str]) -> list[bytes | None]:
    """The arguments in text form; what is no literal is evaluated by the engine."""
    found = [argument(text) for text in texts]
    if any(one is None or one.parameter for one in found):
        return session.evaluate(texts)
    return [one.text.encode() if one is not None and one.text is not None else None for one in found]


def deallocate(session: Execution, words: Words) -> Command:
    """DEALLOCATE."""
    words.token()
    words.take("PREPARE")
    if words.take("ALL"):
        words.end()
        return done("DEALLOCATE ALL", session.statements.clear)
    name = words.identifier()
    words.end()
    return done("DEALLOCATE", lambda: session.statements.drop(name))
