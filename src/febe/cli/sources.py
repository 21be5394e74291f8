"""What `febe serve` may be given to serve, and the engine that each of them is."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from febe.server import Engine
from febe.server.catalog import Catalog

__all__ = ["open_engine"]


def open_engine(screen: Console, names: tuple[str, ...], *, read_only: bool, memory_limit: str | None) -> Engine:
    """The engine with everything loaded, telling what it is at.  Errors: click.ClickException."""
    for opener, pattern, what in _ALONE:
        if any(re.match(pattern, name) and not os.path.lexists(name) for name in names):
            if len(names) > 1 or read_only or memory_limit:
                raise click.UsageError(f"{what} is served alone, without --read-only and --memory-limit: what may be "
                                       "read and written is for it to say")
            return opener(screen, names[0])
    return Catalog(_duckdb(screen, names, read_only=read_only, memory_limit=memory_limit))


def _duckdb(screen: Console, names: tuple[str, ...], *, read_only: bool, memory_limit: str | None) -> Engine:
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


def _spark(screen: Console, name: str) -> Engine:
    try:
        from febe.engines.spark import SparkEngine
    except ImportError as missing:
        raise click.ClickException(f"Spark needs more packages: pip install 'febe[spark]' ({missing})") from None
    try:
        with screen.status(f"connecting to {name}"):
            return Catalog(SparkEngine(name))
    except OSError as failure:
        raise click.ClickException(str(failure)) from None


def _upstream(screen: Console, name: str) -> Engine:
    from febe.engines.upstream import UpstreamEngine
    from febe.errors import Error

    try:
        return UpstreamEngine(name)  # it has PostgreSQL's own catalog
    except Error as failure:
        raise click.ClickException(str(failure)) from None


def _own(screen: Console, name: str) -> Engine:
    """An engine of one's own, or what a class or function of that name makes."""
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: the module may lie in the current directory
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as failure:
        raise click.ClickException(f"{name}: {failure}") from None
    engine = found() if callable(found) and not isinstance(found, Engine) else found
    if not isinstance(engine, Engine):
        raise click.ClickException(f"{name} is no febe.server.Engine, and makes none")
    return engine if engine.session is not None else Catalog(engine)


_ALONE: list[tuple[Callable[[Console, str], Engine], str, str]] = [
    (_spark, r"sc://", "a Spark Connect server"),
    (_upstream, r"postgres(ql)?://", "a PostgreSQL upstream"),
    (_own, r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$", "an engine of one's own"),
]
"""What is served by itself: how it is opened, what its name looks like, what it is."""
