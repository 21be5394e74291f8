"""A catalog query in PostgreSQL's SQL made into one of the private database, with the types of its columns.

The parse tree is walked once, from the sources of each SELECT to its expressions; on the way every expression gets the
PostgreSQL type that can be told, and what the private database says otherwise is put otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from febe.server.catalog import builtin, functions, lookups
from febe.server.catalog.empty import UNANSWERED
from febe.server.catalog.expressions import Expressions
from febe.server.catalog.nodes import (
    SCHEMAS,
    SESSION,
    TABLE_COLUMNS,
    Node,
    arguments_of,
    as_type,
    function_name,
    named,
    output_name,
)
from febe.server.catalog.normalize import normalize
from febe.server.catalog.scope import Columns, Scope, element, function_type
from febe.server.engine import EngineError

LIVE = frozenset(("pg_settings", "pg_stat_activity", "pg_stat_ssl", "pg_stat_gssapi", "pg_locks",
                  "pg_prepared_statements", "pg_cursors", "pg_largeobject_metadata"))
"""Views whose rows are the session's or the server's at this moment."""



class NotOurs(Exception):
    """The statement is the engine's to understand."""


@dataclass(slots=True)
class Rewritten:
    """The query for the private database, its columns, and which catalogs it reads."""

    sql: str
    columns: Columns
    relations: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    parameters: dict[int, str] = field(default_factory=dict)
    parametrized: bool = False
    volatile: bool = False
    """Its rows may be others at every execution."""


def rewrite(sql: str) -> Rewritten:
    """Make a catalog query the private database's.  Errors: NotOurs; EngineError."""
    try:
        parsed = sqlglot.parse(normalize(sql), dialect="postgres")
    except (SqlglotError, RecursionError) as error:
        raise NotOurs from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query | exp.Values):
        raise NotOurs
    for name in parsed[0].find_all(exp.Identifier):
        if not name.args.get("quoted"):
            name.set("this", name.name.lower())
    return _Walk().whole(parsed[0])


class _Walk(Expressions):
    def __init__(self) -> None:
        super().__init__()
        self.views: set[str] = set()

    def whole(self, tree: Node) -> Rewritten:
        columns = self.query(tree, {}, None)
        if self.foreign:
            if self.relations or self.views:
                raise EngineError(f'a query of system catalogs cannot read "{self.foreign[0]}" as well',
                                  sqlstate="0A000")
            raise NotOurs
        if not self.relations and not self.views and not self.system:
            raise NotOurs
        return Rewritten(tree.sql(dialect="duckdb"), columns, self.relations, self.views, self.parameters,
                         tree.find(exp.Parameter) is not None,
                         self.volatile or bool(self.relations & (LIVE | lookups.LOOKED_UP)))

    # Queries

    def query(self, node: Node, tables: dict[str, Columns], parent: Scope | None) -> Columns:
        tables = self.with_(node, tables, parent)
        if isinstance(node, exp.SetOperation):
            left = self.query(node.this, tables, parent)
            right = self.query(node.expression, tables, parent)
            self.rest(node, Scope(parent), tables, ("this", "expression", "with_", "with"))
            _as_the_other(node.this, left, right)
            _as_the_other(node.expression, right, left)
            return [(name, kind or other) for (name, kind), (_, other) in zip(left, right, strict=False)]
        if isinstance(node, exp.Subquery):
            found = self.query(node.this, tables, parent)
            self.rest(node, Scope(parent), tables, ("this", "with_", "with", "alias"))
            return found
        if isinstance(node, exp.Values):
            scope = Scope(parent)
            width = 0
            for row in node.expressions:
                kinds = [self.visit(item, scope, tables) for item in list(row.expressions)]
                width = len(kinds)
            return [(f"column{i + 1}", None) for i in range(width)]
        if not isinstance(node, exp.Select):
            raise NotOurs
        return self.select(node, tables, parent)

    def with_(self, node: Node, tables: dict[str, Columns], parent: Scope | None) -> dict[str, Columns]:
        clause = node.args.get("with_") or node.args.get("with")
        if clause is None:
            return tables
        tables = dict(tables)
        for cte in clause.expressions:
            names = [column.name for column in cte.args["alias"].args.get("columns") or ()]
            if clause.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                first = _Walk().types_only(cte.this.this.copy(), tables)
                tables[cte.alias] = named(first, names)
            tables[cte.alias] = named(self.query(cte.this, tables, parent), names)
        return tables

    def types_only(self, node: Node, tables: dict[str, Columns]) -> Columns:
        return self.query(node, tables, None)

    def select(self, node: exp.Select, tables: dict[str, Columns], parent: Scope | None) -> Columns:
        scope = Scope(parent)
        source = node.args.get("from_") or node.args.get("from")
        if source is not None:
            self.source(source.this, scope, tables)
        for join in node.args.get("joins") or ():
            self.source(join.this, scope, tables)
        for lateral in node.args.get("laterals") or ():
            self.source(lateral, scope, tables)
        for join in (*scope.joins, *(node.args.get("joins") or ())):
            self.condition(join, scope, tables)
        columns: Columns = []
        known = True
        for item in list(node.expressions):
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                star = scope.star(item.table if isinstance(item, exp.Column) else "")
                known = known and star is not None
                columns += star or []
                continue
            name = output_name(item)
            kind = self.visit(item, scope, tables)
            columns.append((name, kind))
        self.alias(node, columns)
        outputs = Scope(scope)
        outputs.add("", columns)
        self.rest(node, outputs, tables, ("expressions", "from_", "from", "joins", "laterals", "with_", "with"))
        return columns if known else []

    @staticmethod
    def alias(node: exp.Select, columns: Columns) -> None:
        """Name what PostgreSQL would name otherwise (parse_target.c, FigureColname)."""
        if any(isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))
               for item in node.expressions):
            return
        for item, (name, _) in zip(list(node.expressions), columns, strict=True):
            if not isinstance(item, exp.Alias | exp.Column):
                item.replace(exp.alias_(item.copy(), name, quoted=True))

    def condition(self, join: Node, scope: Scope, tables: dict[str, Columns]) -> None:
        if join.args.get("on") is not None:
            self.visit(join.args["on"], scope, tables)


    # Sources

    def source(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> None:
        alias = node.args.get("alias")
        names = [column.name for column in alias.args.get("columns") or ()] if alias is not None else []
        if isinstance(node, exp.Lateral):
            self.lateral(node, names, scope, tables)
        elif isinstance(node, exp.Table):
            if isinstance(node.this, exp.Identifier):
                columns, oid = self.table(node, tables)
                scope.add(node.alias or node.name, named(columns, names), oid)
            else:
                self.rows_of(node, names, scope, tables)
        elif isinstance(node, exp.Subquery):
            if not node.alias and isinstance(node.this, exp.Table | exp.Subquery | exp.Lateral | exp.Unnest):
                self.source(node.this, scope, tables)
            else:
                scope.add(node.alias, named(self.query(node, tables, scope), names))
        elif isinstance(node, exp.Unnest):
            kinds = [element(self.visit(item, scope, tables)) for item in list(node.expressions)]
            if node.args.get("offset"):
                kinds.append("int8")
            offset = node.args.get("offset")
            if isinstance(offset, exp.Identifier):
                names = [*names, offset.name]
            found = names or ([node.alias] if node.alias else ["unnest"])
            if node.alias and len(names) == 1 and not node.args.get("offset"):
                scope.add(node.alias, [(names[0], kinds[0])])
            else:
                scope.add(node.alias, list(zip(found, kinds, strict=False)))
        elif isinstance(node, exp.Values):
            scope.add(node.alias, named(self.query(node, tables, scope), names))
        else:
            raise NotOurs
        for join in node.args.get("joins") or ():
            # a join in parentheses
            self.source(join.this, scope, tables)
            scope.joins.append(join)

    def lateral(self, node: exp.Lateral, names: list[str], scope: Scope, tables: dict[str, Columns]) -> None:
        inner = node.this
        alias = node.alias
        if isinstance(inner, exp.Subquery):
            scope.add(alias, named(self.query(inner, tables, scope), names))
        elif isinstance(inner, exp.Unnest):
            kinds = [element(self.visit(item, scope, tables)) for item in list(inner.expressions)]
            if inner.args.get("offset"):
                kinds.append("int8")
            scope.add(alias, list(zip(names or [alias], kinds, strict=False)))
        else:
            self.rows_of(node, names, scope, tables)

    def rows_of(self, node: Node, names: list[str], scope: Scope, tables: dict[str, Columns]) -> None:
        """A function in FROM."""
        call = node.this.expression if isinstance(node.this, exp.Dot) else node.this
        name = function_name(call)
        kinds = [self.visit(argument, scope, tables) for argument in arguments_of(call)]
        if name == "generate_series" and all(kind in (None, "int2", "int4") for kind in kinds):
            # of int4 as PostgreSQL counts, not of int8
            column = names[0] if names else node.alias or name
            counted = exp.select(exp.alias_(exp.cast(exp.Anonymous(this="unnest", expressions=[exp.Anonymous(
                this=name, expressions=[one.copy() for one in arguments_of(call)])]), "INT"), column,
                quoted=True)).subquery()
            counted.set("alias", node.args.get("alias"))
            node.replace(counted)
            scope.add(node.alias or name, [(column, "int4")])
        elif name in functions.TABLES:
            self.system = True
            self.uses(f"{functions.PREFIX}{name}_rows")
            columns = TABLE_COLUMNS.get(name, [])
            if node.alias and not names and [column for column, _ in columns] == [name]:
                # the one column of a function that returns no rows of its own type goes by the alias
                names = [node.alias]
                node.args["alias"].set("columns", [exp.to_identifier(node.alias, quoted=True)])
            call.set("this", f"{functions.PREFIX}{name}_rows")
            if node.args.get("ordinality"):
                columns = [*columns, ("ordinality", "int8")]
                counted = exp.select("*", "row_number() OVER () AS ordinality").from_(
                    exp.Table(this=call.copy())).subquery()
                counted.set("alias", node.args.get("alias"))
                node.replace(counted)
            scope.add(node.alias or name, named(columns, names))
        elif name in functions.MACROS or isinstance(call, tuple(SESSION)):
            wrapped = exp.select("x").subquery()
            column = names[0] if names else node.alias or name
            wrapped.this.set("expressions", [exp.alias_(call.copy(), column, quoted=True)])
            wrapped.set("alias", node.args.get("alias"))
            kind = self.query(wrapped, tables, scope)
            node.replace(wrapped)
            scope.add(node.alias or name, kind)
        elif name.startswith("pg_"):
            raise self.unknown(name)
        else:
            scope.add(node.alias or name, [(names[0] if names else node.alias or name, function_type(name))])

    def table(self, node: exp.Table, tables: dict[str, Columns]) -> tuple[Columns, int]:
        name, schema = node.name, node.db
        if not schema and name in tables:
            return tables[name], 0
        relation = None
        for place in (schema,) if schema else ("pg_catalog",):
            relation = builtin.relations().get((place, name))
        if relation is None:
            if schema in SCHEMAS:
                raise EngineError(f'relation "{schema}.{name}" does not exist', sqlstate="42P01")
            self.foreign.append(f"{schema}.{name}" if schema else name)
            return [], 0
        if name in UNANSWERED:
            raise EngineError(f"relation {name} is not supported: {UNANSWERED[name]}", sqlstate="0A000")
        if relation.view is None or name in LIVE:
            self.relations.add(name)
        else:
            self.views.add(f"{relation.schema}.{name}")
        if not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        place = builtin.view_name(relation) if relation.view is not None and name not in LIVE else name
        node.set("this", exp.to_identifier(place, quoted=True))
        node.set("db", None)
        node.set("catalog", None)
        node.set("only", None)
        return list(relation.columns.items()), relation.oid if relation.view is None else 0


def _as_the_other(node: Node, own: Columns, other: Columns) -> None:
    """A number in one half of a set operation is of the type of the other half's column (parse_coerce.c)."""
    if not isinstance(node, exp.Select) or len(node.expressions) != len(own):
        return
    for item, (_, kind), (_, wanted) in zip(list(node.expressions), own, other, strict=False):
        value = item.unalias()
        if kind is None and wanted == "oid" and isinstance(value, exp.Literal) and not value.is_string:
            value.replace(as_type(value, "UINTEGER"))
