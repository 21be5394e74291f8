"""Cursors of DB-API 2.0: a statement, and its result taken row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from febe.client.dbapi.placeholders import bound, translated, values
from febe.flows import query
from febe.flows.many import executemany
from febe.flows.quote import identifier
from febe.flows.result import Result
from febe.flows.stream import Batches
from febe.flows.typed import typed
from febe.protocol.families import InterfaceError, ProgrammingError
from febe.protocol.simple import FieldDescription
from febe.types import oids

if TYPE_CHECKING:
    from febe.client.dbapi.connection import Connection

Parameters = Sequence[Any] | Mapping[str, Any]

_VARLENA_HEADER = 4


class Column(NamedTuple):
    """What is known of one column; `type_code` is the OID of its type."""

    name: str
    type_code: int
    display_size: int | None
    internal_size: int | None
    precision: int | None
    scale: int | None
    null_ok: bool | None

    @classmethod
    def of(cls, field: FieldDescription) -> Column:
        """A column by its description; what a type modifier means is the type's own business (numeric.c, varchar.c)."""
        display = precision = scale = None
        modifier = field.type_modifier - _VARLENA_HEADER
        if modifier >= 0:
            if field.type_oid == oids.NUMERIC:
                precision, scale = modifier >> 16 & 0xFFFF, ((modifier & 0x7FF) ^ 1024) - 1024
            elif field.type_oid in (oids.VARCHAR, oids.BPCHAR):
                display = modifier
        size = field.type_size if field.type_size > 0 else None
        return cls(field.name, field.type_oid, display, size, precision, scale, None)


class Cursor:
    """Runs statements of a connection; `Connection.cursor` makes it.

    Parameters are `%s` or `%(name)s`; without any a `%` means itself, and there may be several statements, each with a
    result, which `nextset` goes through.
    """

    server_side = False
    lastrowid = None

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self.rowcount = -1
        self.description: tuple[Column, ...] | None = None
        self.statusmessage: str | None = None
        """The command tag."""
        self._results: list[Result] = []
        self._rows: Sequence[Any] = ()
        self._at = 0

    @property
    def closed(self) -> bool:
        """The cursor or its connection was closed."""
        return self._closed or self.connection.closed

    @property
    def rownumber(self) -> int | None:
        """The index of the next row; None when there is no result."""
        return None if self.description is None else self._at

    # Statements

    def execute(self, operation: str, parameters: Parameters | None = None) -> Self:
        """Run a statement.  Errors: febe.dbapi.Error."""
        if parameters is not None:
            return self.run(*bound(operation, parameters))
        self._begin()
        session = self.connection.session
        self._results = list(reversed(self.connection.perform(lambda: query.script(session, operation))))
        self._show(self._results.pop())
        return self

    def run(self, sql: str, args: Sequence[Any] = ()) -> Self:
        """Run a statement whose parameters are `$1`, `$2` ...  Errors: febe.dbapi.Error."""
        self._begin()
        session = self.connection.session
        self._show(self.connection.perform(lambda: typed(session, sql, tuple(args))))
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Parameters]) -> Self:
        """Run a statement once for each set of parameters, pipelined, all or none.  Errors: febe.dbapi.Error."""
        text, wanted = translated(operation)
        return self.run_many(text, (values(wanted, one) for one in seq_of_parameters))

    def run_many(self, sql: str, sets: Iterable[Sequence[Any]]) -> Self:
        """`executemany` of a statement whose parameters are `$1`, `$2` ...  Errors: febe.dbapi.Error."""
        self._begin()
        session = self.connection.session
        self.rowcount = self.connection.perform(lambda: executemany(session, sql, sets))
        return self

    def callproc(self, procname: str, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Call a function and have its result as a statement's; CALL is for procedures.  Errors: febe.dbapi.Error."""
        numbers = ", ".join(f"${number}" for number in range(1, len(parameters) + 1))
        self.run(f"SELECT * FROM {identifier(*procname.split('.'))}({numbers})", parameters)
        return parameters

    def nextset(self) -> bool | None:
        """Go on to the next statement's result; None when there is none."""
        self._check()
        if not self._results:
            return None
        self._show(self._results.pop())
        return True

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Do nothing: the server tells the types."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing: results have the size they have."""

    # Rows

    def fetchone(self) -> Any:
        """The next row; None when there is none.  Errors: ProgrammingError without a result."""
        self._check_rows()
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next `size` rows, or `arraysize`.  Errors: ProgrammingError without a result."""
        self._check_rows()
        first = self._at
        self._at = min(first + (self.arraysize if size is None else size), len(self._rows))
        return self._rows[first:self._at]

    def fetchall(self) -> Sequence[Any]:
        """All the rows that are left.  Errors: ProgrammingError without a result."""
        self._check_rows()
        first, self._at = self._at, len(self._rows)
        return self._rows if first == 0 else self._rows[first:]

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Go to another row of the result.  Errors: IndexError, where nothing moves; ProgrammingError."""
        self._check_rows()
        if mode not in ("relative", "absolute"):
            raise ProgrammingError(f"a cursor scrolls relative or absolute, not {mode!r}")
        place = value + (self._at if mode == "relative" else 0)
        if not 0 <= place < len(self._rows):
            raise IndexError(f"the result has no row {place}")
        self._at = place

    def close(self) -> None:
        """Be of no more use."""
        self._forget()
        self._closed = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._check()
        self._forget()

    def _check(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        self.connection.check()

    def _check_rows(self) -> None:
        self._check()
        if self.description is None:
            raise ProgrammingError("there is no result: the last statement returns no rows, or none was run")

    def _show(self, result: Result) -> None:
        self.statusmessage = str(result)
        count = result.rowcount
        self.rowcount = -1 if count is None else count
        self.description = tuple([Column.of(column) for column in result.columns]) or None
        self._rows, self._at = result.rows, 0


class StreamCursor(Cursor):
    """A cursor whose result stays at the server and is fetched in batches of `size` rows, in bounded memory.

    It lasts as long as its transaction; outside of one nothing else can be asked until it is read or closed.
    """

    server_side = True

    def __init__(self, connection: Connection, size: int) -> None:
        super().__init__(connection)
        self.size = size
        self._batches: Batches | None = None
        self._passed = 0

    @property
    def rownumber(self) -> int | None:
        """The index of the next row; None when there is no result."""
        return None if self.description is None else self._passed + self._at

    def execute(self, operation: str, parameters: Parameters | None = None) -> Self:
        """Run a statement, one only.  Errors: febe.dbapi.Error."""
        return self.run(*((operation, ()) if parameters is None else bound(operation, parameters)))

    def run(self, sql: str, args: Sequence[Any] = ()) -> Self:
        """Run a statement whose parameters are `$1`, `$2` ...  Errors: febe.dbapi.Error."""
        self._begin()
        self._batches = Batches(self.connection.session, sql, tuple(args), self.size)
        self.connection.perform(self._batches.open)
        self.description = tuple([Column.of(column) for column in self._batches.columns]) or None
        self._more()
        return self

    def run_many(self, sql: str, sets: Iterable[Sequence[Any]]) -> Self:
        """Refuse: it has no result to fetch.  Errors: ProgrammingError."""
        raise ProgrammingError("a cursor that streams runs one statement")

    def fetchone(self) -> Any:
        """The next row; None when there is none.  Errors: ProgrammingError without a result."""
        self._check_rows()
        if self._at >= len(self._rows) and not self._more():
            return None
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next `size` rows, or `arraysize`.  Errors: ProgrammingError without a result."""
        size = self.arraysize if size is None else size
        rows = list(super().fetchmany(size))
        while len(rows) < size and self._more():
            rows += super().fetchmany(size - len(rows))
        return rows

    def fetchall(self) -> Sequence[Any]:
        """All the rows that are left.  Errors: ProgrammingError without a result."""
        rows = list(super().fetchall())
        while self._more():
            rows += super().fetchall()
        return rows

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Refuse: it goes forward only.  Errors: ProgrammingError."""
        raise ProgrammingError("a cursor that streams goes forward only; DECLARE ... SCROLL makes one that scrolls")

    def close(self) -> None:
        """Give back what is left of the result."""
        self._give_back()
        super().close()

    def _begin(self) -> None:
        self._give_back()
        super()._begin()
        self._passed = 0

    def _give_back(self) -> None:
        batches, self._batches = self._batches, None
        # A failed transaction has closed it already, and takes no Close.
        if batches is not None and not self.connection.closed and not self.connection.has_failed:
            self.connection.go(batches.close())

    def _more(self) -> bool:
        if self._batches is None:
            return False
        self._passed += len(self._rows)
        self._rows, self._at = self.connection.perform(self._batches.next), 0
        return bool(self._rows)


__all__ = ["Column", "Cursor", "Parameters", "StreamCursor"]
