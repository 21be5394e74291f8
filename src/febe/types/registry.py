"""The built-in types; every connection begins with a copy."""

from __future__ import annotations

from febe.types import (
    arrays,
    bits,
    boolean,
    bytea,
    composites,
    datetime,
    extensions,
    geometry,
    identifiers,
    interval,
    json,
    money,
    network,
    numbers,
    numeric,
    ranges,
    strings,
    textsearch,
    uuid,
)
from febe.types._codec import Codec, Registry
from febe.types.oids import TYPE_DATA

__all__ = ["TYPES", "Codec", "Registry"]

TYPES = Registry()
"""PostgreSQL 18's types, and by name those of extensions.  What no family below speaks is text, as str."""

for _oid, _name, _typlen, _category, _array, _element in TYPE_DATA:
    TYPES.register(Codec(oid=_oid, name=_name, typlen=_typlen, array_oid=_array))
for _family in (boolean, numbers, strings, bytea, datetime, interval, numeric, uuid, json, identifiers, money, bits,
                geometry, network, textsearch, composites, ranges, arrays, extensions):
    _family.register(TYPES)
