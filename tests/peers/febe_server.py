"""`febe serve` in a process of its own, as a user would start it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

START_SECONDS = 60
STOP_SECONDS = 20

READY = re.compile(r"ready: psql .*\bport=(\d+)")


class StartFailed(Exception):
    """The server did not come up; the message ends with what it printed."""


@dataclass(slots=True, kw_only=True)
class FebeServer:
    """A running `febe serve`."""

    process: subprocess.Popen[str]
    host: str = "127.0.0.1"
    port: int = 0
    socket_dir: Path | None = None
    printed: list[str] = field(default_factory=list)
    """The lines that it has printed so far."""

    def parameters(self, user: str = "demo", *, password: str | None = None, unix: bool = False) -> dict[str, str]:
        """Host, port, user, dbname and password by libpq's names."""
        found = {"host": str(self.socket_dir) if unix else self.host, "port": str(self.port), "user": user,
                 "dbname": "demo"}
        return found if password is None else found | {"password": password}

    def dsn(self, user: str = "demo", *, password: str | None = None, **options: str) -> str:
        """The same as a connection URI; `options` become its query part."""
        secret = "" if password is None else f":{quote(password, safe='')}"
        query = f"?{urlencode(options, quote_via=quote)}" if options else ""
        return f"postgresql://{quote(user, safe='')}{secret}@{self.host}:{self.port}/demo{query}"

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does and return its exit code.

        Errors: subprocess.TimeoutExpired, after killing it.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def running(*sources: str | Path, options: Sequence[str] = (), socket_dir: Path | None = None) -> Iterator[FebeServer]:
    """Start `febe serve` on a free port, wait for its ready line, and stop it at the end.

    Errors: StartFailed.
    """
    where = ["--unix-socket", str(socket_dir)] if socket_dir else []
    command = [sys.executable, "-m", "febe.cli", "serve", *map(str, sources), "--port", "0", *where, *options]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    server = FebeServer(process=process, socket_dir=socket_dir)
    told = threading.Event()
    # Somebody has to read on, or the server stops at a full pipe.
    reader = threading.Thread(target=_read, args=(server, told), daemon=True)
    reader.start()
    try:
        if not told.wait(START_SECONDS) or not server.port:
            raise StartFailed("febe serve did not get ready; it printed:\n" + "\n".join(server.printed))
        yield server
    finally:
        server.stop()
        reader.join()


def _read(server: FebeServer, told: threading.Event) -> None:
    assert server.process.stdout is not None
    with server.process.stdout as lines:
        for line in lines:
            server.printed.append(line.rstrip("\n"))
            if found := READY.search(line):
                server.port = int(found[1])
                told.set()
    told.set()
