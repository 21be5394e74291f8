"""Text forms to Python values: whatever PostgreSQL prints, and the plain spellings that its input functions also take.

Never compiled.  Compiled decoders read the usual spelling themselves and come here with any other, so both kernels
accept the same texts and refuse the others with the same words.
"""

from __future__ import annotations

import re
from binascii import Error as HexError
from binascii import unhexlify
from datetime import date, datetime
from decimal import Decimal
from math import isinf
from struct import Struct
from uuid import UUID, SafeUUID

from febe._kernel.far import FarDate, FarTimestamp, read_date, read_timestamp
from febe._kernel.floats import shortest_float4

_FLOAT4 = Struct("!f")
_BOOLS = {word[:length]: word in (b"true", b"yes", b"on", b"1")
          for word in (b"true", b"false", b"yes", b"no", b"on", b"off", b"1", b"0")
          for length in range(2 if word[:1] == b"o" else 1, len(word) + 1)}  # fmt: skip
"""Every prefix that names one word (PostgreSQL: parse_bool_with_len)."""

_NUMERIC = re.compile(rb"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,6})?|(?i:[+-]?inf(?:inity)?|nan))\s*", re.ASCII)
_UUID = re.compile(rb"\{?([0-9a-fA-F]{8})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{4})-?([0-9a-fA-F]{12})\}?")
_ESCAPE = re.compile(rb"\\(?:([0-3][0-7][0-7])|(\\))|\\")

_new = object.__new__
_set = object.__setattr__


def parse_bool(raw: bytes) -> bool:
    """Read a bool: `t`, `f`, or a unique prefix of true, false, yes, no, on, off, 1, 0."""
    value = _BOOLS.get(raw.strip().lower())
    if value is None:
        raise ValueError("invalid text for bool")
    return value


def parse_int(raw: bytes, low: int, high: int) -> int:
    """Read a decimal integer between `low` and `high`."""
    try:
        value = int(raw)
    except ValueError:
        raise ValueError("invalid text for an integer") from None
    if b"_" in raw:
        raise ValueError("invalid text for an integer")
    if value < low or value > high:
        raise ValueError(f"integer out of range {low} to {high}")
    return value


def parse_float(raw: bytes) -> float:
    """Read a float8: decimal, NaN, Infinity; refuses what is too large or too small, as float8in does."""
    if _NUMERIC.fullmatch(raw) is None:
        raise ValueError("invalid text for a floating point number")
    value = float(raw)
    if isinf(value) and b"i" not in raw.lower():
        raise ValueError("floating point number out of range")
    if value == 0.0 and raw.lower().partition(b"e")[0].strip(b"+-0. \t\r\n\v\f"):
        raise ValueError("floating point number out of range")
    return value


def parse_float4(raw: bytes) -> float:
    """Read a float4 into the float with the fewest digits that stands for it."""
    value = parse_float(raw)
    try:
        single: float = _FLOAT4.unpack(_FLOAT4.pack(value))[0]
    except OverflowError:
        raise ValueError("floating point number out of range") from None
    if single == 0.0 and value != 0.0:
        raise ValueError("floating point number out of range")
    short: float = shortest_float4(single)
    return short


def parse_numeric(raw: bytes) -> Decimal:
    """Read a numeric with all its digits."""
    match = _NUMERIC.fullmatch(raw)
    if match is None:
        raise ValueError("invalid text for numeric")
    return Decimal(match[1].decode())


def parse_bytea(raw: bytes) -> bytes:
    r"""Read a bytea: hex (`\x6162`) or escape format (`a\\b\001`)."""
    if raw.startswith(b"\\x"):
        try:
            return unhexlify(raw[2:])
        except HexError:
            raise ValueError("invalid hexadecimal digits for bytea") from None

    def unescape(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return bytes([int(match[1], 8)])
        if match[2]:
            return b"\\"
        raise ValueError("invalid escape for bytea")

    return _ESCAPE.sub(unescape, raw)


def parse_date(raw: bytes) -> date | FarDate:
    """Read an ISO date."""
    return read_date(raw)


def parse_timestamp(raw: bytes) -> datetime | FarTimestamp:
    """Read an ISO timestamp without zone."""
    return read_timestamp(raw, False)


def parse_timestamptz(raw: bytes) -> datetime | FarTimestamp:
    """Read an ISO timestamp with its offset from UTC, into UTC."""
    return read_timestamp(raw, True)


def parse_uuid(raw: bytes) -> UUID:
    """Read a UUID: 32 hexadecimal digits, with or without hyphens and braces."""
    match = _UUID.fullmatch(raw)
    if match is None or raw.startswith(b"{") != raw.endswith(b"}"):
        raise ValueError("invalid text for uuid")
    return new_uuid(unhexlify(b"".join(match.groups())))


def new_uuid(raw: bytes) -> UUID:
    """Make a UUID of 16 bytes without the checks of its constructor."""
    value = _new(UUID)
    _set(value, "int", int.from_bytes(raw, "big"))
    _set(value, "is_safe", SafeUUID.unknown)
    return value
