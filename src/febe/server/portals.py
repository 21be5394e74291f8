"""Portals: statements with their values, run as far as asked, and the session's book of them (manual: "Extended
Query").  A cursor is a portal that DECLARE made."""

from __future__ import annotations

import time
from collections.abc import Sequence

from febe.server.engine import EngineError, Result
from febe.server.results import PIECE_ROWS, Formats, Source, at_once, source_of, transcoded, unread
from febe.server.spool import Spool
from febe.server.statements import Statement

SCROLL_BYTES = 16 << 20
"""How much of a cursor that says neither SCROLL nor NO SCROLL is kept to go back in; one that has given more cannot."""


class Portal:
    """A statement ready to be executed, or under way.

    `scroll` True keeps every row to go back to, False none, None some.  `hold`: it outlives its transaction; `held`: it
    has.  `text` is the DECLARE of a cursor.  `position` counts the rows gone past.  `result` is what executing gave.
    """

    __slots__ = ("_beyond", "_source", "_spool", "_values", "binary", "created", "finished", "formats",
                 "held", "hold", "name", "position", "result", "scroll", "statement", "text")

    def __init__(self, statement: Statement, values: Sequence[object], formats: Formats, *, name: str = "",
                 scroll: bool | None = False, hold: bool = False, binary: bool = False, text: str = "") -> None:
        self.name = name
        self.statement = statement
        self.formats = formats
        self.scroll = scroll
        self.hold = hold
        self.held = False
        self.binary = binary
        self.text = text
        self.created = time.time() if text else 0.0
        self.position = 0
        self._beyond = False
        self._values = values
        self.result: Result | None = None
        self._source: Source | None = None
        self._spool = Spool() if scroll is not False else None
        self.finished = False

    @property
    def open(self) -> bool:
        """The engine may have more rows for it."""
        return self.result is not None and not self.finished

    def start(self) -> Result:
        """Execute the statement, if that has not been done."""
        if self.result is None:
            prepared = self.statement.prepared
            assert prepared is not None
            self.result = prepared.execute(self._values)
        return self.result

    def pull(self, most: int) -> tuple[bytes | bytearray, int]:
        """Give the next rows as DataRow messages, and how many; none: the end.  The first call runs the statement."""
        spool = self._spool
        if spool is not None and self.position < spool.end:
            kept, rows = spool.read(self.position, min(most or PIECE_ROWS, PIECE_ROWS))
            self.position += rows
            return kept, rows
        if self.finished:
            self._beyond = True
            return b"", 0
        if self._source is None:
            result, command = self.start(), self.statement.command
            if command is not None:
                self._source = command.source(result, self.formats)
            else:
                columns = self.statement.columns or ()
                if spool is None:
                    whole = at_once(result, columns, self.formats, most)
                    if whole is not None:
                        self.finished = True
                        self.position += whole[1]
                        return whole
                self._source = source_of(result, columns, self.formats)
            if self._source is None:
                self.finished = True
                return b"", 0
        source = self._source
        data, rows = source.pull(most)
        if rows:
            self.position += rows
            if spool is not None:
                self._keep(spool, data, rows)
        else:
            self._beyond = True
        if not rows or source.ended:
            self.finished = True
            self.close_source()
        return data, rows

    # As a cursor

    @property
    def number(self) -> int:
        """The current row's number: 0 before the first, one more than there are after the last."""
        return self.position + self._beyond

    def fetched(self, most: int, formats: Formats) -> tuple[bytes | bytearray, int]:
        """`pull`, in the formats that a FETCH wants: the first decides what the rows are kept in."""
        if self._source is None and not self.position and not self.finished:
            self.formats = formats
        data, rows = self.pull(most)
        if rows and formats != self.formats:
            data = transcoded(data, self.statement.columns or (), self.formats, formats)
        return data, rows

    def go_to(self, position: int) -> None:
        """Have so many rows behind, or all if there are fewer.  Errors: EngineError (55000) on the way back."""
        while self.position < position and self.pull(position - self.position)[1]:
            pass
        if position < self.number:
            self.check_back(position)
            self.position, self._beyond = position, False

    def check_back(self, position: int) -> None:
        """Errors: EngineError (55000) when one cannot go back that far."""
        if self.scroll is False or self._spool is None or position < self._spool.first:
            raise EngineError("cursor can only scan forward", sqlstate="55000",
                              hint="Declare it with SCROLL option to enable backward scan.")

    def count(self) -> int:
        """How many rows there are: all are read."""
        while self.pull(0)[1]:
            pass
        return self.position

    def persist(self) -> None:
        """Keep the rest of the rows: the transaction is about to end, and the cursor is WITH HOLD."""
        if self._spool is None:
            self._spool = Spool(self.position)
        position, beyond = self.position, self._beyond
        self.position = self._spool.end
        while self.pull(0)[1]:
            pass
        self.position, self._beyond = position, beyond
        self.held = True

    def notices(self) -> list[str]:
        """What the engine has to say, once."""
        if self.result is None or not self.result.notices:
            return []
        notices, self.result.notices = self.result.notices, []
        return notices

    @property
    def tag(self) -> str | None:
        """The result's command tag."""
        return self.result.tag if self.result is not None else None

    def close_source(self) -> None:
        """Let go of the rows that were not asked for."""
        if self._source is not None:
            source, self._source = self._source, None
            source.close()

    def close(self) -> None:
        """The portal is no more."""
        if self._source is not None:
            self.close_source()
        elif self.result is not None and not self.finished:
            unread(self.result)
        self.finished = True
        if self._spool is not None:
            self._spool.close()
        self.statement.release()

    def _keep(self, spool: Spool, data: bytes | bytearray, rows: int) -> None:
        spool.add(data, rows)
        if self.scroll is None and not self.hold and spool.size > SCROLL_BYTES:
            spool.close()
            self._spool = None


class Portals:
    """The portals of one session, by name; "" is the unnamed one."""

    def __init__(self) -> None:
        self.by_name: dict[str, Portal] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def all(self) -> list[Portal]:
        """Every portal, in the order they were made."""
        return list(self.by_name.values())

    @property
    def any_open(self) -> bool:
        """Whether closing them means asking the engine."""
        for portal in self.by_name.values():  # noqa: SIM110 - it is asked at every Sync
            if portal.open:
                return True
        return False

    def get(self, name: str) -> Portal:
        """Errors: EngineError (34000)."""
        try:
            return self.by_name[name]
        except KeyError:
            raise EngineError(f'portal "{name}" does not exist', sqlstate="34000") from None

    def check_free(self, name: str) -> None:
        """Errors: EngineError (42P03) for a name that is taken; the unnamed portal is replaced."""
        if name and name in self.by_name:
            raise EngineError(f'cursor "{name}" already exists', sqlstate="42P03")

    def add(self, portal: Portal) -> None:
        """Enter a portal under its name."""
        self.close(portal.name)
        self.by_name[portal.name] = portal

    def close(self, name: str) -> None:
        """Destroy a portal; none of that name is no error."""
        found = self.by_name.pop(name, None)
        if found is not None:
            found.close()

    def committing(self) -> None:
        """Cursors WITH HOLD keep what is left of their rows, while the transaction is there to read them in."""
        for portal in self.all():
            if portal.hold and not portal.held:
                portal.persist()

    def transaction_ended(self) -> None:
        """Destroy all but the cursors that are held."""
        for portal in self.all():
            if not portal.held:
                self.close(portal.name)

    def clear(self) -> None:
        """Destroy all."""
        for name in list(self.by_name):
            self.close(name)
