"""Which Arrow type a PostgreSQL type becomes, and what writes it.

| PostgreSQL | Arrow |
|---|---|
| bool | bool |
| int2, int4, int8 | int16, int32, int64 |
| oid, xid, cid and the reg* types in binary | uint32 |
| float4, float8 | float, double |
| numeric | decimal128 or decimal256 of its declared precision and scale; utf8 where none is declared |
| bytea | binary |
| uuid | fixed-size binary, extension arrow.uuid |
| date, time | date32, time64 of microseconds |
| timestamp, timestamptz | timestamp of microseconds, without zone and in UTC |
| interval | month-day-nano interval |
| enum | dictionary of utf8 |
| array | list |
| composite | struct |
| json, jsonb, the string types, all others | utf8: PostgreSQL's text form |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from febe._kernel import fill, usual
from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types import _arrow_columns as made
from febe.types import oids
from febe.types._codec import Codec, Registry
from febe.types._shapes import ArrayOf, CompositeOf, DomainOf, EnumOf
from febe.types.arrow import ArrowError, ArrowField

_NULLABLE = 2
_DEPTH = 16
"""How deep types may lie in one another: a composite type cannot hold itself, but a server may say so."""

_FIXED: dict[int, tuple[str, str, dict[str, bool]]] = {  # format, struct code of a value, what is to be looked at
    oids.INT2: ("s", "h", {}),
    oids.INT4: ("i", "i", {}),
    oids.INT8: ("l", "q", {}),
    oids.OID: ("I", "i", {}),
    oids.FLOAT4: ("f", "i", {}),
    oids.FLOAT8: ("g", "q", {}),
    oids.DATE: ("tdD", "i", {"moment": True}),
    oids.TIME: ("ttu", "q", {"time": True}),
    oids.TIMESTAMP: ("tsu:", "q", {"moment": True}),
    oids.TIMESTAMPTZ: ("tsu:UTC", "q", {"moment": True}),
}
_USUAL = {
    oids.INT2: usual.INT2, oids.INT4: usual.INT4, oids.INT8: usual.INT8, oids.FLOAT8: usual.FLOAT8,
    oids.BOOL: usual.BOOL, oids.DATE: usual.DATE, oids.TIMESTAMP: usual.TIMESTAMP,
    oids.TIMESTAMPTZ: usual.TIMESTAMPTZ,
}  # fmt: skip
_TEXTS = frozenset({oids.TEXT, oids.VARCHAR, oids.BPCHAR, oids.NAME, oids.JSON, oids.XML, oids.UNKNOWN, oids.CSTRING})
_FROM_ZERO = frozenset({22, 30})
"""int2vector and oidvector, whose lower bound is 0."""
_INFINITE = {"error": fill.ERROR, "null": fill.NULL, "largest": fill.LARGEST}


@dataclass(slots=True, frozen=True, kw_only=True)
class ArrowOptions:
    """What may be asked for by name.

    `numeric`: "declared" (decimal where precision and scale are declared, else text), "text" always, or (precision,
    scale) of a decimal for all that are not declared.  `infinite`: what becomes of infinite dates and timestamps: an
    "error", "null", or the "largest" and smallest value, which DuckDB takes for infinity.
    """

    numeric: Literal["declared", "text"] | tuple[int, int] = "declared"
    infinite: Literal["error", "null", "largest"] = "error"

    def __post_init__(self) -> None:
        if self.infinite not in _INFINITE:
            raise ValueError(f'infinite is "error", "null" or "largest", not {self.infinite!r}')
        if isinstance(self.numeric, tuple):
            precision, scale = self.numeric
            if not 1 <= precision <= 76 or not -76 <= scale <= 76:
                raise ValueError("a decimal has a precision of 1 to 76 digits")
        elif self.numeric not in ("declared", "text"):
            raise ValueError(f'numeric is "declared", "text" or (precision, scale), not {self.numeric!r}')


def _field(name: str, form: str, *children: ArrowField, extension: bytes = b"", labels: bool = False) -> ArrowField:
    metadata = {b"ARROW:extension:name": extension, b"ARROW:extension:metadata": b""} if extension else {}
    values = ArrowField(name="", format="u", flags=0, children=[], dictionary=None, metadata={}) if labels else None
    return ArrowField(
        name=name, format=form, flags=_NULLABLE, children=list(children), dictionary=values, metadata=metadata
    )


def _reader(decode: int | Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return decode if not isinstance(decode, int) else lambda data: decode_value(decode, data)


def _writer(encode: int | Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    return encode if not isinstance(encode, int) else lambda value: encode_value(encode, value)


def _to_binary(codec: Codec) -> made.Recode:
    """Make binary bytes of a value's text."""
    assert codec.decode_text is not None
    if codec.encode_binary is None:
        raise ArrowError(f"type {codec.name} has no binary format")
    read, write = _reader(codec.decode_text), _writer(codec.encode_binary)
    kind = _USUAL.get(codec.oid)
    return (lambda data: write(read(data))) if kind is None else made.UsualText(kind, lambda data: write(read(data)))


def _to_text(codec: Codec) -> made.Recode | None:
    """Make PostgreSQL's text of a value's binary bytes; None where they are the same."""
    if codec.decode_binary is None or codec.encode_text is None:
        raise ArrowError(f"type {codec.name} has no binary format")
    if codec.decode_binary == codec.decode_text == codec.encode_text:
        return None
    read, write = _reader(codec.decode_binary), _writer(codec.encode_text)
    return lambda data: write(read(data))


def declared(typmod: int) -> tuple[int, int] | None:
    """Give a numeric's precision and scale; None when they are not declared (numeric.c: numeric_typmod_scale)."""
    if typmod < 4:
        return None
    return (typmod - 4) >> 16 & 0xFFFF, (((typmod - 4) & 0x7FF) ^ 1024) - 1024


def column_for(
    name: str, codec: Codec, typmod: int, binary: bool, registry: Registry, options: ArrowOptions, depth: int = 0
) -> made.Growing:
    """Make what takes a column's values; ArrowError when there is nothing that could."""
    if depth > _DEPTH:
        raise ArrowError(f'column "{name}": types nested too deep')
    shape = codec.shape
    if isinstance(shape, DomainOf):
        return column_for(name, registry.by_oid(shape.base), typmod, binary, registry, options, depth + 1)
    if isinstance(shape, EnumOf):
        return made.Labels(_field(name, "i", labels=True), shape.labels)
    recode = None if binary else _to_binary
    if isinstance(shape, ArrayOf) and (binary or codec.encode_binary is not None):
        element = registry.by_oid(shape.element)
        inner = column_for("item", element, typmod, True, registry, options, depth + 1)
        lower = 0 if codec.oid in _FROM_ZERO else 1
        return made.Lists(_field(name, "+l", inner.field), inner, lower, recode and recode(codec))
    if isinstance(shape, CompositeOf) and shape is not CompositeOf.OPEN and (binary or codec.encode_binary is not None):
        parts = [column_for(part, registry.by_oid(oid), -1, True, registry, options, depth + 1)
                 for part, oid in shape.fields]  # fmt: skip
        return made.Structs(_field(name, "+s", *(part.field for part in parts)), parts, recode and recode(codec))
    simple = _simple(name, codec, typmod, binary, options)
    if simple is not None:
        return simple
    if not binary:
        return made.Strings(_field(name, "u"))
    return made.Strings(_field(name, "u"), _to_text(codec))


def _simple(name: str, codec: Codec, typmod: int, binary: bool, options: ArrowOptions) -> made.Growing | None:
    """Make the column of a type that the kernel knows; None: PostgreSQL's text is all there is."""
    oid = codec.oid
    if oid in _TEXTS:
        return made.Strings(_field(name, "u"))
    if oid == oids.JSONB:
        return made.Strings(_field(name, "u"), head=1 if binary else None)
    if oid == oids.NUMERIC:
        return _numeric(name, codec, typmod, binary, options)
    if not binary and codec.encode_binary is None:
        return None
    recode = None if binary else _to_binary(codec)
    if oid in _FIXED:
        form, code, looks = _FIXED[oid]
        return made.Fixed(_field(name, form), code, recode, infinite=_INFINITE[options.infinite], **looks)
    if oid == oids.BOOL:
        return made.Bools(_field(name, "b"), recode)
    if oid == oids.BYTEA:
        return made.Strings(_field(name, "z"), recode, text=False)
    if oid == oids.UUID:
        return made.Sized(_field(name, "w:16", extension=b"arrow.uuid"), 16, recode)
    if oid == oids.INTERVAL:
        return made.Intervals(_field(name, "tin"), recode)
    return None


def _numeric(name: str, codec: Codec, typmod: int, binary: bool, options: ArrowOptions) -> made.Growing:
    known = options.numeric if isinstance(options.numeric, tuple) else None
    if options.numeric != "text":
        known = declared(typmod) or known
    if known is None or known[0] > 76 or abs(known[1]) > 76:
        return made.NumericTexts(_field(name, "u")) if binary else made.Strings(_field(name, "u"))
    precision, scale = max(known[0], known[1]), known[1]
    form = f"d:{precision},{scale}" + (",256" if precision > 38 else "")
    return made.Decimals(_field(name, form), precision, scale, None if binary else _to_binary(codec))
