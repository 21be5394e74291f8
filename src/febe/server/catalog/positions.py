"""Where in a catalog query its error is: the private database was asked something else, so what it names is looked up.

PostgreSQL points at names that stand for nothing, and at literals that are no value of their type (parser_errposition).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from febe.server.catalog.functions import OF_RELATION
from febe.server.engine import EngineError
from febe.server.sql import Token, TokenKind, tokens

_NAMES = (TokenKind.WORD, TokenKind.QUOTED)
Test = Callable[[Sequence[Token], int], bool]


def locate(error: EngineError, sql: str) -> None:
    """Have the error say where it is, where that can be told."""
    if error.position is None:
        for pattern, test in _TESTS:
            named = pattern.match(str(error))
            if named is not None:
                error.position = _first(tokens(sql), named[1], test)
                break


def _first(found: Sequence[Token], name: str, test: Test) -> int | None:
    """The position of a name, its parts one behind the other, or of a literal that is it."""
    parts = name.split(".")
    for at, token in enumerate(found):
        if token.kind is TokenKind.STRING:
            if token.value == name and _is_constant(found, at):
                return token.start + 1
        elif token.kind in _NAMES and _text(found, at - 1) != "." and _is(found, at, parts) and test(
                found, at + 2 * len(parts) - 1):
            return token.start + 1
    return None


def _is(found: Sequence[Token], at: int, parts: Sequence[str]) -> bool:
    for number, part in enumerate(parts):
        here = at + 2 * number
        if here >= len(found) or found[here].kind not in _NAMES or found[here].value != part or (
                number and found[here - 1].text != "."):
            return False
    return True


def _is_constant(found: Sequence[Token], at: int) -> bool:
    """Whether the literal is made a value while the statement is read: by a cast, or for a function of a relation."""
    return _text(found, at + 1) == "::" or (_text(found, at - 1) == "(" and (
        _text(found, at - 2).lower() in OF_RELATION or _text(found, at - 2).lower() == "cast"))


def _text(found: Sequence[Token], at: int) -> str:
    return found[at].text if 0 <= at < len(found) else ""


def _anything(found: Sequence[Token], at: int) -> bool:
    return True


def _column(found: Sequence[Token], at: int) -> bool:
    return _text(found, at) not in ("(", ".")


def _called(found: Sequence[Token], at: int) -> bool:
    return _text(found, at) == "("


def _qualifying(found: Sequence[Token], at: int) -> bool:
    return _text(found, at) == "."


# What a message names, and what has to stand behind the name for it to be the one.
_TESTS: tuple[tuple[re.Pattern[str], Test], ...] = tuple((re.compile(pattern), test) for pattern, test in (
    (r'column "?([^"]+?)"? (?:does not exist|must appear in the GROUP BY)', _column),
    (r'relation "([^"]+)" does not exist', _column),
    (r'missing FROM-clause entry for table "([^"]+)"', _qualifying),
    (r"function ([^(\"]+)\(", _called),
    (r'invalid input syntax for type \w+: "([^"]*)"', _anything),
    (r'(?:type|schema|role|function|operator|collation|text search \w+) "?(.+?)"? does not exist', _anything),
))
