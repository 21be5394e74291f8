"""NOTIFY between sessions, transactional (manual: "NOTIFY", "LISTEN", "UNLISTEN").

A session's `Mailbox` holds what its transaction has said and takes what others sent; `Notifications` joins them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from febe.server.engine import EngineError

CHANNEL_BYTES = 63
PAYLOAD_BYTES = 7999
"""PostgreSQL's limits (async.c: NAMEDATALEN - 1, NOTIFY_PAYLOAD_MAX_LENGTH - 1)."""
MOST_WAITING = 1 << 20
"""Notifications that may wait for one session that does not take them, before NOTIFY fails."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Notification:
    """One notification, as NotificationResponse tells it."""

    process_id: int
    channel: str
    payload: str


class Notifications:
    """Who listens where, within one process.  One that spans processes overrides `publish` and calls `deliver`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, dict[Mailbox, None]] = {}

    def listen(self, channel: str, mailbox: Mailbox) -> None:
        """Have `mailbox` told of this channel."""
        with self._lock:
            self._listeners.setdefault(channel, {})[mailbox] = None

    def unlisten(self, channel: str, mailbox: Mailbox) -> None:
        """Have it told no more."""
        with self._lock:
            found = self._listeners.get(channel)
            if found is not None:
                found.pop(mailbox, None)
                if not found:
                    del self._listeners[channel]

    def check_room(self) -> None:
        """Errors: EngineError (54000) when somebody listens and does not take what comes."""
        with self._lock:
            full = any(len(mailbox.waiting) >= MOST_WAITING for found in self._listeners.values() for mailbox in found)
        if full:
            raise EngineError("too many notifications in the NOTIFY queue", sqlstate="54000")

    def publish(self, sent: Iterable[Notification]) -> None:
        """Send what a transaction said, in its order, now that it is committed."""
        self.deliver(sent)

    def deliver(self, sent: Iterable[Notification]) -> None:
        """Hand notifications to the sessions of this process; a transaction's stay together."""
        with self._lock:
            woken: dict[Mailbox, None] = {}
            for one in sent:
                for mailbox in self._listeners.get(one.channel, ()):
                    mailbox.waiting.append(one)
                    woken[mailbox] = None
        for mailbox in woken:
            mailbox.wake()


class Mailbox:
    """One session's end.  `wake` is called, from any thread, when something waits to be told to the client."""

    def __init__(self, shared: Notifications, wake: Callable[[], object]) -> None:
        self._shared = shared
        self.wake = wake
        self.waiting: deque[Notification] = deque()
        self._channels: dict[str, None] = {}
        self._changes: list[tuple[bool, str | None]] = []
        self._said: dict[Notification, None] = {}

    @property
    def channels(self) -> list[str]:
        """What the session listens to (pg_listening_channels)."""
        return list(self._channels)

    def listen(self, channel: str) -> None:
        """LISTEN, once the transaction commits."""
        self._changes.append((True, channel))

    def unlisten(self, channel: str | None) -> None:
        """UNLISTEN, once the transaction commits; None: everything."""
        self._changes.append((False, channel))

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        """NOTIFY, once the transaction commits; the same twice counts once.  Errors: EngineError (22023)."""
        if not channel:
            raise EngineError("channel name cannot be empty", sqlstate="22023")
        if len(channel.encode()) > CHANNEL_BYTES:
            raise EngineError("channel name too long", sqlstate="22023")
        if len(payload.encode()) > PAYLOAD_BYTES:
            raise EngineError("payload string too long", sqlstate="22023")
        self._said[Notification(process_id=process_id, channel=channel, payload=payload)] = None

    def committing(self) -> None:
        """What would make the commit fail, fails it now.  Errors: EngineError."""
        if self._said:
            self._shared.check_room()

    def end(self, *, committed: bool) -> None:
        """The transaction is over."""
        changes, said = self._changes, self._said
        if not changes and not said:
            return
        self._changes, self._said = [], {}
        if not committed:
            return
        for listen, channel in changes:
            if listen and channel is not None:
                self._channels[channel] = None
                self._shared.listen(channel, self)
            else:
                for gone in [channel] if channel is not None else self.channels:
                    self._channels.pop(gone, None)
                    self._shared.unlisten(gone, self)
        if said:
            self._shared.publish(said)

    def mark(self) -> tuple[int, int]:
        """Where a savepoint stands."""
        return len(self._changes), len(self._said)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was said after a savepoint."""
        del self._changes[mark[0]:]
        for said in list(self._said)[mark[1]:]:
            del self._said[said]

    def close(self) -> None:
        """The session is over."""
        for channel in self.channels:
            self._shared.unlisten(channel, self)
        self._channels.clear()
