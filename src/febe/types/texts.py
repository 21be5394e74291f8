"""A registry in which every value is the text that the server sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from febe.types import oids
from febe.types.registry import TYPES, Codec, Registry

TEXT = Codec(oid=oids.TEXT, name="text")
"""What is spoken as it stands."""


class Texts(Registry):
    """Knows every type, each by the text that PostgreSQL writes, which loses nothing."""

    __slots__ = ()

    def copy(self) -> Registry:
        return self

    def by_oid(self, oid: int) -> Codec:
        return replace(TEXT, oid=oid, name=TYPES.by_oid(oid).name)

    def unknown(self, oids: Sequence[int]) -> list[int]:
        return []


__all__ = ["TEXT", "Texts"]
