"""`febe serve`: files and DuckDB databases to every PostgreSQL client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from febe.cli.users import beyond_loopback, read_users
from febe.server.engine import Engine

__all__ = ["serve"]

_STOPS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True, kw_only=True)
class Listening:
    """Where and to whom."""

    host: str
    port: int
    unix_socket: Path | None
    users: Mapping[str, str]
    auth_timeout: float


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE ...]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=5432, show_default=True, type=click.IntRange(0, 65535), metavar="NUMBER",
              help="0 takes a free one.")
@click.option("--unix-socket", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIRECTORY",
              help="Listen there too, at .s.PGSQL.<port>.")
@click.option("--user", "user", multiple=True, metavar="NAME:PASSWORD", help="Who may connect; may be repeated.")
@click.option("--users", "users_file", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Who may connect: a line NAME:PASSWORD each.")
@click.option("--auth-timeout", default=60.0, show_default=True, type=click.FloatRange(0, min_open=True),
              metavar="SECONDS", help="How long a client may take to get in.")
@click.option("--read-only", is_flag=True, help="Refuse statements that change data.")
@click.option("--memory-limit", metavar="SIZE", help="DuckDB's, for example 4GB.")
@click.option("--quiet", is_flag=True, help="No line per connection.")
def serve(sources: tuple[str, ...], host: str, port: int, unix_socket: Path | None, user: tuple[str, ...],
          users_file: Path | None, auth_timeout: float, read_only: bool, memory_limit: str | None, quiet: bool) -> None:
    """Serve a DuckDB database, or Parquet, CSV, JSON and Arrow files, to PostgreSQL clients.

    Each file is a table named after it; NAME=FILE gives another name, and a quoted glob stands for several files.
    Without a SOURCE the server starts with an empty database in memory.

    Without users, anybody on this machine may connect, under any name; with users, each proves a password by
    SCRAM-SHA-256.  An address beyond this machine needs users.
    """
    users = read_users(user, users_file)
    if not users and beyond_loopback(host):
        raise click.UsageError(f"--host {host} can be reached from other machines, so clients have to authenticate: "
                               "give --user NAME:PASSWORD or --users FILE")
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout,
                        level=logging.WARNING if quiet else logging.INFO)
    try:
        engine = _opened(screen, sources, read_only=read_only, memory_limit=memory_limit)
        where = Listening(host=host, port=port, unix_socket=unix_socket, users=users, auth_timeout=auth_timeout)
        with contextlib.closing(engine), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(screen, engine, where))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _opened(screen: Console, names: tuple[str, ...], *, read_only: bool, memory_limit: str | None) -> Engine:
    """The engine with everything loaded, telling what it is at."""
    import duckdb

    from febe.engines.duckdb import DuckDBEngine, Source, SourceError

    def tell(source: Source) -> None:
        status.update(f"loading {source.name}")
        more = f" and {len(source.paths) - 1} more" if len(source.paths) > 1 else ""
        screen.print(f"febe: loading {source.name} from {source.paths[0].name}{more}")

    try:
        with screen.status("starting") as status:
            return DuckDBEngine(*names, read_only=read_only, memory_limit=memory_limit, on_source=tell)
    except (SourceError, duckdb.Error) as failure:
        raise click.ClickException(str(failure)) from None


async def _serve(screen: Console, engine: Engine, where: Listening) -> None:
    """Listen, say so, and go on until Ctrl-C or SIGTERM."""
    from febe.server import serve as listen

    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        for number in _STOPS:          # a second one does not wait for the sessions to end
            loop.remove_signal_handler(number)

    for number in _STOPS:
        # Windows has no such thing there; Ctrl-C is a KeyboardInterrupt then.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop)
    try:
        listener = await listen(engine, host=where.host, port=where.port, unix_socket=where.unix_socket,
                                users=where.users or None, auth_timeout=where.auth_timeout)
    except OSError as failure:
        raise click.ClickException(f"cannot listen on {where.host}:{where.port}: {failure.strerror}") from None
    try:
        for line in _ready(where, listener.port):
            screen.print(line)
        await stopped.wait()
    finally:
        await listener.close()


def _ready(where: Listening, port: int) -> list[str]:
    """What to paste into another terminal."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(where.host, where.host)
    hosts = [host] if where.unix_socket is None else [host, str(where.unix_socket.absolute())]
    user = next(iter(where.users), "demo")
    return [f'febe: ready: psql "host={host} port={port} user={user} dbname=demo"' for host in hosts]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed (extra `speed`)."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
