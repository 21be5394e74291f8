# mypy: disable-error-code="import-untyped,untyped-decorator,no-any-return"
"""Strings, bytes, UUIDs and JSON to bytes in both formats; bytea_output is hex."""

from __future__ import annotations

from decimal import Decimal
from json import JSONEncoder
from uuid import UUID

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

from febe._kernel import parse
from febe._kernel.errors import unfit

COMPILED: bool = cython.compiled

_OCTAL = frozenset("01234567")
_json = JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Json(str):
    """JSON that is text already: sent as it is, where any other str becomes a JSON string."""

    __slots__ = ()


@cython.cfunc
def string_bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise unfit("a str", value)
    data: bytes = value.encode()
    if b"\0" in data:
        raise ValueError("text cannot hold the character NUL")
    return data


@cython.cfunc
def char_binary(value: object) -> bytes:
    r"""Write a "char": one byte, of which those over 127 are spelled `\351` (charin)."""
    if not isinstance(value, str):
        raise unfit("a str", value)
    if len(value) == 4 and value[0] == "\\" and value[1] in "0123" and set(value[2:]) <= _OCTAL:
        return bytes([int(value[1:], 8)])
    data: bytes = value.encode()
    if len(data) > 1:
        raise ValueError("a char is one byte")
    return data or b"\0"


@cython.cfunc
def char_text(value: object) -> bytes:
    data: bytes = char_binary(value)
    if data == b"\0":
        return b""
    return f"\\{data[0]:03o}".encode() if data[0] > 127 else data


@cython.cfunc
def bytea_binary(value: object) -> bytes:
    if type(value) is bytes:
        return value
    if not isinstance(value, bytes | bytearray | memoryview):
        raise unfit("bytes", value)
    return bytes(value)


@cython.cfunc
def bytea_text(value: object) -> bytes:
    return b"\\x" + bytea_binary(value).hex().encode()


def _identity(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        return parse.parse_uuid(value.encode())
    raise unfit("a UUID", value)


@cython.cfunc
def uuid_text(value: object) -> bytes:
    return str(_identity(value)).encode()


@cython.cfunc
def uuid_binary(value: object) -> bytes:
    return _identity(value).bytes


def _spell(value: object) -> str:
    """Write JSON that holds Decimals, which the standard library's encoder cannot."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("JSON has no such number")
        return str(value)
    if isinstance(value, dict):
        # a key of another class becomes a string as the encoder makes it: {1: 0} -> {"1": 0}
        items = [(_json({key: 0}).removesuffix("0}")[1:], item) for key, item in value.items()]
        return "{" + ", ".join([key + _spell(item) for key, item in items]) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_spell, value))}]"
    return _json(value)


@cython.cfunc
def json_bytes(value: object) -> bytes:
    if isinstance(value, Json):
        return value.encode()
    try:
        text: str = _json(value)
    except TypeError:
        text = _spell(value)
    return text.encode()


@cython.cfunc
def jsonb_binary(value: object) -> bytes:
    return b"\1" + json_bytes(value)
