"""The listener: sockets, the connections made to them, and how they end."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import TracebackType

from febe.flows.serve import error_response
from febe.ports.asyncio import AsyncioPort
from febe.server.service import Service
from febe.server.shared import Shared
from febe.server.visit import SHUTTING_DOWN, Visit

SHUTTING_DOWN_TEXT = "the database system is shutting down"
WAITING_ROOM = 16
"""How many connections there may be beyond two for each place: those that have not said yet who they are, and cancel
requests."""


class Shutdown(Enum):
    """How a server ends (manual: "Shutting Down the Server")."""

    SMART = "smart"
    """New clients are refused (57P03); the end comes when the last session has ended by itself."""
    FAST = "fast"
    """Sessions are interrupted and told so (57P01); what was not committed is rolled back."""
    IMMEDIATE = "immediate"
    """As fast, without waiting for clients to read it."""


class Listener:
    """A server that is listening.  `port` is the port it got."""

    def __init__(self, service: Service, *, gone: Callable[[], object] | None = None) -> None:
        """`gone` is called when a connection has ended."""
        self._service = service
        self._told = gone
        self._servers: list[asyncio.Server] = []
        self._visits: dict[asyncio.Task[None], Visit] = {}
        self._socket_file: Path | None = None
        self._left = asyncio.Event()
        self._is_told = False
        self.port = 0

    @property
    def sessions(self) -> int:
        """How many clients have a place."""
        return self._service.places.taken

    @property
    def places(self) -> int:
        """How many sessions there may be."""
        return self._service.limits.max_connections

    @property
    def is_closing(self) -> bool:
        """New clients are refused, because the server is on its way down."""
        return self._service.closing is not None

    @property
    def shared(self) -> Shared:
        """What its sessions share."""
        return self._service.shared

    async def listen(self, host: str | None, port: int, unix_socket_dir: str | os.PathLike[str] | None) -> None:
        """Open the sockets.  Errors: OSError, ValueError."""
        if self._service.trusts and host is not None and not await asyncio.to_thread(is_loopback, host):
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
                remove_stale(path)
                self._servers.append(await loop.create_unix_server(self._port_made, str(path), backlog=128))
            except BaseException:
                await self.close()
                raise
            # Everybody on this machine, as on TCP's loopback (unix_socket_permissions is 0777 by default).
            path.chmod(0o777)
            self._socket_file = path
        await self.begin()

    async def begin(self) -> None:
        """Have it told that clients can come; `listen` does it.  Errors: OSError, and the listener is closed."""
        if self._service.telemetry is not None:
            try:
                self._service.telemetry.started(self)
            except BaseException:
                await self.close()
                raise
            self._is_told = True

    async def take(self, client: socket.socket) -> None:
        """Serve a client whose connection somebody else has accepted."""
        client.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(self._port_made, client)

    async def emptied(self) -> None:
        """Go on until no connection is left."""
        while self._visits:
            await self._left.wait()
            self._left.clear()

    def reload(self) -> None:
        """Read the files of rules and users anew, for connections to come; what cannot be read stays as it was."""
        self._service.reload()

    async def wait_closed(self) -> None:
        """Go on until `close` is called or the task is cancelled."""
        await asyncio.gather(*(server.wait_closed() for server in self._servers))

    async def close(self, mode: Shutdown = Shutdown.FAST) -> None:
        """End the server; another call with a faster mode hurries one that is under way."""
        self._service.closing = SHUTTING_DOWN_TEXT
        if mode is Shutdown.SMART:
            self._left.clear()
            while self._service.places.taken:
                await self._left.wait()
                self._left.clear()
        for server in self._servers:
            server.close()
        text, sqlstate = SHUTTING_DOWN
        for visit in self._visits.values():
            if mode is Shutdown.IMMEDIATE:
                visit.end("terminating connection due to immediate shutdown command", sqlstate, "WARNING")
                visit.hurry()
            else:
                visit.end(text, sqlstate)
        if self._visits:
            await asyncio.wait(self._visits)
        if self._is_told and self._service.telemetry is not None:
            self._is_told = False
            await asyncio.to_thread(self._service.telemetry.stopped)
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
        if len(self._visits) >= 2 * self._service.limits.max_connections + WAITING_ROOM:
            # Whoever floods the server with connections costs it no more than this.
            port.last_word(error_response("sorry, too many clients already", sqlstate="53300",
                                          severity="FATAL").encode())
            return
        visit = Visit(self._service, port)
        task = visit.start()
        self._visits[task] = visit
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        del self._visits[task]
        self._left.set()
        if self._told is not None:
            self._told()


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for can be reached from this machine only; "" stands for all there are.

    Errors: OSError when the name stands for none.
    """
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A scope follows the address of a link-local one (RFC 4007): fe80::1%eth0.
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def remove_stale(path: Path) -> None:
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


__all__ = ["SHUTTING_DOWN_TEXT", "WAITING_ROOM", "Listener", "Shutdown", "is_loopback", "remove_stale"]
