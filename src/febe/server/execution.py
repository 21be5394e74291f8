"""Statements under way: understood, run, and their rows sent, in the engine's threads and on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from febe.flows.serve import DELIVER_AT, Conversation, notice_response
from febe.protocol.asynchronous import NotificationResponse
from febe.protocol.errors import ConnectionLost
from febe.protocol.extended import PortalSuspended
from febe.protocol.message import Message
from febe.protocol.simple import CommandComplete, DataRow, RowDescription
from febe.protocol.states import State
from febe.server import commands, sql
from febe.server.books import Books
from febe.server.copying import Copy
from febe.server.engine import EngineError, EngineSession, Prepared
from febe.server.portals import Portal
from febe.server.shared import Shared
from febe.server.statements import Statement
from febe.server.transactions import Block

T = TypeVar("T")
PUSH_SECONDS = 0.005
"""How long answers may wait for the next one, so that they leave together."""
Piece: TypeAlias = "tuple[bytes | bytearray, int]"
"""Rows, encoded, and how many."""
_CACHED_TEXT = 2048


_NONE, _FAILED = Block.NONE, Block.FAILED


def _split(text: str) -> tuple[sql.Statement, ...]:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            wrong = text[error.start:error.start + 1].encode("utf-8", "surrogateescape")
            raise EngineError(f'invalid byte sequence for encoding "UTF8": 0x{wrong.hex()}', sqlstate="22021") from None
    return tuple(sql.split(text))


_split_short = lru_cache(1024)(_split)


def split(text: str) -> tuple[sql.Statement, ...]:
    """The statements of a query string.  Errors: EngineError (22021)."""
    return _split_short(text) if len(text) <= _CACHED_TEXT else _split(text)


@lru_cache(1024)
def _complete(tag: str | None, rows: int) -> bytes:
    """The CommandComplete of a result with this tag, after so many rows."""
    return CommandComplete(tag=(tag or "SELECT {}").replace("{}", str(rows))).encode()


class Execution(Books):
    """Runs a session's statements and answers with what they give."""

    def __init__(self, conversation: Conversation, engine: EngineSession, *, user: str, blocking: bool,
                 database: str, shared: Shared | None) -> None:
        super().__init__(engine, user=user, database=database, shared=shared)
        self.conversation = conversation
        self._blocking = blocking
        self._offset = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: asyncio.Task[None] | None = None

    def say(self, *messages: Message) -> None:
        """Answer with these messages."""
        self.conversation.say(*messages)

    def describe(self, description: bytes) -> None:
        """Say what the rows look like; `description` is a RowDescription, encoded."""
        self.conversation.say_run(RowDescription, description)
    # In the engine's threads

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

    def _prepare(self, statement: sql.Statement, types: list[int]) -> Any:
        """Find who understands the statement.  In a failed block only its end is of interest."""
        if self.parameters.unpassed:
            self._pass_on()
        self.types_given = types
        command = commands.find(self, statement)
        if self.transaction.block is _FAILED and not (command is not None and command.ends_block):
            raise aborted()
        if command is not None:
            return command
        if self._cancelled:
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
        if self.transaction.block is _FAILED and statement.prepared is not None and (
                statement.command is None or not statement.command.ends_block):
            raise aborted()

    def _recalled(self, statement: sql.Statement, types: list[int]) -> Prepared | None:
        """The engine's statement, when it is one of the engine's and known already."""
        if self.transaction.block is _FAILED or self.parameters.unpassed:
            return None
        return self.engine.recall(statement.sql, types)

    def _pass_on(self) -> None:
        """Tell the engine which parameters have changed that mean something to it."""
        for name, value in self.parameters.passed_on():
            self.engine.change(name, value)

    async def _first(self, portal: Portal, implicit: bool, most: int) -> Piece:
        """Run the portal's statement, or go on with it, and give its first rows."""
        command = portal.statement.command
        if command is not None and command.waits:
            await self.work(self.enter, portal, implicit)
            return await self.work(self._pull, portal, most, waits=True)
        if self._blocking:
            return await self.work(self._enter_and_pull, portal, implicit, most)
        return self._enter_and_pull(portal, implicit, most)

    def _enter_and_pull(self, portal: Portal, implicit: bool, most: int) -> Piece:
        self.enter(portal, implicit)
        return self._pull(portal, most)

    def enter(self, portal: Portal, implicit: bool) -> None:
        """Have the transaction ready that the portal's statement is to run in."""
        transaction, parameters = self.transaction, self.parameters
        prepared, command = portal.statement.prepared, portal.statement.command
        if portal.result is not None or (command is not None and command.controls):
            return
        if parameters.unpassed:
            self._pass_on()
        if transaction.block is _NONE:
            read_only = parameters.default_read_only
            if implicit or read_only or (prepared is not None and prepared.together):
                transaction.start_implicit(read_only=read_only)
                if transaction.implicit:
                    parameters.begin()
        if command is None or command.reaches_engine:
            transaction.untouched = False

    def _pull(self, portal: Portal, most: int) -> Piece:
        if self._cancelled:
            self.check_cancelled()
        return portal.pull(most)

    def _begin_simply(self, statement: sql.Statement, several: bool) -> tuple[Portal, Piece | Exception | None]:
        """The portal and its first rows; an error that comes after a query's description; nothing when it waits."""
        understood = Statement(self._recalled(statement, []) or self._prepare(statement, []))
        if understood.parameters:
            raise EngineError("there is no parameter $1", sqlstate="42P02",
                              position=_parameter_position(statement.sql))
        command, columns = understood.command, understood.columns
        form = 1 if command is not None and command.binary else 0
        portal = Portal(understood, (), (form,) * len(columns or ()))
        if command is not None and (command.waits or isinstance(command, Copy)):
            return portal, None
        try:
            return portal, self._enter_and_pull(portal, several, 0)
        except Exception as error:
            prepared = understood.prepared
            if prepared is not None and columns is not None and not prepared.writes and (
                    command is None or command.is_query):
                return portal, error
            portal.close()
            raise

    async def _answer_simply(self, statement: sql.Statement, *, several: bool) -> None:
        self._offset = statement.offset
        if self._blocking:
            portal, piece = await self.work(self._begin_simply, statement, several)
        else:
            portal, piece = self._begin_simply(statement, several)
        understood = portal.statement
        try:
            description = understood.description(portal.formats)
            if description is not None:
                self.describe(description)
            if understood.command is not None and isinstance(understood.command, Copy):
                await self._copy(understood.command, portal)
                return
            if piece is None:
                piece = await self._first(portal, several, 0)
            if isinstance(piece, Exception):
                raise piece
            self._say_notices(portal)
            sent = self._say_rows(portal, piece, 0, 0)
            if sent >= 0:
                await self._send_rows(portal, 0, sent)
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
        self.conversation.say_run(CommandComplete, _complete(tag, 0))

    async def _send_rows(self, portal: Portal, limit: int, sent: int) -> None:
        """Send a portal's rows after those `sent`, as the engine gives them, and what ends them."""
        while sent >= 0:
            if self.conversation.waiting >= DELIVER_AT:
                await self.conversation.deliver()
            piece = await self.work(self._pull, portal, limit and limit - sent)
            sent = self._say_rows(portal, piece, limit, sent)

    def _say_rows(self, portal: Portal, piece: Piece, limit: int, sent: int) -> int:
        """Say rows after those `sent`; how many that makes, or -1 when what ends them has been said too."""
        data, rows = piece
        if rows:
            sent += rows
            self.backend.rows += rows
            self.conversation.say_run(DataRow, data)
            if sent != limit and not portal.finished:
                return sent
        self._say_notices(portal)
        if rows and sent == limit:
            self.say(PortalSuspended())
        else:
            self.conversation.say_run(CommandComplete, _complete(portal.tag, sent))
        return -1

    def _say_notices(self, portal: Portal | None = None) -> None:
        if portal is not None and portal.result is not None and portal.result.notices:
            for text in portal.notices():
                self.tell(text)
        if self._notices:
            for text, sqlstate, severity, where in self._notices:
                self.say(notice_response(text, sqlstate=sqlstate, severity=severity, where=where))
            self._notices.clear()

    async def _close_portal(self, name: str) -> None:
        found = self.portals.by_name.get(name)
        if found is not None:
            if found.open:
                await self.work(self.portals.close, name)
            else:
                self.portals.close(name)

    async def _close_portals(self) -> None:
        """The transaction is over: portals are too, but for cursors that are held."""
        if self.portals.any_open:
            await self.work(self.portals.transaction_ended)
        else:
            self.portals.transaction_ended()

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


def aborted() -> EngineError:
    """What a failed block owes."""
    return EngineError("current transaction is aborted, commands ignored until end of transaction block",
                       sqlstate="25P02")


def _parameter_position(text: str) -> int | None:
    return next((token.start + 1 for token in sql.tokens(text) if token.kind is sql.TokenKind.PARAMETER), None)
