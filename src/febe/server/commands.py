"""Statements that the server answers itself: transactions, parameters, what a session holds (manual: "SQL Commands").

Each is a Prepared like an engine's, so that simple and extended queries run it on one path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from febe.server.engine import Column, EngineError, Prepared, Result
from febe.server.parameters import KNOWN
from febe.server.sql import Statement, Token, TokenKind, tokens

if TYPE_CHECKING:
    from febe.server.session import Session

_TEXT_OID = 25


class Command(Prepared):
    """A statement of the server's own.

    `controls`: it begins or ends transactions, so it is in none itself.  `ends_block`: it may be run in a failed block.
    """

    def __init__(self, action: Callable[[], Result], *, columns: tuple[str, ...] = (), controls: bool = False,
                 ends_block: bool = False) -> None:
        self._action = action
        self.controls = controls
        self.ends_block = ends_block
        if columns:
            self.columns = tuple(Column(name=name, type_oid=_TEXT_OID) for name in columns)

    def execute(self, values: Sequence[Any]) -> Result:
        """Run."""
        return self._action()


def find(session: Session, statement: Statement) -> Command | None:
    """The command that `statement` is; None when it is the engine's to understand.

    Errors: EngineError (42601) where a command of the server's does not parse.
    """
    make = _VERBS.get(statement.verb) or _TEXTS.get(statement.sql)
    return make(session, _Words(statement.sql)) if make is not None else None


class _Words:
    """The tokens of a command, read from left to right."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._tokens = tokens(sql)
        self._next = 0

    def take(self, *words: str) -> bool:
        """Go past the next words when they are these."""
        ahead = self._tokens[self._next:self._next + len(words)]
        if len(ahead) < len(words) or not all(token.is_word(word) for token, word in zip(ahead, words, strict=True)):
            return False
        self._next += len(words)
        return True

    def symbol(self, text: str) -> bool:
        """Go past the next token when it is this symbol."""
        if self.ended or self._tokens[self._next].text != text:
            return False
        self._next += 1
        return True

    @property
    def ended(self) -> bool:
        return self._next == len(self._tokens)

    def token(self) -> Token:
        """The next token, whatever it is.  Errors: EngineError at the end."""
        if self.ended:
            raise EngineError("syntax error at end of input", sqlstate="42601", position=len(self._sql) + 1)
        self._next += 1
        return self._tokens[self._next - 1]

    def name(self) -> str:
        """An identifier, with parts after dots."""
        found = self._identifier()
        while self.symbol("."):
            found += "." + self._identifier()
        return found

    def _identifier(self) -> str:
        token = self.token()
        if token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
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

    def end(self) -> None:
        """Nothing may follow.  Errors: EngineError (42601)."""
        if not self.ended:
            raise self.error(self._tokens[self._next])

    @staticmethod
    def error(token: Token) -> EngineError:
        return EngineError(f'syntax error at or near "{token.text}"', sqlstate="42601", position=token.start + 1)


def _done(tag: str, act: Callable[[], object] | None = None, *, controls: bool = False) -> Command:
    def action() -> Result:
        if act is not None:
            act()
        return Result(tag=tag)

    return Command(action, controls=controls)


# Transactions


def _modes(words: _Words) -> bool | None:
    """The modes of BEGIN and SET TRANSACTION: whether they say read-only.  Errors: EngineError."""
    read_only: bool | None = None
    while not words.ended:
        if words.take("ISOLATION", "LEVEL"):
            level = words.name()
            if level in ("read", "repeatable"):
                level += " " + words.name()
            parameter = KNOWN["transaction_isolation"]
            assert parameter.accept is not None
            parameter.accept(parameter, level)
        elif words.take("READ", "ONLY"):
            read_only = True
        elif words.take("READ", "WRITE"):
            read_only = False
        elif not (words.take("NOT", "DEFERRABLE") or words.take("DEFERRABLE")):
            # (DEFERRABLE has an effect on serializable transactions only, which are refused.)
            raise words.error(words.token())
        words.symbol(",")
    return read_only


def _opening(tag: str) -> Callable[[Session, _Words], Command | None]:
    def make(session: Session, words: _Words) -> Command | None:
        words.token()
        if not words.take("TRANSACTION"):
            if tag == "START TRANSACTION":
                return None
            words.take("WORK")
        modes = _modes(words)

        def act() -> None:
            read_only = session.parameters.get("default_transaction_read_only") == "on" if modes is None else modes
            session.parameters.begin()
            session.transaction.begin(read_only=read_only)

        return _done(tag, act, controls=True)

    return make


def _finishing(commit: bool) -> Callable[[Session, _Words], Command]:
    def make(session: Session, words: _Words) -> Command:
        words.token()
        if words.take("PREPARED"):
            return _refused("two-phase commit")
        if not words.take("TRANSACTION"):
            words.take("WORK")
        if words.take("TO"):
            return _refused("savepoints", ends_block=True)
        chain = False
        if words.take("AND"):
            chain = not words.take("NO")
            if not words.take("CHAIN"):
                raise words.error(words.token())
        words.end()

        def action() -> Result:
            finish = session.transaction.commit if commit else session.transaction.rollback
            tag = finish(chain=chain)
            if chain:
                session.parameters.begin()
            return Result(tag=tag)

        return Command(action, controls=True, ends_block=True)

    return make


def _refused(what: str, *, ends_block: bool = False) -> Command:
    def action() -> Result:
        raise EngineError(f"{what} are not supported" if what.endswith("s") else f"{what} is not supported",
                          sqlstate="0A000")

    return Command(action, ends_block=ends_block)


def _unsupported(what: str) -> Callable[[Session, _Words], Command]:
    return lambda session, words: _refused(what)


def _prepare(session: Session, words: _Words) -> Command | None:
    words.token()
    return _refused("two-phase commit") if words.take("TRANSACTION") else None


# Parameters


def _set(session: Session, words: _Words) -> Command | None:
    words.token()
    parameters, transaction = session.parameters, session.transaction
    if words.take("SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"):
        modes = _modes(words)
        return _done("SET", lambda: modes is None or parameters.set("default_transaction_read_only",
                                                                    "on" if modes else "off"))
    if words.take("TRANSACTION"):
        if words.take("SNAPSHOT"):
            return _refused("SET TRANSACTION SNAPSHOT")
        read_only = _modes(words)

        def set_transaction() -> None:
            if transaction.block.value != "T":
                session.warn("SET TRANSACTION can only be used in transaction blocks", "25P01")
            elif read_only is not None:
                transaction.set_read_only(read_only)

        return _done("SET", set_transaction)
    if words.take("SESSION", "AUTHORIZATION"):
        allowed = words.name() in ("default", session.user)
        return _done("SET") if allowed else _refused("SET SESSION AUTHORIZATION")
    local = words.take("LOCAL")
    if not local:
        words.take("SESSION")
    value: str | None
    if words.take("TIME", "ZONE"):
        name = "TimeZone"
        value = None if words.take("LOCAL") or words.take("DEFAULT") else words.value()
    elif words.take("NAMES"):
        name = "client_encoding"
        value = None if words.ended or words.take("DEFAULT") else words.value()
    elif words.take("SCHEMA"):
        name, value = "search_path", words.value()
    elif words.take("ROLE"):
        name, value = "role", words.value()
    else:
        name = words.name()
        if not (words.take("TO") or words.symbol("=")):
            # SET VARIABLE name = ... and its like are of the engine's dialect
            return None
        value = None if words.take("DEFAULT") else words.value()
    words.end()

    def act() -> None:
        if not local:
            parameters.set(name, value)
        elif session.in_transaction:
            parameters.set_local(name, value)
        else:
            session.warn("SET LOCAL can only be used in transaction blocks", "25P01")

    return _done("SET", act)


def _reset(session: Session, words: _Words) -> Command:
    words.token()
    if words.take("ALL"):
        act: Callable[[], object] = session.parameters.reset
    elif words.take("TIME", "ZONE"):
        act = lambda: session.parameters.set("TimeZone", None)  # noqa: E731
    elif words.take("SESSION", "AUTHORIZATION"):
        act = lambda: None  # noqa: E731
    else:
        name = words.name()
        act = lambda: session.parameters.set(name, None)  # noqa: E731
    words.end()
    return _done("RESET", act)


def _show(session: Session, words: _Words) -> Command | None:
    words.token()
    parameters = session.parameters
    if words.take("ALL"):
        if not words.ended:  # SHOW ALL TABLES is of the engine's dialect
            return None
        return Command(lambda: Result(rows=[[(*pair, "") for pair in parameters.all()]], tag="SHOW"),
                       columns=("name", "setting", "description"))
    if words.take("TRANSACTION", "ISOLATION", "LEVEL"):
        name = "transaction_isolation"
    elif words.take("TIME", "ZONE"):
        name = "TimeZone"
    elif words.take("SESSION", "AUTHORIZATION"):
        name = "session_authorization"
    else:
        name = words.name()
        if not words.ended or not parameters.is_known(name):
            return None
    words.end()

    def action() -> Result:
        parameters.note("transaction_read_only", "on" if session.transaction.read_only else "off")
        return Result(rows=[[(parameters.get(name),)]], tag="SHOW")

    return Command(action, columns=(parameters.canonical(name),))


# What a session holds


def _discard(session: Session, words: _Words) -> Command | None:
    words.token()
    what = next((word for word in ("ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY") if words.take(word)), None)
    if what is None:
        raise words.error(words.token())
    if what in ("TEMP", "TEMPORARY"):
        return _refused("DISCARD TEMP")

    def act() -> None:
        if what == "ALL":
            if session.in_transaction:
                raise EngineError("DISCARD ALL cannot run inside a transaction block", sqlstate="25001")
            session.forget()

    return _done(f"DISCARD {what}", act)


def _deallocate(session: Session, words: _Words) -> Command:
    words.token()
    words.take("PREPARE")
    if words.take("ALL"):
        return _done("DEALLOCATE ALL", session.statements.clear)
    name = words.name()
    return _done("DEALLOCATE", lambda: session.statements.drop(name))


def _close(session: Session, words: _Words) -> Command:
    words.token()
    if words.take("ALL"):
        return _done("CLOSE CURSOR ALL", session.portals.clear)
    name = words.name()

    def act() -> None:
        if name not in session.portals:
            raise EngineError(f'cursor "{name}" does not exist', sqlstate="34000")
        session.portals.close(name)

    return _done("CLOSE CURSOR", act)


def _unlisten(session: Session, words: _Words) -> Command:
    # Nobody can have listened: LISTEN is refused.
    return _done("UNLISTEN")


_VERBS: dict[str, Callable[[Any, _Words], Command | None]] = {
    "BEGIN": _opening("BEGIN"), "START": _opening("START TRANSACTION"), "COMMIT": _finishing(True),
    "END": _finishing(True), "ROLLBACK": _finishing(False), "ABORT": _finishing(False),
    "SAVEPOINT": _unsupported("savepoints"), "RELEASE": _unsupported("savepoints"), "PREPARE": _prepare, "SET": _set,
    "RESET": _reset, "SHOW": _show, "DISCARD": _discard, "DEALLOCATE": _deallocate, "CLOSE": _close,
    "UNLISTEN": _unlisten, "LISTEN": _unsupported("LISTEN"), "NOTIFY": _unsupported("NOTIFY"),
    "COPY": _unsupported("COPY"), "DECLARE": _unsupported("cursors"), "FETCH": _unsupported("cursors"),
    "MOVE": _unsupported("cursors"),
}
# asyncpg's pool says this to every connection it takes back; no engine has advisory locks, so there are none to undo.
_TEXTS = {"SELECT pg_advisory_unlock_all()": lambda session, words: Command(
    lambda: Result(rows=[[("",)]]), columns=("pg_advisory_unlock_all",))}
