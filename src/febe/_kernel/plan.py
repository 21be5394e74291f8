"""How the columns of Arrow record batches are read and written: what `arrow` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from febe._kernel.errors import ValueEncodeError


class ArrowValueError(ValueEncodeError):
    """A value that the column's PostgreSQL type cannot hold, with the SQLSTATE to answer.

    `row` counts from the batch's first row.
    """

    def __init__(self, row: int, column: int, name: str, reason: str, sqlstate: str) -> None:
        super().__init__(row, column, None, f'"{name}": {reason}')
        self.name = name
        self.detail = reason
        self.sqlstate = sqlstate


class Column(Protocol):
    """Flat buffers of one column: bytes as memoryviews of format B, None where Arrow has no buffer."""

    length: int
    offset: int
    null_count: int
    buffers: Sequence[memoryview | None]
    children: Sequence[Any]
    dictionary: Any


class Form(Protocol):
    """Puts rows together."""

    def join(
        self, lens: memoryview, starts: memoryview, stride: int, rows: int, columns: int, arena: bytearray, held: int
    ) -> tuple[bytearray, int]: ...


class Batch(Protocol):
    """Columns of one length."""

    length: int

    @property
    def columns(self) -> Sequence[Any]: ...


@dataclass(slots=True, kw_only=True)
class Plan:
    """How one column is read and written.

    `layout`: null, words (integers of struct code `code`, ? for a bitmap), decimal (`size` 32-bit words), interval
    (`code` M, D or N), spans (offsets of `code`), views, fixed (`size` bytes), dictionary (indices of `code` into
    `values`), list (offsets of `code`, or `size` elements each, of `values`), struct (of `parts`).
    `form`: for words null, fixed (binary of `width` bytes), boolean, integer, float4, float8, numeric, date, time,
    timestamp, timestamptz, interval; for bytes one of the forms of `assembly.gather`.
    """

    name: str
    layout: str
    code: str = ""
    size: int = 0
    form: str | int = ""
    width: int = 0
    scale: int = 0
    binary: bool = False
    text: bool = False
    """A string: PostgreSQL has no NUL in one."""
    rebase: tuple[int, int, int, int, int, int, int] | None = None
    """Multiply, divide, shift, lowest, highest, infinity in the source, infinity in PostgreSQL (`columns.rebase`)."""
    widen: tuple[int, int, int, int] | None = None
    type_name: str = ""
    whole: bool = False
    """Integers that `rebase` only looks at."""
    values: Plan | None = None
    element: int = 0
    """The type OID of an array's elements."""
    parts: Sequence[tuple[int, int, Plan]] = ()
    """For each field of a composite which child of the struct it is, its type OID and plan."""
