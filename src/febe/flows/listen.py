"""Notifications, taken one by one (manual: LISTEN, "Asynchronous Operations")."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from febe.flows.answer import Answer, settle
from febe.flows.query import script
from febe.flows.quote import identifier
from febe.flows.session import Session
from febe.protocol.asynchronous import NotificationResponse
from febe.protocol.errors import ConnectionLost


@dataclass(slots=True, frozen=True, kw_only=True)
class Gap:
    """Between two notifications the connection was lost and made again: what was said meanwhile nobody has heard."""

    error: ConnectionLost
    attempts: int


class News(Answer):
    """What a listener waits for: complete as often as something came."""

    def abandon(self) -> None:
        """Nobody waits now; what comes is kept."""
        self.signal = None


class Listener:
    """The notifications of some channels; none is lost between two calls of `next`."""

    def __init__(self, session: Session, channels: Sequence[str]) -> None:
        if not channels:
            raise ValueError("a listener needs a channel")
        self.session = session
        self.channels = tuple(channels)
        self.waiting: deque[NotificationResponse] = deque()
        self._news = News(session, None)

    async def open(self) -> None:
        """LISTEN.  Errors: PostgresError."""
        self.session.listeners.append(self)
        listening = self.session.channels
        for channel in self.channels:
            listening[channel] = listening.get(channel, 0) + 1
        await script(self.session, "; ".join(f"LISTEN {identifier(channel)}" for channel in self.channels))

    def heard(self, event: NotificationResponse) -> None:
        """Keep a notification of a channel of ours."""
        if event.channel in self.channels:
            self.waiting.append(event)
            self._news.finish()

    def cut_off(self, why: BaseException) -> None:
        """The session has ended."""
        self._news.cut_off(why)

    @property
    def news(self) -> News:
        """What is waited for."""
        return self._news

    async def next(self) -> NotificationResponse:
        """The next notification, waited for.  Errors: ConnectionLost when the server is gone."""
        while not self.waiting:
            if self.session.is_over:
                raise self.session.unusable()
            self._news.complete = False
            await settle(self.session, self._news)
        return self.waiting.popleft()

    async def close(self) -> None:
        """UNLISTEN what no other listener of the connection listens to."""
        session, listening = self.session, self.session.channels
        if self not in session.listeners:
            return
        session.listeners.remove(self)
        done = []
        for channel in self.channels:
            listening[channel] -= 1
            if not listening[channel]:
                del listening[channel]
                done.append(channel)
        if done and not session.is_closed:
            await script(session, "; ".join(f"UNLISTEN {identifier(channel)}" for channel in done))


__all__ = ["Gap", "Listener"]
