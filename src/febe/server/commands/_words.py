"""The tokens of a command, read from left to right."""

from __future__ import annotations

from febe.server.engine import EngineError
from febe.server.sql import Token, TokenKind, tokens


class Words:
    """What is left to read of a command's text."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = tokens(sql)
        self._next = 0

    @property
    def ended(self) -> bool:
        """Nothing is left."""
        return self._next == len(self._tokens)

    def ahead(self, distance: int = 0) -> Token | None:
        """A token that has not been taken."""
        at = self._next + distance
        return self._tokens[at] if at < len(self._tokens) else None

    def take(self, *words: str) -> bool:
        """Go past the next words when they are these."""
        ahead = self._tokens[self._next:self._next + len(words)]
        if len(ahead) < len(words) or not all(token.is_word(word) for token, word in zip(ahead, words, strict=True)):
            return False
        self._next += len(words)
        return True

    def one_of(self, *words: str) -> str:
        """Go past the next word when it is one of these, and give it; "" when it is none."""
        return next((word for word in words if self.take(word)), "")

    def expect(self, *words: str) -> None:
        """The next words have to be these.  Errors: EngineError (42601)."""
        for word in words:
            if not self.take(word):
                raise self.error(self.token())

    def symbol(self, text: str) -> bool:
        """Go past the next token when it is this symbol."""
        if self.ended or self._tokens[self._next].text != text:
            return False
        self._next += 1
        return True

    def expect_symbol(self, text: str) -> None:
        """The next token has to be this symbol.  Errors: EngineError (42601)."""
        if not self.symbol(text):
            raise self.error(self.token())

    def token(self) -> Token:
        """The next token, whatever it is.  Errors: EngineError at the end."""
        if self.ended:
            raise EngineError("syntax error at end of input", sqlstate="42601", position=len(self.sql) + 1)
        self._next += 1
        return self._tokens[self._next - 1]

    def name(self) -> str:
        """An identifier, with parts after dots."""
        found = self.identifier()
        while self.symbol("."):
            found += "." + self.identifier()
        return found

    def identifier(self) -> str:
        """An identifier of one part."""
        token = self.token()
        if token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
            raise self.error(token)
        return token.value

    def string(self) -> str:
        """A string literal."""
        token = self.token()
        if token.kind is not TokenKind.STRING:
            raise self.error(token)
        return token.value

    def value(self) -> str:
        """A value of SET: words, strings and numbers; several, separated by commas, become one text."""
        parts = [self._one_value()]
        while self.symbol(","):
            parts.append(self._one_value())
        return ", ".join(parts)

    def _one_value(self) -> str:
        sign = "-" if self.symbol("-") else "+" if self.symbol("+") else ""
        token = self.token()
        if token.kind is TokenKind.SYMBOL or token.kind is TokenKind.PARAMETER:
            raise self.error(token)
        return sign + token.value

    def integer(self) -> int:
        """A whole number, with its sign."""
        negative = self.symbol("-")
        if not negative:
            self.symbol("+")
        token = self.token()
        if token.kind is not TokenKind.NUMBER or not token.text.isdigit():
            raise self.error(token)
        return -int(token.text) if negative else int(token.text)

    def items(self) -> list[str]:
        """The texts between commas, from an opening parenthesis to the one that closes it, which is taken too."""
        self.expect_symbol("(")
        if self.symbol(")"):
            return []
        found: list[str] = []
        depth, first = 0, self.ahead()
        while True:
            token = self.token()
            if depth == 0 and token.text in (",", ")"):
                assert first is not None
                text = self.sql[first.start:token.start].strip()
                if not text:
                    raise self.error(token)
                found.append(text)
                if token.text == ")":
                    return found
                first = self.ahead() or token
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)

    def skip_parentheses(self) -> str:
        """Go past a parenthesis and what it holds, and give the text inside."""
        opened = self.ahead()
        self.expect_symbol("(")
        depth = 1
        while depth:
            token = self.token()
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        assert opened is not None
        return self.sql[opened.end:token.start]

    def rest(self) -> tuple[str, int]:
        """All that is left, and where it begins in the command.  Errors: EngineError when nothing is."""
        first = self.token()
        self._next = len(self._tokens)
        return self.sql[first.start:], first.start

    def end(self) -> None:
        """Nothing may follow.  Errors: EngineError (42601)."""
        if not self.ended:
            raise self.error(self._tokens[self._next])

    @staticmethod
    def error(token: Token) -> EngineError:
        """The error for a token that has no place here."""
        return EngineError(f'syntax error at or near "{token.text}"', sqlstate="42601", position=token.start + 1)
