"""DuckDB behind a server: one database, a connection of it per session.

Clients speak DuckDB's SQL.  They cannot reach files, the network, extensions or the configuration: external access is
off and the configuration locked once the sources are loaded, and statements that would try are refused by type.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from febe.engines.duckdb import _driver, catalog, errors, forms, sources, statements
from febe.engines.duckdb.copying import DuckDBCopy, check_allowed
from febe.engines.duckdb.names import Relations
from febe.engines.duckdb.prepared import Context, prepare
from febe.engines.duckdb.stream import ResultStream
from febe.server.catalog.description import Database
from febe.server.engine import Engine, EngineError, EngineSession, Prepared, RelationFound
from febe.server.sql import TokenKind, split, tokens, verb

if TYPE_CHECKING:
    from febe.engines.duckdb.publishing import DuckDBPublisher

_log = logging.getLogger("febe.engines.duckdb")

# Set before the sources are loaded; one that a version of DuckDB does not have is left out.
_SETTINGS = (
    ("autoinstall_known_extensions", "false"),
    ("autoload_known_extensions", "false"),
    ("allow_community_extensions", "false"),
    ("allow_persistent_secrets", "false"),
    ("python_enable_replacements", "false"),
    ("python_scan_all_frames", "false"),
    # without it a batch of strings beyond 2 GB is an error
    ("arrow_large_buffer_size", "true"),
    # until a client says otherwise, whatever the machine's zone
    ("TimeZone", "'UTC'"),
    # a client's zone is its own business
    ("allowed_configs", "['TimeZone']"),
)


class DuckDBEngine(Engine):
    """Serves a DuckDB database, in memory unless a database file is the only source.

    `sources`: paths, globs or `name=path` of a DuckDB database, Parquet, CSV, JSON or Arrow files.  A database that is
    not the only source is attached: clients connect to it by its name, or to `memory`, where the files are.
    `read_only` refuses every statement that changes something, and `readers` are users who are refused them.
    `allow_files` is a directory whose files may be read by SQL.  `on_source` is told about each source before it is
    loaded.
    """

    dialect = "duckdb"
    publishing: DuckDBPublisher | None = None
    """What publishes the changes that sessions make, if anything does."""

    def __init__(self, *texts: str | os.PathLike[str], read_only: bool = False, memory_limit: str | None = None,
                 threads: int | None = None, readers: Collection[str] = (),
                 allow_files: str | os.PathLike[str] | None = None,
                 on_source: Callable[[sources.Source], None] | None = None) -> None:
        self.read_only = read_only
        self.readers = frozenset(readers)
        self._settings = {"memory_limit": memory_limit and sources.literal(memory_limit),
                          "threads": None if threads is None else str(int(threads))}
        self._directory = None if allow_files is None else sources.directory(allow_files)
        self._lock = threading.Lock()
        self._broken = False
        self._sessions: weakref.WeakSet[DuckDBSession] = weakref.WeakSet()
        self._relations = Relations(self)
        self.epoch = 0
        """How often the catalog has been changed."""
        self.sources = sources.find(texts)
        self.databases = frozenset(one.name for one in self.sources if one.kind == "database" and len(self.sources) > 1)
        """Those that are attached, by name."""
        # removed at the latest when the engine is forgotten or the program ends
        self._temporary = tempfile.TemporaryDirectory(prefix="febe-duckdb-", ignore_cleanup_errors=True)
        try:
            self._start(on_source)
        except BaseException:
            self._temporary.cleanup()
            raise

    @property
    def is_file(self) -> bool:
        """Whether it serves one database file and nothing else."""
        return len(self.sources) == 1 and self.sources[0].kind == "database"

    def _start(self, on_source: Callable[[sources.Source], None] | None = None) -> None:
        """Open the instance, load the sources, and close all the rest to clients."""
        alone = self.is_file
        self._root = self._connect(str(self.sources[0].paths[0]) if alone else ":memory:", self.read_only and alone)
        try:
            self._set("temp_directory", sources.literal(self._temporary.name))
            for name, value in self._settings.items():
                if value is not None:
                    self._set(name, value)
            for name, value in _SETTINGS:
                self._set(name, value, optional=True)
            if self._directory is not None:
                self._set("allowed_directories", f"[{sources.literal(str(self._directory) + os.sep)}]")
            views = self._allow_paths()
            for source in self.sources:
                if on_source is not None:
                    on_source(source)
                if not alone:
                    sources.load(self._root, source, views=views, read_only=self.read_only)
            self._set("enable_external_access", "false")
            self._set("allowed_configs", f"[{', '.join(map(sources.literal, PROGRESS))}]", optional=True)
            self._set("lock_configuration", "true")
        except BaseException:
            self._root.close()
            raise

    def _start_anew(self) -> None:
        """Replace an instance that DuckDB has given up: its sessions end, and what was in memory only is lost."""
        for session in list(self._sessions):
            session.lose()
        with contextlib.suppress(duckdb.Error):
            self._root.close()
        self._start()
        self._broken = False
        self.epoch += 1
        _log.warning("DuckDB has been started anew from its sources")

    @property
    def processes(self) -> bool:  # type: ignore[override]
        """Where nothing is written, each process may read for itself."""
        return self.read_only

    @property
    def usable(self) -> bool:
        """False after an error that invalidates the DuckDB instance, until the next session has it replaced."""
        return not self._broken

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> DuckDBSession:
        """Open a session: a connection of its own, with its own transaction and temporary tables.

        Errors: EngineError (3D000) where there are several databases and none has this name.
        """
        if self.databases and database not in (*self.databases, "memory"):
            raise EngineError(f'database "{database}" does not exist', sqlstate="3D000")
        with self._lock:
            if self._broken:
                self._start_anew()
            session = DuckDBSession(self, self._root.cursor(), read_only=self.read_only or user in self.readers,
                                    database=database if database in self.databases else None)
            self._sessions.add(session)
        return session

    def close(self) -> None:
        """Close the database; what it spilled is removed."""
        self._root.close()
        self._temporary.cleanup()

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Another connection of the database."""
        with self._lock:
            self.check_usable()
            return self._root.cursor()

    @property
    def relations(self) -> Relations:
        """The names of what everybody can see."""
        return self._relations

    def catalog_changed(self) -> None:
        """A change of the catalog has been committed, or undone."""
        with self._lock:
            self.epoch += 1

    def check_usable(self) -> None:
        """Refuse to go on with an instance that DuckDB has given up."""
        if self._broken:
            raise _failed()

    def failed(self, text: str) -> None:
        """Note the text of an error: one that is fatal ends the instance, and the log says why."""
        if errors.is_fatal(text):
            self._broken = True
            _log.error("DuckDB has failed and is not used any more: %s", text)

    def _connect(self, path: str, read_only: bool) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            raise sources.SourceError(f"{path}: {error}") from error

    def _set(self, name: str, value: str, *, optional: bool = False) -> None:
        try:
            self._root.execute(f"SET GLOBAL {name} = {value}")
        except duckdb.CatalogException:
            if not optional:
                raise

    def _allow_paths(self) -> bool:
        """Let views read the Parquet files after the lock-down, and nothing else; False where DuckDB cannot (1.1)."""
        paths = [str(path) for source in self.sources if source.kind == "parquet" for path in source.paths]
        if not paths:
            return False
        try:
            self._root.execute(f"SET GLOBAL allowed_paths = [{', '.join(map(sources.literal, paths))}]")
        except duckdb.Error:
            return False
        return True


PROGRESS = {"enable_progress_bar": "true", "enable_progress_bar_print": "false"}
"""What each connection has to set so that progress is counted, and shown to nobody."""
def _failed() -> EngineError:
    return EngineError("the database engine has failed", sqlstate="57P02",
                       hint="In a moment you should be able to reconnect to the database and repeat your command.")


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
            raise _failed()

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
