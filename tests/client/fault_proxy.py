"""A proxy between a client and a real server that does harm at a message the test chooses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

SECONDS = 20.0
"""How long it goes on without a byte before it ends the connection, which no test may need."""


class FaultProxy:
    """Forwards connections; `arm` says what is to happen, and at which message of the server, counted from then on.

    cut: the connection ends before the message.  once: so does one connection, and no other.  half: in its middle.
    kind, length: its header is changed.  split: from it on every byte comes by itself.  None: nothing, only `seen` is
    counted.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.hung = False
        self.seen = 0
        self.open = 0
        self._mode: str | None = None
        self._at = -1
        self._armed = False
        self._lock = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def arm(self, mode: str | None, at: int = -1) -> None:
        """Count the server's messages from here, and do harm at one."""
        self._mode, self._at, self.seen, self._armed = mode, at, 0, True

    @property
    def is_armed(self) -> bool:
        """Whether the harm that is done once is still to be done."""
        return self._armed

    def disarm(self) -> None:
        """Do no harm any more, and count nothing."""
        self._armed = False

    def settled(self) -> bool:
        """Wait until every connection has ended; False when one has not."""
        with self._lock:
            return self._lock.wait_for(lambda: self.open == 0, SECONDS)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(SECONDS)
            with self._lock:
                self.open += 1
            self._start(self._forward, client, server)
            self._start(self._harm, server, client)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        _end(target)

    def _harm(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if self._armed:
                    self._messages(source, target, data)
                    return
                target.sendall(data)
        except TimeoutError:
            self.hung = True
        except OSError:
            pass
        finally:
            _end(target)
            _end(source)
            source.close()
            target.close()
            with self._lock:
                self.open -= 1
                self._lock.notify_all()

    def _messages(self, source: socket.socket, target: socket.socket, data: bytes) -> None:
        """Everything from the moment on at which it was armed, when a message began."""
        split = False
        while True:
            while len(data) >= 5 and len(data) > int.from_bytes(data[1:5], "big"):
                size = 1 + int.from_bytes(data[1:5], "big")
                message, data = data[:size], data[size:]
                if self._armed and self.seen == self._at and self._mode is not None:
                    if self._mode in ("cut", "once"):
                        self._armed = self._mode == "cut"
                        return
                    if self._mode == "half":
                        target.sendall(message[:max(1, size // 2)])
                        return
                    split = self._mode == "split"
                    message = {"kind": b"\1" + message[1:], "length": message[:1] + b"\x7f\xff\xff\xff" + message[5:],
                               "split": message}[self._mode]
                self.seen += self._armed
                for piece in ([message[at:at + 1] for at in range(size)] if split else [message]):
                    target.sendall(piece)
            more = source.recv(65536)
            if not more:
                return
            data += more


def _end(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy(host: str, port: int) -> Iterator[FaultProxy]:
    """A proxy in front of a server."""
    made = FaultProxy(host, port)
    try:
        yield made
    finally:
        made.close()
