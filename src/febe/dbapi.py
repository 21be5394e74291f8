"""febe as DB-API 2.0 has it (PEP 249), with two-phase commit: `febe.dbapi.connect(...)`.

It is for programs and libraries that know this interface; `febe.connect` does more and is quicker.  Parameters are `%s`
and `%(name)s`.  Errors are the same as everywhere in febe: `febe.errors.UniqueViolation` is an IntegrityError.
"""

from __future__ import annotations

from typing import Unpack

from febe.client.dbapi import Connection, Cursor, StreamCursor, Xid
from febe.client.dbapi.kinds import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)
from febe.client.options import Options, resolve
from febe.client.run_blocking import open_session, runner
from febe.protocol.families import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

apilevel = "2.0"
threadsafety = 2
paramstyle = "pyformat"
Warning = Warning


def connect(dsn: str = "", *, autocommit: bool = False, **options: Unpack[Options]) -> Connection:
    """Connect to a server as `febe.connect` does.  Errors: febe.dbapi.Error."""
    session = open_session(resolve(dsn, options))
    return Connection(session, runner(session), autocommit=autocommit)


__all__ = ["BINARY", "DATETIME", "NUMBER", "ROWID", "STRING", "Binary", "Connection", "Cursor", "DataError",
           "DatabaseError", "Date", "DateFromTicks", "Error", "IntegrityError", "InterfaceError", "InternalError",
           "NotSupportedError", "OperationalError", "ProgrammingError", "StreamCursor", "Time", "TimeFromTicks",
           "Timestamp", "TimestampFromTicks", "Warning", "Xid", "apilevel", "connect", "paramstyle", "threadsafety"]
