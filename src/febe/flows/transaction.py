"""Transaction blocks, nested by savepoints, and two-phase commit (manual: BEGIN, SAVEPOINT, PREPARE TRANSACTION)."""

from __future__ import annotations

from dataclasses import dataclass

from febe.flows.answer import ask
from febe.flows.query import Script, script
from febe.flows.quote import literal
from febe.flows.session import Session
from febe.protocol.errors import Error
from febe.protocol.families import InternalError
from febe.protocol.simple import Query
from febe.protocol.states import State

LEVELS = ("serializable", "repeatable read", "read committed", "read uncommitted")


class TransactionRolledBack(InternalError):
    """COMMIT was asked for, and the server has rolled the transaction back, because a statement in it had failed."""


@dataclass(slots=True, kw_only=True)
class Block:
    """A transaction block, or a savepoint within one.  None leaves a property to the server's default."""

    session: Session
    isolation: str | None = None
    read_only: bool | None = None
    deferrable: bool | None = None
    savepoint: str = ""
    ended: bool = False

    def __post_init__(self) -> None:
        if self.isolation is not None and self.isolation.lower().replace("_", " ") not in LEVELS:
            raise ValueError(f"no isolation level is called {self.isolation!r}: {', '.join(LEVELS)}")

    async def begin(self) -> None:
        """BEGIN, or SAVEPOINT where a block of this connection is open.  Errors: PostgresError, Error."""
        session, blocks, is_asked = self.session, self.session.blocks, False
        nested = bool(blocks)
        blocks.append(self)
        try:
            if not nested:
                if session.held_by is not None:
                    await session.admission()
                is_asked = True
                await script(session, begin(self.isolation, self.read_only, self.deferrable))
                return
            if (self.isolation, self.read_only, self.deferrable) != (None, None, None):
                raise Error("a nested transaction has the properties of the outermost one")
            self.savepoint = self.session.new_name()
            await script(self.session, f"SAVEPOINT {self.savepoint}")
        except BaseException as error:
            blocks.remove(self)
            if is_asked and not isinstance(error, Error) and not session.is_over:
                # Interrupted: the server may have begun it, and nobody is going to end it.
                ask(session, (State.QUERY,), Query(query="ROLLBACK").encode(), undoing := Script(session))
                undoing.abandon()
            raise

    async def commit(self) -> None:
        """COMMIT, or RELEASE SAVEPOINT.  Errors: PostgresError, TransactionRolledBack, Error."""
        self._end()
        if self.savepoint:
            await script(self.session, f"RELEASE SAVEPOINT {self.savepoint}")
            return
        (done,) = await script(self.session, "COMMIT")
        if done == "ROLLBACK":
            raise TransactionRolledBack("the transaction was rolled back, because a statement in it had failed")

    async def rollback(self) -> None:
        """ROLLBACK, or ROLLBACK TO SAVEPOINT; a connection that is lost has rolled back already."""
        self._end()
        if self.session.is_closed:
            return
        if self.savepoint:
            await script(self.session, f"ROLLBACK TO SAVEPOINT {self.savepoint}; "
                                       f"RELEASE SAVEPOINT {self.savepoint}")
        else:
            await script(self.session, "ROLLBACK")

    async def prepare(self, gid: str) -> None:
        """PREPARE TRANSACTION: it waits for `commit_prepared`, of any session.  Errors: as `commit`."""
        if self.savepoint:
            raise Error("a nested transaction cannot be prepared for two-phase commit")
        self._end()
        (done,) = await script(self.session, f"PREPARE TRANSACTION {literal(gid)}")
        if done == "ROLLBACK":
            raise TransactionRolledBack("the transaction was rolled back, because a statement in it had failed")

    def _end(self) -> None:
        blocks = self.session.blocks
        if self.ended:
            raise Error("the transaction has ended already")
        if not blocks or blocks[-1] is not self:
            raise Error("another transaction was begun on this connection after this one and has not ended: "
                        "tasks that need a transaction each need a connection each")
        self.ended = True
        blocks.pop()


def begin(isolation: str | None = None, read_only: bool | None = None, deferrable: bool | None = None) -> str:
    """BEGIN with these properties."""
    words = ["BEGIN"]
    if isolation is not None:
        words.append(f"ISOLATION LEVEL {isolation.upper().replace('_', ' ')}")
    if read_only is not None:
        words.append("READ ONLY" if read_only else "READ WRITE")
    if deferrable is not None:
        words.append("DEFERRABLE" if deferrable else "NOT DEFERRABLE")
    return " ".join(words)


async def finish_prepared(session: Session, gid: str, *, commit: bool) -> None:
    """COMMIT PREPARED or ROLLBACK PREPARED, from any session.  Errors: PostgresError."""
    await script(session, f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED {literal(gid)}")


def is_transient(error: BaseException) -> bool:
    """The same transaction may succeed when it is run again: a serialization failure or a dead-lock (class 40)."""
    return getattr(error, "sqlstate", None) in ("40001", "40P01")


__all__ = ["Block", "TransactionRolledBack", "begin", "finish_prepared", "is_transient"]
