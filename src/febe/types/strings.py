"""text, varchar, bpchar, name, xml and unknown as str; "char" as str of one byte; void as None
(manual: "Character Types", "Pseudo-Types").
"""

from __future__ import annotations

from febe._kernel import kinds
from febe.types import oids
from febe.types._codec import Registry, both, hot


def _decode_char(data: bytes) -> str:
    """Read a "char": NUL is empty, a byte over 127 is a backslash and three octal digits (charout)."""
    if len(data) != 1:
        raise ValueError(f"{len(data)} bytes are no binary char")
    byte = data[0]
    return f"\\{byte:03o}" if byte > 127 else chr(byte) if byte else ""


def _encode_char(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"a str wanted, not {type(value).__name__}")
    if len(value) == 4 and value[0] == "\\" and value[1] in "0123" and set(value[2:]) <= set("01234567"):
        return bytes([int(value[1:], 8)])
    data = value.encode()
    if len(data) > 1:
        raise ValueError("a char is one byte")
    return data or b"\0"


def _decode_void(data: bytes) -> None:
    if data:
        raise ValueError("void has no bytes")


def _encode_void(value: object) -> bytes:
    if value != "":
        raise TypeError("void has no value but None and the empty string")
    return b""


def register(registry: Registry) -> None:
    """Add the string types."""
    hot(registry, oids.VARCHAR, kinds.STRING_TEXT)
    hot(registry, oids.BPCHAR, kinds.STRING_TEXT)
    hot(registry, oids.NAME, kinds.STRING_TEXT)
    hot(registry, oids.XML, kinds.STRING_TEXT)
    hot(registry, oids.UNKNOWN, kinds.STRING_TEXT)
    hot(registry, oids.CSTRING, kinds.STRING_TEXT)
    hot(registry, oids.TEXT, kinds.STRING_TEXT, str)
    hot(registry, oids.CHAR, kinds.STRING_TEXT, binary=(_decode_char, _encode_char))
    both(registry, oids.VOID, (_decode_void, _decode_void), (_encode_void, _encode_void))
