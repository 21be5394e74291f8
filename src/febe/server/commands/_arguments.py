"""Arguments of EXECUTE and of function calls: literals as text, without asking the engine."""

from __future__ import annotations

from dataclasses import dataclass

from febe.server.sql import TokenKind, tokens


@dataclass(slots=True, kw_only=True, frozen=True)
class Argument:
    """A literal's text (None: NULL), or the number of the parameter that stands there."""

    text: str | None = None
    parameter: int = 0


_WORDS: dict[str, str | None] = {"TRUE": "true", "FALSE": "false", "NULL": None}


def argument(text: str) -> Argument | None:
    """What an argument's text is; None for an expression, which takes an engine to evaluate."""
    found = tokens(text)
    cast = next((i for i, token in enumerate(found) if token.text == "::"), len(found))
    if cast < len(found) and not _is_type([token.text for token in found[cast + 1:]]):
        return None
    found = found[:cast]
    sign = ""
    if len(found) == 2 and found[0].text in ("+", "-") and found[1].kind is TokenKind.NUMBER:
        sign = found.pop(0).text.replace("+", "")
    if len(found) == 2 and found[0].kind is TokenKind.WORD and found[1].kind is TokenKind.STRING:
        found.pop(0)  # a typed literal: date '2000-01-01'
    if len(found) != 1:
        return None
    (token,) = found
    if token.kind is TokenKind.PARAMETER:
        return Argument(parameter=int(token.text[1:6]))
    if token.kind in (TokenKind.STRING, TokenKind.NUMBER):
        return Argument(text=sign + token.value)
    if token.kind is TokenKind.WORD and token.text.upper() in _WORDS:
        return Argument(text=_WORDS[token.text.upper()])
    return None


def _is_type(texts: list[str]) -> bool:
    return bool(texts) and all(text.replace("_", "a").isalnum() or text in ".()[], " for text in texts)
