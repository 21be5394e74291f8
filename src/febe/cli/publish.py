"""`febe publish`: files and a stream of changes to the PostgreSQL servers that subscribe."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from rich.console import Console

from febe.cli.access import Access, access_options
from febe.cli.grouped import GroupedCommand, options
from febe.cli.publishing import full_name, subscription
from febe.cli.supervisor import told_ready
from febe.cli.telemetry import start_logging
from febe.cli.tls import encryption_options, server_gss, server_tls
from febe.publish import EngineQuery, Publisher
from febe.publish.feed import Feed, FeedError
from febe.server import Engine, Listener, run
from febe.walsender.no_engine import NoEngine

if TYPE_CHECKING:
    from febe.engines.duckdb import DuckDBEngine

__all__ = ["publish"]

WAIT = 0.2
"""Seconds between two looks at whether a file has grown."""


@click.command(cls=GroupedCommand)
@click.argument("sources", nargs=-1, metavar="[SOURCE ...]")
@options(
    "What is published",
    (("--publication", "names"), {"multiple": True, "metavar": "NAME[=TABLE,...]", "help":
        "A publication of all tables, or of some; may be repeated.  By default there is one, febe."}),
    (("--key", "keys"), {"multiple": True, "metavar": "TABLE=COLUMN,...", "help":
        "What identifies a table's rows; may be repeated.  A DuckDB database's primary keys are known."}),
    (("--changes",), {"type": click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
                      "metavar": "FILE|-", "help":
                      "Changes as JSON lines, from a file that is followed as it grows, or from standard input."}),
    (("--state",), {"type": click.Path(path_type=Path, dir_okay=False), "required": True, "metavar": "FILE", "help":
                    "Where rows, subscriptions' places, and what they have not taken yet are kept."}),
)
@options(
    "Where",
    (("--host",), {"default": "127.0.0.1", "show_default": True, "metavar": "ADDRESS", "help": "Where to listen."}),
    (("--port",), {"default": 5432, "show_default": True, "type": click.IntRange(0, 65535), "metavar": "NUMBER",
                   "help": "0 takes a free one."}),
    (("--unix-socket",), {"type": click.Path(path_type=Path, file_okay=False, exists=True), "metavar": "DIRECTORY",
                          "help": "Listen there too, at .s.PGSQL.<port>."}),
)
@access_options
@encryption_options
@options("The command itself", (("--quiet",), {"is_flag": True, "help": "No line per connection."}))
def publish(sources: tuple[str, ...], names: tuple[str, ...], keys: tuple[str, ...], changes: Path | None, state: Path,
            host: str, port: int, unix_socket: Path | None, access: Access, tls_cert: Path | None,
            tls_key: Path | None, tls_client_ca: Path | None, tls_client_crl: Path | None, tls_min_version: str,
            keytab: Path | None, quiet: bool) -> None:
    """Publish tables and their changes, so that a PostgreSQL can CREATE SUBSCRIPTION.

    A SOURCE is what a table begins with: a Parquet, CSV, JSON or Arrow file (NAME=FILE gives another name), or a DuckDB
    database with all its tables.  It is read when --state is new; from then on the state is what counts.

    Changes are JSON lines as febe replicate writes them, tables included:

    \b
    {"change": "table", "table": "public.stock", "columns": {"item": "text", "number": "int4"}, "key": ["item"]}
    {"change": "insert", "table": "public.stock", "new": {"item": "fig", "number": 1}}
    {"change": "update", "table": "public.stock", "new": {"item": "fig", "number": 2}}
    {"change": "delete", "table": "public.stock", "old": {"item": "fig"}}

    What stands between begin and commit lines is one transaction.  A file goes on where it was left; standard input may
    repeat what has been taken where commits tell their position, as febe replicate's do:

    \b
    febe publish stock.csv --key stock=item --changes changes.jsonl --state stock.state
    febe replicate "host=db" --slot relay --publication shop | febe publish --changes - --state relay.state
    """
    access.guard(host, "subscriptions")
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    start_logging("text", quiet=quiet)
    how: dict[str, Any] = {"users": access.users, "rules": access.rules, "limits": access.limits, "oauth": access.oauth,
                           "tls": server_tls(tls_cert, tls_key, tls_client_ca, tls_client_crl, tls_min_version),
                           "gss": server_gss(keytab), "host": host, "port": port, "unix_socket_dir": unix_socket}
    publisher = Publisher(state)
    with contextlib.closing(publisher):
        _declare(publisher, sources, _keys(keys))
        published = names or ("febe",)
        with _checked():
            feed = Feed(publisher)
            _publications(publisher, published)
        reader = _Reader(feed, changes, screen)

        def ready(listener: Listener) -> None:
            reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
            said = subscription([name.partition("=")[0] for name in published], reached, listener.port, access.somebody,
                                "febe")
            screen.print(f"febe: ready: {said}")
            told_ready()
            reader.start()

        try:
            run(NoEngine("this server publishes changes to subscriptions, and answers nothing else"), ready=ready,
                grace=access.grace, replication=publisher.session_class(), **how)
        except OSError as failure:
            raise click.ClickException(f"cannot listen on {host}:{port}: {failure.strerror or failure}") from None
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        finally:
            reader.stop()
    if reader.failure is not None:
        raise click.ClickException(str(reader.failure))


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _keys(given: tuple[str, ...]) -> dict[str, list[str]]:
    found = {}
    for text in given:
        table, equals, columns = text.partition("=")
        if not equals or not columns:
            raise click.UsageError(f"--key {text}: it has to be TABLE=COLUMN,...")
        found[full_name(table)] = [column.strip() for column in columns.split(",")]
    return found


def _publications(publisher: Publisher, names: tuple[str, ...]) -> None:
    from febe.publish import Publication

    for text in names:
        name, equals, tables = text.partition("=")
        publisher.publications[name] = Publication(
            name, every=[full_name(one) for one in tables.split(",")] if equals else True)


def _declare(publisher: Publisher, sources: tuple[str, ...], keys: Mapping[str, list[str]]) -> None:
    """Publish the tables of the sources.  Errors: click.UsageError, ClickException."""
    unknown = set(keys)
    if sources:
        from febe.cli.sources import opened
        from febe.engines.duckdb import DuckDBEngine

        def make() -> Engine:
            return DuckDBEngine(*sources, read_only=True)

        with contextlib.closing(opened(make)) as engine:
            assert isinstance(engine, DuckDBEngine)
            for schema, name, key in _tables(engine):
                table = full_name(f"{schema}.{name}")
                unknown.discard(table)
                key = keys.get(table, key)
                if not key:
                    raise click.UsageError(f"{name} needs a key, by which subscriptions find rows that are updated or "
                                           f"deleted: give --key {name}=COLUMN")
                query = "from " + ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
                with _checked():
                    publisher.table(table, key=key, rows=EngineQuery(engine, query))
    if unknown:
        raise click.UsageError(f"--key: there is no table {min(unknown)}")


def _tables(engine: DuckDBEngine) -> list[tuple[str, str, list[str]]]:
    """Schema, name and primary key of each table, views of files among them."""
    if not engine.is_file and any(source.kind == "database" for source in engine.sources):
        raise click.UsageError("a DuckDB database is published alone")
    session = engine.open(user="publisher", database="memory", parameters={})
    with contextlib.closing(session):
        # views of a database are its queries, those of files are the files
        return [(schema.name, relation.name, next((list(one.columns) for one in relation.constraints
                                                   if one.kind == "p"), []))
                for schema in session.describe().schemas for relation in schema.relations
                if relation.kind == "r" or not engine.is_file]


class _Reader:
    """Reads the changes in a thread of its own; what goes wrong ends the server."""

    def __init__(self, feed: Feed, path: Path | None, screen: Console) -> None:
        self.failure: Exception | None = None
        self._feed, self._path, self._screen = feed, path, screen
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin, if there is something to read."""
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """End; a thread that waits for standard input is left to the process's end."""
        self._stopping.set()
        if self._thread.ident is not None and str(self._path) != "-":
            self._thread.join()

    def _run(self) -> None:
        try:
            if str(self._path) == "-":
                self._take(sys.stdin.buffer, follow=False)
            else:
                assert self._path is not None
                with self._path.open("rb") as file:
                    regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                    if regular:
                        self._seek(file)
                    self._take(file, follow=regular)
        except (FeedError, OSError) as error:
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)

    def _seek(self, file: BinaryIO) -> None:
        if self._feed.offset > os.fstat(file.fileno()).st_size:
            raise FeedError(f"{self._path} is shorter than what has been read of it")
        file.seek(self._feed.offset)

    def _take(self, file: BinaryIO, *, follow: bool) -> None:
        rest = b""
        while not self._stopping.is_set():
            line = rest + file.readline()
            if line.endswith(b"\n"):
                self._feed.take(line)
                rest = b""
            elif follow:
                rest = line
                self._stopping.wait(WAIT)
                if os.fstat(file.fileno()).st_size < file.tell():
                    # febe replicate, started again, cuts off what has no commit
                    self._feed.rewind()
                    self._seek(file)
                    rest = b""
            else:
                if line.strip():
                    raise FeedError(f"line {self._feed.line + 1} has no end")
                self._screen.print("febe: the changes have ended; what there is is still published")
                return
