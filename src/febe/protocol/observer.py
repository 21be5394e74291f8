"""Both directions of somebody else's conversation, followed by one state machine.

    observer = Observer(trace=Tracer(sys.stdout))
    observer.receive(Sender.FRONTEND, data)                    # before the data is passed on
    while (event := observer.next_event(Sender.FRONTEND)) is not None:
        ...

It stands where a relay stands: it is given each piece of data before the other side gets it, so that it sees every
request before its answer.
"""

from __future__ import annotations

from febe.protocol.connection import Connection, Event, Trace
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.message import Sender
from febe.protocol.states import State


class Observer:
    """Reads what both sides say.

    A conversation has one state, the same seen from both ends (`febe.protocol.states`), so an observer is a backend
    that reads the frontend's messages and a frontend that reads the backend's, with that state passed between them.
    """

    def __init__(self, *, dialect: Dialect = POSTGRESQL, trace: Trace | None = None) -> None:
        self._readers = {
            Sender.FRONTEND: Connection(Sender.BACKEND, dialect=dialect, trace=trace),
            Sender.BACKEND: Connection(Sender.FRONTEND, dialect=dialect, trace=trace),
        }
        self._last = self._readers[Sender.FRONTEND]

    @property
    def state(self) -> State:
        """Where the conversation is."""
        return self._last.state

    @property
    def transaction_status(self) -> str:
        """What the last ReadyForQuery said: `I`, `T` or `E`."""
        return self._last.transaction_status

    def receive(self, sender: Sender, data: bytes) -> None:
        """Take bytes that `sender` sent, cut anywhere."""
        self._readers[sender].receive(data)

    def next_event(self, sender: Sender) -> Event | None:
        """The next thing `sender` said; None when more bytes are needed.

        Errors: RemoteProtocolError, as in `Connection.next_event`.
        """
        reader = self._readers[sender]
        if reader is not self._last:
            reader.follow(self._last)
            self._last = reader
        return reader.next_event()


__all__ = ["Observer"]
