"""The geometric types as tuples with names (manual: "Geometric Types"; geo_ops.c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from struct import Struct
from typing import Any, NamedTuple

from febe._kernel import kinds
from febe._kernel.encode import encode_value
from febe._kernel.rows import decode_value
from febe.types import oids
from febe.types._codec import Registry, both


class Point(NamedTuple):
    """A point."""

    x: float
    y: float


class Line(NamedTuple):
    """The endless line of a*x + b*y + c = 0."""

    a: float
    b: float
    c: float


class LineSegment(NamedTuple):
    """A line from one point to another (lseg)."""

    start: Point
    end: Point


class Box(NamedTuple):
    """A rectangle by its corners: `high` is the upper right one, `low` the lower left."""

    high: Point
    low: Point


class Path(NamedTuple):
    """Points joined by lines; in a closed path the last is joined to the first."""

    points: tuple[Point, ...]
    closed: bool


class Polygon(NamedTuple):
    """The corners of an area."""

    points: tuple[Point, ...]


class Circle(NamedTuple):
    """A circle."""

    center: Point
    radius: float


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple([decode_value(kinds.FLOAT8_BINARY, encode_value(kinds.FLOAT8_BINARY, value)) for value in values])  # type: ignore[misc]


def _text(value: float) -> str:
    return encode_value(kinds.FLOAT8_TEXT, value).decode()


def _point_text(point: Sequence[float]) -> str:
    return f"({_text(point[0])},{_text(point[1])})"


def _points(numbers: Sequence[float]) -> tuple[Point, ...]:
    return tuple([Point(*numbers[at : at + 2]) for at in range(0, len(numbers), 2)])


def _scan(data: bytes, remove: bytes, count: int | None = None) -> list[float]:
    """Read the numbers of a text whose brackets were looked at."""
    parts = data.translate(None, remove).split(b",")
    if count is not None and len(parts) != count:
        raise ValueError("invalid text for a geometric type")
    return [decode_value(kinds.FLOAT8_TEXT, part) for part in parts]  # type: ignore[misc]


def _unpack(data: bytes, count: int, start: int = 0) -> tuple[float, ...]:
    if len(data) != start + 8 * count:
        raise ValueError(f"{len(data)} bytes are no value of a geometric type")
    return Struct(f"!{count}d").unpack_from(data, start)


def _counted(data: bytes, start: int) -> tuple[float, ...]:
    count = int.from_bytes(data[start : start + 4], "big", signed=True)
    if len(data) < start + 4 or count < 1 or count != (len(data) - start - 4) // 16:
        raise ValueError(f"{count} points in {len(data)} bytes")
    return _unpack(data, 2 * count, start + 4)


def _flat(value: Any, kind: type) -> tuple[float, ...]:
    """The numbers of a value of fixed size."""
    if kind is Point or kind is Line:
        return _numbers(value)
    if kind is Circle:
        return _numbers((*value[0], value[1]))
    return _numbers((*value[0], *value[1]))


def _ordered(numbers: Sequence[float]) -> tuple[float, ...]:
    """A box's corners in their order (box_in)."""
    x1, y1, x2, y2 = numbers
    return (max(x1, x2), max(y1, y2), min(x1, x2), min(y1, y2))


def _fixed(
    registry: Registry, oid: int, kind: type, count: int, remove: bytes, make: Callable[..., Any],
    write: Callable[[Sequence[float]], str],
) -> None:  # fmt: skip
    pack = Struct(f"!{count}d").pack
    ordered = _ordered if kind is Box else tuple

    def flat(value: object) -> Sequence[float]:
        if not isinstance(value, tuple) or (type(value) is not kind and type(value) is not tuple):
            raise TypeError(f"a {kind.__name__} wanted, not {type(value).__name__}")
        try:
            numbers = ordered(_flat(value, kind))
        except (IndexError, TypeError, ValueError):
            numbers = ()
        if len(numbers) != count:
            raise TypeError(f"a {kind.__name__} has {count} numbers")
        if kind is Line and numbers[0] == 0 and numbers[1] == 0:
            raise ValueError("a and b of a line cannot both be zero")
        if kind is Circle and numbers[2] < 0:
            raise ValueError("the radius of a circle is not negative")
        return numbers

    both(
        registry, oid,
        (lambda data: make(*ordered(_scan(data, remove, count))), lambda data: make(*_unpack(data, count))),
        (lambda value: write(flat(value)).encode(), lambda value: pack(*flat(value))), kind,
    )  # fmt: skip


def _decode_path_text(data: bytes) -> Path:
    return Path(_points(_even(_scan(data, b"()[]"))), not data.startswith(b"["))


def _even(numbers: list[float]) -> list[float]:
    if len(numbers) % 2:
        raise ValueError("invalid text for a geometric type")
    return numbers


def _decode_path(data: bytes) -> Path:
    if data[:1] not in (b"\0", b"\1"):
        raise ValueError("invalid first byte of a path")
    return Path(_points(_counted(data, 1)), data[0] == 1)


def _decode_polygon_text(data: bytes) -> Polygon:
    return Polygon(_points(_even(_scan(data, b"()"))))


def _decode_polygon(data: bytes) -> Polygon:
    return Polygon(_points(_counted(data, 0)))


def _corners(value: object, kind: type) -> tuple[float, ...]:
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} wanted, not {type(value).__name__}")
    points = value[0]  # type: ignore[index]
    if not points or any(len(point) != 2 for point in points):
        raise ValueError(f"a {kind.__name__} has one point or more")
    return _numbers([number for point in points for number in point])


def _joined(numbers: Sequence[float]) -> str:
    return ",".join(map(_point_text, _points(numbers)))


def _encode_path_text(value: object) -> bytes:
    inner = _joined(_corners(value, Path))
    return (f"({inner})" if value.closed else f"[{inner}]").encode()  # type: ignore[attr-defined]


def _encode_path(value: object) -> bytes:
    numbers = _corners(value, Path)
    return Struct(f"!?i{len(numbers)}d").pack(bool(value.closed), len(numbers) // 2, *numbers)  # type: ignore[attr-defined]


def _encode_polygon_text(value: object) -> bytes:
    return f"({_joined(_corners(value, Polygon))})".encode()


def _encode_polygon(value: object) -> bytes:
    numbers = _corners(value, Polygon)
    return Struct(f"!i{len(numbers)}d").pack(len(numbers) // 2, *numbers)


def register(registry: Registry) -> None:
    """Add the geometric types."""
    _fixed(registry, oids.POINT, Point, 2, b"()", Point, _point_text)
    _fixed(registry, oids.LINE, Line, 3, b"{}", Line, lambda n: f"{{{','.join(map(_text, n))}}}")
    _fixed(registry, oids.LSEG, LineSegment, 4, b"()[]", lambda *n: LineSegment(*_points(n)),
           lambda n: f"[{_joined(n)}]")  # fmt: skip
    _fixed(registry, oids.BOX, Box, 4, b"()", lambda *n: Box(*_points(n)), _joined)
    _fixed(registry, oids.CIRCLE, Circle, 3, b"<>()", lambda x, y, r: Circle(Point(x, y), r),
           lambda n: f"<{_point_text(n)},{_text(n[2])}>")  # fmt: skip
    both(registry, oids.PATH, (_decode_path_text, _decode_path), (_encode_path_text, _encode_path), Path)
    both(registry, oids.POLYGON, (_decode_polygon_text, _decode_polygon), (_encode_polygon_text, _encode_polygon),
         Polygon)  # fmt: skip
    # box is the one type whose array has another delimiter (pg_type.typdelim)
    registry.register(replace(registry.by_oid(oids.BOX), delimiter=";"), Box)
