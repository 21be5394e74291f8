"""What clients are tried with, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.peers.febe_server import FebeServer

PASSWORD = "a secret: it's 'quoted'"
ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range = 7"

FEATURES = {
    "password": "Password (SCRAM-SHA-256)",
    "tls": "TLS, certificate checked",
    "parameters": "Parameters",
    "prepared": "The same statement many times, prepared",
    "numbers": "Integers, `float8`, `numeric`",
    "texts": "`text`, `bytea`",
    "times": "`date`, `timestamp`, `timestamptz`",
    "others": "`bool`, `uuid`, `json`",
    "arrays": "Arrays",
    "nulls": "NULL",
    "transactions": "Transactions",
    "savepoints": "Savepoints",
    "errors": "SQLSTATEs of errors",
    "portions": "A large result in portions",
    "batch": "Many inserts in one call",
    "several": "Several statements in one query",
    "pipeline": "Pipelines",
    "copy_in": "COPY in",
    "copy_out": "COPY out",
    "notify": "LISTEN and NOTIFY",
    "large_objects": "Large objects",
    "cancel": "Cancel",
    "metadata": "Its own calls for tables and columns",
}
"""By name, and as the page says it."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A server that wants a password and offers TLS, its certificate's authority, a name for a table and a
    directory of one's own."""

    server: FebeServer
    authority: str
    table: str
    home: str

    @property
    def host(self) -> str:
        return self.server.host

    @property
    def port(self) -> int:
        return self.server.port

    def dsn(self, **options: str) -> str:
        return self.server.dsn(password=PASSWORD, **options)


class Client:
    """A client; its methods are the features it has, by name.  `name` is what the page says."""

    name = ""

    def __init__(self, place: Place) -> None:
        self.place = place

    @classmethod
    def features(cls) -> list[str]:
        """Those it has, in the page's order."""
        return [name for name in FEATURES if getattr(cls, name, None)]

    def check(self, feature: str) -> None:
        """Errors: whatever the client raises, AssertionError."""
        run: Callable[[], None] = getattr(self, feature)
        run()
