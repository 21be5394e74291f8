"""Parameters whose type the server cannot tell from where they stand (manual: "Extended Query", Parse).

What the server infers counts.  A parameter that stands where nothing tells its type is text to the server, or of no
type at all; it gets the type of its value's class.  It is told from one that has to be text by having the server
describe the statement with varchar in its place, which goes wherever text goes: columns of another type come of it.
Outside of a transaction block, where an error costs nothing, the value's own type is tried as well: there are servers
to which varchar is text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from febe.flows.answer import ask, settle
from febe.flows.errors import EncodeError
from febe.flows.introspect import introspect
from febe.flows.part import Part, end
from febe.flows.prepare import Statement, cached, place
from febe.flows.quote import identifier
from febe.flows.session import Session
from febe.protocol.errors import PostgresError
from febe.protocol.extended import Describe, Flush, NoData, Parse
from febe.protocol.simple import RowDescription
from febe.protocol.states import State
from febe.types import oids

if TYPE_CHECKING:
    from collections.abc import Sequence

# "could not determine data type of parameter $1" (parse_param.c, postgres.c); with a detail 42P08 says something else:
# "inconsistent types deduced".
_UNDETERMINED = ("42P08", "42P18")
_STATES = (State.PARSE, State.DESCRIBE_STATEMENT)
_DESCRIBE = Describe(kind="S", name="").encode()
_FLUSH = Flush().encode()


def chosen(session: Session, statement: Statement, args: Sequence[object]) -> Statement:
    """The statement with the types of these values for what the server cannot tell; it may have to be described."""
    while statement.open and len(args) > statement.open[-1]:
        declared = list(statement.declared) or [0] * len(args)
        for index in statement.open:
            declared[index] = _type(session, args[index])
        if statement.ready:
            if all(declared[index] == oids.TEXT for index in statement.open):
                return statement  # it takes them as they are
            for index in statement.open:
                if args[index] is None:  # fits whatever comes of the others
                    declared[index] = 0
        types = tuple(declared)
        if not statement.keep:
            statement = Statement(statement.sql, False)
            statement.declared = types
            return statement
        key = place(statement.sql, types)
        found = session.statements.get(key)
        if found is None:
            return cached(session, statement.sql, types)
        session.statements.move_to_end(key)
        statement = found
    return statement


def _type(session: Session, value: object) -> int:
    if value is None or isinstance(value, str):
        return oids.TEXT
    from febe.types.classes import oid_of  # few programs need it

    return oid_of(session.types, value) or oids.TEXT


def undetermined(session: Session, statement: Statement, args: Sequence[object], error: PostgresError) -> None:
    """Note the parameter that the server finds no type for at all, so that `chosen` tells it.

    Errors: `error`, where it is about something else, or has failed a transaction.
    """
    named = re.search(r"\$(\d+)", error.message) if error.sqlstate in _UNDETERMINED and error.detail is None else None
    index = int(named[1]) - 1 if named is not None else len(args)
    if index >= len(args) or index in statement.open:
        raise error
    if session.core.transaction_status != "I":
        codec = session.types.by_oid(_type(session, args[index]))
        error.add_note(f"febe: nothing in the statement tells the type of ${index + 1}; ${index + 1}::{codec.name} "
                       "would. Outside of a transaction block the server is told; in one, the error has failed it")
        raise error
    statement.open = tuple(sorted({*statement.open, index}))


async def learn(session: Session, statement: Statement, args: Sequence[object], error: EncodeError, *,
                in_flight: bool = False) -> None:
    """Find out which parameters nothing tells the type of, so that `chosen` has another statement for these values.

    Errors: `error`, where there are none; PostgresError in a transaction block, which it has failed.
    """
    if len(args) != len(statement.parameters) or (in_flight and session.core.state is State.SKIPPING):
        raise error
    if not in_flight:
        await _look_up(session, args)
    wanted = [index for index, codec in enumerate(statement.parameters)
              if codec.oid == oids.TEXT and index not in statement.fixed and index not in statement.open
              and not (statement.declared and statement.declared[index])
              and _type(session, args[index]) != oids.TEXT]
    if not wanted:
        raise error
    found = await _probe(session, statement, dict.fromkeys(wanted, oids.VARCHAR), in_flight)
    for index in wanted:
        if index not in found and not in_flight and session.core.transaction_status == "I":
            found += await _probe(session, statement, {index: _type(session, args[index])})
    statement.fixed.update(wanted)
    if found:
        statement.open = tuple(sorted({*statement.open, *found}))
    else:
        raise error


class Probed(Part):
    """The answer to so many times Parse and Describe."""

    def __init__(self, session: Session, count: int) -> None:
        super().__init__(session, None)
        self.left = count
        self.results: list[list[int]] = []

    def _row_description(self, event: RowDescription) -> None:
        self.results.append([column.type_oid for column in event.columns])
        self._done()

    def _no_data(self, _: NoData) -> None:
        self.results.append([])
        self._done()


async def _probe(session: Session, statement: Statement, wanted: dict[int, int], in_flight: bool = False) -> list[int]:
    """Those of the parameters that a column gets its type from, when they are of these types."""
    out = b""
    for index, oid in wanted.items():
        types = list(statement.declared) or [0] * len(statement.parameters)
        types[index] = oid
        out += Parse(statement="", query=statement.sql, parameter_types=types).encode()
        out += _DESCRIBE
    if not in_flight:
        await session.admission()
    probed = Probed(session, len(wanted))
    ask(session, _STATES * len(wanted), out + _FLUSH if in_flight else out, probed)
    await (settle(session, probed) if in_flight else end(session))
    if probed.error is not None and not in_flight and session.core.transaction_status == "I":
        return []
    probed.check()
    usual = [column.type_oid for column in statement.columns]
    return [index for index, columns in zip(wanted, probed.results, strict=True) if columns != usual]


async def _look_up(session: Session, args: Sequence[object]) -> None:
    """Ask the catalog for the types that classes of these values are registered for."""
    from febe.flows.query import VALUE, run
    from febe.types.classes import unknown_names

    for name in set().union(*[unknown_names(session.types, one) for one in args]):
        oid = await run(session, "select pg_catalog.to_regtype($1)::oid", (identifier(*name.split(".", 1)),), VALUE)
        if oid:
            await introspect(session, [oid])


__all__ = ["chosen", "learn", "undetermined"]
