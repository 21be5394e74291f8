"""Serving PostgreSQL clients: an engine, or handlers of one's own, behind a listener.

    async with await febe.server.serve(engine, port=5433) as listener:
        await listener.wait_closed()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
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
from febe.server.service import Service
from febe.server.session import Session
from febe.server.userlist import User, UserFile, UserFileError
from febe.server.users import UserSource
from febe.server.validators import Validator

if TYPE_CHECKING:
    from febe.ports.gss import ServerGSS

__all__ = ["AccessFileError", "Answer", "AnswerEngine", "ArrowStream", "Client", "Column", "CopyTarget", "Engine",
           "EngineError", "EngineSession", "Limits", "Listener", "Prepared", "PresentedToken", "Result", "ServerTLS",
           "Session", "Shutdown", "TokenVerdict", "User", "UserFile", "UserFileError", "Validator", "access_rules",
           "arrow_columns", "is_loopback", "run", "serve"]


async def serve(engine: Engine, *, host: str | None = "127.0.0.1", port: int = 5432,
                unix_socket_dir: str | os.PathLike[str] | None = None, users: UserSource | None = None,
                authentication: str | None = None, rules: AccessRules | None = None, limits: Limits | None = None,
                tls: ServerTLS | None = None, gss: ServerGSS | None = None,
                oauth: Validator | Mapping[str, Validator] | None = None,
                session: type[Session] | None = None, replication: type[Session] | None = None) -> Listener:
    """Start listening; the listener's `close` ends it.

    `port` 0 takes a free one; `host` None opens no TCP port.  `users` gives passwords or what PostgreSQL keeps in their
    place.  `authentication` is one method for everybody: `trust`, `password`, `md5` or `scram-sha-256`, by default the
    last where there are users; `rules` say it for each connection, as pg_hba.conf does.  `tls` has TLS offered, by
    SSLRequest and at once; `gss`, a `febe.ports.gss.ServerGSS` with a keytab, has Kerberos.  `oauth` judges the
    tokens of rules with the method oauth: one validator, or several by the names that rules give them.  `session` is
    the class that answers each client, `replication` the one that answers who asks for replication and is refused
    without it.
    Errors: ValueError for a host beyond loopback without authentication, and for options that make no sense together;
    OSError.
    """
    listener = Listener(Service(engine, users=users, authentication=authentication, rules=rules, limits=limits,
                                tls=tls, gss=gss, oauth=oauth, session=session, replication=replication))
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
        _have_files(options.get("limits") or Limits())
        async with await serve(engine, **options) as listener:
            asked: asyncio.Queue[Shutdown] = asyncio.Queue()
            gentle = Shutdown.SMART if grace else Shutdown.FAST
            loop = asyncio.get_running_loop()
            for name, call in (("SIGINT", partial(asked.put_nowait, Shutdown.FAST)),
                               ("SIGTERM", partial(asked.put_nowait, gentle)),
                               ("SIGQUIT", partial(asked.put_nowait, Shutdown.IMMEDIATE)),
                               ("SIGHUP", listener.reload)):
                with contextlib.suppress(NotImplementedError, AttributeError):  # Windows: Ctrl-C is a KeyboardInterrupt
                    loop.add_signal_handler(getattr(signal, name), call)
            if ready is not None:
                ready(listener)
            mode = await asked.get()
            if mode is Shutdown.SMART:
                leaving = loop.create_task(listener.close(mode))
                hurried = loop.create_task(asked.get())
                await asyncio.wait((leaving, hurried), timeout=grace, return_when=asyncio.FIRST_COMPLETED)
                mode = hurried.result() if hurried.done() else Shutdown.FAST
                leaving.cancel()
                hurried.cancel()
            await listener.close(mode)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _have_files(limits: Limits) -> None:
    """Each connection is a file: ask for as many as there are places, and some for the engine."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * limits.max_connections + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
