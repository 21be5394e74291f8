"""The process that accepts connections, and forks those that serve them."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from febe.flows.serve import error_response
from febe.server.engine import Engine
from febe.server.listener import SHUTTING_DOWN_TEXT, WAITING_ROOM, is_loopback, remove_stale
from febe.server.processes.confinement import Confinement
from febe.server.processes.hub import Hub, Member
from febe.server.processes.outbox import Outbox
from febe.server.processes.worker import LateEngine, serve_clients
from febe.server.running import ENDING
from febe.server.service import Service

logger = logging.getLogger("febe.server")

_CHUNK = 1 << 20
_LAST_SECONDS = 10.0
"""How long a process may take to end that was told to, before it is killed."""


class Postmaster:
    """`service` has an engine in its processes only, where `make_engine` makes it.

    With `workers` there are so many, each with the same number of clients, more or less; one that dies is replaced.
    Without, each client gets a process of its own, confined.  `late` says whether the engine blocks if it may be made
    when the client has been let in; None: it has to be there before.
    """

    def __init__(self, service: Service, make_engine: Callable[[], Engine], *, workers: int | None = None,
                 confinement: Confinement | None = None, grace: float = 0, late: bool | None = None) -> None:
        self._service = service
        self._make_engine = make_engine
        self._workers = workers
        self._confinement = confinement
        self._grace = grace
        self._late = late
        self._hub = Hub(service.places)
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._signals: list[int] = []
        self._socket_file: Path | None = None
        self._closing: int | None = None
        self._patience: float | None = None
        self._told_ready = False
        self.port = 0

    def listen(self, host: str | None, port: int, unix_socket_dir: str | os.PathLike[str] | None) -> None:
        """Open the sockets.  Errors: OSError, ValueError."""
        if host is not None and self._service.trusts and not is_loopback(host):
            raise ValueError(f"refusing to listen on {host}, which is beyond loopback, without authentication")
        self.port = port
        if host is not None:
            for entry in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
                family, address = entry[0], (entry[4][0], self.port, *entry[4][2:])
                made = socket.socket(family, socket.SOCK_STREAM)
                self._sockets.append(made)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(address)
                self.port = made.getsockname()[1]
        if unix_socket_dir is not None:
            path = Path(unix_socket_dir) / f".s.PGSQL.{self.port}"
            remove_stale(path)
            made = socket.socket(socket.AF_UNIX)
            self._sockets.append(made)
            made.bind(str(path))
            path.chmod(0o777)
            self._socket_file = path
        for made in self._sockets:
            made.setblocking(False)
            made.listen(128)
            self._selector.register(made, selectors.EVENT_READ, partial(self._accept, made))

    def run(self, ready: Callable[[Postmaster], object] | None = None) -> None:
        """Serve until a signal ends it: SIGINT fast, SIGTERM fast or, with a time of grace, smart, SIGQUIT at once.

        SIGHUP has files read anew.  Errors: RuntimeError when a worker cannot be started.
        """
        wake, woken = socket.socketpair()
        for one in (wake, woken):
            one.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, lambda number, _: self._signals.append(number))
        self._selector.register(wake, selectors.EVENT_READ, lambda _: wake.recv(64))
        try:
            for _ in range(self._workers or 0):
                self._fork(None)
            while self._closing is None or self._hub.members:
                self._be_ready(ready)
                self._turn()
        finally:
            signal.set_wakeup_fd(-1)
            for made in self._sockets:
                made.close()
            if self._socket_file is not None:
                self._socket_file.unlink(missing_ok=True)

    def _be_ready(self, ready: Callable[[Postmaster], object] | None) -> None:
        if not self._told_ready and all(member.ready for member in self._hub.members.values()):
            self._told_ready = True
            if ready is not None:
                ready(self)

    def _turn(self) -> None:
        waits = [self._hub.due(), None if self._patience is None else self._patience - time.monotonic()]
        times = [max(one, 0.0) for one in waits if one is not None]
        for chosen, events in self._selector.select(min(times) if times else None):
            chosen.data(events)
        self._hub.expire()
        while self._signals:
            self._signalled(self._signals.pop(0))
        if self._patience is not None and self._patience <= time.monotonic():
            self._patience = None
            for process_id in self._hub.members:  # who does not go is made to
                os.kill(process_id, signal.SIGKILL)

    def _signalled(self, number: int) -> None:
        for process_id in self._hub.members:
            os.kill(process_id, number)
        if number == getattr(signal, "SIGHUP", None):
            self._service.reload()
            return
        is_smart = number == signal.SIGTERM and self._grace > 0
        self._service.closing = SHUTTING_DOWN_TEXT
        if not is_smart or self._closing is not None:
            for made in self._sockets:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(made)
                made.close()
        self._closing = number
        self._patience = time.monotonic() + _LAST_SECONDS + (self._grace if is_smart else 0)

    # A connection

    def _accept(self, made: socket.socket, _: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client, _ = made.accept()
            with client:
                members = self._hub.members.values()
                there = sum(member.clients for member in members)
                if there >= 2 * self._service.limits.max_connections + WAITING_ROOM:
                    client.setblocking(False)
                    with contextlib.suppress(OSError):
                        client.send(error_response("sorry, too many clients already", sqlstate="53300",
                                                   severity="FATAL").encode())
                elif self._workers is None:
                    self._fork(client)
                else:
                    least = min(members, key=lambda member: (not member.ready, member.clients), default=None)
                    if least is not None:
                        least.clients += 1
                        least.outbox.send(b'["client"]\n', client.detach())

    def _fork(self, client: socket.socket | None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        sys.stdout.flush()
        sys.stderr.flush()
        # what is signalled before the process has ears for it waits
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            process_id = os.fork()
        except OSError as error:
            logger.error("could not fork new process for connection: %s", error)
            ours.close()
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        if process_id == 0:
            ours.close()
            self._be_child(client, theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        ours.setblocking(False)
        member = Member(process_id=process_id, outbox=Outbox(ours, partial(self._wait_to_send, ours)),
                        own_id=client is not None, ready=client is not None, clients=int(client is not None))
        self._hub.members[process_id] = member
        self._selector.register(ours, selectors.EVENT_READ, partial(self._spoken, member))

    def _be_child(self, client: socket.socket | None, calls: socket.socket) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for made in self._sockets:
                made.close()
            for member in self._hub.members.values():
                member.outbox.close()
            self._selector.close()
            if self._confinement is not None:
                self._confinement.enter()
            engine = (self._make_engine() if client is None or self._late is None else
                      LateEngine(self._make_engine, blocking=self._late))
            serve_clients(self._service, engine, calls, client=client, grace=self._grace)
            status = 0
        except BaseException:
            logger.exception("a process that serves clients failed")
        finally:
            sys.stdout.flush()
            os._exit(status)  # nothing of the postmaster's is cleaned up twice

    def _wait_to_send(self, ours: socket.socket, blocked: bool) -> None:
        key = self._selector.get_key(ours)
        self._selector.modify(ours, selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0), key.data)

    def _spoken(self, member: Member, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            member.outbox.writable()
        if not events & selectors.EVENT_READ:
            return
        try:
            data = member.outbox.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone(member)
            return
        try:
            self._hub.received(member, data)
        except (ValueError, TypeError, KeyError):
            logger.exception("process %d does not make sense and is ended", member.process_id)
            os.kill(member.process_id, signal.SIGKILL)

    def _gone(self, member: Member) -> None:
        self._selector.unregister(member.outbox.socket)
        member.outbox.close()
        _, status = os.waitpid(member.process_id, 0)
        self._hub.gone(member)
        if os.WIFSIGNALED(status):
            logger.error("process %d was terminated by signal %d", member.process_id, os.WTERMSIG(status))
        if self._workers is None or self._closing is not None:
            return
        if not member.ready:
            raise _CannotStart("a worker did not start")
        logger.error("worker %d has ended; another one takes its place", member.process_id)
        self._fork(None)

    def kill(self) -> None:
        """End every process at once."""
        for process_id in self._hub.members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


class _CannotStart(RuntimeError):
    pass


__all__ = ["Postmaster"]
