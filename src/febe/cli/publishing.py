"""`febe serve --publish`: changes that clients make become changes that a PostgreSQL subscribes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from febe.cli.grouped import options
from febe.server import Engine

__all__ = ["publish_options", "publishing", "subscription"]

publish_options = options(
    "Publishing changes",
    (("--publish", "published"), {"multiple": True, "metavar": "NAME[=TABLE,...]", "help":
        "A publication of the database file's tables, or of some of them, for CREATE SUBSCRIPTION; may be repeated."}),
    (("--slots",), {"type": click.Path(path_type=Path, dir_okay=False), "metavar": "FILE", "help":
        "Where subscriptions' places are kept, and what they have not taken yet; by default DATABASE.slots."}),
)


@contextmanager
def publishing(engine: Engine, published: tuple[str, ...], slots: Path | None) -> Iterator[dict[str, Any]]:
    """What `febe.server.run` is told so that an engine's changes are published.  Errors: click.UsageError."""
    if not published:
        if slots is not None:
            raise click.UsageError("--slots is for --publish")
        yield {}
        return
    from febe.engines.duckdb import DuckDBEngine
    from febe.engines.duckdb.publishing import DuckDBPublisher
    from febe.publish.publication import Publication

    inner = getattr(engine, "inner", engine)
    if not isinstance(inner, DuckDBEngine) or not inner.is_file:
        raise click.UsageError("--publish is for one DuckDB database file")
    file = slots or inner.sources[0].paths[0].with_name(inner.sources[0].paths[0].name + ".slots")
    made = []
    for text in published:
        name, equals, tables = text.partition("=")
        made.append(Publication(name, every=[full_name(one) for one in tables.split(",")] if equals else True))
    try:
        publisher = DuckDBPublisher(inner, file, made)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with closing(publisher):
        missing = {table for one in made for table in one.names} - {table.full_name for table in publisher.current()}
        if missing:
            raise click.UsageError(f"--publish: there is no table {min(missing)}")
        yield {"replication": publisher.session_class()}


def full_name(table: str) -> str:
    """A table's name with its schema, as PostgreSQL has it."""
    schema, dot, name = table.strip().rpartition(".")
    return f"{schema if dot and schema != 'main' else 'public'}.{name}"


def subscription(names: list[str], host: str, port: int, user: str, database: str) -> str:
    """What is to be said to the PostgreSQL that subscribes."""
    quoted: Callable[[str], str] = lambda name: '"' + name.replace('"', '""') + '"'  # noqa: E731
    listed = ", ".join(map(quoted, names))
    conninfo = f"host={host} port={port} user={user} dbname={database}"
    return f"CREATE SUBSCRIPTION {quoted(names[0])} CONNECTION '{conninfo}' PUBLICATION {listed}"
