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
from febe.protocol.connection import CopyDataRun, DataRowRun, Event
from febe.protocol.copy import CopyData, CopyDone, CopyFail
from febe.protocol.errors import (
    ConnectionLost,
    Error,
    PostgresError,
    ProtocolError,
    RemoteProtocolError,
)
from febe.protocol.extended import Bind, Close, Execute, Flush, Parse, Sync
from febe.protocol.message import Message
from febe.protocol.simple import DataRow, Query
from febe.protocol.startup import BackendKeyData, ParameterStatus, ReadyForQuery, Terminate
from febe.protocol.states import State
from febe.server.session import Session

if TYPE_CHECKING:
    from febe.engines.upstream.engine import UpstreamSession
    from febe.flows.session import Session as ClientSession
    from febe.ports.asyncio import AsyncioPort

logger = logging.getLogger("febe.engines.upstream")

_FLUSH = Flush()
_TOGETHER = frozenset(b"PBDECS")
"""The type bytes of the messages of the extended query, which are events as soon as they are here."""
_SETTLED = frozenset({State.IDLE, State.SKIPPING, State.QUERY_COPY_IN, State.EXECUTE_COPY_IN, State.COPY_BOTH})
"""Where it is known what the client's next message means."""

End = Callable[[str, str], object]


class RelaySession(Session):
    """A client's session with the server upstream."""

    _upstream: ClientSession | None = None
    _relaying: asyncio.Task[None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings: dict[str, str] = {}
        self._unsent: list[bytes | bytearray] = []
        self._asking: set[asyncio.Future[None]] = set()
        self._settled: asyncio.Future[None] | None = None
        self._query_copies = False
        self._copying: set[str] = set()

    def start_with(self, name: str, value: str) -> None:
        """Keep what the client sets at its start; the server judges it."""
        self._settings[name] = value
        if name == "application_name":
            self.parameters.start(name, value)

    def start(self, key: BackendKeyData, *, end: End | None = None) -> None:
        """Connect upstream, and say what the server said when it was ready."""
        assert end is not None
        self._end = end
        self._relaying = asyncio.get_running_loop().create_task(self._relay(key, end))

    async def handle(self, message: Event) -> None:
        """Pass on what the client says, as soon as nothing more of it is here."""
        upstream = self._upstream
        assert upstream is not None  # nothing may be said before ReadyForQuery
        core = upstream.core
        if isinstance(message, CopyDataRun):
            self._unsent.append(core.send_run(CopyData, message.data[message.start:message.end]))
        else:
            if isinstance(message, Query):
                self.backend.works(message.query)
            self._unsent.append(core.send(cast(Message, message)))
        copies = self._may_copy(message)
        # The client's own Flush is no event, so one is sent whenever it or nothing comes next.  One too many does no
        # harm: answers leave a little earlier.
        if copies or self.conversation.core.next_type not in _TOGETHER:
            if core.state is not State.IDLE and not isinstance(message, Sync | Query | CopyDataRun) and (
                    Flush in core.dialect.tables[core.role].get(core.state, {})):
                self._unsent.append(core.send(_FLUSH))
            data = b"".join(self._unsent)
            self._unsent.clear()
            await upstream.port.flush(data)
        while copies and core.state not in _SETTLED:
            self._settled = asyncio.get_running_loop().create_future()
            await cast("AsyncioPort", self.conversation.port).attend(self._settled)

    def _may_copy(self, message: Event) -> bool:
        """Whether the meaning of what the client says next depends on the answer to this message.

        Some clients send the data of a COPY along with its statement (asyncpg), and without CopyInResponse they would
        be dropped.  The server reads them only after it has answered (manual: "COPY Operations"), and so does a relay.
        """
        if isinstance(message, Query):
            self._query_copies = _may_be_copy(message.query)
            return self._query_copies
        if isinstance(message, CopyDone | CopyFail):
            return self._query_copies and self._upstream is not None and (
                self._upstream.core.state is State.QUERY_COPY_IN_DONE)
        if isinstance(message, Parse):
            _mark(self._copying, "S" + message.statement, _may_be_copy(message.query))
        elif isinstance(message, Bind):
            _mark(self._copying, "P" + message.portal, "S" + message.statement in self._copying)
        elif isinstance(message, Close):
            _mark(self._copying, message.kind + message.name, False)
        elif isinstance(message, Execute):
            return "P" + message.portal in self._copying
        return False

    async def refuse(self, error: RemoteProtocolError) -> None:
        """End: the server upstream cannot be told of a message that makes no sense, and so cannot skip to Sync."""
        self._end(str(error), error.sqlstate)
        await asyncio.sleep(0)

    def cancel(self) -> None:
        """Pass on a CancelRequest.  Called on the event loop."""
        upstream = self._upstream
        if upstream is not None and upstream.cancel is not None:
            asking = asyncio.ensure_future(upstream.cancel())
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    def stop_clocks(self) -> None:
        """The client is leaving."""
        super().stop_clocks()
        if self._relaying is not None:
            self._relaying.cancel()

    def close(self) -> None:
        """The client is gone: leave the server upstream, which ends what it does for this session."""
        upstream = self._upstream
        if upstream is not None:
            with contextlib.suppress(ProtocolError, ConnectionLost):
                upstream.port.write(upstream.core.send(Terminate()))
            upstream.port.abort()
        super().close()

    # What comes from upstream

    async def _relay(self, key: BackendKeyData, end: End) -> None:
        try:
            await self._connect(key)
            await self._listen()
        except PostgresError as error:
            end(str(error), error.sqlstate)
        except ConnectionLost as error:
            logger.info("the connection to the server upstream is lost: %s", error)
            end("the connection to the server upstream is lost", "08006")
        except (Error, OSError) as error:
            logger.error("the server upstream: %s", error)
            end("the server upstream cannot be reached or understood", "08001")
        except asyncio.CancelledError:
            pass
        except Exception:
            logger.exception("a relay failed")
            end("internal error", "XX000")

    async def _connect(self, key: BackendKeyData) -> None:
        engine = cast("UpstreamSession", self.engine)
        upstream = self._upstream = await open_session(engine.plan(self._settings))
        await self.conversation.deliver()
        core = self.conversation.core
        said = [core.send(ParameterStatus(name=name, value=value)) for name, value in upstream.parameters.items()]
        said += (core.send(key), core.send(ReadyForQuery(status=upstream.core.transaction_status)))
        await self.conversation.port.flush(b"".join(said))

    async def _listen(self) -> None:
        upstream = self._upstream
        assert upstream is not None
        server, client, port = upstream.core, self.conversation.core, upstream.port
        said: list[bytes | bytearray] = []
        while True:
            await port.wait()
            server.receive(port.take())
            while (event := server.next_event()) is not None:
                if isinstance(event, DataRowRun):
                    said.append(client.send_run(DataRow, event.data[event.start:event.end]))
                    self.backend.rows += event.count
                elif isinstance(event, CopyDataRun):
                    said.append(client.send_run(CopyData, event.data[event.start:event.end]))
                else:
                    if isinstance(event, ReadyForQuery):
                        self.backend.rests(event.status)
                    said.append(client.send(cast(Message, event)))
            if said:
                data = b"".join(said)
                said.clear()
                await self.conversation.port.flush(data)
            if self._settled is not None and not self._settled.done():
                self._settled.set_result(None)


def _may_be_copy(sql: str) -> bool:
    return "copy" in sql.lower()


def _mark(names: set[str], name: str, is_member: bool) -> None:
    if is_member:
        names.add(name)
    else:
        names.discard(name)


__all__ = ["RelaySession"]
