"""Every exception of febe, and one for each SQLSTATE: `febe.errors.UniqueViolation` and so on."""

from __future__ import annotations

from febe.client.pooling import PoolClosed, PoolTimeout
from febe.flows.errors import DecodeError, EncodeError, NotSupported
from febe.flows.part import Skipped
from febe.flows.transaction import TransactionRolledBack
from febe.protocol.errors import (
    AuthenticationError,
    ConnectionLost,
    ConnectTimeout,
    EncryptionError,
    Error,
    LocalProtocolError,
    PostgresError,
    ProtocolError,
    RemoteProtocolError,
    error_class,
)


def __getattr__(name: str) -> type[PostgresError]:
    """The class of a condition name, such as `unique_violation`, written as UniqueViolation."""
    return error_class(name)


__all__ = [
    "AuthenticationError",
    "ConnectTimeout",
    "ConnectionLost",
    "DecodeError",
    "EncodeError",
    "EncryptionError",
    "Error",
    "LocalProtocolError",
    "NotSupported",
    "PoolClosed",
    "PoolTimeout",
    "PostgresError",
    "ProtocolError",
    "RemoteProtocolError",
    "Skipped",
    "TransactionRolledBack",
]
