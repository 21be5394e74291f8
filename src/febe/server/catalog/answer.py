"""A catalog query, understood: columns of PostgreSQL's types, and rows from the private database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from febe.server.catalog import builtin, errors, lookups
from febe.server.catalog.rewrite import Rewritten
from febe.server.catalog.scope import REG, element
from febe.server.engine import Column, Prepared, Result
from febe.types import oids
from febe.types.oids import TYPE_DATA

if TYPE_CHECKING:
    from febe.server.catalog.engine import CatalogSession

Rows = list[tuple[Any, ...]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OIDS = {row[1]: row[0] for row in TYPE_DATA}
_NAMES = {row[0]: row[1] for row in TYPE_DATA}
# What a type of the private database is where nothing said which of PostgreSQL's was meant.
_KINDS = {"BOOLEAN": "bool", "SMALLINT": "int2", "TINYINT": "int2", "INTEGER": "int4", "BIGINT": "int8",
          "HUGEINT": "int8", "UINTEGER": "oid", "UBIGINT": "numeric", "FLOAT": "float4", "DOUBLE": "float8",
          "VARCHAR": "text", "DATE": "date", "TIME": "time", "TIMESTAMP": "timestamp", "BLOB": "bytea",
          "TIMESTAMP WITH TIME ZONE": "timestamptz", "INTERVAL": "interval", "UUID": "uuid", "NULL": "text",
          '"NULL"': "text", "UNKNOWN": "text", "JSON": "json"}


class RegName(str):
    """A value of the reg family: its text, and the OID that its binary form is."""

    __slots__ = ("oid",)
    oid: int


class Answer(Prepared):
    """A prepared catalog query."""

    writes = False

    def __init__(self, session: CatalogSession, wanted: Rewritten, given: Sequence[int]) -> None:
        self._session = session
        self._wanted = wanted
        self._rows: Rows | None = None
        self._state: object = None
        if wanted.parametrized or wanted.volatile:
            self.columns, self.parameters, self._kinds = describe(session, wanted, given)
        else:
            self.parameters = ()
            self.columns, self._kinds = self._run()
        self._sql = _fetched(wanted.sql, self._kinds)

    def _run(self) -> tuple[tuple[Column, ...], list[str | None]]:
        """Run it to see the columns: binding costs as much as the rest.  The rows are for the first execution."""
        con = self._session.connection(self._wanted)
        with errors.translated():
            con.execute(self._wanted.sql)
            columns, kinds = shown(self._wanted, [(one[0], str(one[1])) for one in con.description or ()])
            if "timestamptz" not in kinds:
                self._rows, self._state = con.fetchall(), self._session.state
        return columns, kinds

    def execute(self, values: Sequence[Any]) -> Result:
        """Run."""
        con = self._session.connection(self._wanted)
        kept, self._rows = self._rows, None
        named = {str(i + 1): _taken(value, self.parameters[i]) for i, value in enumerate(values)}
        with errors.translated():
            rows = kept if kept is not None and self._state is self._session.state else (
                con.execute(self._sql, named or None).fetchall())
            names = {kind: self._names(con, kind, rows) for kind in set(self._kinds)
                     if kind is not None and (kind in REG or element(kind) in REG)}
        makers = [(i, _maker(kind, names.get(kind or "", {}))) for i, kind in enumerate(self._kinds)]
        makers = [(i, maker) for i, maker in makers if maker is not None]
        if makers:
            made = []
            for row in rows:
                one = list(row)
                for i, maker in makers:
                    if one[i] is not None:
                        one[i] = maker(one[i])
                made.append(tuple(one))
            rows = made
        return Result(rows=[rows] if rows else [])

    def _names(self, con: Any, kind: str, rows: Sequence[Sequence[Any]]) -> dict[int, str]:
        """The texts of the objects that a column of the reg family names."""
        reg = kind.removeprefix("_")
        wanted: set[int] = set()
        for i, one in enumerate(self._kinds):
            if one == kind:
                for row in rows:
                    wanted.update(row[i] if isinstance(row[i], list) else () if row[i] is None else (row[i],))
        if not wanted:
            return {}
        self._session.require(lookups.needs(f"f_{reg}out"))
        found = con.execute(f"SELECT o, f_{reg}out(o) FROM (SELECT unnest(CAST(? AS UINTEGER[])) AS o)",
                            [sorted(wanted)]).fetchall()
        return dict(found)


def describe(session: CatalogSession, wanted: Rewritten,
             given: Sequence[int]) -> tuple[tuple[Column, ...], tuple[int, ...], list[str | None]]:
    """The columns, the parameters' types, and the columns' types by name."""
    con = session.connection(wanted)
    with errors.translated():
        names, types, found, *_ = con._bind(wanted.sql, with_writes=True, values=None)
        inferred = {int(name): str(kind) for name, kind in found}
        if any(kind == "UNKNOWN" for kind in inferred.values()) or any(str(t) == "UNKNOWN" for t in types):
            names, types, *_ = con._bind(wanted.sql, with_writes=True, values={
                str(number): _example(wanted.parameters.get(number), kind) for number, kind in inferred.items()})
    parameters = []
    for number in range(1, max([0, *inferred]) + 1):
        told = given[number - 1] if number <= len(given) else 0
        kind = wanted.parameters.get(number) or _kind_of(inferred.get(number, "UNKNOWN"))
        parameters.append(told if told not in (0, oids.UNKNOWN) else _OIDS.get(kind, oids.TEXT))
    columns, kinds = shown(wanted, list(zip(names, [str(one) for one in types], strict=True)))
    return columns, tuple(parameters), kinds


def shown(wanted: Rewritten, found: Sequence[tuple[str, str]]) -> tuple[tuple[Column, ...], list[str | None]]:
    """The columns with their types, given the private database's, and the types by name."""
    columns: list[Column] = []
    kinds: list[str | None] = []
    told_columns = wanted.columns if len(wanted.columns) == len(found) else [(name, None) for name, _ in found]
    for (name, inferred_kind), (_, bound) in zip(told_columns, found, strict=True):
        chosen = inferred_kind if inferred_kind is not None and _agrees(inferred_kind, bound) else _kind_of(bound)
        kinds.append(chosen)
        columns.append(Column(name=name, type_oid=_OIDS.get(chosen, oids.TEXT)))
    return tuple(columns), kinds


def _example(kind: str | None, inferred: str) -> Any:
    return None if inferred != "UNKNOWN" else [] if kind and kind.startswith("_") else ""


def _agrees(kind: str, bound: str) -> bool:
    kept = builtin.kept_as(kind)
    return (kept == bound or bound in ('"NULL"', "NULL") or (kind == "numeric" and bound == "VARCHAR")
            or (kept.startswith("DECIMAL") and bound.startswith("DECIMAL")))


def _kind_of(bound: str) -> str:
    if bound.endswith("[]"):
        return f"_{_kind_of(bound[:-2])}"
    return _KINDS.get(bound, "numeric" if bound.startswith("DECIMAL") else "text")


def _fetched(sql: str, kinds: Sequence[str | None]) -> str:
    """The query with its moments as microseconds, which DuckDB makes objects of without other packages."""
    if "timestamptz" not in kinds:
        return sql
    columns = [f"c{i}" for i in range(len(kinds))]
    chosen = [f"epoch_us({one})" if kind == "timestamptz" else one for one, kind in zip(columns, kinds, strict=True)]
    return f"SELECT {', '.join(chosen)} FROM ({sql}) AS q({', '.join(columns)})"


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _maker(kind: str | None, names: dict[int, str]) -> Any:
    """What makes a value of the private database one that is sent as `kind`; None: it is one."""
    if kind in REG:
        def name(value: int) -> RegName:
            made = RegName(names.get(value, str(value)))
            made.oid = value
            return made
        return name
    if kind == "timestamptz":
        return _moment
    if kind == "numeric":
        return Decimal  # it may have been too long for a number there
    if kind is not None and element(kind) in REG:
        one = _maker(element(kind), names)
        return lambda values: [None if value is None else one(value) for value in values]
    return None


def _taken(value: Any, oid: int) -> Any:
    """A parameter as the private database takes it."""
    if isinstance(value, str) and _NAMES.get(oid, "").startswith("_") and value.startswith("{"):
        inside = value[1:-1]
        return [item.strip().strip('"') for item in inside.split(",")] if inside else []
    return value
