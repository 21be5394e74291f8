"""What 2,000 idle connections cost, and what they do to a busy one."""

from __future__ import annotations

import contextlib
import resource
import socket
import statistics
import struct
import time
from collections.abc import Iterator

from tests.peers import febe_server

from .harness import Contender, Figures, Measurement, Round, Row, Settings
from .processes import resident

_STARTUP = struct.pack("!i", 196608) + b"user\0demo\0\0"
_QUERY = b"Q\0\0\0\x0dselect 1\0"
_READY = b"Z\0\0\0\5I"


def connected(port: int) -> socket.socket:
    """A client that has logged in, as small as it can be."""
    made = socket.create_connection(("127.0.0.1", port))
    made.sendall(struct.pack("!i", len(_STARTUP) + 4) + _STARTUP)
    _until_ready(made)
    return made


def asked(client: socket.socket) -> None:
    """One query and its answer."""
    client.sendall(_QUERY)
    _until_ready(client)


def _until_ready(client: socket.socket) -> None:
    received = b""
    while not received.endswith(_READY):
        received += client.recv(65536)


def _seconds(client: socket.socket, queries: int) -> float:
    started = time.perf_counter()
    for _ in range(queries):
        asked(client)
    return time.perf_counter() - started


def febe(settings: Settings) -> Iterator[Round]:
    count, queries = settings["connections"], settings["queries"]
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with febe_server.running(options=["--quiet", "--max-connections", str(count + 10)]) as server:
        busy = connected(server.port)
        _seconds(busy, queries)  # the engine's threads and caches are no cost of idle connections

        # The first time only: what those that come later need is there already.
        before = resident(server.process.pid)
        with contextlib.ExitStack() as first:
            for _ in range(count):
                first.enter_context(connected(server.port))
            grown = resident(server.process.pid) - before

        def run() -> Figures:
            alone, together = [], []
            with contextlib.ExitStack() as stack:
                # in turns, because a machine's busy moments are longer than a round
                for _ in range(3):
                    alone.append(_seconds(busy, queries))
                    idle = [stack.enter_context(connected(server.port)) for _ in range(count)]
                    together.append(_seconds(busy, queries))
                    for client in idle:
                        client.close()
            return {"memory": grown / count / 1000, "slowdown": statistics.median(together) / statistics.median(alone)}

        yield run
        busy.close()


MEASUREMENTS = [Measurement(
    name="2,000 idle connections", contenders={"febe": Contender(run=febe)}, most_rounds=2,
    settings={"connections": 2000, "queries": 1000},
    rows=[Row(name="memory of an idle connection", ours="febe", figure="memory", unit="kB", at_most=50, against={}),
          Row(name="a query beside 2,000 idle connections", ours="febe", figure="slowdown", unit="x", at_most=1.2,
              against={})])]
