"""Expressions of a catalog query, rewritten in place as their PostgreSQL types are found out."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from febe.server.catalog import builtin, functions, lookups, privileges
from febe.server.catalog.nodes import (
    ARGUMENTS,
    SCHEMAS,
    SESSION,
    TABLE_COLUMNS,
    Node,
    arguments_of,
    array_literal,
    as_type,
    function_name,
    type_of,
)
from febe.server.catalog.scope import (
    REG,
    TEXTS,
    VECTORS,
    Columns,
    Scope,
    array,
    built_in,
    element,
    function_exists,
    function_type,
)
from febe.server.engine import EngineError

_USERS = {"user": "user", "current_role": "current_role"}
# System columns: every row is of its relation, and of the transaction that initdb is.
_HIDDEN = {"tableoid": ("oid", "CAST({} AS UINTEGER)"), "xmin": ("xid", "CAST(2 AS UINTEGER)"),
           "xmax": ("xid", "CAST(0 AS UINTEGER)")}
_SETS = frozenset(("aclexplode", "_pg_expandarray", "pg_options_to_table", "pg_listening_channels"))
_SYSTEM = ("pg_", "_pg_", "has_", "inet_", "txid_", "to_reg", "col_desc", "obj_desc", "shobj_", "current_set",
"current_schemas")
# Of information_schema: a column's type, or that below its domain.
_TRUE_TYPES = {
    "_pg_truetypid": ("oid", "CASE WHEN {t}.typtype = 'd' THEN {t}.typbasetype ELSE {a}.atttypid END"),
    "_pg_truetypmod": ("int4", "CASE WHEN {t}.typtype = 'd' THEN {t}.typtypmod ELSE {a}.atttypmod END"),
}
# Functions of ours that say nothing about the catalogs: by themselves they make no catalog query.
_ORDINARY = frozenset(("array_to_string", "array_upper", "array_lower", "array_length", "cardinality", "array_ndims",
                       "array_position", "quote_ident", "quote_literal", "quote_nullable", "string_to_array",
                       "parse_ident", "age", "array_out", "vector_out", "texticlike", "nameeq"))


def _is_text(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


class Expressions(ABC):
    """Walks expressions.  A visit gives the type by its name in pg_type, None when only the private database knows."""

    def __init__(self) -> None:
        self.relations: set[str] = set()
        self.parameters: dict[int, str] = {}
        self.foreign: list[str] = []
        self.system = False
        self.volatile = False

    @abstractmethod
    def query(self, node: Node, tables: dict[str, Columns], parent: Scope | None) -> Columns:
        """A query within an expression."""

    def rest(self, node: Node, scope: Scope, tables: dict[str, Columns], skip: tuple[str, ...]) -> None:
        for key, value in list(node.args.items()):
            if key in skip:
                continue
            for child in list(value) if isinstance(value, list) else [value]:
                if isinstance(child, exp.Expression):
                    self.visit(child, scope, tables)

    def uses(self, macro: str) -> None:
        self.relations |= lookups.needs(macro)

    def visit(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        """Rewrite an expression in place; its type, None when only the private database knows."""
        for kind in type(node).__mro__:
            handler = _VISITS.get(kind)
            if handler is not None:
                return handler(self, node, scope, tables)
        if isinstance(node, exp.Func) and function_name(node) in functions.MACROS:
            plain = exp.Anonymous(this=function_name(node), expressions=[one.copy() for one in arguments_of(node)])
            node.replace(plain)
            return self.function(plain, scope, tables)
        self.rest(node, scope, tables, ())
        return None

    def nested(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        found = self.query(node, tables, scope)
        return found[0][1] if len(found) == 1 else None

    def column(self, node: exp.Column, scope: Scope, tables: dict[str, Columns]) -> str | None:
        seen, kind = scope.find(node.table, node.name)
        if not seen and not node.table and node.name in _USERS:
            self.system = True
            node.replace(exp.maybe_parse("getvariable('febe_user')", dialect="duckdb"))
            return "name"
        if not seen and node.name in _HIDDEN:
            oid = scope.relation(node.table)
            if oid:
                kind, text = _HIDDEN[node.name]
                node.replace(exp.maybe_parse(text.format(oid), dialect="duckdb"))
                return kind
        if not seen and node.table and scope.lacks(node.table, node.name) and not self.foreign:
            raise EngineError(f"column {node.table}.{node.name} does not exist", sqlstate="42703")
        if node.db in SCHEMAS:
            node.set("db", None)
            return scope.find(node.table, node.name)[1]
        return kind

    def session(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        self.system = True
        _, kind, text = SESSION[type(node)]
        node.replace(exp.maybe_parse(text, dialect="duckdb"))
        return kind

    def passed(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        kind = self.visit(node.this, scope, tables)
        self.rest(node, scope, tables, ("this", "alias"))
        return kind

    def cast(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        inner: Node = node.this
        wanted = type_of(node.args["to"])
        if isinstance(inner, exp.Parameter):
            self.parameters[int(inner.name)] = "text" if wanted in REG else wanted
            given: str | None = "text" if wanted in REG else wanted
        else:
            given = self.visit(inner, scope, tables)
            inner = node.this
        if wanted in REG:
            self.system = True
            node.replace(self.to_reg(wanted, inner, given))
        elif wanted in TEXTS and element(given) in REG and isinstance(inner, exp.Array) and isinstance(
                inner.expressions[0], exp.Select):
            item = inner.expressions[0].expressions[0]
            item.replace(self.call(f"{element(given)}out", item.unalias()))
            node.replace(self.call("array_out", inner))
        elif element(wanted) in TEXTS and element(given) in REG:
            node.replace(self.call(f"{element(given)}out_all", inner))
        elif wanted in TEXTS and given is not None and (given in REG or given in VECTORS or given.startswith("_")):
            name = f"{given}out" if given in REG else "vector_out" if given in VECTORS else "array_out"
            node.replace(self.call(name, inner))
        elif wanted == "char" and isinstance(inner, exp.Literal) and inner.is_string and len(inner.name) <= 1:
            node.replace(inner.copy())
        elif wanted == "char":
            node.replace(exp.func("left", as_type(inner, "VARCHAR"), exp.Literal.number(1)))
        elif element(wanted) is not None and isinstance(inner, exp.Literal) and inner.is_string:
            node.replace(array_literal(inner.name, element(wanted) or "text"))
        else:
            node.set("to", exp.DataType.build(builtin.kept_as(wanted), dialect="duckdb"))
        return wanted

    def to_reg(self, wanted: str, inner: Node, given: str | None) -> Node:
        if isinstance(inner, exp.Literal) and inner.is_string:
            known = built_in(wanted, inner.name.replace('"', ""))
            if known is not None:
                return as_type(exp.Literal.number(known), "UINTEGER")
        numeric = (isinstance(inner, exp.Literal) and not inner.is_string) or given in REG or (
            given in ("oid", "int4", "int8", "int2"))
        if numeric or isinstance(inner, exp.Null):
            return as_type(inner, "UINTEGER")
        return self.call(wanted, inner)

    def inquiry(self, name: str, arguments: list[Node], kinds: list[str | None]) -> list[Node]:
        """The arguments of has_..._privilege, with what they name looked up."""
        asked, privilege = privileges.INQUIRIES[name], arguments[-1]
        at = len(arguments) - 2 - asked.column
        if at < 0:
            return arguments
        if isinstance(privilege, exp.Literal):
            privileges.check_privileges(name, privilege.name)
        found = list(arguments)
        if asked.named in REG:
            found[at] = self.to_reg(asked.named, arguments[at], kinds[at])
        elif asked.named is not None and _is_text(arguments[at]):
            found[at] = self.call(asked.named, arguments[at])
        if asked.column and _is_text(arguments[at + 1]):
            found[at + 1] = self.call("number_of_column", found[at], arguments[at + 1])
        if at > 0 and _is_text(arguments[0]) and arguments[0].name != "public":
            found[0] = self.to_reg("regrole", arguments[0], "text")
        return found

    def call(self, name: str, *arguments: Node) -> Node:
        self.uses(functions.PREFIX + name)
        return exp.Anonymous(this=functions.PREFIX + name, expressions=[one.copy() for one in arguments])

    def function(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        name = function_name(node)
        if isinstance(node.parent, exp.Dot) and node.parent.expression is node:
            schema = node.parent.this.name
            if schema not in SCHEMAS:
                self.foreign.append(f"{schema}.{name}")
            else:
                node.parent.replace(node)
        arguments = arguments_of(node)
        if name in _TRUE_TYPES:
            a, t = (argument.table for argument in arguments)
            kind, text = _TRUE_TYPES[name]
            node.replace(exp.maybe_parse(text.format(a=a, t=t), dialect="duckdb"))
            return kind
        kinds = [self.visit(argument, scope, tables) for argument in arguments]
        arguments = arguments_of(node)
        if kinds and kinds[0] in VECTORS and name in ("array_upper", "array_lower"):
            name = name.replace("array", "vector")
        if name == "format":
            pattern = arguments[0].this if isinstance(arguments[0], exp.Cast) else arguments[0]
            if isinstance(pattern, exp.Literal):
                node.replace(self.formatted(pattern.name, arguments[1:]))
                return "text"
        if name in functions.RENAMED:
            other, kind = functions.RENAMED[name]
            self.volatile = self.volatile or other == "now"
            if isinstance(node, exp.Anonymous):
                node.set("this", other)
            return kind
        if name in functions.MACROS:
            if name not in _ORDINARY:
                self.system = True
            if name in privileges.INQUIRIES:
                arguments = self.inquiry(name, arguments, kinds)
            if name in functions.OF_RELATION:
                arguments = [self.to_reg("regclass", arguments[0], kinds[0]), *arguments[1:]]
            if name == "pg_get_serial_sequence" and all(map(_is_text, arguments)):
                called = self.call("serial_sequence_of", self.to_reg("regclass", arguments[0], "text"), arguments[1])
            else:
                called = self.call(name, *arguments)
            node.replace(exp.Anonymous(this="unnest", expressions=[called]) if name in _SETS else called)
        elif name == "generate_subscripts" and kinds and kinds[0] in VECTORS:
            node.replace(as_type(exp.Sub(this=node.copy(), expression=exp.Literal.number(1)), "INTEGER"))
            return "int4"
        elif name.startswith(_SYSTEM) and not name.startswith("pg_catalog"):
            raise self.unknown(name)
        elif name in ("min", "max", "coalesce", "nullif", "greatest", "least", "lag", "lead", "first_value"):
            return next((kind for kind in kinds if kind is not None), None)
        elif name == "unnest":
            return element(kinds[0]) if kinds else None
        return function_type(name)

    @staticmethod
    def unknown(name: str) -> EngineError:
        """For a function that looks like a system function and is none of ours."""
        if function_exists(name):
            return EngineError(f"function {name}() is not supported", sqlstate="0A000")
        return EngineError(f"function {name}() does not exist", sqlstate="42883",
                           hint="No function matches the given name and argument types. You might need to add "
                                "explicit type casts.")

    def formatted(self, text: str, values: list[Node]) -> Node:
        """`format` of a literal (manual: "String Functions", format)."""
        made: Node = exp.Literal.string("")
        rest = iter(values)
        for part in re.split(r"(%[%sIL])", text):
            if part == "%%":
                piece: Node = exp.Literal.string("%")
            elif part in ("%s", "%I", "%L"):
                value = exp.cast(next(rest, exp.null()).copy(), "TEXT")
                piece = exp.func("coalesce", value, exp.Literal.string("")) if part == "%s" else self.call(
                    "quote_ident" if part == "%I" else "quote_nullable", value)
            elif part:
                piece = exp.Literal.string(part)
            else:
                continue
            made = exp.DPipe(this=made, expression=piece)
        return exp.paren(made)

    def typed_function(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        name, order = ARGUMENTS[type(node)]
        arguments = []
        for key in order:
            value = node.args.get(key)
            arguments += value if isinstance(value, list) else [] if value is None else [value]
        plain = exp.Anonymous(this=name, expressions=[one.copy() for one in arguments])
        node.replace(plain)
        return self.function(plain, scope, tables)

    def first(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        """A function of the type of its first argument that has one."""
        found: str | None = None
        for key, value in list(node.args.items()):
            for child in list(value) if isinstance(value, list) else [value]:
                if isinstance(child, exp.Expression):
                    kind = self.visit(child, scope, tables)
                    found = found or (kind if key in ("this", "expressions") else None)
        return found

    def case(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        if node.this is not None:
            self.visit(node.this, scope, tables)
        found: str | None = None
        results = [branch.args["true"] for branch in node.args.get("ifs") or ()]
        for branch in node.args.get("ifs") or ():
            self.visit(branch.this, scope, tables)
        for result in [*results, node.args.get("default")]:
            if result is not None:
                kind = self.visit(result, scope, tables)
                found = found or kind
        return found

    def bracket(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        kind = self.visit(node.this, scope, tables)
        for index in list(node.expressions):
            self.visit(index, scope, tables)
        if kind in VECTORS or kind == "name":
            # vectors and names begin at 0, the private database's lists at 1
            node.set("expressions", [exp.Add(this=exp.paren(index.copy()), expression=exp.Literal.number(1))
                                     for index in node.expressions])
        if kind == "name":
            return "char"
        return kind if any(isinstance(index, exp.Slice) for index in node.expressions) else element(kind)

    def array(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        kinds = [self.visit(item, scope, tables) for item in list(node.expressions)]
        return array(next((kind for kind in kinds if kind is not None), "text" if all(
            isinstance(item, exp.Literal) and item.is_string for item in node.expressions) else None))

    def aggregated(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        return array(self.first(node, scope, tables))

    def comparison(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        left, right = node.this, node.args.get("expression")
        kinds = [self.visit(side, scope, tables) if side is not None else None for side in (left, right)]
        left, right = node.this, node.args.get("expression")
        for side, other in ((left, kinds[1]), (right, kinds[0])):
            if isinstance(side, exp.Parameter) and other is not None:
                self.parameters.setdefault(int(side.name), "text" if other in REG else other)
            if isinstance(side, exp.Any) and other is not None:
                self.any(side, other)
        if isinstance(node, exp.EQ) and isinstance(right, exp.Any) and not isinstance(right.this.unnest(), exp.Query):
            # the private database makes a subquery of = ANY (array), and a product of tables of that
            listed = right.this.unnest()
            if isinstance(listed, exp.Parameter) and kinds[0] is not None:
                listed = as_type(listed, f"{builtin.kept_as(kinds[0])}[]")
            node.replace(exp.func("list_contains", listed.copy(), left.copy()))
        if isinstance(node, exp.DPipe):
            for side, kind in ((left, kinds[0]), (right, kinds[1])):
                if kind in REG:
                    side.replace(self.call(f"{kind}out", side))
            return next((kind for kind in kinds if kind and kind.startswith("_")), "text")
        return "bool"

    def like(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        """LIKE, whose patterns the private database reads without PostgreSQL's escape character."""
        kind = self.comparison(node, scope, tables)
        pattern = node.expression
        if isinstance(pattern, exp.Any):
            items = as_type(pattern.this.unnest(), "VARCHAR[]")
            one = exp.Escape(this=type(node)(this=node.this.copy(), expression=exp.column("febe_e")),
                             expression=exp.Literal.string("\\"))
            node.replace(exp.func("coalesce", exp.func("list_bool_or", exp.func("list_transform", items, exp.Lambda(
                this=one, expressions=[exp.to_identifier("febe_e")]))), exp.false()))
        elif not isinstance(node.parent, exp.Escape) and not (
                isinstance(pattern, exp.Literal) and "\\" not in pattern.name):
            node.replace(exp.Escape(this=node.copy(), expression=exp.Literal.string("\\")))
        return kind

    def moment(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        self.volatile = True
        node.replace(exp.Anonymous(this="now"))
        return "timestamptz"

    def escaped(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        """E'...', whose escapes the parser has read."""
        node.replace(exp.Literal.string(node.name))
        return None

    def any(self, node: exp.Any, kind: str) -> None:
        inner = node.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if isinstance(inner, exp.Literal) and inner.is_string:
            inner.replace(array_literal(inner.name, kind))
        elif isinstance(inner, exp.Parameter):
            self.parameters.setdefault(int(inner.name), f"_{kind}")

    def all_of(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        """`x <> ALL (array)`, which the private database knows of subqueries only."""
        right = node.expression
        items: list[Node] | None = None
        if isinstance(right, exp.Anonymous) and right.name.upper() == "ALL" and len(right.expressions) == 1:
            items = right.expressions
        elif isinstance(right, exp.All) and not isinstance(right.this, exp.Query):
            items = [right.this.unnest()]
        if items is not None and not isinstance(items[0], exp.Query):
            kind = self.visit(node.this, scope, tables)
            if isinstance(items[0], exp.Literal) and items[0].is_string:
                listed: Node = array_literal(items[0].name, kind or "text")
            else:
                holder = exp.paren(items[0].copy())
                self.visit(holder, scope, tables)
                listed = holder.this
            node.replace(exp.Not(this=exp.func("list_contains", listed.copy(), node.this.copy())))
            return "bool"
        return self.comparison(node, scope, tables)

    def contained(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        kind = self.visit(node.this, scope, tables)
        for item in list(node.expressions):
            if isinstance(item, exp.Parameter) and kind is not None:
                self.parameters.setdefault(int(item.name), "text" if kind in REG else kind)
            self.visit(item, scope, tables)
        if node.args.get("query") is not None:
            self.visit(node.args["query"], scope, tables)
        if node.args.get("field") is not None:
            self.visit(node.args["field"], scope, tables)
        return "bool"

    def dot(self, node: Node, scope: Scope, tables: dict[str, Columns]) -> str | None:
        if isinstance(node.expression, exp.Func):
            return self.visit(node.expression, scope, tables)
        inner = node.this.unnest() if isinstance(node.this, exp.Paren) else node.this
        if isinstance(inner, exp.Dot) and isinstance(inner.expression, exp.Func):
            inner = inner.expression
        name = function_name(inner) if isinstance(inner, exp.Func) else ""
        holder = exp.paren(inner.copy())
        self.visit(holder, scope, tables)
        value = holder.this
        node.replace(exp.func("struct_extract", value, exp.Literal.string(node.expression.name), dialect="duckdb"))
        return dict(TABLE_COLUMNS.get(name, ())).get(node.expression.name)




Visit = Callable[[Expressions, Any, Scope, dict[str, Columns]], str | None]
_VISITS: dict[type[object], Visit] = {
    exp.Column: Expressions.column, exp.Cast: Expressions.cast, exp.Alias: Expressions.passed,
    exp.Paren: Expressions.passed,
    exp.Ordered: Expressions.passed, exp.Query: Expressions.nested, exp.Anonymous: Expressions.function,
    exp.Case: Expressions.case,
    exp.Coalesce: Expressions.first, exp.Min: Expressions.first, exp.Max: Expressions.first,
    exp.Nullif: Expressions.first,
    exp.Greatest: Expressions.first, exp.Least: Expressions.first, exp.Distinct: Expressions.first,
    exp.Order: Expressions.first,
    exp.Bracket: Expressions.bracket, exp.Array: Expressions.array, exp.ArrayAgg: Expressions.aggregated,
    exp.Any: Expressions.passed,
    exp.EQ: Expressions.comparison, exp.NEQ: Expressions.all_of, exp.LT: Expressions.comparison,
    exp.GT: Expressions.comparison,
    exp.LTE: Expressions.comparison, exp.GTE: Expressions.comparison, exp.RegexpLike: Expressions.comparison,
    exp.RegexpILike: Expressions.comparison, exp.Like: Expressions.like, exp.ILike: Expressions.like,
    exp.ByteString: Expressions.escaped, exp.CurrentTimestamp: Expressions.moment,
    exp.DPipe: Expressions.comparison, exp.In: Expressions.contained, exp.Dot: Expressions.dot,
    exp.Window: Expressions.passed, exp.Filter: Expressions.passed, exp.Explode: Expressions.first,
}
_VISITS |= dict.fromkeys(SESSION, Expressions.session) | dict.fromkeys(ARGUMENTS, Expressions.typed_function)
