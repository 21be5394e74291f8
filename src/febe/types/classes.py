"""The best PostgreSQL type for a Python value, where nothing but the value tells it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from enum import Enum
from typing import Any

from febe.types import oids
from febe.types._codec import Registry
from febe.types.ranges import Multirange, Range

# numpy's kinds of scalars, and their sizes
_NUMPY = {"b1": oids.BOOL, "i1": oids.INT2, "i2": oids.INT2, "i4": oids.INT4, "i8": oids.INT8, "u1": oids.INT2,
          "u2": oids.INT4, "u4": oids.INT8, "u8": oids.NUMERIC, "f2": oids.FLOAT4, "f4": oids.FLOAT4,
          "f8": oids.FLOAT8}  # fmt: skip
# What holds both of two kinds of numbers
_WIDER = {frozenset({oids.INT8, oids.NUMERIC}): oids.NUMERIC, frozenset({oids.INT8, oids.FLOAT8}): oids.FLOAT8}
_RANGES = {subtype: oid for oid, subtype, _ in oids.RANGE_DATA}
_MULTIRANGES = {oid: multirange for oid, _, multirange in oids.RANGE_DATA}
_INT8 = range(-(1 << 63), 1 << 63)


def oid_of(registry: Registry, value: object) -> int:
    """The type's OID; 0 where no type is the best one.

    Integers are int8 whatever their size, so that a statement's types do not change with its values, and numeric beyond
    that.
    """
    python = type(value)
    if isinstance(value, list | tuple) and not hasattr(python, "_fields") and registry.by_class(python) is None:
        if isinstance(value, Range):
            return _range_of(registry, [value])
        if isinstance(value, Multirange):
            return _MULTIRANGES.get(_range_of(registry, value), 0)
        found = _common(registry, _leaves(value))
        return registry.by_oid(found).array_oid if found else 0
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "ndim"):
        found = _numpy(registry, value, dtype)
        return found if not value.ndim or not found else registry.by_oid(found).array_oid
    if isinstance(value, datetime) and value.tzinfo is None:
        return oids.TIMESTAMP
    if isinstance(value, time) and value.tzinfo is not None:
        return oids.TIMETZ
    codec = registry.by_class(python)
    if codec is None:
        return oid_of(registry, value.value) if isinstance(value, Enum) else 0
    if codec.oid == oids.INT8 and isinstance(value, int) and value not in _INT8:
        return oids.NUMERIC
    return codec.oid


def unknown_names(registry: Registry, value: object) -> set[str]:
    """The names of types that classes within the value were registered for, and that no catalog has been asked for."""
    if isinstance(value, list | tuple) and not hasattr(type(value), "_fields"):
        return set().union(*[unknown_names(registry, one) for one in value])
    name = registry.name_of_class(type(value))
    return {name} if name is not None and registry.by_class(type(value)) is None else set()


def _numpy(registry: Registry, value: Any, dtype: Any) -> int:
    known = _NUMPY.get(f"{dtype.kind}{dtype.itemsize}")
    if known is not None:
        return known
    if dtype.kind == "U":
        return oids.TEXT
    if dtype.kind == "M":
        return oids.DATE if str(dtype) == "datetime64[D]" else oids.TIMESTAMP
    if dtype.kind == "O" and value.ndim:
        return _common(registry, value.ravel().tolist())
    return 0


def _leaves(values: Iterable[object]) -> Iterable[object]:
    for one in values:
        if isinstance(one, list | tuple) and not hasattr(type(one), "_fields") and not isinstance(one, Range):
            yield from _leaves(one)
        elif one is not None:
            yield one


def _common(registry: Registry, values: Iterable[object]) -> int:
    """One type for all of these; text for none at all, 0 where there is none."""
    common = 0
    for one in values:
        found = oid_of(registry, one)
        if not found:
            return 0
        common = found if common in (0, found) else _WIDER.get(frozenset({common, found}), -1)
        if common < 0:
            return 0
    return common or oids.TEXT


def _range_of(registry: Registry, ranges: Iterable[Any]) -> int:
    """The built-in range over the type of the bounds; 0 where there are none."""
    bounds = [bound for one in ranges for bound in (one.lower, one.upper) if bound is not None]
    return _RANGES.get(_common(registry, bounds), 0) if bounds else 0


__all__ = ["oid_of", "unknown_names"]
