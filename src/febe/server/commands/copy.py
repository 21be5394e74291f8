"""COPY FROM STDIN and TO STDOUT, in the syntax of today and of before PostgreSQL 9.0 (manual: "COPY")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from febe.server.command import Command
from febe.server.commands._words import Words
from febe.server.copying import CopyIn, CopyOut, as_engine_error
from febe.server.sql import TokenKind
from febe.types.copy import CopyError, CopyFormat

if TYPE_CHECKING:
    from febe.server.execution import Execution

_Options = list[tuple[str, Any]]


def copy(session: Execution, words: Words) -> Command | None:
    """COPY of a table or query; to and from files it is the engine's."""
    words.token()
    options: _Options = [("format", "binary")] if words.take("BINARY") else []
    query, columns = "", []
    first = words.ahead()
    opened = words.symbol("(")
    offset = 0
    if opened:
        following = words.ahead()
        assert first is not None
        offset = following.start if following is not None else 0
        query = _query(words)
        table = name = ""
    else:
        name = words.name()
        last = words.ahead()
        assert first is not None
        table = words.sql[first.start:last.start if last is not None else None].strip()
        if last is not None and last.text == "(":
            columns = _names(words)
    source = words.one_of("FROM", "TO")
    if not source or (query and source == "FROM"):
        raise words.error(words.token())
    if not words.one_of("STDIN", "STDOUT"):
        return None
    options += _options(words)
    where = ""
    if words.take("WHERE"):
        if source == "TO":
            raise words.error(words.token())
        where = words.rest()[0]
    words.end()
    try:
        form = CopyFormat.from_options(options, is_from=source == "FROM")
    except CopyError as error:
        raise as_engine_error(error) from error
    if source == "FROM":
        return CopyIn(session, table, name.rpartition(".")[2], columns, form, where)
    listed = ", ".join('"' + column.replace('"', '""') + '"' for column in columns) or "*"
    text = query or f"SELECT {listed} FROM {table}"
    return CopyOut(session, session.understand(text, (), offset), form)


def _query(words: Words) -> str:
    """What stands up to the closing parenthesis, which is taken."""
    start = words.ahead()
    depth = 1
    while True:
        token = words.token()
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if not depth:
            assert start is not None
            return words.sql[start.start:token.start].strip()


def _names(words: Words) -> list[str]:
    words.expect_symbol("(")
    found = [words.identifier()]
    while words.symbol(","):
        found.append(words.identifier())
    words.expect_symbol(")")
    return found


def _options(words: Words) -> _Options:
    words.take("WITH")
    ahead = words.ahead()
    return _listed(words) if ahead is not None and ahead.text == "(" else _old(words)


def _listed(words: Words) -> _Options:
    """`(name [value], ...)`."""
    found: _Options = []
    words.expect_symbol("(")
    while True:
        name = words.identifier()
        found.append((name, _value(words)))
        if words.symbol(")"):
            return found
        words.expect_symbol(",")


def _value(words: Words) -> Any:
    ahead = words.ahead()
    if ahead is None or ahead.text in (",", ")"):
        return None
    if ahead.text == "(":
        return _names(words)
    if words.symbol("*"):
        return "*"
    if ahead.text in ("-", "+") or (ahead.kind is TokenKind.NUMBER and ahead.text.isdigit()):
        return words.integer()
    if ahead.is_word("TRUE", "ON", "FALSE", "OFF"):
        words.token()
        return ahead.is_word("TRUE", "ON")
    return words.token().value


def _old(words: Words) -> _Options:
    """The options of before 9.0, which pg_dump and old clients still say (gram.y: copy_opt_list)."""
    found: _Options = []
    while True:
        if word := words.one_of("BINARY", "CSV"):
            found.append(("format", word.lower()))
        elif word := words.one_of("DELIMITER", "DELIMITERS", "NULL", "QUOTE", "ESCAPE", "ENCODING"):
            words.take("AS")
            found.append((word.lower().removesuffix("s"), words.string()))
        elif words.take("USING", "DELIMITERS"):
            found.append(("delimiter", words.string()))
        elif words.take("HEADER"):
            found.append(("header", True))
        elif words.take("FREEZE"):
            found.append(("freeze", True))
        elif words.take("FORCE"):
            option = "quote" if words.take("QUOTE") else "not_null" if words.take("NOT", "NULL") else ""
            if not option:
                words.expect("NULL")
                option = "null"
            found.append((f"force_{option}", "*" if words.symbol("*") else _bare_names(words)))
        else:
            return found


def _bare_names(words: Words) -> list[str]:
    found = [words.identifier()]
    while words.symbol(","):
        found.append(words.identifier())
    return found
