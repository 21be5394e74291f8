"""Runs: row messages that lay side by side in the bytes received, handed on as one event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from febe.protocol.copy import CopyData
from febe.protocol.simple import DataRow

_INT32 = Struct("!i")


@dataclass(slots=True)
class Run:
    """Messages of one type that lay side by side: `data[start:end]`, headers included, `count` of them."""

    data: bytes
    start: int
    end: int
    count: int

    def bodies(self) -> Iterator[bytes]:
        """Each message's body."""
        pos = self.start
        while pos < self.end:
            after = pos + 1 + _INT32.unpack_from(self.data, pos + 1)[0]
            yield self.data[pos + 5:after]
            pos = after


class DataRowRun(Run):
    """A run of DataRow messages; the kernel decodes it in one call."""

    __slots__ = ()

    def messages(self) -> Iterator[DataRow]:
        """The rows one by one, for who wants messages."""
        return (DataRow.decode(body, 0, len(body)) for body in self.bodies())


class CopyDataRun(Run):
    """A run of CopyData messages."""

    __slots__ = ()

    def messages(self) -> Iterator[CopyData]:
        """The messages one by one."""
        return (CopyData(data=body) for body in self.bodies())
