"""PostgreSQL's types: the classes that stand for their values, and the registry that says how they travel."""

from __future__ import annotations

from febe._kernel.far import EndOfDay, FarDate, FarTimestamp
from febe._kernel.row import Row
from febe._kernel.text_writers import Json
from febe.types._codec import Codec, Registry
from febe.types._shapes import ArrayOf, CompositeOf, DomainOf, EnumOf, MultirangeOf, RangeOf
from febe.types.arrays import Array
from febe.types.bits import BitString
from febe.types.extensions import SparseVector
from febe.types.geometry import Box, Circle, Line, LineSegment, Path, Point, Polygon
from febe.types.identifiers import Lsn, Snapshot, Tid
from febe.types.interval import Interval
from febe.types.money import Money
from febe.types.network import MacAddress
from febe.types.ranges import Multirange, Range
from febe.types.registry import TYPES
from febe.types.textsearch import TSOperand, TSOperator, TSPosition, TSQuery, TSVector

__all__ = [
    "TYPES", "Array", "ArrayOf", "BitString", "Box", "Circle", "Codec", "CompositeOf", "DomainOf", "EndOfDay", "EnumOf",
    "FarDate", "FarTimestamp", "Interval", "Json", "Line", "LineSegment", "Lsn", "MacAddress", "Money", "Multirange",
    "MultirangeOf", "Path", "Point", "Polygon", "Range", "RangeOf", "Registry", "Row", "Snapshot", "SparseVector",
    "TSOperand", "TSOperator", "TSPosition", "TSQuery", "TSVector", "Tid",
]  # fmt: skip
