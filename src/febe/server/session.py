"""One client's session: what each message does, and the books that keep track of it.

`Session` answers from an engine.  A server author who wants something else overrides `on_query`, `on_parse` and their
like; the books (statements, portals, transaction, parameters) are there either way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from febe.flows.serve import DELIVER_AT, Conversation, error_response, notice_response, serve
from febe.protocol.asynchronous import NotificationResponse
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
    PortalSuspended,
    Sync,
)
from febe.protocol.function import FunctionCall, FunctionCallResponse
from febe.protocol.message import Message
from febe.protocol.simple import CommandComplete, DataRow, EmptyQueryResponse, Query, RowDescription
from febe.protocol.startup import BackendKeyData, ParameterStatus, ReadyForQuery, StartupMessage
from febe.protocol.states import State
from febe.server import commands, sql
from febe.server.books import Books
from febe.server.command import Command
from febe.server.copying import Copy
from febe.server.engine import Column, EngineError, EngineSession, Prepared, Result
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

T = TypeVar("T")
PUSH_SECONDS = 0.005
"""How long answers may wait for the next one, so that they leave together."""
Piece: TypeAlias = "tuple[bytes | bytearray, int]"
"""Rows, encoded, and how many."""
logger = logging.getLogger("febe.server")

_SYNC = ord(Sync.type)
_CACHED_TEXT = 2048
_READY = {block: ReadyForQuery(status=block.value) for block in Block}


@lru_cache(1024)
def _split_short(text: str) -> tuple[sql.Statement, ...]:
    return tuple(sql.split(text))


@lru_cache(1024)
def _complete(tag: str) -> bytes:
    return CommandComplete(tag=tag).encode()


class Session(Books):
    """A client that has been let in.  Errors of one request end that request; the session goes on.

    `functions` are those that FunctionCall may call.
    """

    functions: Functions = FUNCTIONS

    def __init__(self, conversation: Conversation, engine: EngineSession, *, user: str, blocking: bool,
                 database: str = "", shared: Shared | None = None) -> None:
        super().__init__(engine, user=user, database=database, shared=shared)
        self.conversation = conversation
        self._blocking = blocking
        self._offset = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: asyncio.Task[None] | None = None
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

    async def handle(self, message: Event) -> None:
        """Answer one message; an error is told to the client."""
        if self.parameters.timed and self._timeouts is not None:
            self._timeouts.works()
        if self._cancelled:
            self._cancelled = False
            self._stop.clear()
        self._offset = 0
        try:
            await self._handlers[type(message)](message)
        except EngineError as error:
            await self._fail(error)
        except LocalProtocolError as error:
            # what the engine gave cannot be said: a name with a NUL, more columns than a message counts
            logger.exception("an answer could not be sent")
            await self._fail(EngineError(str(error), sqlstate=error.sqlstate))
        except (ConnectionLost, FatalError):
            raise
        except Exception:
            logger.exception("the engine failed")
            await self._fail(EngineError("internal error"))

    async def refuse(self, error: RemoteProtocolError) -> None:
        """A message that was well framed and made no sense."""
        await self._fail(EngineError(str(error), sqlstate=error.sqlstate))

    # Each message.  Override to answer otherwise; `say` and `ready` are what an answer needs.

    async def on_query(self, message: Query) -> None:
        """Run a query string, each statement answered, all or nothing (manual: "Simple Query")."""
        if self.portals:
            await self._close_portal("")
        self.statements.close("")
        self.backend.works(message.query)
        statements = self._split(message.query)
        if not statements:
            self.say(EmptyQueryResponse())
        for statement in statements:
            await self._answer_simply(statement, several=len(statements) > 1)
            if self._timeouts is not None and self.parameters.timed:
                self._timeouts.next_statement()
        await self._end_series()

    async def on_parse(self, message: Parse) -> None:
        """Understand a statement and keep it under a name."""
        self.statements.check_free(message.statement)
        if not message.statement:
            self.statements.close("")
        found = self._split(message.query)
        if len(found) > 1:
            raise EngineError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
        if found:
            self._offset = found[0].offset
            self.backend.works(message.query)
            prepared = self._recalled(found[0], message.parameter_types)
            if prepared is None:
                prepared = await self.work(self._prepare, found[0], message.parameter_types)
            statement = Statement(prepared, name=message.statement, offset=found[0].offset, text=message.query)
        else:
            statement = Statement(None, name=message.statement)
        self.statements.add(statement)
        self.say(ParseComplete())

    async def on_bind(self, message: Bind) -> None:
        """Give a statement its values; nothing runs."""
        statement = self.statements.get(message.statement)
        self._offset = statement.offset
        values = statement.values(message.parameter_formats, message.parameters, self.zone)
        self._check_block(statement)
        columns = statement.columns or ()
        formats = message.result_formats
        if len(formats) > 1 and len(formats) != len(columns):
            raise EngineError(f"bind message has {len(formats)} result formats but query has {len(columns)} columns",
                              sqlstate="08P01")
        check_codes(formats)
        every = expand(formats, len(columns))
        check_formats(columns, every)
        self.portals.check_free(message.portal)
        if message.portal in self.portals:
            await self._close_portal(message.portal)
        self.portals.add(Portal(statement.hold(), values, every, name=message.portal))
        self.say(BindComplete())

    async def on_describe(self, message: Describe) -> None:
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
            self.say(NoData())
        else:
            self.describe(description)

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
        if isinstance(statement.prepared, Copy):
            await self._copy(statement.prepared, portal)
            return
        # A single Execute before Sync is a transaction by itself, which the engine can do without being told.
        alone = self.conversation.core.next_type == _SYNC
        await self._send_rows(portal, await self._first(portal, not alone, message.maximum_rows),
                              max(message.maximum_rows, 0))
        if self._timeouts is not None:
            self._timeouts.statement_done()

    async def on_close(self, message: Close) -> None:
        """Forget a statement or portal."""
        if message.kind == "S":
            self.statements.close(message.name)
        else:
            await self._close_portal(message.name)
        self.say(CloseComplete())

    async def on_sync(self, message: Sync) -> None:
        """The series is over: outside a block, what it did is committed."""
        await self._end_series()

    async def on_function_call(self, message: FunctionCall) -> None:
        """Call a function by its OID (manual: "Function Call")."""
        if self.transaction.block is Block.FAILED:
            raise _aborted()
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

    def say(self, *messages: Message) -> None:
        """Answer with these messages."""
        self.conversation.say(*messages)

    def describe(self, description: bytes) -> None:
        """Say what the rows look like; `description` is a RowDescription, encoded."""
        self.conversation.say_run(RowDescription, description)

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
        if self.mailbox.waiting and block is Block.NONE:
            self._say_notifications()
        self.backend.rests(block.value)
        if self.parameters.timed and self._timeouts is not None:
            self._timeouts.rests(block.value)
        self.say(_READY[block])

    def _report(self) -> None:
        for name, value in self.parameters.reports():
            self.say(ParameterStatus(name=name, value=value))
        self.backend.application_name = self.parameters.get("application_name")

    # From outside the conversation

    def notified(self) -> None:
        """A notification has come: an idle client is told now, another at its next ReadyForQuery."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        idle = self.conversation.core.state is State.IDLE and self.transaction.block is Block.NONE
        if idle and self.mailbox.waiting and (self._telling is None or self._telling.done()):
            self._say_notifications()
            assert self._loop is not None
            self._telling = self._loop.create_task(self._deliver())

    async def _deliver(self) -> None:
        with contextlib.suppress(ConnectionLost):  # the conversation notices too
            await self.conversation.deliver()
            if self.mailbox.waiting:
                self._loop.call_soon(self._tell)  # type: ignore[union-attr]

    def _say_notifications(self) -> None:
        waiting = self.mailbox.waiting
        while waiting and self.conversation.waiting < DELIVER_AT:
            one = waiting.popleft()
            self.say(NotificationResponse(process_id=one.process_id, channel=one.channel, payload=one.payload))

    @staticmethod
    def _terminator(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> Callable[[], object]:
        """Ends the connection's task, from any thread."""
        def terminate() -> None:
            if task is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(task.cancel)

        return terminate

    # Inside

    async def work(self, call: Callable[..., T], *args: Any, waits: bool = False) -> T:
        """Make a call that may reach the engine, or that waits."""
        if not (self._blocking or waits):
            return call(*args)
        self._working = True
        push = None
        if self.conversation.waiting and self._loop is not None:
            # what was said before is not kept back by what takes its time (manual: "Pipelining", Flush)
            push = self._loop.call_later(PUSH_SECONDS, self._push)
        try:
            return await self.conversation.port.run(call, *args)
        finally:
            self._working = False
            if push is not None:
                push.cancel()

    def _push(self) -> None:
        assert self._loop is not None
        if self._telling is None or self._telling.done():
            self._telling = self._loop.create_task(self._deliver())

    def _split(self, text: str) -> tuple[sql.Statement, ...]:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                wrong = text[error.start:error.start + 1].encode("utf-8", "surrogateescape")
                raise EngineError(f'invalid byte sequence for encoding "UTF8": 0x{wrong.hex()}',
                                  sqlstate="22021") from None
        return _split_short(text) if len(text) <= _CACHED_TEXT else tuple(sql.split(text))

    def _prepare(self, statement: sql.Statement, types: list[int]) -> Any:
        """Find who understands the statement.  In a failed block only its end is of interest."""
        if self.parameters.unpassed:
            self._pass_on()
        self.types_given = types
        command = commands.find(self, statement)
        if self.transaction.block is Block.FAILED and not (command is not None and command.ends_block):
            raise _aborted()
        if command is not None:
            return command
        self.check_cancelled()
        try:
            return self.engine.prepare(statement.sql, types)
        except EngineError as error:
            words = statement.sql.split()
            if statement.verb == "SHOW" and error.sqlstate[:2] in ("42", "3F", "3D") and len(words) == 2:
                # What the engine cannot show was meant to be a parameter.
                name = words[1]
                raise EngineError(f'unrecognized configuration parameter "{name}"', sqlstate="42704") from error
            raise

    def _check_block(self, statement: Statement) -> None:
        if self.transaction.block is Block.FAILED:
            prepared = statement.prepared
            if prepared is not None and not (isinstance(prepared, Command) and prepared.ends_block):
                raise _aborted()

    def _recalled(self, statement: sql.Statement, types: list[int]) -> Prepared | None:
        """The engine's statement, when it is one of the engine's and known already."""
        if self.transaction.block is Block.FAILED or self.parameters.unpassed:
            return None
        return self.engine.recall(statement.sql, types)

    def _pass_on(self) -> None:
        """Tell the engine which parameters have changed that mean something to it."""
        for name, value in self.parameters.passed_on():
            self.engine.change(name, value)

    async def _first(self, portal: Portal, implicit: bool, most: int) -> Piece:
        """Run the portal's statement, or go on with it, and give its first rows."""
        prepared = portal.statement.prepared
        if isinstance(prepared, Command) and prepared.waits:
            await self.work(self.enter, portal, implicit)
            return await self.work(self._pull, portal, most, waits=True)
        return await self.work(self._enter_and_pull, portal, implicit, most)

    def _enter_and_pull(self, portal: Portal, implicit: bool, most: int) -> Piece:
        self.enter(portal, implicit)
        return self._pull(portal, most)

    def enter(self, portal: Portal, implicit: bool) -> None:
        """Have the transaction ready that the portal's statement is to run in."""
        transaction, prepared = self.transaction, portal.statement.prepared
        if portal.started or (isinstance(prepared, Command) and prepared.controls):
            return
        if self.parameters.unpassed:
            self._pass_on()
        if transaction.block is Block.NONE:
            read_only = self.parameters.default_read_only
            if implicit or read_only or (prepared is not None and prepared.together):
                transaction.start_implicit(read_only=read_only)
                if transaction.implicit:
                    self.parameters.begin()
        if not isinstance(prepared, Command) or prepared.reaches_engine:
            transaction.untouched = False

    def _pull(self, portal: Portal, most: int) -> Piece:
        self.check_cancelled()
        return portal.pull(most)

    def _portal_of(self, statement: sql.Statement) -> Portal:
        prepared = self._prepare(statement, [])
        understood = Statement(prepared)
        if understood.parameters:
            raise EngineError("there is no parameter $1", sqlstate="42P02",
                              position=_parameter_position(statement.sql))
        form = 1 if isinstance(prepared, Command) and prepared.binary else 0
        return Portal(understood, (), expand((form,), len(prepared.columns or ())))

    def _begin_simply(self, statement: sql.Statement, several: bool) -> tuple[Portal, Piece | Exception | None]:
        """The portal and its first rows; an error that comes after a query's description; nothing when it waits."""
        portal = self._portal_of(statement)
        prepared = portal.statement.prepared
        assert prepared is not None
        command = prepared if isinstance(prepared, Command) else None
        if command is not None and (command.waits or isinstance(command, Copy)):
            return portal, None
        try:
            return portal, self._enter_and_pull(portal, several, 0)
        except Exception as error:
            if prepared.columns is not None and not prepared.writes and (command is None or command.is_query):
                return portal, error
            portal.close()
            raise

    async def _answer_simply(self, statement: sql.Statement, *, several: bool) -> None:
        self._offset = statement.offset
        portal, piece = await self.work(self._begin_simply, statement, several)
        try:
            description = portal.statement.description(portal.formats)
            if description is not None:
                self.describe(description)
            if isinstance(portal.statement.prepared, Copy):
                await self._copy(portal.statement.prepared, portal)
                return
            if piece is None:
                piece = await self._first(portal, several, 0)
            if isinstance(piece, Exception):
                raise piece
            self._say_notices(portal)
            await self._send_rows(portal, piece, 0)
        finally:
            if portal.open:
                await self.work(portal.close)
            else:
                portal.close()

    async def _copy(self, copy: Copy, portal: Portal) -> None:
        """Have the conversation that a COPY is; what comes in takes effect together."""
        await self.work(self.enter, portal, copy.writes)
        portal.finished = True
        tag = await copy.converse(self)
        self._say_notices()
        self.conversation.say_run(CommandComplete, _complete(tag))

    async def _send_rows(self, portal: Portal, piece: Piece, limit: int) -> None:
        """Send a portal's rows as the engine gives them, and what ends them."""
        conversation, sent = self.conversation, 0
        while True:
            data, rows = piece
            if not rows:
                break
            sent += rows
            self.backend.rows += rows
            conversation.say_run(DataRow, data)
            if sent == limit:
                break
            if portal.finished:
                rows = 0
                break
            if conversation.waiting >= DELIVER_AT:
                await conversation.deliver()
            piece = await self.work(self._pull, portal, limit and limit - sent)
        self._say_notices(portal)
        if rows:
            self.say(PortalSuspended())
        else:
            conversation.say_run(CommandComplete, _complete(portal.tag(sent)))

    def _say_notices(self, portal: Portal | None = None) -> None:
        if portal is not None:
            for text in portal.notices():
                self.tell(text)
        for text, sqlstate, severity, where in self._notices:
            self.say(notice_response(text, sqlstate=sqlstate, severity=severity, where=where))
        self._notices.clear()

    async def _close_portal(self, name: str) -> None:
        if name in self.portals:
            if self.portals.get(name).open:
                await self.work(self.portals.close, name)
            else:
                self.portals.close(name)

    async def _close_portals(self) -> None:
        """The transaction is over: portals are too, but for cursors that are held."""
        if self.portals.any_open:
            await self.work(self.portals.transaction_ended)
        else:
            self.portals.transaction_ended()

    async def _end_series(self) -> None:
        """A query string, a pipeline or a function call is over: outside a block, what it did is committed."""
        if self.transaction.implicit:
            await self.work(self.transaction.end_implicit)
        elif self.effects and self.transaction.block is Block.NONE:
            self.committing()
            self.transaction_ended(True)
        if self.portals and self.transaction.block is Block.NONE:
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
            if self.portals:
                await self._close_portals()
        self._say_notices()
        text = str(error)
        if error.sqlstate == "57014" and self._timeouts is not None and self._timeouts.expired:
            text = STATEMENT
        self.say(error_response(text, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint,
                                position=position, where=error.where, routine=error.routine))
        if self.conversation.core.state is State.ENDING:
            self.ready()


def _aborted() -> EngineError:
    return EngineError("current transaction is aborted, commands ignored until end of transaction block",
                       sqlstate="25P02")


def _parameter_position(text: str) -> int | None:
    return next((token.start + 1 for token in sql.tokens(text) if token.kind is sql.TokenKind.PARAMETER), None)
