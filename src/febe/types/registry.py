"""The built-in types; every connection begins with a copy."""

from __future__ import annotations

from febe.types import boolean, bytea, datetime, json, numbers, numeric, strings, uuid
from febe.types._codec import Codec, Registry
from febe.types.oids import TYPE_DATA

__all__ = ["TYPES", "Codec", "Registry"]

TYPES = Registry()
"""PostgreSQL 18's types.  What no family below speaks is text, as str."""

for _oid, _name, _typlen, _category, _array, _element in TYPE_DATA:
    TYPES.register(Codec(oid=_oid, name=_name, typlen=_typlen, array_oid=_array))
for _family in (boolean, numbers, strings, bytea, datetime, numeric, uuid, json):
    _family.register(TYPES)
