"""What is read off, and put into, sqlglot's nodes."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from febe.server.catalog import builtin
from febe.server.catalog.normalize import TYPE_PREFIX
from febe.server.catalog.scope import Columns

Node = Any
"""A node of sqlglot's tree; its versions differ in what the nodes' common class is called."""

SCHEMAS = ("pg_catalog", "information_schema")
_PLAIN_TYPES = {"TEXT": "text", "VARCHAR": "varchar", "INT": "int4", "BIGINT": "int8", "SMALLINT": "int2",
                "BOOLEAN": "bool", "FLOAT": "float4", "DOUBLE": "float8", "DECIMAL": "numeric", "DATE": "date",
                "TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamptz", "INTERVAL": "interval", "CHAR": "bpchar"}
# Nodes that stand for functions of the session.
SESSION: dict[type[Node], tuple[str, str, str]] = {
    exp.CurrentSchema: ("current_schema", "name", "getvariable('febe_path')[1]"),
    exp.CurrentUser: ("current_user", "name", "getvariable('febe_user')"),
    exp.SessionUser: ("session_user", "name", "getvariable('febe_user')"),
    exp.CurrentCatalog: ("current_catalog", "name", "getvariable('febe_database')"),
    exp.CurrentDatabase: ("current_database", "name", "getvariable('febe_database')"),
    exp.CurrentVersion: ("version", "text", "getvariable('febe_version')"),
}
# Functions that sqlglot has nodes for, and the order of their arguments.
ARGUMENTS: dict[type[Node], tuple[str, tuple[str, ...]]] = {
    exp.ArrayToString: ("array_to_string", ("this", "expression", "null")),
    exp.ArraySize: ("array_length", ("this", "expression")),
    exp.ArrayPosition: ("array_position", ("this", "expression")),
    exp.Format: ("format", ("this", "expressions")),
}

# What our functions in FROM return.
TABLE_COLUMNS: dict[str, Columns] = {
    "pg_get_keywords": [("word", "text"), ("catcode", "char"), ("barelabel", "bool"), ("catdesc", "text"),
                        ("baredesc", "text")],
    "aclexplode": [("grantor", "oid"), ("grantee", "oid"), ("privilege_type", "text"), ("is_grantable", "bool")],
    "_pg_expandarray": [("x", None), ("n", "int4")],
    "pg_options_to_table": [("option_name", "text"), ("option_value", "text")],
    "pg_listening_channels": [("pg_listening_channels", "text")],
    "pg_available_extensions": [("name", "name"), ("default_version", "text"), ("comment", "text")],
    "pg_get_sequence_data": [("last_value", "int8"), ("is_called", "bool")],
    "pg_partition_ancestors": [("relid", "regclass")],
    "pg_partition_tree": [("relid", "regclass"), ("parentrelid", "regclass"), ("isleaf", "bool"), ("level", "int4")],
    "pg_tablespace_databases": [("pg_tablespace_databases", "oid")],
    "ts_token_type": [("tokid", "int4"), ("alias", "text"), ("description", "text")],
    "pg_timezone_names": [("name", "text"), ("abbrev", "text"), ("utc_offset", "interval"), ("is_dst", "bool")],
}


def named(columns: Columns, names: list[str]) -> Columns:
    """Columns under the names that an alias gives them."""
    if not names:
        return columns
    kinds = [kind for _, kind in columns]
    return [(name, kinds[i] if i < len(kinds) else None) for i, name in enumerate(names)] + columns[len(names):]


def type_of(node: Node) -> str:
    """A type's name in pg_type."""
    if isinstance(node, exp.DataType):
        if node.this == exp.DType.ARRAY:
            return f"_{type_of(node.expressions[0])}"
        if node.this == exp.DType.USERDEFINED:
            kind = node.args["kind"]
            name = kind if isinstance(kind, str) else kind.name
            return str(name).removeprefix(TYPE_PREFIX)
        return _PLAIN_TYPES.get(str(node.this.name), "text")
    return str(node.name).lower()


def function_name(node: Node) -> str:
    """The name of the function that a node calls, in lower case; "": it calls none."""
    if isinstance(node, exp.Anonymous):
        return str(node.this if isinstance(node.this, str) else node.name).lower()
    if isinstance(node, exp.GenerateSeries):
        return "generate_series"
    if type(node) in SESSION:
        return SESSION[type(node)][0]
    if type(node) in ARGUMENTS:
        return ARGUMENTS[type(node)][0]
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def arguments_of(node: Node) -> list[Node]:
    """The arguments of a function's node."""
    if isinstance(node, exp.Anonymous):
        return list(node.expressions)
    return [child for value in node.args.values() for child in (value if isinstance(value, list) else [value])
            if isinstance(child, exp.Expression)]


def as_type(node: Node, kind: str) -> Node:
    """CAST to one of the private database's types."""
    return exp.Cast(this=node.copy(), to=exp.DataType.build(kind, dialect="duckdb"))


def array_literal(text: str, kind: str) -> Node:
    """An array of a literal such as '{r,v}'."""
    inside = text.strip()[1:-1]
    items = [item.strip().strip('"') for item in inside.split(",")] if inside else []
    made = exp.Array(expressions=[exp.Literal.string(item) for item in items])
    return as_type(made, f"{builtin.kept_as(kind)}[]")


_NAMED_BY_CLASS: dict[type[Node], str] = {
    exp.Coalesce: "coalesce", exp.Case: "case", exp.Array: "array", exp.ArrayAgg: "array_agg", exp.Exists: "exists",
    exp.Nullif: "nullif", exp.Greatest: "greatest", exp.Least: "least", exp.GroupConcat: "string_agg",
    exp.LogicalAnd: "bool_and", exp.LogicalOr: "bool_or", exp.Boolean: "bool", exp.Explode: "unnest",
    exp.CurrentTimestamp: "now",
}


def output_name(node: Node) -> str:
    """The name of a result column (parse_target.c, FigureColname)."""
    return _figure(node) or "?column?"


def _figure(node: Node) -> str:
    if isinstance(node, exp.Alias):
        return str(node.alias)
    if isinstance(node, exp.Column):
        return str(node.name)
    if isinstance(node, exp.Case):
        return (_figure(node.args["default"]) if node.args.get("default") is not None else "") or "case"
    if isinstance(node, exp.Cast):
        # a name of a type gives way to one outside it
        weak = isinstance(node.this.unnest() if isinstance(node.this, exp.Paren) else node.this, exp.Cast | exp.Case)
        return ("" if weak else _figure(node.this)) or type_of(node.args["to"]).removeprefix("_")
    if isinstance(node, exp.Paren | exp.Filter | exp.Window | exp.Bracket):
        return _figure(node.this)
    if isinstance(node, exp.Subquery):
        inner = node.this
        return _figure(inner.expressions[0]) if isinstance(inner, exp.Select) and inner.expressions else ""
    if isinstance(node, exp.Array) and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
        return "array"
    if isinstance(node, exp.Dot):
        return _figure(node.expression) if isinstance(node.expression, exp.Func) else str(node.expression.name)
    found = _NAMED_BY_CLASS.get(type(node))
    if found is not None:
        return found
    if isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Connector):
        return function_name(node)
    return ""
