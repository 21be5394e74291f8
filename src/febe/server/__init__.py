"""Serving PostgreSQL clients: an engine, or handlers of one's own, behind a listener.

    async with await febe.server.serve(engine, port=5433) as listener:
        await listener.wait_closed()
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from febe.flows.serve_attempt import PresentedToken, TokenVerdict
from febe.flows.serve_authentication import METHODS
from febe.ports.tls_server import ServerTLS
from febe.server.access import AccessFileError, AccessRules
from febe.server.answers import Answer, AnswerEngine, arrow_columns
from febe.server.engine import (
    ArrowStream,
    Client,
    Column,
    CopyTarget,
    Engine,
    EngineError,
    EngineSession,
    Prepared,
    Result,
)
from febe.server.limits import Limits
from febe.server.listener import Listener, Shutdown, is_loopback
from febe.server.processes import Confinement, Postmaster, check, run_processes, run_workers
from febe.server.running import end, have_files, loop_factory, told_by_signals
from febe.server.service import Service
from febe.server.session import Session
from febe.server.telemetry.events import StatementEvent, Telemetry
from febe.server.userlist import User, UserFile, UserFileError
from febe.server.users import UserSource
from febe.server.validators import Validator

if TYPE_CHECKING:
    from febe.ports.gss import ServerGSS

__all__ = ["AccessFileError", "Answer", "AnswerEngine", "ArrowStream", "Client", "Column", "Confinement", "CopyTarget",
           "Engine", "EngineError", "EngineSession", "Limits", "Listener", "Postmaster", "Prepared", "PresentedToken",
           "Result", "ServerTLS", "Session", "Shutdown", "StatementEvent", "Telemetry", "TokenVerdict", "User",
           "UserFile", "UserFileError", "Validator", "access_rules", "arrow_columns", "check", "is_loopback", "run",
           "run_processes", "run_workers", "serve"]


async def serve(engine: Engine, *, host: str | None = "127.0.0.1", port: int = 5432,
                unix_socket_dir: str | os.PathLike[str] | None = None, users: UserSource | None = None,
                authentication: str | None = None, rules: AccessRules | None = None, limits: Limits | None = None,
                tls: ServerTLS | None = None, gss: ServerGSS | None = None,
                oauth: Validator | Mapping[str, Validator] | None = None,
                session: type[Session] | None = None, replication: type[Session] | None = None,
                reread: Callable[[], Limits] | None = None, telemetry: Sequence[Telemetry] = ()) -> Listener:
    """Start listening; the listener's `close` ends it.

    `port` 0 takes a free one; `host` None opens no TCP port.  `users` gives passwords or what PostgreSQL keeps in their
    place.  `authentication` is one method for everybody: `trust`, `password`, `md5` or `scram-sha-256`, by default the
    last where there are users; `rules` say it for each connection, as pg_hba.conf does.  `tls` has TLS offered, by
    SSLRequest and at once; `gss`, a `febe.ports.gss.ServerGSS` with a keytab, has Kerberos.  `oauth` judges the
    tokens of rules with the method oauth: one validator, or several by the names that rules give them.  `session` is
    the class that answers each client, `replication` the one that answers who asks for replication and is refused
    without it.  `reread` gives the limits anew when files are (`Listener.reload`).  `telemetry` is told what the server
    does (febe.server.telemetry).
    Errors: ValueError for a host beyond loopback without authentication, and for options that make no sense together;
    OSError.
    """
    listener = Listener(Service(engine, users=users, authentication=authentication, rules=rules, limits=limits,
                                tls=tls, gss=gss, oauth=oauth, session=session, replication=replication,
                                reread=reread, telemetry=telemetry))
    await listener.listen(host, port, unix_socket_dir)
    return listener


def access_rules(hba: str | os.PathLike[str], ident: str | os.PathLike[str] | None = None) -> AccessRules:
    """Read a file in the form of pg_hba.conf, and one of pg_ident.conf.  Errors: AccessFileError."""
    return AccessRules(Path(hba), Path(ident) if ident is not None else None, methods=METHODS)


def run(engine: Engine, *, ready: Callable[[Listener], object] | None = None, grace: float = 0,
        **options: Any) -> None:
    """Listen, with the options of `serve`, until a signal ends it; on uvloop where it is installed.

    Ctrl-C and SIGTERM are a fast shutdown, SIGQUIT is an immediate one.  With `grace`, SIGTERM gives sessions so many
    seconds to end by themselves.  SIGHUP has the files of rules, users and certificates read anew.  `ready` is called
    once clients can connect.
    """
    async def main() -> None:
        have_files(options.get("limits") or Limits())
        async with await serve(engine, **options) as listener:
            asked = told_by_signals(listener, grace)
            if ready is not None:
                ready(listener)
            await end(listener, asked, grace)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
