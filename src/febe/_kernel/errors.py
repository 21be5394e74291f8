"""What the kernel raises; plain data, because floor 1 knows nothing of the protocol's errors."""

from __future__ import annotations


class MalformedRow(ValueError):
    """A row message whose counts or lengths do not fit its frame or its description."""


class ValueDecodeError(ValueError):
    """A received value that is not valid for its type or that Python's class cannot hold.

    `row` and `column` count from 0; `data` holds the value's bytes as received.
    """

    def __init__(self, row: int, column: int, data: bytes, reason: str) -> None:
        shown = repr(data) if len(data) <= 80 else f"{data[:80]!r}... ({len(data)} bytes)"
        super().__init__(f"row {row}, column {column}: {reason}: {shown}")
        self.row = row
        self.column = column
        self.data = data
        self.reason = reason


class ValueEncodeError(ValueError):
    """A Python value that its column's or parameter's type cannot hold; `row` and `column` count from 0."""

    def __init__(self, row: int, column: int, value: object, reason: str) -> None:
        super().__init__(f"row {row}, column {column}: {reason}")
        self.row = row
        self.column = column
        self.value = value
        self.reason = reason


class MalformedMessage(ValueError):
    """A message whose fields do not fit its frame, or make no sense."""


class CopyFault(ValueError):
    """COPY data that break their format; `line` counts from 0 in what was handed over.

    `fault` says what is wrong: extra, missing (from `column` on), quote (not closed), default (of a column that has
    none), encoding (escapes that make no UTF-8; the cause says where), count (`column` holds the count), size (a
    negative length), cut (the end comes too early).
    """

    def __init__(self, line: int, fault: str, column: int = -1) -> None:
        super().__init__(f"line {line}: {fault}")
        self.line = line
        self.fault = fault
        self.column = column


class TypeChanged(ValueError):
    """A value whose parts are not those of the type as it was described: the type was changed meanwhile."""


def unfit(expected: str, value: object) -> TypeError:
    """What to raise for a value of another class than a type takes."""
    return TypeError(f"{expected} wanted, not {type(value).__name__}")
