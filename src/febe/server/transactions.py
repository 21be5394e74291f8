"""Where a session stands in its transaction, and what that means for the engine (manual: "Simple Query",
"Multiple Statements in a Simple Query", "Pipelining")."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from febe.server.engine import EngineError, EngineSession

logger = logging.getLogger("febe.server")


class Block(Enum):
    """A transaction block, by the status byte of ReadyForQuery."""

    NONE = "I"
    OPEN = "T"
    FAILED = "E"


class Books(Protocol):
    """What the session keeps that begins and ends with transactions."""

    def warn(self, text: str, sqlstate: str) -> None:
        """Have a warning told."""

    def committing(self) -> None:
        """The transaction is about to be committed.  Errors: EngineError, then it is rolled back."""

    def transaction_ended(self, committed: bool) -> None:
        """It is over."""

    def mark(self) -> object:
        """Where the books stand at a savepoint."""

    def back_to(self, mark: object) -> None:
        """What was put down since a savepoint is undone."""


@dataclass(slots=True, kw_only=True)
class Savepoint:
    """A savepoint; names may repeat, so the engine gets one of its own for each."""

    name: str
    engine_name: str
    mark: object


class Transaction:
    """The transaction of one session.

    Several statements without BEGIN form an implicit transaction: `implicit` says that the engine is in one.
    """

    def __init__(self, engine: EngineSession, books: Books) -> None:
        self._engine = engine
        self._books = books
        self._savepoints: list[Savepoint] = []
        self.block = Block.NONE
        self.implicit = False
        self.read_only = False
        self.untouched = False
        """The block has begun and nothing has been run in it."""

    def start_implicit(self, *, read_only: bool = False) -> None:
        """Have what follows take effect together; an engine without transactions takes each statement by itself."""
        if self.block is Block.NONE and not self.implicit:
            try:
                self._engine.begin(read_only=read_only)
            except EngineError as error:
                if error.sqlstate != "0A000" or read_only:
                    raise
                return
            self.implicit = True

    def begin(self, *, read_only: bool) -> None:
        """BEGIN; within an implicit transaction the block takes over what was done before."""
        if self.block is not Block.NONE:
            self._books.warn("there is already a transaction in progress", "25001")
            return
        if self.implicit:
            if read_only:
                raise EngineError("a transaction that has begun cannot become read-only", sqlstate="0A000")
            self.implicit = False
        else:
            self._engine.begin(read_only=read_only)
            self.untouched = True
        self.block = Block.OPEN
        self.read_only = read_only

    def set_read_only(self, read_only: bool) -> None:
        """SET TRANSACTION READ ONLY or READ WRITE.  Errors: EngineError."""
        if read_only == self.read_only:
            return
        if not self.untouched:
            raise EngineError("the access mode of a transaction can be set only before its first statement",
                              sqlstate="25001" if self.read_only else "0A000")
        self._engine.rollback()
        self._engine.begin(read_only=read_only)
        self.read_only = read_only

    def commit(self, *, chain: bool = False) -> str:
        """COMMIT; the command tag says ROLLBACK when there was nothing left to commit."""
        return self._finish("COMMIT", chain)

    def rollback(self, *, chain: bool = False) -> str:
        """ROLLBACK."""
        return self._finish("ROLLBACK", chain)

    def _finish(self, verb: str, chain: bool) -> str:
        block, read_only, savepoints = self.block, self.read_only, bool(self._savepoints)
        if block is Block.NONE:
            if chain:
                raise EngineError(f"{verb} AND CHAIN can only be used in transaction blocks", sqlstate="25P01")
            self._books.warn("there is no transaction in progress", "25P01")
        active = block is Block.OPEN or self.implicit
        committed = False
        try:
            if active and verb == "COMMIT":
                self._commit()
                committed = True
            elif active or savepoints:
                self._engine.rollback()
        finally:
            self._over()
            self._books.transaction_ended(committed)
        if chain:
            self.begin(read_only=read_only)
        return "ROLLBACK" if block is Block.FAILED else verb

    def end_implicit(self) -> None:
        """The query string or the pipeline is over.  Errors: what the engine's commit raises."""
        if self.implicit:
            committed = False
            try:
                self._commit()
                committed = True
            finally:
                self._over()
                self._books.transaction_ended(committed)

    def fail(self) -> None:
        """A statement failed: nothing of the transaction stays, unless a savepoint may still be gone back to."""
        if self.block is Block.FAILED:
            return
        active, block = self.implicit or self.block is Block.OPEN, self.block
        if block is Block.OPEN and self._savepoints:
            self.block = Block.FAILED
            return
        self._over()
        if block is Block.OPEN:
            self.block = Block.FAILED
        if active:
            try:
                self._engine.rollback()
            except Exception:
                # The statement's own error is what the client is told.
                logger.exception("the engine failed to roll back")
            self._books.transaction_ended(False)

    # Savepoints

    def savepoint(self, name: str) -> None:
        """SAVEPOINT.  Errors: EngineError."""
        self._check_block("SAVEPOINT")
        made = Savepoint(name=name, engine_name=f"febe_{len(self._savepoints)}", mark=self._books.mark())
        self._engine.savepoint(made.engine_name)
        self._savepoints.append(made)

    def release(self, name: str) -> None:
        """RELEASE SAVEPOINT.  Errors: EngineError."""
        self._check_block("RELEASE SAVEPOINT")
        at = self._find(name)
        self._engine.release(self._savepoints[at].engine_name)
        del self._savepoints[at:]

    def rollback_to(self, name: str) -> None:
        """ROLLBACK TO SAVEPOINT, also out of a failed block.  Errors: EngineError."""
        self._check_block("ROLLBACK TO SAVEPOINT")
        at = self._find(name)
        self._engine.rollback_to(self._savepoints[at].engine_name)
        del self._savepoints[at + 1:]
        self.block = Block.OPEN
        self._books.back_to(self._savepoints[at].mark)

    def _check_block(self, what: str) -> None:
        if self.block is Block.NONE:
            raise EngineError(f"{what} can only be used in transaction blocks", sqlstate="25P01")

    def _find(self, name: str) -> int:
        for at in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[at].name == name:
                return at
        raise EngineError(f'savepoint "{name}" does not exist', sqlstate="3B001")

    def _commit(self) -> None:
        try:
            self._books.committing()
        except BaseException:
            self._engine.rollback()
            raise
        self._engine.commit()

    def _over(self) -> None:
        self.block = Block.NONE
        self.implicit = self.read_only = self.untouched = False
        self._savepoints.clear()
