"""A described database in the private one: PostgreSQL's rows and the description's in one schema of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from febe.server.catalog import builtin, lookups
from febe.server.catalog.description import Database
from febe.server.catalog.rows import Builder, Oids, columns_of

_NUMBERS = itertools.count(1)

# Rows of PostgreSQL's own that are not true of this server, where its engine does not bring the object itself.
_LESS = {"pg_namespace": "nspname <> 'public'", "pg_description": "NOT (objoid = 2200 AND classoid = 2615)"}


class Snapshot:
    """One state of one database.  A catalog is put together when it is first read."""

    def __init__(self, oids: Oids, database: Database, *, name: str, user: str, path: Sequence[str]) -> None:
        self.store = builtin.store()
        self.database = database
        self.schema = f"s{next(_NUMBERS)}"
        self._built = Builder(oids, database, name=name, user=user, path=path).build()
        self.database_oid = self._built.database_oid
        self.users = 0
        self._lock = threading.Lock()
        self._made: set[str] = set()
        self._tabled: set[str] = set()
        self._con = self.store.root.cursor()
        self._con.execute(f"CREATE SCHEMA {self.schema}")
        self._con.execute("SET VARIABLE febe_path_all = ?", [["pg_catalog", *path]])
        self._con.execute(f"SET search_path = '{self.schema},{builtin.SCHEMA},main'")

    def ensure(self, names: Iterable[str]) -> None:
        """Have these catalogs ready."""
        wanted = set(names)
        self.store.fill(wanted)
        with self._lock:
            for name in wanted:
                if name not in self._made:
                    self._make(name)
                    self._made.add(name)
            for name in lookups.TABLED:
                if name in wanted and name not in self._tabled:
                    self._con.execute(f"CREATE TABLE {self.schema}.{name} AS FROM main.{name}")
                    self._tabled.add(name)

    def _make(self, name: str) -> None:
        if name in lookups.PROTOTYPES:
            rows = self._built.lookups.get(name)
            if rows:
                self._con.execute(f"CREATE TABLE {self.schema}.{name} AS FROM {builtin.SCHEMA}.{name}")
                self._insert(name, [list(values) for values in zip(*rows, strict=True)],
                             [kind for _, kind in _columns_of(self._con, name)])
            return
        relation = builtin.relations().get(("pg_catalog", name))
        found = self._built.tables.get(name)
        if relation is None or (not found and name not in _LESS):
            return
        less = f" WHERE {_LESS[name]}" if name in _LESS else ""
        self._con.execute(f'CREATE TABLE {self.schema}."{name}" AS SELECT * FROM {builtin.SCHEMA}."{name}"{less}')
        if found:
            self._insert(name, columns_of(found, list(relation.columns)),
                         [builtin.kept_as(kind) for kind in relation.columns.values()])

    def _insert(self, table: str, columns: Sequence[list[Any]], kinds: Sequence[str]) -> None:
        chosen = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in kinds)
        self._con.execute(f'INSERT INTO {self.schema}."{table}" SELECT {chosen}', list(columns))

    def close(self) -> None:
        """Let go of the rows."""
        with self._lock:
            self._con.execute(f"DROP SCHEMA {self.schema} CASCADE")
            self._con.close()


def _columns_of(con: Any, table: str) -> list[tuple[str, str]]:
    return [(row[0], str(row[1])) for row in con.execute(f"DESCRIBE {builtin.SCHEMA}.{table}").fetchall()]
