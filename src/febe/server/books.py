"""What a session keeps: parameters, statements, portals, the transaction, locks, what it listens to.

No message is known here: commands and functions work on the books, and so may an engine, through `SessionFacts`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from febe.protocol.simple import DataRow
from febe.server import sql
from febe.server.activity import Backend
from febe.server.engine import EngineError, EngineSession, Prepared
from febe.server.large_objects import LargeObjectSession
from febe.server.locks import Lock, LockOwner
from febe.server.notifications import Mailbox
from febe.server.parameters import Parameters
from febe.server.portals import Portal, Portals
from febe.server.results import expand
from febe.server.shared import Shared
from febe.server.statements import Statement, Statements
from febe.server.transactions import Block, Transaction

logger = logging.getLogger("febe.server")

_WATCH_SECONDS = 0.02


class Books:
    """The books of one session.

    `effects`: something was done outside a transaction that takes effect when the statement ends.
    `types_given` holds the parameter types that the client gave with the statement being understood.
    """

    def __init__(self, engine: EngineSession, *, user: str, database: str = "", shared: Shared | None = None) -> None:
        self.engine = engine
        self.user = user
        self.database = database or user
        self.shared = shared if shared is not None else Shared()
        self.process_id = 0
        self.system_user: str | None = None
        self.backend = Backend(process_id=0, user=user, database=self.database, cancel=self.cancel,
                               terminate=self.cancel, progress=self.progress)
        self.parameters = Parameters(session_authorization=user)
        self.statements = Statements()
        self.portals = Portals()
        self.transaction = Transaction(engine, self)
        self.mailbox = Mailbox(self.shared.notifications, self.notified)
        self.locks = LockOwner(self.shared.locks, lambda: self.process_id)
        self.large_objects = LargeObjectSession(self.shared.large_objects)
        self.effects = False
        self.types_given: Sequence[int] = ()
        self._working = False
        self._cancelled = False
        self._stop = threading.Event()
        self._notices: list[tuple[str, str, str, str | None]] = []

    # For commands and functions

    @property
    def in_transaction(self) -> bool:
        """Within a block, or between statements that take effect together."""
        return self.transaction.block is not Block.NONE or self.transaction.implicit

    def warn(self, text: str, sqlstate: str) -> None:
        """Have a warning told before the statement is answered."""
        self._notices.append((text, sqlstate, "WARNING", None))

    def tell(self, text: str, *, where: str | None = None) -> None:
        """Have a notice told before the statement is answered."""
        self._notices.append((text, "00000", "NOTICE", where))

    def understand(self, text: str, types: Sequence[int], offset: int) -> Prepared:
        """Prepare a statement that stands within another, from character `offset` on.  Errors: EngineError."""
        from febe.server import commands  # which know this module

        found = sql.split(text)
        if len(found) != 1:
            raise EngineError("syntax error", sqlstate="42601", position=offset + 1)
        command = commands.find(self, found[0])  # type: ignore[arg-type]
        if command is not None:
            if command.columns is None or command.controls:
                raise EngineError(f'syntax error at or near "{text.split()[0]}"', sqlstate="42601", position=offset + 1)
            return command
        try:
            return self.engine.prepare(text, types)
        except EngineError as error:
            if error.position is not None:
                error.position += offset
            raise

    def evaluate(self, texts: Sequence[str]) -> list[bytes | None]:
        """What expressions give, in text form.  Errors: EngineError."""
        prepared = self.engine.prepare(f"SELECT {', '.join(texts)}", ())
        portal = Portal(Statement(prepared), (), expand((), len(prepared.columns or ())))
        try:
            data, _ = portal.pull(1)
            return list(DataRow.decode(bytes(data), 5, len(data)).values)
        finally:
            portal.close()

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, or until something is so; False when it is not.  Errors: EngineError (57014)."""
        end = time.monotonic() + seconds
        while True:
            self.check_cancelled()
            if until is not None and until():
                return True
            left = end - time.monotonic()
            if left <= 0:
                return until is None
            self._stop.wait(left if until is None else min(left, _WATCH_SECONDS))

    def is_cancelled(self) -> bool:
        """A cancel request has come for what runs now."""
        return self._cancelled

    def check_cancelled(self) -> None:
        """Errors: EngineError (57014)."""
        if self._cancelled:
            raise EngineError("canceling statement due to user request", sqlstate="57014")

    def forget(self) -> None:
        """DISCARD ALL (manual: "DISCARD")."""
        self.portals.clear()
        self.parameters.reset()
        self.statements.clear()
        self.mailbox.unlisten(None)
        self.effects = True
        self.locks.release_all()
        try:
            self.engine.discard_temporary()
        except EngineError as error:
            if error.sqlstate != "0A000":  # an engine without temporary tables has none left over
                raise

    # For engines that ask (SessionFacts)

    def setting(self, name: str) -> str:
        """A parameter's value.  Errors: EngineError (42704)."""
        self._note()
        return self.parameters.get(name)

    def zone(self) -> str:
        """The session's time zone."""
        return self.parameters.get("TimeZone")

    def settings(self) -> list[tuple[str, str]]:
        """Every parameter, by name."""
        self._note()
        return self.parameters.all()

    def set_parameter(self, name: str, value: str | None, *, local: bool) -> str:
        """SET and set_config; local outside a transaction lasts as long as the statement.  Errors: EngineError."""
        parameters = self.parameters
        if not local:
            parameters.set(name, value)
        elif self.in_transaction:
            parameters.set_local(name, value)
        else:
            parameters.begin()
            try:
                parameters.set_local(name, value)
                return parameters.get(name)
            finally:
                parameters.end(committed=True)
        return parameters.get(name)

    def activity(self) -> list[Backend]:
        """Every session of the server (pg_stat_activity)."""
        return self.shared.activity.all()

    def advisory_locks(self) -> list[Lock]:
        """Every advisory lock of the server's (pg_locks)."""
        return self.shared.locks.all()

    def channels(self) -> list[str]:
        """What the session listens to (pg_listening_channels)."""
        return self.mailbox.channels

    def prepared_statements(self) -> list[Statement]:
        """The prepared statements that have a name (pg_prepared_statements)."""
        return self.statements.all()

    def cursors(self) -> list[Portal]:
        """The cursors and portals that are open (pg_cursors)."""
        return self.portals.all()

    def _note(self) -> None:
        self.parameters.note("transaction_read_only", "on" if self.transaction.read_only else "off")

    # What the transaction tells

    def committing(self) -> None:
        """The transaction is about to be committed.  Errors: EngineError."""
        self.portals.committing()
        self.mailbox.committing()

    def transaction_ended(self, committed: bool) -> None:
        """It is over; this is called from where the engine may be called."""
        self.effects = False
        self.parameters.end(committed=committed)
        if self.portals.by_name:
            self.portals.transaction_ended()
        self.large_objects.end(committed=committed)
        self.locks.transaction_ended()
        self.mailbox.end(committed=committed)

    def mark(self) -> Any:
        """Where everything stands at a savepoint."""
        return self.parameters.mark(), self.mailbox.mark(), self.large_objects.mark(), self.portals.all()

    def back_to(self, mark: Any) -> None:
        """Undo what was put down since a savepoint."""
        parameters, mailbox, large_objects, portals = mark
        self.parameters.back_to(parameters)
        self.mailbox.back_to(mailbox)
        self.large_objects.back_to(large_objects)
        for portal in self.portals.all():
            if portal not in portals:
                self.portals.close(portal.name)

    # From outside the conversation

    def progress(self) -> float | None:
        """How much of the statement that runs is done."""
        if self.backend.state != "active":
            return None
        try:
            return self.engine.progress()
        except Exception:
            # Who asked is another session.
            logger.exception("the engine failed to say how far it is")
            return None

    def cancel(self) -> None:
        """A CancelRequest has come: stop what runs; nothing, when nothing runs."""
        self._cancelled = True
        self._stop.set()
        self.locks.wake()
        if self._working:
            try:
                self.engine.cancel()
            except Exception:
                # Who asked is another connection, or nobody any more.
                logger.exception("the engine failed to cancel")

    def notified(self) -> None:
        """Something waits in the mailbox.  Called from any thread."""

    def close(self) -> None:
        """The client is gone."""
        self.shared.activity.leave(self.process_id)
        self.mailbox.close()
        try:
            self.portals.clear()
            self.statements.clear()
        finally:
            try:
                self.engine.close()
            finally:
                self.locks.close()
