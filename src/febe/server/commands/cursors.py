"""DECLARE, FETCH, MOVE and CLOSE (manual: "SQL Commands")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from febe.server.command import Command, done
from febe.server.commands._words import Words
from febe.server.engine import EngineError, Result
from febe.server.portals import Portal
from febe.server.results import Formats, Source, expand
from febe.server.statements import Statement

if TYPE_CHECKING:
    from febe.server.execution import Execution

_ALL = 1 << 62
_QUERIES = ("SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "DESCRIBE", "SUMMARIZE", "PIVOT", "UNPIVOT")


def declare(session: Execution, words: Words) -> Command:
    """DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [[NO] SCROLL] CURSOR [WITH | WITHOUT HOLD] FOR query."""
    words.token()
    name = words.identifier()
    scroll: bool | None = None
    binary = hold = False
    while not words.take("CURSOR"):
        if words.take("NO", "SCROLL"):
            scroll = False
        elif words.take("SCROLL"):
            scroll = True
        elif words.take("BINARY"):
            binary = True
        elif not words.one_of("INSENSITIVE", "ASENSITIVE"):
            raise words.error(words.token())
    if words.take("WITH", "HOLD"):
        hold = True
    else:
        words.take("WITHOUT", "HOLD")
    words.expect("FOR")
    text, offset = words.rest()
    prepared = session.understand(text, session.types_given, offset)
    if prepared.columns is None or prepared.writes:
        raise EngineError("DECLARE CURSOR must specify a query", sqlstate="42601", position=offset + 1)

    def action(values: Sequence[Any]) -> Result:
        if not hold and not session.in_transaction:
            raise EngineError("DECLARE CURSOR can only be used in transaction blocks", sqlstate="25P01")
        session.portals.check_free(name)
        formats = expand((1,) if binary else (), len(prepared.columns or ()))
        portal = Portal(Statement(prepared), values, formats, name=name, scroll=scroll, hold=hold, text=words.sql,
                        binary=binary)
        try:
            portal.start()
            if not session.in_transaction:
                portal.persist()
        except BaseException:
            portal.close()
            raise
        session.portals.add(portal)
        return Result(tag="DECLARE CURSOR")

    return Command(action, parameters=prepared.parameters, reaches_engine=True)


def close(session: Execution, words: Words) -> Command:
    """CLOSE."""
    words.token()
    if words.take("ALL"):
        words.end()
        return done("CLOSE CURSOR ALL", session.portals.clear, reaches_engine=True)
    name = words.identifier()
    words.end()

    def act() -> None:
        _cursor(session, name)
        session.portals.close(name)

    return done("CLOSE CURSOR", act, reaches_engine=True)


def _cursor(session: Execution, name: str) -> Portal:
    if name not in session.portals:
        raise EngineError(f'cursor "{name}" does not exist', sqlstate="34000")
    return session.portals.get(name)


# FETCH and MOVE


@dataclass(slots=True, kw_only=True, frozen=True)
class Motion:
    """Where a FETCH goes: `count` rows on, below zero back; or to the row `count` when `absolute`.

    `single`: only the last of them is wanted.
    """

    count: int
    absolute: bool = False
    single: bool = False


def _motion(words: Words) -> Motion:
    if words.take("NEXT"):
        return Motion(count=1)
    if words.take("PRIOR"):
        return Motion(count=-1)
    if words.take("FIRST"):
        return Motion(count=1, absolute=True)
    if words.take("LAST"):
        return Motion(count=-1, absolute=True)
    if words.take("ABSOLUTE"):
        return Motion(count=words.integer(), absolute=True)
    if words.take("RELATIVE"):
        return Motion(count=words.integer(), single=True)
    if words.take("ALL"):
        return Motion(count=_ALL)
    sign = -1 if words.take("BACKWARD") else 1
    named = sign < 0 or words.take("FORWARD")
    if named and words.take("ALL"):
        return Motion(count=sign * _ALL)
    ahead = words.ahead()
    if ahead is not None and (ahead.text in ("-", "+") or ahead.text.isdigit()):
        return Motion(count=sign * words.integer())
    return Motion(count=sign)


def fetching(verb: str) -> Callable[[Execution, Words], Command]:
    """FETCH and MOVE."""
    def make(session: Execution, words: Words) -> Command:
        words.token()
        # (a cursor may be called like one of the words of a direction)
        motion = Motion(count=1) if words.ahead(1) is None else _motion(words)
        if not words.one_of("FROM", "IN") and words.ended:
            raise words.error(words.token())
        name = words.identifier()
        words.end()
        cursor = _cursor(session, name)
        if cursor.statement.columns is None:
            raise EngineError(f'portal "{name}" cannot be run', sqlstate="55000")
        return _Fetch(cursor, motion, session) if verb == "FETCH" else _move(cursor, motion)

    return make


def _move(cursor: Portal, motion: Motion) -> Command:
    def action(values: Sequence[Any]) -> Result:
        walk = _Walk(cursor, motion, cursor.formats)
        moved = 0
        while not walk.ended:
            moved += walk.pull(0)[1]
        return Result(tag=f"MOVE {moved}")

    return Command(action, reaches_engine=True)


class _Fetch(Command):
    """FETCH: its rows are the cursor's, in the formats asked for."""

    def __init__(self, cursor: Portal, motion: Motion, session: Execution) -> None:
        super().__init__(lambda values: Result(tag="FETCH {}"), columns=cursor.statement.columns, reaches_engine=True)
        self.binary = cursor.binary
        self._cursor = cursor
        self._name = cursor.name
        self._motion = motion
        self._session = session

    def source(self, result: Result, formats: Formats) -> Source | None:
        """The cursor's rows, as of now: it may have been closed since."""
        if _cursor(self._session, self._name) is not self._cursor:
            raise EngineError(f'cursor "{self._name}" has been declared anew', sqlstate="34000")
        return _Walk(self._cursor, self._motion, formats)


class _Walk:
    """A cursor's rows on a way through it (pquery.c, DoPortalRunFetch).

    The current row's number is 0 before the first and one more than there are rows after the last.
    """

    def __init__(self, cursor: Portal, motion: Motion, formats: Formats) -> None:
        self._cursor = cursor
        self._formats = formats
        self._on = self._back = 0
        self.ended = False
        self._plan(motion)
        self._note_end()

    def pull(self, most: int) -> tuple[bytes | bytearray, int]:
        if self._on:
            data, rows = self._cursor.fetched(min(self._on, most or self._on, _AT_ONCE), self._formats)
            self._on = self._on - rows if rows else 0
            self._note_end()
            return data, rows
        pieces: list[bytes | bytearray] = []
        while self._back and len(pieces) < min(most or _BACK_AT_ONCE, _BACK_AT_ONCE):
            at = self._cursor.number - 1
            if at < 1:
                self._cursor.go_to(0)
                self._back = 0
                break
            self._cursor.go_to(at - 1)
            pieces.append(self._cursor.fetched(1, self._formats)[0])
            self._back -= 1
        self._note_end()
        return b"".join(pieces), len(pieces)

    def close(self) -> None:
        pass

    def _note_end(self) -> None:
        self.ended = not self._on and not self._back

    def _plan(self, motion: Motion) -> None:
        """Go to where the rows begin, and say how many to read on or back."""
        cursor, count = self._cursor, motion.count
        if motion.absolute or motion.single or not count:
            start = (0 if count >= 0 else cursor.count() + 1) if motion.absolute else cursor.number
            number = start + count
            cursor.go_to(max(number - 1, 0))
            self._on = int(number > 0)
        elif count > 0:
            self._on = count
        else:
            cursor.check_back(cursor.position)
            self._back = -count


_AT_ONCE, _BACK_AT_ONCE = 1 << 30, 256
