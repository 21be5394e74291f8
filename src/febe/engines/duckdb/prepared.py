"""A statement prepared for DuckDB: described by binding alone, run when asked."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from febe.engines.duckdb import _driver, parameters, statements
from febe.engines.duckdb.parameters import Place, Rewritten
from febe.engines.duckdb.types import (
    PARAMETER_TYPES,
    PYTHON_HOLDS,
    UNKNOWN,
    Announced,
    announced,
    batch_rows,
    is_simple,
    parameter_cast,
    parameter_oid,
)
from febe.server.engine import Column, EngineError, Prepared, Result
from febe.server.sql import TokenKind, tokens, verb
from febe.types import oids

if TYPE_CHECKING:
    from febe.engines.duckdb.session import DuckDBSession

# Tried in this order for a parameter that nothing beside it types: text first and then the preferred type of each
# category, as PostgreSQL does for unknown literals (manual: "Functions", "Type Resolution").
_CANDIDATES = ("VARCHAR", "DOUBLE", "BIGINT", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "INTERVAL", "BOOLEAN")
_TRIED = ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "EXPLAIN")
_KEEP_THE_CATALOG = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "EXPLAIN"})
_UNCAST = {oids.NUMERIC: "DECIMAL(4, 1)"}
_OUR_CAST = re.compile(r"CAST\(\$(\d+) AS [^()]*(?:\([^()]*\))?\)")
_CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "COPY", "ATTACH", "EXPORT", "INSTALL",
            "LOAD", "SET", "PRAGMA", "CALL", "IMPORT")

FEW, SOON = 64, 0.01
"""At most how many rows, in how many seconds, are fetched as Python values."""


@dataclass(slots=True, kw_only=True)
class Context:
    """What a statement needs of its session."""

    session: DuckDBSession
    con: duckdb.DuckDBPyConnection
    read_only: bool


class Statement(Prepared):
    """A prepared statement of DuckDB.

    `casts` gives the type that each parameter is cast to where it stands, None for one that stays bare; `loose` gives
    for a bare decimal, whose value brings its own precision, the type to stand for when the value is NULL.
    """

    def __init__(self, context: Context, kind: str, sql: str, at: Sequence[Place] = (), types: tuple[int, ...] = (),
                 casts: Mapping[int, str | None] | None = None, loose: Mapping[int, str] | None = None) -> None:
        self._context = context
        self._kind = kind
        self._sql = sql
        self._at = at
        self._casts = casts or {}
        self._loose = loose or {}
        self._text = _cast(sql, at, self._casts)
        self._fetched: tuple[Announced, ...] = ()
        self._types: list[str] = []
        self._as_they_are = True
        self._batch_rows = 0
        self._may_be_brief = self._is_brief = False
        self._parsed: duckdb.Statement | None = None
        self._description: list[tuple[Any, ...]] = []
        self._checks: list[tuple[int, Callable[[Any], bool]]] = []
        self._tag = "" if kind == "CREATE" else statements.tag(kind, sql)
        self.parameters = types
        self.epoch = context.session.epoch

    def describe(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Announce the columns."""
        self._types = list(types)
        self._fetched = tuple(announced(one) for one in types)
        self._checks = [(place, PYTHON_HOLDS[one]) for place, one in enumerate(types) if one in PYTHON_HOLDS]
        self._as_they_are = all(one.expression is None for one in self._fetched)
        self._batch_rows = batch_rows([one.type_oid for one in self._fetched])
        self._may_be_brief = (_driver.HAS_BIND and self._kind == "SELECT" and not self.writes and not self._loose
                              and all(map(is_simple, types)))
        self.columns = tuple(
            Column(name=name, type_oid=one.type_oid, type_modifier=-1 if self._loose else one.type_modifier)
            for name, one in zip(names, self._fetched, strict=True))

    def execute(self, values: Sequence[Any]) -> Result:
        """Run; a query streams, anything else runs to its end first."""
        given: dict[int, Any] = {}
        text = self._text
        if values:
            given = {number: parameters.convert(values[number - 1], self.parameters[number - 1])
                     for number in self._casts}
            absent = {number: kind for number, kind in self._loose.items() if given[number] is None}
            if absent:
                text = _cast(self._sql, self._at, {**self._casts, **absent})
        session, con = self._context.session, self._context.con
        session.free()
        session.written += self.writes
        if self.columns is None:
            with session.translated(text.sql, text.original), session.changing(self._kind not in _KEEP_THE_CATALOG):
                changed = _driver.count(con, text.sql, given)
            tag = self._tag or statements.tag(self._kind, self._sql, created_from_query=changed is not None)
            return Result(tag=tag.replace("{}", str(changed or 0)))
        sql, position = self._wrapped(text) if self._kind == "SELECT" else (text.sql, text.original)
        try:
            if self._kind != "SELECT":
                stream = session.streaming(self._projected(_driver.relation(con, sql, given)).__arrow_c_stream__())
            else:
                if self.epoch != session.epoch:
                    self._check_unchanged(text.sql, given)
                    self.epoch = session.epoch
                if self._is_brief and (rows := self._few(given)) is not None:
                    return Result(rows=[rows] if rows else [], tag=self._tag)
                began = time.perf_counter()
                stream = session.streaming(_driver.stream(con, sql, given, self._batch_rows), partial(self._ran, began))
        except duckdb.Error as error:
            raise session.failure(str(error), sql, position) from error
        return Result(arrow=stream, tag=self._tag or statements.tag(self._kind, self._sql),
                      failure=lambda message: session.failure(message, sql, position))

    # Handing over an Arrow stream takes longer than a short query does.  The rows of one that gave few, and soon, when
    # it last ran are fetched as Python values.  Should they be many this time, or such as Python has no values for,
    # they are let go of, nothing having been sent, and the query begins again as a stream, now and from then on; so it
    # must be one that changes nothing.

    def _ran(self, began: float, rows: int) -> None:
        """A stream has ended that began at this time and had so many rows."""
        self._is_brief = self._may_be_brief and rows <= FEW and time.perf_counter() - began < SOON

    def _few(self, given: Mapping[int, Any]) -> list[tuple[Any, ...]] | None:
        con = self._context.con
        if self._parsed is None:
            self._parsed = con.extract_statements(self._text.sql)[0]
        rows, description = _driver.few(con, self._parsed, given, FEW)
        if description != self._description:
            if [str(column[1]) for column in description] == self._types:
                self._description = description
            else:
                rows = None  # the columns of a file that is another now
        if rows and self._checks:
            for place, holds in self._checks:
                if not all(row[place] is None or holds(row[place]) for row in rows):
                    rows = None
                    break
        if rows is None:
            _driver.let_go(con)
            self._may_be_brief = self._is_brief = False
        return rows

    def _wrapped(self, text: Rewritten) -> tuple[str, Callable[[int], int | None]]:
        """The query with the columns that do not travel as they are cast; outer names do not matter, order is kept."""
        if self._as_they_are:
            return text.sql, text.original
        names = [f"c{i}" for i in range(len(self._fetched))]
        start = f"SELECT {_list(self._fetched, names)} FROM (\n"
        return (f"{start}{text.sql}\n) AS febe({', '.join(names)})",
                lambda offset: text.original(offset - len(start)) if offset >= len(start) else None)

    def _projected(self, relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        if self._as_they_are:
            return relation
        return relation.project(_list(self._fetched, [f"#{i + 1}" for i in range(len(self._fetched))]))

    def _check_unchanged(self, sql: str, values: Mapping[int, Any]) -> None:
        """What was announced must still hold (plancache.c: RevalidateCachedQuery refuses the same way)."""
        signature = _driver.bind(self._context.con, sql, values)
        if signature is None:
            return
        now = tuple(announced(one) for one in signature.types or ())
        if [(one.type_oid, one.expression) for one in now] != [(one.type_oid, one.expression) for one in self._fetched]:
            raise EngineError("cached plan must not change result type", sqlstate="0A000",
                              routine="RevalidateCachedQuery")


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
    known = {number: casts[number] or engine.get(number) or _UNCAST.get(types[number - 1], "VARCHAR")
             for number in numbers}
    loose = {number: known[number] for number in numbers
             if casts[number] is None and types[number - 1] == oids.NUMERIC}
    statement = Statement(context, kind, sql, at, types, casts, loose)
    if at or signature is None:
        shown = _shown(sql, at, known)
        signature = _bind(context, shown.sql, shown.original, dict.fromkeys(known), kind=kind)
    assert signature is not None
    statement.writes = signature.writes or kind not in ("SELECT", "EXPLAIN", "CALL", "PRAGMA")
    if context.read_only and signature.writes:
        raise EngineError("cannot execute a statement that changes data in a read-only transaction", sqlstate="25006")
    if signature.names is not None and verb(sql) != "CHECKPOINT":
        # DuckDB names an expression by its text, in which the client wrote no casts
        statement.describe([_OUR_CAST.sub(r"$\1", name) for name in signature.names], signature.types or ())
    return statement


def _bind(context: Context, sql: str, position: Callable[[int], int | None],
          values: Mapping[int, Any] | None = None, *, kind: str | None = None) -> _driver.Signature | None:
    """The signature; with `kind`, of a statement whose parameters are typed, which every version can tell."""
    try:
        signature = _driver.bind(context.con, sql, values)
        return _driver.bind_without_help(context.con, kind, sql) if signature is None and kind else signature
    except duckdb.Error as error:
        text, prefix = _driver.located(context.con, sql, str(error))
        shift = len(prefix)
        raise context.session.failure(text, prefix + sql, lambda offset: position(offset - shift)
                                      if offset >= shift else None) from error


def _cast(sql: str, at: Sequence[Place], casts: Mapping[int, str | None]) -> Rewritten:
    return Rewritten(sql, at, lambda place: f"CAST(${place.number} AS {casts[place.number]})"
                     if casts[place.number] else None)


def _shown(sql: str, at: Sequence[Place], known: Mapping[int, str]) -> Rewritten:
    """The statement with every parameter typed, to be described."""
    if _driver.HAS_BIND:
        return _cast(sql, at, known)
    # a 1.x relation is lazy only without parameters
    return Rewritten(sql, at, lambda place: f"CAST(NULL AS {known[place.number]})")


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
            shown = _shown(sql, at, declared | found | tried)
            try:
                if _driver.bind(context.con, shown.sql, dict.fromkeys(numbers)) is None:
                    _driver.bind_without_help(context.con, kind, shown.sql)
            except duckdb.Error:
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
    statement = Statement(context, "MULTI", sql)
    statement.describe(relation.columns, [str(one) for one in relation.types])
    return statement


def _list(fetched: Sequence[Announced], names: Sequence[str]) -> str:
    return ", ".join(one.expression.format(name) if one.expression else name
                     for one, name in zip(fetched, names, strict=True))
