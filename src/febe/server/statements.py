"""Prepared statements and the session's book of them (manual: "Extended Query")."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from febe._kernel.errors import ValueDecodeError
from febe.server.command import Command
from febe.server.engine import Column, EngineError, Prepared
from febe.server.inputs import canonical
from febe.server.results import Formats, expand, row_decoder, shape_of
from febe.types.registry import TYPES

Zone = Callable[[], str]
"""Tells a session's time zone."""


def _utc() -> str:
    return "UTC"


class Statement:
    """A statement that has been understood.

    `prepared` is None when it was empty; `command` is the same, when it is one of the server's own.

    `offset` is where it begins in the text the client sent, which is `text`; `from_sql`: PREPARE made it.  The engine's
    statement is closed when neither a name nor a portal holds it any more.
    """

    __slots__ = ("_holders", "command", "created", "from_sql", "name", "offset", "parameters", "prepared",
                 "text")

    def __init__(self, prepared: Prepared | None, *, name: str = "", offset: int = 0, text: str = "",
                 from_sql: bool = False) -> None:
        self.name = name
        self.offset = offset
        self.text = text
        self.from_sql = from_sql
        self.created = time.time() if name else 0.0
        self.prepared = prepared
        self.command = prepared if isinstance(prepared, Command) else None
        self.parameters: tuple[int, ...] = tuple(prepared.parameters) if prepared is not None else ()
        self._holders = 1

    @property
    def columns(self) -> Sequence[Column] | None:
        """What it returns; None: no rows."""
        return self.prepared.columns if self.prepared is not None else None

    def description(self, formats: Formats) -> bytes | None:
        """The RowDescription, encoded; None: NoData is to be said."""
        columns = self.prepared.columns if self.prepared is not None else None
        return shape_of(columns, formats).description if columns is not None else None

    def hold(self) -> Statement:
        """One more holds it."""
        self._holders += 1
        return self

    def release(self) -> None:
        """One holder less."""
        self._holders -= 1
        if not self._holders and self.prepared is not None:
            self.prepared.close()

    def values(self, formats: Sequence[int], given: Sequence[bytes | None], zone: Zone = _utc) -> tuple[object, ...]:
        """Bind's parameters as Python values.  Errors: EngineError, in PostgreSQL's words (postgres.c)."""
        if len(formats) > 1 and len(formats) != len(given):
            raise EngineError(f"bind message has {len(formats)} parameter formats but {len(given)} parameters",
                              sqlstate="08P01")
        if len(given) != len(self.parameters):
            raise EngineError(f'bind message supplies {len(given)} parameters, but prepared statement "{self.name}" '
                              f"requires {len(self.parameters)}", sqlstate="08P01")
        if not given:
            return ()
        check_codes(formats)
        return decode_values(self.parameters, expand(formats, len(given)), given, zone)


def decode_values(oids: tuple[int, ...], formats: Formats, given: Sequence[bytes | None],
                  zone: Zone = _utc) -> tuple[object, ...]:
    """Values of these types, one format each, as Python values; `zone` tells the session's.  Errors: EngineError."""
    # They lie in Bind as in a DataRow, so the decoder of rows reads them.
    data = bytearray(b"D\0\0\0\0")
    data += len(given).to_bytes(2, "big")
    for value in given:
        if value is None:
            data += b"\xff\xff\xff\xff"
        else:
            data += len(value).to_bytes(4, "big")
            data += value
    data[1:5] = (len(data) - 1).to_bytes(4, "big")
    try:
        return row_decoder(oids, formats).decode(bytes(data), 0, len(data))[0]
    except ValueDecodeError as error:
        number = error.column
        if not formats[number]:
            said = bytes(error.data).decode(errors="replace")
            other = canonical(oids[number], said, zone)
            if other is not None and other != said:
                return decode_values(oids, formats, [*given[:number], other.encode(), *given[number + 1:]], zone)
        raise _unreadable(oids[number], formats[number], error) from error


def _unreadable(oid: int, form: int, error: ValueDecodeError) -> EngineError:
    number = error.column + 1
    if form:
        return EngineError(f"incorrect binary data format in bind parameter {number}", sqlstate="22P03")
    name = TYPES.by_oid(oid).name
    try:
        text = bytes(error.data).decode()
    except UnicodeDecodeError as cause:
        byte = error.data[cause.start]
        return EngineError(f'invalid byte sequence for encoding "UTF8": 0x{byte:02x}', sqlstate="22021")
    return EngineError(f'invalid input syntax for type {_SPELLED.get(name, name)}: "{text}"', sqlstate="22P02",
                       detail=f"unnamed portal parameter ${number}")


# The SQL names under which PostgreSQL speaks of these types (format_type.c).
_SPELLED = {"int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
            "bool": "boolean", "timestamptz": "timestamp with time zone", "timestamp": "timestamp"}


def check_codes(formats: Sequence[int]) -> None:
    """Errors: EngineError (22023) for a format code other than 0 and 1."""
    for form in formats:
        if form not in (0, 1):
            raise EngineError(f"unsupported format code: {form}", sqlstate="22023")


class Statements:
    """The statements of one session, by name; "" is the unnamed one."""

    def __init__(self) -> None:
        self.by_name: dict[str, Statement] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def all(self) -> list[Statement]:
        """Every statement that has a name (pg_prepared_statements)."""
        return [statement for name, statement in self.by_name.items() if name]

    def get(self, name: str) -> Statement:
        """Errors: EngineError (26000)."""
        try:
            return self.by_name[name]
        except KeyError:
            raise _missing(name) from None

    def check_free(self, name: str) -> None:
        """Errors: EngineError (42P05) for a name that is taken; the unnamed statement can always be replaced."""
        if name and name in self.by_name:
            raise EngineError(f'prepared statement "{name}" already exists', sqlstate="42P05")

    def add(self, statement: Statement) -> None:
        """Enter a statement under its name."""
        self.close(statement.name)
        self.by_name[statement.name] = statement

    def close(self, name: str) -> None:
        """Forget a statement; none of that name is no error."""
        found = self.by_name.pop(name, None)
        if found is not None:
            found.release()

    def drop(self, name: str) -> None:
        """Forget a statement.  Errors: EngineError (26000)."""
        self.get(name)
        self.close(name)

    def clear(self) -> None:
        """Forget all."""
        for name in list(self.by_name):
            self.close(name)


def _missing(name: str) -> EngineError:
    return EngineError(f'prepared statement "{name}" does not exist' if name else
                       "unnamed prepared statement does not exist", sqlstate="26000")
