"""A session that is had somewhere else: what the client says goes upstream, what the server says comes back.

Both cores judge every message, so neither side sees one that is malformed or out of its place.  Rows and COPY data stay
in the runs they came in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from febe.client.run_asyncio import open_session
from febe.protocol.connection import CopyDataRun, DataRowRun
from febe.protocol.copy import CopyData, CopyDone, CopyFail
from febe.protocol.errors import (
    ConnectionLost,
    Error,
    PostgresError,
    ProtocolError,
    RemoteProtocolError,
)
from febe.protocol.extended import Bind, Close, Execute, Flush, Parse
from febe.protocol.message import Message
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import BackendKeyData, ParameterStatus, ReadyForQuery, StartupMessage, Terminate
from febe.protocol.states import State
from febe.server.limits import FatalError
from febe.server.session import Session

if TYPE_CHECKING:
    from febe.engines.upstream.engine import UpstreamSession
    from febe.flows.session import Session as ClientSession
    from febe.ports.asyncio import AsyncioPort

logger = logging.getLogger("febe.engines.upstream")

_FLUSH = Flush()
_RUNS: frozenset[type] = frozenset({DataRowRun, CopyDataRun})
_FIRST_LOOKED_AT: frozenset[type] = frozenset({CopyDataRun, Query, Parse, CopyDone, CopyFail, Terminate})
_LOOKED_AT: frozenset[type] = _FIRST_LOOKED_AT | {Bind, Close, Execute}
"""What is not passed on unseen while a prepared statement may be a COPY."""
_SETTLED = frozenset({State.IDLE, State.SKIPPING, State.QUERY_COPY_IN, State.EXECUTE_COPY_IN, State.COPY_BOTH})
"""Where it is known what the client's next message means."""

End = Callable[[str, str], object]


class RelaySession(Session):
    """A client's session with the server upstream.

    Whatever arrives on one side is said on the other before the event loop does anything else.
    """

    _upstream: ClientSession | None = None
    _relaying: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings: dict[str, str] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Future[None]] = set()
        self._waits = False
        self._query_copies = False
        self._copying: set[str] = set()

    def start_with(self, name: str, value: str) -> None:
        """Keep what the client sets at its start; the server judges it."""
        self._settings[name] = value
        if name == "application_name":
            self.parameters.start(name, value)

    async def open(self, startup: StartupMessage) -> None:
        """Connect upstream.  The client gets that server's process id.  Errors: FatalError, EngineError."""
        plan = cast("UpstreamSession", self.engine).plan(self._settings)
        connecting = asyncio.ensure_future(open_session(plan))
        settled = asyncio.get_running_loop().create_future()

        def settle(_: object) -> None:
            if not settled.done():
                settled.set_result(None)

        connecting.add_done_callback(settle)
        try:
            await self._client_port.attend(settled)
            self._upstream = connecting.result()
        except PostgresError as error:
            raise FatalError(str(error), error.sqlstate) from None
        except (Error, OSError) as error:
            if not connecting.done():
                raise  # it is the client that is gone
            logger.error("the server upstream: %s", error)
            raise FatalError("the server upstream cannot be reached or understood", "08001") from None
        finally:
            if self._upstream is None:  # the client may go at the moment at which the connection is there
                connecting.add_done_callback(_abandon)
                connecting.cancel()
        self.process_id = self._upstream.process_id

    def start(self, key: BackendKeyData, *, end: End | None = None) -> None:
        """Say what the server said when it was ready, and set both directions going."""
        upstream = self._upstream
        assert upstream is not None
        self.say(*(ParameterStatus(name=name, value=value) for name, value in upstream.parameters.items()), key,
                 ReadyForQuery(status=upstream.core.transaction_status))
        self._client_port.write(self.conversation.take())
        self._relaying = asyncio.get_running_loop().create_task(self._attend_server())

    async def serve(self) -> None:
        """Be there until either side is gone.  Errors: ConnectionLost, RemoteProtocolError, FatalError."""
        await self._client_port.attend(self._over)

    def cancel(self) -> None:
        """Pass on a CancelRequest.  Called on the event loop."""
        if self._upstream is not None and self._upstream.cancel is not None:
            self._keep(asyncio.ensure_future(self._upstream.cancel()))

    def stop_clocks(self) -> None:
        """The client is leaving."""
        super().stop_clocks()
        self._client_port.arrived = None
        if self._relaying is not None:
            self._relaying.cancel()

    def close(self) -> None:
        """The client is gone: leave the server upstream, which ends what it does for this session."""
        upstream = self._upstream
        if upstream is not None:
            self._server_port.arrived = None
            with contextlib.suppress(ProtocolError, ConnectionLost):
                upstream.port.write(upstream.core.send(Terminate()))
            upstream.port.abort()
        super().close()

    @property
    def _client_port(self) -> AsyncioPort:
        return cast("AsyncioPort", self.conversation.port)

    @property
    def _server_port(self) -> AsyncioPort:
        assert self._upstream is not None
        return cast("AsyncioPort", self._upstream.port)

    async def _attend_server(self) -> None:
        """Tell of the server's end."""
        self._client_port.arrived, self._server_port.arrived = self._client_speaks, self._server_speaks
        self._client_speaks()
        try:
            await self._server_port.attend(asyncio.get_running_loop().create_future())
        except ConnectionLost as error:
            await self._hear_last_words()
            logger.info("the connection to the server upstream is lost: %s", error)
            self._end(FatalError("the connection to the server upstream is lost", "08006"))

    def _end(self, error: Exception | None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def _keep(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # From the client to the server

    def _client_speaks(self) -> None:
        """Pass on what the client has said."""
        upstream = self._upstream
        assert upstream is not None
        core, server = self.conversation.core, upstream.core
        said: list[bytes | bytearray] = []
        try:
            core.receive(self._client_port.take())
            while not self._waits:
                event = core.pass_on(server, said, _LOOKED_AT if self._copying else _FIRST_LOOKED_AT, _FLUSH)
                if event is None:
                    break
                if isinstance(event, Terminate):
                    self._end(None)
                    return
                if isinstance(event, CopyDataRun):
                    said.append(server.send_run(CopyData, event.data[event.start:event.end]))
                    continue
                if isinstance(event, Query):
                    self.backend.works(event.query)
                message = cast(Message, event)
                said.append(server.send(message))
                self._waits = self._may_copy(message) and server.state not in _SETTLED
                if self._waits and isinstance(message, Execute):
                    said.append(server.send(_FLUSH))  # the client's Sync has to wait
            if said:
                self._server_port.write(b"".join(said))
        except RemoteProtocolError as error:
            # The server upstream cannot be told of a message that makes no sense, and so cannot skip to Sync.
            self._end(error if error.fatal else FatalError(str(error), error.sqlstate))
        except Exception as error:
            self._end(error)
        if self._waits:
            self._client_port.arrived = None
        elif self._server_port.held_back:
            self._client_port.arrived = None
            self._keep(asyncio.ensure_future(self._when_taken(self._server_port, self._client_port,
                                                              self._client_speaks)))

    def _may_copy(self, message: Message) -> bool:
        """Whether the meaning of what the client says next depends on the answer to this message.

        Some clients send the data of a COPY along with its statement (asyncpg), and without CopyInResponse they would
        be dropped.  The server reads them only after it has answered (manual: "COPY Operations"), and so does a relay.
        """
        if isinstance(message, Query):
            self._query_copies = _may_be_copy(message.query)
            return self._query_copies
        if isinstance(message, CopyDone | CopyFail):
            return self._query_copies
        if isinstance(message, Parse):
            _mark(self._copying, "S" + message.statement, _may_be_copy(message.query))
        elif isinstance(message, Bind):
            _mark(self._copying, "P" + message.portal, "S" + message.statement in self._copying)
        elif isinstance(message, Close):
            _mark(self._copying, message.kind + message.name, False)
        elif isinstance(message, Execute):
            return "P" + message.portal in self._copying
        return False

    # From the server to the client

    def _server_speaks(self) -> None:
        """Pass on what the server has said."""
        upstream = self._upstream
        assert upstream is not None
        server, core = upstream.core, self.conversation.core
        said: list[bytes | bytearray] = []
        try:
            server.receive(self._server_port.take())
            while isinstance(event := server.pass_on(core, said, _RUNS), DataRowRun | CopyDataRun):
                kind = DataRow if isinstance(event, DataRowRun) else CopyData
                said.append(core.send_run(kind, event.data[event.start:event.end]))
                self.backend.rows += event.count
            if said:
                self._client_port.write(b"".join(said))
            if server.state is State.IDLE:
                self.backend.rests(server.transaction_status)
        except Exception as error:
            self._end(error)
        if self._waits and server.state in _SETTLED:
            self._waits = False
            self._client_port.arrived = self._client_speaks
            self._client_speaks()
        if self._client_port.held_back:
            self._server_port.arrived = None
            self._keep(asyncio.ensure_future(self._when_taken(self._client_port, self._server_port,
                                                              self._server_speaks)))

    async def _when_taken(self, held_back: AsyncioPort, source: AsyncioPort, speaks: Callable[[], None]) -> None:
        """Listen to one side again once the other has taken what was sent to it."""
        try:
            await held_back.flush(b"")
        except ConnectionLost:
            return  # who attends that side knows
        if not self._over.done():
            source.arrived = speaks
            speaks()

    async def _hear_last_words(self) -> None:
        """Pass on what the server said before it went."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._server_speaks()


def _abandon(connecting: asyncio.Future[ClientSession]) -> None:
    """Close a connection that nobody wants any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().port.abort()


def _may_be_copy(sql: str) -> bool:
    return "copy" in sql.lower()


def _mark(names: set[str], name: str, is_member: bool) -> None:
    if is_member:
        names.add(name)
    else:
        names.discard(name)


__all__ = ["RelaySession"]
