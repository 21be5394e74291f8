"""Asking the catalog about types that are not built in, once per session and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from febe._kernel.parameters import ParameterEncoder
from febe._kernel.rows import RowDecoder
from febe.flows.answer import Answer, DecodeRun, ask, converse, settle
from febe.flows.part import Part
from febe.flows.session import Session
from febe.protocol.extended import Execute, Flush, Parse, Sync
from febe.protocol.states import State
from febe.types.catalog import COLUMNS, QUERY, described
from febe.types.registry import TYPES, Codec

_STATES = (State.PARSE, State.BIND, State.EXECUTE, State.SYNC)
_PARSE = Parse(statement="", query=QUERY, parameter_types=[]).encode()
_EXECUTE_AND_SYNC = Execute(portal="", maximum_rows=0).encode() + Sync().encode()
_EXECUTE_AND_FLUSH = Execute(portal="", maximum_rows=0).encode() + Flush().encode()
_BINARY = b"\0\1\0\1"
_readers = [TYPES.by_oid(oid).decoder()[0] for oid in COLUMNS]
_decode = cast(DecodeRun, RowDecoder(_readers, tuple).decode)
_encode = ParameterEncoder([TYPES.by_name("_oid").encoder()[0]]).encode


async def introspect(session: Session, oids: Sequence[int], *, in_flight: bool = False) -> None:
    """Look the types up that the session's registry does not know, with all that they are made of.

    `in_flight`: in the middle of a flight, which a Sync would end.

    A server without such a catalog, or that does not tell about a type, leaves it text.  Errors: PostgresError inside a
    transaction, which it has failed.
    """
    unknown = session.types.unknown(oids)
    if not unknown:
        return
    if in_flight:
        answer: Answer = Part(session, _decode)
        ask(session, _STATES[:-1], _PARSE + _encode(b"\0\0" + _BINARY, (unknown,), _BINARY, _EXECUTE_AND_FLUSH), answer)
        await settle(session, answer)
    else:
        answer = Answer(session, _decode)
        out = _PARSE + _encode(b"\0\0" + _BINARY, (unknown,), _BINARY, _EXECUTE_AND_SYNC)
        await converse(session, _STATES, out, answer)
    if answer.error is not None and (in_flight or answer.status == "E"):
        answer.check()
    session.types.learn(described(answer.rows or []))
    session.types.learn([Codec(oid=oid, name=f"type {oid}") for oid in session.types.unknown(unknown)])


__all__ = ["introspect"]
