"""Which columns of a plain query are columns of a relation: RowDescription tells their table and number.

Manual: "Message Formats", RowDescription.  pgJDBC's updatable result sets and pgAdmin's editable grids go by it.  Known
is a query of one relation; of joins and set operations nothing is told, which the manual allows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from febe.server.sql import TokenKind, scan

LONGEST = 10_000
"""Characters of a statement that is looked at."""
_PLAIN = re.compile(r"\s*+select\b(?=.*?\bfrom\b)", re.IGNORECASE | re.DOTALL)
_OTHER = re.compile(r"\b(?:join|union|intersect|except)\b", re.IGNORECASE)
_AFTER = re.compile(r"\s*+(?:;|\Z|(?:where|group|having|window|order|limit|offset|fetch|for)\b)", re.IGNORECASE)
_NAMES = (TokenKind.WORD, TokenKind.QUOTED)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")

Word = tuple[TokenKind, str]
"""A token's kind, and its text as it is written."""


@dataclass(slots=True, kw_only=True, frozen=True)
class Plain:
    """A query of one relation: the relation's name as it is written, its parts; and what each item of the list shows.

    An item is a column's name and the name it gets, `*` and "" for all columns, or None for anything else.
    """

    relation: tuple[str, ...]
    items: tuple[tuple[str, str] | None, ...]


def plain(sql: str) -> Plain | None:
    """What a query shows, if it is of one relation; None: it is another, or none."""
    begun = _PLAIN.match(sql)
    if begun is None or len(sql) > LONGEST or _OTHER.search(sql):
        return None
    rest = sql[begun.end():]
    found = scan(rest)
    items: list[list[Word]] = [[]]
    depth = 0
    for kind, start, end in found:
        text = rest[start:end]
        if depth == 0 and kind is TokenKind.WORD and text.lower() == "from":
            break
        depth += (text in _OPENING) - (text in _CLOSING)
        if depth == 0 and text == ",":
            items.append([])
        else:
            items[-1].append((kind, text))
    relation: list[str] = []
    at = len(rest)
    after_dot = True
    for kind, start, end in found:
        at = start
        if after_dot and kind in _NAMES:
            relation.append(_value((kind, rest[start:end])))
        elif after_dot or rest[start] != ".":
            break
        after_dot = not after_dot
        at = end
    if after_dot:
        return None
    alias = relation[-1]
    if _AFTER.match(rest, at) is None:
        behind = rest[at:]
        words = [(kind, behind[start:end], end) for kind, start, end in itertools.islice(scan(behind), 2)]
        if words and words[0][0] is TokenKind.WORD and words[0][1].lower() == "as":
            del words[0]
        if not words or words[0][0] not in _NAMES or _AFTER.match(behind, words[0][2]) is None:
            return None
        alias = _value(words[0][:2])
    return Plain(relation=tuple(relation), items=tuple(_item(item, alias) for item in items))


def numbers(wanted: Plain, columns: Sequence[str], names: Sequence[str]) -> list[int]:
    """For each result column, named `names`, the number of the column that it is of the relation's; 0: it is none."""
    at = {name.casefold(): number for number, name in enumerate(columns, 1)}
    found: list[int] = []
    shown: list[str] = []
    for item in wanted.items:
        if item is None:
            found.append(0)
            shown.append("")
        elif item[0] == "*":
            found += range(1, len(columns) + 1)
            shown += columns
        else:
            found.append(at.get(item[0].casefold(), 0))
            shown.append(item[1])
    if len(found) != len(names):
        return [0] * len(names)
    return [number if said.casefold() == name.casefold() else 0
            for number, said, name in zip(found, shown, names, strict=True)]


def _item(item: Sequence[Word], alias: str) -> tuple[str, str] | None:
    if len(item) > 2 and item[1][1] == ".":
        if item[0][0] not in _NAMES or _value(item[0]).casefold() != alias.casefold():
            return None
        item = item[2:]
    if len(item) == 1 and item[0][1] == "*":
        return "*", ""
    if not item or len(item) > 3 or any(kind not in _NAMES for kind, _ in item):
        return None
    name, *rest = item
    if rest and rest[0][0] is TokenKind.WORD and rest[0][1].lower() == "as":
        rest = rest[1:]
    if len(rest) > 1:
        return None
    return _value(name), _value(rest[0] if rest else name)


def _value(word: Word) -> str:
    kind, text = word
    return text.lower() if kind is TokenKind.WORD else text[1:-1].replace('""', '"')
