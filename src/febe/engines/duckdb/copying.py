"""Rows of a COPY into a table of DuckDB's, in the session's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from febe.engines.duckdb import _driver, parameters, sources
from febe.engines.duckdb.types import announced, parameter_cast
from febe.server.engine import Column, CopyTarget, EngineError
from febe.types import oids
from febe.types.arrow_rows import ArrowBatch, ArrowOptions

if TYPE_CHECKING:
    from febe.engines.duckdb.session import DuckDBSession

# Their Python values are what DuckDB's client takes; the others are made fit one by one.
_AS_THEY_ARE = frozenset({oids.BOOL, oids.INT2, oids.INT4, oids.INT8, oids.FLOAT4, oids.FLOAT8, oids.TEXT, oids.BYTEA,
                          oids.UUID, oids.DATE, oids.TIMESTAMP, oids.TIMESTAMPTZ, oids.TIME})
# Their Arrow values are taken for what they are, and infinity for infinity.
_AS_ARROW = frozenset({oids.BOOL, oids.INT2, oids.INT4, oids.INT8, oids.FLOAT4, oids.FLOAT8, oids.TEXT, oids.BYTEA,
                       oids.DATE, oids.TIMESTAMP, oids.TIMESTAMPTZ})
_ARROW = "febe_copied"


class DuckDBCopy(CopyTarget):
    """Takes rows a batch at a time: each column is a list, which DuckDB takes apart."""

    def __init__(self, session: DuckDBSession, con: _driver.Connection, table: str, columns: Sequence[str],
                 where: str) -> None:
        self._session = session
        self._con = con
        names = ", ".join(map(sources.quoted, columns))
        query = f"SELECT {names or '*'} FROM {table}"
        with session.translated(query, lambda offset: None):
            signature = _driver.bind_query(con, query)
        shown = [announced(one) for one in signature.types or ()]
        self.columns = tuple(Column(name=name, type_oid=one.type_oid, type_modifier=one.type_modifier)
                             for name, one in zip(signature.names or (), shown, strict=True))
        into = ", ".join(sources.quoted(column.name) for column in self.columns)
        lists = ", ".join(f"unnest(CAST(${i} AS {parameter_cast(column.type_oid, None) or 'VARCHAR'}[])) "
                          f"AS {sources.quoted(column.name)}" for i, column in enumerate(self.columns, 1))
        self._insert = f"INSERT INTO {table} ({into}) SELECT * FROM (SELECT {lists}) AS copied"
        if where:
            self._insert += f" WHERE {where}"
        self._rows = 0
        if all(column.type_oid in _AS_ARROW or (column.type_oid == oids.NUMERIC and column.type_modifier >= 0)
               for column in self.columns):
            self.arrow = ArrowOptions(infinite="largest")
            self._from_arrow = f"INSERT INTO {table} ({into}) FROM {_ARROW}" + (f" WHERE {where}" if where else "")

    def write_arrow(self, batch: ArrowBatch) -> None:
        """Put rows into the table.  Errors: EngineError."""
        self._session.free()
        self._session.written += 1
        with self._session.translated(self._from_arrow, lambda offset: None):
            self._con.register(_ARROW, batch)
            try:
                self._rows += _driver.count(self._con, self._from_arrow, {}) or 0
            finally:
                self._con.unregister(_ARROW)

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Put rows into the table.  Errors: EngineError."""
        given = {}
        for number, (column, values) in enumerate(zip(self.columns, zip(*rows, strict=True), strict=True), 1):
            given[number] = list(values) if column.type_oid in _AS_THEY_ARE else _texts(values, column.type_oid)
        self._session.free()
        self._session.written += 1
        with self._session.translated(self._insert, lambda offset: None):
            self._rows += _driver.count(self._con, self._insert, given) or 0

    def finish(self) -> int:
        """How many rows were taken."""
        return self._rows

    def close(self) -> None:
        """The transaction is rolled back, and with it what was written."""


def _texts(values: Sequence[Any], oid: int) -> list[Any]:
    if oid == oids.NUMERIC:
        return [None if value is None else str(value) for value in values]
    return [parameters.convert(value, oid) for value in values]


def check_allowed(read_only: bool) -> None:
    """Errors: EngineError (25006)."""
    if read_only:
        raise EngineError("cannot execute COPY FROM in a read-only transaction", sqlstate="25006")
