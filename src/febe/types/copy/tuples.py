"""COPY data in binary format, cut anywhere, to whole tuples (manual: "COPY", Binary Format)."""

from __future__ import annotations

from struct import unpack_from

from febe._kernel.copy_binary import TupleScanner
from febe.types.copy.encoder import SIGNATURE
from febe.types.copy.errors import CopyError
from febe.types.copy.faults import fault_of

_FIXED = len(SIGNATURE) + 8


class TupleFeed:
    """Reads the header, keeps the tuple that has not ended yet, and counts."""

    def __init__(self, names: list[str], limit: int) -> None:
        self._names = names
        self._scanner = TupleScanner(len(names), limit)
        self._held: list[bytes] = []
        self._unread = b""
        self._begun = False
        self._skip = 0
        self._over = False
        self._trouble: CopyError | None = None
        self.count = 0
        """How many tuples were given."""

    def feed(self, data: bytes, final: bool) -> tuple[bytes, int]:
        """Give whole tuples, those before the position given too.  `check` says what comes after them."""
        if self._unread:
            data = self._unread + data
            self._unread = b""
        if not self._begun:
            data = self._header(data, final)
        if self._skip:
            left = len(data)
            data = data[self._skip :]
            self._skip -= left - len(data)
        if self._over:
            if data:
                self._trouble = fault_of("trailing", self.count + 1)
            return b"", 0
        if not self._begun or self._skip:
            if final and self._trouble is None:
                self._trouble = fault_of("extension", 0)
                self._trouble.line = None
            return b"", 0
        last, read, count, matter, number = self._scanner.scan(data)
        whole = data
        if count and self._held:
            size = sum(map(len, self._held))
            whole = b"".join((*self._held, data))
            last += size
            read += size
            self._held = []
        self.count += count
        if count:
            self._held = [whole[last:read]] if last < read else []
        elif read:
            self._held.append(data[:read])
        self._unread = whole[read:]
        if matter == "end":
            self._over = True
            if self._unread:
                self._trouble = fault_of("trailing", self.count + 1)
        elif matter:
            self._trouble = fault_of(matter, self.count + 1, count=number, expected=len(self._names))
        elif final and (self._scanner.column >= 0 or self._unread):
            self._trouble = fault_of("cut", self.count + 1)
        if self._trouble is not None and self._scanner.column >= 0:
            self._trouble.column = self._names[self._scanner.column]
        return whole, last

    def check(self) -> None:
        """Raise what is the matter after the tuples given last."""
        if self._trouble is not None:
            raise self._trouble

    def _header(self, data: bytes, final: bool) -> bytes:
        """Read the signature, the flags and the length of what else the header holds (ReceiveCopyBinaryHeader)."""
        fault = ""
        if len(data) < _FIXED and not final:
            if SIGNATURE.startswith(data[: len(SIGNATURE)]):
                self._unread = data
                return b""
            fault = "signature"
        elif data[: len(SIGNATURE)] != SIGNATURE:
            fault = "signature"
        elif len(data) < len(SIGNATURE) + 4:
            fault = "flags"
        else:
            flags = unpack_from("!I", data, len(SIGNATURE))[0]
            if flags & 1 << 16:
                fault = "oids"
            elif flags >> 16:
                fault = "critical"
            elif len(data) < _FIXED or data[_FIXED - 4] > 127:
                fault = "length"
        if fault:
            self._trouble = fault_of(fault, 0)
            self._trouble.line = None
            return b""
        self._begun = True
        self._skip = unpack_from("!i", data, _FIXED - 4)[0]
        return data[_FIXED:]
