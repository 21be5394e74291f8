"""A frontend's session: the core, its port, what is being asked, and what the server has told about itself."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from febe.protocol.asynchronous import NoticeResponse, NotificationResponse
from febe.protocol.connection import Connection
from febe.protocol.errors import ConnectionLost, Error, PostgresError, postgres_error
from febe.protocol.startup import VERSION_3_0, ParameterStatus
from febe.protocol.states import State
from febe.types.registry import TYPES, Registry

if TYPE_CHECKING:
    from febe.flows.answer import Answer, Between
    from febe.flows.function import Function
    from febe.flows.listen import Listener
    from febe.flows.port import Signal, Stream
    from febe.flows.prepare import Statement
    from febe.flows.transaction import Block
    from febe.flows.watch import Watch

STATEMENT_CACHE_SIZE = 100
_LOG_LEVELS = {"WARNING": 30, "NOTICE": 20, "INFO": 20, "LOG": 20}  # those of logging; DEBUG is 10

Notices = Callable[[PostgresError], object]
Notifications = Callable[[NotificationResponse], object]


class Session:
    """One conversation as a frontend sees it; flows are functions on it.

    `answers` is what has been asked and not yet answered, in order.  Any number of flows may ask; one of them is
    `reading` for all (flows/answer.py).  `statements` is the cache of prepared statements by SQL, the least recently
    used first; `discarded` names those that the server is told to close with the next Parse.  `pooled` says that a
    pooler may change the server between two transactions, so that no prepared statement is found again; None: not
    known yet.
    """

    def __init__(self, core: Connection, port: Stream, *, types: Registry | None = None,
                 statement_cache_size: int = STATEMENT_CACHE_SIZE, on_notice: Notices | None = None,
                 on_notification: Notifications | None = None) -> None:
        self.core: Final = core
        self.port: Final = port
        self.types = (TYPES if types is None else types).copy()
        self.parameters: dict[str, str] = {}
        self.process_id = 0
        self.secret_key = b""
        self.protocol_version = VERSION_3_0
        self.answers: deque[Answer] = deque()
        self.cancel: Callable[[], Awaitable[None]] | None = None
        self.asked = 0
        """How much has been asked so far."""
        self.reading = False
        self.held_by: object = None
        self.statement_cache_size = statement_cache_size
        self.statements: OrderedDict[str, Statement] = OrderedDict()
        self.latest: Statement | None = None
        self.functions: dict[str, Function] = {}
        """Those that were called, as the catalog describes them."""
        self.discarded: list[str] = []
        self.pooled: bool | None = False
        self.probing = False
        self.on_notice = on_notice
        self.on_notification = on_notification
        self._admission: deque[Signal] = deque()
        self._prefix = f"febe_{os.urandom(4).hex()}_"
        self._names = 0
        self._why: str | None = None
        self.is_over = False
        self.blocks: list[Block] = []
        self.listeners: list[Listener] = []
        self.channels: dict[str, int] = {}
        self.watch: Watch | None = None

    @cached_property
    def between(self) -> Between:
        """What takes what the server says while nothing is due."""
        from febe.flows.answer import Between

        return Between(self, None)

    @property
    def is_closed(self) -> bool:
        """The session is of no more use."""
        return self._why is not None or self.core.state in (State.TERMINATED, State.CLOSED)

    def new_name(self) -> str:
        """A name that no statement of any session has: behind a pooler, many share one server."""
        self._names += 1
        return f"{self._prefix}{self._names}"

    def flush_statements(self, tag: str) -> None:
        """Have every statement described anew when it is used next; DISCARD and DEALLOCATE have freed them already."""
        for statement in self.statements.values():
            if statement.is_known and not tag.startswith(("DISCARD", "DEALLOCATE")):
                self.discarded.append(statement.name)
            statement.forget()
        self.statements.clear()
        self.functions.clear()
        self.latest = None
        if not tag.startswith(("CREATE", "DISCARD", "DEALLOCATE")):
            self.types.forget()  # a field may have another name now

    def types_changed(self) -> None:
        """What the catalog said about types is no longer so: ask again, for every statement."""
        self.types.forget()
        self.flush_statements("ALTER TYPE")

    # Who may write

    async def admission(self) -> None:
        """Wait while another flow has the session to itself.

        Errors: Error when that is the task or thread which asks, for it would wait for ever.
        """
        while self.held_by is not None:
            if self.held_by == self.port.me():
                raise Error("the connection is in the middle of a stream, a COPY or a pipeline of this same task: "
                            "finish it first, or use another connection")
            signal = self.port.signal()
            self._admission.append(signal)
            await signal.wait()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have the session to oneself: what others ask waits, what they asked before is answered before.

        Errors: as `admission`.
        """
        await self.admission()
        self.hold()
        try:
            yield
        finally:
            self.release()

    def hold(self) -> None:
        """Keep others from asking, until `release`."""
        self.held_by = self.port.me()

    def release(self) -> None:
        """Let others ask again."""
        self.held_by = None
        waiting, self._admission = self._admission, deque()
        for signal in waiting:
            signal.set()

    def used(self, statement: Statement) -> None:
        """Note that a statement is the one used last."""
        self.latest = statement
        if statement.sql in self.statements:
            self.statements.move_to_end(statement.sql)

    def unusable(self) -> Error:
        """Why nothing can be asked now."""
        if self._why is not None:
            return ConnectionLost(f"the connection is closed: {self._why}", retry_is_safe=True)
        if self.core.state in (State.TERMINATED, State.CLOSED):
            return ConnectionLost("the connection is closed", retry_is_safe=True)
        return Error(f"the connection is busy: {self.core.state.value}")

    def lost(self, error: BaseException) -> None:
        """Note that the conversation cannot go on, and tell all who wait for an answer."""
        if self._why is None:
            name = type(error).__name__
            self.is_over = True
            self._why = str(error) if isinstance(error, Error) else f"{name} interrupted an exchange with the server"
            if not isinstance(error, Error):
                error.add_note("febe: the connection was closed, because its answer was not read to the end")
            self.port.abort()
        answers, self.answers = self.answers, deque()
        said = answers[0].error if answers else None
        for answer in answers:
            if answer.error is None and said is not None and said.is_fatal:  # what came after it was not looked at
                answer.error = postgres_error(said.fields)
            answer.cut_off(error)
        for listener in self.listeners:
            listener.cut_off(error)
        self.release()

    def farewell(self, error: PostgresError) -> None:
        """Note that the server went away by itself, between requests."""
        if self.watch is not None:
            self.watch.begin("error").end(error)
        self.closed(str(error))
        self.port.abort()
        for listener in self.listeners:
            listener.cut_off(error)

    def closed(self, why: str) -> None:
        """Note why nothing more can be asked."""
        self.is_over = True
        if self._why is None:
            self._why = why

    # What a server may say at any time (manual: "Asynchronous Operations")

    def parameter_status(self, event: ParameterStatus) -> None:
        """Note a run-time parameter."""
        self.parameters[event.name] = event.value

    def notice(self, event: NoticeResponse) -> None:
        """Give a notice to `on_notice`, or to the log `febe`."""
        notice = postgres_error(event.fields_by_code)
        if self.on_notice is not None:
            self._call(self.on_notice, notice)
            return
        import logging

        logging.getLogger("febe").log(_LOG_LEVELS.get(notice.severity or "", 10), "%s: %s", notice.severity,
                                      notice.message)

    def notification(self, event: NotificationResponse) -> None:
        """Give a notification to the listeners and to `on_notification`."""
        for listener in self.listeners:
            listener.heard(event)
        if self.on_notification is not None:
            self._call(self.on_notification, event)

    @staticmethod
    def _call(callback: Callable[[Any], object], argument: object) -> None:
        # An answer is being read: an exception of the program's own must not leave it half read.
        try:
            callback(argument)
        except Exception:
            import logging

            logging.getLogger("febe").exception("%r failed", callback)


__all__ = ["STATEMENT_CACHE_SIZE", "Notices", "Notifications", "Session"]
