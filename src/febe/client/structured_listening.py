"""A listener that connects again: trio's.

Generated from asynchronous_listening.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

from itertools import count
from types import TracebackType
from typing import Self, Unpack

from febe._kernel.row import Row
from febe.client.options import Options
from febe.client.run_trio import pause
from febe.client.structured import Connection, Notifications, connect
from febe.flows.listen import Gap
from febe.protocol.asynchronous import NotificationResponse
from febe.protocol.errors import ConnectionLost, Error

_LONGEST_PAUSE = 30.0


class Listening:
    """Notifications of some channels, on a connection of its own that is made again when it is lost; see `listen`."""

    def __init__(self, conninfo: str, channels: tuple[str, ...], attempts: int | None, options: Options) -> None:
        self._conninfo = conninfo
        self._channels = channels
        self._attempts = attempts
        self._options = options
        self._connection: Connection[Row]
        self._news: Notifications
        self._lost: ConnectionLost | None = None

    @property
    def connection(self) -> Connection[Row]:
        """The connection, which is another one after a `Gap`."""
        return self._connection

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._connection.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NotificationResponse | Gap:
        if self._lost is None:
            try:
                return await self._news.__anext__()
            except ConnectionLost as error:
                self._lost = error
        return await self._again(self._lost)

    async def _open(self) -> None:
        connection = await connect(self._conninfo, **self._options)
        news = connection.listen(*self._channels)
        try:
            await news.__aenter__()
        except BaseException:
            connection.abort()
            raise
        self._connection, self._news = connection, news

    async def _again(self, lost: ConnectionLost) -> Gap:
        for attempt in count(1):
            try:
                await self._open()
            except Error as error:
                if attempt == self._attempts or not (isinstance(error, ConnectionLost)
                                                     or getattr(error, "retry_is_safe", False)):
                    raise
                await pause(min(0.1 * 2 ** min(attempt, 10), _LONGEST_PAUSE))
            else:
                break
        self._lost = None
        return Gap(error=lost, attempts=attempt)


def listen(conninfo: str = "", *channels: str, attempts: int | None = None, **options: Unpack[Options]) -> Listening:
    """Listen to channels on a connection of its own: `async with` it, then `async for` notification.

    When the connection is lost it is made again, in so many `attempts` at most, and a `Gap` stands where notifications
    may be missing.  Errors: those of connecting; a loss that no attempt could mend.
    """
    return Listening(conninfo, channels, attempts, options)


__all__ = ["Gap", "Listening", "listen"]
