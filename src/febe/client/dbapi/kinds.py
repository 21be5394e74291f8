"""Kinds of types, for comparison with a column's `type_code`, and the constructors of values (PEP 249, "Type Objects
and Constructors")."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from febe.types import oids


class Kind:
    """Some types, equal to the OID of each of them."""

    def __init__(self, name: str, types: Iterable[int]) -> None:
        self.name = name
        self.types = frozenset(types)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, int) and other in self.types)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name


STRING = Kind("STRING", (oids.TEXT, oids.VARCHAR, oids.BPCHAR, oids.NAME, oids.CHAR, oids.UNKNOWN))
BINARY = Kind("BINARY", (oids.BYTEA,))
NUMBER = Kind("NUMBER", (oids.INT2, oids.INT4, oids.INT8, oids.FLOAT4, oids.FLOAT8, oids.NUMERIC))
DATETIME = Kind("DATETIME", (oids.DATE, oids.TIME, oids.TIMETZ, oids.TIMESTAMP, oids.TIMESTAMPTZ, oids.INTERVAL))
ROWID = Kind("ROWID", (oids.OID,))

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> datetime.date:
    """The local date at a time counted in seconds since 1970."""
    return datetime.date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> datetime.time:
    """The local time of day at a time counted in seconds since 1970."""
    return datetime.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks: float) -> datetime.datetime:
    """The moment, with its zone, at a time counted in seconds since 1970."""
    return datetime.datetime.fromtimestamp(ticks).astimezone()


__all__ = ["BINARY", "DATETIME", "NUMBER", "ROWID", "STRING", "Binary", "Date", "DateFromTicks", "Kind", "Time",
           "TimeFromTicks", "Timestamp", "TimestampFromTicks"]
