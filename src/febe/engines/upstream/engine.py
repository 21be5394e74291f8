"""The engine: to which PostgreSQL a client is led, and as whom."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from febe.client.dsn import parse_conninfo
from febe.client.options import Plan, resolve
from febe.engines.upstream.session import RelaySession
from febe.server.engine import Engine, EngineError, EngineSession, Prepared


class UpstreamEngine(Engine):
    """A PostgreSQL, by its connection string (manual: "Connection Strings").

    User and database are those of the connection string; where it names none, those the client gave.  So a client that
    is let in acts with the rights of the connection string's user.  Errors: LocalProtocolError for a connection string
    that makes no sense.
    """

    blocking = False
    session = RelaySession
    processes = True

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._given = parse_conninfo(conninfo)
        self.plan("postgres", "postgres", {})

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> UpstreamSession:
        """Note who asks; the connection is made when the client's settings are known."""
        return UpstreamSession(self, user, database)

    def plan(self, user: str, database: str, settings: Mapping[str, str]) -> Plan:
        """How to connect for a client.  Errors: LocalProtocolError."""
        environment = {name: value for name, value in os.environ.items() if name not in ("PGUSER", "PGDATABASE")}
        return resolve(self.conninfo, {"user": self._given.get("user") or user,
                                       "dbname": self._given.get("dbname") or database, "settings": settings},
                       environment)


class UpstreamSession(EngineSession):
    """Whom a client is led to.  Statements never come here: the relay speaks with the server itself."""

    def __init__(self, engine: UpstreamEngine, user: str, database: str) -> None:
        self._engine, self._user, self._database = engine, user, database

    def plan(self, settings: Mapping[str, str]) -> Plan:
        """How to connect, with the run-time parameters that the client has set.  Errors: LocalProtocolError."""
        return self._engine.plan(self._user, self._database, settings)

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Refuse: only a relay leads anywhere."""
        raise EngineError("this engine is a relay's", sqlstate="0A000")


__all__ = ["UpstreamEngine", "UpstreamSession"]
