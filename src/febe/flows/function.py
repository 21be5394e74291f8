"""Calling a function without SQL (manual: "Function Call", "Fast-Path Interface")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Any

from febe._kernel.errors import ValueEncodeError
from febe._kernel.parameters import ParameterEncoder
from febe._kernel.rows import decode_value
from febe.flows.answer import Answer, converse
from febe.flows.errors import DecodeError, EncodeError
from febe.flows.introspect import introspect
from febe.flows.prepare import format_codes
from febe.flows.query import FIRST, run
from febe.flows.session import Session
from febe.protocol.errors import Error
from febe.protocol.function import FunctionCallResponse
from febe.protocol.states import State
from febe.types.registry import Registry

_LOOK_UP = """SELECT p.oid, p.proname::text, p.proargtypes::oid[], p.prorettype
FROM pg_catalog.pg_proc p WHERE p.oid = pg_catalog.{}($1::text)::oid"""


@dataclass(slots=True, kw_only=True)
class Function:
    """A function as the catalog describes it."""

    oid: int
    name: str
    arguments: Sequence[int]
    result: int


class Call(Answer):
    """The answer to a function call."""

    value: bytes | None = None

    def _function_result(self, event: FunctionCallResponse) -> None:
        self.value = event.value


async def call(session: Session, function: Function, args: tuple[object, ...], types: Registry) -> Any:
    """Call a function and return its result.  Errors: PostgresError, EncodeError, DecodeError."""
    if len(args) != len(function.arguments):
        raise EncodeError(f"{function.name} takes {len(function.arguments)} arguments, {len(args)} given")
    codecs = [types.by_oid(oid) for oid in function.arguments]
    encoders = [codec.encoder() for codec in codecs]
    result = types.by_oid(function.result)
    decode, code = result.decoder()
    # It is a Bind with an OID in the place of its names, and one result.
    prefix = pack("!I", function.oid) + format_codes([code for _, code in encoders])
    try:
        out = ParameterEncoder([encode for encode, _ in encoders]).encode(prefix, args, pack("!h", code), b"")
    except ValueEncodeError as error:
        name = codecs[error.column].name
        raise EncodeError(f"argument {error.column + 1} of {function.name} ({name}): {error.reason}",
                          parameter=error.column + 1, type_name=name, value=error.value) from error
    await session.admission()
    answer = Call(session, None)
    await converse(session, (State.FUNCTION_CALL,), b"F" + out[1:], answer)
    answer.check()
    if answer.value is None:
        return None
    try:
        return decode_value(decode, answer.value) if isinstance(decode, int) else decode(answer.value)
    except ValueError as error:
        raise DecodeError(f"the result of {function.name} ({result.name}): {error}: {answer.value[:80]!r}", row=0,
                          column=function.name, type_name=result.name, data=answer.value) from error


async def call_named(session: Session, name: str, args: tuple[object, ...]) -> Any:
    """Call a function by its name, with the types of its arguments in parentheses where several have that name.

    Errors: PostgresError, EncodeError, DecodeError; Error when there is no such function, or several.
    """
    function = session.functions.get(name)
    if function is None:
        how = "to_regprocedure" if "(" in name else "to_regproc"
        found = await run(session, _LOOK_UP.format(how), (name,), FIRST)
        if found is None:
            raise Error(f"there is no function {name}, or there are several: name(type, ...) tells which")
        oid, known, arguments, result = found
        await introspect(session, [*arguments, result])
        function = session.functions[name] = Function(oid=oid, name=known, arguments=list(arguments), result=result)
    return await call(session, function, args, session.types)


__all__ = ["Function", "call", "call_named"]
