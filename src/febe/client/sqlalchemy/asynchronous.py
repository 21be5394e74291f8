"""The asyncio dialect: the same DB-API connection, whose flows are awaited through SQLAlchemy's greenlet."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy.engine import URL, AdaptedConnection
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_only

import febe.dbapi
from febe.client import asynchronous
from febe.client.dbapi import Connection, Cursor, StreamCursor
from febe.client.options import Options, resolve
from febe.client.run_asyncio import open_session
from febe.client.sqlalchemy.dialect import Dialect
from febe.flows.session import Session


class AsyncCursor(Cursor):
    """A cursor with what SQLAlchemy asks of one for asyncio."""

    async def _async_soft_close(self) -> None:
        """Do nothing: the rows are here already."""


class AsyncConnection(Connection, AdaptedConnection):
    """A connection whose flows are awaited; `driver_connection` is the `febe.aio.Connection`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, await_only)
        self._connection: Any = asynchronous.Connection(session)

    def cursor(self, *, size: int | None = None) -> Cursor:
        """A cursor; with `size` one that streams."""
        self.check()
        return AsyncCursor(self) if size is None else StreamCursor(self, size)


class AsyncModule:
    """`febe.dbapi`, but for how it connects."""

    def __getattr__(self, name: str) -> Any:
        return getattr(febe.dbapi, name)

    def connect(self, dsn: str = "", *, async_creator_fn: Any = None, **options: Any) -> AsyncConnection:
        """Connect; `async_creator_fn` gives a `febe.aio.Connection` instead."""
        if async_creator_fn is not None:
            return AsyncConnection(await_only(async_creator_fn(dsn, **options))._session)
        return AsyncConnection(await_only(open_session(resolve(dsn, cast(Options, options)))))


class AsyncDialect(Dialect):
    """`postgresql+febe://` for create_async_engine."""

    is_async = True
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """The module of DB-API 2.0, as SQLAlchemy awaits it."""
        return AsyncModule()

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        """The pool whose waiting is awaited."""
        return AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        """The `febe.aio.Connection`."""
        return connection._connection


__all__ = ["AsyncConnection", "AsyncDialect", "AsyncModule"]
