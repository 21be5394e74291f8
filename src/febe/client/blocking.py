"""The blocking face of the client.

Generated from asynchronous.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from febe._kernel.row import Row
from febe.client.base import BaseConnection, BaseListener, BasePipeline, BaseStatement
from febe.client.blocking_bulk import Bulk, CopyOut, Stream
from febe.client.blocking_held import Cursor, LargeObject
from febe.client.options import Options, resolve
from febe.client.run_blocking import TimeLimit, open_session
from febe.flows import (
    arrow,
    close,
    cursor,
    function,
    large_object,
    many,
    prepare,
    query,
    transaction,
)
from febe.flows.compose import Sql
from febe.flows.into import Make, factory
from febe.flows.listen import Listener
from febe.flows.prepare import Description, Statement
from febe.flows.result import Result
from febe.flows.session import Session
from febe.protocol.asynchronous import NotificationResponse

if TYPE_CHECKING:
    import numpy

    from febe.types.arrow_rows import ArrowOptions, ArrowTable

R = TypeVar("R")
T = TypeVar("T")


class Connection(BaseConnection, Bulk, Generic[R]):
    """A connection to a server; `connect` makes it.  `R` is what rows are: `Row`, unless `into` says otherwise.

    Threads may use it at once: what they ask goes out at once too, each request with an end of its own, so
    that one fails without the others.  A request that is interrupted, by KeyboardInterrupt, is
    cancelled at the server, and the connection goes on.
    """

    def __init__(self, session: Session, make: Make[R] | None = None) -> None:
        BaseConnection.__init__(self, session)
        Bulk.__init__(self, session)
        self._make = make

    def into(self, target: Callable[..., T]) -> Connection[T]:
        """The same connection, with rows made into `target`.

        dict, tuple, list and `febe.scalar` are known; anything else is called with the columns as keyword arguments:
        dataclasses, pydantic models, named tuples.
        """
        return Connection(self._session, factory(target))

    def fetch(self, sql: Sql, *args: object) -> list[R]:
        """Run a statement with parameters `$1`, `$2` ... and return its rows.

        Errors: PostgresError, EncodeError, DecodeError, NotSupported for COPY, ConnectionLost.
        """
        return self._run(query.fetch(self._session, sql, args, self._make))

    def fetchrow(self, sql: Sql, *args: object) -> R | None:
        """Run a statement and return its first row, None if there is none.  Errors: as `fetch`."""
        return self._run(query.fetchrow(self._session, sql, args, self._make))

    def fetchval(self, sql: Sql, *args: object) -> Any:
        """Run a statement and return the first value of its first row, None if there is none.  Errors: as `fetch`."""
        return self._run(query.fetchval(self._session, sql, args))

    def execute(self, sql: Sql, *args: object) -> Result:
        """Run and return the command tag, such as `INSERT 0 1`, with the rows and columns that came before it.

        Without parameters `sql` may hold several statements: `results` has what each gave.  Errors: as `fetch`.
        """
        return self._run(query.execute(self._session, sql, args))

    def executemany(self, sql: str, sets: Iterable[Any]) -> int:
        """Run a statement once for each set of parameters, pipelined, all or none; how many rows it was in all.

        Errors: as `fetch`, with a note that says which set it was.
        """
        return self._run(many.executemany(self._session, sql, sets))

    def fetchmany(self, sql: str, sets: Iterable[Any]) -> list[Row]:
        """Run a statement as `executemany` does, and return the rows of all of them in order."""
        return self._run(many.fetchmany(self._session, sql, sets))

    def fetch_arrow(self, sql: Sql, *args: object, options: ArrowOptions | None = None) -> ArrowTable:
        """Run a statement and return its rows as an Arrow table, which Polars, pandas, pyarrow and DuckDB take.

        Errors: as `fetch`; ArrowError for a type that has no place in Arrow.
        """
        return self._run(arrow.fetch_arrow(self._session, sql, args, options))

    def fetch_numpy(self, sql: Sql, *args: object, options: ArrowOptions | None = None
                    ) -> dict[str, numpy.ndarray[Any, Any]]:
        """Run a statement and return its columns as numpy arrays, masked ones where there are NULLs.

        Errors: as `fetch_arrow`; TypeError for a column that numpy has no array for.
        """
        return self._run(arrow.fetch_numpy(self._session, sql, args, options))

    def pipeline(self) -> Pipeline:
        """Requests that go out together and have one fate: all or none.  `with` it."""
        return Pipeline(self)

    def transaction(self, *, isolation: str | None = None, read_only: bool | None = None,
                    deferrable: bool | None = None) -> Transaction:
        """A transaction block, or within one a savepoint: `with` it.  An exception rolls it back."""
        return Transaction(self, isolation=isolation, read_only=read_only, deferrable=deferrable)

    def timeout(self, seconds: float) -> TimeLimit:
        """A time limit for what a block asks of this connection: `with` it.

        What is under way when it passes is cancelled at the server, and the connection goes on.  Errors: TimeoutError.
        """
        return TimeLimit(self._session, seconds)

    def commit_prepared(self, gid: str) -> None:
        """Commit a transaction that was prepared for two-phase commit.  Errors: PostgresError."""
        return self._run(transaction.finish_prepared(self._session, gid, commit=True))

    def rollback_prepared(self, gid: str) -> None:
        """Roll back a transaction that was prepared for two-phase commit.  Errors: PostgresError."""
        return self._run(transaction.finish_prepared(self._session, gid, commit=False))

    def listen(self, *channels: str) -> Notifications:
        """Listen to channels: `with` it, then `for` notification."""
        return Notifications(self, Listener(self._session, channels))

    def describe(self, sql: Sql) -> Description:
        """What a statement takes and gives, without running it and without leaving it at the server.

        Errors: PostgresError.
        """
        return self._run(prepare.described(self._session, sql))

    def cursor(self, sql: Sql, *args: object, scroll: bool | None = None, hold: bool = False,
               name: str | None = None) -> Cursor[R]:
        """A query whose result stays at the server: `with` it, then fetch from it.

        It belongs to the transaction block it is made in; with `hold` it needs none and outlives one.
        """
        return Cursor(self._run, cursor.Cursor(self._session, sql, args, self._make, scroll=scroll, hold=hold,
                                               name=name))

    def call(self, name: str, *args: object) -> Any:
        """Call a function by the function call sub-protocol, which has no SQL and no plan, and return its result.

        Where several have the name, `name(type, ...)` says which.  Errors: PostgresError, EncodeError, DecodeError.
        """
        return self._run(function.call_named(self._session, name, args))

    def large_object(self, oid: int, mode: str = "r") -> LargeObject:
        """A large object as a file: `with` it.  The mode is `r`, `r+`, or `w` or `w+`, which empty it first."""
        return LargeObject(self._run, large_object.LargeObject(self._session, oid, mode))

    def create_large_object(self, oid: int = 0) -> int:
        """Make an empty large object, with this OID or with any; return its OID.  Errors: PostgresError."""
        return self._run(large_object.create(self._session, oid))

    def unlink_large_object(self, oid: int) -> None:
        """Delete a large object.  Errors: PostgresError."""
        return self._run(large_object.unlink(self._session, oid))

    def prepare(self, sql: str) -> PreparedStatement[R]:
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


class PreparedStatement(BaseStatement, Generic[R]):
    """A statement that the server has parsed; `Connection.prepare` makes it."""

    def __init__(self, connection: Connection[R], statement: Statement) -> None:
        self._session = connection._session
        self._make = connection._make
        self._run = connection._run
        self._statement = statement

    def fetch(self, *args: object) -> list[R]:
        """Run it and return its rows.  Errors: as `Connection.fetch`."""
        return self._run(query.fetch(self._session, self._statement, args, self._make))

    def fetchrow(self, *args: object) -> R | None:
        """Run it and return its first row, None if there is none.  Errors: as `Connection.fetch`."""
        return self._run(query.fetchrow(self._session, self._statement, args, self._make))

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


class Pipeline(BasePipeline, Bulk):
    """Requests of one flight; `Connection.pipeline` makes it.

    `fetch` and its like give a `Reply`, whose `result()` is there when the block has ended.  Streams and COPY have
    their turn at once, after what was asked before them, and share the fate of the whole.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        BasePipeline.__init__(self, connection._session)
        Bulk.__init__(self, connection._session, self._pipeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._run(self._pipeline.end(error))


class Transaction:
    """A transaction block; `Connection.transaction` makes it.  `commit` and `rollback` may end it early."""

    def __init__(self, connection: Connection[Any], **properties: Any) -> None:
        self._run = connection._run
        self._block = transaction.Block(session=connection._session, **properties)

    def commit(self) -> None:
        """Commit.  Errors: PostgresError; TransactionRolledBack when a statement in it had failed."""
        return self._run(self._block.commit())

    def rollback(self) -> None:
        """Roll back."""
        return self._run(self._block.rollback())

    def prepare(self, gid: str) -> None:
        """Prepare it for two-phase commit, which ends the block.  Errors: as `commit`."""
        return self._run(self._block.prepare(gid))

    def __enter__(self) -> Self:
        self._run(self._block.begin())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        if not self._block.ended:
            (self.commit() if error is None else self.rollback())


class Notifications(BaseListener):
    """The notifications of some channels; `Connection.listen` makes it."""

    def __init__(self, connection: Connection[Any], listener: Listener) -> None:
        self._run = connection._run
        self._listener = listener

    def __enter__(self) -> Self:
        self._run(self._listener.open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._run(self._listener.close())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> NotificationResponse:
        return self._run(self._listener.next())


def connect(conninfo: str = "", **options: Unpack[Options]) -> Connection[Row]:
    """Connect to a server by URI or `keyword=value` string, keywords, environment (PGHOST ...) and libpq's defaults.

    Errors: ConnectionLost, PostgresError from the server, AuthenticationError, ProtocolError, NotSupported.
    """
    return Connection(open_session(resolve(conninfo, options)))


__all__ = ["Connection", "CopyOut", "Notifications", "Pipeline", "PreparedStatement", "Stream", "Transaction",
           "connect"]
