"""What can go wrong in a conversation, as data.

A violation of the protocol is either ours (`LocalProtocolError`: the program asked for something illegal, nothing was
sent) or the peer's (`RemoteProtocolError`).  An ErrorResponse from a server is no violation: it becomes a
`PostgresError`, of a subclass for its SQLSTATE (manual: "PostgreSQL Error Codes").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from febe.protocol.families import FAMILIES, DatabaseError, Error, InterfaceError, OperationalError
from febe.protocol.sqlstates import CLASSES, CONDITIONS


class ProtocolError(InterfaceError):
    """The conversation broke the protocol's rules.

    `sqlstate` is what a server answers; `fatal` says that the connection cannot go on, because the two sides may no
    longer agree on where a message begins.
    """

    def __init__(self, message: str, *, sqlstate: str = "08P01", fatal: bool = True) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.fatal = fatal


class LocalProtocolError(ProtocolError):
    """This side asked to send what may not be said now; nothing was sent and the connection is as it was."""

    def __init__(self, message: str, *, sqlstate: str = "08P01", fatal: bool = False) -> None:
        super().__init__(message, sqlstate=sqlstate, fatal=fatal)


class RemoteProtocolError(ProtocolError):
    """The peer said what may not be said, or said it in a form that cannot be read."""


class UnsupportedVersion(RemoteProtocolError):
    """The frontend asks for a major version other than 3, or for something that no start-up packet means.

    `version` is the word it sent; one that speaks a version before 3 reads an error only in the form of protocol 2.0.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"unsupported frontend protocol {version >> 16 & 0xFFFF}.{version & 0xFFFF}: "
                         "server supports 3.0 to 3.2", sqlstate="0A000")
        self.version = version


class ConnectionLost(OperationalError):
    """The peer is gone: closed, reset, or silent past the deadline.

    `retry_is_safe` is True when no request was under way, so that nothing can have been done that is not known.
    """

    def __init__(self, message: str, *, retry_is_safe: bool = False) -> None:
        super().__init__(message)
        self.retry_is_safe = retry_is_safe


class ConnectTimeout(ConnectionLost):
    """No connection was made within the time allowed."""


class EncryptionError(OperationalError):
    """No encryption could be agreed on as it was asked for, or what came through it is not what the peer sent."""


class AuthenticationError(OperationalError):
    """This side will not go on with the authentication exchange: a proof is wrong or a method is not acceptable."""


# Error and notice fields, in the order of the manual's section "Error and Notice Message Fields".
FIELD_NAMES: Mapping[str, str] = {
    "S": "severity_localized",
    "V": "severity",
    "C": "sqlstate",
    "M": "message",
    "D": "detail",
    "H": "hint",
    "P": "position",
    "p": "internal_position",
    "q": "internal_query",
    "W": "where",
    "s": "schema_name",
    "t": "table_name",
    "c": "column_name",
    "d": "data_type_name",
    "n": "constraint_name",
    "F": "file",
    "L": "line",
    "R": "routine",
}


# Serialization failure, dead-lock; too many connections, not yet ready to accept any: those let nobody in.
_TRANSIENT = ("40001", "40P01", "53300", "57P03")
# What a server says as it ends the session: by shutdown or crash, of its database, or because of a time-out.
_ENDING = ("57P01", "57P02", "57P04", "57P05", "25P03", "25P04")


class PostgresError(DatabaseError):
    """An ErrorResponse of the server, with all 18 fields (manual: "Error and Notice Message Fields").

    Every field is an attribute; one that the server left out is None.  Unknown field codes are kept in `fields`.
    """

    severity: str | None
    severity_localized: str | None
    sqlstate: str
    message: str
    detail: str | None
    hint: str | None
    position: int | None
    internal_position: int | None
    internal_query: str | None
    where: str | None
    schema_name: str | None
    table_name: str | None
    column_name: str | None
    data_type_name: str | None
    constraint_name: str | None
    file: str | None
    line: int | None
    routine: str | None

    retry_is_safe: bool
    """Nothing was done, and the same may succeed when it is run again, from the beginning of its transaction."""

    condition: str | None = None
    """The condition name of the SQLSTATE, such as `undefined_table`; set on the subclasses."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        for code, name in FIELD_NAMES.items():
            setattr(self, name, fields.get(code))
        self.sqlstate = fields.get("C", "XX000")
        self.message = fields.get("M", "")
        # "V" is never localized but absent before 9.6, where "S" is all there is
        self.severity = fields.get("V", fields.get("S"))
        for name in ("position", "internal_position", "line"):
            text = getattr(self, name)
            setattr(self, name, int(text) if text is not None and text.isascii() and text.isdigit() else None)
        super().__init__(self.message)
        self.retry_is_safe = self.sqlstate in _TRANSIENT

    def __str__(self) -> str:
        lines = [f"{self.severity or 'ERROR'}: {self.message} (SQLSTATE {self.sqlstate})"]
        lines += [f"{label}: {text}" for label, text in (("DETAIL", self.detail), ("HINT", self.hint),
                                                         ("CONTEXT", self.where)) if text]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return postgres_error, (self.fields,)

    @property
    def is_fatal(self) -> bool:
        """The server closes the connection after this error."""
        return self.severity in ("FATAL", "PANIC")


def _class_for(sqlstate: str) -> type[PostgresError]:
    """The exception class of an SQLSTATE: its own, else that of its two-character class, else PostgresError."""
    found = _made.get(sqlstate)
    if found is not None:
        return found
    base: type[PostgresError] = PostgresError
    families: tuple[type[DatabaseError], ...] = (ConnectionLost,) if sqlstate in _ENDING else ()
    if sqlstate[2:] != "000" and sqlstate[:2] in CLASSES:
        base = _class_for(sqlstate[:2] + "000")
    elif sqlstate[:2] in FAMILIES:
        families = (FAMILIES[sqlstate[:2]],)
    condition = CONDITIONS.get(sqlstate) or (CLASSES.get(sqlstate[:2]) if sqlstate[2:] == "000" else None)
    if condition is None:
        return base
    name = "".join(word.capitalize() for word in condition.split("_"))
    made = type(name, (base, *families), {"condition": condition, "__module__": "febe.errors"})
    _made[sqlstate] = made
    return made


_made: dict[str, type[PostgresError]] = {}
_BY_NAME = {"".join(word.capitalize() for word in condition.split("_")): sqlstate
            for sqlstate, condition in CONDITIONS.items()}


def error_class(name: str) -> type[PostgresError]:
    """The exception class called `name`, such as `UndefinedTable`; AttributeError when there is none."""
    if name not in _BY_NAME:
        raise AttributeError(f"no SQLSTATE has a condition called {name}")
    return _class_for(_BY_NAME[name])


def postgres_error(fields: Mapping[str, str]) -> PostgresError:
    """The exception for an ErrorResponse's fields."""
    return _class_for(fields.get("C", "XX000"))(fields)


__all__ = ["FIELD_NAMES", "AuthenticationError", "ConnectTimeout", "ConnectionLost", "EncryptionError", "Error",
           "LocalProtocolError", "PostgresError", "ProtocolError", "RemoteProtocolError", "UnsupportedVersion",
           "error_class", "postgres_error"]
