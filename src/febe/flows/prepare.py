"""Prepared statements: Parse and Describe once, then everything about them that never changes is ready-made bytes."""

from __future__ import annotations

from struct import pack
from typing import cast

from febe._kernel.errors import ValueEncodeError
from febe._kernel.parameters import ParameterEncoder
from febe._kernel.row import row_type
from febe._kernel.rows import RowDecoder
from febe.flows.answer import Answer, DecodeRun, converse
from febe.flows.errors import EncodeError
from febe.flows.session import Session
from febe.protocol.extended import Close, Describe, Execute, Flush, Parse, Sync
from febe.protocol.simple import FieldDescription
from febe.protocol.states import State
from febe.types._codec import Decode, Encode
from febe.types.registry import Codec, Registry

_EXECUTE_AND_SYNC = Execute(portal="", maximum_rows=0).encode() + Sync().encode()


def format_codes(codes: list[int]) -> bytes:
    """The shortest list of format codes (manual: "Message Formats", Bind): none for all text, one for all binary."""
    if not any(codes):
        return b"\0\0"
    if all(codes):
        return b"\0\1\0\1"
    return pack(f"!H{len(codes)}h", len(codes), *codes)


class Statement:
    """An SQL statement and, once the server has described it, how to send its parameters and read its rows.

    `name` is "" for a statement that is used once.  `ready` is False until `describe` has been here, and again when the
    server no longer knows the statement in the form described.
    """

    def __init__(self, sql: str, name: str) -> None:
        self.sql = sql
        self.name = name
        self.ready = False
        self.parameters: list[Codec] = []
        self.columns: list[FieldDescription] = []
        self.decode: DecodeRun
        self._encoder: ParameterEncoder
        self._prefix = self._suffix = b""
        self._constant: bytes | None = None

    def described(self, types: Registry, parameter_types: list[int], columns: list[FieldDescription]) -> None:
        """Make ready what never changes."""
        self.parameters = [types.by_oid(oid) for oid in parameter_types]
        self.columns = columns
        encoders = [_encoder(codec) for codec in self.parameters]
        self._encoder = ParameterEncoder([encode for encode, _ in encoders])
        self._prefix = b"\0" + self.name.encode() + b"\0" + format_codes([code for _, code in encoders])
        decoders = [_decoder(types.by_oid(column.type_oid)) for column in columns]
        self._suffix = format_codes([code for _, code in decoders])
        row = row_type(tuple(column.name for column in columns))
        self.decode = cast(DecodeRun, RowDecoder([decode for decode, _ in decoders], row).decode)
        self._constant = None
        if not encoders:
            self._constant = self._encoder.encode(self._prefix, (), self._suffix, _EXECUTE_AND_SYNC)
        self.ready = True

    def request(self, args: tuple[object, ...]) -> bytes:
        """Bind, Execute and Sync with these parameters.  Errors: EncodeError."""
        if len(args) != len(self.parameters):
            raise EncodeError(f"the statement takes {_counted(len(self.parameters))}, {len(args)} given")
        if self._constant is not None:
            return self._constant
        try:
            return self._encoder.encode(self._prefix, args, self._suffix, _EXECUTE_AND_SYNC)
        except ValueEncodeError as error:
            type_name = self.parameters[error.column].name
            raise EncodeError(f"parameter ${error.column + 1} ({type_name}): {error.reason}",
                              parameter=error.column + 1, type_name=type_name, value=error.value) from error


def _encoder(codec: Codec) -> tuple[Encode, int]:
    """How to write a type, and the format code; binary where it is spoken at all."""
    if codec.encode_binary is not None:
        return codec.encode_binary, 1
    assert codec.encode_text is not None, codec
    return codec.encode_text, 0


def _decoder(codec: Codec) -> tuple[Decode, int]:
    """How to read a type, and the format code."""
    if codec.decode_binary is not None:
        return codec.decode_binary, 1
    assert codec.decode_text is not None, codec
    return codec.decode_text, 0


def _counted(number: int) -> str:
    return "no parameters" if number == 0 else "1 parameter" if number == 1 else f"{number} parameters"


async def describe(session: Session, statement: Statement) -> None:
    """Parse and describe a statement in one flight, which also closes the statements that are no longer wanted.

    Errors: PostgresError, LocalProtocolError for SQL that cannot be sent; the session goes on.
    """
    if session.core.state is not State.IDLE:
        raise session.unusable()
    if statement.name:
        statement.name = session.new_name()
    # The unnamed statement is used at once.  Flush holds the implicit transaction open until then, so that a pooler
    # keeps us with the server that has the statement.
    end, last = (Sync(), (State.SYNC,)) if statement.name else (Flush(), ())
    parse = Parse(statement=statement.name, query=statement.sql, parameter_types=[]).encode()
    discarded = session.discarded[:]
    closes = b"".join([Close(kind="S", name=name).encode() for name in discarded])
    answers = (State.CLOSE,) * len(discarded) + (State.PARSE, State.DESCRIBE_STATEMENT, *last)
    out = session.core.send_requests(
        answers, closes + parse + Describe(kind="S", name=statement.name).encode() + end.encode())
    answer = Answer(session, None)
    await converse(session, out, answer)
    del session.discarded[:len(discarded)]
    answer.check()
    statement.described(session.types, answer.parameter_types, answer.columns)


async def cached(session: Session, sql: str) -> Statement:
    """Prepare a statement that the cache does not have, and put it there.  Errors: as `describe`."""
    statements = session.statements
    statement = Statement(sql, session.new_name() if session.statement_cache_size else "")
    while len(statements) >= session.statement_cache_size > 0:
        discard(session, statements.popitem(last=False)[1])
    await describe(session, statement)
    if statement.name:
        statements[sql] = session.latest = statement
    return statement


async def prepare(session: Session, sql: str) -> Statement:
    """A statement of its own, outside the cache.  Errors: as `describe`."""
    statement = Statement(sql, session.new_name())
    await describe(session, statement)
    return statement


def discard(session: Session, statement: Statement) -> None:
    """Have the server forget a statement with the next Parse."""
    if statement.ready and statement.name:
        session.discarded.append(statement.name)
    statement.ready = False


async def close_statement(session: Session, statement: Statement) -> None:
    """Close a statement now; one that is closed already, or whose session is over, needs nothing."""
    if not statement.ready or session.is_closed:
        return
    if session.core.state is not State.IDLE:
        raise session.unusable()
    statement.ready = False
    out = session.core.send(Close(kind="S", name=statement.name), Sync())
    answer = Answer(session, None)
    await converse(session, out, answer)
    answer.check()


__all__ = ["Statement", "cached", "close_statement", "describe", "discard", "format_codes", "prepare"]
