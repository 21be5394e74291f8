"""The names of tables, views and their columns, as every session without changes of its own sees them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from febe.server.engine import RelationFound

if TYPE_CHECKING:
    from febe.engines.duckdb.engine import DuckDBEngine

_ASK = ("SELECT database_name, schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        "WHERE NOT internal AND database_name <> 'temp' GROUP BY ALL")
_DEFAULT_SCHEMA = "main"


class Relations:
    """Asked of DuckDB when somebody wants to know, and again once a change of the catalog has been committed."""

    def __init__(self, engine: DuckDBEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._epoch = -1
        self._database = ""
        self._found: dict[tuple[str, str, str], RelationFound] = {}

    def find(self, name: Sequence[str], database: str | None, path: Sequence[str]) -> RelationFound | None:
        """What a name stands for in a database, None being the first, whose schemas are looked through by `path`."""
        with self._lock:
            if self._epoch != self._engine.epoch:
                self._ask()
            *qualifiers, bare = (part.casefold() for part in name)
            here = (database or self._database).casefold()
            match qualifiers:
                case []:
                    places = [(here, schema) for schema in path or (_DEFAULT_SCHEMA,)]
                case [schema]:
                    # DuckDB takes it for a database too, and refuses a name that is both
                    places = [(here, schema), (schema, _DEFAULT_SCHEMA)]
                case [other, schema]:
                    places = [(other, schema)]
                case _:
                    places = []
            for where, schema in places:
                found = self._found.get((where, schema.casefold(), bare))
                if found is not None:
                    # the catalogs are of one database
                    return found if where == here else None
            return None

    def _ask(self) -> None:
        epoch = self._engine.epoch
        con = self._engine.connection()
        try:
            self._database = con.execute("SELECT current_database()").fetchall()[0][0]
            self._found = {(database.casefold(), schema.casefold(), name.casefold()):
                           RelationFound(schema=schema, name=name, columns=columns)
                           for database, schema, name, columns in con.execute(_ASK).fetchall()}
        finally:
            con.close()
        self._epoch = epoch


__all__ = ["Relations"]
