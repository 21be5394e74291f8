"""Element counts that a peer makes up: arrays, ranges, hstore, tsvector and their like, before memory is taken."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from febe.types import TYPES, Codec
from tests.types.live import decode

OURS = TYPES.copy()
OURS.learn([Codec(oid=90001, name="hstore", schema="public")])
HUGE = (0x7FFFFFFF, 0x7FFFFFFE, 0x10000000, 1_000_000, -1, -0x80000000)
# Type and what stands before and after the count in its binary form
PLACES = {
    "_int4: dimensions": ("_int4", b"", struct.pack("!ii", 0, 23)),
    "_int4: elements": ("_int4", struct.pack("!iii", 1, 0, 23), struct.pack("!i", 1)),
    "_int4: product of dimensions": (
        "_int4", struct.pack("!iiiii", 3, 0, 23, 65536, 1), struct.pack("!iii", 1, 65536, 1)),
    "_text: length of an element": ("_text", struct.pack("!iiiii", 1, 0, 25, 1, 1), b"a"),
    "int4range: length of a bound": ("int4range", b"\x02", b"\0\0\0\1"),
    "int4multirange: ranges": ("int4multirange", b"", b"\0\0\0\1\1"),
    "int4multirange: length of a range": ("int4multirange", struct.pack("!i", 1), b"\1"),
    "hstore: pairs": ("hstore", b"", b"\0\0\0\1a\xff\xff\xff\xff"),
    "hstore: length of a key": ("hstore", struct.pack("!i", 1), b"a"),
    "tsvector: lexemes": ("tsvector", b"", b"a\0\0\0"),
    "tsquery: operands": ("tsquery", b"", b"\1\0\0a\0"),
    "path: points": ("path", b"\1", bytes(16)),
    "polygon: points": ("polygon", b"", bytes(16)),
    "record: columns": ("record", b"", struct.pack("!ii", 23, 4) + bytes(4)),
    "bit: bits": ("varbit", b"", b"\xff"),
}


@pytest.mark.parametrize("count", HUGE)
@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_set_aside_for_a_count(place: str, count: int) -> None:
    """CVE class: counts in arrays, ranges, hstore and tsvector taken on trust."""
    name, before, after = PLACES[place]
    codec = OURS.by_name(name)
    tracemalloc.start()
    try:
        try:
            found = decode(codec, 1, before + struct.pack("!i", count) + after)
        except (ValueError, IndexError, OverflowError):
            pass
        else:
            # -1 is no value where a length stands, and an empty bit string may be all that is left
            assert count == -1, found
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
