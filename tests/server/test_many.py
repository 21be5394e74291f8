"""2,000 idle connections are held, and served."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path

from febe.server import Limits
from febe.server.running import have_files
from tests.peers import febe_server
from tests.server.listening import Raw

CONNECTIONS = 2000


def _threads(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Threads:"))


def test_two_thousand_idle_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with febe_server.running(options=["--quiet", "--max-connections", str(CONNECTIONS + 1)]) as server, \
                contextlib.ExitStack() as stack:
            busy = stack.enter_context(Raw(server))  # type: ignore[arg-type]
            busy.log_in()
            idle = []
            for number in range(CONNECTIONS):
                client = stack.enter_context(Raw(server))  # type: ignore[arg-type]
                client.log_in()
                idle.append(client)
                if number % 100 == 0:
                    assert "one" in str(busy.query("select 'one' as one"))
            with Raw(server) as one_more:  # type: ignore[arg-type]
                assert "too many clients" in str(one_more.log_in()[-1])
            # whoever is idle has no thread
            assert _threads(server.process.pid) < 200
            for client in idle[::50]:
                assert len(client.query("select 1")) == 4
            idle[-1].socket.shutdown(socket.SHUT_RDWR)
            while True:  # until the server has noticed
                with Raw(server) as again:  # type: ignore[arg-type]
                    if "too many clients" not in str(again.log_in()[-1]):
                        break
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_server_asks_for_as_many_files_as_it_has_places() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(600, hard), hard))
        have_files(Limits(max_connections=500))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(1512, hard)
        have_files(Limits(max_connections=1))
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(1512, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
