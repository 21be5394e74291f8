"""text, varchar, bpchar, name, xml, jsonpath, refcursor, aclitem and unknown as str; "char" as str of one byte; void as
None (manual: "Character Types", "Pseudo-Types").  What statistics objects hold is text, and bytes in binary.
"""

from __future__ import annotations

from febe._kernel import kinds
from febe._kernel.encode import encode_value
from febe.types import oids
from febe.types._codec import Decode, Encode, Registry, both, hot


def _decode_void(data: bytes) -> None:
    if data:
        raise ValueError("void has no bytes")


def _encode_void(value: object) -> bytes:
    if value != "":
        raise TypeError("void has no value but None and the empty string")
    return b""


def _decode_version_1(data: bytes) -> str:
    if data[:1] != b"\1":
        raise ValueError("unknown version of the binary format")
    return data[1:].decode()


def _encode_version_1(value: object) -> bytes:
    return b"\1" + encode_value(kinds.STRING_BINARY, value)


VERSION_1: tuple[tuple[Decode, Decode], tuple[Encode, Encode]] = (
    (kinds.STRING_TEXT, _decode_version_1), (kinds.STRING_TEXT, _encode_version_1))  # fmt: skip
"""The pairs of a type whose binary format is a byte of 1 and its text (jsonpath_send, ltree_send)."""


def _encode_opaque(value: object) -> bytes:
    raise TypeError("PostgreSQL takes no value of this type")


def register(registry: Registry) -> None:
    """Add the string types."""
    both(registry, oids.JSONPATH, *VERSION_1)
    hot(registry, oids.REFCURSOR, kinds.STRING_TEXT)
    hot(registry, oids.PG_NODE_TREE, kinds.STRING_TEXT)
    for oid in (oids.PG_NDISTINCT, oids.PG_DEPENDENCIES, oids.PG_MCV_LIST, oids.PG_BRIN_BLOOM_SUMMARY,
                oids.PG_BRIN_MINMAX_MULTI_SUMMARY):  # fmt: skip
        both(registry, oid, (kinds.STRING_TEXT, kinds.BYTEA_BINARY), (_encode_opaque, _encode_opaque),
             prefers_text=True)  # fmt: skip
    hot(registry, oids.VARCHAR, kinds.STRING_TEXT)
    hot(registry, oids.BPCHAR, kinds.STRING_TEXT)
    hot(registry, oids.NAME, kinds.STRING_TEXT)
    hot(registry, oids.XML, kinds.STRING_TEXT)
    hot(registry, oids.UNKNOWN, kinds.STRING_TEXT)
    hot(registry, oids.CSTRING, kinds.STRING_TEXT)
    hot(registry, oids.TEXT, kinds.STRING_TEXT, str)
    hot(registry, oids.CHAR, kinds.CHAR_TEXT)
    both(registry, oids.VOID, (_decode_void, _decode_void), (_encode_void, _encode_void))
