"""Prepared statements: Parse and Describe once, then everything about them that never changes is ready-made bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from struct import pack
from typing import TYPE_CHECKING, Any, cast

from febe._kernel.errors import TypeChanged, ValueDecodeError, ValueEncodeError
from febe._kernel.parameters import ParameterEncoder
from febe._kernel.row import row_type
from febe._kernel.rows import RowDecoder
from febe.flows.answer import Answer, DecodeRun, ask, converse
from febe.flows.compose import Sql, settled
from febe.flows.errors import DecodeError, EncodeError
from febe.flows.introspect import introspect
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.connection import DataRowRun
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse, ParseComplete, Sync
from febe.protocol.simple import FieldDescription, RowDescription
from febe.protocol.startup import ReadyForQuery
from febe.protocol.states import State
from febe.types._codec import Decode
from febe.types.registry import Codec, Registry

if TYPE_CHECKING:
    from febe.flows.port import Signal

_EXECUTE_AND_SYNC = Execute(portal="", maximum_rows=0).encode() + Sync().encode()
_DESCRIBE_EXECUTE_AND_SYNC = Describe(kind="P", name="").encode() + _EXECUTE_AND_SYNC
_SYNC = Sync().encode()
# What answers a flight of a statement that the server has, and of one that it is told with it.
KNOWN = (State.BIND, State.EXECUTE, State.SYNC)
TOLD = (State.PARSE, State.BIND, State.DESCRIBE, State.EXECUTE, State.SYNC)
TOLD_BRIEFLY = (State.PARSE, State.BIND, State.EXECUTE, State.SYNC)
_PROBE = (Parse(statement="", query="SELECT pg_backend_pid()", parameter_types=[]).encode()
          + Bind(portal="", statement="", parameter_formats=[], parameters=[], result_formats=[]).encode()
          + _EXECUTE_AND_SYNC)


def format_codes(codes: list[int]) -> bytes:
    """The shortest list of format codes (manual: "Message Formats", Bind): none for all text, one for all binary."""
    if not any(codes):
        return b"\0\0"
    if all(codes):
        return b"\0\1\0\1"
    return pack(f"!H{len(codes)}h", len(codes), *codes)


class Statement:
    """An SQL statement and, once the server has described it, how to send its parameters and read its rows.

    `ready` says that it is described, `is_known` that the server has it, under `name`.  One without a name, because it
    is not to be kept or a pooler stands between, goes with every flight.
    """

    def __init__(self, sql: str, keep: bool) -> None:
        self.sql = sql
        self.keep = keep
        self.declared: tuple[int, ...] = ()
        """Types of parameters that are told the server; 0 leaves one to it."""
        self.open: tuple[int, ...] = ()
        """The parameters, by their index, that nothing but a value tells the type of (flows/infer.py)."""
        self.fixed: set[int] = set()
        """Those of which it is known that they are not."""
        self.name = ""
        self.ready = False
        self.is_known = False
        self.asked: list[Signal] | None = None
        """Who waits until another one has described it."""
        # Data that follows Execute would be answered to whoever comes after it.
        self.copies_in = "stdin" in sql.lower()
        self.parameters: list[Codec] = []
        self.columns: list[FieldDescription] = []
        self.decode: DecodeRun
        self._encoder: ParameterEncoder
        self._types: Registry
        self.parse = b""
        """Parse, for a flight of a statement that the server does not know."""
        self._prefix = self._suffix = b""
        self._constant: bytes | None = None

    def described(self, types: Registry, name: str, parameter_types: list[int],
                  columns: list[FieldDescription]) -> None:
        """Make ready what never changes."""
        self.name = name
        self._types = types
        self.parameters = [types.by_oid(oid) for oid in parameter_types]
        encoders = [codec.encoder() for codec in self.parameters]
        self._encoder = ParameterEncoder([encode for encode, _ in encoders])
        self._prefix = b"\0" + self.name.encode() + b"\0" + format_codes([code for _, code in encoders])
        self.parse = Parse(statement=self.name, query=self.sql, parameter_types=parameter_types).encode()
        formats = [types.by_oid(column.type_oid).decoder()[1] for column in columns]
        self._suffix = format_codes(formats)
        self.columns = [replace(column, format=code) for column, code in zip(columns, formats, strict=True)]
        self.decode = decoder(types, self.columns)
        self._constant = None
        self.open, self.fixed = (), set()
        if not encoders:
            self._constant = self._encoder.encode(self._prefix, (), self._suffix, _EXECUTE_AND_SYNC)
        self.ready = True

    def forget(self) -> None:
        """The server no longer has it in the form described."""
        self.ready = self.is_known = False

    def request(self, args: tuple[object, ...]) -> bytes:
        """Bind, Execute and Sync with these parameters; with Parse and Describe when the server does not know it.

        Errors: EncodeError.
        """
        if self.is_known:
            if self._constant is not None and not args:
                return self._constant
            return self.bind(args, _EXECUTE_AND_SYNC)
        out = self.parse + self.bind(args, _DESCRIBE_EXECUTE_AND_SYNC)
        self.is_known = bool(self.name)  # to whatever is asked after this
        return out

    def bind(self, args: tuple[object, ...], trailer: bytes) -> bytes:
        """Bind with these parameters, and what follows it.  Errors: EncodeError."""
        if len(args) != len(self.parameters):
            raise EncodeError(f"the statement takes {_counted(len(self.parameters))}, {len(args)} given")
        try:
            return self._encoder.encode(self._prefix, args, self._suffix, trailer)
        except ValueEncodeError as error:
            type_name = self.parameters[error.column].name
            made = EncodeError(f"parameter ${error.column + 1} ({type_name}): {error.reason}",
                               parameter=error.column + 1, type_name=type_name, value=error.value)
            better = self._types.by_class(type(error.value))
            if type_name == "text" and better is not None and better.name != "text":
                made.add_note(f"febe: the statement wants text here; ${error.column + 1}::{better.name} would say "
                              "otherwise")
            raise made from error

    def bind_many(self, sets: list[tuple[object, ...]], trailer: bytes) -> bytes:
        """Bind with each of these sets of parameters, and what follows each.

        Errors: ValueEncodeError, MalformedRow; what `bind` says of the set is for people.
        """
        return self._encoder.encode_many(self._prefix, sets, self._suffix, trailer)


def decoder(types: Registry, columns: list[FieldDescription]) -> DecodeRun:
    """How to read rows of these columns, each in the format that its description names."""
    readers: list[Decode] = []
    for column in columns:
        codec = types.by_oid(column.type_oid)
        read = codec.decode_binary if column.format else codec.decode_text
        readers.append(_not_spoken(codec, column.format) if read is None else read)
    row = row_type(tuple(column.name for column in columns))
    return cast(DecodeRun, RowDecoder(readers, row).decode)


def _not_spoken(codec: Codec, code: int) -> Decode:
    def refuse(data: bytes) -> Any:
        raise ValueError(f"{codec.name} cannot be read in format {code}")

    return refuse


class Flight(Answer):
    """The answer to one run of a statement."""

    parsed = False

    def __init__(self, session: Session, statement: Statement, *, one: bool, tagged: bool,
                 reader: Callable[[Any, Any], Any] | None = None) -> None:
        self.session = session
        self.statement = statement
        self.decode = statement.decode
        self.one = one
        self.tagged = tagged
        self.columns = statement.columns
        self.brief = statement.is_known
        self.reader = reader
        if reader is not None:
            self.builder = reader(session.types, statement.columns)
            self.decode = self.builder.feed

    def _parse_complete(self, _: ParseComplete) -> None:
        self.parsed = True

    def _row_description(self, event: RowDescription) -> None:
        # The server has parsed it anew, and may see another table.
        if event.columns != self.columns:
            self.columns = event.columns
            self.statement.forget()
            if self.reader is not None:
                self.builder = self.reader(self.session.types, event.columns)
                self.decode = self.builder.feed
            elif self.decode is not None:
                self.decode = decoder(self.session.types, event.columns)

    def _decode_error(self, error: ValueDecodeError) -> DecodeError:
        if isinstance(error.__cause__, TypeChanged):
            discard(self.session, self.statement)
        return super()._decode_error(error)

    def _error(self, event: ErrorResponse) -> None:
        super()._error(event)
        if not self.bound and event.fields_by_code.get("R") in ("record_recv", "record_in"):
            # A parameter's composite type has other fields than when it was described.
            discard(self.session, self.statement)
            self.session.types_changed()
        if not self.brief and not self.parsed:
            self.statement.forget()


def _counted(number: int) -> str:
    return "no parameters" if number == 0 else "1 parameter" if number == 1 else f"{number} parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a statement takes and gives: the names of its parameters' types, `$1` first, and its result's columns."""

    sql: str
    parameters: tuple[str, ...]
    columns: tuple[FieldDescription, ...]


class Described(Answer):
    """The answer to Parse and Describe."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, None)
        self.columns: list[FieldDescription] = []


class Probe(Answer):
    """The answer to `pg_backend_pid()`: another one than at the start comes from behind a pooler."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, None)
        self.process_id = b""

    def _row_run(self, run: DataRowRun) -> None:
        self.process_id = run.data[run.start + 11:run.end]

    def _ready(self, event: ReadyForQuery) -> None:
        session = self.session
        if self.error is None:
            session.pooled = self.process_id != str(session.process_id).encode()
        elif self.error.sqlstate != "25P02":  # a server that is not PostgreSQL, and has no such function
            session.pooled = False
        session.probing = False
        super()._ready(event)


async def describe(session: Session, statement: Statement) -> None:
    """Parse and describe a statement in one flight, which also closes the statements that are no longer wanted.

    The first flight of a session asks beside it whether the server is the one that let us in, or a pooler stands
    between, which may send each transaction to another server.  Where that is so, and until it is known, nothing is
    left at the server.  Errors: PostgresError, LocalProtocolError for SQL that cannot be sent; the session goes on.
    """
    if statement.asked is not None:
        signal = session.port.signal()
        statement.asked.append(signal)
        await signal.wait()
        return
    statement.asked = []
    try:
        await _describe(session, statement)
    finally:
        waiting, statement.asked = statement.asked, None
        for signal in waiting:
            signal.set()


async def _describe(session: Session, statement: Statement) -> None:
    if session.pooled is None and not session.probing:
        session.probing = True
        ask(session, TOLD_BRIEFLY, _PROBE, Probe(session))
    name = session.new_name() if statement.keep and session.pooled is False else ""
    closed = session.discarded[:]
    out = b"".join([Close(kind="S", name=name).encode() for name in closed])
    out += Parse(statement=name, query=statement.sql, parameter_types=list(statement.declared)).encode()
    out += Describe(kind="S", name=name).encode() + _SYNC
    states = (State.CLOSE,) * len(closed) + (State.PARSE, State.DESCRIBE_STATEMENT, State.SYNC)
    answer = Described(session)
    del session.discarded[:len(closed)]
    await converse(session, states, out, answer)
    answer.check()
    await introspect(session, [*answer.parameter_types, *[column.type_oid for column in answer.columns]])
    statement.is_known = bool(name)
    if statement.keep and not session.pooled:
        name = name or session.new_name()
    statement.described(session.types, name, answer.parameter_types, answer.columns)


def cached(session: Session, sql: str, declared: tuple[int, ...] = ()) -> Statement:
    """Put a new statement in the cache, in the place of the one used least recently."""
    statements = session.statements
    statement = Statement(sql, session.statement_cache_size > 0)
    statement.declared = declared
    if statement.keep:
        while len(statements) >= session.statement_cache_size:
            discard(session, statements.popitem(last=False)[1])
        statements[place(sql, declared)] = session.latest = statement
    return statement


def place(sql: str, declared: tuple[int, ...]) -> str:
    """Where a statement is in the cache."""
    return f"{sql}\0{declared}" if declared else sql


async def prepare(session: Session, sql: str) -> Statement:
    """A statement of its own, outside the cache.  Errors: as `describe`."""
    statement = Statement(sql, True)
    await session.admission()
    await describe(session, statement)
    return statement


async def described(session: Session, sql: Sql) -> Description:
    """What there is to know of a statement, which is not kept.  Errors: as `describe`."""
    statement = Statement(settled(sql, ())[0], False)
    await session.admission()
    await describe(session, statement)
    return Description(sql=statement.sql, parameters=tuple([codec.name for codec in statement.parameters]),
                       columns=tuple(statement.columns))


def discard(session: Session, statement: Statement) -> None:
    """Have the server forget a statement with the next Parse."""
    if statement.is_known:
        session.discarded.append(statement.name)
    statement.forget()


async def close_statement(session: Session, statement: Statement) -> None:
    """Close a statement now; one that is closed already, or whose session is over, needs nothing."""
    if not statement.is_known or session.is_closed:
        return
    await session.admission()
    statement.forget()
    answer = Answer(session, None)
    await converse(session, (State.CLOSE, State.SYNC), Close(kind="S", name=statement.name).encode() + _SYNC, answer)
    answer.check()


__all__ = ["Description", "Flight", "Statement", "cached", "close_statement", "decoder", "describe", "described",
           "discard", "format_codes", "prepare"]
