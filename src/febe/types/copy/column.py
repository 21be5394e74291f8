"""A column of a COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from febe.types._codec import Codec, Decode, Encode
from febe.types.copy.errors import CopyError


@dataclass(slots=True, kw_only=True)
class CopyColumn:
    """Its name, how its values are read and written, and whether the option DEFAULT may ask for its default.

    `typmod` is the type modifier, which tells a numeric's scale.
    """

    name: str
    codec: Codec
    has_default: bool = False
    typmod: int = -1


def decoders(columns: Sequence[CopyColumn], binary: bool) -> list[Decode]:
    """Give what reads each column; CopyError 42883 for a type that does not speak the format (copyfrom.c)."""
    found: list[Decode] = []
    for column in columns:
        decode = column.codec.decode_binary if binary else column.codec.decode_text
        if decode is None:
            raise CopyError(f"no {'binary ' * binary}input function available for type {column.codec.name}", "42883")
        found.append(decode)
    return found


def encoders(columns: Sequence[CopyColumn], binary: bool) -> list[Encode]:
    """Give what writes each column; CopyError 42883 for a type that does not speak the format (copyto.c)."""
    found: list[Encode] = []
    for column in columns:
        encode = column.codec.encode_binary if binary else column.codec.encode_text
        if encode is None:
            raise CopyError(f"no {'binary ' * binary}output function available for type {column.codec.name}", "42883")
        found.append(encode)
    return found
