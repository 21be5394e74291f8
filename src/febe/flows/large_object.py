"""Large objects as files (manual: "Large Objects"), by way of function calls as libpq does it (fe-lobj.c)."""

from __future__ import annotations

from typing import Any

from febe.flows.function import Function, call
from febe.flows.session import Session
from febe.flows.transaction import Block
from febe.protocol.errors import Error
from febe.types.oids import BYTEA, INT4, INT8, OID
from febe.types.registry import TYPES

# pg_proc.dat; what is built in has the same OID in every version.
_OPEN = Function(oid=952, name="lo_open", arguments=(OID, INT4), result=INT4)
_CLOSE = Function(oid=953, name="lo_close", arguments=(INT4,), result=INT4)
_READ = Function(oid=954, name="loread", arguments=(INT4, INT4), result=BYTEA)
_WRITE = Function(oid=955, name="lowrite", arguments=(INT4, BYTEA), result=INT4)
_CREATE = Function(oid=715, name="lo_create", arguments=(OID,), result=OID)
_UNLINK = Function(oid=964, name="lo_unlink", arguments=(OID,), result=INT4)
_SEEK = Function(oid=3170, name="lo_lseek64", arguments=(INT4, INT8, INT4), result=INT8)
_TELL = Function(oid=3171, name="lo_tell64", arguments=(INT4,), result=INT8)
_TRUNCATE = Function(oid=3172, name="lo_truncate64", arguments=(INT4, INT8), result=INT4)

_READING, _WRITING = 0x40000, 0x20000  # libpq-fs.h
_MODES = {"r": _READING, "r+": _READING | _WRITING, "w": _WRITING, "w+": _READING | _WRITING}
_PIECE = 1 << 20
"""The most that one call carries; a message is held whole by both sides."""


class LargeObject:
    """One large object, open.  The server closes it with the transaction, so that it has one of its own if need be."""

    def __init__(self, session: Session, oid: int, mode: str) -> None:
        if mode.replace("b", "") not in _MODES:
            raise ValueError(f"the mode is one of {', '.join(_MODES)}, not {mode!r}")
        self.session = session
        self.oid = oid
        self.mode = mode.replace("b", "")
        self.is_open = False
        self._number = 0
        self._block: Block | None = None

    async def open(self) -> None:
        """Open it, in a transaction; one that is opened with w is emptied first.  Errors: PostgresError."""
        if self.session.core.transaction_status == "I":
            self._block = Block(session=self.session)
            await self._block.begin()
        try:
            self._number = await self._call(_OPEN, self.oid, _MODES[self.mode])
            self.is_open = True
            if self.mode[0] == "w":
                await self.truncate(0)
        except BaseException:
            self.is_open = False
            await self._end(commit=False)
            raise

    async def close(self, *, failed: bool = False) -> None:
        """Close it, and end a transaction of its own; once is enough.  Errors: PostgresError."""
        if not self.is_open:
            return
        self.is_open = False
        status = self.session.core.transaction_status
        try:
            if status == "T" and not failed:
                await self._call(_CLOSE, self._number)
        finally:
            await self._end(commit=not failed and status == "T")

    async def _end(self, *, commit: bool) -> None:
        block, self._block = self._block, None
        if block is not None and not block.ended:
            await (block.commit() if commit else block.rollback())

    async def read(self, size: int | None = -1) -> bytes:
        """So many bytes, fewer at the end; all that is left without a size.  Errors: PostgresError."""
        left = -1 if size is None else size
        found: list[bytes] = []
        while left:
            wanted = _PIECE if left < 0 else min(left, _PIECE)
            piece = await self._use(_READ, wanted)
            found.append(piece)
            if left > 0:
                left -= len(piece)
            if len(piece) < wanted:
                break
        return found[0] if len(found) == 1 else b"".join(found)

    async def write(self, data: Any) -> int:
        """Write bytes where it stands, and say how many.  Errors: PostgresError; EncodeError for what are no bytes."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"bytes wanted, not {type(data).__name__}")
        view = memoryview(data).cast("B")
        for at in range(0, len(view), _PIECE):
            piece = bytes(view[at:at + _PIECE])
            written = await self._use(_WRITE, piece)
            if written != len(piece):
                raise Error(f"{written} of {len(piece)} bytes were written")
        return len(view)

    async def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place counted from the beginning (0), from here (1) or from the end (2); say where that is."""
        return int(await self._use(_SEEK, offset, whence))

    async def tell(self) -> int:
        """Where it stands."""
        return int(await self._use(_TELL))

    async def truncate(self, size: int | None = None) -> int:
        """Make it so long, or as long as to where it stands; say how long."""
        size = await self.tell() if size is None else size
        await self._use(_TRUNCATE, size)
        return size

    async def _use(self, function: Function, *args: object) -> Any:
        if not self.is_open:
            raise ValueError("the large object is closed")
        return await self._call(function, self._number, *args)

    async def _call(self, function: Function, *args: object) -> Any:
        return await call(self.session, function, args, TYPES)


async def create(session: Session, oid: int = 0) -> int:
    """Make an empty large object, with this OID or, if 0, with any; return its OID.  Errors: PostgresError."""
    return int(await call(session, _CREATE, (oid,), TYPES))


async def unlink(session: Session, oid: int) -> None:
    """Delete a large object.  Errors: PostgresError."""
    await call(session, _UNLINK, (oid,), TYPES)


__all__ = ["LargeObject", "create", "unlink"]
