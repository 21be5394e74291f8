"""`python -m bench.slow_network HOST PORT SECONDS`: a way to a server on which every byte takes so long each way,
however many there are.  In a process of its own, so that it and the client do not wait for one another."""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def slow_network(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings with the way's address in the place of the server's."""
    process = subprocess.Popen([sys.executable, "-m", "bench.slow_network", settings["host"], str(settings["port"]),
                                str(settings["delay"])], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield {**settings, "host": "127.0.0.1", "port": int(process.stdout.readline())}
    finally:
        process.kill()
        process.wait()


def _carry(source: socket.socket, target: socket.socket, delay: float) -> None:
    due: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def deliver() -> None:
        while True:
            moment, data = due.get()
            time.sleep(max(moment - time.perf_counter(), 0))
            if not data:
                with contextlib.suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)

    threading.Thread(target=deliver, daemon=True).start()
    data = b"begin"
    while data:
        try:
            data = source.recv(1 << 18)
        except OSError:
            data = b""
        due.put((time.perf_counter() + delay, data))


def main() -> None:
    host, port, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sys.setswitchinterval(1e-4)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, port))
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_carry, args=(one, other, delay), daemon=True).start()


if __name__ == "__main__":
    main()
