"""What a connection does, told to a program's hook: each operation when it has ended, with its times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from febe.flows.session import Session

Kind: TypeAlias = Literal["connect", "query", "pipeline", "copy", "error"]


@dataclass(slots=True, kw_only=True, frozen=True)
class Server:
    """Whom a connection is to; `port` is None on a Unix socket, whose directory `host` is then."""

    host: str
    port: int | None
    database: str
    user: str
    process_id: int = 0


@dataclass(slots=True, kw_only=True)
class Event:
    """An operation that has ended.

    `kind` is `connect`, `query` (also many sets of parameters, and a stream), `pipeline`, `copy`, or `error` for what
    ends a connection while nothing is asked.  `text` is the SQL; values of parameters are never told, and `has_values`
    says that the text may have values in it, because nothing was sent beside it.  `size` is how many statements or
    sets of parameters it was, `rows` how many rows came or were copied, where that is known, `bytes` how many went
    through COPY.  `began` is the time of day in nanoseconds, `seconds` how long it took.
    """

    kind: Kind
    server: Server
    text: str | None = field(default=None, repr=False)
    has_values: bool = False
    size: int = 1
    rows: int | None = None
    bytes: int | None = None
    tag: str = ""
    error: BaseException | None = None
    began: int = field(default_factory=time.time_ns)
    seconds: float = 0.0


Hook: TypeAlias = Callable[[Event], object]
"""Called in the task or thread that asked; what it raises is logged."""


class Everywhere:
    """The hook of connections that have none of their own."""

    hook: Hook | None = None


everywhere = Everywhere()


class Operation:
    """One that is under way."""

    __slots__ = ("_hook", "_start", "event")

    def __init__(self, hook: Hook, event: Event) -> None:
        self._hook: Hook | None = hook
        self._start = time.perf_counter()
        self.event = event

    def end(self, error: BaseException | None = None) -> None:
        """It has ended; once is enough."""
        hook, self._hook = self._hook, None
        if hook is None:
            return
        self.event.seconds = time.perf_counter() - self._start
        self.event.error = error
        try:
            hook(self.event)
        except Exception:
            import logging

            logging.getLogger("febe").exception("%r failed", hook)


class Watch:
    """Tells of one connection."""

    __slots__ = ("_hook", "server")

    def __init__(self, hook: Hook, server: Server) -> None:
        self._hook = hook
        self.server = server

    def begin(self, kind: Kind, text: str | None = None, *, has_values: bool = False, size: int = 1) -> Operation:
        """Begin an operation, which has to be ended."""
        return Operation(self._hook, Event(kind=kind, server=self.server, text=text, has_values=has_values, size=size))

    @contextmanager
    def operation(self, kind: Kind, text: str | None = None, *, has_values: bool = False, size: int = 1
                  ) -> Iterator[Event]:
        """An operation that takes as long as the block."""
        under_way = self.begin(kind, text, has_values=has_values, size=size)
        try:
            yield under_way.event
        except BaseException as error:
            under_way.end(error)
            raise
        under_way.end()


def watching(session: Session, kind: Kind, text: str | None = None, *, has_values: bool = False, size: int = 1) -> Any:
    """The operation of a block, or nothing where nobody watches; as a context it gives the event, or None."""
    if session.watch is None:
        return nullcontext()
    return session.watch.operation(kind, text, has_values=has_values, size=size)


__all__ = ["Event", "Hook", "Kind", "Operation", "Server", "Watch", "everywhere", "watching"]
