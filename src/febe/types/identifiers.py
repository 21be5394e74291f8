"""Numbers that name things in the system: xid, cid, xid8, tid, pg_lsn, snapshots and the reg* types (manual: "Object
Identifier Types", "pg_lsn Type").

The reg* types are asked for as text, which is the name that the type is for; in binary they are OIDs.  An encoder takes
either: a name only in text, in binary an int or anything with an `oid`.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import NamedTuple

from febe._kernel import kinds
from febe._kernel.encode import encode_value
from febe.types import oids
from febe.types._codec import Registry, both, hot

_UINT64 = Struct("!Q")
_TID = Struct("!IH")
_TID_TEXT = re.compile(rb"\((\d{1,10}),(\d{1,5})\)")
_LSN_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_SNAPSHOT_TEXT = re.compile(rb"(\d{1,20}):(\d{1,20}):([\d,]*)")
_MOST = 0xFFFFFFFFFFFFFFFF


class Lsn(int):
    """A position in the write-ahead log: an int that is written `16/B374D848`; made of an int or of that text."""

    __slots__ = ()

    def __new__(cls, position: int | str) -> Lsn:
        """Errors: ValueError for another text or beyond 64 bits."""
        if isinstance(position, str):
            match = _LSN_TEXT.fullmatch(position)
            if match is None:
                raise ValueError("a position in the log is written like 16/B374D848")
            position = int(match[1], 16) << 32 | int(match[2], 16)
        if not 0 <= position <= _MOST:
            raise ValueError("a position in the log has 64 bits")
        return int.__new__(cls, position)

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn('{self}')"


class Tid(NamedTuple):
    """A row's physical place in its table: block and number in the block."""

    block: int
    offset: int


class Snapshot(NamedTuple):
    """Which transactions a snapshot sees: all before `xmin`, none from `xmax` on, not those of `xip` between."""

    xmin: int
    xmax: int
    xip: tuple[int, ...]


def _uint64(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer wanted, not {type(value).__name__}")
    if not 0 <= value <= _MOST:
        raise OverflowError(f"integer out of range of {name}")
    return value


def _read_uint64(data: bytes, name: str) -> int:
    if len(data) != 8:
        raise ValueError(f"{len(data)} bytes are no binary {name}")
    return int(_UINT64.unpack(data)[0])


def _decode_xid8_text(data: bytes) -> int:
    if not data.isdigit() or len(data) > 20 or int(data) > _MOST:
        raise ValueError("invalid text for xid8")
    return int(data)


def _decode_lsn_text(data: bytes) -> Lsn:
    return Lsn(data.decode())


def _lsn(value: object) -> int:
    return Lsn(value) if isinstance(value, str) else _uint64(value, "pg_lsn")


def _decode_tid_text(data: bytes) -> Tid:
    match = _TID_TEXT.fullmatch(data)
    if match is None:
        raise ValueError("not a tid in the form (block,offset)")
    return Tid(*_tid((int(match[1]), int(match[2]))))


def _decode_tid(data: bytes) -> Tid:
    if len(data) != 6:
        raise ValueError(f"{len(data)} bytes are no binary tid")
    return Tid(*_TID.unpack(data))


def _tid(value: object) -> tuple[int, int]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise TypeError(f"a Tid wanted, not {type(value).__name__}")
    block, offset = value
    if not 0 <= block <= 0xFFFFFFFF or not 0 <= offset <= 0xFFFF:
        raise ValueError("tid out of range")
    return block, offset


def _decode_snapshot_text(data: bytes) -> Snapshot:
    match = _SNAPSHOT_TEXT.fullmatch(data)
    if match is None:
        raise ValueError("not a snapshot in the form xmin:xmax:xip,...")
    return _snapshot(Snapshot(int(match[1]), int(match[2]), tuple([int(xid) for xid in match[3].split(b",") if xid])))


def _decode_snapshot(data: bytes) -> Snapshot:
    count = int.from_bytes(data[:4], "big", signed=True)
    if len(data) < 20 or count != (len(data) - 20) // 8 or len(data) % 8 != 4:
        raise ValueError(f"{len(data)} bytes are no binary snapshot")
    xmin, xmax, *xip = Struct(f"!{count + 2}Q").unpack_from(data, 4)
    return _snapshot(Snapshot(xmin, xmax, tuple(xip)))


def _snapshot(value: object) -> Snapshot:
    if not isinstance(value, Snapshot):
        raise TypeError(f"a Snapshot wanted, not {type(value).__name__}")
    if not 0 < value.xmin <= value.xmax <= _MOST:
        raise ValueError("a snapshot's xmin is not after its xmax")
    if any(not value.xmin <= xid < value.xmax for xid in value.xip) or list(value.xip) != sorted(set(value.xip)):
        raise ValueError("a snapshot's transactions are in order, from xmin to before xmax")
    return value


def _encode_snapshot_text(value: object) -> bytes:
    found = _snapshot(value)
    return f"{found.xmin}:{found.xmax}:{','.join(map(str, found.xip))}".encode()


def _encode_snapshot(value: object) -> bytes:
    found = _snapshot(value)
    return Struct(f"!i{len(found.xip) + 2}Q").pack(len(found.xip), found.xmin, found.xmax, *found.xip)


def _decode_reg_text(data: bytes) -> str:
    return data.decode()


def _encode_reg_text(value: object) -> bytes:
    if isinstance(value, str):
        return encode_value(kinds.STRING_TEXT, value)
    return encode_value(kinds.OID_TEXT, value) if value else b"-"


def _encode_reg(value: object) -> bytes:
    if isinstance(value, str) and (value == "-" or value.isdigit()):
        value = 0 if value == "-" else int(value)
    return encode_value(kinds.OID_BINARY, getattr(value, "oid", value))


REG = (
    oids.REGPROC, oids.REGPROCEDURE, oids.REGOPER, oids.REGOPERATOR, oids.REGCLASS, oids.REGTYPE, oids.REGCONFIG,
    oids.REGDICTIONARY, oids.REGNAMESPACE, oids.REGROLE, oids.REGCOLLATION,
)  # fmt: skip


def register(registry: Registry) -> None:
    """Add the identifiers."""
    hot(registry, oids.XID, kinds.OID_TEXT)
    hot(registry, oids.CID, kinds.OID_TEXT)
    both(
        registry, oids.XID8, (_decode_xid8_text, lambda data: _read_uint64(data, "xid8")),
        (lambda value: str(_uint64(value, "xid8")).encode(), lambda value: _UINT64.pack(_uint64(value, "xid8"))),
    )  # fmt: skip
    both(
        registry, oids.PG_LSN, (_decode_lsn_text, lambda data: Lsn(_read_uint64(data, "pg_lsn"))),
        (lambda value: str(Lsn(_lsn(value))).encode(), lambda value: _UINT64.pack(_lsn(value))), Lsn,
    )  # fmt: skip
    both(
        registry, oids.TID, (_decode_tid_text, _decode_tid),
        (lambda value: "({},{})".format(*_tid(value)).encode(), lambda value: _TID.pack(*_tid(value))), Tid,
    )  # fmt: skip
    for oid in (oids.PG_SNAPSHOT, oids.TXID_SNAPSHOT):
        both(
            registry, oid, (_decode_snapshot_text, _decode_snapshot), (_encode_snapshot_text, _encode_snapshot),
            *((Snapshot,) if oid == oids.PG_SNAPSHOT else ()),
        )  # fmt: skip
    for oid in REG:
        both(registry, oid, (_decode_reg_text, kinds.OID_BINARY), (_encode_reg_text, _encode_reg), prefers_text=True)
