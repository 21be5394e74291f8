"""PostgreSQL's forms of statements that DuckDB has in another form; all are errors to DuckDB as they stand.

`DROP TABLE a, b` and `TRUNCATE a, b` are a statement for each; UNLOGGED and storage parameters such as `fillfactor` say
how PostgreSQL is to store a table and mean nothing here (manual: "CREATE TABLE", Storage Parameters).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from febe.server.engine import Prepared, Result
from febe.server.sql import Token, tokens

_STORAGE = ("FILLFACTOR", "PARALLEL_WORKERS", "AUTOVACUUM_ENABLED", "TOAST_TUPLE_TARGET", "OIDS")


def steps(sql: str, verb: str) -> list[str]:
    """The statements that DuckDB is to be given, nearly always the one there is."""
    if verb in ("DROP", "TRUNCATE"):
        return _each(sql) if "," in sql else [sql]
    return [_plain_table(sql)] if verb == "CREATE" else [sql]


def _each(sql: str) -> list[str]:
    """A statement for each name of a list."""
    found = tokens(sql)
    at = 1 if found[0].is_word("TRUNCATE") else 2
    if at == 1 and found[1].is_word("TABLE"):
        at = 2
    if len(found) > at + 1 and found[at].is_word("IF") and found[at + 1].is_word("EXISTS"):
        at += 2
    if len(found) <= at:
        return [sql]
    last = len(found)
    while last > at and found[last - 1].is_word("CASCADE", "RESTRICT"):
        last -= 1
    head, tail = sql[:found[at].start], sql[found[last].start:] if last < len(found) else ""
    names: list[str] = []
    first: Token | None = None
    depth = 0
    for token in found[at:last]:
        if token.text == "," and not depth:
            if first is None:
                return [sql]
            names.append(sql[first.start:token.start].strip())
            first = None
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        first = first or token
    if first is None:
        return [sql]
    names.append(sql[first.start:found[last - 1].end])
    return [f"{head}{name} {tail}".rstrip() for name in names]


def _plain_table(sql: str) -> str:
    """CREATE TABLE without UNLOGGED, and without WITH (...) where that only tunes the storage."""
    found = tokens(sql)
    if len(found) > 2 and found[1].is_word("UNLOGGED") and found[2].is_word("TABLE"):
        # blanks in its place, so that positions in errors stay
        sql = sql[:found[1].start] + " " * len(found[1].text) + sql[found[1].end:]
    for at in range(len(found) - 2):
        if found[at].is_word("WITH") and found[at - 1].text == ")" and found[at + 1].text == "(":
            inside = found[at + 2:]
            end = next((index for index, token in enumerate(inside) if token.text == ")"), -1)
            if end > 0 and _tunes(inside[:end]):
                start, stop = found[at].start, inside[end].end
                return sql[:start] + " " * (stop - start) + sql[stop:]
    return sql


def _tunes(inside: Sequence[Token]) -> bool:
    """Whether these are storage parameters with their values, `oids=true` not among them."""
    names = [token for index, token in enumerate(inside) if index == 0 or inside[index - 1].text == ","]
    wants_oids = any(token.is_word("OIDS") and [one.text.lower() for one in inside[index + 1:index + 3]]
                     not in (["=", "false"], ["=", "off"]) for index, token in enumerate(inside))
    return all(name.is_word(*_STORAGE) for name in names) and not wants_oids


class Steps(Prepared):
    """Statements that are run one after another, and are one to the client."""

    together = True

    def __init__(self, prepared: Sequence[Prepared]) -> None:
        self._prepared = prepared

    def execute(self, values: Sequence[Any]) -> Result:
        """Run them all; the tag is the last one's."""
        for one in self._prepared:
            result = one.execute(values)
        return result
