"""A process that serves clients, from the fork to its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from febe.server.engine import Client, Engine, EngineSession
from febe.server.listener import Listener, Shutdown
from febe.server.processes.afar import PlacesAfar, share
from febe.server.processes.link import Link
from febe.server.running import ENDING, end, loop_factory, told_by_signals
from febe.server.service import Service


class LateEngine(Engine):
    """Made when somebody has been let in: a cancel request and who is refused do not need it."""

    def __init__(self, make: Callable[[], Engine], *, blocking: bool) -> None:
        self.blocking = blocking
        self._make = make
        self._made: Engine | None = None

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        """Not called; see `admit`."""
        return self.admit(Client(user=user, database=database, parameters=parameters))

    def admit(self, client: Client) -> EngineSession:
        """Make the engine, and open its one session."""
        self._made = self._make()
        return self._made.admit(client)

    def close(self) -> None:
        """Close the engine, if it was made."""
        if self._made is not None:
            self._made.close()


def serve_clients(service: Service, engine: Engine, connection: socket.socket, *, client: socket.socket | None,
                  grace: float) -> None:
    """Serve `client` to its end, or without one whoever is handed over, until a signal ends it.

    `connection` is the line to the postmaster.
    """
    link = Link(connection)
    service.places = PlacesAfar(service.limits, link)
    service.shared, service.keys, orders = share(link)
    service.serves(engine)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(service, link, orders, client, grace))
    finally:
        engine.close()


async def _serve(service: Service, link: Link, orders: Mapping[str, Callable[..., object]],
                 client: socket.socket | None, grace: float) -> None:
    loop = asyncio.get_running_loop()
    listener = Listener(service, gone=partial(link.tell, "done"))
    asked = told_by_signals(listener, grace, reload=client is None)
    taking: set[asyncio.Task[Any]] = set()

    def take(one: socket.socket) -> None:
        task = loop.create_task(listener.take(one))
        taking.add(task)
        task.add_done_callback(taking.discard)

    # as a cancel request that comes to this process itself: on the event loop, which a session may rely on
    cancel = orders["cancel"]
    orders = {**orders, "cancel": lambda process_id: _from_thread(loop, cancel, process_id)}
    link.start(orders, client=lambda one: _from_thread(loop, take, one),
               ended=lambda: _from_thread(loop, asked.put_nowait, Shutdown.FAST))
    if client is not None:
        await listener.take(client)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    ending = loop.create_task(end(listener, asked, grace))
    if client is None:
        await listener.begin()
        link.tell("ready")
        await ending
    else:
        await asyncio.wait((ending, loop.create_task(listener.emptied())), return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(call, *args)


__all__ = ["LateEngine", "serve_clients"]
