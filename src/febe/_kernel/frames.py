# mypy: disable-error-code="import-untyped,untyped-decorator"
"""Finds whole messages in received bytes (manual: "Message Formats": type byte, then a length that counts itself)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

if cython.compiled:
    from cython.cimports.febe._kernel.wire import i32
else:
    from febe._kernel.wire import i32

COMPILED: bool = cython.compiled


@cython.cclass
class FrameScanner:
    """Splits a stream into messages by type and length, and joins runs of row messages into one entry."""

    limits = cython.declare(bytes, visibility="readonly")
    _batched: bytes

    def __init__(self, limits: Sequence[int], batched: bytes) -> None:
        """Take the largest allowed length word of each of the 256 type bytes (-1: no such message).

        A run of messages of one of the `batched` types becomes a single entry.
        """
        if len(limits) != 256:
            raise ValueError("limits must have 256 entries")
        self.limits = pack("!256i", *limits)
        self._batched = bytes([kind in batched for kind in range(256)])

    def scan(
        self, data: bytes, pos: cython.Py_ssize_t, most: cython.Py_ssize_t
    ) -> tuple[list[tuple[int, int, int, int]], int, int]:
        """Find up to `most` entries from `pos` on: (entries, position after them, status).

        An entry is (type byte, start, end, messages).  Status: 0 stopped because of `most`; greater than 0: so many
        bytes from the returned position on make the next message complete (5: its header); -1 a length below 4;
        -2 a length over the type's limit; -3 an unknown type byte.
        """
        kind: cython.int
        length: cython.int
        limit: cython.int
        run: cython.int = -1
        start: cython.Py_ssize_t = pos
        count: cython.Py_ssize_t = 0
        status: cython.Py_ssize_t = 0
        entries: cython.Py_ssize_t = 0
        size: cython.Py_ssize_t = len(data)
        limits: bytes = self.limits
        batched: bytes = self._batched
        frames: list[tuple[int, int, int, int]] = []
        if pos < 0 or pos > size:
            raise ValueError("position outside the data")
        while True:
            if size - pos < 1:
                status = 5
                break
            kind = data[pos]
            if kind != run:
                if count:
                    frames.append((run, start, pos, count))
                    count = 0
                    run = -1
                if entries >= most:
                    break
            limit = i32(limits, kind << 2)[0]
            if limit < 0:
                status = -3
                break
            if size - pos < 5:
                status = 5
                break
            length = i32(data, pos + 1)[0]
            if length < 4:
                status = -1
                break
            if length > limit:
                status = -2
                break
            if length >= size - pos:
                status = length + 1
                break
            if count == 0:
                start = pos
                entries += 1
            pos += 1
            pos += length
            if batched[kind]:
                run = kind
                count += 1
                # the rest of the run, as far as nothing is the matter; what is, the outer loop finds
                while size - pos >= 5 and data[pos] == kind:
                    length = i32(data, pos + 1)[0]
                    if length < 4 or length > limit or length >= size - pos:
                        break
                    pos += length
                    pos += 1
                    count += 1
            else:
                frames.append((kind, start, pos, 1))
        if count:
            frames.append((run, start, pos, count))
        return frames, pos, status

    def repeats(self, data: bytes, pos: cython.Py_ssize_t, most: cython.Py_ssize_t) -> tuple[int, int] | None:
        """Count the answers to Bind and Execute from `pos` on that are BindComplete and CommandComplete and, byte for
        byte, the same.

        (their number, at most `most`, the size of each); the tag begins 10 bytes after the start of one and ends a byte
        before its end.  None: it is something else, or not here whole, or malformed.
        """
        length: cython.int
        unit: cython.Py_ssize_t
        end: cython.Py_ssize_t
        size: cython.Py_ssize_t = len(data)
        limits: bytes = self.limits
        count: cython.Py_ssize_t = 1
        if pos < 0 or size - pos < 11 or data[pos] != 50 or i32(data, pos + 1)[0] != 4 or data[pos + 5] != 67:
            return None
        length = i32(data, pos + 6)[0]
        if length < 5 or length > i32(limits, 67 << 2)[0] or length >= size - pos - 5:
            return None
        unit = length
        unit += 6
        end = pos + unit
        if data.find(b"\0", pos + 10, end) != end - 1:
            return None
        first: bytes = data[pos:end]
        while count < most and size - end >= unit and data.startswith(first, end):
            end += unit
            count += 1
        return count, unit


@cython.cfunc
def find_answer(limits: bytes, data: bytes, pos: cython.Py_ssize_t) -> object:
    """Find a whole answer to Bind, Execute and Sync from `pos` on: BindComplete, DataRows, CommandComplete,
    ReadyForQuery, and nothing else.  `limits` are a FrameScanner's.

    (data, start of the rows, their end, their number, end of the command tag); the tag begins 5 bytes after the rows'
    end, ReadyForQuery's status is 6 bytes after the tag's, and ends the answer.  None: it is something else, or not
    here whole, or malformed.
    """
    length: cython.int
    limit: cython.int
    status: cython.int
    size: cython.Py_ssize_t = len(data)
    count: cython.Py_ssize_t = 0
    start: cython.Py_ssize_t
    end: cython.Py_ssize_t
    if pos < 0 or size - pos < 17 or data[pos] != 50 or i32(data, pos + 1)[0] != 4:
        return None
    pos += 5
    start = pos
    limit = i32(limits, 68 << 2)[0]
    while data[pos] == 68:
        length = i32(data, pos + 1)[0]
        if length < 4 or length > limit or length >= size - pos - 12:
            return None
        pos += length
        pos += 1
        count += 1
    end = pos
    if data[pos] != 67:
        return None
    length = i32(data, pos + 1)[0]
    if length < 5 or length > i32(limits, 67 << 2)[0] or length >= size - pos - 6:
        return None
    pos += length
    pos += 1
    if data.find(b"\0", end + 5, pos) != pos - 1:
        return None
    if data[pos] != 90 or i32(data, pos + 1)[0] != 5:
        return None
    status = data[pos + 5]
    if status != 73 and status != 84 and status != 69:
        return None
    return data, start, end, count, pos - 1
