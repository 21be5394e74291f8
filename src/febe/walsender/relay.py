"""Replication connections passed on to a PostgreSQL, message by message; what is said is understood on the way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar, cast

from febe.client.options import Options, resolve
from febe.client.run_asyncio import open_session
from febe.flows.close import close
from febe.flows.serve import Conversation
from febe.flows.session import Session as Upstream
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.connection import CopyDataRun, DataRowRun, Event
from febe.protocol.copy import CopyBothResponse, CopyData, CopyDone, CopyFail, CopyInResponse
from febe.protocol.errors import ConnectionLost, PostgresError
from febe.protocol.errors import Error as AnyError
from febe.protocol.message import Message
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import ParameterStatus, ReadyForQuery, StartupMessage, Terminate
from febe.protocol.states import State
from febe.server.limits import FatalError
from febe.server.session import Session
from febe.walsender.base import ReplicationSession

_COPYING = frozenset({State.COPY_BOTH, State.COPY_BOTH_BACKEND_DONE, State.QUERY_COPY_IN})
_PASSED_ON = ("application_name", "client_encoding", "options")


class RelaySession(ReplicationSession):
    """One client's replication connection, and one to the PostgreSQL behind."""

    conninfo = ""
    options: ClassVar[Options] = {}
    _upstream: Upstream | None = None
    _told = False  # the server behind has said why it ends the session

    async def open(self, startup: StartupMessage) -> None:
        """Connect, as the client did, to what is behind."""
        await super().open(startup)
        given = {name: startup.parameters[name] for name in _PASSED_ON if name in startup.parameters}
        settings = {**self.options.get("settings", {}), **given, "replication": startup.parameters["replication"]}
        try:
            self._upstream = await open_session(resolve(self.conninfo, {**self.options, "settings": settings}))
        except PostgresError as error:
            raise FatalError(error.message, error.sqlstate) from error
        except (OSError, AnyError) as error:
            raise FatalError("the server behind this one cannot be reached", "08006") from error

    def _report(self) -> None:
        assert self._upstream is not None
        for name, value in self._upstream.parameters.items():
            self.say(ParameterStatus(name=name, value=value))
        self.backend.application_name = self.parameters.get("application_name")

    def close(self) -> None:
        """Leave the server behind."""
        super().close()
        if self._upstream is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._upstream.port.abort)

    async def on_query(self, message: Query) -> None:
        """Ask the server behind, and pass on what it says, and what the client says meanwhile."""
        upstream = self._upstream
        assert upstream is not None
        core = upstream.core
        listening: asyncio.Task[None] | None = None
        upstream.port.write(core.send(Query(query=message.query)))
        try:
            while True:
                while (event := core.next_event()) is not None:
                    self._pass(event)
                    if isinstance(event, ReadyForQuery):
                        return
                    if isinstance(event, CopyBothResponse | CopyInResponse):
                        listening = asyncio.create_task(_listen(self.conversation, upstream))
                await self.conversation.deliver()
                core.receive(await self._more(upstream, listening))
        finally:
            if listening is not None:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError, AnyError):
                    await listening

    async def _more(self, upstream: Upstream, listening: asyncio.Task[None] | None) -> bytes:
        """What the server behind says next, unless the client goes before.  Errors: ConnectionLost, FatalError."""
        hearing = asyncio.ensure_future(upstream.port.exchange(b""))
        try:
            if listening is not None and not listening.done():
                await asyncio.wait({hearing, listening}, return_when=asyncio.FIRST_COMPLETED)
            if listening is not None and listening.done():
                listening.result()
            return await hearing
        except ConnectionLost as lost:
            if hearing.done() and not self._told:
                raise FatalError("the connection to the server behind is lost", "08006") from lost
            raise
        finally:
            if not hearing.done():
                hearing.cancel()

    def _pass(self, event: Event) -> None:
        """Say the same."""
        if isinstance(event, CopyDataRun):
            self.conversation.say_run(CopyData, event.data[event.start:event.end])
        elif isinstance(event, DataRowRun):
            self.conversation.say_run(DataRow, event.data[event.start:event.end])
        else:
            assert isinstance(event, Message)
            self.say(event)
            self._told = self._told or (isinstance(event, ErrorResponse) and event.fields_by_code["S"] != "ERROR")


async def _listen(conversation: Conversation, upstream: Upstream) -> None:
    """Pass on what the client says while it streams, up to the end of its half."""
    core, port = upstream.core, upstream.port
    while True:
        event = await conversation.next_event()
        if isinstance(event, Terminate):
            await close(upstream)
            raise ConnectionLost("the client has said good-bye")
        if core.state not in _COPYING:
            return  # the server behind has ended it meanwhile: what comes late is dropped
        if isinstance(event, CopyDataRun):
            data = event.data[event.start:event.end]
            core.send_run(CopyData, data)
            await port.flush(data)
        elif isinstance(event, CopyDone | CopyFail):
            await port.flush(core.send(event))
            return


def relay(conninfo: str = "", **options: Any) -> type[Session]:
    """A class of sessions for `serve(..., replication=)` that pass everything on to a PostgreSQL.

    `options` are those of `febe.connect`.
    """
    return type("Relay", (RelaySession,), {"conninfo": conninfo, "options": cast(Options, options)})


__all__ = ["RelaySession", "relay"]
