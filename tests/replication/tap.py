"""Between a real client and a real server: what the client says is kept."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

SECONDS = 60.0


class Tap:
    """Forwards connections; `payloads` are the contents of the client's CopyData messages."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.payloads: list[bytes] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_for(self, said: Callable[[list[bytes]], bool]) -> list[bytes]:
        """The payloads, when they are what is waited for."""
        with self._changed:
            assert self._changed.wait_for(lambda: said(self.payloads), SECONDS), self.payloads
            return self.payloads[:]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._listen, args=(client, server), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), target:
            while data := source.recv(65536):
                target.sendall(data)

    def _listen(self, source: socket.socket, target: socket.socket) -> None:
        held, started = b"", False
        with contextlib.suppress(OSError), target:
            while data := source.recv(65536):
                target.sendall(data)
                held += data
                while len(held) >= 5:
                    skipped = started  # the StartupMessage has no type byte
                    size = skipped + int.from_bytes(held[skipped:skipped + 4], "big")
                    if len(held) < size:
                        break
                    if started and held[:1] == b"d":
                        with self._changed:
                            self.payloads.append(held[5:size])
                            self._changed.notify_all()
                    held, started = held[size:], True


@contextlib.contextmanager
def tapped(host: str, port: int) -> Iterator[Tap]:
    """A tap in front of a server."""
    made = Tap(host, port)
    try:
        yield made
    finally:
        made.close()
