"""What a server's catalog says about types that are not built in (manual: "System Catalogs")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from febe.types import oids
from febe.types._codec import Codec
from febe.types._shapes import ArrayOf, CompositeOf, DomainOf, EnumOf, MultirangeOf, RangeOf, Shape

QUERY = """\
with recursive part(oid) as (
  select unnest($1::oid[])
  union
  select inner_oid from part join pg_catalog.pg_type t on t.oid = part.oid cross join lateral (
    select t.typelem where t.typcategory = 'A'
    union all select t.typbasetype
    union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
    union all select r.rngtypid from pg_catalog.pg_range r where (to_jsonb(r)->>'rngmultitypid')::oid = t.oid
    union all select a.atttypid from pg_catalog.pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) as inside(inner_oid) where inner_oid <> 0
)
select t.oid, t.typname::text, n.nspname::text, t.typlen, t.typarray, t.typdelim::text, t.typtype::text,
  case when t.typcategory = 'A' and t.typlen = -1 then t.typelem else 0 end,
  t.typbasetype,
  coalesce((select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid), 0),
  coalesce((select r.rngtypid from pg_catalog.pg_range r where (to_jsonb(r)->>'rngmultitypid')::oid = t.oid), 0),
  array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder),
  array(select a.attname::text from pg_catalog.pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum),
  array(select a.atttypid from pg_catalog.pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum)
from part join pg_catalog.pg_type t on t.oid = part.oid join pg_catalog.pg_namespace n on n.oid = t.typnamespace"""
"""Describes the types whose OIDs are `$1`, with all that they are made of.  Multiranges are there since version 14."""

COLUMNS = (
    oids.OID, oids.TEXT, oids.TEXT, oids.INT2, oids.OID, oids.TEXT, oids.TEXT, oids.OID, oids.OID, oids.OID, oids.OID,
    1009, 1009, 1028,
)  # fmt: skip
"""The types of its columns: text[] is 1009, oid[] 1028."""


def described(rows: Iterable[Sequence[Any]]) -> list[Codec]:
    """Make codecs of what QUERY gave.

    A base type that nobody has a codec for is text: its binary format is its own secret.
    """
    return [
        Codec(oid=oid, name=name, schema=schema, typlen=typlen, array_oid=array, delimiter=delimiter,
              shape=_shape(typtype, element, base, subtype, range_oid, labels, fields, parts))
        for (oid, name, schema, typlen, array, delimiter, typtype, element, base, subtype, range_oid, labels, fields,
             parts) in rows
    ]  # fmt: skip


def _shape(typtype: str, element: int, base: int, subtype: int, range_oid: int, labels: list[str], fields: list[str],
           parts: list[int]) -> Shape | None:  # fmt: skip
    """The shape that pg_type.typtype tells."""
    match typtype:
        case "d":
            return DomainOf(base)
        case "e":
            return EnumOf(tuple(labels))
        case "r":
            return RangeOf(subtype)
        case "m":
            return MultirangeOf(range_oid)
        case "c":
            return CompositeOf(tuple(zip(fields, parts, strict=True)))
    return ArrayOf(element) if element else None
