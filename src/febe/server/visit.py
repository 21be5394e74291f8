"""One connection, from its first packet to its last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from febe.flows.serve import Conversation, error_response, notice_response
from febe.flows.serve_startup import NOTHING, greet, settle_version
from febe.ports.asyncio import AsyncioPort
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection
from febe.protocol.errors import (
    ConnectionLost,
    ConnectTimeout,
    EncryptionError,
    LocalProtocolError,
    RemoteProtocolError,
    UnsupportedVersion,
)
from febe.protocol.message import Sender
from febe.protocol.startup import CancelRequest, StartupMessage
from febe.protocol.states import State
from febe.server.engine import Client, EngineError, EngineSession
from febe.server.gate import Gate
from febe.server.limits import FatalError
from febe.server.parameters import Parameter, parse_boolean, parse_options, printable
from febe.server.secured import secured
from febe.server.service import Service
from febe.server.session import Session
from febe.server.telemetry.logs import FACTS, about

logger = logging.getLogger("febe.server")

NAME_BYTES = 63
"""PostgreSQL cuts user and database names at this length (NAMEDATALEN - 1)."""
SHUTTING_DOWN = ("terminating connection due to administrator command", "57P01")
_NO_SESSION_YET = frozenset({State.START, State.SSL_REFUSED, State.GSSENC_REFUSED, State.START_LAST})
_FAREWELL_SECONDS = 5.0
_NOT_SETTINGS = frozenset({"user", "database", "options", "replication"})


class Visit:
    """A client's stay; nothing it does reaches the others.

    `end` tells it to go, from within the event loop.
    """

    def __init__(self, service: Service, port: AsyncioPort) -> None:
        self._service = service
        self._port = port
        self._conversation = Conversation(Connection(Sender.BACKEND, dialect=service.dialect()), port)
        self._reason = (*SHUTTING_DOWN, "FATAL")
        self._task: asyncio.Task[Any] | None = None
        peer = port.extra("peername")
        self._address: str | None = peer[0] if isinstance(peer, tuple) else None
        self._place = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "[local]"
        self._patience = _FAREWELL_SECONDS
        # a task that is cancelled before its first step says nothing any more
        self._begun = self._ends = False
        self._is_open = False

    def start(self) -> asyncio.Task[Any]:
        """Begin; the task ends with the connection."""
        self._task = asyncio.get_running_loop().create_task(self._converse())
        return self._task

    def end(self, text: str, sqlstate: str, severity: str = "FATAL") -> None:
        """Interrupt whatever is going on, say why, and close."""
        if self._task is not None and not self._task.done():
            self._reason = text, sqlstate, severity
            self._ends = True
            if self._begun:
                self._task.cancel()

    def hurry(self) -> None:
        """Do not wait until the client has read its last words."""
        self._patience = 0.0

    async def _converse(self) -> None:
        port, conversation = self._port, self._conversation
        port.set_deadline(self._service.limits.authentication_timeout)
        port.send_timeout = self._service.limits.send_timeout
        last: tuple[str, ...] | None = None
        self._begun = True
        try:
            if self._ends:
                raise asyncio.CancelledError
            await self._admit()
        except ConnectTimeout:
            # as PostgreSQL: silence before the start-up packet is answered with silence
            if conversation.core.state not in _NO_SESSION_YET:
                last = "canceling authentication due to timeout", "57014"
        except ConnectionLost:
            pass
        except EncryptionError as error:
            # Nothing can be told: what is in clear would not be believed, and what is encrypted is not agreed on.
            logger.info("could not accept an encrypted connection from %s: %s", self._place, error)
        except UnsupportedVersion as error:
            last = str(error), error.sqlstate
            if error.version >> 16 < 3:
                last = None
                with contextlib.suppress(ConnectionLost):
                    # Protocol 2.0 has no length words and one text only.
                    await port.flush(b"EFATAL:  " + str(error).encode() + b"\n\0")
        except (RemoteProtocolError, FatalError, EngineError) as error:
            last = str(error), error.sqlstate
        except asyncio.CancelledError:
            last = self._reason
        except Exception:
            logger.exception("a connection failed")
            last = "internal error", "XX000"
        port.set_deadline(None)
        if last is not None:
            text, sqlstate, severity = (*last, "FATAL")[:3]
            if not self._is_open and self._service.telemetry is not None:
                self._service.telemetry.refused(self._address, sqlstate)
            with contextlib.suppress(ConnectionLost, LocalProtocolError):
                say = notice_response if severity == "WARNING" else error_response
                conversation.say(say(text, sqlstate=sqlstate, severity=severity))
        if not self._patience:
            port.last_word(conversation.take())
            return
        with contextlib.suppress(ConnectionLost, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(self._patience):
                await conversation.deliver()
        await port.aclose()

    async def _admit(self) -> None:
        """Start-up and authentication, then the session."""
        service, conversation = self._service, self._conversation
        # On a Unix socket nobody else listens (ProcessStartupPacket).
        first = await greet(conversation, service.offer if self._port.is_remote else NOTHING)
        if isinstance(first, CancelRequest):
            service.keys.cancel(first)
            return
        user, database, physical = _names(first)
        dialect = service.dialect(service.session.dialect(first))
        if dialect is not conversation.core.dialect:
            conversation.core.speak(dialect)
        version = settle_version(conversation, first)
        if service.closing is not None:
            raise FatalError(service.closing, "57P03")
        places, address = service.places, self._address or ""
        places.take(address)
        try:
            gate = Gate(service, conversation, self._port, self._address, self._place)
            admitted = await gate.admit(user, database, physical=physical)
            replicating = physical or first.parameters.get("replication", "off") == "database"
            if replicating and service.replication is None:
                raise FatalError("this server does not support replication connections", "0A000")
            places.enter(user, administrator=admitted.administrator)
            try:
                kind = service.replication if replicating else service.session
                await self._serve(first, version, user, database, admitted.system_user, kind or service.session)
            finally:
                places.leave(user)
        finally:
            places.give_back(address)

    async def _serve(self, startup: StartupMessage, version: int, user: str, database: str,
                     system_user: str | None, kind: type[Session]) -> None:
        service, conversation, port = self._service, self._conversation, self._port
        opening = {name: value for name, value in startup.parameters.items()
                   if name not in _NOT_SETTINGS and not name.startswith("_pq_.")}
        blocking = service.engine.blocking
        client = Client(user=user, database=database, parameters=opening, system_user=system_user,
                        address=self._address)

        made: list[EngineSession] = []

        def opened() -> None:
            made.append(service.engine.admit(client))

        conversation.say(AuthenticationOk())
        try:
            await port.run(opened) if blocking else opened()
        except BaseException:
            # the client went away while its session was being opened
            for one in made:
                await port.finish(one.close)
            raise
        session = kind(conversation, made[0], user=user, blocking=blocking, database=database,
                                  shared=service.shared)
        process_id = 0
        try:
            session.system_user = system_user
            for name, value in service.limits.settings.items():
                session.parameters.start(name, value)
            for name, value in (*parse_options(startup.parameters.get("options", "")), *opening.items()):
                session.start_with(name, value)
            await session.open(startup)
            key = service.keys.issue(version, session.cancel, process_id=session.process_id)
            process_id = key.process_id
            port.interrupt = session.cancel
            session.parameters.note("max_connections", str(service.limits.max_connections))
            session.parameters.note("ssl", "off" if service.tls is None else "on")
            session.backend.security = secured(port.layer, system_user)
            session.backend.client_address = self._address
            session.backend.client_port = port.extra("peername")[1] if self._address is not None else -1
            port.set_deadline(None)
            session.start(key, end=self.end)
            who = (f"user={printable(user)} database={printable(database)} address={self._place} "
                   f"application_name={session.parameters.get('application_name')}")
            telemetry, backend = service.telemetry, session.backend
            session.telemetry = telemetry
            logger.info("connection opened: %s", who, extra={FACTS: {"event": "opened", **about(backend)}})
            self._is_open = True
            if telemetry is not None:
                telemetry.opened(backend)
            try:
                await session.serve()
            finally:
                seconds = round(time.time() - backend.backend_start, 3)
                logger.info("connection closed: %s", who,
                            extra={FACTS: {"event": "closed", "seconds": seconds, **about(backend)}})
                if telemetry is not None:
                    telemetry.closed(backend)
        finally:
            session.stop_clocks()
            port.interrupt = None
            service.keys.withdraw(process_id)
            try:
                await port.finish(session.close) if blocking else session.close()
            except Exception:
                logger.exception("the engine failed to close a session")


def _names(startup: StartupMessage) -> tuple[str, str, bool]:
    """User, database, and whether it is physical replication that is asked for.  Errors: FatalError."""
    values = startup.parameters
    user = values.get("user", "")
    if not user:
        raise FatalError("no PostgreSQL user name specified in startup packet", "28000")
    for name, value in values.items():
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            raise FatalError('invalid byte sequence for encoding "UTF8" in startup packet', "22021") from None
    replication = values.get("replication", "off")
    physical = replication != "database" and parse_boolean(_REPLICATION, replication)
    return _cut(user), _cut(values.get("database") or user), physical


_REPLICATION = Parameter(name="replication", value="off", accept=None)


def _cut(name: str) -> str:
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


__all__ = ["SHUTTING_DOWN", "Visit"]
