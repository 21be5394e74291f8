"""Large objects in memory, transactional (manual: "Large Objects").

A transaction works on copies of what it changes and puts them in place when it commits; the later commit wins.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from febe.server.engine import EngineError

WRITE, READ = 0x20000, 0x40000
"""INV_WRITE, INV_READ (libpq/libpq-fs.h)."""
LARGEST = 1 << 31
"""Bytes that one object may have; PostgreSQL's own limit is 4 TB, on disk."""
_FIRST_OID = 16384


class LargeObjects:
    """The objects of one server, by OID.  Another store overrides `read`, `oids` and `commit`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[int, bytes] = {}
        self._next = _FIRST_OID

    def read(self, oid: int) -> bytes | None:
        """An object's bytes; None: there is none."""
        return self._objects.get(oid)

    def oids(self) -> list[int]:
        """Those that there are."""
        with self._lock:
            return list(self._objects)

    def new_oid(self) -> int:
        """An OID that nobody has."""
        with self._lock:
            while self._next in self._objects:
                self._next += 1
            self._next += 1
            return self._next - 1

    def commit(self, changes: dict[int, bytes | None]) -> None:
        """Put a transaction's changes in place; None: the object is removed."""
        with self._lock:
            for oid, data in changes.items():
                if data is None:
                    self._objects.pop(oid, None)
                else:
                    self._objects[oid] = data


@dataclass(slots=True)
class _Descriptor:
    oid: int
    writes: bool
    position: int = 0


class LargeObjectSession:
    """One session's descriptors and what its transaction has changed.  Both end with the transaction."""

    def __init__(self, shared: LargeObjects) -> None:
        self._shared = shared
        self._changed: dict[int, bytearray | None] = {}
        self._open: dict[int, _Descriptor] = {}

    def oids(self) -> list[int]:
        """Those that this session sees."""
        unchanged = [oid for oid in self._shared.oids() if oid not in self._changed]
        return sorted([*unchanged, *(oid for oid, data in self._changed.items() if data is not None)])

    def create(self, oid: int = 0) -> int:
        """lo_create; 0 takes a free OID.  Errors: EngineError (42710)."""
        oid = oid or self._shared.new_oid()
        if self._bytes(oid) is not None:
            raise EngineError(f"large object {oid} already exists", sqlstate="23505")
        self._changed[oid] = bytearray()
        return oid

    def unlink(self, oid: int) -> None:
        """lo_unlink.  Errors: EngineError (42704)."""
        self._existing(oid)
        self._changed[oid] = None
        for number in [number for number, one in self._open.items() if one.oid == oid]:
            del self._open[number]

    def open(self, oid: int, mode: int) -> int:
        """lo_open.  Errors: EngineError (42704, 22023)."""
        if not mode & (READ | WRITE):
            raise EngineError(f"invalid flags for opening a large object: {mode}", sqlstate="22023")
        self._existing(oid)
        number = next(number for number in range(len(self._open) + 1) if number not in self._open)
        self._open[number] = _Descriptor(oid, bool(mode & WRITE))
        return number

    def close(self, number: int) -> None:
        """lo_close.  Errors: EngineError (42704)."""
        self._descriptor(number)
        del self._open[number]

    def read(self, number: int, length: int) -> bytes:
        """loread.  Errors: EngineError."""
        one = self._descriptor(number)
        data = bytes(self._existing(one.oid)[one.position:one.position + max(length, 0)])
        one.position += len(data)
        return data

    def write(self, number: int, data: bytes) -> int:
        """lowrite.  Errors: EngineError."""
        one = self._descriptor(number, writes=True)
        self.put(one.oid, one.position, data)
        one.position += len(data)
        return len(data)

    def seek(self, number: int, offset: int, whence: int) -> int:
        """lo_lseek.  Errors: EngineError (22023)."""
        one = self._descriptor(number)
        if whence not in (0, 1, 2):
            raise EngineError(f"invalid whence setting: {whence}", sqlstate="22023")
        base = (0, one.position, len(self._existing(one.oid)))[whence]
        if not 0 <= base + offset <= LARGEST:
            raise EngineError(f"invalid large object seek target: {base + offset}", sqlstate="22023")
        one.position = base + offset
        return one.position

    def tell(self, number: int) -> int:
        """lo_tell.  Errors: EngineError."""
        return self._descriptor(number).position

    def truncate(self, number: int, length: int) -> None:
        """lo_truncate; a longer length appends zeros.  Errors: EngineError (22023)."""
        one = self._descriptor(number, writes=True)
        if not 0 <= length <= LARGEST:
            raise EngineError(f"invalid large object truncation target: {length}", sqlstate="22023")
        data = self._own(one.oid)
        del data[length:]
        data.extend(bytes(length - len(data)))

    def get(self, oid: int, offset: int = 0, length: int | None = None) -> bytes:
        """lo_get.  Errors: EngineError (42704, 22023)."""
        if offset < 0 or (length is not None and length < 0):
            raise EngineError("requested length cannot be negative", sqlstate="22023")
        data = self._existing(oid)
        return bytes(data[offset:] if length is None else data[offset:offset + length])

    def put(self, oid: int, offset: int, data: bytes) -> None:
        """lo_put.  Errors: EngineError (42704, 54000)."""
        if offset + len(data) > LARGEST:
            raise EngineError(f"a large object may have {LARGEST} bytes at most", sqlstate="54000")
        held = self._own(oid)
        if len(held) < offset:
            held.extend(bytes(offset - len(held)))
        held[offset:offset + len(data)] = data

    def mark(self) -> object:
        """Where a savepoint stands."""
        return {oid: bytearray(data) if data is not None else None for oid, data in self._changed.items()}

    def back_to(self, mark: Any) -> None:
        """Undo what was done since a savepoint; descriptors opened since are closed with it in PostgreSQL, too."""
        self._changed = {oid: bytearray(data) if data is not None else None for oid, data in mark.items()}
        self._open.clear()

    def end(self, *, committed: bool) -> None:
        """The transaction is over."""
        changed, self._changed = self._changed, {}
        self._open.clear()
        if committed and changed:
            self._shared.commit({oid: bytes(data) if data is not None else None for oid, data in changed.items()})

    def _bytes(self, oid: int) -> bytes | bytearray | None:
        return self._changed[oid] if oid in self._changed else self._shared.read(oid)

    def _existing(self, oid: int) -> bytes | bytearray:
        found = self._bytes(oid)
        if found is None:
            raise EngineError(f"large object {oid} does not exist", sqlstate="42704")
        return found

    def _own(self, oid: int) -> bytearray:
        found = self._existing(oid)
        if not isinstance(found, bytearray):
            found = self._changed[oid] = bytearray(found)
        return found

    def _descriptor(self, number: int, *, writes: bool = False) -> _Descriptor:
        found = self._open.get(number)
        if found is None:
            raise EngineError(f"invalid large-object descriptor: {number}", sqlstate="42704")
        if writes and not found.writes:
            raise EngineError(f"large object descriptor {number} was not opened for writing", sqlstate="55000")
        return found
