"""What a DuckDB database holds, told for PostgreSQL's catalogs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from febe.engines.duckdb.types import announced
from febe.server.catalog.definitions import name_for, quoted
from febe.server.catalog.description import (
    Attribute,
    Composite,
    Constraint,
    Database,
    Domain,
    Enum,
    Function,
    Index,
    Relation,
    Schema,
    SequenceObject,
    Type,
)
from febe.types import oids

_CAST_TO = {oids.TEXT: "text", oids.VARCHAR: "character varying", oids.DATE: "date", oids.TIMESTAMP:
            "timestamp without time zone", oids.TIMESTAMPTZ: "timestamp with time zone", oids.JSON: "json"}

Rows = list[dict[str, Any]]


def describe(query: Callable[[str], tuple[list[str], list[tuple[Any, ...]]]], *, writable: bool) -> Database:
    """The current database; `query` runs a query on the session's own connection."""
    def rows(sql: str) -> Rows:
        names, found = query(sql)
        return [dict(zip(names, row, strict=True)) for row in found]

    here = rows("SELECT current_database() AS name, current_setting('search_path') AS path, current_schema() AS "
                "schema, (SELECT sum(total_blocks * block_size) FROM pragma_database_size()) AS size")[0]
    return _Describer(rows, here, writable=writable).database()


class _Describer:
    def __init__(self, rows: Callable[[str], Rows], here: dict[str, Any], *, writable: bool) -> None:
        self._rows = rows
        self._here = here
        self._writable = writable
        self._enums: dict[tuple[str, ...], tuple[str, str]] = {}

    def database(self) -> Database:
        """The whole."""
        mine = "database_name = current_database()"
        schemas = {row["schema_name"]: row for row in self._rows(
            f"FROM duckdb_schemas() WHERE {mine} AND (NOT internal OR schema_name = 'main')")}
        types, functions, sequences = self._types(mine), self._functions(mine), self._sequences(mine)
        relations = self._relations(mine)
        found = [Schema(name=name, relations=relations[name], sequences=sequences[name], types=types[name],
                        functions=functions[name], comment=row["comment"]) for name, row in schemas.items()]
        path = [part.strip().strip('"').split(".")[-1] for part in str(self._here["path"]).split(",") if part.strip()]
        others = [row["database_name"] for row in self._rows(
            "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> current_database()")]
        return Database(schemas=found, search_path=path or [self._here["schema"]], others=others,
                        size=int(self._here["size"] or 0), writable=self._writable)

    def _type(self, name: str) -> Type:
        array = name.endswith("[]")
        told = announced(name)
        if name.startswith("ENUM(") and not (array and told.type_oid == oids.TEXT):
            known = self._enums.get(_labels(name[:-2] if array else name))
            if known is not None:
                return Type(schema=known[0], name=known[1], array=array)
        return Type(oid=told.type_oid, modifier=told.type_modifier)

    def _types(self, mine: str) -> dict[str, list[Enum | Composite | Domain]]:
        found: dict[str, list[Enum | Composite | Domain]] = defaultdict(list)
        others = []
        for row in self._rows(f"FROM duckdb_types() WHERE {mine} AND NOT internal"):
            if row["logical_type"] == "ENUM":
                self._enums[tuple(row["labels"])] = (row["schema_name"], row["type_name"])
                found[row["schema_name"]].append(Enum(name=row["type_name"], labels=row["labels"],
                                                      comment=row["comment"]))
            else:
                others.append(row)
        for row in others:
            schema, name = row["schema_name"], row["type_name"]
            whole = str(self._rows(f"SELECT typeof(CAST(NULL AS {quoted(schema)}.{quoted(name)})) AS type")[0]["type"])
            if row["logical_type"] == "STRUCT":
                fields = duckdb.type(whole).children
                found[schema].append(Composite(name=name, comment=row["comment"], attributes=[
                    Attribute(name=field, type=self._type(str(kind))) for field, kind in fields]))
            else:
                found[schema].append(Domain(name=name, base=self._type(whole), comment=row["comment"]))
        return found

    def _functions(self, mine: str) -> dict[str, list[Function]]:
        found: dict[str, list[Function]] = defaultdict(list)
        for row in self._rows(f"FROM duckdb_functions() WHERE {mine} AND NOT internal AND macro_definition IS NOT "
                              "NULL"):
            table = row["function_type"] == "table_macro"
            kinds = row["parameter_types"]
            result = Type(oid=oids.RECORD) if table else self._result(row, kinds)
            found[row["schema_name"]].append(Function(
                name=row["function_name"], result=result, returns_set=table,
                body=row["macro_definition"] if table else f"SELECT {row['macro_definition']}",
                comment=row["comment"], arguments=[
                    (name, Type(oid=oids.ANYELEMENT) if kind is None else self._type(kind))
                    for name, kind in zip(row["parameters"], kinds, strict=True)]))
        return found

    def _result(self, row: dict[str, Any], kinds: Sequence[str | None]) -> Type:
        """What a macro of typed parameters gives; of others it depends on what they are given."""
        if None in kinds:
            return Type(oid=oids.ANYELEMENT)
        given = ", ".join(f"CAST(NULL AS {kind})" for kind in kinds)
        name = f"{quoted(row['schema_name'])}.{quoted(row['function_name'])}"
        try:
            return self._type(str(self._rows(f"SELECT typeof({name}({given})) AS type")[0]["type"]))
        except duckdb.Error:
            # it reads what is not there any more
            return Type(oid=oids.TEXT)

    def _sequences(self, mine: str) -> dict[str, list[SequenceObject]]:
        found: dict[str, list[SequenceObject]] = defaultdict(list)
        for row in self._rows(f"FROM duckdb_sequences() WHERE {mine} AND NOT temporary"):
            found[row["schema_name"]].append(SequenceObject(
                name=row["sequence_name"], start=row["start_value"], increment=row["increment_by"],
                minimum=row["min_value"], maximum=row["max_value"], cycle=row["cycle"], last=row["last_value"],
                comment=row["comment"]))
        return found

    def _relations(self, mine: str) -> dict[str, list[Relation]]:
        either = f"({mine} OR database_name = 'temp') AND NOT internal"
        columns: dict[tuple[str, str, str], Rows] = defaultdict(list)
        for row in self._rows(f"FROM duckdb_columns() WHERE {either} ORDER BY column_index"):
            columns[row["database_name"], row["schema_name"], row["table_name"]].append(row)
        constraints: dict[tuple[str, str, str], Rows] = defaultdict(list)
        for row in self._rows(f"FROM duckdb_constraints() WHERE {mine} OR database_name = 'temp'"):
            constraints[row["database_name"], row["schema_name"], row["table_name"]].append(row)
        indexes: dict[tuple[str, str, str], Rows] = defaultdict(list)
        for row in self._rows(f"FROM duckdb_indexes() WHERE {mine} OR database_name = 'temp'"):
            indexes[row["database_name"], row["schema_name"], row["table_name"]].append(row)
        found: dict[str, list[Relation]] = defaultdict(list)
        tables: set[tuple[str, str]] = set()
        for row in self._rows(f"FROM duckdb_tables() WHERE {either}"):
            tables.add((row["schema_name"], row["table_name"]))
            key = (row["database_name"], row["schema_name"], row["table_name"])
            found[row["schema_name"]].append(Relation(
                name=row["table_name"], columns=[self._column(one) for one in columns[key]],
                constraints=self._constraints(row, constraints[key]), indexes=[_index(one) for one in indexes[key]],
                rows=row["estimated_size"], temporary=row["temporary"], comment=row["comment"]))
        views = self._rows(f"FROM duckdb_views() WHERE {either}")
        tables |= {(row["schema_name"], row["view_name"]) for row in views}
        for row in views:
            key = (row["database_name"], row["schema_name"], row["view_name"])
            found[row["schema_name"]].append(Relation(
                name=row["view_name"], kind="v", columns=[self._column(one) for one in columns[key]],
                query=_view_query(row["sql"], row["schema_name"], tables), temporary=row["temporary"],
                comment=row["comment"]))
        return found

    def _column(self, row: dict[str, Any]) -> Attribute:
        kind = self._type(row["data_type"])
        default = row["column_default"]
        if default is not None and default.upper() in ("NULL", ""):
            default = None
        generated = bool(row.get("is_generated"))
        if default is not None:
            default = _default(_bare(default, row["data_type"]) if generated else default, kind)
        return Attribute(name=row["column_name"], type=kind, not_null=not row["is_nullable"], generated=generated,
                         default=default, comment=row["comment"])

    def _constraints(self, table: dict[str, Any], rows: Rows) -> list[Constraint]:
        found: list[Constraint] = []
        name = table["table_name"]
        taken: set[str] = set()

        def named(columns: str, label: str) -> str:
            wanted = chosen = name_for(name, columns, label)
            number = 0
            while chosen in taken:
                number += 1
                chosen = f"{wanted}{number}"
            taken.add(chosen)
            return chosen

        for row in rows:
            columns = row["constraint_column_names"]
            match row["constraint_type"]:
                case "PRIMARY KEY":
                    found.append(Constraint(name=named("", "pkey"), kind="p", columns=columns))
                case "UNIQUE":
                    found.append(Constraint(name=named("_".join(columns), "key"), kind="u", columns=columns))
                case "FOREIGN KEY":
                    found.append(Constraint(name=named("_".join(columns), "fkey"), kind="f", columns=columns,
                                            foreign=(table["schema_name"], row["referenced_table"]),
                                            foreign_columns=row["referenced_column_names"]))
                case "CHECK":
                    found.append(Constraint(
                        name=named(columns[0] if len(columns) == 1 else "", "check"), kind="c", columns=columns,
                        expression=_expression(row["expression"])))
        return found


def _labels(text: str) -> tuple[str, ...]:
    labels: Any = duckdb.type(text).children[0][1]
    return tuple(labels)


def _index(row: dict[str, Any]) -> Index:
    keys = [text[1:-1] if text.startswith("'") else text for text in _listed(row["expressions"])]
    return Index(name=row["index_name"], keys=[key.strip('"') if not key.startswith("(") else key for key in keys],
                 unique=row["is_unique"], comment=row["comment"])


def _listed(text: str) -> list[str]:
    """The entries of a list as DuckDB writes it: `[a, '(lower("name"))']`."""
    found, depth, quote, start = [], 0, False, 1
    inside = text[:-1]
    for i in range(1, len(inside)):
        one = inside[i]
        if one == "'":
            quote = not quote
        elif not quote and one in "([":
            depth += 1
        elif not quote and one in ")]":
            depth -= 1
        elif not quote and not depth and one == ",":
            found.append(inside[start:i].strip())
            start = i + 1
    found.append(inside[start:].strip())
    return [one.replace("''", "'") for one in found if one]


def _default(text: str, kind: Type) -> str:
    """A default as PostgreSQL writes it: a string literal with its type, a sequence by its regclass."""
    if text.startswith("'") and text.endswith("'") and kind.name is None and kind.oid in _CAST_TO:
        return f"{text}::{_CAST_TO[kind.oid]}"
    if text.startswith("'") and text.endswith("'") and kind.name is not None:
        return f"{text}::{quoted(kind.name)}"
    if text.startswith("nextval('") and text.endswith("')"):
        return text[:-1] + "::regclass)"
    made = _expression(text)
    return made.lower() if made in ("TRUE", "FALSE") else made


def _bare(text: str, kind: str) -> str:
    """An expression without the cast to the column's type that DuckDB puts around it."""
    tail = f" AS {kind})"
    return text[len("CAST("):-len(tail)] if text.startswith("CAST(") and text.endswith(tail) else text


def _expression(text: str) -> str:
    try:
        return sqlglot.parse_one(text, dialect="duckdb").sql(dialect="postgres")
    except SqlglotError:
        return text


def _view_query(sql: str, schema: str, tables: set[tuple[str, str]]) -> str:
    """A view's query in PostgreSQL's SQL, its tables with their schemas, laid out as PostgreSQL does."""
    body = sql
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        query = tree.expression if isinstance(tree, exp.Create) else tree
        names = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            if not table.db and table.name not in names and (schema, table.name) in tables:
                table.set("db", exp.to_identifier(schema))
        for unquoted in query.find_all(exp.Identifier):
            unquoted.set("quoted", quoted(unquoted.name) != unquoted.name)
        return _laid_out(query)
    except (SqlglotError, AttributeError):
        at = sql.upper().find(" AS ")
        return body[at + 4:].rstrip().rstrip(";") if at >= 0 else body


def _laid_out(query: Any) -> str:
    """The lines that PostgreSQL's own listing has, of a plain SELECT."""
    if not isinstance(query, exp.Select) or query.args.get("with_") or query.args.get("joins"):
        return f" {query.sql(dialect='postgres')}"
    items = ",\n    ".join(item.sql(dialect="postgres") for item in query.expressions)
    rest = query.copy()
    rest.set("expressions", [exp.Star()])
    text = rest.sql(dialect="postgres").removeprefix("SELECT *").strip()
    lines = f" SELECT {items}"
    for word, indent in (("FROM ", "\n   FROM "), (" WHERE ", "\n  WHERE "), (" GROUP BY ", "\n  GROUP BY "),
                         (" HAVING ", "\n HAVING "), (" ORDER BY ", "\n  ORDER BY "), (" LIMIT ", "\n LIMIT ")):
        text = text.replace(word, indent, 1)
    return lines + text

