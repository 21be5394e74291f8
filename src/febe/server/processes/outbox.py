"""What is on its way to a process that may be slow to take it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable


class Outbox:
    """Sends without waiting; `blocked` is told whether something is left to be sent once the socket is writable."""

    def __init__(self, connection: socket.socket, blocked: Callable[[bool], object]) -> None:
        self.socket = connection
        self._blocked = blocked
        self._queue: deque[tuple[bytes, int | None]] = deque()
        self.waiting = 0

    def send(self, data: bytes, client: int | None = None) -> None:
        """Send a line; with it, a file descriptor, which is closed here then."""
        self._queue.append((data, client))
        self.waiting += len(data)
        if len(self._queue) == 1:
            self.flush()
            if self._queue:
                self._blocked(True)

    def writable(self) -> None:
        """The socket takes something again."""
        self.flush()
        if not self._queue:
            self._blocked(False)

    def flush(self) -> None:
        """Send as much as is taken; a process that is gone takes everything."""
        while self._queue:
            data, client = self._queue[0]
            try:
                sent = (self.socket.send(data) if client is None else
                        socket.send_fds(self.socket, [data], [client]))
            except BlockingIOError:
                return
            except OSError:
                sent = len(data)
            # a descriptor goes with the first byte
            if client is not None:
                os.close(client)
            self.waiting -= sent
            if sent < len(data):
                self._queue[0] = data[sent:], None
                return
            self._queue.popleft()

    def close(self) -> None:
        """The process is gone."""
        for _, client in self._queue:
            if client is not None:
                with contextlib.suppress(OSError):
                    os.close(client)
        self._queue.clear()
        self.socket.close()


__all__ = ["Outbox"]
