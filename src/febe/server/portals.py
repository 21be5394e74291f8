"""Portals: statements with their values, run as far as asked, and the session's book of them (manual: "Extended
Query")."""

from __future__ import annotations

from collections.abc import Sequence

from febe.server.engine import EngineError, Result
from febe.server.results import Formats, Source, source_of
from febe.server.statements import Statement


class Portal:
    """A statement ready to be executed, or under way."""

    __slots__ = ("_result", "_source", "_values", "finished", "formats", "name", "statement")

    def __init__(self, statement: Statement, values: Sequence[object], formats: Formats, *, name: str = "") -> None:
        self.name = name
        self.statement = statement
        self.formats = formats
        self._values = values
        self._result: Result | None = None
        self._source: Source | None = None
        self.finished = False

    @property
    def started(self) -> bool:
        """It has been executed, if only in part."""
        return self._result is not None

    @property
    def open(self) -> bool:
        """The engine may have more rows for it."""
        return self._source is not None

    def pull(self, most: int) -> tuple[bytes | bytearray, int]:
        """Give the next rows as DataRow messages, and how many; none: the end.  The first call runs the statement."""
        prepared = self.statement.prepared
        assert prepared is not None
        if self._result is None:
            self._result = prepared.execute(self._values)
            self._source = source_of(self._result, prepared.columns or (), self.formats)
        if self._source is None:
            self.finished = True
            return b"", 0
        data, rows = self._source.pull(most)
        if not rows or self._source.ended:
            self.finished = True
            self.close_source()
        return data, rows

    def notices(self) -> list[str]:
        """What the engine has to say, once."""
        if self._result is None or not self._result.notices:
            return []
        notices, self._result.notices = self._result.notices, []
        return notices

    def tag(self, rows: int) -> str:
        """The command tag after so many rows."""
        assert self._result is not None
        return (self._result.tag or "SELECT {}").replace("{}", str(rows))

    def close_source(self) -> None:
        """Let go of the rows that were not asked for."""
        if self._source is not None:
            source, self._source = self._source, None
            source.close()

    def close(self) -> None:
        """The portal is no more."""
        self.close_source()
        self.statement.release()


class Portals:
    """The portals of one session, by name; "" is the unnamed one."""

    def __init__(self) -> None:
        self._by_name: dict[str, Portal] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __bool__(self) -> bool:
        return bool(self._by_name)

    @property
    def any_open(self) -> bool:
        """Whether closing them means asking the engine."""
        return any(portal.open for portal in self._by_name.values())

    def get(self, name: str) -> Portal:
        """Errors: EngineError (34000)."""
        try:
            return self._by_name[name]
        except KeyError:
            raise EngineError(f'portal "{name}" does not exist', sqlstate="34000") from None

    def check_free(self, name: str) -> None:
        """Errors: EngineError (42P03) for a name that is taken; the unnamed portal is replaced."""
        if name and name in self._by_name:
            raise EngineError(f'cursor "{name}" already exists', sqlstate="42P03")

    def add(self, portal: Portal) -> None:
        """Enter a portal under its name."""
        self.close(portal.name)
        self._by_name[portal.name] = portal

    def close(self, name: str) -> None:
        """Destroy a portal; none of that name is no error."""
        found = self._by_name.pop(name, None)
        if found is not None:
            found.close()

    def clear(self) -> None:
        """Destroy all: the transaction is over."""
        for name in list(self._by_name):
            self.close(name)
