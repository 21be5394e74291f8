"""SQL text without the values in it, for logs and traces."""

from __future__ import annotations

from functools import lru_cache

from febe.server.sql import TokenKind, tokens

_VALUES = (TokenKind.STRING, TokenKind.NUMBER)
_BEFORE_NAMES = ("FROM", "INTO", "UPDATE", "JOIN", "TABLE", "VIEW", "CALL", "COPY")
_NAMES = (TokenKind.WORD, TokenKind.QUOTED)
SUMMARY_CHARACTERS = 255
"""How long a summary may be (OpenTelemetry: "Database Client Spans", db.query.summary)."""


@lru_cache(maxsize=512)
def redacted(sql: str) -> str:
    """The text with `?` for every literal, and without comments, which may hold anything."""
    made: list[str] = []
    end = 0
    for token in tokens(sql):
        if made and token.start > end:
            made.append(" ")
        made.append("?" if token.kind in _VALUES else token.text)
        end = token.end
    return "".join(made)


@lru_cache(maxsize=512)
def summary(sql: str) -> str:
    """What is done to which tables, such as `SELECT flights airlines`."""
    found: list[str] = []
    expected, joined = True, False
    for token in tokens(sql):
        is_name = token.kind in _NAMES
        if not found:
            if token.kind is TokenKind.WORD:
                found.append(token.text.upper())
                expected = token.is_word(*_BEFORE_NAMES)
        elif expected and is_name and not token.is_word("ONLY", "SELECT", "IF", "NOT", "EXISTS", "LATERAL"):
            if joined:
                found[-1] += token.text
            else:
                found.append(token.text)
            expected = joined = False
        elif token.kind is TokenKind.SYMBOL and token.text == "." and len(found) > 1:
            found[-1] += "."
            expected = joined = True
        elif is_name and token.is_word(*_BEFORE_NAMES):
            expected, joined = True, False
        elif token.kind is TokenKind.SYMBOL:
            expected = False
    return " ".join(found)[:SUMMARY_CHARACTERS]


__all__ = ["redacted", "summary"]
