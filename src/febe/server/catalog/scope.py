"""Which columns a query can see, and the PostgreSQL types they have."""

from __future__ import annotations

from functools import lru_cache

from sqlglot import exp

from febe.server.catalog import builtin

Columns = list[tuple[str, str | None]]
"""Columns in order: name, and type by its name in pg_type, None when only the private database knows."""

REG = frozenset(("regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper",
                 "regoperator", "regcollation", "regconfig", "regdictionary"))
VECTORS = {"int2vector": "int2", "oidvector": "oid"}
TEXTS = frozenset(("text", "name", "varchar", "bpchar", "char", "unknown", "pg_node_tree", "pg_lsn", "tid"))


class Scope:
    """The sources of one SELECT, inside those of the query around it."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.sources: list[tuple[str, Columns]] = []
        self.joins: list[exp.Expression] = []
        self._relations: dict[str, int] = {}

    def add(self, alias: str, columns: Columns, oid: int = 0) -> None:
        """A source in FROM; `oid` is that of a catalog."""
        self.sources.append((alias, columns))
        if oid:
            self._relations[alias] = oid

    def relation(self, table: str) -> int:
        """The OID of the catalog that a system column belongs to; 0: none."""
        if table in self._relations:
            return self._relations[table]
        if not table and len(self.sources) == 1:
            return next(iter(self._relations.values()), 0)
        return self.parent.relation(table) if self.parent is not None else 0

    def find(self, table: str, name: str) -> tuple[bool, str | None]:
        """Whether a column can be seen, and its type."""
        for alias, columns in self.sources:
            if table and alias != table:
                continue
            for column, kind in columns:
                if column == name:
                    return True, kind
            if table:
                return False, None
        return self.parent.find(table, name) if self.parent is not None else (False, None)

    def lacks(self, table: str, name: str) -> bool:
        """Whether a source's columns are known, and this is none of them."""
        for alias, columns in self.sources:
            if alias == table:
                return bool(columns) and all(column != name for column, _ in columns)
        return self.parent is not None and self.parent.lacks(table, name)

    def star(self, table: str = "") -> Columns | None:
        """What `*` or `table.*` stands for; None when a source's columns are not known."""
        found: Columns = []
        for alias, columns in self.sources:
            if table and alias != table:
                continue
            if not columns:
                return None
            found += columns
        return found


def element(kind: str | None) -> str | None:
    """The type of an array's or vector's elements."""
    if kind is None:
        return None
    return VECTORS.get(kind) or (kind[1:] if kind.startswith("_") else None)


def array(kind: str | None) -> str | None:
    """The array type of a type."""
    return f"_{kind}" if kind is not None and not kind.startswith("_") else None


@lru_cache(1024)
def function_type(name: str) -> str | None:
    """What a built-in function returns, where all of its name return the same."""
    rows = builtin.store().rows("SELECT result FROM builtin.febe_function WHERE name = ?", [name])
    return rows[0][0] if rows else None


@lru_cache(1024)
def function_exists(name: str) -> bool:
    """Whether PostgreSQL has a function of this name."""
    return bool(builtin.store().rows("SELECT 1 FROM builtin.febe_function WHERE name = ?", [name]))


@lru_cache(1024)
def built_in(kind: str, text: str) -> int | None:
    """The OID of the built-in object that a literal of a reg type names; None: it names none, or not one alone."""
    schema, _, name = text.rpartition(".")
    if kind == "regnamespace":
        return {"pg_catalog": 11, "pg_toast": 99}.get(text)
    if kind == "regproc" and schema in ("", "pg_catalog"):
        rows = builtin.store().rows("SELECT oid FROM builtin.febe_function WHERE name = ? AND oid IS NOT NULL", [name])
    elif kind in _NAMED:
        table, column, namespace = _NAMED[kind]
        rows = builtin.store().rows(
            f"SELECT o.oid FROM builtin.{table} o JOIN builtin.pg_namespace n ON n.oid = o.{namespace} "
            f"WHERE o.{column} = ? AND n.nspname = ?", [name, schema or "pg_catalog"])
    else:
        rows = []
    return int(rows[0][0]) if rows else None


_NAMED = {"regclass": ("pg_class", "relname", "relnamespace"), "regtype": ("pg_type", "typname", "typnamespace")}
