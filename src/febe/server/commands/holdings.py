"""DISCARD: what a session holds, let go of at once (manual: "SQL Commands")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from febe.server.command import Command, done
from febe.server.commands._words import Words
from febe.server.engine import EngineError

if TYPE_CHECKING:
    from febe.server.execution import Execution


def discard(session: Execution, words: Words) -> Command | None:
    """DISCARD."""
    words.token()
    what = words.one_of("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY")
    if not what:
        raise words.error(words.token())
    words.end()
    # PostgreSQL's tags say TEMP for both words (utility.c, CreateCommandTag).
    tag = "DISCARD TEMP" if what == "TEMPORARY" else f"DISCARD {what}"

    def act() -> None:
        if what == "ALL":
            if session.in_transaction:
                raise EngineError("DISCARD ALL cannot run inside a transaction block", sqlstate="25001")
            session.forget()
        elif what.startswith("TEMP"):
            session.engine.discard_temporary()

    return done(tag, act, reaches_engine=True)
