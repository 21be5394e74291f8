"""PostgreSQL's spelling of catalog queries made into what sqlglot parses.

sqlglot knows PostgreSQL's grammar but for a few corners: `OPERATOR(pg_catalog.~)`, collations with a schema, types with
a schema, arrays of the types it takes for object identifiers.  Types become names of our own, `f_oid`, so that each
cast still says which of PostgreSQL's types was meant.
"""

from __future__ import annotations

import re

from febe.server.sql import Token, TokenKind, tokens

TYPE_PREFIX = "f_"

# What is left to sqlglot, because it is spelled in several words or takes arguments it understands.
_LEFT = frozenset(("interval", "double", "character", "bit", "time", "timestamp", "national", "array", "setof"))
_ALIASES = {"integer": "int4", "int": "int4", "bigint": "int8", "smallint": "int2", "boolean": "bool", "real": "float4",
            "decimal": "numeric", '"char"': "char", "char": "bpchar", "timestamptz": "timestamptz",
            # the domains of information_schema
            "cardinal_number": "int4", "character_data": "varchar", "sql_identifier": "name",
            "time_stamp": "timestamptz", "yes_or_no": "varchar"}
_SCHEMAS = ("pg_catalog", "information_schema")


def normalize(sql: str) -> str:
    """The text as sqlglot is to see it; literals and comments as they were."""
    found = tokens(sql)
    out: list[str] = []
    at, i = 0, 0

    def put(until: int, text: str, after: int) -> None:
        nonlocal at
        out.append(sql[at:until])
        out.append(text)
        at = after

    while i < len(found):
        token = found[i]
        if token.is_word("OPERATOR") and _text(found, i + 1) == "(":
            end, operator = _operator(sql, found, i)
            if operator:
                put(token.start, f" {operator} ", found[end].end)
                i = end
        elif token.is_word("COLLATE") and i + 1 < len(found):
            end = i + 3 if _text(found, i + 2) == "." else i + 1
            if found[min(end, len(found) - 1)].kind in (TokenKind.WORD, TokenKind.QUOTED):
                put(token.start, " ", found[end].end)
                i = end
        elif token.text == "::" or (token.is_word("AS") and _in_cast(found, i)):
            end, name = _type(found, i + 1)
            if name:
                put(found[i + 1].start, name if token.text == "::" else f" {name}", found[end].end)
                i = end
        elif (token.kind is TokenKind.WORD or token.kind is TokenKind.QUOTED) and token.value in _SCHEMAS \
                and _text(found, i + 1) == "." and _text(found, i + 3) == "(" and _text(found, i - 1) != ".":
            put(token.start, "", found[i + 2].start)
            i += 2
        i += 1
    out.append(sql[at:])
    return "".join(out)


def _text(found: list[Token], i: int) -> str:
    return found[i].text if 0 <= i < len(found) else ""


def _operator(sql: str, found: list[Token], i: int) -> tuple[int, str]:
    """The index of OPERATOR's closing parenthesis, and the operator without its schema."""
    start = i + 2
    if _text(found, i + 3) == ".":
        start = i + 4
    end = next((j for j in range(start, len(found)) if found[j].text == ")"), None)
    if end is None:
        return i, ""
    return end, sql[found[start].start:found[end - 1].end]


def _in_cast(found: list[Token], i: int) -> bool:
    """Whether the AS at `i` is that of CAST(... AS type)."""
    depth = 0
    for j in range(i - 1, 0, -1):
        text = found[j].text
        if text == ")":
            depth += 1
        elif text == "(":
            if depth == 0:
                return found[j - 1].is_word("CAST")
            depth -= 1
    return False


def _type(found: list[Token], i: int) -> tuple[int, str]:
    """The index of the type's last token, and its name of ours; no name: sqlglot reads it."""
    if _text(found, i + 1) == "." and i + 2 < len(found):
        schema = found[i].value
        if schema not in _SCHEMAS:
            return i, ""
        i += 2
        bare = found[i]
        if bare.is_word(*(word.upper() for word in _LEFT)):
            return i, bare.text
    elif i < len(found):
        bare = found[i]
    else:
        return i, ""
    if bare.kind not in (TokenKind.WORD, TokenKind.QUOTED) or (bare.kind is TokenKind.WORD and bare.value in _LEFT):
        return i, ""
    if _text(found, i + 1) == "%":
        return i, ""
    name = bare.text if bare.text == '"char"' else bare.value
    name = _ALIASES.get(name.lower(), name)
    end = i
    if _text(found, end + 1) == "(":
        # a length or precision: none of the catalogs' values is changed by it
        close = next((j for j in range(end + 1, len(found)) if found[j].text == ")"), None)
        if close is not None:
            end = close
    if name.startswith("_") and name[1:].islower():
        return end, f"{TYPE_PREFIX}{name[1:]}[]"
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return i, ""
    return end, TYPE_PREFIX + name
