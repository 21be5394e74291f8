"""Parameters as Python programs write them, `%s` and `%(name)s`, made into the server's `$1`, `$2` ..."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from febe.protocol.families import ProgrammingError

# psycopg's %b and %t ask for a format; febe chooses it by the type.
_PLACEHOLDER = re.compile(r"%(?:(%)|([sbt])|\((\w+)\)[sbt]|(.?))", re.DOTALL)


@lru_cache(1000)
def translated(sql: str) -> tuple[str, tuple[str, ...] | int]:
    """The statement with numbered parameters, and their names in order or how many there are.

    Errors: ProgrammingError for a `%` that is neither a parameter nor doubled.
    """
    names: dict[str, int] = {}
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        percent, plain, name, wrong = found.groups()
        if percent:
            return "%"
        if plain:
            count += 1
            return f"${count}"
        if name:
            return f"${names.setdefault(name, len(names) + 1)}"
        raise ProgrammingError(f"%{wrong} is no parameter: %s or %(name)s is one, and %% stands for a percent sign")

    text = _PLACEHOLDER.sub(number, sql)
    if names and count:
        raise ProgrammingError("parameters are either all named or all in order")
    return text, tuple(names) or count


def bound(sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """The statement with numbered parameters, and the values in that order.  Errors: ProgrammingError."""
    text, wanted = translated(sql)
    return text, values(wanted, parameters)


def values(wanted: tuple[str, ...] | int, parameters: Sequence[Any] | Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of the parameters in order.  Errors: ProgrammingError."""
    if isinstance(wanted, tuple):
        if not isinstance(parameters, Mapping):
            raise ProgrammingError("the statement's parameters have names, so that a mapping is needed")
        try:
            return tuple([parameters[name] for name in wanted])
        except KeyError as error:
            raise ProgrammingError(f"no value is given for parameter {error}") from None
    if wanted == 0 and not parameters:
        return ()
    if isinstance(parameters, Mapping | str | bytes):
        raise ProgrammingError("the statement's parameters have no names, so that a sequence is needed")
    given = tuple(parameters)
    if len(given) != wanted:
        raise ProgrammingError(f"the statement has {wanted} parameters, and {len(given)} values are given")
    return given


__all__ = ["bound", "translated", "values"]
