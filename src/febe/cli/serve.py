"""`febe serve`: files and DuckDB databases to every PostgreSQL client."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from febe.cli.access import Access, access_options
from febe.cli.config import read_config, reread_limits
from febe.cli.grouped import GroupedCommand, options
from febe.cli.processes import confinement_of, process_options
from febe.cli.publishing import publish_options, publishing, subscription
from febe.cli.sources import check_sources, engine_maker, opened
from febe.cli.supervisor import told_ready
from febe.cli.telemetry import start_logging, telemetry_options
from febe.cli.tls import encryption_options, server_gss, server_tls
from febe.server import Limits, Listener, Postmaster, Telemetry, check, run, run_processes, run_workers

__all__ = ["serve"]


@click.command(cls=GroupedCommand)
@click.argument("sources", nargs=-1, metavar="[SOURCE ...]")
@options(
    "Where and what",
    (("--host",), {"default": "127.0.0.1", "show_default": True, "metavar": "ADDRESS", "help": "Where to listen."}),
    (("--port",), {"default": 5432, "show_default": True, "type": click.IntRange(0, 65535), "metavar": "NUMBER",
                   "help": "0 takes a free one."}),
    (("--unix-socket",), {"type": click.Path(path_type=Path, file_okay=False, exists=True), "metavar": "DIRECTORY",
                          "help": "Listen there too, at .s.PGSQL.<port>."}),
    (("--read-only",), {"is_flag": True, "help": "Refuse statements that change data."}),
    (("--reader", "readers"), {"multiple": True, "metavar": "NAME",
                               "help": "Refuse them to this user; may be repeated."}),
    (("--allow-files",), {"type": click.Path(path_type=Path, file_okay=False, exists=True), "metavar": "DIRECTORY",
                          "help": "Let SQL read the files below it."}),
    (("--memory-limit",), {"metavar": "SIZE", "help": "DuckDB's, for example 4GB."}),
    (("--dialect",), {"type": click.Choice(["engine", "postgres"]), "default": "engine", "show_default": True,
                      "help": "The SQL that clients write: the engine's own, or PostgreSQL's, which is translated."}),
)
@access_options
@encryption_options
@publish_options
@process_options
@telemetry_options
@options(
    "The command itself",
    (("--config",), {"type": click.Path(path_type=Path, dir_okay=False, exists=True), "metavar": "FILE",
                     "is_eager": True, "callback": read_config,
                     "help": "Options by their long names, in TOML; the command line goes before them."}),
    (("--check", "check_only"), {"is_flag": True,
                                 "help": "Say whether the server could be started like that, and stop."}),
    (("--quiet",), {"is_flag": True, "help": "No line per connection."}),
)
@click.pass_context
def serve(ctx: click.Context, sources: tuple[str, ...], host: str, port: int, unix_socket: Path | None, access: Access,
          tls_cert: Path | None, tls_key: Path | None, tls_client_ca: Path | None, tls_client_crl: Path | None,
          tls_min_version: str, keytab: Path | None, published: tuple[str, ...],
          slots: Path | None, workers: int | None, process_per_session: bool,
          session_user: str | None, session_memory: str | None, session_cpu: int | None, read_only: bool,
          readers: tuple[str, ...], allow_files: Path | None, memory_limit: str | None, dialect: str,
          telemetry: list[Telemetry], log_format: str, config: Path | None, check_only: bool, quiet: bool) -> None:
    """Serve a DuckDB database, or Parquet, CSV, JSON and Arrow files, to PostgreSQL clients.

    Each file is a table named after it; NAME=FILE gives another name, and a quoted glob stands for several files.
    PACKAGE.MODULE:ENGINE serves an engine of your own, sc://HOST:PORT a Spark Connect server, postgresql://... a
    PostgreSQL.  Without a SOURCE the server starts with an empty database in memory.

    Without users, anybody on this machine may connect, under any name; with users, each proves a password by
    SCRAM-SHA-256; with access rules, they decide.  An address beyond this machine needs users or rules.

    SIGHUP has rules, users, the files of --tls-cert and the like, and the limits of --config read anew, for connections
    to come; Ctrl-C and SIGTERM end the sessions and the server.
    """
    confinement = confinement_of(process_per_session, session_user, session_memory, session_cpu)
    if workers is not None and confinement is not None:
        raise click.UsageError("--workers and --process-per-session are two ways to have processes: choose one")
    if confinement is not None and keytab is not None:
        raise click.UsageError("--keytab is not for --process-per-session: its processes may not read the keys")
    if published and (workers is not None or confinement is not None or read_only):
        raise click.UsageError("--publish is for one process that writes: not with --workers, --process-per-session or "
                               "--read-only")
    access.guard(host, "clients")
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    start_logging(log_format, quiet=quiet)
    reread: Callable[[], Limits] | None = reread_limits(ctx, config) if config is not None else None
    how: dict[str, Any] = {"users": access.users, "rules": access.rules, "limits": access.limits, "reread": reread,
                           "tls": server_tls(tls_cert, tls_key, tls_client_ca, tls_client_crl, tls_min_version),
                           "gss": server_gss(keytab), "oauth": access.oauth, "telemetry": telemetry}
    where: dict[str, Any] = {"host": host, "port": port, "unix_socket_dir": unix_socket}
    several = confinement is not None or workers is not None
    make = engine_maker(sources, read_only=read_only, memory_limit=memory_limit, readers=readers,
                        allow_files=allow_files, dialect=dialect,
                        tell=lambda words: None if several else screen.print(f"febe: {words}"))
    listening: list[Listener | Postmaster] = []

    def ready(listener: Listener | Postmaster) -> None:
        listening.append(listener)
        for reached in _hosts(host, unix_socket):
            if published:
                names = [name.partition("=")[0] for name in published]
                said = subscription(names, reached, listener.port, access.somebody, "demo")
                screen.print(f"febe: publishing: {said}")
            screen.print(f'febe: ready: psql "host={reached} port={listener.port} user={access.somebody} dbname=demo"')
        told_ready()

    try:
        if check_only:
            check_sources(sources)
            check(**how)
            screen.print("febe: the server could be started like that")
        elif confinement is not None:
            run_processes(make, confinement=confinement, ready=ready, grace=access.grace, **where, **how)
        elif workers is not None:
            run_workers(make, workers, ready=ready, grace=access.grace, **where, **how)
        else:
            with contextlib.closing(opened(make)) as engine, publishing(engine, published, slots) as more:
                run(engine, ready=ready, grace=access.grace, **where, **how, **more)
    except ValueError as failure:
        raise click.UsageError(str(failure)) from None
    except RuntimeError as failure:
        if listening or not several:
            raise
        raise click.ClickException(str(failure)) from None
    except OSError as failure:
        if listening:
            raise
        raise click.ClickException(f"cannot listen on {host}:{port}: {failure.strerror or failure}") from None
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _hosts(host: str, unix_socket: Path | None) -> list[str]:
    """What a client on this machine gives as host."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return [reached] if unix_socket is None else [reached, str(unix_socket.absolute())]
