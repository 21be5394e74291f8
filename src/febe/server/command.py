"""A statement of the server's own, with the face of an engine's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from febe.server.engine import Column, EngineError, Prepared, Result
from febe.server.results import Formats, Source, source_of
from febe.types import oids


class Command(Prepared):
    """Runs `action` with the values of its parameters.

    `controls`: it begins or ends transactions, so it is in none itself.  `ends_block`: it may be run in a failed block.
    `reaches_engine`: what it does is done by the engine.  `waits`: it may take its time, so it is called in a thread
    whatever the engine.  `binary`: its rows are in binary without being asked for.  `is_query`: to
    PostgreSQL it is a query, whose rows are described before it runs.
    """

    writes = False
    binary = False
    is_query = False

    def __init__(self, action: Callable[[Sequence[Any]], Result], *, columns: Sequence[Column] | None = None,
                 parameters: Sequence[int] = (), controls: bool = False, ends_block: bool = False,
                 reaches_engine: bool = False, waits: bool = False) -> None:
        self._action = action
        self.columns = tuple(columns) if columns is not None else None
        self.parameters = tuple(parameters)
        self.controls = controls
        self.ends_block = ends_block
        self.reaches_engine = reaches_engine
        self.waits = waits

    def execute(self, values: Sequence[Any]) -> Result:
        """Run."""
        return self._action(values)

    def source(self, result: Result, formats: Formats) -> Source | None:
        """Where the rows of `result` come from."""
        return source_of(result, self.columns or (), formats)


def done(tag: str, act: Callable[[], object] | None = None, *, controls: bool = False, ends_block: bool = False,
         reaches_engine: bool = False) -> Command:
    """A command that gives a tag and no rows."""
    def action(values: Sequence[Any]) -> Result:
        if act is not None:
            act()
        return Result(tag=tag)

    return Command(action, controls=controls, ends_block=ends_block, reaches_engine=reaches_engine)


def refused(what: str, *, ends_block: bool = False) -> Command:
    """A command that is understood and not supported."""
    def action(values: Sequence[Any]) -> Result:
        raise EngineError(f"{what} are not supported" if what.endswith("s") else f"{what} is not supported",
                          sqlstate="0A000")

    return Command(action, ends_block=ends_block)


def texts(*names: str) -> tuple[Column, ...]:
    """Columns of type text."""
    return tuple(Column(name=name, type_oid=oids.TEXT) for name in names)
