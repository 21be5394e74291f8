"""Spark's types as PostgreSQL's: what a column is announced as, how its values travel, what a parameter becomes.

| Spark | PostgreSQL | remark |
|---|---|---|
| BOOLEAN, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, BINARY, DATE | the same | |
| TINYINT | int2 | |
| DECIMAL(p, s) | numeric(p, s) | |
| STRING, CHAR, VARCHAR | text | |
| TIMESTAMP | timestamptz | a point in time, as Spark means it |
| TIMESTAMP_NTZ; TIME | timestamp; time | |
| INTERVAL DAY TO SECOND | interval | |
| ARRAY, MAP, STRUCT, VARIANT | json | Spark's own `to_json` |
| everything else, such as INTERVAL YEAR TO MONTH; an untyped NULL | text | Spark's own cast to STRING |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import types as spark

from febe.types import oids

_TO_JSON, _TO_STRING = "to_json({})", "cast({} as string)"


@dataclass(slots=True, kw_only=True, frozen=True)
class Announced:
    """How a Spark type is announced; `expression` is None where the column travels as Spark's own Arrow type."""

    type_oid: int
    type_modifier: int = -1
    expression: str | None = None


_ANNOUNCED: dict[str, Announced] = {
    "boolean": Announced(type_oid=oids.BOOL),
    "tinyint": Announced(type_oid=oids.INT2),
    "smallint": Announced(type_oid=oids.INT2),
    "int": Announced(type_oid=oids.INT4),
    "bigint": Announced(type_oid=oids.INT8),
    "float": Announced(type_oid=oids.FLOAT4),
    "double": Announced(type_oid=oids.FLOAT8),
    "string": Announced(type_oid=oids.TEXT),
    "binary": Announced(type_oid=oids.BYTEA),
    "date": Announced(type_oid=oids.DATE),
    "timestamp": Announced(type_oid=oids.TIMESTAMPTZ),
    "timestamp_ntz": Announced(type_oid=oids.TIMESTAMP),
    "void": Announced(type_oid=oids.TEXT, expression=_TO_STRING),
    "variant": Announced(type_oid=oids.JSON, expression=_TO_JSON),
}


def announced(kind: spark.DataType) -> Announced:
    """How a column of this type is announced and fetched."""
    found = _ANNOUNCED.get(kind.simpleString())
    if found is not None:
        return found
    if isinstance(kind, spark.DecimalType):
        # numeric.c, make_numeric_typmod: precision and scale, plus the four bytes of the header
        return Announced(type_oid=oids.NUMERIC, type_modifier=(kind.precision << 16 | kind.scale) + 4)
    if isinstance(kind, spark.ArrayType | spark.MapType | spark.StructType):
        return Announced(type_oid=oids.JSON, expression=_TO_JSON)
    if isinstance(kind, spark.DayTimeIntervalType):
        return Announced(type_oid=oids.INTERVAL)
    if isinstance(kind, spark.CharType | spark.VarcharType | spark.StringType):
        return Announced(type_oid=oids.TEXT)
    if kind.simpleString().startswith("time("):
        return Announced(type_oid=oids.TIME)
    return Announced(type_oid=oids.TEXT, expression=_TO_STRING)


def _aware(value: datetime) -> datetime:
    return value.astimezone() if value.tzinfo is None else value


_AS_IT_IS: Callable[[Any], Any] = lambda value: value  # noqa: E731 - a table's entry
# A decimal's NULL has no precision of its own; DECIMAL(38,18) is what Spark takes a parameter without one for.
PARAMETERS: dict[int, tuple[spark.DataType, Callable[[Any], Any]]] = {
    oids.BOOL: (spark.BooleanType(), _AS_IT_IS),
    oids.INT2: (spark.ShortType(), _AS_IT_IS),
    oids.INT4: (spark.IntegerType(), _AS_IT_IS),
    oids.INT8: (spark.LongType(), _AS_IT_IS),
    oids.OID: (spark.LongType(), _AS_IT_IS),
    oids.FLOAT4: (spark.FloatType(), _AS_IT_IS),
    oids.FLOAT8: (spark.DoubleType(), _AS_IT_IS),
    oids.NUMERIC: (spark.DecimalType(38, 18), _AS_IT_IS),
    oids.BYTEA: (spark.BinaryType(), _AS_IT_IS),
    oids.DATE: (spark.DateType(), _AS_IT_IS),
    oids.TIMESTAMP: (spark.TimestampNTZType(), _AS_IT_IS),
    oids.TIMESTAMPTZ: (spark.TimestampType(), _aware),
    oids.UUID: (spark.StringType(), str),
    **dict.fromkeys((oids.TEXT, oids.VARCHAR, oids.BPCHAR, oids.NAME, oids.UNKNOWN), (spark.StringType(), _AS_IT_IS)),
}
"""What a parameter of a PostgreSQL type is for Spark, and how its value is given; others cannot be parameters."""

CASTS: dict[str, int] = {
    "bool": oids.BOOL, "boolean": oids.BOOL, "tinyint": oids.INT2, "smallint": oids.INT2, "int": oids.INT4,
    "integer": oids.INT4, "bigint": oids.INT8, "long": oids.INT8, "float": oids.FLOAT4, "real": oids.FLOAT4,
    "double": oids.FLOAT8, "decimal": oids.NUMERIC, "numeric": oids.NUMERIC, "string": oids.TEXT, "date": oids.DATE,
    "binary": oids.BYTEA, "timestamp": oids.TIMESTAMPTZ, "timestamp_ntz": oids.TIMESTAMP,
}
"""The parameter's type that a cast written right behind it asks for, by Spark's name of the type."""
