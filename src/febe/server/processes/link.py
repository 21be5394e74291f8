"""A process's line to the postmaster: JSON, a line each way; clients come with theirs."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from febe.server.limits import FatalError
from febe.server.visit import SHUTTING_DOWN

logger = logging.getLogger("febe.server")

_CHUNK = 65_536
_MOST_SOCKETS = 64


class Link:
    """Asks and tells, from any thread.  A thread of its own takes orders, whatever else waits."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._writing = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._ended = False

    def start(self, orders: Mapping[str, Callable[..., object]], *, client: Callable[[socket.socket], object],
              ended: Callable[[], object]) -> None:
        """Begin to take orders; `client` gets each client that is handed over, `ended` says the postmaster is gone."""
        threading.Thread(target=self._listen, args=(orders, client, ended), name="febe-orders", daemon=True).start()

    def tell(self, name: str, *arguments: object) -> None:
        """Say something that needs no answer; a postmaster that is gone needs it no more."""
        with contextlib.suppress(FatalError):
            self._say([0, name, *arguments])

    def ask(self, name: str, *arguments: object) -> Any:
        """Say something and wait for the answer, which the hub has at once.  Errors: FatalError when it refuses."""
        number, answer = next(self._numbers), Future[Any]()
        self._asked[number] = answer
        try:
            self._say([number, name, *arguments])
            if self._ended:
                raise FatalError(*SHUTTING_DOWN)
            return answer.result()
        finally:
            del self._asked[number]

    def _say(self, line: list[object]) -> None:
        data = json.dumps(line).encode() + b"\n"
        try:
            with self._writing:
                self._socket.sendall(data)
        except OSError:
            raise FatalError(*SHUTTING_DOWN) from None

    def _listen(self, orders: Mapping[str, Callable[..., object]], client: Callable[[socket.socket], object],
                ended: Callable[[], object]) -> None:
        rest, clients = b"", deque[int]()
        while True:
            try:
                data, sockets, _, _ = socket.recv_fds(self._socket, _CHUNK, _MOST_SOCKETS)
            except OSError:
                break
            if not data:
                break
            clients.extend(sockets)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                name, *arguments = json.loads(line)
                if name == "client":
                    client(socket.socket(fileno=clients.popleft()))
                elif name == "answer":
                    self._answer(*arguments)
                else:
                    try:
                        orders[name](*arguments)
                    except Exception:  # the next order is another session's
                        logger.exception("an order of the postmaster could not be carried out")
        self._ended = True
        for answer in list(self._asked.values()):
            if not answer.done():
                answer.set_exception(FatalError(*SHUTTING_DOWN))
        ended()

    def _answer(self, number: int, value: Any, refusal: list[str] | None) -> None:
        answer = self._asked.get(number)
        if answer is None or answer.done():
            return
        if refusal is not None:
            answer.set_exception(FatalError(*refusal))
        else:
            answer.set_result(value)


__all__ = ["Link"]
