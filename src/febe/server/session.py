"""One client's session: what each message does, and the books that keep track of it.

`Session` answers from an engine.  A server author who wants something else overrides `on_query`, `on_parse` and their
like; the books (statements, portals, transaction, parameters) are there either way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from febe.flows.port import READY
from febe.flows.serve import Conversation, error_response, serve
from febe.protocol.connection import Event
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from febe.protocol.extended import (
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    Describe,
    Execute,
    NoData,
    ParameterDescription,
    Parse,
    ParseComplete,
    Sync,
)
from febe.protocol.function import FunctionCall, FunctionCallResponse
from febe.protocol.simple import DataRow, EmptyQueryResponse, Query
from febe.protocol.startup import BackendKeyData, ParameterStatus, ReadyForQuery, StartupMessage
from febe.protocol.states import State
from febe.server import sql
from febe.server.command import Command
from febe.server.copying import Copy
from febe.server.engine import Column, EngineError, EngineSession, Result
from febe.server.execution import Execution, aborted, split
from febe.server.functions import FUNCTIONS, Functions, signature
from febe.server.limits import FatalError
from febe.server.portals import Portal
from febe.server.results import check_formats, expand
from febe.server.shared import Shared
from febe.server.statements import Statement, check_codes, decode_values
from febe.server.telemetry.events import Telemetry
from febe.server.telemetry.observed import Observed
from febe.server.timeouts import STATEMENT, Timeouts
from febe.server.transactions import Block

logger = logging.getLogger("febe.server")

_SYNC = ord(Sync.type)
_NONE = Block.NONE
_READY = {block.value: ReadyForQuery(status=block.value) for block in Block}
_PARSED, _BOUND, _CLOSED, _NO_DATA = ParseComplete(), BindComplete(), CloseComplete(), NoData()


class Session(Execution):
    """A client that has been let in.  Errors of one request end that request; the session goes on.

    `functions` are those that FunctionCall may call.
    """

    functions: Functions = FUNCTIONS

    def __init__(self, conversation: Conversation, engine: EngineSession, *, user: str, blocking: bool,
                 database: str = "", shared: Shared | None = None) -> None:
        super().__init__(conversation, engine, user=user, blocking=blocking, database=database, shared=shared)
        self._timeouts: Timeouts | None = None
        self.telemetry: Telemetry | None = None
        self.failure: EngineError | None = None
        """The error that the client was told last."""
        self._handlers: dict[type[object], Callable[[Any], Awaitable[None]]] = {
            Query: self.on_query, Parse: self.on_parse, Bind: self.on_bind, Describe: self.on_describe,
            Execute: self.on_execute, Close: self.on_close, Sync: self.on_sync, FunctionCall: self.on_function_call}

    @classmethod
    def dialect(cls, startup: StartupMessage) -> Dialect:
        """What to speak with a client that says this first.  Errors: EngineError when it is refused."""
        return POSTGRESQL

    async def open(self, startup: StartupMessage) -> None:
        """Do what has to be waited for before the client is greeted.  Errors: EngineError, FatalError."""

    async def serve(self) -> None:
        """Answer until the client says good-bye.  Errors: ConnectionLost, RemoteProtocolError."""
        await serve(self.conversation, self if self.telemetry is None else Observed(self, self.telemetry))

    # What the loop calls

    def handle(self, message: Event) -> Awaitable[None]:
        """Answer one message; an error is told to the client.  READY: that is done, with nothing to wait for."""
        if self.parameters.timed and self._timeouts is not None:
            self._timeouts.works()
        if self._cancelled:
            self._cancelled = False
            self._stop.clear()
        self._offset = 0
        try:
            answering = self._handlers[type(message)](message)
        except (ConnectionLost, FatalError):
            raise
        except Exception as error:
            return self._confess(error)
        return READY if answering is READY else self._see_through(answering)

    async def _see_through(self, answering: Awaitable[None]) -> None:
        try:
            await answering
        except (ConnectionLost, FatalError):
            raise
        except Exception as error:
            await self._confess(error)

    async def _confess(self, error: Exception) -> None:
        """Tell the client what went wrong, as far as that is its business."""
        if isinstance(error, LocalProtocolError):
            # what the engine gave cannot be said: a name with a NUL, more columns than a message counts
            logger.error("an answer could not be sent", exc_info=error)
            error = EngineError(str(error), sqlstate=error.sqlstate)
        elif not isinstance(error, EngineError):
            logger.error("the engine failed", exc_info=error)
            error = EngineError("internal error")
        await self._fail(error)

    async def refuse(self, error: RemoteProtocolError) -> None:
        """A message that was well framed and made no sense."""
        await self._fail(EngineError(str(error), sqlstate=error.sqlstate))

    # Each message.  Override to answer otherwise, with `async def` or so that READY is returned where nothing has to be
    # waited for; `say` and `ready` are what an answer needs.

    async def on_query(self, message: Query) -> None:
        """Run a query string, each statement answered, all or nothing (manual: "Simple Query")."""
        if self.portals.by_name:
            await self._close_portal("")
        if self.statements.by_name:
            self.statements.close("")
        self.backend.works(message.query)
        statements = split(message.query)
        if not statements:
            self.say(EmptyQueryResponse())
        several = len(statements) > 1
        for statement in statements:
            await self._answer_simply(statement, several=several)
            if self._timeouts is not None and self.parameters.timed:
                self._timeouts.next_statement()
        await self._end_series()

    def on_parse(self, message: Parse) -> Awaitable[None]:
        """Understand a statement and keep it under a name."""
        if message.statement:
            self.statements.check_free(message.statement)
        else:
            self.statements.close("")
        found = split(message.query)
        if len(found) > 1:
            raise EngineError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
        if not found:
            self._remember(Statement(None, name=message.statement))
            return READY
        self._offset = found[0].offset
        self.backend.works(message.query)
        prepared = self._recalled(found[0], message.parameter_types)
        if prepared is None:
            if self._blocking:
                return self._understand(message, found[0])
            prepared = self._prepare(found[0], message.parameter_types)
        self._remember(Statement(prepared, name=message.statement, offset=found[0].offset, text=message.query))
        return READY

    async def _understand(self, message: Parse, found: sql.Statement) -> None:
        prepared = await self.work(self._prepare, found, message.parameter_types)
        self._remember(Statement(prepared, name=message.statement, offset=found.offset, text=message.query))

    def _remember(self, statement: Statement) -> None:
        self.statements.add(statement)
        self.say(_PARSED)

    def on_bind(self, message: Bind) -> Awaitable[None]:
        """Give a statement its values; nothing runs."""
        statement = self.statements.get(message.statement)
        self._offset = statement.offset
        values = statement.values(message.parameter_formats, message.parameters, self.zone)
        self._check_block(statement)
        columns, formats = statement.columns or (), message.result_formats
        if formats:
            if len(formats) > 1 and len(formats) != len(columns):
                raise EngineError(f"bind message has {len(formats)} result formats but query has {len(columns)} "
                                  "columns", sqlstate="08P01")
            check_codes(formats)
        every = expand(formats, len(columns))
        if columns:
            check_formats(columns, every)
        self.portals.check_free(message.portal)
        taken = self.portals.by_name.get(message.portal)
        if taken is not None and taken.open:
            return self._rebind(message)
        self.portals.add(Portal(statement.hold(), values, every, name=message.portal))
        self.say(_BOUND)
        return READY

    async def _rebind(self, message: Bind) -> None:
        """Bind, once the portal that has the name is closed."""
        await self._close_portal(message.portal)
        await self.on_bind(message)

    def on_describe(self, message: Describe) -> Awaitable[None]:
        """Say what a statement or portal takes and returns; nothing runs."""
        if message.kind == "S":
            statement = self.statements.get(message.name)
            formats = expand((), len(statement.columns or ()))
        else:
            portal = self.portals.get(message.name)
            statement, formats = portal.statement, portal.formats
        if statement.columns is not None:
            self._check_block(statement)
        description = statement.description(formats)
        if message.kind == "S":
            self.say(ParameterDescription(parameter_types=list(statement.parameters)))
        if description is None:
            self.say(_NO_DATA)
        else:
            self.describe(description)
        return READY

    async def on_execute(self, message: Execute) -> None:
        """Run a portal, or go on with it, up to a number of rows."""
        portal = self.portals.get(message.portal)
        statement = portal.statement
        self._offset = statement.offset
        if statement.prepared is None:
            self.say(EmptyQueryResponse())
            return
        self._check_block(statement)
        if portal.finished and statement.columns is None:
            raise EngineError(f'portal "{portal.name}" cannot be run', sqlstate="55000")
        self.backend.works(statement.text)
        if statement.command is not None and isinstance(statement.command, Copy):
            await self._copy(statement.command, portal)
            return
        # A single Execute before Sync is a transaction by itself, which the engine can do without being told.
        alone = self.conversation.core.next_type == _SYNC
        limit = max(message.maximum_rows, 0)
        sent = self._say_rows(portal, await self._first(portal, not alone, message.maximum_rows), limit, 0)
        if sent >= 0:
            await self._send_rows(portal, limit, sent)
        if self._timeouts is not None:
            self._timeouts.statement_done()

    async def on_close(self, message: Close) -> None:
        """Forget a statement or portal."""
        if message.kind == "S":
            self.statements.close(message.name)
        else:
            await self._close_portal(message.name)
        self.say(_CLOSED)

    def on_sync(self, message: Sync) -> Awaitable[None]:
        """The series is over: outside a block, what it did is committed."""
        return self._end_series()

    async def on_function_call(self, message: FunctionCall) -> None:
        """Call a function by its OID (manual: "Function Call")."""
        if self.transaction.block is Block.FAILED:
            raise aborted()
        function = self.functions.by_oid(message.function_oid)
        if function.returns_set:
            raise EngineError(f"function {signature(function)} returns a set", sqlstate="0A000")
        wanted, given = function.arguments, message.arguments
        if len(given) != len(wanted):
            raise EngineError(f"function call message contains {len(given)} arguments but function requires "
                              f"{len(wanted)}", sqlstate="08P01")
        self.backend.works(f"<fastpath> function call: \"{function.name}\" (OID {function.oid})")
        call = Command(lambda values: Result(rows=[[(function(self, list(values)),)]]), parameters=wanted,
                       columns=(Column(name=function.name, type_oid=function.result),), waits=function.waits)
        self.effects = True
        check_codes((message.result_format,))
        portal = Portal(Statement(call), decode_values(wanted, expand(message.argument_formats, len(wanted)), given),
                        (message.result_format,))
        data, _ = await self._first(portal, False, 1)
        self.say(FunctionCallResponse(value=DataRow.decode(bytes(data), 5, len(data)).values[0]))
        await self._end_series()

    # What answers are made of

    def start_with(self, name: str, value: str) -> None:
        """Take a run-time parameter of the StartupMessage.  Errors: EngineError."""
        self.parameters.start(name, value)

    def start(self, key: BackendKeyData, *, end: Callable[[str, str], object] | None = None) -> None:
        """Say what follows AuthenticationOk: the parameters, the cancel key, ReadyForQuery.

        `end` ends the connection with a text and an SQLSTATE, when the session has been idle for too long and the like.
        """
        self.process_id = self.backend.process_id = key.process_id
        with contextlib.suppress(RuntimeError):  # a test may run a session without a loop
            self._loop = asyncio.get_running_loop()
            self.backend.terminate = self._terminator(self._loop, asyncio.current_task())
            if end is not None:
                self._timeouts = Timeouts(self._loop, value=self.parameters.get, cancel=self.cancel, end=end)
        self.shared.activity.enter(self.backend)
        self.engine.attach(self)
        self._report()
        self.say(key)
        self.ready()

    def stop_clocks(self) -> None:
        """The conversation is over."""
        if self._timeouts is not None:
            self._timeouts.close()

    def ready(self) -> None:
        """Say ReadyForQuery, and before it which reported parameters have changed."""
        if self.parameters.changed:
            self._report()
        block = self.transaction.block
        status: str = block._value_
        if self.mailbox.waiting and block is _NONE:
            self._say_notifications()
        self.backend.rests(status)
        if self.parameters.timed and self._timeouts is not None:
            self._timeouts.rests(status)
        self.say(_READY[status])

    def _report(self) -> None:
        for name, value in self.parameters.reports():
            self.say(ParameterStatus(name=name, value=value))
        self.backend.application_name = self.parameters.get("application_name")

    @staticmethod
    def _terminator(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> Callable[[], object]:
        """Ends the connection's task, from any thread."""
        def terminate() -> None:
            if task is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(task.cancel)

        return terminate

    # Inside

    def _end_series(self) -> Awaitable[None]:
        """A query string, a pipeline or a function call is over: outside a block, what it did is committed."""
        transaction, portals = self.transaction, self.portals
        if transaction.implicit or (transaction.block is _NONE and (self.effects or portals.any_open)):
            return self._settle()
        if portals.by_name and transaction.block is _NONE:
            portals.transaction_ended()
        self.ready()
        return READY

    async def _settle(self) -> None:
        """End a series that the engine has to do with."""
        if self.transaction.implicit:
            await self.work(self.transaction.end_implicit)
        elif self.effects and self.transaction.block is _NONE:
            self.committing()
            self.transaction_ended(True)
        if self.portals.by_name and self.transaction.block is _NONE:
            await self._close_portals()
        self.ready()

    async def _fail(self, error: EngineError) -> None:
        """Tell the client, and undo what the transaction did."""
        self.failure = error
        position = error.position + self._offset if error.position is not None else None
        if self.in_transaction:
            await self.work(self.transaction.fail)
        else:
            if self.effects:
                self.transaction_ended(False)
            if self.portals.by_name:
                await self._close_portals()
        self._say_notices()
        text = str(error)
        if error.sqlstate == "57014" and self._timeouts is not None and self._timeouts.expired:
            text = STATEMENT
        self.say(error_response(text, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint,
                                position=position, where=error.where, routine=error.routine))
        if self.conversation.core.state is State.ENDING:
            self.ready()
