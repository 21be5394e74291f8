"""febe: the PostgreSQL frontend/backend protocol, whole.

    with febe.connect("postgresql://demo@localhost:5433/demo") as connection:
        rows = connection.fetch("select $1::int4 + 1 as next", 41)

`febe.aio` and `febe.trio` are the same for asyncio and trio, `febe.server` the other end.
"""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from febe import aio, dbapi, errors, events, oauth
    from febe._kernel import KIND as kernel
    from febe._kernel.row import Row
    from febe.client.blocking import Connection, PreparedStatement, connect
    from febe.client.blocking_listening import Gap, Listening, listen
    from febe.client.blocking_pool import Pool
    from febe.client.blocking_retry import retry
    from febe.errors import Error, PostgresError
    from febe.flows.compose import Name, Query, named, sql
    from febe.flows.into import scalar

__version__ = "0.1.0.dev0"

# Loaded when first used: a server needs no client, and a program that starts quickly needs neither at once.
_PLACES = {
    "Connection": "febe.client.blocking", "PreparedStatement": "febe.client.blocking",
    "Gap": "febe.client.blocking_listening", "Listening": "febe.client.blocking_listening",
    "listen": "febe.client.blocking_listening",
    "Pool": "febe.client.blocking_pool", "connect": "febe.client.blocking", "Error": "febe.errors",
    "PostgresError": "febe.errors",
    "Name": "febe.flows.compose", "Query": "febe.flows.compose", "named": "febe.flows.compose",
    "sql": "febe.flows.compose", "Row": "febe._kernel.row", "retry": "febe.client.blocking_retry",
    "scalar": "febe.flows.into",
}


def _load(module: str) -> ModuleType:
    # The cyclic collector would go over all that is declared, again and again, and find nothing to free.
    running = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if running:
            gc.enable()


def __getattr__(name: str) -> Any:
    if name == "kernel":
        value = import_module("febe._kernel").KIND
    elif name in _PLACES:
        value = getattr(_load(_PLACES[name]), name)
    elif name in ("aio", "dbapi", "errors", "events", "oauth", "otel", "publish", "replication", "server", "xc"):
        return _load(f"febe.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


__all__ = ["Connection", "Error", "Gap", "Listening", "Name", "Pool", "PostgresError", "PreparedStatement", "Query",
           "Row", "__version__", "aio", "connect", "dbapi", "errors", "events", "kernel", "listen", "named", "oauth",
           "retry", "scalar", "sql"]
