"""An engine of one's own: a server for a logbook that is nothing but a Python list.

    python examples/engine_logbook.py
    psql "host=127.0.0.1 port=5499 user=me" -c "add 'engine started'" -c "log"

Two commands are understood: `add TEXT` (or `add $1`) writes a line, `log` reads all of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import febe.server
from febe.server import Column, Engine, EngineError, EngineSession, Prepared, Result
from febe.server.sql import TokenKind, tokens
from febe.types import oids


class Logbook(Engine):
    """All clients write in the same book."""

    blocking = False  # every call answers at once, so none needs a thread

    def __init__(self) -> None:
        self.lines: list[tuple[datetime.datetime, str, str]] = []

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return Writer(self, user)


class Writer(EngineSession):
    """One client."""

    def __init__(self, book: Logbook, user: str) -> None:
        self.book = book
        self.user = user

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        match tokens(sql):
            case [word] if word.is_word("LOG"):
                return Log(self)
            case [word, text] if word.is_word("ADD") and text.kind is TokenKind.STRING:
                return Add(self, text.value)
            case [word, text] if word.is_word("ADD") and text.text == "$1":
                return Add(self, None)
        raise EngineError("say: add 'TEXT', or: log", sqlstate="42601", position=1)


class Add(Prepared):
    """`add`: the text is in the statement, or comes as its parameter."""

    def __init__(self, writer: Writer, text: str | None) -> None:
        self.writer = writer
        self.text = text
        self.parameters = () if text is not None else (oids.TEXT,)

    def execute(self, values: Sequence[Any]) -> Result:
        text = values[0] if self.text is None else self.text
        if text is None:
            raise EngineError("a line cannot be null", sqlstate="22004")
        self.writer.book.lines.append((datetime.datetime.now(datetime.UTC), self.writer.user, text))
        return Result(tag="INSERT 0 1")


class Log(Prepared):
    """`log`: three columns, sent a thousand lines at a time."""

    columns = (Column(name="at", type_oid=oids.TIMESTAMPTZ), Column(name="who", type_oid=oids.TEXT),
               Column(name="what", type_oid=oids.TEXT))

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def execute(self, values: Sequence[Any]) -> Result:
        lines = self.writer.book.lines
        return Result(rows=(lines[start:start + 1000] for start in range(0, len(lines), 1000)))


if __name__ == "__main__":
    febe.server.run(Logbook(), port=5499, ready=lambda listener: print(f"listening on port {listener.port}"))
