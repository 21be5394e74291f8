"""Parameters of a statement: where they stand, which type each has, and how its value is handed over.

The client's own type wins; then what DuckDB infers; then what stands beside the parameter, found with sqlglot and typed
by DuckDB's binder; else text, as PostgreSQL resolves an unknown literal (manual: "Type Conversion").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from febe.engines.duckdb.types import ARRAY_OIDS
from febe.server.engine import EngineError
from febe.server.sql import TokenKind, tokens
from febe.types import oids

Typer = Callable[[str], str | None]
"""Gives the DuckDB type of the only column of a query, None when it does not bind."""

_Node = Any
"""A node of sqlglot's tree: Expr since its version 30, Expression before."""

_MARK = "febe_parameter_"
_MOST_DIGITS = 38
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Pow,
               exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor)
_TEXTUAL = (exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike, exp.SimilarTo, exp.DPipe, exp.Concat,
            exp.JSONExtract, exp.JSONExtractScalar, exp.Lower, exp.Upper, exp.Length)
_SAME_AS_SIBLINGS = (exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Case, exp.In, exp.Between)
_HOLDERS = (exp.Select, exp.Insert, exp.Update, exp.Delete, exp.Merge)
_LOGICAL = (exp.And, exp.Or, exp.Not, exp.Where, exp.Having)


@dataclass(slots=True, kw_only=True, frozen=True)
class Place:
    """One occurrence of a parameter in the statement's text."""

    number: int
    start: int
    end: int


def places(sql: str) -> list[Place]:
    """Where the parameters `$1`, `$2`, ... stand."""
    if "$" not in sql:
        return []
    found = []
    for token in tokens(sql):
        if token.kind is TokenKind.PARAMETER:
            # the number is bounded by Bind's Int16 count (manual: "Message Formats", Bind)
            number = int(token.text[1:7])
            if not 1 <= number <= 65535:
                raise EngineError(f"there is no parameter {token.text[:12]}", sqlstate="42P02",
                                  position=token.start + 1)
            found.append(Place(number=number, start=token.start, end=token.end))
    return found


class Rewritten:
    """A statement's text with parameters replaced, which still knows where its characters came from."""

    def __init__(self, sql: str, at: Sequence[Place], replacement: Callable[[Place], str | None]) -> None:
        pieces: list[str] = []
        self._edits: list[tuple[int, int, int, int]] = []
        done = length = 0
        for place in at:
            new = replacement(place)
            if new is None:
                continue
            pieces += (sql[done:place.start], new)
            length += place.start - done
            self._edits.append((length, length + len(new), place.start, place.end))
            length += len(new)
            done = place.end
        pieces.append(sql[done:])
        self.sql = "".join(pieces)
        self._length = len(sql)

    def original(self, offset: int) -> int | None:
        """The offset in the original statement of an offset in `sql`; None when it has none."""
        for start, end, old_start, old_end in reversed(self._edits):
            if offset >= end:
                offset += old_end - end
                break
            if offset >= start:
                return old_start
        return offset if 0 <= offset <= self._length else None


def infer(sql: str, at: Sequence[Place], known: Mapping[int, str], typer: Typer) -> dict[int, str]:
    """DuckDB types of the parameters that are not `known`, as far as what stands beside them tells.

    As in PostgreSQL the first place that asks for a type decides (parse_param.c: variable_coerce_param_hook).
    """
    tree = _parse(Rewritten(sql, at, lambda place: f"{_MARK}{place.number}_{place.start}").sql)
    if tree is None:
        return {}
    surroundings = _Surroundings(typer, dict(known))
    found: dict[int, str] = {}
    marked = [column for column in tree.find_all(exp.Column) if _number(column)]
    for column in sorted(marked, key=lambda column: int(column.name.rpartition("_")[2])):
        number = _number(column)
        if number not in surroundings.known:
            kind = surroundings.asked(column)
            if kind is not None:
                found[number] = surroundings.known[number] = kind
    return found


def _parse(sql: str) -> _Node | None:
    for dialect in ("duckdb", "postgres"):
        try:
            tree = sqlglot.parse_one(sql, dialect=dialect)
        except (SqlglotError, RecursionError):
            continue
        return tree if isinstance(tree, exp.Expression) else None
    return None


def _number(node: object) -> int:
    """The number of the parameter that an expression is, 0 for any other."""
    if isinstance(node, exp.Column) and node.name.startswith(_MARK):
        number = node.name[len(_MARK):].partition("_")[0]
        return int(number) if number.isdigit() else 0
    return 0


class _Surroundings:
    """What the places around parameters ask for."""

    def __init__(self, typer: Typer, known: dict[int, str]) -> None:
        self._typer = typer
        self.known = known

    def asked(self, column: exp.Column) -> str | None:
        """The type that a parameter's surroundings ask for."""
        node: _Node = column
        parent = node.parent
        while isinstance(parent, exp.Paren | exp.Neg):
            node, parent = parent, parent.parent
        if parent is None:
            return None
        if isinstance(parent, exp.Cast):
            return self._typer(f"SELECT CAST(NULL AS {parent.to.sql(dialect='duckdb')})")
        if isinstance(parent, exp.Limit | exp.Offset):
            return "BIGINT"
        if isinstance(parent, exp.EQ) and isinstance(parent.parent, exp.Update) and parent.this is not node:
            return self._type(parent.this)
        if isinstance(parent, exp.Any | exp.All):
            outer = parent.parent
            if isinstance(outer, exp.Binary):
                element = self._type(outer.this if outer.expression is parent else outer.expression)
                return f"{element}[]" if element else None
            return None
        if isinstance(parent, exp.Binary) and isinstance(parent, _COMPARISONS + _ARITHMETIC):
            return self._operand(parent, node)
        if isinstance(parent, _TEXTUAL):
            return "VARCHAR"
        if isinstance(parent, exp.If) and parent.this is not node and isinstance(parent.parent, exp.Case):
            return self._siblings(parent.parent, node)
        if isinstance(parent, _LOGICAL) or (isinstance(parent, exp.If) and parent.this is node):
            return "BOOLEAN"
        if isinstance(parent, _SAME_AS_SIBLINGS):
            return self._siblings(parent, node)
        return self._inserted(node, parent)

    def _operand(self, parent: exp.Binary, node: _Node) -> str | None:
        """An operand is taken for the other's type; what is added to a time is an interval (pg_operator)."""
        other = self._type(parent.expression if parent.this is node else parent.this)
        if other is None:
            return None
        if isinstance(parent, _ARITHMETIC):
            if other.startswith("TIME"):
                return "INTERVAL" if isinstance(parent, exp.Add) else other
            if other == "DATE":
                return "INTEGER" if isinstance(parent, exp.Add) else "DATE"
            if other == "VARCHAR":
                return None
            if other.startswith("DECIMAL"):
                return "DECIMAL"
        return other

    def _siblings(self, parent: _Node, node: _Node) -> str | None:
        candidates: list[_Node] = []
        if isinstance(parent, exp.Case):
            candidates = [branch.args["true"] for branch in parent.args.get("ifs", []) if branch.args.get("true")]
            if parent.args.get("default") is not None:
                candidates.append(parent.args["default"])
        else:
            candidates = list(parent.iter_expressions())
        for candidate in candidates:
            if candidate is not node and (kind := self._type(candidate)) is not None:
                return kind
        return None

    def _inserted(self, node: _Node, parent: _Node) -> str | None:
        """The type of the column that a value of INSERT ... VALUES or a projection of INSERT ... SELECT goes to."""
        insert: _Node | None = None
        if isinstance(parent, exp.Alias):
            node, parent = parent, parent.parent or parent
        if isinstance(parent, exp.Tuple) and isinstance(parent.parent, exp.Values):
            insert = parent.parent.parent
        elif isinstance(parent, exp.Select) and node in parent.expressions:
            insert = parent.parent
        if not isinstance(insert, exp.Insert):
            return None
        index = next(i for i, value in enumerate(parent.expressions) if value is node)
        target = insert.this
        table, names = (target.this, target.expressions) if isinstance(target, exp.Schema) else (target, [])
        if names:
            chosen = names[index].sql(dialect="duckdb") if index < len(names) else None
            return self._typer(f"SELECT {chosen} FROM {table.sql(dialect='duckdb')}") if chosen else None
        listed = ", ".join(f"c{i}" for i in range(index + 1))
        return self._typer(f"SELECT c{index} FROM {table.sql(dialect='duckdb')} AS t({listed})")

    def _type(self, node: _Node) -> str | None:
        """The type of an expression where it stands, asked of DuckDB's binder."""
        inner = node.this if isinstance(node, exp.Paren) else node
        if _number(inner):
            return self.known.get(_number(inner))
        query = exp.Select().select(self._without_parameters(node))
        holder = node.find_ancestor(*_HOLDERS)
        while holder is not None:
            self._copy_sources(holder, query)
            kind = self._typer(query.sql(dialect="duckdb"))
            if kind is not None:
                return kind if kind not in ('"NULL"', "NULL") else None
            # a correlated subquery: the outer query's tables are needed too
            holder = holder.find_ancestor(*_HOLDERS)
        return self._typer(query.sql(dialect="duckdb"))

    def _copy_sources(self, holder: _Node, query: exp.Select) -> None:
        tables: list[_Node] = []
        target = holder.this.this if isinstance(holder.this, exp.Schema) else holder.this
        if not isinstance(holder, exp.Select) and isinstance(target, exp.Table):
            tables.append(target)
        for value in holder.args.values():
            if isinstance(value, exp.From):
                tables.append(value.this)
            elif isinstance(value, exp.With):
                # the argument is called with_ since sqlglot 28, with before
                key = next(key for key in query.arg_types if key.startswith("with"))
                query.set(key, self._without_parameters(value))
        if isinstance(holder, exp.Merge) and holder.args.get("using") is not None:
            tables.append(holder.args["using"])
        for table in tables:
            copy = self._without_parameters(table)
            if not any(isinstance(part, exp.From) for part in query.args.values()):
                query.from_(copy, copy=False)
            else:
                query.join(copy, join_type="cross", copy=False)
        for join in holder.args.get("joins") or []:
            query.append("joins", self._without_parameters(join))

    def _without_parameters(self, node: _Node) -> _Node:
        return node.copy().transform(lambda inner: self._null(_number(inner)) if _number(inner) else inner)

    def _null(self, number: int) -> _Node:
        kind = self.known.get(number)
        return exp.cast(exp.null(), kind, dialect="duckdb") if kind else exp.null()


# -- values ----------------------------------------------------------------------------------------------------------

def convert(value: object, oid: int) -> object:
    """A decoded parameter as DuckDB's client takes it."""
    if value is None:
        return None
    if oid in (oids.JSON, oids.JSONB):
        return json.dumps(value)
    if oid in ARRAY_OIDS and isinstance(value, str):
        return array_elements(value)
    if oid == oids.INTERVAL and isinstance(value, str):
        # PostgreSQL writes a plus after a negative field, DuckDB does not read it
        return value.replace("+", "")
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int) or max(len(digits), len(digits) + exponent, -exponent) > _MOST_DIGITS:
            raise EngineError(f"numeric value {value} cannot be represented: DuckDB has {_MOST_DIGITS} digits",
                              sqlstate="22003")
    return value


_ARRAY_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}\\]*(?:\\.[^",{}\\]*)*))\s*(,|\Z)', re.DOTALL)


def array_elements(text: str) -> list[str | None]:
    """The elements of a one-dimensional array in text form (manual: "Arrays", "Array Input and Output Syntax")."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        raise EngineError(f'malformed array literal: "{text}"', sqlstate="22P02")
    body = body[1:-1]
    if not body.strip():
        return []
    found: list[str | None] = []
    pos = 0
    while True:
        match = _ARRAY_ELEMENT.match(body, pos)
        if match is None:
            raise EngineError("only one-dimensional arrays are supported as parameters", sqlstate="0A000")
        quoted, bare, separator = match.groups()
        if quoted is not None:
            found.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        else:
            bare = bare.strip()
            found.append(None if bare.upper() == "NULL" else re.sub(r"\\(.)", r"\1", bare, flags=re.DOTALL))
        pos = match.end()
        if not separator:
            return found


def resolve(given: Sequence[int], at: Sequence[Place], inferred: Mapping[int, int]) -> tuple[int, ...]:
    """The OID of every parameter from 1 on; one that nothing is known about is an error, as in PostgreSQL.

    `inferred` holds the OID of every parameter the statement names and the client left open.
    """
    count = max([len(given), *(place.number for place in at)])
    resolved = []
    for number in range(1, count + 1):
        oid = given[number - 1] if number <= len(given) else 0
        if oid in (0, oids.UNKNOWN):
            oid = inferred.get(number, 0)
        if not oid:
            raise EngineError(f"could not determine data type of parameter ${number}", sqlstate="42P18")
        resolved.append(oid)
    return tuple(resolved)
