"""Ranges as Range, multiranges as Multirange (manual: "Range Types")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from typing import Any

from febe._kernel.ranges import (
    EMPTY,
    LOWER_INCLUSIVE,
    LOWER_INFINITE,
    UPPER_INCLUSIVE,
    UPPER_INFINITE,
    RangeReader,
    RangeTextReader,
    RangeWriter,
    parts,
    texts,
)
from febe.types import oids
from febe.types._codec import BUILDERS, Codec, Decode, Encode, Registry
from febe.types._shapes import MultirangeOf, RangeOf


class Range(tuple[Any, ...]):
    """All values between two bounds: `Range(1, 10)`, `Range(1, None, "(]")`, `Range.EMPTY`.

    `None` is a bound without limit.  `bounds` says whether each bound is inside, `[` and `]`, or not, `(` and `)`.
    """

    __slots__ = ()
    EMPTY: Range

    def __new__(cls, lower: Any = None, upper: Any = None, bounds: str = "[)") -> Range:
        """Errors: ValueError for other bounds; the order of the two is the server's to judge: it knows collations."""
        if bounds not in ("[)", "(]", "()", "[]"):
            raise ValueError("bounds are [), (], () or []")
        flags = LOWER_INFINITE if lower is None else LOWER_INCLUSIVE if bounds[0] == "[" else 0
        flags |= UPPER_INFINITE if upper is None else UPPER_INCLUSIVE if bounds[1] == "]" else 0
        return _range(flags, lower, upper)

    _flags: Any = property(itemgetter(0))
    lower: Any = property(itemgetter(1), doc="The lower bound; None: there is none.")
    upper: Any = property(itemgetter(2), doc="The upper bound; None: there is none.")

    @property
    def is_empty(self) -> bool:
        """Whether it holds no value."""
        return bool(self._flags & EMPTY)

    @property
    def bounds(self) -> str:
        """Which bounds are inside; of one without limit it is never said."""
        return ("[" if self._flags & LOWER_INCLUSIVE else "(") + ("]" if self._flags & UPPER_INCLUSIVE else ")")

    def __contains__(self, value: object) -> bool:
        flags, lower, upper = self
        if flags & EMPTY or value is None:
            return False
        if lower is not None and (value < lower or (value == lower and not flags & LOWER_INCLUSIVE)):
            return False
        return not (upper is not None and (value > upper or (value == upper and not flags & UPPER_INCLUSIVE)))

    def __bool__(self) -> bool:
        return not self.is_empty

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        return _order(self) < _order(other) if isinstance(other, Range) else NotImplemented

    def __le__(self, other: object) -> bool:
        return _order(self) <= _order(other) if isinstance(other, Range) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return _order(self) > _order(other) if isinstance(other, Range) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return _order(self) >= _order(other) if isinstance(other, Range) else NotImplemented

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        if self.is_empty:
            return "Range.EMPTY"
        return f"Range({self.lower!r}, {self.upper!r}{'' if self.bounds == '[)' else f', {self.bounds!r}'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _range, tuple(self)


def _order(value: Range) -> tuple[Any, ...]:
    """What ranges are ordered by (range_cmp): the empty one first, then by the lower bound, then by the upper."""
    flags, lower, upper = value
    if flags & EMPTY:
        return ((-1,),)
    return ((0,) if lower is None else (1, lower, not flags & LOWER_INCLUSIVE),
            (2,) if upper is None else (1, upper, bool(flags & UPPER_INCLUSIVE)))  # fmt: skip


def _range(flags: int, lower: Any, upper: Any) -> Range:
    return tuple.__new__(Range, (flags, lower, upper))


Range.EMPTY = _range(EMPTY, None, None)


class Multirange(tuple[Range, ...]):
    """Ranges in order that do not touch: `Multirange([Range(1, 3), Range(5, 8)])`."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return any(value == part if isinstance(value, Range) else value in part for part in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Multirange) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"Multirange({list(self)!r})"


def _split(value: object) -> tuple[int, object, object]:
    if not isinstance(value, Range):
        raise TypeError(f"a Range wanted, not {type(value).__name__}")
    return value._flags, value.lower, value.upper


def _build_range(registry: Registry, codec: Codec) -> Codec:
    assert isinstance(codec.shape, RangeOf)
    inner = registry.by_oid(codec.shape.subtype)
    return replace(
        codec, prefers_text=inner.prefers_text,
        decode_text=None if inner.decode_text is None else RangeTextReader(inner.decode_text, _range),
        decode_binary=None if inner.decode_binary is None else RangeReader(inner.decode_binary, _range),
        encode_text=None if inner.encode_text is None else RangeWriter(inner.encode_text, _split, False),
        encode_binary=None if inner.encode_binary is None else RangeWriter(inner.encode_binary, _split, True),
    )  # fmt: skip


def _build_multirange(registry: Registry, codec: Codec) -> Codec:
    assert isinstance(codec.shape, MultirangeOf)
    inner = registry.by_oid(codec.shape.range)
    return replace(
        codec, prefers_text=inner.prefers_text,
        decode_text=_reading(inner.decode_text, False), decode_binary=_reading(inner.decode_binary, True),
        encode_text=_writing(inner.encode_text, False), encode_binary=_writing(inner.encode_binary, True),
    )  # fmt: skip


def _reading(read: Decode | None, binary: bool) -> Decode | None:
    if read is None:
        return None
    assert callable(read)

    def decode(data: bytes) -> Multirange:
        return Multirange([read(part) for part in (parts(data) if binary else texts(data))])

    return decode


def _writing(write: Encode | None, binary: bool) -> Encode | None:
    if write is None:
        return None
    assert callable(write)

    def encode(value: object) -> bytes:
        if isinstance(value, Range) or not isinstance(value, Iterable) or isinstance(value, str):
            raise TypeError(f"a Multirange wanted, not {type(value).__name__}")
        written = [write(part) for part in value]
        if not binary:
            return b"{" + b",".join(written) + b"}"
        return b"".join([len(written).to_bytes(4, "big"), *[len(part).to_bytes(4, "big") + part for part in written]])

    return encode


BUILDERS[RangeOf] = _build_range
BUILDERS[MultirangeOf] = _build_multirange


def register(registry: Registry) -> None:
    """Add the built-in ranges and multiranges."""
    for oid, subtype, multirange in oids.RANGE_DATA:
        registry.register(replace(registry.by_oid(oid), shape=RangeOf(subtype)))
        registry.register(replace(registry.by_oid(multirange), shape=MultirangeOf(oid)))
