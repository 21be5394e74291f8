"""SET, RESET and SHOW (manual: "SQL Commands")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from febe.server.command import Command, done, refused, texts
from febe.server.commands._words import Words
from febe.server.commands.transactions import modes
from febe.server.engine import Result

if TYPE_CHECKING:
    from febe.server.execution import Execution


def set_parameter(session: Execution, words: Words) -> Command | None:
    """SET in all its forms."""
    words.token()
    parameters, transaction = session.parameters, session.transaction
    if words.take("SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"):
        read_only = modes(words)
        return done("SET", lambda: read_only is None or parameters.set("default_transaction_read_only",
                                                                       "on" if read_only else "off"))
    if words.take("TRANSACTION"):
        if words.take("SNAPSHOT"):
            return refused("SET TRANSACTION SNAPSHOT")
        read_only = modes(words)

        def set_transaction() -> None:
            if transaction.block.value != "T":
                session.warn("SET TRANSACTION can only be used in transaction blocks", "25P01")
            elif read_only is not None:
                transaction.set_read_only(read_only)

        return done("SET", set_transaction)
    if words.take("SESSION", "AUTHORIZATION"):
        allowed = words.name() in ("default", session.user)
        return done("SET") if allowed else refused("SET SESSION AUTHORIZATION")
    local = words.take("LOCAL")
    if not local:
        words.take("SESSION")
    value: str | None
    if words.take("TIME", "ZONE"):
        name = "TimeZone"
        value = None if words.take("LOCAL") or words.take("DEFAULT") else words.value()
    elif words.take("NAMES"):
        name = "client_encoding"
        value = None if words.ended or words.take("DEFAULT") else words.value()
    elif words.take("SCHEMA"):
        name, value = "search_path", words.value()
    elif words.take("ROLE"):
        name, value = "role", words.value()
    else:
        name = words.name()
        if not (words.take("TO") or words.symbol("=")):
            # SET VARIABLE name = ... and its like are of the engine's dialect
            return None
        value = None if words.take("DEFAULT") else words.value()
    words.end()

    def act() -> None:
        if local and not session.in_transaction:
            session.warn("SET LOCAL can only be used in transaction blocks", "25P01")
        session.set_parameter(name, value, local=local)

    return done("SET", act)


def reset(session: Execution, words: Words) -> Command:
    """RESET."""
    words.token()
    act: Callable[[], object]
    if words.take("ALL"):
        act = session.parameters.reset
    elif words.take("SESSION", "AUTHORIZATION"):
        act = _nothing
    else:
        name = "TimeZone" if words.take("TIME", "ZONE") else words.name()
        act = lambda: session.parameters.set(name, None)  # noqa: E731
    words.end()
    return done("RESET", act)


def _nothing() -> None:
    pass


def show(session: Execution, words: Words) -> Command | None:
    """SHOW of a parameter; of anything else it is the engine's."""
    words.token()
    parameters = session.parameters
    if words.take("ALL"):
        if not words.ended:  # SHOW ALL TABLES is of the engine's dialect
            return None
        return Command(lambda values: Result(rows=[[(*pair, "") for pair in parameters.shown()]], tag="SHOW"),
                       columns=texts("name", "setting", "description"))
    if words.take("TRANSACTION", "ISOLATION", "LEVEL"):
        name = "transaction_isolation"
    elif words.take("TIME", "ZONE"):
        name = "TimeZone"
    elif words.take("SESSION", "AUTHORIZATION"):
        name = "session_authorization"
    else:
        name = words.name()
        if not words.ended or not parameters.is_known(name):
            return None
    words.end()
    return Command(lambda values: Result(rows=[[(session.setting(name),)]], tag="SHOW"),
                   columns=texts(parameters.canonical(name)))
