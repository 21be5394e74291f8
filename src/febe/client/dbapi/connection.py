"""Connections of DB-API 2.0, for whatever runs flows: a thread that blocks, or a greenlet that awaits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from febe.client.dbapi.cursor import Cursor, Parameters, StreamCursor
from febe.client.dbapi.xid import Xid
from febe.flows.close import close
from febe.flows.implicit import finish, within
from febe.flows.query import fetch, script
from febe.flows.quote import literal
from febe.flows.session import Session
from febe.flows.transaction import LEVELS, begin
from febe.protocol import families
from febe.protocol.families import InterfaceError, ProgrammingError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Run(Protocol):
    """What runs a flow to its end."""

    def __call__(self, flow: Coroutine[Any, Any, T], /) -> T:
        """Run it."""
        ...


class Connection:
    """A connection whose transactions begin by themselves; `febe.dbapi.connect` makes it.

    With `autocommit` every statement is a transaction of its own.
    """

    Warning = Warning
    Error = families.Error
    InterfaceError = families.InterfaceError
    DatabaseError = families.DatabaseError
    DataError = families.DataError
    OperationalError = families.OperationalError
    IntegrityError = families.IntegrityError
    InternalError = families.InternalError
    ProgrammingError = families.ProgrammingError
    NotSupportedError = families.NotSupportedError

    def __init__(self, session: Session, run: Run, *, autocommit: bool = False) -> None:
        self.session = session
        self._run = run
        self._autocommit = autocommit
        self._isolation_level: str | None = None
        self._read_only: bool | None = None
        self._deferrable: bool | None = None
        self._begin = begin()
        self._closed = False
        self._xid: Xid | None = None
        self._is_prepared = False

    @property
    def closed(self) -> bool:
        """The connection was closed, by whomever."""
        return self._closed or self.session.is_closed

    @property
    def in_transaction(self) -> bool:
        """A transaction block is open, as of the last answer."""
        return self.session.core.transaction_status != "I"

    @property
    def has_failed(self) -> bool:
        """A statement of the transaction block has failed, so that it can only be rolled back."""
        return self.session.core.transaction_status == "E"

    # Properties of transactions; they hold from the next one on

    @property
    def autocommit(self) -> bool:
        """Every statement is a transaction of its own.  Setting it inside a transaction is a ProgrammingError."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._between("autocommit")
        self._autocommit = value

    @property
    def isolation_level(self) -> str | None:
        """SERIALIZABLE, REPEATABLE READ, READ COMMITTED or READ UNCOMMITTED; None: the server's default."""
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        self._between("isolation_level")
        if value is not None and value.lower().replace("_", " ") not in LEVELS:
            raise ProgrammingError(f"no isolation level is called {value!r}: {', '.join(LEVELS)}")
        self._isolation_level = value
        self._prepare_begin()

    @property
    def read_only(self) -> bool | None:
        """Transactions only read; None: the server's default."""
        return self._read_only

    @read_only.setter
    def read_only(self, value: bool | None) -> None:
        self._between("read_only")
        self._read_only = value
        self._prepare_begin()

    @property
    def deferrable(self) -> bool | None:
        """Transactions that are serializable and read-only wait until they cannot fail; None: the server's default."""
        return self._deferrable

    @deferrable.setter
    def deferrable(self, value: bool | None) -> None:
        self._between("deferrable")
        self._deferrable = value
        self._prepare_begin()

    def _prepare_begin(self) -> None:
        self._begin = begin(self._isolation_level, self._read_only, self._deferrable)

    def _between(self, what: str) -> None:
        self.check()
        if self.in_transaction or self._xid is not None:
            raise ProgrammingError(f"{what} cannot be changed inside a transaction: commit or roll back first")

    # Statements

    def cursor(self, *, size: int | None = None) -> Cursor:
        """A cursor; with `size` one whose result stays at the server and is fetched in batches of so many rows."""
        self.check()
        return Cursor(self) if size is None else StreamCursor(self, size)

    def execute(self, operation: str, parameters: Parameters | None = None) -> Cursor:
        """Run a statement with a cursor of its own."""
        return self.cursor().execute(operation, parameters)

    def perform(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run what `work` gives, in a transaction unless there is autocommit.  Errors: febe.dbapi.Error."""
        self.check()
        if self._is_prepared and self._xid is not None:
            raise ProgrammingError("the transaction is prepared: tpc_commit or tpc_rollback comes next")
        if self._autocommit:
            return self._run(work())
        return self._run(within(self.session, self._begin, work))

    def go(self, flow: Coroutine[Any, Any, T]) -> T:
        """Run a flow as it is."""
        return self._run(flow)

    def check(self) -> None:
        """Be open.  Errors: InterfaceError; ConnectionLost, which is an OperationalError."""
        if self._closed:
            raise InterfaceError("the connection is closed")
        if self.session.is_over:
            raise self.session.unusable()

    # Transactions

    def commit(self) -> None:
        """Commit; nothing happens where no transaction is open.

        Errors: febe.dbapi.Error; InternalError when a statement had failed, so that nothing was committed.
        """
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back; nothing happens where no transaction is open.  Errors: febe.dbapi.Error."""
        self._end("ROLLBACK")

    def _end(self, sql: str) -> None:
        self.check()
        if self._xid is not None:
            raise ProgrammingError("a transaction in two phases ends with tpc_commit or tpc_rollback")
        self._run(finish(self.session, sql))

    def close(self) -> None:
        """Close; what was not committed is rolled back.  Errors: InterfaceError when it is closed already."""
        if self._closed:
            raise InterfaceError("the connection is closed")
        self._closed = True
        self._run(close(self.session))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._closed:
            return
        try:
            if not self.session.is_closed and self._xid is None:
                self._end("COMMIT" if error is None else "ROLLBACK")
        finally:
            self.close()

    def abort(self) -> None:
        """Close at once, without a word to the server."""
        self._closed = True
        self.session.closed("abort() was called")
        self.session.port.abort()

    # Two phases

    def xid(self, format_id: int, global_transaction_id: str, branch_qualifier: str) -> Xid:
        """An identifier for a transaction in two phases.  Errors: ProgrammingError."""
        return Xid(format_id, global_transaction_id, branch_qualifier)

    def tpc_begin(self, xid: Xid | str) -> None:
        """Begin a transaction in two phases.  Errors: ProgrammingError inside another one."""
        self._between("tpc_begin")
        if self._autocommit:
            raise ProgrammingError("tpc_begin begins a transaction, and there is autocommit")
        self._run(script(self.session, self._begin))
        self._xid = xid if isinstance(xid, Xid) else Xid.parse(xid)
        self._is_prepared = False

    def tpc_prepare(self) -> None:
        """End the first phase.  Errors: febe.dbapi.Error; ProgrammingError outside of such a transaction."""
        self.check()
        if self._xid is None or self._is_prepared:
            raise ProgrammingError("tpc_prepare comes after tpc_begin, once")
        self._run(finish(self.session, f"PREPARE TRANSACTION {literal(str(self._xid))}"))
        self._is_prepared = True

    def tpc_commit(self, xid: Xid | str | None = None) -> None:
        """Commit this connection's transaction, prepared or not, or the prepared one called `xid`."""
        self._end_phases("COMMIT", xid)

    def tpc_rollback(self, xid: Xid | str | None = None) -> None:
        """Roll back this connection's transaction, prepared or not, or the prepared one called `xid`."""
        self._end_phases("ROLLBACK", xid)

    def _end_phases(self, word: str, xid: Xid | str | None) -> None:
        self.check()
        if xid is not None:
            if self._xid is not None or self.in_transaction:
                raise ProgrammingError(f"tpc_{word.lower()} of another transaction inside one")
            self._run(script(self.session, f"{word} PREPARED {literal(str(xid))}"))
            return
        if self._xid is None:
            raise ProgrammingError(f"tpc_{word.lower()} comes after tpc_begin")
        # Whatever comes of it, a transaction that is prepared is no longer this connection's.
        name, self._xid = literal(str(self._xid)), None
        if self._is_prepared:
            self._run(script(self.session, f"{word} PREPARED {name}"))
        else:
            self._run(finish(self.session, word))

    def tpc_recover(self) -> list[Xid]:
        """The transactions of this database that are prepared and wait for their second phase."""
        self.check()
        found: list[Any] = self._run(fetch(self.session, "SELECT gid, prepared, owner, database FROM pg_prepared_xacts "
                                              "WHERE database = current_database() ORDER BY prepared", ()))
        return [Xid.parse(*row) for row in found]


__all__ = ["Connection", "Run"]
