"""The blocking face of the client.

Generated from asynchronous.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, Unpack

from febe._kernel.row import Row
from febe.client.base import BaseConnection, BaseStatement
from febe.client.options import Options, resolve
from febe.client.run_blocking import open_session, runner
from febe.flows import close, prepare, query
from febe.flows.prepare import Statement
from febe.flows.result import Result
from febe.flows.session import Session


class Connection(BaseConnection):
    """A connection to a server; `connect` makes it.

    Threads may use it at once: what they ask goes out at once too, each request with an end of its own, so
    that one fails without the others.  A request that is interrupted, by KeyboardInterrupt, is
    cancelled at the server, and the connection goes on.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._run = runner(session)

    def fetch(self, sql: str, *args: object) -> list[Row]:
        """Run a statement with parameters `$1`, `$2` ... and return its rows.

        Errors: PostgresError, EncodeError, DecodeError, NotSupported for COPY, ConnectionLost.
        """
        return self._run(query.fetch(self._session, sql, args))

    def fetchrow(self, sql: str, *args: object) -> Row | None:
        """Run a statement and return its first row, None if there is none.  Errors: as `fetch`."""
        return self._run(query.fetchrow(self._session, sql, args))

    def fetchval(self, sql: str, *args: object) -> Any:
        """Run a statement and return the first value of its first row, None if there is none.  Errors: as `fetch`."""
        return self._run(query.fetchval(self._session, sql, args))

    def execute(self, sql: str, *args: object) -> Result:
        """Run and return the command tag, such as `INSERT 0 1`, with the rows and columns that came before it.

        Without parameters `sql` may hold several statements: `results` has what each gave.  Errors: as `fetch`.
        """
        return self._run(query.execute(self._session, sql, args))

    def prepare(self, sql: str) -> PreparedStatement:
        """Prepare a statement for the session's lifetime.  Errors: PostgresError, ConnectionLost."""
        return PreparedStatement(self, self._run(prepare.prepare(self._session, sql)))

    def close(self) -> None:
        """Say good-bye and close the connection; once is enough."""
        self._run(close.close(self._session))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()


class PreparedStatement(BaseStatement):
    """A statement that the server has parsed; `Connection.prepare` makes it."""

    def __init__(self, connection: Connection, statement: Statement) -> None:
        self._session = connection._session
        self._run = connection._run
        self._statement = statement

    def fetch(self, *args: object) -> list[Row]:
        """Run it and return its rows.  Errors: as `Connection.fetch`."""
        return self._run(query.fetch(self._session, self._statement, args))

    def fetchrow(self, *args: object) -> Row | None:
        """Run it and return its first row, None if there is none.  Errors: as `Connection.fetch`."""
        return self._run(query.fetchrow(self._session, self._statement, args))

    def fetchval(self, *args: object) -> Any:
        """Run it and return the first value of its first row, None if there is none.  Errors: as `Connection.fetch`."""
        return self._run(query.fetchval(self._session, self._statement, args))

    def execute(self, *args: object) -> Result:
        """Run it and return its command tag, with the rows that came before it.  Errors: as `Connection.fetch`."""
        return self._run(query.execute(self._session, self._statement, args))

    def close(self) -> None:
        """Have the server forget it.  Run after that, it is prepared anew."""
        self._run(prepare.close_statement(self._session, self._statement))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()


def connect(conninfo: str = "", **options: Unpack[Options]) -> Connection:
    """Connect to a server by URI or `keyword=value` string, keywords, environment (PGHOST ...) and libpq's defaults.

    Errors: ConnectionLost, PostgresError from the server, AuthenticationError, ProtocolError, NotSupported.
    """
    return Connection(open_session(resolve(conninfo, options)))


__all__ = ["Connection", "PreparedStatement", "connect"]
