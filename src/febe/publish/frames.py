"""Changes as the stream carries them: CopyData messages with an XLogData each.

Those of a transaction that is sent while it is in progress tell the transaction, perhaps a subtransaction, that each
belongs to; the others do not.
"""

from __future__ import annotations

from collections.abc import Container
from struct import Struct

_HEAD = Struct("!cicqqq").pack
_STREAMED_HEAD = Struct("!cicqqqcI").pack
_LENGTH = Struct("!i").unpack_from
_LENGTH_AFTER = Struct("!ci").pack
_XID = Struct("!I").unpack_from
_XID_AT, _REST_AT = 31, 35
"""Where a change's transaction is, after type, length, w, two positions, a time and a letter, and what comes after."""


def frame(change: bytes, at: int) -> bytes:
    """A change whose positions are 0, as all but a record's last are."""
    return _HEAD(b"d", len(change) + 29, b"w", 0, 0, at) + change


def streamed_frame(change: bytes, at: int, xid: int) -> bytes:
    """The same of a transaction in progress."""
    return _STREAMED_HEAD(b"d", len(change) + 33, b"w", 0, 0, at, change[:1], xid) + change[1:]


def valid(data: bytes, void: Container[int]) -> bytes:
    """Changes of a transaction in progress without those of some transactions."""
    kept, pos = [], 0
    while pos < len(data):
        after = pos + 1 + _LENGTH(data, pos + 1)[0]
        if _XID(data, pos + _XID_AT)[0] not in void:
            kept.append(data[pos:after])
        pos = after
    return b"".join(kept)


def settled(data: bytes, void: Container[int]) -> bytes:
    """The same for who gets the transaction at its end: no change tells its transaction."""
    kept, pos = list[bytes](), 0
    while pos < len(data):
        length = _LENGTH(data, pos + 1)[0]
        after = pos + 1 + length
        if _XID(data, pos + _XID_AT)[0] not in void:
            kept += _LENGTH_AFTER(b"d", length - 4), data[pos + 5:pos + _XID_AT], data[pos + _REST_AT:after]
        pos = after
    return b"".join(kept)


__all__ = ["frame", "settled", "streamed_frame", "valid"]
