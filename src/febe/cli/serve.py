"""`febe serve`: files and DuckDB databases to every PostgreSQL client."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from febe.cli.access import Access, access_options
from febe.cli.sources import open_engine
from febe.cli.tls import server_gss, server_tls
from febe.server import Listener, is_loopback, run

__all__ = ["serve"]


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE ...]")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=5432, show_default=True, type=click.IntRange(0, 65535), metavar="NUMBER",
              help="0 takes a free one.")
@click.option("--unix-socket", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIRECTORY",
              help="Listen there too, at .s.PGSQL.<port>.")
@access_options
@click.option("--tls-cert", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Offer TLS with this certificate (PEM, and those up to the root).")
@click.option("--tls-key", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="The certificate's private key.")
@click.option("--tls-client-ca", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Ask clients for certificates, signed by these.")
@click.option("--tls-client-crl", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Those of them that are revoked.")
@click.option("--tls-min-version", type=click.Choice(["TLSv1.2", "TLSv1.3"]), default="TLSv1.2", show_default=True,
              help="Refuse older versions of TLS.")
@click.option("--keytab", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="The server's Kerberos keys: GSSAPI encryption and authentication.")
@click.option("--read-only", is_flag=True, help="Refuse statements that change data.")
@click.option("--memory-limit", metavar="SIZE", help="DuckDB's, for example 4GB.")
@click.option("--quiet", is_flag=True, help="No line per connection.")
def serve(sources: tuple[str, ...], host: str, port: int, unix_socket: Path | None, access: Access,
          tls_cert: Path | None, tls_key: Path | None, tls_client_ca: Path | None, tls_client_crl: Path | None,
          tls_min_version: str, keytab: Path | None, read_only: bool, memory_limit: str | None, quiet: bool) -> None:
    """Serve a DuckDB database, or Parquet, CSV, JSON and Arrow files, to PostgreSQL clients.

    Each file is a table named after it; NAME=FILE gives another name, and a quoted glob stands for several files.
    PACKAGE.MODULE:ENGINE serves an engine of your own, sc://HOST:PORT a Spark Connect server, postgresql://... a
    PostgreSQL.  Without a SOURCE the server starts with an empty database in memory.

    Without users, anybody on this machine may connect, under any name; with users, each proves a password by
    SCRAM-SHA-256; with access rules, they decide.  An address beyond this machine needs users or rules.

    SIGHUP has rules, users and the files of --tls-cert and the like read anew, for connections to come; Ctrl-C and
    SIGTERM end the sessions and the server.
    """
    tls = server_tls(tls_cert, tls_key, tls_client_ca, tls_client_crl, tls_min_version)
    try:
        exposed = not is_loopback(host)
    except OSError as failure:
        raise click.BadParameter(f"no such address: {host} ({failure.strerror})", param_hint="--host") from None
    if exposed and access.users is None and access.rules is None:
        raise click.UsageError(f"--host {host} can be reached from other machines, so clients have to authenticate: "
                               "give --user NAME:PASSWORD, --users FILE or --hba FILE")
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stdout,
                        level=logging.WARNING if quiet else logging.INFO)
    listening: list[Listener] = []

    def ready(listener: Listener) -> None:
        listening.append(listener)
        for where in _hosts(host, unix_socket):
            screen.print(f'febe: ready: psql "host={where} port={listener.port} user={access.somebody} dbname=demo"')

    try:
        with contextlib.closing(open_engine(screen, sources, read_only=read_only, memory_limit=memory_limit)) as engine:
            run(engine, ready=ready, host=host, port=port, unix_socket_dir=unix_socket, users=access.users,
                rules=access.rules, limits=access.limits, grace=access.grace, tls=tls, gss=server_gss(keytab),
                oauth=access.oauth)
    except ValueError as failure:
        raise click.UsageError(str(failure)) from None
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
