"""int2, int4, int8 and oid as int; float4 and float8 as float (manual: "Numeric Types").

A float4 is the float with the fewest digits that stands for it: 0.1, in both formats.
"""

from __future__ import annotations

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, hot


def register(registry: Registry) -> None:
    """Add the integers and the floating point types."""
    hot(registry, oids.INT2, kinds.INT2_TEXT)
    hot(registry, oids.INT4, kinds.INT4_TEXT)
    hot(registry, oids.INT8, kinds.INT8_TEXT, int)
    hot(registry, oids.OID, kinds.OID_TEXT)
    hot(registry, oids.FLOAT4, kinds.FLOAT4_TEXT)
    hot(registry, oids.FLOAT8, kinds.FLOAT8_TEXT, float)
