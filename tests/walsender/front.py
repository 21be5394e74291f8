"""A febe server for replication connections, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from febe.server import Session
from febe.walsender import serve
from tests.peers.postgres import Postgres


@contextlib.contextmanager
def started(replication: type[Session]) -> Iterator[int]:
    """Serve, and give the port."""
    ready, told = threading.Event(), list[object]()

    async def main() -> None:
        stop = asyncio.Event()
        async with await serve(replication, port=0) as listener:
            told.extend((asyncio.get_running_loop(), stop, listener.port))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)
    loop, stop, port = told
    try:
        yield port  # type: ignore[misc]
    finally:
        loop.call_soon_threadsafe(stop.set)  # type: ignore[attr-defined]
        thread.join(20)


def run(server: Postgres, program: str, *arguments: str | Path, port: int, wrong: bool = False) -> str:
    """Run one of PostgreSQL's programs against a port; what it said."""
    done = subprocess.run(
        [server.bin / program, "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "--no-password", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert (done.returncode != 0) == wrong, done.stdout
    return done.stdout
