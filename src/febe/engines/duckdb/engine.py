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
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

import duckdb

from febe.engines.duckdb import errors, sources
from febe.engines.duckdb.names import Relations
from febe.engines.duckdb.session import PROGRESS, DuckDBSession
from febe.server.engine import Engine, EngineError

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
            raise errors.failed()

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


__all__ = ["DuckDBEngine"]
