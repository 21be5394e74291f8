"""DuckDB's types as PostgreSQL's: what a column is announced as, and how its values travel.

A value travels as DuckDB's own Arrow type wherever the encoder can read that without loss.  Where it cannot, the column
is selected through an expression: nested and exotic types as text, and that text is DuckDB's own cast to VARCHAR.

| DuckDB | PostgreSQL | remark |
|---|---|---|
| BOOLEAN, SMALLINT, INTEGER, BIGINT, FLOAT, DOUBLE, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, UUID, BLOB | the same | |
| TINYINT, UTINYINT; USMALLINT; UINTEGER | int2; int4; int8 | the next that holds all values |
| UBIGINT, HUGEINT | numeric | what `sum` over integers gives |
| DECIMAL(p, s) | numeric(p, s) | |
| VARCHAR, ENUM | text | |
| JSON | json | |
| TIMESTAMP_S, _MS, _NS; TIMESTAMPTZ_NS; TIME_NS | timestamp; timestamptz; time | nanoseconds are cut to microseconds |
| INTERVAL | interval | hours beyond 2562047 are refused (22008): Arrow counts them in 64-bit nanoseconds |
| TIMETZ, BIT, BIGNUM, UHUGEINT, GEOMETRY, VARIANT | text | |
| lists and arrays of the types above | arrays | |
| lists of lists and the like, STRUCT, TUPLE, MAP, UNION | text | |
| untyped NULL | text | |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from febe.types import oids
from febe.types.registry import TYPES

_TEXT_CAST = "CAST({} AS VARCHAR)"
# Arrow counts the time of an interval in nanoseconds and DuckDB lets them wrap; hour() is the undivided microseconds.
_INTERVAL_CHECK = ("CASE WHEN abs(hour({0})) < 2562047 OR {0} IS NULL THEN {0} "
                   "ELSE error('interval out of range') END")


@dataclass(slots=True, kw_only=True, frozen=True)
class Announced:
    """How a DuckDB type is announced and fetched; `expression` is None when the column travels as it is."""

    type_oid: int
    type_modifier: int = -1
    expression: str | None = None


_AS_TEXT = Announced(type_oid=oids.TEXT, expression=_TEXT_CAST)
_PLAIN: dict[str, Announced] = {
    "BOOLEAN": Announced(type_oid=oids.BOOL),
    "TINYINT": Announced(type_oid=oids.INT2),
    "UTINYINT": Announced(type_oid=oids.INT2),
    "SMALLINT": Announced(type_oid=oids.INT2),
    "USMALLINT": Announced(type_oid=oids.INT4),
    "INTEGER": Announced(type_oid=oids.INT4),
    "UINTEGER": Announced(type_oid=oids.INT8),
    "BIGINT": Announced(type_oid=oids.INT8),
    "UBIGINT": Announced(type_oid=oids.NUMERIC),
    "HUGEINT": Announced(type_oid=oids.NUMERIC),
    "FLOAT": Announced(type_oid=oids.FLOAT4),
    "DOUBLE": Announced(type_oid=oids.FLOAT8),
    "DECIMAL": Announced(type_oid=oids.NUMERIC),
    "VARCHAR": Announced(type_oid=oids.TEXT),
    "BLOB": Announced(type_oid=oids.BYTEA),
    "UUID": Announced(type_oid=oids.UUID),
    "JSON": Announced(type_oid=oids.JSON),
    "ENUM": Announced(type_oid=oids.TEXT, expression=_TEXT_CAST),
    "DATE": Announced(type_oid=oids.DATE),
    "TIME": Announced(type_oid=oids.TIME),
    "TIME_NS": Announced(type_oid=oids.TIME, expression="CAST({} AS TIME)"),
    "TIMESTAMP": Announced(type_oid=oids.TIMESTAMP),
    "TIMESTAMP_S": Announced(type_oid=oids.TIMESTAMP, expression="CAST({} AS TIMESTAMP)"),
    "TIMESTAMP_MS": Announced(type_oid=oids.TIMESTAMP, expression="CAST({} AS TIMESTAMP)"),
    "TIMESTAMP_NS": Announced(type_oid=oids.TIMESTAMP, expression="CAST({} AS TIMESTAMP)"),
    "TIMESTAMP WITH TIME ZONE": Announced(type_oid=oids.TIMESTAMPTZ),
    "TIMESTAMPTZ_NS": Announced(type_oid=oids.TIMESTAMPTZ, expression="CAST({} AS TIMESTAMP WITH TIME ZONE)"),
    "INTERVAL": Announced(type_oid=oids.INTERVAL, expression=_INTERVAL_CHECK),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")

# Not of lists, structs, maps and unions: a list of lists need not be rectangular, as PostgreSQL's arrays are.
_ARRAY = re.compile(r"([A-Z_][A-Z_0-9 ]*(?:\(\d+,\s*\d+\))?)\[(\d*)\]")
_CAST = re.compile(r"CAST\(\{\} AS ([A-Z ]+)\)")


def _array(element: Announced, *, fixed: bool, element_type: str) -> Announced:
    """An array whose elements are announced as `element`."""
    oid = TYPES.by_oid(element.type_oid).array_oid
    cast = _CAST.fullmatch(element.expression) if element.expression is not None else None
    if not oid or (element.expression is not None and cast is None):
        return _AS_TEXT
    expression = f"CAST({{}} AS {cast[1] if cast else element_type}[])" if cast or fixed else None
    return Announced(type_oid=oid, type_modifier=element.type_modifier, expression=expression)


_SIMPLE = frozenset({"BOOLEAN", "TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT",
                     "UBIGINT", "HUGEINT", "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "UUID", "DATE", "TIMESTAMP", "TIME"})
_LONG = 1 << 16

PYTHON_HOLDS: dict[str, Callable[[Any], bool]] = {
    "DATE": lambda value: type(value) is date and date.min < value < date.max,
    "TIMESTAMP": lambda value: type(value) is datetime and datetime.min < value < datetime.max,
    "TIME": lambda value: type(value) is time,
    "VARCHAR": lambda value: len(value) <= _LONG,
    "BLOB": lambda value: len(value) <= _LONG,
}
"""Which values of a type the client package gives as they are: infinity is Python's last day to it and the day after
that, as 24:00, a text.  Long ones are not for rows that are encoded in one piece."""


def is_simple(duckdb_type: str) -> bool:
    """Whether the client package's Python values of a type are sent as the type's Arrow values are, when Python holds
    them.
    """
    return duckdb_type in _SIMPLE or _DECIMAL.fullmatch(duckdb_type) is not None


UNKNOWN = "UNKNOWN"
"""What DuckDB calls the type of a parameter it cannot infer."""

_VARIABLE_LENGTH = {oids.TEXT, oids.BYTEA, oids.JSON}


def announced(duckdb_type: str) -> Announced:
    """How a column of a DuckDB type, as its `str()` says it, is announced and fetched."""
    found = _PLAIN.get(duckdb_type)
    if found is not None:
        return found
    array = _ARRAY.fullmatch(duckdb_type)
    if array:
        return _array(announced(array[1]), fixed=bool(array[2]), element_type=array[1])
    decimal = _DECIMAL.fullmatch(duckdb_type)
    if decimal:
        # numeric.c, make_numeric_typmod: precision and scale, plus the four bytes of the header
        return Announced(type_oid=oids.NUMERIC, type_modifier=((int(decimal[1]) << 16) | int(decimal[2])) + 4)
    return _AS_TEXT


def batch_rows(type_oids: Sequence[int]) -> int:
    """How many rows a batch of these columns should have, for about 8 MB: a batch is what bounds the memory."""
    width = sum(256 if oid in _VARIABLE_LENGTH else 16 for oid in type_oids) or 16
    return max(2048, min(131072, (8 << 20) // width // 2048 * 2048))


PARAMETER_TYPES: dict[int, str] = {
    oids.BOOL: "BOOLEAN", oids.INT2: "SMALLINT", oids.INT4: "INTEGER", oids.INT8: "BIGINT", oids.OID: "BIGINT",
    oids.FLOAT4: "FLOAT", oids.FLOAT8: "DOUBLE", oids.NUMERIC: "DECIMAL",
    oids.TEXT: "VARCHAR", oids.VARCHAR: "VARCHAR", oids.BPCHAR: "VARCHAR", oids.NAME: "VARCHAR",
    oids.CHAR: "VARCHAR", oids.UNKNOWN: "VARCHAR",
    oids.BYTEA: "BLOB", oids.UUID: "UUID", oids.JSON: "JSON", oids.JSONB: "JSON",
    oids.DATE: "DATE", oids.TIME: "TIME", oids.TIMETZ: "TIME WITH TIME ZONE", oids.TIMESTAMP: "TIMESTAMP",
    oids.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE", oids.INTERVAL: "INTERVAL", oids.BIT: "BIT", oids.VARBIT: "BIT",
}
"""What a parameter of a PostgreSQL type is for DuckDB.  The key set is what a client may declare, with its arrays."""

_ARRAYS: dict[int, int] = {row[0]: row[4] for row in oids.TYPE_DATA if row[0] in PARAMETER_TYPES and row[4]}
_ELEMENTS = {array: element for element, array in _ARRAYS.items()}
TEXT_OIDS = frozenset(oid for oid, name in PARAMETER_TYPES.items() if name == "VARCHAR")
ARRAY_OIDS = frozenset(_ELEMENTS)


def parameter_oid(duckdb_type: str) -> int:
    """What a client is told about a parameter that DuckDB takes as `duckdb_type`."""
    # json is text to most drivers; announcing text lets all of them send it, and DuckDB casts
    oid = announced(duckdb_type).type_oid
    if oid in _ELEMENTS or oid in PARAMETER_TYPES:
        return oids.TEXT if oid == oids.JSON else oid
    return oids.TEXT


def parameter_cast(oid: int, inferred: str | None) -> str | None:
    """The DuckDB type to cast a parameter to, so that the statement means the same for every value; None for no cast.

    `inferred` is what DuckDB itself takes the parameter for.  Text stays bare where DuckDB wants another type: it then
    reads the value as it reads a quoted literal.  Decimals stay bare because the value brings its own scale.
    """
    if oid in TEXT_OIDS:
        return "VARCHAR" if inferred in (None, "VARCHAR") else None
    if oid == oids.NUMERIC:
        return inferred if inferred in ("HUGEINT", "UHUGEINT", "UBIGINT") else None
    if oid in _ELEMENTS:
        element = PARAMETER_TYPES[_ELEMENTS[oid]]
        return "DOUBLE[]" if element == "DECIMAL" else f"{element}[]"
    return PARAMETER_TYPES.get(oid)
