"""Results far larger than memory should hold."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.peers.febe_server import FebeServer, running

ROWS = 10_000_000
GROWTH = 64 << 20

QUERY = (f"select (range % 1000)::int, (range * 7 % 100000)::int, range::int, 'name-' || (range % 50), "
         f"'v' || (range % 9) from range({ROWS})")


def _resident(server: FebeServer) -> int:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise AssertionError("the server is gone")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("binary", [False, True])
def test_memory_holds_a_piece_only(binary: bool) -> None:
    pq = pytest.importorskip("psycopg").pq
    with running() as server:
        connection = pq.PGconn.connect(server.dsn().encode())
        connection.exec_(b"select range::int, range::text from range(100000)")
        before = highest = _resident(server)
        over = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not over.wait(0.02):
                highest = max(highest, _resident(server))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            connection.send_query_params(QUERY.encode(), None, result_format=int(binary))
            connection.set_chunked_rows_mode(10_000)
            rows = 0
            while (result := connection.get_result()) is not None:
                rows += result.ntuples
        finally:
            over.set()
            watcher.join()
            connection.finish()
        assert rows == ROWS
        assert highest - before < GROWTH
