"""The private database's errors in PostgreSQL's words."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from febe.server.engine import EngineError

_OURS = re.compile(r"\b([0-9A-Z]{5}):(.*)", re.DOTALL)
_KNOWN = (
    (re.compile(r"Table with name (\S+) does not exist"), "42P01", 'relation "{}" does not exist'),
    (re.compile(r"Function with name \"?(?:f_)?([^\s\"]+)\"? does not exist"), "42883", "function {}() does not exist"),
    (re.compile(r"Macro Function ['\"]?(?:f_)?([^\s'\"(]+)"), "42883",
     "function {}() does not exist with these arguments"),
    (re.compile(r"No function matches the given name and argument types '(?:f_)?([^']+)'"), "42883",
     "function {} does not exist"),
    (re.compile(r"Referenced table \"([^\"]+)\" not found"), "42P01",
     'missing FROM-clause entry for table "{}"'),
    (re.compile(r"Referenced column \"([^\"]+)\" (?:was )?not found"), "42703", 'column "{}" does not exist'),
    (re.compile(r"does not have a column named \"([^\"]+)\""), "42703", 'column "{}" does not exist'),
    (re.compile(r"Type with name (\S+) does not exist"), "42704", 'type "{}" does not exist'),
    (re.compile(r"[Cc]olumn \"([^\"]+)\" must appear in the GROUP BY"), "42803",
     'column "{}" must appear in the GROUP BY clause or be used in an aggregate function'),
    (re.compile(r"Could not convert string '([^']*)' to UINT32"), "22P02", 'invalid input syntax for type oid: "{}"'),
    (re.compile(r"Could not convert string '([^']*)' to INT64"), "22P02", 'invalid input syntax for type bigint: "{}"'),
    (re.compile(r"Could not convert string '([^']*)' to U?INT"), "22P02",
     'invalid input syntax for type integer: "{}"'),
    (re.compile(r"syntax error at or near (\S+|\"[^\"]*\")"), "42601", "syntax error at or near {}"),
    (re.compile(r"(syntax error at end of input)"), "42601", "{}"),
    (re.compile(r"(LIMIT|OFFSET)[^\n]*cannot be negative"), "2201W", "{} must not be negative"),
)


def translate(text: str) -> EngineError:
    """The client's error."""
    if text.startswith("Invalid Input Error") and (found := _OURS.search(text)):
        return EngineError(found[2].strip(), sqlstate=found[1])
    for pattern, sqlstate, words in _KNOWN:
        if found := pattern.search(text):
            return EngineError(words.format(found[1]), sqlstate=sqlstate)
    if text.startswith("INTERRUPT"):
        return EngineError("canceling statement due to user request", sqlstate="57014")
    first = text.split("\n")[0]
    return EngineError(f"this catalog query is not supported: {first}", sqlstate="0A000")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The private database's errors inside become the client's."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise translate(str(error)) from error
