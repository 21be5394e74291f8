"""What `febe serve` may be given to serve, and the engine that each of them is."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click

from febe.server import Engine
from febe.server.catalog import Catalog

__all__ = ["check_sources", "engine_maker", "is_alone", "opened"]

Tell: TypeAlias = "Callable[[str], object]"


def is_alone(name: str) -> bool:
    """Whether a SOURCE is no file but something that is served by itself."""
    return _alone(name) is not None


def engine_maker(names: tuple[str, ...], *, read_only: bool, memory_limit: str | None, readers: tuple[str, ...],
                 allow_files: Path | None, dialect: str, tell: Tell) -> Callable[[], Engine]:
    """What makes the engine, with the catalogs before it where it has none; `tell` is told what it is at.

    `dialect` is what clients write: `postgres`, or `engine` for the engine's own.  Errors: click.UsageError.
    """
    if dialect == "postgres":
        return partial(_translated, engine_maker(names, read_only=read_only, memory_limit=memory_limit, readers=readers,
                                                 allow_files=allow_files, dialect="engine", tell=tell))
    for name in names:
        found = _alone(name)
        if found is not None:
            opener, _, what = found
            if len(names) > 1 or read_only or memory_limit or readers or allow_files:
                raise click.UsageError(f"{what} is served alone, without --read-only, --reader, --allow-files and "
                                       "--memory-limit: what may be read and written is for it to say")
            return partial(opener, name, tell)
    # now, because a session's process may not be allowed to read the packages
    import febe.engines.duckdb  # noqa: F401

    return partial(_duckdb, names, tell, read_only=read_only, memory_limit=memory_limit, readers=readers,
                   allow_files=allow_files)


def _translated(make: Callable[[], Engine]) -> Engine:
    from febe.server.translation import Translation

    engine = make()
    if not isinstance(engine, Catalog) or engine.inner.dialect is None:
        engine.close()
        raise click.UsageError("--dialect postgres is for DuckDB, Spark and engines that name their dialect")
    engine.translation = Translation(engine.inner.dialect)
    return engine


def opened(make: Callable[[], Engine]) -> Engine:
    """The engine.  Errors: click.ClickException, which says in a line what is wrong."""
    import duckdb

    from febe.engines.duckdb import SourceError
    from febe.errors import Error

    try:
        return make()
    except (SourceError, duckdb.Error, Error, OSError) as failure:
        raise click.ClickException(str(failure)) from None


def check_sources(names: tuple[str, ...]) -> None:
    """Find out whether files are there and of a kind that can be served, and whether packages and modules can be
    loaded.  Nothing is opened, because a server may have it open.  Errors: click.ClickException.
    """
    from febe.engines.duckdb.sources import find

    for name in names:
        found = _alone(name)
        if found is not None and found[0] is _spark:
            _spark_engine()
        elif found is not None:
            opened(partial(found[0], name, lambda words: None)).close()
    opened(lambda: find([name for name in names if not is_alone(name)]))  # type: ignore[arg-type, return-value]


def _duckdb(names: tuple[str, ...], tell: Tell, **options: Any) -> Engine:
    from febe.engines.duckdb import DuckDBEngine, Source

    def loading(source: Source) -> None:
        more = f" and {len(source.paths) - 1} more" if len(source.paths) > 1 else ""
        tell(f"loading {source.name} from {source.paths[0].name}{more}")

    return Catalog(DuckDBEngine(*names, on_source=loading, **options))


def _spark(name: str, tell: Tell) -> Engine:
    engine = _spark_engine()
    tell(f"connecting to {name}")
    return Catalog(engine(name), refresh=_OTHERS_CHANGE)


def _spark_engine() -> Callable[[str], Engine]:
    try:
        from febe.engines.spark import SparkEngine
    except ImportError as missing:
        raise click.ClickException(f"Spark needs more packages: pip install 'febe[spark]' ({missing})") from None
    return SparkEngine


def _upstream(name: str, tell: Tell) -> Engine:
    from febe.engines.upstream import UpstreamEngine

    return UpstreamEngine(name)  # it has PostgreSQL's own catalog


def _own(name: str, tell: Tell) -> Engine:
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


_OTHERS_CHANGE = 30.0
"""Seconds after which an engine that others change too is asked again what it holds."""

_Alone: TypeAlias = "tuple[Callable[[str, Tell], Engine], str, str]"
_ALONE: list[_Alone] = [
    (_spark, r"sc://", "a Spark Connect server"),
    (_upstream, r"postgres(ql)?://", "a PostgreSQL upstream"),
    (_own, r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$", "an engine of one's own"),
]
"""What is served by itself: how it is opened, what its name looks like, what it is."""


def _alone(name: str) -> _Alone | None:
    return next((one for one in _ALONE if re.match(one[1], name) and not os.path.lexists(name)), None)
