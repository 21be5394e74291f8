"""SQL's names of types (manual: "Data Types"; format_type.c)."""

from __future__ import annotations

import re

from febe.server.engine import EngineError
from febe.types.registry import TYPES

_SPELLED = {
    "int": "int4", "integer": "int4", "smallint": "int2", "bigint": "int8", "real": "float4", "float": "float8",
    "double precision": "float8", "decimal": "numeric", "dec": "numeric", "boolean": "bool",
    "character varying": "varchar", "char varying": "varchar", "character": "bpchar", "char": "bpchar",
    "bit varying": "varbit", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
    "time with time zone": "timetz", "time without time zone": "time",
}
_SPOKEN = {"int4": "integer", "int2": "smallint", "int8": "bigint", "float4": "real", "float8": "double precision",
           "bool": "boolean", "varchar": "character varying", "bpchar": "character", "varbit": "bit varying",
           "timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone",
           "timetz": "time with time zone", "time": "time without time zone"}


def oid_of(text: str) -> int:
    """The OID of the type that `text` names; a length or precision says nothing here.  Errors: EngineError (42704)."""
    name = " ".join(re.sub(r"\([^()]*\)", " ", text).replace("[", " [").split()).lower()
    array = False
    while (found := re.fullmatch(r"(.*?) ?(\[\d*\]|array)", name)) is not None:
        name, array = found[1], True
    name = name.removeprefix("pg_catalog.").strip('"')
    try:
        codec = TYPES.by_name(_SPELLED.get(name, name))
    except KeyError:
        raise EngineError(f'type "{text.strip()}" does not exist', sqlstate="42704") from None
    if array and not codec.array_oid:
        raise EngineError(f'type "{text.strip()}" does not exist', sqlstate="42704")
    return codec.array_oid if array else codec.oid


def name_of(oid: int) -> str:
    """The name by which PostgreSQL speaks of a built-in type (format_type)."""
    name = TYPES.by_oid(oid).name
    if name.startswith("_"):
        return _SPOKEN.get(name[1:], name[1:]) + "[]"
    return _SPOKEN.get(name, name)
