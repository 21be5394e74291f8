"""What stands behind a server: SQL in; columns and batches of rows, or a command tag, out.

An engine author implements three small classes.  The server owns the conversation: transaction status, portals,
row limits, error skipping and SQLSTATE 25P02 never reach the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from febe.server.activity import Backend
    from febe.server.catalog.description import Database
    from febe.server.locks import Lock
    from febe.server.portals import Portal
    from febe.server.statements import Statement
    from febe.types.arrow_rows import ArrowBatch, ArrowOptions


class ArrowStream(Protocol):
    """Anything that hands out record batches through the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


@dataclass(slots=True, kw_only=True)
class Column:
    """One result column, as RowDescription announces it (manual: "Message Formats", RowDescription)."""

    name: str
    type_oid: int
    type_modifier: int = -1
    table_oid: int = 0
    attribute_number: int = 0


@dataclass(slots=True, kw_only=True, frozen=True)
class RelationFound:
    """A relation by its names, as `describe` has them, and the names of its columns in order."""

    schema: str
    name: str
    columns: Sequence[str]


@dataclass(slots=True, kw_only=True)
class Result:
    """What executing a statement gave.

    At most one of `rows` and `arrow` is set.  `rows` yields batches (sequences of tuples of Python values); `arrow` is
    read lazily, batch by batch; without either the statement returned no rows.  `tag` is the command tag, in which
    `{}` stands for the number of rows sent: `SELECT {}` (when None), `INSERT 0 {}` of a RETURNING, `EXPLAIN`; of a
    statement without rows it is complete, for example `INSERT 0 3`.  `failure` makes an engine's error of the text that
    the Arrow stream gives as its last error.
    """

    rows: Iterable[Sequence[Sequence[object]]] | None = None
    arrow: ArrowStream | None = None
    tag: str | None = None
    failure: Callable[[str], EngineError] | None = None
    notices: list[str] = field(default_factory=list)


PASSED_ON = ("TimeZone", "search_path")
"""Parameters that an engine is told of."""


class SessionFacts(Protocol):
    """What an engine, such as a catalog, may ask about the session it serves.  Not from other threads than its own."""

    process_id: int
    user: str
    database: str
    system_user: str | None
    """What the client has proved, as SYSTEM_USER has it."""

    def setting(self, name: str) -> str:
        """A parameter's value.  Errors: EngineError (42704)."""
        ...

    def settings(self) -> Sequence[tuple[str, str]]:
        """Every parameter, by name."""
        ...

    def set_parameter(self, name: str, value: str | None, *, local: bool) -> str:
        """Set a parameter, and give its new value (set_config).  Errors: EngineError."""
        ...

    def activity(self) -> Sequence[Backend]:
        """Every session of the server (pg_stat_activity)."""
        ...

    def advisory_locks(self) -> Sequence[Lock]:
        """Every advisory lock of the server's (pg_locks)."""
        ...

    def channels(self) -> Sequence[str]:
        """What the session listens to."""
        ...

    def prepared_statements(self) -> Sequence[Statement]:
        """The prepared statements that have a name."""
        ...

    def cursors(self) -> Sequence[Portal]:
        """The cursors and portals that are open."""
        ...


class Prepared(ABC):
    """A statement whose types are known and which has not run."""

    parameters: tuple[int, ...] = ()
    """Type OID of each parameter `$1`, `$2`, ..., inferred where the client left it open."""

    columns: tuple[Column, ...] | None = None
    """The result's columns; None when the statement returns no rows."""

    writes: bool = True
    """Whether running it may change something; a cursor reads only."""

    together: bool = False
    """It is several steps to the engine, which take effect together: the server opens a transaction for it."""

    @abstractmethod
    def execute(self, values: Sequence[Any]) -> Result:
        """Run with one Python value per parameter; may be called again with others.

        Errors: any exception; `febe.server.EngineError` says which SQLSTATE the client gets.
        """

    def close(self) -> None:  # noqa: B027 - most statements hold nothing
        """Forget the statement."""


class CopyTarget(ABC):
    """A table that takes the rows of a COPY FROM STDIN, within the transaction that is open.

    An engine without transactions has to keep the rows until `finish`: a COPY takes effect whole or not at all.
    """

    columns: tuple[Column, ...] = ()
    """What each row has."""

    arrow: ArrowOptions | None = None
    """How the columns may come as Arrow, when they may: `write_arrow` is called instead of `write`, where it can be."""

    def write_arrow(self, batch: ArrowBatch) -> None:
        """Take rows, as something with `__arrow_c_stream__`.  Errors: EngineError."""
        raise NotImplementedError

    @abstractmethod
    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take rows: one Python value per column.  Errors: EngineError."""

    @abstractmethod
    def finish(self) -> int:
        """There are no more rows; give how many were taken.  Errors: EngineError."""

    def close(self) -> None:  # noqa: B027 - where the transaction is rolled back, there is nothing left to do
        """The COPY has failed; nothing of it stays."""


class EngineSession(ABC):
    """One client's view of the engine.  Methods are called one at a time, except `cancel`."""

    @abstractmethod
    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Understand one statement without running it.

        `parameter_types` holds the OIDs the client gave in Parse: possibly fewer than there are, 0 = infer.
        """

    def describe(self) -> Database | None:
        """What the database holds now, for the catalogs; None where the engine has no notion of it."""
        return None

    def find_relation(self, name: Sequence[str]) -> RelationFound | None:
        """What a name after FROM stands for, its parts as they are written; None where that is not known."""
        return None

    def recall(self, sql: str, parameter_types: Sequence[int]) -> Prepared | None:
        """A statement that is understood already, found at once and without waiting for anything; else None.

        Called on the event loop.  It spares a statement that is said again and again the way to `prepare`.
        """
        return None

    def begin(self, *, read_only: bool = False) -> None:
        """Open a transaction block.  An engine without transactions raises `EngineError` with SQLSTATE 0A000."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def commit(self) -> None:
        """Commit the transaction block that `begin` opened."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def rollback(self) -> None:
        """Roll the transaction block back."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def savepoint(self, name: str) -> None:
        """Set a savepoint in the transaction block; the server keeps the names apart.

        An engine without them leaves this as it is: SAVEPOINT is refused with SQLSTATE 0A000.
        """
        raise EngineError("this engine has no savepoints", sqlstate="0A000")

    def release(self, name: str) -> None:
        """Forget a savepoint and keep what was done since."""
        raise EngineError("this engine has no savepoints", sqlstate="0A000")

    def rollback_to(self, name: str) -> None:
        """Undo what was done since a savepoint, which stays; also after an error of a statement.

        Errors: EngineError (0A000) where that cannot be undone: the block stays a failed one.
        """
        raise EngineError("this engine has no savepoints", sqlstate="0A000")

    def copy_into(self, table: str, columns: Sequence[str], where: str) -> CopyTarget:
        """Open a table for COPY FROM.

        `table` is its name as SQL, `columns` those that come, none for all, and `where` the condition that rows have to
        meet, as SQL, or "".
        """
        raise EngineError("COPY FROM is not supported by this engine", sqlstate="0A000")

    def attach(self, facts: SessionFacts) -> None:  # noqa: B027 - most engines do not ask
        """Called once before the first statement: whom to ask about the client's session."""

    def change(self, name: str, value: str) -> None:  # noqa: B027
        """A parameter of `PASSED_ON` has a new value; it is the engine's if it means something there."""

    def discard_temporary(self) -> None:
        """Drop the session's temporary tables (DISCARD TEMP)."""
        raise EngineError("DISCARD TEMP is not supported", sqlstate="0A000")

    def progress(self) -> float | None:
        """How much of what runs now is done, from 0 to 1; None where that is not known.  Called from other threads."""
        return None

    def cancel(self) -> None:  # noqa: B027 - an engine that answers at once has nothing to stop
        """Stop what runs now, from another thread; the running call raises `EngineError` with SQLSTATE 57014."""

    def close(self) -> None:  # noqa: B027
        """Let go of everything the session holds; an open transaction is rolled back."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Client:
    """Somebody who was let in.

    `system_user` is what was proved, as SYSTEM_USER has it, such as `scram-sha-256:ada` or `peer:root`; None where
    nothing had to be proved.  `address` is None on a Unix socket.
    """

    user: str
    database: str
    parameters: Mapping[str, str]
    system_user: str | None = None
    address: str | None = None


class Engine(ABC):
    """Opens a session per connection; shared by all connections and called from several threads."""

    blocking: bool = True
    """True: session methods are called in a worker thread.  False: on the event loop, so they must answer at once."""

    dialect: str | None = None
    """What sqlglot calls the engine's SQL, if that is known: statements can be translated to it."""

    session: type[Any] | None = None
    """The subclass of `febe.server.Session` that speaks with this engine's clients; None: that class itself."""

    processes: bool = False
    """Whether several processes may have an engine of their own each: no session can see by what another one does that
    they share nothing."""

    @abstractmethod
    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        """Open a session for an authenticated client."""

    def admit(self, client: Client) -> EngineSession:
        """What the server calls: `open`, for engines that need to know more of the client than that is given."""
        return self.open(user=client.user, database=client.database, parameters=client.parameters)

    def close(self) -> None:  # noqa: B027
        """Let go of everything; no session is open any more."""


class EngineError(Exception):
    """An engine's refusal, told to the client as it stands.

    `position` counts characters of the statement's text from 1 (error field P); `where` is the context (W); `routine`
    names PostgreSQL's own function where clients go by it (R).
    """

    def __init__(self, message: str, *, sqlstate: str = "XX000", detail: str | None = None,
                 hint: str | None = None, position: int | None = None, where: str | None = None,
                 routine: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.where = where
        self.routine = routine
        self.detail = detail
        self.hint = hint
        self.position = position
