"""A relay that writes down what passes: `python relay.py HOST PORT FILE`, which prints the port it listens on.

It is a process of its own, because libpq as psycopg binds it waits for answers without letting other threads run.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

_RECORD = Struct("!ici")  # connection, sender, length


@dataclass(slots=True, kw_only=True)
class Relay:
    """A running relay."""

    port: int
    log: Path

    def pieces(self) -> Iterator[tuple[int, str, bytes]]:
        """(connection, "F" or "B", bytes) in the order in which they passed; empty bytes are the end."""
        data = self.log.read_bytes()
        pos = 0
        while pos < len(data):
            connection, sender, length = _RECORD.unpack_from(data, pos)
            pos += _RECORD.size + length
            yield connection, sender.decode(), data[pos - length:pos]


@contextlib.contextmanager
def running(host: str, port: int, log: Path) -> Iterator[Relay]:
    """Start a relay to a server, and stop it at the end."""
    with subprocess.Popen([sys.executable, __file__, host, str(port), str(log)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Relay(port=int(process.stdout.readline()), log=log)
        finally:
            process.kill()


def main(host: str, port: int, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb", buffering=0) as out, \
            selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        print(listener.getsockname()[1], flush=True)
        connections = 0
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    client, server = listener.accept()[0], socket.create_connection((host, port))
                    for source, sink, sender in ((client, server, b"F"), (server, client, b"B")):
                        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        selector.register(source, selectors.EVENT_READ, (connections, sender, source, sink))
                    connections += 1
                    continue
                connection, sender, source, sink = key.data
                data = b""
                with contextlib.suppress(OSError):
                    data = source.recv(1 << 16)
                out.write(_RECORD.pack(connection, sender, len(data)) + data)
                with contextlib.suppress(OSError):
                    if data:
                        sink.sendall(data)
                    else:
                        selector.unregister(source)
                        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
