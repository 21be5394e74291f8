"""What clients that do not replicate find on a server that has nothing for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from febe.server.engine import Engine, EngineError, EngineSession, Prepared


class NoEngine(Engine):
    """Refuses every statement, and says why."""

    blocking = False

    def __init__(self, why: str) -> None:
        self._why = why

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return _NoSession(self._why)


class _NoSession(EngineSession):
    def __init__(self, why: str) -> None:
        self._why = why

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        raise EngineError(self._why, sqlstate="0A000")


__all__ = ["NoEngine"]
