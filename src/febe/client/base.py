"""What the two faces of the client share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from febe._kernel.row import Row
from febe.client.options import Target
from febe.flows import query
from febe.flows.compose import Sql, settled
from febe.flows.listen import Listener
from febe.flows.pipeline import Pipeline, Reply
from febe.flows.prepare import Statement, discard
from febe.flows.result import Result
from febe.flows.session import Session
from febe.ports.tune import peer_user
from febe.protocol.errors import AuthenticationError, ConnectionLost, ConnectTimeout
from febe.protocol.negotiation import version_name
from febe.protocol.simple import FieldDescription
from febe.types.registry import Registry

if TYPE_CHECKING:
    from febe.types.copy import CopyFormat

T = TypeVar("T")

CANCEL_SECONDS = 5.0
"""How long a cancel request may take; a server that does not take it goes on with what it does."""


class BaseConnection:
    """What there is to know about a connection; nothing here asks the server."""

    def __init__(self, session: Session) -> None:
        self._session = session
        if not session.statements and session.pooled is False:
            session.pooled = None

    def abort(self) -> None:
        """Close the connection at once, without a word to the server."""
        self._session.closed("abort() was called")
        self._session.port.abort()

    @property
    def parameters(self) -> Mapping[str, str]:
        """The run-time parameters that the server reports, as they are now."""
        return MappingProxyType(self._session.parameters)

    @property
    def types(self) -> Registry:
        """The types of this connection: what is registered here is its own, for statements prepared from then on."""
        return self._session.types

    @property
    def process_id(self) -> int:
        """The process ID of the server's backend; 0 when the server told none."""
        return self._session.process_id

    @property
    def server_version(self) -> str:
        """The server's version as it reports it, such as `18.1`; empty when it does not."""
        return self._session.parameters.get("server_version", "")

    @property
    def transaction_status(self) -> str:
        """`I` idle, `T` in a transaction block, `E` in a failed one, as of the last answer."""
        return self._session.core.transaction_status

    @property
    def protocol_version(self) -> str:
        """The protocol version in use, such as `3.2`."""
        return version_name(self._session.protocol_version)

    @property
    def socket(self) -> Any:
        """The socket, for who wants to know of it; what is said over it is the connection's."""
        port: Any = self._session.port
        return port.extra("socket")

    @property
    def is_closed(self) -> bool:
        """The connection was closed, by whomever."""
        return self._session.is_closed

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else self._session.core.state.value
        return f"<{type(self).__module__}.{type(self).__qualname__} to process {self.process_id}: {state}>"


class BaseStatement:
    """What there is to know about a prepared statement."""

    _session: Session
    _statement: Statement

    @property
    def sql(self) -> str:
        """The statement's text."""
        return self._statement.sql

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters' types, `$1` first."""
        return tuple(codec.name for codec in self._statement.parameters)

    @property
    def columns(self) -> tuple[FieldDescription, ...]:
        """The columns of the result; none for a statement that returns no rows."""
        return tuple(self._statement.columns)

    def __del__(self) -> None:
        # Nobody closed it: the server is told with the next statement it prepares.
        if hasattr(self, "_statement"):
            discard(self._session, self._statement)


class BasePipeline:
    """The requests of a pipeline; none is sent before its end, or before a stream or a COPY within it."""

    def __init__(self, session: Session) -> None:
        self._pipeline = Pipeline(session)

    def fetch(self, sql: Sql, *args: object) -> Reply[list[Row]]:
        """All rows of a statement."""
        return self._add(sql, args, query.ALL)

    def fetchrow(self, sql: Sql, *args: object) -> Reply[Row | None]:
        """The first row of a statement."""
        return self._add(sql, args, query.FIRST)

    def fetchval(self, sql: Sql, *args: object) -> Reply[Any]:
        """The first value of a statement's first row."""
        return self._add(sql, args, query.VALUE)

    def execute(self, sql: Sql, *args: object) -> Reply[Result]:
        """The command tag of a statement, with its rows."""
        return self._add(sql, args, query.RESULT)

    def _add(self, sql: Sql, args: tuple[object, ...], give: query.Give[T]) -> Reply[T]:
        self._pipeline.replies.append(reply := Reply(*settled(sql, args), give))
        return reply


class BaseListener:
    """What a listener has at hand."""

    _listener: Listener

    @property
    def waiting(self) -> int:
        """How many notifications have come and were not taken."""
        return len(self._listener.waiting)


def copy_format(options: Mapping[str, Any]) -> CopyFormat | None:
    """COPY's options; None when there are none.  Errors: CopyError, TypeError for a name that COPY does not have."""
    if not options:
        return None
    from febe.types.copy import CopyFormat

    return CopyFormat(**{"format": "text", **options})


def where(target: Target) -> str:
    """The address, for error messages."""
    if target.is_unix:
        return f'socket "{target.address.replace(chr(0), "@")}"'
    name = target.host.address or target.host.name
    shown = f'"{name}"' if name == target.address else f'"{name}" ({target.address})'
    return f"{shown}, port {target.port}"


def not_connected(target: Target, error: OSError) -> ConnectionLost:
    """The error for a connection that the system could not make."""
    # asyncio puts words of its own in strerror; the numbers of name resolution are negative and no errno
    number = error.errno or 0
    why = os.strerror(number) if number > 0 else error.strerror or error
    return ConnectionLost(f"connection to {where(target)} failed: {why}", retry_is_safe=True)


def not_in_time(target: Target) -> ConnectTimeout:
    """The error for a connection that took too long."""
    return ConnectTimeout(f"connection to {where(target)} failed: not connected within {target.connect_timeout:g} s",
                          retry_is_safe=True)


def check_peer(target: Target, port: Any) -> None:
    """That a Unix socket's server runs as `requirepeer` says.  Errors: AuthenticationError; OSError."""
    wanted = target.plan.texts.get("requirepeer")
    if wanted and target.is_unix:
        try:
            found = peer_user(port.extra("socket"))
        except LookupError as error:
            raise AuthenticationError(str(error)) from None
        if found != wanted:
            raise AuthenticationError(f'requirepeer specifies "{wanted}", but actual peer user name is "{found}"')


__all__ = ["CANCEL_SECONDS", "BaseConnection", "BaseListener", "BasePipeline", "BaseStatement",
           "check_peer", "copy_format", "not_connected", "not_in_time", "where"]
