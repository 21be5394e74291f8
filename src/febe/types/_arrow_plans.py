"""Which PostgreSQL types each Arrow format can be sent as, and how."""

from __future__ import annotations

from febe._kernel import assembly
from febe._kernel.plan import Plan

# PostgreSQL: pg_type.dat
BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID = 16, 17, 18, 19, 20, 21, 23, 25, 26
JSON, XML, FLOAT4, FLOAT8, UNKNOWN, BPCHAR, VARCHAR = 114, 142, 700, 701, 705, 1042, 1043
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC = 1082, 1083, 1114, 1184, 1186, 1700
UUID, JSONB = 2950, 3802

_STRINGS = frozenset((TEXT, VARCHAR, BPCHAR, NAME, UNKNOWN))
"""Types whose text and binary form are the string itself, so that any value may be sent as one."""

_INTEGERS = {  # struct code, and the types that hold every value of the format; the first is its own
    "c": ("b", (INT2, INT4, INT8, NUMERIC)),
    "C": ("B", (INT2, INT4, INT8, OID, NUMERIC)),
    "s": ("h", (INT2, INT4, INT8, NUMERIC)),
    "S": ("H", (INT4, INT8, OID, NUMERIC)),
    "i": ("i", (INT4, INT8, NUMERIC)),
    "I": ("I", (INT8, OID, NUMERIC)),
    "l": ("q", (INT8, NUMERIC)),
    "L": ("Q", (NUMERIC,)),
}
_WIDTHS = {INT2: 2, INT4: 4, OID: 4, INT8: 8}
_RANGES = {INT2: ("int2", -(2**15), 2**15 - 1), INT4: ("int4", -(2**31), 2**31 - 1), OID: ("oid", 0, 2**32 - 1),
           INT8: ("int8", 0, 2**63 - 1)}  # only uint64 is wider than int8, and read as signed it is negative

_FLOATS = {"e": ("h", (15, 10)), "f": ("i", (31, 23)), "g": ("q", (63, 52))}  # positions of sign and of fraction's end
_SINGLE, _DOUBLE = (31, 23), (63, 52)

_UNITS = {"s": (1_000_000, 1), "m": (1_000, 1), "u": (1, 1), "n": (1, 1_000)}  # to microseconds: multiply, divide

_LONG_MAX = 2**63 - 1
_EPOCH_DAYS = 10957  # 1970-01-01 to 2000-01-01
_DAY = 86_400_000_000

# PostgreSQL: IS_VALID_DATE, IS_VALID_TIMESTAMP (datatype/timestamp.h); days and microseconds since 2000-01-01.
_DATES = (-2451545, 2147483493 - 2451545)
_STAMPS = (-211813488000000000, 9223371331200000000 - 1)

Rebase = tuple[int, int, int, int, int, int, int]


def _rebase(
    multiply: int, divide: int, shift: int, low: int, high: int, infinite: int = 0, highest: int = 0
) -> Rebase:
    """Bound the source's values so that PostgreSQL's lie between `low` and `high`, and nothing overflows."""
    least = (low + shift) * divide if multiply == 1 else -(-(low + shift) // multiply)
    most = (high + shift) * divide + divide - 1 if multiply == 1 else (high + shift) // multiply
    return multiply, divide, shift, max(least, -_LONG_MAX), min(most, _LONG_MAX), infinite, highest


def _string(name: str, form: str, oid: int, binary: bool) -> Plan | None:
    """Strings: text of any type is taken to be that type's text; binary only where it is the string, or close to it."""
    layout, code = ("views", "") if form == "vu" else ("spans", "i" if form == "u" else "q")
    plan = Plan(name=name, layout=layout, code=code, form=assembly.COPY, text=True)
    if oid == CHAR:
        plan.type_name = "char"
        plan.form = assembly.CHAR_BYTE if binary else assembly.COPY
        plan.text = not binary
    elif oid == UUID and binary:
        plan.form, plan.type_name, plan.text = assembly.UUID_BYTES, "uuid", False
    elif oid == JSONB and binary:
        plan.form = assembly.VERSIONED
    elif binary and oid not in _STRINGS and oid not in (JSON, XML):
        return None
    return plan


def _bytes(name: str, form: str, oid: int, binary: bool) -> Plan | None:
    if form.startswith("w:"):
        plan = Plan(name=name, layout="fixed", size=int(form[2:]))
    elif form == "vz":
        plan = Plan(name=name, layout="views")
    else:
        plan = Plan(name=name, layout="spans", code="i" if form == "z" else "q")
    if oid == BYTEA:
        plan.form = assembly.COPY if binary else assembly.HEX
    elif form == "w:16" and (oid == UUID or oid in _STRINGS):
        plan.form = assembly.COPY if binary and oid == UUID else assembly.UUID_TEXT
    else:
        return None
    return plan


def _number(name: str, form: str, oid: int, binary: bool) -> Plan | None:
    if form in _INTEGERS:
        code, types = _INTEGERS[form]
        if oid in _STRINGS:
            oid, binary = types[0], False
        if oid not in types:
            return _narrowed(name, code, oid, binary)
        if oid == NUMERIC:
            return Plan(name=name, layout="words", code=code, form="numeric", binary=binary)
        if binary:
            return Plan(name=name, layout="words", code=code, form="fixed", width=_WIDTHS[oid])
        return Plan(name=name, layout="words", code=code, form="integer")
    if form in _FLOATS:
        code, bits = _FLOATS[form]
        if oid in _STRINGS:
            oid, binary = (FLOAT8 if form == "g" else FLOAT4), False
        if oid not in (FLOAT4, FLOAT8) or (oid == FLOAT4 and form == "g"):
            return None
        wide = _SINGLE if oid == FLOAT4 else _DOUBLE
        plan = Plan(name=name, layout="words", code=code, form="float4" if oid == FLOAT4 else "float8")
        plan.widen = (*bits, *wide) if bits != wide else None
        if binary:
            plan.form, plan.width = "fixed", 4 if oid == FLOAT4 else 8
        return plan
    if form.startswith("d:"):
        _, scale, *bits_of = (int(part) for part in form[2:].split(","))
        size = bits_of[0] if bits_of else 128
        if size not in (32, 64, 128, 256) or not -128 <= scale <= 128 or (oid != NUMERIC and oid not in _STRINGS):
            return None
        plan = Plan(name=name, layout="decimal", size=size // 32, form="numeric", scale=scale)
        plan.binary = binary and oid == NUMERIC
        if size == 32:
            plan.layout, plan.code = "words", "i"
        return plan
    if form == "b" and (oid == BOOL or oid in _STRINGS):
        if binary and oid == BOOL:
            return Plan(name=name, layout="words", code="?", form="fixed", width=1)
        return Plan(name=name, layout="words", code="?", form="boolean")
    return None


def _narrowed(name: str, code: str, oid: int, binary: bool) -> Plan | None:
    """Integers of a wider type, each of which is looked at: a data frame has int64 wherever nobody chose another."""
    if oid not in _RANGES:
        return None
    plan = Plan(name=name, layout="words", code=code, form="integer", type_name=_RANGES[oid][0], whole=True)
    plan.rebase = _rebase(1, 1, 0, *_RANGES[oid][1:])
    if binary:
        plan.form, plan.width = "fixed", _WIDTHS[oid]
    return plan


def _moment(name: str, form: str, oid: int, binary: bool) -> Plan | None:
    """Dates, times, timestamps and intervals; nanoseconds are rounded down to PostgreSQL's microseconds."""
    kind, unit = form[:2], form[2:3]
    plan = Plan(name=name, layout="words", code="q")
    width = 8
    if form in ("tdD", "tdm"):
        own, plan.form, plan.code, width = DATE, "date", "i" if unit == "D" else "q", 4
        infinite = 2**31 - 1 if unit == "D" else 0
        divide = 1 if unit == "D" else 86_400_000
        plan.rebase = _rebase(1, divide, _EPOCH_DAYS, *_DATES, infinite, 2**31 - 1)
    elif kind == "tt" and unit in _UNITS:
        own, plan.form, plan.code = TIME, "time", "i" if unit in "sm" else "q"
        plan.rebase = _rebase(*_UNITS[unit], 0, 0, _DAY)
    elif kind == "ts" and unit in _UNITS and form[3:4] == ":":
        own = TIMESTAMPTZ if form[4:] else TIMESTAMP
        plan.form = "timestamptz" if form[4:] else "timestamp"
        plan.rebase = _rebase(*_UNITS[unit], _EPOCH_DAYS * _DAY, *_STAMPS, _LONG_MAX, _LONG_MAX)
    elif (kind == "tD" and unit in _UNITS) or form in ("tiM", "tiD", "tin"):
        own, plan.form, plan.layout = INTERVAL, "interval", "interval"
        plan.code = "" if kind == "tD" else unit.upper()
        units = {"D": (1_000, 1), "N": (1, 1_000), "M": (1, 1)}[plan.code] if plan.code else _UNITS[unit]
        plan.rebase = _rebase(*units, 0, -_LONG_MAX, _LONG_MAX)
    else:
        return None
    if oid != own and oid not in _STRINGS:
        return None
    plan.type_name = str(plan.form)
    if binary and oid == own:
        if plan.layout == "interval":
            plan.binary = True
        else:
            plan.form, plan.width = "fixed", width
    return plan


def plan_for(name: str, form: str, values: str | None, oid: int, binary: bool) -> Plan | None:
    """Plan how a column of Arrow format `form` (indices into a dictionary of `values`) is sent; None: it cannot."""
    if values is not None:
        if form not in _INTEGERS:
            return None
        inner = plan_for(name, values, None, oid, binary)
        return inner and Plan(name=name, layout="dictionary", code=_INTEGERS[form][0], values=inner, form=assembly.COPY)
    if form == "n":
        return Plan(name=name, layout="null")
    if form in ("u", "U", "vu"):
        return _string(name, form, oid, binary)
    if form in ("z", "Z", "vz") or form.startswith("w:"):
        return _bytes(name, form, oid, binary)
    return _moment(name, form, oid, binary) if form.startswith("t") else _number(name, form, oid, binary)
