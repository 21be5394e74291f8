"""The listener: sockets, and the life of each connection from its first packet to its last."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import stat
from pathlib import Path
from types import TracebackType

from febe.flows.serve import Conversation, error_response, serve
from febe.flows.serve_attempt import Attempt
from febe.flows.serve_startup import greet, settle_version
from febe.ports.asyncio import AsyncioPort
from febe.protocol.authentication import AuthenticationOk
from febe.protocol.connection import Connection, DirectTLS
from febe.protocol.errors import (
    AuthenticationError,
    ConnectionLost,
    ConnectTimeout,
    LocalProtocolError,
    RemoteProtocolError,
    UnsupportedVersion,
)
from febe.protocol.message import Sender
from febe.protocol.startup import CancelRequest, StartupMessage
from febe.protocol.states import State
from febe.server.engine import Engine, EngineError
from febe.server.keys import CancelKeys
from febe.server.parameters import Parameter, parse_boolean, parse_options, printable
from febe.server.session import Session
from febe.server.shared import Shared
from febe.server.users import Users, UserSource, method_of

logger = logging.getLogger("febe.server")

NAME_BYTES = 63
"""PostgreSQL cuts user and database names at this length (NAMEDATALEN - 1)."""
_NO_SESSION_YET = frozenset({State.START, State.SSL_REFUSED, State.GSSENC_REFUSED, State.START_LAST})


_FAREWELL_SECONDS = 5.0
_NOT_SETTINGS = frozenset({"user", "database", "options", "replication"})


class FatalError(Exception):
    """Ends the connection; told to the client with severity FATAL."""

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class Listener:
    """A server that is listening.  `port` is the port it got."""

    def __init__(self, engine: Engine, *, users: UserSource | None, authentication: str | None,
                 authentication_timeout: float, max_connections: int, session: type[Session]) -> None:
        self._engine = engine
        self._method = method_of(authentication, users)
        self._users = Users(users if users is not None else {})
        self._timeout = authentication_timeout
        self._most = max_connections
        self._session = session
        self._keys = CancelKeys()
        self.shared = Shared()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket_file: Path | None = None
        self._open = 0
        self.port = 0

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return self._open

    async def listen(self, host: str | None, port: int, unix_socket_dir: str | os.PathLike[str] | None) -> None:
        """Open the sockets.  Errors: OSError, ValueError."""
        if self._method.name == "trust" and host is not None and not await asyncio.to_thread(is_loopback, host):
            raise ValueError(f"refusing to listen on {host}, which is beyond loopback, without authentication")
        loop = asyncio.get_running_loop()
        self.port = port
        if host is not None:
            server = await loop.create_server(self._port_made, host or None, port, backlog=128)
            self._servers.append(server)
            self.port = server.sockets[0].getsockname()[1]
        if unix_socket_dir is not None:
            path = Path(unix_socket_dir) / f".s.PGSQL.{self.port}"
            try:
                _remove_stale(path)
                self._servers.append(await loop.create_unix_server(self._port_made, str(path), backlog=128))
            except BaseException:
                await self.close()
                raise
            # Everybody on this machine, as on TCP's loopback (unix_socket_permissions is 0777 by default).
            path.chmod(0o777)
            self._socket_file = path

    async def wait_closed(self) -> None:
        """Go on until `close` is called or the task is cancelled."""
        await asyncio.gather(*(server.wait_closed() for server in self._servers))

    async def close(self) -> None:
        """Stop listening, end the sessions with SQLSTATE 57P01, and remove the socket."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._socket_file is not None:
            self._socket_file.unlink(missing_ok=True)
            self._socket_file = None

    async def __aenter__(self) -> Listener:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        at: TracebackType | None) -> None:
        await self.close()

    # One connection

    def _port_made(self) -> AsyncioPort:
        return AsyncioPort(self._connected)

    def _connected(self, port: AsyncioPort) -> None:
        task = asyncio.get_running_loop().create_task(self._converse(port))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, port: AsyncioPort) -> None:
        """One connection, from its first packet to its last; nothing it does reaches the others."""
        conversation = Conversation(Connection(Sender.BACKEND), port)
        port.set_deadline(self._timeout)
        last: tuple[str, str] | None = None
        try:
            await self._admit(conversation, port)
        except ConnectTimeout:
            # as PostgreSQL: silence before the start-up packet is answered with silence
            if conversation.core.state not in _NO_SESSION_YET:
                last = "canceling authentication due to timeout", "57014"
        except ConnectionLost:
            pass
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
            last = "terminating connection due to administrator command", "57P01"
        except Exception:
            logger.exception("a connection failed")
            last = "internal error", "XX000"
        port.set_deadline(None)
        if last is not None:
            with contextlib.suppress(ConnectionLost, LocalProtocolError):
                conversation.say(error_response(last[0], sqlstate=last[1], severity="FATAL"))
        with contextlib.suppress(ConnectionLost, asyncio.CancelledError):
            await asyncio.wait_for(conversation.deliver(), _FAREWELL_SECONDS)
        await port.aclose()

    async def _admit(self, conversation: Conversation, port: AsyncioPort) -> None:
        """Start-up and authentication, then the session."""
        first = await greet(conversation)
        if isinstance(first, CancelRequest):
            self._keys.cancel(first)
            return
        if isinstance(first, DirectTLS):
            logger.info("direct TLS refused from %s", _address(port))
            return
        user, database = _names(first)
        dialect = self._session.dialect(first)
        if dialect is not conversation.core.dialect:
            conversation.core.speak(dialect)
        version = settle_version(conversation, first)
        if self._open >= self._most:
            raise FatalError("sorry, too many clients already", "53300")
        self._open += 1
        try:
            try:
                await self._method.exchange(Attempt(conversation=conversation, user=user, database=database,
                                                    credential=self._users.find(user)))
            except AuthenticationError as error:
                logger.warning("authentication failed: user=%s address=%s: %s", printable(user), _address(port), error)
                raise FatalError(self._method.refusal.format(user), self._method.sqlstate) from None
            await self._serve(conversation, port, first, version, user, database)
        finally:
            self._open -= 1

    async def _serve(self, conversation: Conversation, port: AsyncioPort, startup: StartupMessage, version: int,
                     user: str, database: str) -> None:
        opening = {name: value for name, value in startup.parameters.items()
                   if name not in _NOT_SETTINGS and not name.startswith("_pq_.")}
        blocking = self._engine.blocking

        def opened() -> Session:
            made = self._engine.open(user=user, database=database, parameters=opening)
            return self._session(conversation, made, user=user, blocking=blocking, database=database,
                                 shared=self.shared)

        conversation.say(AuthenticationOk())
        session = await port.run(opened) if blocking else opened()
        process_id = 0
        try:
            for name, value in (*parse_options(startup.parameters.get("options", "")), *opening.items()):
                session.start_with(name, value)
            key = self._keys.issue(version, session.cancel)
            process_id = key.process_id
            port.interrupt = session.cancel
            session.backend.client_address, session.backend.client_port = _client(port)
            port.set_deadline(None)
            session.start(key)
            who = (f"user={printable(user)} database={printable(database)} address={_address(port)} "
                   f"application_name={session.parameters.get('application_name')}")
            logger.info("connection opened: %s", who)
            try:
                await serve(conversation, session)
            finally:
                logger.info("connection closed: %s", who)
        finally:
            port.interrupt = None
            self._keys.withdraw(process_id)
            try:
                await port.finish(session.close) if blocking else session.close()
            except Exception:
                logger.exception("the engine failed to close a session")


def _names(startup: StartupMessage) -> tuple[str, str]:
    """User and database.  Errors: FatalError."""
    values = startup.parameters
    user = values.get("user", "")
    if not user:
        raise FatalError("no PostgreSQL user name specified in startup packet", "28000")
    for name, value in values.items():
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            raise FatalError('invalid byte sequence for encoding "UTF8" in startup packet', "22021") from None
    replication = values.get("replication")
    if replication is not None and (replication == "database" or parse_boolean(_REPLICATION, replication)):
        raise FatalError("this server does not support replication connections", "0A000")
    return _cut(user), _cut(values.get("database") or user)


_REPLICATION = Parameter(name="replication", value="off", accept=None)


def _cut(name: str) -> str:
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def _client(port: AsyncioPort) -> tuple[str | None, int | None]:
    """Address and port, as pg_stat_activity has them: none and -1 on a Unix socket."""
    peer = port.extra("peername")
    return (peer[0], peer[1]) if isinstance(peer, tuple) else (None, -1)


def _address(port: AsyncioPort) -> str:
    peer = port.extra("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "[local]"


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for can be reached from this machine only; "" stands for all there are.

    Errors: OSError when the name stands for none.
    """
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A scope follows the address of a link-local one (RFC 4007): fe80::1%eth0.
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more.  Errors: OSError when somebody does."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(f"another server is listening on {path}")
