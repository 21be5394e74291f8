# mypy: disable-error-code="no-untyped-call,override"
"""SQLAlchemy's types as febe sends and reads them.

The server infers a parameter's type from where it stands; a cast says it where it stands alone.  Types that SQLAlchemy
reads and writes as str by itself - JSON, bit strings, text search - are given to it so: `as_text` tells the connection.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

from sqlalchemy import types
from sqlalchemy.dialects.postgresql import BYTEA, CITEXT, HSTORE, INTERVAL, OID, REGCLASS, REGCONFIG, ranges
from sqlalchemy.dialects.postgresql.array import ARRAY
from sqlalchemy.dialects.postgresql.json import JSONPathType
from sqlalchemy.engine import Dialect, processors

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import both
from febe.types.interval import Interval
from febe.types.ranges import Multirange, Range
from febe.types.registry import Registry

Process = Callable[[Any], Any]

TEXTS = (oids.JSON, oids.JSONB, oids.BIT, oids.VARBIT, oids.MONEY, oids.MACADDR, oids.MACADDR8, oids.TSVECTOR,
         oids.TSQUERY)
_FLOATS = (oids.FLOAT4, oids.FLOAT8, 1021, 1022)  # and arrays of them
ADDRESSES = (oids.INET, oids.CIDR)


def as_text(registry: Registry, addresses: bool) -> None:
    """Have the values of these types as str; those of `inet` and `cidr` too when SQLAlchemy was told so."""
    for oid in (*TEXTS, *ADDRESSES) if addresses else TEXTS:
        both(registry, oid, (kinds.STRING_TEXT, None), (kinds.STRING_TEXT, None))


class _Cast:
    """A type whose parameters say what they are."""

    render_bind_cast = True


class _Number:
    """Numbers come as int, float or Decimal, by the type that the server has."""

    render_bind_cast = True
    asdecimal: bool
    _effective_decimal_return_scale: int

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing is to be done."""

    def result_processor(self, dialect: Dialect, coltype: Any) -> Process | None:
        """Make a float of a Decimal, or the reverse, where the column is declared so."""
        is_float = coltype in _FLOATS
        if self.asdecimal and is_float:
            return processors.to_decimal_processor_factory(decimal.Decimal, self._effective_decimal_return_scale)
        return None if self.asdecimal or is_float else processors.to_float


class _Numeric(_Number, types.Numeric[Any]):
    pass


class _Float(_Number, types.Float[Any]):
    pass


class _Date(_Cast, types.Date):
    """Of a datetime the server would take the date."""

    def bind_processor(self, dialect: Dialect) -> Process:
        """The date of a datetime."""
        return lambda value: value.date() if isinstance(value, datetime.datetime) else value


class _Interval(_Cast, INTERVAL):
    """An interval with months, or an infinite one, is no timedelta and stays what it is."""

    @classmethod
    def adapt_emulated_to_native(cls, interval: types.Interval, **kw: Any) -> _Interval:
        """SQLAlchemy's generic Interval."""
        return cls(precision=interval.second_precision)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Process:
        """A timedelta where that is exact."""
        def process(value: Interval | None) -> Any:
            return value if value is None or value.is_infinite or value.months else value.timedelta()

        return process


class _Path(JSONPathType):
    """The path of `#>`: the server takes an array of text."""

    def bind_processor(self, dialect: Dialect) -> Process:
        """A str is taken to be one path of jsonpath's."""
        return lambda value: value if isinstance(value, str) else [str(step) for step in value or ()]


def _range_in(value: Any) -> Any:
    if not isinstance(value, ranges.Range):
        return value
    return Range.EMPTY if value.empty else Range(value.lower, value.upper, value.bounds)


def _range_out(value: Range) -> ranges.Range[Any]:
    if value.is_empty:
        return ranges.Range(empty=True)
    return ranges.Range(value.lower, value.upper, bounds=value.bounds)  # type: ignore[arg-type]


class _Range(ranges.AbstractSingleRangeImpl[Any]):
    def bind_processor(self, dialect: Dialect) -> Process:
        return _range_in

    def result_processor(self, dialect: Dialect, coltype: Any) -> Process:
        return lambda value: None if value is None else _range_out(value)


class _Multirange(ranges.AbstractMultiRangeImpl[Any]):
    def bind_processor(self, dialect: Dialect) -> Process:
        def process(value: Any) -> Any:
            return value if value is None or isinstance(value, str) else Multirange(_range_in(one) for one in value)

        return process

    def result_processor(self, dialect: Dialect, coltype: Any) -> Process:
        return lambda value: None if value is None else ranges.MultiRange(_range_out(one) for one in value)


class _Hstore(_Cast, HSTORE):
    """A dict on both sides."""

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing is to be done."""

    def result_processor(self, dialect: Dialect, coltype: Any) -> None:
        """Nothing is to be done."""


def _cast(of: Any) -> Any:
    return type(f"_{of.__name__}", (_Cast, of), {"__doc__": None})


COLSPECS: dict[Any, Any] = {
    **{of: _cast(of) for of in (
        types.String, types.CHAR, types.Integer, types.SmallInteger, types.BigInteger, types.Boolean,
        types.DateTime, types.Time, REGCLASS, REGCONFIG, OID)},
    types.Date: _Date,
    types.LargeBinary: _cast(BYTEA),
    types.ARRAY: _cast(ARRAY),
    types.Numeric: _Numeric,
    types.Float: _Float,
    types.Interval: _Interval,
    INTERVAL: _Interval,
    CITEXT: CITEXT,
    HSTORE: _Hstore,
    types.JSON.JSONPathType: _Path,
    types.JSON.JSONIntIndexType: type("_IntIndex", (_Cast, types.JSON.JSONIntIndexType),
                                      {"__visit_name__": "json_int_index"}),
    types.JSON.JSONStrIndexType: type("_StrIndex", (_Cast, types.JSON.JSONStrIndexType),
                                      {"__visit_name__": "json_str_index"}),
    ranges.AbstractSingleRange: _Range,
    ranges.AbstractMultiRange: _Multirange,
}

__all__ = ["COLSPECS", "as_text"]
