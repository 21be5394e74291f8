"""The families of errors that DB-API 2.0 knows (PEP 249, "Exceptions"): every error of febe is in one of them."""

from __future__ import annotations


class Error(Exception):
    """Base of every error febe raises on its own account."""


class InterfaceError(Error):
    """It is about the connection's use, not about the database."""


class DatabaseError(Error):
    """It is about the database."""


class DataError(DatabaseError):
    """A value cannot be processed."""


class OperationalError(DatabaseError):
    """Something went wrong in the database's operation, which no program need be to blame for."""


class IntegrityError(DatabaseError):
    """A constraint is violated."""


class InternalError(DatabaseError):
    """The state of the database, a cursor or a transaction does not allow it."""


class ProgrammingError(DatabaseError):
    """The program asked for what is wrong or is not there."""


class NotSupportedError(DatabaseError):
    """It is not supported by the database, or not by febe."""


for _family in (InterfaceError, DatabaseError, DataError, OperationalError, IntegrityError, InternalError,
                ProgrammingError, NotSupportedError):
    _family.__module__ = "febe.dbapi"

# By class of SQLSTATE; every other class is a DatabaseError.
FAMILIES: dict[str, type[DatabaseError]] = {
    **dict.fromkeys(("0A",), NotSupportedError),
    **dict.fromkeys(("22",), DataError),
    **dict.fromkeys(("23",), IntegrityError),
    **dict.fromkeys(("20", "21", "3D", "3F", "42", "44", "P0"), ProgrammingError),
    **dict.fromkeys(("0B", "24", "25", "2B", "2D", "2F", "38", "39", "3B", "F0", "XX"), InternalError),
    **dict.fromkeys(("08", "26", "27", "28", "34", "40", "53", "54", "55", "57", "58", "HV"), OperationalError),
}

__all__ = ["FAMILIES", "DataError", "DatabaseError", "Error", "IntegrityError", "InterfaceError", "InternalError",
           "NotSupportedError", "OperationalError", "ProgrammingError"]
