"""PostgreSQL's own catalog rows, held in a private in-memory DuckDB; one per process, loaded at the first need."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from febe.server.catalog import errors, functions, lookups
from febe.server.catalog.empty import EMPTY
from febe.server.engine import EngineError

if TYPE_CHECKING:
    import duckdb

DATA = Path(__file__).parent / "data"

MEMORY = "256MB"
"""What a catalog query may take; beyond that it fails (53200), for the machine is not the catalog's."""

SCHEMA = "builtin"
"""Where the private database keeps PostgreSQL's own rows."""

KEPT = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "oid": "UINTEGER", "xid": "UINTEGER", "cid": "UINTEGER", "int2vector": "SMALLINT[]", "oidvector": "UINTEGER[]",
    "regproc": "UINTEGER",
    "regclass": "UINTEGER", "regtype": "UINTEGER", "regnamespace": "UINTEGER", "regrole": "UINTEGER",
    "regprocedure": "UINTEGER", "regoper": "UINTEGER", "regoperator": "UINTEGER", "regcollation": "UINTEGER",
    "regconfig": "UINTEGER", "regdictionary": "UINTEGER",
    "timestamptz": "TIMESTAMP WITH TIME ZONE", "timestamp": "TIMESTAMP", "date": "DATE", "time": "TIME",
    "interval": "INTERVAL", "numeric": "DECIMAL(38, 9)", "uuid": "UUID", "bytea": "BLOB",
}
"""What the private database keeps a type of PostgreSQL as; anything else is VARCHAR."""


ADDED = {"pg_stat_activity": {"rows_sent": "int8", "progress": "float8"}}
"""Columns behind PostgreSQL's own: how many rows the statement has sent, and how much of it is done, from 0 to 1."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Relation:
    """A system catalog or system view: its columns with the names of their types, and a view's query."""

    schema: str
    name: str
    oid: int
    columns: dict[str, str]
    view: str | None


def kept_as(type_name: str) -> str:
    """The type that the private database keeps a PostgreSQL type as, by its name in pg_type."""
    found = KEPT.get(type_name)
    if found is None:
        return f"{kept_as(type_name[1:])}[]" if type_name.startswith("_") else "VARCHAR"
    return found


@cache
def relations() -> dict[tuple[str, str], Relation]:
    """Every system catalog and view by schema and name."""
    found = {}
    for name, entry in json.loads((DATA / "relations.json").read_text()).items():
        schema, relation = name.split(".")
        columns = dict(entry["columns"]) | ADDED.get(relation, {})
        found[schema, relation] = Relation(schema=schema, name=relation, oid=entry["oid"], columns=columns,
                                           view=entry.get("view"))
    return found


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")


def view_name(relation: Relation) -> str:
    """What the private database calls a system view."""
    return f"{relation.schema}.{relation.name}"


class Store:
    """The private database."""

    def __init__(self) -> None:
        import duckdb

        # one thread: the catalogs are small, and each thread of an instance costs memory
        self.root: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config={
            "threads": 1, "autoinstall_known_extensions": False, "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "memory_limit": MEMORY, "temp_directory": ""})
        self.root.execute("SET GLOBAL TimeZone = 'UTC'")
        # the rows of a catalog keep their order where names are looked up: clients take the first type that fits
        with contextlib.suppress(duckdb.Error):
            self.root.execute("SET GLOBAL disabled_optimizers = 'build_side_probe_side'")
        self.lock = threading.RLock()
        self._views: dict[str, frozenset[str]] = {}
        self._waiting: dict[str, str] = {}
        self.root.execute(f"CREATE SCHEMA {SCHEMA}")
        self.root.execute(f"SET search_path = '{SCHEMA},main'")
        self._create()
        for statement in (*lookups.statements(), *functions.statements()):
            self.root.execute(statement)
        # the built-in rows are read when they are first asked for, and nothing else is
        self.root.execute(f"SET GLOBAL allowed_directories = ['{_escaped(DATA)}/']")
        self.root.execute("SET GLOBAL enable_external_access = false")

    def _create(self) -> None:
        """Every catalog, without its rows."""
        for name, columns in lookups.PROTOTYPES.items():
            self.root.execute(f"CREATE TABLE {SCHEMA}.{name} ({columns})")
        for relation in relations().values():
            if relation.view is None:
                columns = ", ".join(f'"{name}" {kept_as(kind)}' for name, kind in relation.columns.items())
                self.root.execute(f'CREATE TABLE {SCHEMA}."{relation.name}" ({columns})')
        known = {relation.name: relation for relation in relations().values()}
        for path in DATA.glob("*.parquet"):
            name, chosen = path.stem, "*"
            if name in known:
                chosen = ", ".join(f'"{column}"' for column in known[name].columns)
            elif name not in lookups.PROTOTYPES:
                self.root.execute(f"CREATE TABLE {SCHEMA}.{name} AS FROM read_parquet('{_escaped(path)}') LIMIT 0")
            self._waiting[name] = (f'INSERT INTO {SCHEMA}."{name}" SELECT {chosen} '
                                   f"FROM read_parquet('{_escaped(path)}')")

    def fill(self, names: Iterable[str]) -> None:
        """Have PostgreSQL's own rows of these catalogs."""
        with self.lock:
            for name in self._waiting.keys() & set(names):
                self.root.execute(self._waiting.pop(name))

    def view(self, name: str) -> frozenset[str]:
        """Make a system view, once; the catalogs it reads.  Errors: EngineError for one that cannot be answered."""
        from febe.server.catalog.rewrite import NotOurs, rewrite

        with self.lock:
            found = self._views.get(name)
            if found is None:
                schema, bare = name.split(".")
                relation = relations()[schema, bare]
                assert relation.view is not None
                if name in EMPTY:
                    nothing = ", ".join(f'NULL::{kept_as(kind)} AS "{column}"'
                                        for column, kind in relation.columns.items())
                    self.root.execute(f'CREATE VIEW main."{name}" AS SELECT {nothing} WHERE false')
                    self._views[name] = frozenset()
                    return self._views[name]
                try:
                    made = rewrite(relation.view.rstrip().rstrip(";"))
                except NotOurs as error:
                    raise EngineError(f"view {name} is not supported", sqlstate="0A000") from error
                found = frozenset(made.relations).union(*(self.view(other) for other in made.views))
                columns = ", ".join(f'"{column}"' for column in relation.columns)
                with errors.translated():
                    # not beside the built-in rows: a view looks for tables in its own schema before the path's
                    self.root.execute(f'CREATE VIEW main."{name}" ({columns}) AS {made.sql}')
                self._views[name] = found
            return found

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query over the built-in rows gives."""
        with self.lock:
            self.fill(lookups.named(sql))
            return self.root.execute(sql, values).fetchall()


@cache
def store() -> Store:
    """The process's private database."""
    return Store()
