"""Statements that the server answers itself: transactions, parameters, what a session holds (manual: "SQL Commands").

Each is a Prepared like an engine's, so that simple and extended queries run it on one path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from febe.server.command import Command
from febe.server.commands import (
    copy,
    cursors,
    functions,
    holdings,
    notifications,
    parameters,
    prepared,
    transactions,
)
from febe.server.commands._words import Words
from febe.server.sql import Statement

if TYPE_CHECKING:
    from febe.server.execution import Execution

__all__ = ["find"]


def find(session: Execution, statement: Statement) -> Command | None:
    """The command that `statement` is; None when it is the engine's to understand.

    Errors: EngineError (42601) where a command of the server's does not parse.
    """
    if statement.verb == "SELECT":
        return functions.select(session, statement) if statement.called else None
    make = _VERBS.get(statement.verb)
    return make(session, Words(statement.sql)) if make is not None else None


_VERBS: dict[str, Callable[[Any, Words], Command | None]] = {
    "BEGIN": transactions.opening("BEGIN"),
    "START": transactions.opening("START TRANSACTION"),
    "COMMIT": transactions.finishing(True),
    "END": transactions.finishing(True),
    "ROLLBACK": transactions.finishing(False),
    "ABORT": transactions.finishing(False),
    "SAVEPOINT": transactions.savepoint,
    "RELEASE": transactions.release,
    "LOCK": transactions.lock,
    "SET": parameters.set_parameter,
    "RESET": parameters.reset,
    "SHOW": parameters.show,
    "PREPARE": prepared.prepare,
    "EXECUTE": prepared.execute,
    "DEALLOCATE": prepared.deallocate,
    "DECLARE": cursors.declare,
    "FETCH": cursors.fetching("FETCH"),
    "MOVE": cursors.fetching("MOVE"),
    "CLOSE": cursors.close,
    "LISTEN": notifications.listen,
    "UNLISTEN": notifications.unlisten,
    "NOTIFY": notifications.notify,
    "DISCARD": holdings.discard,
    "COPY": copy.copy,
}
