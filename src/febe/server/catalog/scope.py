"""Which columns a query can see, and the PostgreSQL types they have."""

from __future__ import annotations

from functools import cache

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


@cache
def function_types() -> dict[str, str]:
    """What a built-in function returns, where all of its name return the same."""
    rows = builtin.store().rows(
        "SELECT proname, any_value(t.typname) FROM builtin.pg_proc p JOIN builtin.pg_type t ON t.oid = p.prorettype "
        "WHERE t.typtype <> 'p' OR t.typname = 'void' GROUP BY proname HAVING count(DISTINCT prorettype) = 1")
    return {str(name): str(kind) for name, kind in rows}


@cache
def reg_names() -> dict[str, dict[str, int]]:
    """The built-in objects that a literal of a reg type may name."""
    found: dict[str, dict[str, int]] = {}
    for kind, table, name, namespace in (("regclass", "pg_class", "relname", "relnamespace"),
                                         ("regtype", "pg_type", "typname", "typnamespace")):
        rows = builtin.store().rows(
            f"SELECT o.{name}, n.nspname, o.oid FROM builtin.{table} o JOIN builtin.pg_namespace n "
            f"ON n.oid = o.{namespace}")
        names = {f"{schema}.{one}": int(oid) for one, schema, oid in rows}
        names |= {str(one): int(oid) for one, schema, oid in rows if schema == "pg_catalog"}
        found[kind] = names
    rows = builtin.store().rows("SELECT proname, any_value(oid) FROM builtin.pg_proc GROUP BY proname "
                                "HAVING count(*) = 1")
    found["regproc"] = {str(one): int(oid) for one, oid in rows}
    found["regproc"] |= {f"pg_catalog.{one}": oid for one, oid in found["regproc"].items()}
    found["regnamespace"] = {"pg_catalog": 11, "pg_toast": 99}
    return found
