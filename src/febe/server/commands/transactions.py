"""BEGIN, COMMIT, ROLLBACK, savepoints and the modes of a transaction (manual: "SQL Commands")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from febe.server.command import Command, done, refused
from febe.server.commands._words import Words
from febe.server.engine import EngineError, Result
from febe.server.parameters import KNOWN
from febe.server.transactions import Block

if TYPE_CHECKING:
    from febe.server.execution import Execution


def modes(words: Words) -> bool | None:
    """The modes of BEGIN and SET TRANSACTION: whether they say read-only.  Errors: EngineError."""
    read_only: bool | None = None
    while not words.ended:
        if words.take("ISOLATION", "LEVEL"):
            level = words.name()
            if level in ("read", "repeatable"):
                level += " " + words.name()
            parameter = KNOWN["transaction_isolation"]
            assert parameter.accept is not None
            parameter.accept(parameter, level)
        elif words.take("READ", "ONLY"):
            read_only = True
        elif words.take("READ", "WRITE"):
            read_only = False
        elif not (words.take("NOT", "DEFERRABLE") or words.take("DEFERRABLE")):
            # (DEFERRABLE has an effect on serializable transactions only, which are refused.)
            raise words.error(words.token())
        words.symbol(",")
    return read_only


def opening(tag: str) -> Callable[[Execution, Words], Command | None]:
    """BEGIN and START TRANSACTION."""
    def make(session: Execution, words: Words) -> Command | None:
        words.token()
        if not words.take("TRANSACTION"):
            if tag == "START TRANSACTION":
                return None
            words.take("WORK")
        given = modes(words)

        def act() -> None:
            read_only = session.parameters.get("default_transaction_read_only") == "on" if given is None else given
            session.parameters.begin()
            session.transaction.begin(read_only=read_only)

        return done(tag, act, controls=True)

    return make


def finishing(commit: bool) -> Callable[[Execution, Words], Command]:
    """COMMIT, END, ROLLBACK and ABORT."""
    def make(session: Execution, words: Words) -> Command:
        words.token()
        if words.take("PREPARED"):
            return refused("two-phase commit")
        if not words.take("TRANSACTION"):
            words.take("WORK")
        if not commit and words.take("TO"):
            words.take("SAVEPOINT")
            name = words.identifier()
            words.end()
            return done("ROLLBACK", lambda: session.transaction.rollback_to(name), controls=True, ends_block=True)
        chain = False
        if words.take("AND"):
            chain = not words.take("NO")
            words.expect("CHAIN")
        words.end()

        def action(values: Sequence[Any]) -> Result:
            finish = session.transaction.commit if commit else session.transaction.rollback
            tag = finish(chain=chain)
            if chain:
                session.parameters.begin()
            return Result(tag=tag)

        return Command(action, controls=True, ends_block=True)

    return make


def lock(session: Execution, words: Words) -> Command:
    """LOCK TABLE in the modes that only keep a table from being changed in shape or dropped.

    A transaction of an engine sees its tables as they were all the while, so there is nothing to be done.
    """
    words.token()
    words.take("TABLE")
    words.take("ONLY")
    first = words.ahead()
    words.name()
    words.symbol("*")
    while words.symbol(","):
        words.take("ONLY")
        words.name()
        words.symbol("*")
    last = words.ahead()
    assert first is not None
    names = words.sql[first.start:last.start if last is not None else len(words.sql)]
    mode = "ACCESS EXCLUSIVE"
    if words.take("IN"):
        mode = next((mode for mode in _MODES if words.take(*mode.split(), "MODE")), "")
        if not mode:
            raise words.error(words.token())
    words.take("NOWAIT")
    words.end()
    if mode not in _WEAK:
        return refused(f"LOCK TABLE IN {mode} MODE")

    def act() -> None:
        if session.transaction.block is Block.NONE:
            raise EngineError("LOCK TABLE can only be used in transaction blocks", sqlstate="25P01")
        session.understand(f"SELECT 1 FROM {names}", (), first.start - len("SELECT 1 FROM ")).close()

    return done("LOCK TABLE", act, reaches_engine=True)


_WEAK = ("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE")
_MODES = (*_WEAK, "SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE")


def savepoint(session: Execution, words: Words) -> Command:
    """SAVEPOINT."""
    words.token()
    name = words.identifier()
    words.end()
    return done("SAVEPOINT", lambda: session.transaction.savepoint(name), controls=True)


def release(session: Execution, words: Words) -> Command:
    """RELEASE SAVEPOINT."""
    words.token()
    words.take("SAVEPOINT")
    name = words.identifier()
    words.end()
    return done("RELEASE", lambda: session.transaction.release(name), controls=True)
