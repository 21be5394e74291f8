"""A SELECT of nothing but functions of the server's own, such as `SELECT pg_backend_pid()`.

Where one of them stands in anything larger, the whole query is the engine's or the catalog's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from febe.server.command import Command
from febe.server.commands._arguments import Argument, argument
from febe.server.commands._words import Words
from febe.server.engine import Column, EngineError, Result
from febe.server.functions import FUNCTIONS, Function
from febe.server.sql import Statement, TokenKind
from febe.server.statements import decode_values
from febe.server.typenames import oid_of

if TYPE_CHECKING:
    from febe.server.execution import Execution

def select(session: Execution, statement: Statement) -> Command | None:
    """The command that a SELECT is, when every item is a call of these functions."""
    if statement.called not in FUNCTIONS:
        return None
    try:
        calls = _calls(Words(statement.sql))
    except EngineError:
        return None  # whatever it is, the engine says what is wrong with it
    return _command(session, calls) if calls else None


class _Call:
    """One item of the SELECT list."""

    def __init__(self, function: Function, arguments: list[Argument], name: str, cast: int | None) -> None:
        self.function = function
        self.arguments = arguments
        self.name = name
        self.cast = cast


def _calls(words: Words) -> list[_Call] | None:
    words.expect("SELECT")
    from_clause = words.symbol("*")
    if from_clause:
        words.expect("FROM")
    found: list[_Call] = []
    while True:
        if words.take("PG_CATALOG"):
            words.expect_symbol(".")
        name = words.identifier()
        given = [argument(text) for text in words.items()]
        arguments = [one for one in given if one is not None]
        function = FUNCTIONS.by_name(name, len(given))
        if function is None and name == "pg_terminate_backend" and len(given) == 1:
            function = FUNCTIONS.by_name(name, 2)
            arguments.append(Argument(text="0"))
            given.append(arguments[-1])
        if function is None or len(arguments) < len(given):
            return None
        cast = None
        if words.symbol("::"):
            cast = oid_of(words.identifier())
        if words.take("AS"):
            name = words.identifier()
        elif (ahead := words.ahead()) is not None and ahead.kind in (TokenKind.WORD, TokenKind.QUOTED):
            if ahead.is_word("FROM", "WHERE", "ORDER", "LIMIT", "UNION", "GROUP", "FETCH", "OFFSET", "INTO", "FOR"):
                return None
            name = words.identifier()
        found.append(_Call(function, arguments, name, cast))
        if words.ended:
            break
        if from_clause or not words.symbol(","):
            return None
    return None if len(found) > 1 and any(call.function.returns_set for call in found) else found


def _command(session: Execution, calls: list[_Call]) -> Command:
    types: dict[int, int] = {}
    for call in calls:
        for wanted, given in zip(call.function.arguments, call.arguments, strict=True):
            if given.parameter:
                types.setdefault(given.parameter, wanted)
    parameters = [types.get(number, 0) for number in range(1, max(types, default=0) + 1)]
    if 0 in parameters:
        raise EngineError(f"could not determine data type of parameter ${parameters.index(0) + 1}", sqlstate="42P18")
    fixed = [_literals(call) for call in calls]

    def action(values: Sequence[Any]) -> Result:
        session.effects = True
        results = []
        for call, constants in zip(calls, fixed, strict=True):
            arguments = [values[given.parameter - 1] if given.parameter else constant
                         for given, constant in zip(call.arguments, constants, strict=True)]
            results.append(_converted(call, call.function(session, arguments)))
        if calls[0].function.returns_set:
            return Result(rows=[[(value,) for value in results[0]]])
        return Result(rows=[[tuple(results)]])

    command = Command(action, columns=[Column(name=call.name, type_oid=call.cast or call.function.result)
                                    for call in calls],
                   parameters=parameters, waits=any(call.function.waits for call in calls))
    command.is_query = True
    return command


def _literals(call: _Call) -> tuple[object, ...]:
    texts = [given.text.encode() if given.text is not None else None for given in call.arguments]
    return decode_values(call.function.arguments, (0,) * len(texts), texts)


def _converted(call: _Call, value: Any) -> Any:
    """The value, cast to a type by way of its text, as PostgreSQL casts a string."""
    if call.cast is None or value is None:
        return value
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return decode_values((call.cast,), (0,), [text.encode()])[0]


