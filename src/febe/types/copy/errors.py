"""What is wrong with a COPY, in the words and with the SQLSTATE of PostgreSQL."""

from __future__ import annotations

from febe._kernel.errors import ValueEncodeError

_SHOWN = 100
"""The most bytes of a value or line that are shown (copyfromparse.c: MAX_COPY_DATA_DISPLAY)."""


class CopyError(ValueError):
    """An option or COPY data that PostgreSQL would refuse.

    `line` counts from 1, the header included; `column` is a name; `value` is the column's text, or without `column`
    the whole line's.  None: not known, or not to be shown.
    """

    def __init__(
        self, message: str, sqlstate: str, *, detail: str | None = None, hint: str | None = None,
        line: int | None = None, column: str | None = None, value: str | None = None, null: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.line = line
        self.column = column
        self.value = value
        self.null = null
        """The column's value is NULL."""

    def context(self, table: str) -> str | None:
        """Give the CONTEXT line (PostgreSQL: CopyFromErrorCallback); None for what is no fault of a line's."""
        if self.line is None:
            return None
        where = f"COPY {table}, line {self.line}"
        if self.column is not None:
            where += f", column {self.column}"
        if self.null:
            return f"{where}: null input"
        return where if self.value is None else f'{where}: "{shown(self.value)}"'

    def __str__(self) -> str:
        where = "" if self.line is None else f" (line {self.line}{f', column {self.column}' if self.column else ''})"
        return self.message + where


class CopyEncodeError(ValueEncodeError):
    """A Python value that its column cannot hold; `row` counts from 0 since the COPY began, `name` is the column's."""

    def __init__(self, row: int, column: int, name: str, value: object, reason: str) -> None:
        super().__init__(row, column, value, f'"{name}": {reason}' if name else reason)
        self.name = name


def shown(text: str) -> str:
    """Cut what is long, never inside a character (PostgreSQL: CopyLimitPrintoutLength)."""
    data = text.encode()
    return text if len(data) <= _SHOWN else data[:_SHOWN].decode(errors="ignore") + "..."
