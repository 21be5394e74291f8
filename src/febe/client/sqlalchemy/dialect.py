# mypy: disable-error-code="no-untyped-call,override"
"""The blocking dialect: SQLAlchemy's PostgreSQL over `febe.dbapi`, with numbered parameters and nothing translated."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect, PGExecutionContext
from sqlalchemy.engine import URL
from sqlalchemy.types import NUMERIC, Float, Numeric

from febe.client.dbapi import Connection, Cursor
from febe.client.sqlalchemy.types import COLSPECS, as_text
from febe.flows.query import script
from febe.protocol.errors import ConnectionLost

_ISOLATION = ("AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE")
STREAM_SIZE = 1000
"""Rows in one batch of a result that is streamed."""


class Compiler(PGCompiler):
    """Casts of parameters say the type without its size, for a cast to numeric(10, 2) rounds."""

    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        """A parameter with the cast that tells its type."""
        if isinstance(dbapi_type, Numeric) and not isinstance(dbapi_type, Float):
            dbapi_type = NUMERIC()
        return str(super().render_bind_cast(type_, dbapi_type, sqltext))


class ExecutionContext(PGExecutionContext):
    """One execution."""

    def create_server_side_cursor(self) -> Cursor:
        """A cursor for `stream_results` and `yield_per`."""
        connection: Any = self._dbapi_connection
        made: Cursor = connection.cursor(size=STREAM_SIZE)
        return made


class Dialect(PGDialect):
    """`postgresql+febe://`."""

    driver = "febe"
    default_paramstyle = "numeric_dollar"
    supports_statement_cache = True
    supports_server_side_cursors = True
    supports_sane_multi_rowcount = True
    render_bind_cast = True
    has_terminate = True
    execution_ctx_cls = ExecutionContext
    statement_compiler = Compiler
    colspecs = {**PGDialect.colspecs, **COLSPECS}  # noqa: RUF012 - as its base class has it

    def __init__(self, **options: Any) -> None:
        options.setdefault("paramstyle", self.default_paramstyle)
        super().__init__(**options)

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """The module of DB-API 2.0."""
        import febe.dbapi

        return febe.dbapi

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[Dialect]:
        """The dialect for `create_async_engine`."""
        from febe.client.sqlalchemy.asynchronous import AsyncDialect

        return AsyncDialect

    @classmethod
    def load_provisioning(cls) -> None:
        """What SQLAlchemy's tests need to know of PostgreSQL."""
        PGDialect.load_provisioning()

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:
        """febe's version."""
        from sqlalchemy.util import parse_version_string

        from febe import __version__

        return parse_version_string(__version__)

    # Connecting

    def create_connect_args(self, url: URL) -> tuple[list[str], dict[str, Any]]:
        """The options of `febe.connect`; the query of the URL may have any of them."""
        options: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
        options.update(url.query)
        hosts, ports = self._split_multihost_from_url(url)
        if hosts:
            options["host"] = ",".join(host or "" for host in hosts)
            options["port"] = ",".join(str(port or "") for port in ports or ())
        if "statement_cache_size" in options:
            options["statement_cache_size"] = int(options["statement_cache_size"])
        return [], {name: value for name, value in options.items() if value not in ("", None)}

    def on_connect(self) -> Callable[[Any], None]:
        """What is to be done with a new connection."""
        isolation = self.isolation_level

        def connected(connection: Connection) -> None:
            as_text(connection.session.types, addresses=self._native_inet_types is False)
            if isolation is not None:
                self.set_isolation_level(connection, isolation)

        return connected

    def do_ping(self, dbapi_connection: Any) -> bool:
        """A round trip that begins no transaction."""
        dbapi_connection.go(script(dbapi_connection.session, ""))
        return True

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close without a word to the server, where nothing can be awaited."""
        dbapi_connection.abort()

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Whether the connection, and with it maybe the pool's others, is gone."""
        return isinstance(e, ConnectionLost) or (connection is not None and bool(connection.closed))

    # Running statements: the parameters are numbered already

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement."""
        cursor.run(statement, parameters)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement with many sets of parameters."""
        cursor.run_many(statement, parameters)

    # Properties of transactions

    def get_isolation_level_values(self, dbapi_conn: Any) -> Any:
        """The levels that there are."""
        return _ISOLATION

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """Set the level of the transactions to come."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"
        dbapi_connection.isolation_level = None if level == "AUTOCOMMIT" else level

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        """The level in force."""
        was_idle = not dbapi_connection.in_transaction
        level: Any = super().get_isolation_level(dbapi_connection)
        if was_idle:
            dbapi_connection.rollback()
        return level

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Whether there is autocommit."""
        return bool(dbapi_conn.autocommit)

    def set_readonly(self, connection: Any, value: bool) -> None:
        """Set whether the transactions to come only read."""
        connection.read_only = value

    def get_readonly(self, connection: Any) -> bool:
        """Whether transactions only read."""
        return bool(connection.read_only)

    def set_deferrable(self, connection: Any, value: bool) -> None:
        """Set whether the transactions to come are deferrable."""
        connection.deferrable = value

    def get_deferrable(self, connection: Any) -> bool:
        """Whether transactions are deferrable."""
        return bool(connection.deferrable)

    # Two phases

    def do_begin_twophase(self, connection: Any, xid: Any) -> None:
        """Begin a transaction in two phases."""
        connection.connection.dbapi_connection.tpc_begin(xid)

    def do_prepare_twophase(self, connection: Any, xid: Any) -> None:
        """End its first phase."""
        connection.connection.dbapi_connection.tpc_prepare()

    def do_rollback_twophase(self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        """Roll it back."""
        _finish(connection, "tpc_rollback", xid, recover)

    def do_commit_twophase(self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        """Commit it."""
        _finish(connection, "tpc_commit", xid, recover)

    def do_recover_twophase(self, connection: Any) -> list[str]:
        """What was prepared and waits."""
        return [str(xid) for xid in connection.connection.dbapi_connection.tpc_recover()]


def _finish(connection: Any, how: str, xid: Any, recover: bool) -> None:
    found = connection.connection.dbapi_connection
    if not recover:
        getattr(found, how)()
        return
    if found.in_transaction:  # which looking for it has begun
        found.rollback()
    getattr(found, how)(xid)


__all__ = ["STREAM_SIZE", "Compiler", "Dialect", "ExecutionContext"]
