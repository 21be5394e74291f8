"""A statement prepared for DuckDB: described by binding alone, run when asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from febe.engines.duckdb import _driver, parameters, statements
from febe.engines.duckdb.parameters import Place, Rewritten
from febe.engines.duckdb.types import (
    PARAMETER_TYPES,
    UNKNOWN,
    Announced,
    announced,
    batch_rows,
    parameter_cast,
    parameter_oid,
)
from febe.server.engine import Column, EngineError, Prepared, Result
from febe.server.sql import TokenKind, tokens
from febe.types import oids

if TYPE_CHECKING:
    from febe.engines.duckdb.engine import DuckDBSession

# Tried in this order for a parameter that nothing beside it types: text first and then the preferred type of each
# category, as PostgreSQL does for unknown literals (manual: "Functions", "Type Resolution").
_CANDIDATES = ("VARCHAR", "DOUBLE", "BIGINT", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "INTERVAL", "BOOLEAN")
_TRIED = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "EXPLAIN")
_UNCAST = {oids.NUMERIC: "DECIMAL(4, 1)"}
_OUR_CAST = re.compile(r"CAST\(\$(\d+) AS [^()]*(?:\([^()]*\))?\)")
_CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "COPY", "ATTACH", "EXPORT", "INSTALL")


@dataclass(slots=True, kw_only=True)
class Context:
    """What a statement needs of its session."""

    session: DuckDBSession
    con: duckdb.DuckDBPyConnection
    read_only: bool


class Statement(Prepared):
    """A prepared statement of DuckDB."""

    def __init__(self, context: Context, kind: str, sql: str, text: Rewritten, used: Sequence[int],
                 types: tuple[int, ...]) -> None:
        self._context = context
        self._kind = kind
        self._sql = sql
        self._text = text
        self._used = used
        self._fetched: tuple[Announced, ...] = ()
        self._query = kind == "SELECT"
        self.parameters = types

    def describe(self, names: Sequence[str], types: Sequence[str], *, loose_decimals: bool) -> None:
        """Announce the columns.  `loose_decimals`: their precision depends on a parameter's value."""
        self._fetched = tuple(announced(one) for one in types)
        self.columns = tuple(
            Column(name=name, type_oid=one.type_oid, type_modifier=-1 if loose_decimals else one.type_modifier)
            for name, one in zip(names, self._fetched, strict=True))

    def execute(self, values: Sequence[Any]) -> Result:
        """Run; a query streams, anything else runs to its end first."""
        given = {number: parameters.convert(values[number - 1], self.parameters[number - 1])
                 for number in self._used}
        session, con = self._context.session, self._context.con
        session.free()
        if self.columns is None:
            with session.translated(self._text.sql, self._text.original):
                changed = _driver.count(con, self._text.sql, given)
            tag = statements.tag(self._kind, self._sql, created_from_query=changed is not None)
            return Result(tag=tag.replace("{}", str(changed or 0)))
        sql, position = (self._wrapped() if self._query else (self._text.sql, self._text.original))
        with session.translated(sql, position):
            if self._query:
                self._check_unchanged(given)
                rows = batch_rows([column.type_oid for column in self.columns])
                capsule = _driver.stream(con, sql, given, rows)
            else:
                capsule = self._projected(_driver.relation(con, sql, given)).__arrow_c_stream__()
        return Result(arrow=session.streaming(capsule), tag=statements.tag(self._kind, self._sql),
                      failure=lambda text: session.failure(text, sql, position))

    def _wrapped(self) -> tuple[str, Callable[[int], int | None]]:
        """The query with the columns that do not travel as they are cast; outer names do not matter, order is kept."""
        if all(one.expression is None for one in self._fetched):
            return self._text.sql, self._text.original
        start = f"SELECT {_list(self._fetched, (f'c{i}' for i in range(len(self._fetched))))} FROM (\n"
        names = ", ".join(f"c{i}" for i in range(len(self._fetched)))
        return (f"{start}{self._text.sql}\n) AS febe({names})",
                lambda offset: self._text.original(offset - len(start)) if offset >= len(start) else None)

    def _projected(self, relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        if all(one.expression is None for one in self._fetched):
            return relation
        return relation.project(_list(self._fetched, (f"#{i + 1}" for i in range(len(self._fetched)))))

    def _check_unchanged(self, values: dict[int, Any]) -> None:
        """What was announced must still hold (plancache.c: RevalidateCachedQuery refuses the same way)."""
        signature = _driver.bind(self._context.con, self._text.sql, values)
        if signature is None:
            return
        now = tuple(announced(one) for one in signature.types or ())
        if [(one.type_oid, one.expression) for one in now] != [(one.type_oid, one.expression) for one in self._fetched]:
            raise EngineError("cached plan must not change result type", sqlstate="0A000")


def prepare(context: Context, kind: str, sql: str, given: Sequence[int], names: Iterable[str]) -> Statement:
    """Type the parameters and the columns of a statement."""
    at = parameters.places(sql)
    numbers = {place.number for place in at}
    foreign = sorted(name for name in names if not name.isdigit() or int(name) not in numbers)
    if foreign:
        raise EngineError("only $1, $2, ... stand for parameters", sqlstate="42601")
    if kind == "MULTI":
        with context.session.translated(sql):
            return _pivot(context, sql)
    signature = _bind(context, sql, lambda offset: offset)
    engine = {number: name for number, name in (signature.parameters if signature else {}).items() if name != UNKNOWN}
    types = _parameter_types(context, kind, sql, at, given, engine)
    casts = {number: parameter_cast(types[number - 1], engine.get(number)) for number in numbers}
    text = Rewritten(sql, at, lambda place: f"CAST(${place.number} AS {casts[place.number]})" if casts[place.number] else None)
    statement = Statement(context, kind, sql, text, sorted(numbers), types)
    loose = False
    if at or signature is None:
        loose = any(casts[number] is None and types[number - 1] == oids.NUMERIC for number in numbers)
        known = {number: casts[number] or engine.get(number) or _UNCAST.get(types[number - 1], "VARCHAR")
                 for number in numbers}
        signature = _describe(context, kind, sql, at, known)
    if context.read_only and signature.writes:
        raise EngineError("cannot execute a statement that changes data in a read-only transaction", sqlstate="25006")
    if signature.names is not None and statements.first_word(sql) != "CHECKPOINT":
        statement.describe(signature.names, signature.types or (), loose_decimals=loose)
    return statement


def _bind(context: Context, sql: str, position: Callable[[int], int | None],
          values: Mapping[int, Any] | None = None) -> _driver.Signature | None:
    try:
        return _driver.bind(context.con, sql, values)
    except duckdb.Error as error:
        text, prefix = _driver.located(context.con, sql, str(error))
        shift = len(prefix)
        raise context.session.failure(text, prefix + sql, lambda offset: position(offset - shift)
                                      if offset >= shift else None) from error


def _describe(context: Context, kind: str, sql: str, at: Sequence[Place], known: Mapping[int, str],
              ) -> _driver.Signature:
    """The signature of a statement with its parameters typed as `known` says."""
    # a 1.x relation is lazy only without parameters
    marker = "${}" if _driver.HAS_BIND else "NULL"
    shown = Rewritten(sql, at, lambda place: f"CAST({marker.format(place.number)} AS {known[place.number]})")
    signature = _bind(context, shown.sql, shown.original, dict.fromkeys(known))
    if signature is None:
        with context.session.translated(shown.sql, shown.original):
            signature = _driver.bind_without_help(context.con, kind, shown.sql)
    if signature.names is not None:
        # DuckDB names an expression by its text, in which the client wrote no casts
        signature.names = [_OUR_CAST.sub(r"$\1", name) for name in signature.names]
    return signature


def _parameter_types(context: Context, kind: str, sql: str, at: Sequence[Place], given: Sequence[int],
                     engine: Mapping[int, str]) -> tuple[int, ...]:
    """The OID of every parameter."""
    numbers = {place.number for place in at}
    told = {number: oid for number, oid in enumerate(given, 1) if oid not in (0, oids.UNKNOWN)}
    wanted = numbers - engine.keys() - told.keys()

    def typer(query: str) -> str | None:
        try:
            found = _driver.bind_query(context.con, query).types
        except duckdb.Error:
            return None
        return found[0] if found and found[0] != UNKNOWN else None

    found = dict(engine)
    if wanted:
        declared = {number: PARAMETER_TYPES.get(oid, "VARCHAR") for number, oid in told.items()}
        found |= parameters.infer(sql, at, declared | found, typer)
        left = dict.fromkeys(wanted - found.keys(), "VARCHAR")
        for candidate in _CANDIDATES if left and kind in _TRIED else ():
            tried = dict.fromkeys(left, candidate)
            try:
                _describe(context, kind, sql, at, declared | found | tried)
            except EngineError:
                continue
            left = tried
            break
        found |= left
    return parameters.resolve(given, at, {number: parameter_oid(name) for number, name in found.items()})


def _pivot(context: Context, sql: str) -> Statement:
    """PIVOT without IN: several steps to DuckDB, the columns known only after the first."""
    words = {token.text.upper() for token in tokens(sql) if token.kind is TokenKind.WORD}
    if parameters.places(sql) or words.intersection(_CHANGES) or not words & {"PIVOT", "PIVOT_WIDER"}:
        raise EngineError("PIVOT without IN is supported only in a query of its own, without parameters",
                          sqlstate="0A000")
    context.session.free()
    relation = _driver.relation(context.con, sql, {})
    statement = Statement(context, "MULTI", sql, Rewritten(sql, (), lambda place: None), (), ())
    statement.describe(relation.columns, [str(one) for one in relation.types], loose_decimals=False)
    return statement


def _list(fetched: Sequence[Announced], names: Iterable[str]) -> str:
    return ", ".join(one.expression.format(name) if one.expression else name
                     for one, name in zip(fetched, names, strict=True))
