"""Big-endian numbers at a position: `i32(data, pos)[0]`; callers have checked the bounds.

Never compiled: compiled modules take the same names from `wire.pxd`, where they are inline C functions.
"""

from __future__ import annotations

import gc
from struct import Struct

i16 = Struct("!h").unpack_from
u16 = Struct("!H").unpack_from
i32 = Struct("!i").unpack_from
u32 = Struct("!I").unpack_from
i64 = Struct("!q").unpack_from
u64 = Struct("!Q").unpack_from
f4 = Struct("!f").unpack_from
f8 = Struct("!d").unpack_from
row_head = Struct("!BiH").unpack_from
"""Type byte, length word and number of columns of a DataRow."""
put16 = Struct("!H").pack_into
put32 = Struct("!i").pack_into
put64 = Struct("!q").pack_into
put_double = Struct("!d").pack_into


def put(out: bytearray, pos: int, data: bytes, size: int) -> None:
    """Copy bytes into a buffer that has the room."""
    out[pos : pos + size] = data


def within(value: object, low: int, high: int) -> bool:
    """Whether it is an int, and of no class derived from that, within these bounds."""
    return type(value) is int and low <= value <= high


def plain_length(value: object) -> int:
    """The length of a str of ASCII without NUL; -1 for everything else."""
    return len(value) if type(value) is str and value.isascii() and "\0" not in value else -1


def put_plain(out: bytearray, pos: int, value: str, size: int) -> None:
    """Copy such a str into a buffer that has the room."""
    out[pos : pos + size] = value.encode("ascii")


def collector_pause() -> bool:
    """Stop the cyclic collector; gives whether it ran."""
    running = gc.isenabled()
    gc.disable()
    return running


def collector_resume(running: bool) -> None:
    """Let the cyclic collector run again if it ran."""
    if running:
        gc.enable()
