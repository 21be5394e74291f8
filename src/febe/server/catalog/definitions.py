"""The texts of definitions as PostgreSQL writes them (ruleutils.c), and the names it chooses (indexcmds.c)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from febe.server.catalog.description import Constraint, Function
from febe.server.catalog.lookups import SQL_NAMES
from febe.types.oids import TYPE_DATA

NAME_BYTES = 63
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# The reserved words of kwlist.h: an identifier that is one is quoted.
_RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both
    case cast char character check coalesce collate collation column concurrently constraint create cross
    current_catalog current_date current_role current_schema current_time current_timestamp current_user dec
    decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
    freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect
    interval into is isnull join lateral leading least left like limit localtime localtimestamp merge_action
    national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer
    overlaps overlay placing position precision primary real references returning right row select session_user
    setof similar smallint some substring symmetric system_user table tablesample then time timestamp to
    trailing treat trim true union unique user using values varchar variadic verbose when where window with
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
    xmltable
"""
RESERVED = frozenset(_RESERVED.split())
_SQL = {row[1]: SQL_NAMES[row[0]] for row in TYPE_DATA if row[0] in SQL_NAMES}

OPERATOR_CLASSES = {16: 10003, 17: 10006, 18: 10007, 20: 3124, 21: 1979, 23: 1978, 25: 3126, 26: 1981, 700: 10012,
                    701: 3123, 1042: 10004, 1043: 3126, 1082: 3122, 1083: 10038, 1114: 3128, 1184: 3127, 1186: 10022,
                    1266: 10041, 1700: 3125, 2950: 10065}
"""The default B-tree operator class of a type (pg_opclass.dat)."""


def quoted(name: str) -> str:
    """An identifier, quoted where it must be (quote_identifier)."""
    return name if _PLAIN.fullmatch(name) and name not in RESERVED else '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """An identifier in its schema."""
    return f"{quoted(schema)}.{quoted(name)}"


def type_name(name: str) -> str:
    """A built-in type by its SQL name."""
    return _SQL.get(name, name)


def name_for(table: str, columns: str, label: str) -> str:
    """The name that PostgreSQL gives an index or constraint without one; the longer part is cut (makeObjectName)."""
    room = NAME_BYTES - len(label) - 1 - (1 if columns else 0)
    first, second = table, columns
    while len(first.encode()) + len(second.encode()) > room:
        if len(first.encode()) > len(second.encode()):
            first = first[:-1]
        else:
            second = second[:-1]
    return "_".join(part for part in (first, second, label) if part)


def key(text: str, is_column: bool) -> str:
    """A key of an index: a column, an expression in parentheses, or a function call as it is."""
    if is_column:
        return quoted(text)
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    return inner if re.fullmatch(r"[a-z_][a-z0-9_]*\([^()]*\)", inner) else f"({inner})"


def expression_name(text: str) -> str:
    """The attribute's name of an index key that is an expression: the function's, or expr."""
    call = re.match(r"\(*([a-z_][a-z0-9_]*)\(", text)
    return call[1] if call else "expr"


def index(schema: str, table: str, name: str, keys: Sequence[tuple[str, bool]], *, unique: bool) -> str:
    """CREATE INDEX."""
    listed = ", ".join(key(text, is_column) for text, is_column in keys)
    return (f"CREATE {'UNIQUE ' if unique else ''}INDEX {quoted(name)} ON {qualified(schema, table)} "
            f"USING btree ({listed})")


def unwrapped(expression: str) -> str:
    """An expression without the parentheses around the whole of it."""
    while expression.startswith("(") and expression.endswith(")"):
        depth = 0
        for i, one in enumerate(expression):
            depth += (one == "(") - (one == ")")
            if not depth and i < len(expression) - 1:
                return expression
        expression = expression[1:-1]
    return expression


def shortened(query: str, path: Sequence[str]) -> str:
    """A view's query without the schemas that the path finds anyway (ruleutils.c, generate_relation_name)."""
    if not path:
        return query
    try:
        tree = sqlglot.parse_one(query, dialect="postgres")
    except SqlglotError:
        return query
    prefixes = {f"{quoted(table.db)}.{quoted(table.name)}": quoted(table.name) for table in tree.find_all(exp.Table)
                if table.db in path}
    for written, bare in prefixes.items():
        query = bare.join(re.split(rf"(?<=[\s(,]){re.escape(written)}(?![\w$\"])", query))
    return query


def used(query: str) -> tuple[set[tuple[str, str]], set[str]]:
    """The tables that a query names with their schemas, and the columns that it names."""
    try:
        tree = sqlglot.parse_one(query, dialect="postgres")
    except SqlglotError:
        return set(), set()
    return ({(table.db, table.name) for table in tree.find_all(exp.Table) if table.db},
            {column.name for column in tree.find_all(exp.Column)})


def pretty(query: str) -> str:
    """A view's query without the parentheses around the whole of a condition."""
    return re.sub(r"(?m)(?<=^  WHERE ).*$", lambda found: unwrapped(found[0]), query)


def constraint(wanted: Constraint, path: Sequence[str] = ()) -> str:
    """A constraint as ALTER TABLE ... ADD takes it; a table in a schema of the path goes without its schema."""
    columns = ", ".join(map(quoted, wanted.columns))
    if wanted.kind == "c":
        return f"CHECK (({unwrapped(wanted.expression or '')}))"
    if wanted.kind == "n":
        return f"NOT NULL {columns}"
    if wanted.kind == "f":
        assert wanted.foreign is not None
        others = ", ".join(map(quoted, wanted.foreign_columns))
        there = quoted(wanted.foreign[1]) if wanted.foreign[0] in path else qualified(*wanted.foreign)
        return f"FOREIGN KEY ({columns}) REFERENCES {there}({others})"
    return f"{'PRIMARY KEY' if wanted.kind == 'p' else 'UNIQUE'} ({columns})"


def sequence_of(default: str) -> str:
    """The sequence that a column's default takes its values from, as it is written there; "": none."""
    found = re.fullmatch(r"nextval\('((?:[^']|'')+)'(?:::regclass)?\)", default)
    return found[1].replace("''", "'") if found else ""


def argument(name: str, kind: str) -> str:
    """An argument of a function."""
    return f"{quoted(name)} {kind}" if name else kind


def function(schema: str, wanted: Function, arguments: str, result: str) -> str:
    """CREATE FUNCTION (pg_get_functiondef)."""
    lines = [f"CREATE OR REPLACE FUNCTION {qualified(schema, wanted.name)}({arguments})", f" RETURNS {result}",
             " LANGUAGE sql", *([] if wanted.volatile else [" IMMUTABLE"]), f"AS $function${wanted.body}$function$"]
    return "\n".join(lines) + "\n"
