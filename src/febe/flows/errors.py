"""What can go wrong in a flow beyond the protocol itself."""

from __future__ import annotations

from febe.protocol.families import DataError, NotSupportedError


class EncodeError(DataError, ValueError):
    """A parameter's value does not fit its type, or the number of parameters is wrong; nothing was sent.

    `parameter` counts from 1, as in `$1`; it is None when the number is wrong.
    """

    def __init__(self, message: str, *, parameter: int | None = None, type_name: str | None = None,
                 value: object = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.type_name = type_name
        self.value = value


class DecodeError(DataError, ValueError):
    """A value of a result cannot be decoded; the rest of the answer was read and the connection goes on.

    `row` counts from 0; `data` holds the value as received.
    """

    def __init__(self, message: str, *, row: int, column: str, type_name: str, data: bytes) -> None:
        super().__init__(message)
        self.row = row
        self.column = column
        self.type_name = type_name
        self.data = data


class NotSupported(NotSupportedError):
    """Something that febe does not do (yet); it says so instead of doing something else."""


class TokenWanted(Exception):
    """The server has said where to get an OAuth token; the session takes another connection."""


__all__ = ["DecodeError", "EncodeError", "NotSupported", "TokenWanted"]
