"""How much a server gives to its clients, and how long (manual: "Connections and Authentication", "Client Connection
Defaults")."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from types import MappingProxyType

from febe.protocol.message import LARGE


class FatalError(Exception):
    """Ends the connection; told to the client with severity FATAL."""

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """Times are in seconds; None, or 0 for a time-out of sessions, is no limit.

    `max_connections` counts all sessions, `reserved_connections` those of them that are kept for administrators.
    `max_message_bytes` is for one message of a client that was let in; before that PostgreSQL's own, far smaller limits
    hold.  The four time-outs of sessions are where their parameters of the same names start; a session may SET them.
    `send_timeout` ends a connection whose client takes nothing of what is sent for so long.
    """

    max_connections: int = 100
    reserved_connections: int = 0
    max_connections_per_user: int | None = None
    max_connections_per_address: int | None = None
    authentication_timeout: float = 60.0
    max_message_bytes: int = LARGE
    statement_timeout: float = 0
    transaction_timeout: float = 0
    idle_session_timeout: float = 0
    idle_in_transaction_session_timeout: float = 0
    send_timeout: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and value < 0:
                raise ValueError(f"{one.name} cannot be negative")
        if self.max_connections < 1 or self.authentication_timeout == 0:
            raise ValueError("max_connections and authentication_timeout cannot be zero")
        if self.reserved_connections >= self.max_connections:
            raise ValueError("reserved_connections must be less than max_connections")

    @property
    def settings(self) -> MappingProxyType[str, str]:
        """The time-outs of sessions, as parameters."""
        return MappingProxyType({name: f"{round(getattr(self, name) * 1000)}ms" for name in TIMEOUTS
                                 if getattr(self, name)})


TIMEOUTS = ("statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")


class Places:
    """The places of a server and who has them.  Errors: FatalError (53300) when there is none."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._users: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self.taken = 0

    def take(self, address: str) -> None:
        """A client wants to prove who it is (InitProcess); a Unix socket's address is empty and not counted."""
        most = self.limits.max_connections_per_address
        if self.taken >= self.limits.max_connections:
            raise FatalError("sorry, too many clients already", "53300")
        if most is not None and address and self._addresses[address] >= most:
            raise FatalError(f'too many connections from address "{address}"', "53300")
        self.taken += 1
        self._addresses[address] += 1

    def enter(self, user: str, *, administrator: bool) -> None:
        """A client with a place has proved who it is (InitPostgres)."""
        limits = self.limits
        if not administrator:
            if limits.max_connections - self.taken < limits.reserved_connections:
                raise FatalError("remaining connection slots are reserved for roles with the SUPERUSER attribute",
                                 "53300")
            most = limits.max_connections_per_user
            if most is not None and self._users[user] >= most:
                raise FatalError(f'too many connections for role "{user}"', "53300")
        self._users[user] += 1

    def leave(self, user: str) -> None:
        """The end of what `enter` began."""
        _less(self._users, user)

    def give_back(self, address: str) -> None:
        """The end of what `take` began."""
        self.taken -= 1
        _less(self._addresses, address)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]  # names that were here once must not be kept for ever


__all__ = ["TIMEOUTS", "FatalError", "Limits", "Places"]
