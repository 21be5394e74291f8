"""Regular expressions of access files, written as PostgreSQL's (manual: "POSIX Regular Expressions").

They run on Python's `re`: what the two write differently is translated.  Python's engine tries alternatives one after
another, so that repetitions within repetitions could take for ever; those are refused.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from febe.server.access.tokens import AccessFileError

_CLASSES = {"alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
            "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "cntrl": r"\x00-\x1f\x7f", "xdigit": "0-9A-Fa-f",
            "print": r"\x20-\x7e", "graph": r"\x21-\x7e", "word": r"\w", "ascii": r"\x00-\x7f"}
_FLAGS = re.ASCII | re.DOTALL
"""Classes are those of the collation C, and a period is any character, as where PostgreSQL compiles these."""
_BOUND = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}\??")
_ESCAPES = {"m": r"(?:\b(?=\w))", "M": r"(?:\b(?<=\w))", "y": r"\b", "Y": r"\B", "B": r"\\", "Z": r"\Z", "A": r"\A",
            "e": r"\x1b"}


def compiled(pattern: str) -> re.Pattern[str]:
    """What follows the slash of a token, ready for `search`.  Errors: AccessFileError."""
    try:
        found = re.compile(_translated(pattern), _FLAGS)
        if _may_explode(parser.parse(found.pattern)):
            raise AccessFileError(f'invalid regular expression "{pattern}": repetitions within repetitions are not '
                                  "supported")
        return found
    except (re.error, OverflowError, RecursionError) as error:
        raise AccessFileError(f'invalid regular expression "{pattern}": {error}') from None


def _translated(pattern: str) -> str:
    if pattern.startswith("***="):
        return re.escape(pattern[4:])
    pattern = pattern.removeprefix("***:")
    made: list[str] = []
    pos = 0
    while pos < len(pattern):
        if pattern[pos] == "\\" and pos + 1 < len(pattern):
            made.append(_ESCAPES.get(pattern[pos + 1], pattern[pos:pos + 2]))
            pos += 2
        elif pattern[pos] == "[":
            if pattern.startswith(("[[:<:]]", "[[:>:]]"), pos):
                made.append(_ESCAPES["m" if pattern[pos + 3] == "<" else "M"])
                pos += 7
                continue
            text, pos = _bracket(pattern, pos)
            made.append(text)
        elif pattern[pos] == "{" and pattern[pos + 1:pos + 2].isdigit():
            bound = _BOUND.match(pattern, pos)
            if bound is None or max(int(bound[1]), int(bound[2] or 0)) > 255:
                raise re.error("invalid repetition count(s)")
            made.append(bound[0])
            pos = bound.end()
        elif pattern[pos] == "{":
            made.append(r"\{")
            pos += 1
        elif pattern[pos] == "$":
            made.append(r"\Z")  # there is no newline at the end that could be passed over
            pos += 1
        else:
            made.append(pattern[pos])
            pos += 1
    return "".join(made)


def _bracket(pattern: str, pos: int) -> tuple[str, int]:
    """A bracket expression, and the place after it."""
    made = ["["]
    pos += 1
    if pattern.startswith("^", pos):
        made.append("^")
        pos += 1
    if pattern.startswith("]", pos):
        made.append(r"\]")
        pos += 1
    while pos < len(pattern) and pattern[pos] != "]":
        if pattern.startswith("[:", pos):
            name, end, _ = pattern[pos + 2:].partition(":]")
            if not end or name not in _CLASSES:
                raise re.error("invalid character class")
            made.append(_CLASSES[name])
            pos += len(name) + 4
        elif pattern.startswith(("[.", "[="), pos):
            raise re.error("collating elements are not supported")
        elif pattern[pos] == "\\" and pos + 1 < len(pattern):
            made.append(pattern[pos:pos + 2])
            pos += 2
        else:
            made.append("\\" + pattern[pos] if pattern[pos] in "[&~|" else pattern[pos])
            pos += 1
    if pos == len(pattern):
        raise re.error("brackets [] not balanced")
    return "".join([*made, "]"]), pos + 1


def _may_explode(parsed: Any, inside: bool = False) -> bool:
    """Whether a repetition without a small bound lies within another one."""
    for code, argument in parsed:
        repeats = code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and argument[1] > 1
        if repeats and inside:
            return True
        for part in _parts(code, argument):
            if _may_explode(part, inside or repeats):
                return True
    return False


def _parts(code: Any, argument: Any) -> list[Any]:
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        return [argument[2]]
    if code is codes.SUBPATTERN:
        return [argument[3]]
    if code is codes.BRANCH:
        return list(argument[1])
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return [argument[1]]
    return []


__all__ = ["compiled"]
