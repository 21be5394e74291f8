"""One client's connection of a DuckDB: its statements, transaction, temporary tables and settings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from febe.engines.duckdb import _driver, catalog, errors, forms, sources, statements
from febe.engines.duckdb.copying import DuckDBCopy, check_allowed
from febe.engines.duckdb.prepared import Context, prepare
from febe.engines.duckdb.stream import ResultStream
from febe.server.catalog.description import Database
from febe.server.engine import EngineError, EngineSession, Prepared, RelationFound
from febe.server.sql import TokenKind, split, tokens, verb

if TYPE_CHECKING:
    from febe.engines.duckdb.engine import DuckDBEngine

PROGRESS = {"enable_progress_bar": "true", "enable_progress_bar_print": "false"}
"""What each connection has to set so that progress is counted, and shown to nobody."""

_RECALLED, _RECALLED_SIZE = 256, 1 << 20
"""How many statements a session recalls, and of how many characters together."""
_NOTHING: tuple[None, None] = None, None
_NOTHING_MORE = contextlib.nullcontext()


class DuckDBSession(EngineSession):
    """One client's connection."""

    def __init__(self, engine: DuckDBEngine, con: duckdb.DuckDBPyConnection, *, read_only: bool,
                 database: str | None) -> None:
        self.read_only = read_only
        self._engine = engine
        self._con = con
        self._lost = False
        self._database = database
        if database is not None:
            con.execute(f"USE {sources.quoted(database)}")
        for name, value in PROGRESS.items():
            with contextlib.suppress(duckdb.Error):
                self._con.execute(f"SET {name} = {value}")
        self._open: ResultStream | None = None
        self._savepoints: dict[str, int] = {}
        self._recalled: dict[tuple[str, tuple[int, ...]], tuple[tuple[int, int] | None, Prepared | None]] = {}
        self._recalled_size = self._generation = 0
        self._changes_catalog = self._in_transaction = False
        self._began_at = 0
        self._path: Sequence[str] = ()
        self._temporary: frozenset[str] | None = frozenset()
        self._touched = False
        self.written = 0
        """How many statements that write have been run in this transaction."""

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Understand one statement without running it."""
        found = self.recall(sql, parameter_types)
        if found is None:
            epoch = self.epoch
            found = self._understand(sql, parameter_types)
            self._remember(sql, tuple(parameter_types), epoch, found)
        return found

    def _remember(self, sql: str, types: tuple[int, ...], epoch: tuple[int, int], found: Prepared) -> None:
        if (sql, types) not in self._recalled:
            size = len(sql) + len(types)
            if len(self._recalled) >= _RECALLED or self._recalled_size + size > _RECALLED_SIZE:
                self._recalled.clear()
                self._recalled_size = 0
            if size > _RECALLED_SIZE:
                return
            self._recalled_size += size
        self._recalled[sql, types] = epoch, found

    def recall(self, sql: str, parameter_types: Sequence[int]) -> Prepared | None:
        """A statement of before, when nothing has changed the catalog since."""
        epoch, found = self._recalled.get((sql, tuple(parameter_types)), _NOTHING)
        return found if epoch == self.epoch and self._engine.usable and not self._lost else None

    @property
    def epoch(self) -> tuple[int, int]:
        """Something else whenever the catalog, as this session sees it, may have become another."""
        return self._engine.epoch, self._generation

    @contextlib.contextmanager
    def changing(self, catalog: bool) -> Iterator[None]:
        """The statement inside changes the catalog: for this session now, for the others once it is committed."""
        try:
            yield
        finally:
            if catalog:
                self._generation += 1
                self._temporary, self._touched = None, True
                self._changes_catalog = self._in_transaction
                if not self._in_transaction:
                    self._engine.catalog_changed()

    def _understand(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        first = verb(sql)
        if first in ("DROP", "TRUNCATE", "CREATE"):
            steps = forms.steps(sql, first)
            if len(steps) > 1:
                return forms.Steps([self._prepare(step, parameter_types) for step in steps])
            sql = steps[0]
        return self._prepare(sql, parameter_types)

    def _prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Understand one statement in DuckDB's form.

        The one exception is PIVOT without IN: its columns are the data's values, so DuckDB must read the data.
        """
        self.check_usable()
        if not _driver.HAS_BIND:
            self.free()
        with self.translated(sql):
            found = self._con.extract_statements(sql)
        kinds = [_driver.kind(one) for one in found]
        if len(kinds) > 1 and len(split(sql)) == 1 and set(kinds) <= {"CREATE", "SELECT"}:
            kinds = ["MULTI"]           # what 1.x makes of PIVOT
        if len(kinds) != 1:
            raise EngineError("cannot insert multiple commands into a prepared statement" if found else
                              "there is no statement to prepare", sqlstate="42601")
        statements.check(kinds[0], sql, read_only=self.read_only)
        make = partial(prepare, Context(session=self, con=self._con, read_only=self.read_only), kinds[0], sql,
                       parameter_types, found[0].named_parameters)
        publishing = self._engine.publishing
        return make() if publishing is None else publishing.prepare(self, kinds[0], sql, make)

    def describe(self) -> Database:
        """What the database holds, as this session's transaction sees it."""
        def query(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            found = self._run(sql)
            return [column[0] for column in found.description], found.fetchall()

        return catalog.describe(query, writable=not self.read_only)

    def find_relation(self, name: Sequence[str]) -> RelationFound | None:
        """A table or view that everybody sees as this session does; None of any other, such as a temporary one."""
        if self._changes_catalog or (self._in_transaction and self._began_at != self._engine.epoch):
            return None
        if self._temporary is None:
            self._temporary = frozenset(row[0].casefold() for row in self._run(
                "SELECT table_name FROM duckdb_tables() WHERE temporary UNION ALL "
                "SELECT view_name FROM duckdb_views() WHERE temporary").fetchall())
        if name[-1].casefold() in self._temporary:
            return None
        return self._engine.relations.find(name, self._database, self._path)

    def begin(self, *, read_only: bool = False) -> None:
        """Open a transaction block; in one that is read-only DuckDB refuses to write (25006)."""
        self._begun = "BEGIN TRANSACTION READ ONLY" if read_only else "BEGIN TRANSACTION"
        if self._engine.publishing is not None:
            self._engine.publishing.began(self)
        self._run(self._begun)
        self.written = 0
        self._in_transaction = True
        self._began_at = self._engine.epoch

    def commit(self) -> None:
        """Commit; results still open end here, as portals do (manual: "Extended Query")."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back; results still open end here."""
        if self._touched:
            self._temporary = None
        self._end("ROLLBACK")

    def copy_into(self, table: str, columns: Sequence[str], where: str) -> DuckDBCopy:
        """Open a table for COPY FROM."""
        check_allowed(self.read_only)
        self.free()
        return DuckDBCopy(self, self._con, table, columns, where)

    # DuckDB has no savepoints.  What is true of PostgreSQL's all the same can be had: they may be set and released, and
    # gone back to where nothing was written since.

    def savepoint(self, name: str) -> None:
        """Note how much has been written so far."""
        self._savepoints[name] = self.written

    def release(self, name: str) -> None:
        """Forget it."""
        del self._savepoints[name]

    def rollback_to(self, name: str) -> None:
        """Go on if nothing was written since; where DuckDB has given the transaction up, in one that begins anew.

        A new one sees what others have committed meanwhile, as each statement does at the level "read committed".
        Errors: EngineError (0A000).
        """
        if self._savepoints[name] == self.written:
            self.free()
            try:
                self._con.execute("SELECT 1").fetchall()
            except duckdb.Error as error:
                if not self.written:
                    self._con.execute("ROLLBACK")
                    self._con.execute(self._begun)
                    return
                reason = error
            else:
                return
        else:
            reason = None
        raise EngineError("ROLLBACK TO SAVEPOINT cannot undo a part of what this transaction has written",
                          sqlstate="0A000", hint="Roll back the whole transaction.") from reason

    def change(self, name: str, value: str) -> None:
        """Follow the client's time zone and search path, as far as they mean something to DuckDB."""
        self.free()
        self._generation += 1
        with contextlib.suppress(duckdb.Error):
            if name == "TimeZone":
                self._con.execute(f"SET TimeZone = {sources.literal(value)}")
            elif name == "search_path":
                self._search(value)

    def _search(self, path: str) -> None:
        """The schemas of a search path that exist, as PostgreSQL passes over the others."""
        wanted = [token.value for token in tokens(path) if token.kind is not TokenKind.SYMBOL]
        there = {row[0] for row in self._con.execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()").fetchall()}
        self._path = [name for name in wanted if name in there]
        found = [sources.quoted(name) for name in self._path]
        anew = "RESET search_path" if self._database is None else f"USE {sources.quoted(self._database)}"
        self._con.execute(f"SET search_path = {sources.literal(','.join(found))}" if found else anew)

    def discard_temporary(self) -> None:
        """Drop the session's temporary tables and views."""
        self.free()
        self._generation += 1
        self._temporary, self._touched = None, True
        with self.translated(""):
            for kind in ("view", "table"):
                names = self._con.execute(f"SELECT {kind}_name FROM duckdb_{kind}s() WHERE temporary "
                                          "AND NOT internal").fetchall()
                for (name,) in names:
                    self._con.execute(f"DROP {kind} IF EXISTS temp.{sources.quoted(name)} CASCADE")

    def progress(self) -> float | None:
        """What DuckDB says of the statement that runs, or whose result is being read."""
        with contextlib.suppress(duckdb.ConnectionException):  # closed meanwhile
            percent = self._con.query_progress()
            return percent / 100 if percent >= 0 else None
        return None

    def cancel(self) -> None:
        """Interrupt what runs, also the reading of an open result."""
        self._con.interrupt()
        stream = self._open
        moved = stream.connection if stream is not None else None
        if moved is not None:
            moved.interrupt()

    def close(self) -> None:
        """Close the connection; DuckDB rolls an open transaction back."""
        if self._open is not None:
            self._open.abandon("the session has ended")
        with contextlib.suppress(duckdb.Error):
            self._con.close()

    # -- for what publishes its changes --------------------------------------------------------------------------------

    @property
    def connection(self) -> _driver.Connection:
        """The connection, which has to be freed before it is used."""
        return self._con

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction block is open."""
        return self._in_transaction

    @property
    def changes_catalog(self) -> bool:
        """Whether the transaction has changed what tables there are."""
        return self._changes_catalog

    # -- for the statements of this session ----------------------------------------------------------------------------

    def free(self) -> None:
        """Make the connection free for another statement: what is left of an open result moves away."""
        self.check_usable()
        if self._open is not None:
            self._open.move(self._engine.connection(), 2048)

    def check_usable(self) -> None:
        """Errors: EngineError (57P02) when DuckDB has given up the instance that this session is of."""
        self._engine.check_usable()
        if self._lost:
            raise errors.failed()

    def lose(self) -> None:
        """The instance is about to be replaced, which no connection may hold any more."""
        self._lost = True
        with contextlib.suppress(duckdb.Error):
            self._con.interrupt()
            self._con.close()

    def streaming(self, capsule: object, on_last: Callable[[int], None] | None = None) -> ResultStream:
        """A result that has the connection until it is read to its end, closed or moved.

        `on_last` is told how many rows there were, if they are all read.
        """
        def ended() -> None:
            if self._open is stream:
                self._open = None
        stream = ResultStream(capsule, ended, on_last)
        self._open = stream
        return stream

    @contextlib.contextmanager
    def translated(self, sql: str, position: Callable[[int], int | None] = lambda offset: offset) -> Iterator[None]:
        """DuckDB's errors inside become the client's."""
        try:
            yield
        except duckdb.Error as error:
            raise self.failure(str(error), sql, position) from error

    def failure(self, text: str, sql: str, position: Callable[[int], int | None]) -> EngineError:
        """The client's error for the text of one of DuckDB's."""
        self._engine.failed(text)
        return errors.translate(text, sql, position)

    def _run(self, sql: str) -> Any:
        self.free()
        with self.translated(sql):
            return self._con.execute(sql)

    def _end(self, sql: str) -> None:
        if self._open is not None:
            self._open.abandon("TransactionContext Error: the transaction of this result has ended, "
                               "no transaction is active")
        self._savepoints.clear()
        self._in_transaction = False
        # what others have committed meanwhile is seen from now on
        self._generation += 1
        publishing = self._engine.publishing if sql == "COMMIT" and self.written else None
        try:
            with publishing.committing(self) if publishing is not None else _NOTHING_MORE, self.translated(sql):
                self._con.execute(sql)
        finally:
            if self._changes_catalog:
                self._changes_catalog = False
                self._engine.catalog_changed()


__all__ = ["PROGRESS", "DuckDBSession"]
