"""Where a session stands in its transaction, and what that means for the engine (manual: "Simple Query",
"Multiple Statements in a Simple Query", "Pipelining")."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum

from febe.server.engine import EngineError, EngineSession

logger = logging.getLogger("febe.server")


class Block(Enum):
    """A transaction block, by the status byte of ReadyForQuery."""

    NONE = "I"
    OPEN = "T"
    FAILED = "E"


class Transaction:
    """The transaction of one session.

    Several statements without BEGIN form an implicit transaction: `implicit` says that the engine is in one.  `warn` is
    called with text and SQLSTATE; `ended` with whether it was committed.
    """

    def __init__(self, engine: EngineSession, warn: Callable[[str, str], None],
                 ended: Callable[[bool], None]) -> None:
        self._engine = engine
        self._warn = warn
        self._ended = ended
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
            self._warn("there is already a transaction in progress", "25001")
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
        return self._finish(self._engine.commit, "COMMIT", chain)

    def rollback(self, *, chain: bool = False) -> str:
        """ROLLBACK."""
        return self._finish(self._engine.rollback, "ROLLBACK", chain)

    def _finish(self, finish: Callable[[], None], verb: str, chain: bool) -> str:
        block, read_only = self.block, self.read_only
        if block is Block.NONE:
            if chain:
                raise EngineError(f"{verb} AND CHAIN can only be used in transaction blocks", sqlstate="25P01")
            self._warn("there is no transaction in progress", "25P01")
        active = block is Block.OPEN or self.implicit
        self._over()
        committed = False
        try:
            if active:
                finish()
                committed = verb == "COMMIT"
        finally:
            self._ended(committed)
        if chain:
            self.begin(read_only=read_only)
        return "ROLLBACK" if block is Block.FAILED else verb

    def end_implicit(self) -> None:
        """The query string or the pipeline is over.  Errors: what the engine's commit raises."""
        if self.implicit:
            self._over()
            committed = False
            try:
                self._engine.commit()
                committed = True
            finally:
                self._ended(committed)

    def fail(self) -> None:
        """A statement failed: nothing of the transaction stays."""
        if self.block is Block.FAILED:
            return
        active, block = self.implicit or self.block is Block.OPEN, self.block
        self._over()
        if block is Block.OPEN:
            self.block = Block.FAILED
        if active:
            try:
                self._engine.rollback()
            except Exception:
                # The statement's own error is what the client is told.
                logger.exception("the engine failed to roll back")
            self._ended(False)

    def _over(self) -> None:
        self.block = Block.NONE
        self.implicit = self.read_only = self.untouched = False
