"""Debian's PgBouncer in front of a server, with its default settings but for the pool mode."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.peers.installation import Missing
from tests.peers.postgres import Postgres

SECONDS = 20.0


def program() -> str:
    """Where it is.  Errors: Missing."""
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise Missing("there is no pgbouncer (apt-get install pgbouncer)")
    return found


@contextlib.contextmanager
def running(server: Postgres, mode: str, size: int = 3) -> Iterator[int]:
    """The port of a PgBouncer in this pool mode, with few servers, so that transactions change them."""
    with tempfile.TemporaryDirectory(prefix="febe-pgbouncer-") as place, socket.create_server(("127.0.0.1", 0)) as free:
        directory = Path(place)
        port = free.getsockname()[1]
        free.close()
        (directory / "users").write_text('"postgres" ""\n')
        (directory / "ini").write_text(f"""
[databases]
* = host={server.host} port={server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {directory / "users"}
pool_mode = {mode}
default_pool_size = {size}
""")
        as_user = {}
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("nobody")
            for path in (directory, *directory.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid}
        process = subprocess.Popen([program(), "-q", str(directory / "ini")], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"pgbouncer ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        os.sched_yield()
    raise RuntimeError("pgbouncer does not listen")
