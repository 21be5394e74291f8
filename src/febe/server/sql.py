"""SQL text as PostgreSQL's lexer sees it: statements, and tokens for the commands a server answers itself.

Manual: "SQL Syntax", "Lexical Structure".  Nothing here knows a grammar; what does not end (a quote, a comment) runs to
the end of the text, so that the engine sees it and says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class TokenKind(Enum):
    """What a token is, by its first characters."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    PARAMETER = "parameter"
    SYMBOL = "symbol"


@dataclass(slots=True, kw_only=True, frozen=True)
class Token:
    """One token: `text` as written, quotes included, and its offset in characters."""

    kind: TokenKind
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset after the token."""
        return self.start + len(self.text)

    @property
    def value(self) -> str:
        """What the token means: identifiers folded or unquoted, strings unquoted, all else as written."""
        if self.kind is TokenKind.WORD:
            return self.text.lower()
        if self.kind is TokenKind.QUOTED:
            return _inside(self.text, 1).replace('""', '"')
        if self.kind is TokenKind.STRING:
            return _string_value(self.text)
        return self.text

    def is_word(self, *words: str) -> bool:
        """Whether this is one of the keywords `words` (upper case), unquoted."""
        return self.kind is TokenKind.WORD and self.text.upper() in words


@dataclass(slots=True, kw_only=True)
class Statement:
    """One statement of a query string, from its first token to its last, without the semicolon.

    `offset` is that of its first character in the query string, so that an error's position can be told in characters
    of the whole.  `verb` is its first keyword in upper case, looking through leading parentheses; "" if there is none.
    `called`: the function, in lower case, that a SELECT begins with a call of.
    """

    sql: str
    offset: int
    verb: str
    called: str = ""


# Quantifiers are possessive and every alternative that opens a quote also matches at the end of the text: no input
# makes the expression try again, so the time is linear.  An identifier's letters are ASCII letters, underscore and
# everything outside ASCII (scan.l: ident_start).
_LETTER = r"A-Za-z_\x80-\U0010FFFF"
_TOKEN = re.compile(rf"""
    (?P<space>\s++|--[^\n\r]*+)
  | (?P<comment>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\(?:.|\Z)|'')*+(?:'|\Z) | '[^']*+(?:''[^']*+)*+(?:'|\Z))
  | (?P<quoted>"[^"]*+(?:""[^"]*+)*+(?:"|\Z))
  | (?P<word>[{_LETTER}][{_LETTER}0-9$]*+)
  | (?P<parameter>\$[0-9]++)
  | (?P<dollar>\$(?:[{_LETTER}][{_LETTER}0-9]*+)?+\$)
  | (?P<number>(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+)
  | (?P<symbol>::|:=|=>|.)
""", re.VERBOSE | re.DOTALL)
_CALL = re.compile(r"select\s+(?:\*\s+from\s+)?(?:pg_catalog\s*\.\s*)?(\w+)\s*\(", re.IGNORECASE | re.ASCII)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))|''", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_KINDS = {kind.value: kind for kind in TokenKind}


def split(sql: str) -> list[Statement]:
    """The statements of a query string, in order; none for whitespace, comments and stray semicolons."""
    found: list[Statement] = []
    first = last = -1
    verb = ""
    for kind, start, end in scan(sql):
        if kind is TokenKind.SYMBOL and sql[start] == ";":
            if first >= 0:
                found.append(_statement(sql[first:last], first, verb))
            first, verb = -1, ""
            continue
        if first < 0:
            first, opened = start, True
        if opened and sql[start] != "(":
            opened = False
            verb = sql[start:end].upper() if kind is TokenKind.WORD else ""
        last = end
    if first >= 0:
        found.append(_statement(sql[first:last], first, verb))
    return found


def _statement(text: str, offset: int, verb: str) -> Statement:
    call = _CALL.match(text) if verb == "SELECT" else None
    return Statement(sql=text, offset=offset, verb=verb, called=call[1].lower() if call is not None else "")


def verb(sql: str) -> str:
    """The first keyword of a statement's text, as `Statement.verb` has it; nothing after it is looked at."""
    for kind, start, end in scan(sql):
        if sql[start] != "(":
            return sql[start:end].upper() if kind is TokenKind.WORD else ""
    return ""


def tokens(sql: str) -> list[Token]:
    """The tokens of `sql`, without whitespace and comments."""
    return [Token(kind=kind, text=sql[start:end], start=start) for kind, start, end in scan(sql)]


def scan(sql: str) -> Iterator[tuple[TokenKind, int, int]]:
    """What `tokens` makes objects of, one by one: kind, first character, and that behind the last."""
    pos, length = 0, len(sql)
    while pos < length:
        match = _TOKEN.match(sql, pos)
        assert match is not None  # the last alternative takes any character
        name, start, pos = match.lastgroup, pos, match.end()
        if name == "space":
            continue
        if name == "comment":
            pos = _comment_end(sql, pos)
            continue
        if name == "dollar":
            close = sql.find(match.group(), pos)
            pos = length if close < 0 else close + len(match.group())
            name = "string"
        assert name is not None
        yield _KINDS[name], start, pos


def _comment_end(sql: str, pos: int) -> int:
    """The offset after the comment opened before `pos`; comments nest (manual: "Lexical Structure", "Comments")."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, pos):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(sql)


def _inside(text: str, opening: int) -> str:
    return text[opening:-1] if len(text) > opening and text[-1] == text[opening - 1] else text[opening:]


def _string_value(text: str) -> str:
    if text[0] == "$":
        tag = text[:text.index("$", 1) + 1]
        return text[len(tag):-len(tag)] if len(text) >= 2 * len(tag) and text.endswith(tag) else text[len(tag):]
    if text[0] == "'":
        return _inside(text, 1).replace("''", "'")
    return _ESCAPE.sub(_unescape, _inside(text, 2))


def _unescape(match: re.Match[str]) -> str:
    octal, byte, short, long, other = match.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    code = byte or short or long
    if code:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else match.group()
    return _ESCAPED.get(other, other) if other else "'"
