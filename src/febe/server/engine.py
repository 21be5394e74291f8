"""What stands behind a server: SQL in; columns and batches of rows, or a command tag, out.

An engine author implements three small classes.  The server owns the conversation: transaction status, portals,
row limits, error skipping and SQLSTATE 25P02 never reach the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


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


class Prepared(ABC):
    """A statement whose types are known and which has not run."""

    parameters: tuple[int, ...] = ()
    """Type OID of each parameter `$1`, `$2`, ..., inferred where the client left it open."""

    columns: tuple[Column, ...] | None = None
    """The result's columns; None when the statement returns no rows."""

    @abstractmethod
    def execute(self, values: Sequence[Any]) -> Result:
        """Run with one Python value per parameter; may be called again with others.

        Errors: any exception; `febe.server.EngineError` says which SQLSTATE the client gets.
        """

    def close(self) -> None:  # noqa: B027 - most statements hold nothing
        """Forget the statement."""


class EngineSession(ABC):
    """One client's view of the engine.  Methods are called one at a time, except `cancel`."""

    @abstractmethod
    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Understand one statement without running it.

        `parameter_types` holds the OIDs the client gave in Parse: possibly fewer than there are, 0 = infer.
        """

    def begin(self, *, read_only: bool = False) -> None:
        """Open a transaction block.  An engine without transactions raises `EngineError` with SQLSTATE 0A000."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def commit(self) -> None:
        """Commit the transaction block that `begin` opened."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def rollback(self) -> None:
        """Roll the transaction block back."""
        raise EngineError("this engine has no transactions", sqlstate="0A000")

    def cancel(self) -> None:  # noqa: B027 - an engine that answers at once has nothing to stop
        """Stop what runs now, from another thread; the running call raises `EngineError` with SQLSTATE 57014."""

    def close(self) -> None:  # noqa: B027
        """Let go of everything the session holds; an open transaction is rolled back."""


class Engine(ABC):
    """Opens a session per connection; shared by all connections and called from several threads."""

    blocking: bool = True
    """True: session methods are called in a worker thread.  False: on the event loop, so they must answer at once."""

    @abstractmethod
    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        """Open a session for an authenticated client."""

    def close(self) -> None:  # noqa: B027
        """Let go of everything; no session is open any more."""


class EngineError(Exception):
    """An engine's refusal, told to the client as it stands.

    `position` counts characters of the statement's text from 1 (error field P).
    """

    def __init__(self, message: str, *, sqlstate: str = "XX000", detail: str | None = None,
                 hint: str | None = None, position: int | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.position = position
