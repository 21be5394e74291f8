"""Arrays as lists (manual: "Arrays"); int2vector and oidvector likewise.

An array whose lower bounds are not 1 is an `Array`, a list that knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from struct import unpack_from
from typing import Any

from febe._kernel import kinds
from febe._kernel.array_writers import ArrayTextWriter, ArrayWriter
from febe._kernel.arrays import ArrayReader, ArrayTextReader
from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types import oids
from febe.types._codec import BUILDERS, Codec, Registry, both
from febe.types._shapes import AnyArray, ArrayOf


class Array(list[Any]):
    """An array with the lower bound of each dimension: `Array([1, 2], (0,))` is `[0:1]={1,2}`.

    Equal to another array of the same bounds and elements, and to a plain list only where all bounds are 1.
    """

    __slots__ = ("lower_bounds",)
    __hash__ = None
    lower_bounds: tuple[int, ...]

    def __init__(self, values: Iterable[Any] = (), lower_bounds: tuple[int, ...] = (1,)) -> None:
        """Take lists of lists as deep as there are bounds."""
        super().__init__(values)
        self.lower_bounds = tuple(lower_bounds)

    def _same_bounds(self, other: object) -> bool:
        theirs = getattr(other, "lower_bounds", None)
        return theirs == self.lower_bounds if theirs is not None else set(self.lower_bounds) <= {1}

    def __eq__(self, other: object) -> bool:
        return list.__eq__(self, other) and self._same_bounds(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return f"Array({list.__repr__(self)}, {self.lower_bounds!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Array, (list(self), self.lower_bounds)


def _list(value: object) -> tuple[list[Any], tuple[int, ...] | None]:
    if isinstance(value, Array):
        return list(value), value.lower_bounds
    if type(value) is list:
        return value, None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's
        if value.dtype.kind in "mM":
            return _listed(value), None
        made = value.tolist()
        return (made if isinstance(made, list) else [made]), None
    if isinstance(value, str | bytes | bytearray | memoryview | dict) or not isinstance(value, Iterable):
        raise TypeError(f"a list wanted, not {type(value).__name__}")
    return list(value), None


def _listed(value: Any) -> list[Any]:
    """Keep numpy's dates and times as they are: as int they would be of no known unit."""
    return list(value) if value.ndim == 1 else [_listed(part) for part in value]


def array_codec(codec: Codec, element: Codec) -> Codec:
    """Give the codec of an array its functions from those of its element."""
    lists = element.lists
    return replace(
        codec, prefers_text=element.prefers_text,
        decode_text=element.decode_text if element.decode_text is None
        else ArrayTextReader(element.decode_text, element.delimiter, Array, lists),
        decode_binary=None if element.decode_binary is None
        else ArrayReader(element.decode_binary, element.oid, Array, lists),
        encode_text=None if element.encode_text is None
        else ArrayTextWriter(element.encode_text, element.delimiter, _list, lists),
        encode_binary=None if element.encode_binary is None
        else ArrayWriter(element.encode_binary, element.oid, _list, lists),
    )  # fmt: skip


def _build(registry: Registry, codec: Codec) -> Codec:
    assert isinstance(codec.shape, ArrayOf)
    return array_codec(codec, registry.by_oid(codec.shape.element))


BUILDERS[ArrayOf] = _build


def _vector(registry: Registry, oid: int, element: int, text: int) -> None:
    """int2vector or oidvector: numbers with blanks between in text, an array from 0 on in binary."""
    read = ArrayReader(text + 1, element, _unwrapped)
    write = ArrayWriter(text + 1, element, _zero_based)

    def decode_text(data: bytes) -> list[Any]:
        return [decode_value(text, part) for part in data.split()]

    def encode_text(value: object) -> bytes:
        return b" ".join([encode_value(text, part) for part in _list(value)[0]])

    both(registry, oid, (decode_text, read), (encode_text, write), lists=True)


def _unwrapped(values: list[Any], bounds: tuple[int, ...]) -> list[Any]:
    if bounds != (0,):
        raise ValueError("a vector has one dimension, from 0 on")
    return values


def _zero_based(value: object) -> tuple[list[Any], tuple[int, ...]]:
    values, bounds = _list(value)
    if bounds not in (None, (0,)):
        raise ValueError("a vector has one dimension, from 0 on")
    # The type's own functions refuse an array without dimension, so that an empty vector has none only in text.
    return values, (0,)


def any_array(registry: Registry) -> Callable[[bytes], Any]:
    """Read an array whose element type its own bytes tell, as pg_stats has them."""

    def decode(data: bytes) -> Any:
        if len(data) < 12:
            raise ValueError(f"{len(data)} bytes are no binary array")
        (oid,) = unpack_from("!I", data, 8)
        element = registry.by_oid(oid)
        read = element.decode_binary
        return ArrayReader(bytes if read is None else read, oid, Array, element.lists)(data)

    return decode


def _build_any(registry: Registry, codec: Codec) -> Codec:
    text = ArrayTextReader(kinds.STRING_TEXT, ",", Array)
    return replace(codec, decode_text=text, decode_binary=any_array(registry), encode_text=_no_array)


def _no_array(value: object) -> bytes:
    raise TypeError("an array of any type has no type of its own: cast the parameter to an array type")


BUILDERS[AnyArray] = _build_any


def register(registry: Registry) -> None:
    """Add the vectors and every built-in array."""
    _vector(registry, oids.INT2VECTOR, oids.INT2, kinds.INT2_TEXT)
    _vector(registry, oids.OIDVECTOR, oids.OID, kinds.OID_TEXT)
    for oid in (oids.ANYARRAY, oids.ANYCOMPATIBLEARRAY):
        registry.register(replace(registry.by_oid(oid), shape=AnyArray()))
    for oid, name, _, category, _, element in oids.TYPE_DATA:
        if element and (category == "A" or name == "_record") and oid not in (oids.INT2VECTOR, oids.OIDVECTOR):
            registry.register(replace(registry.by_oid(oid), shape=ArrayOf(element)))
