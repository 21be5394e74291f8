"""Logical streaming replication: what the plugin pgoutput writes (manual: "Logical Replication Message Formats").

    reader = LogicalReader(version=2)
    change = reader.read(xlog_data.data)

The field `xid` is the transaction that a message inside a stream block belongs to, a subtransaction perhaps; it is
there only inside such blocks, of which the reader keeps track.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar, dataclass_transform

from febe.protocol.errors import RemoteProtocolError
from febe.protocol.fields import (
    INT16,
    INT64,
    Byte1,
    Counted,
    Int,
    Int8,
    Int32,
    Oid,
    Record,
    SizedBytes,
    String,
    UInt32,
    When,
)
from febe.protocol.message import LARGE, Framing, Message, Sender, declared_fields, message
from febe.protocol.replication import Lsn, Microseconds, by_byte
from febe.protocol.tuples import New, Old, OldIfThere, Tables

M = TypeVar("M", bound=type[Message])

STREAM, PARALLEL = "stream", "parallel"
"""Conditions of fields: inside a stream block; when streaming = parallel was asked for."""

VERSIONS = range(1, 5)
"""The versions of this protocol inside the protocol, the plugin's option `proto_version`."""

StreamXid = Annotated["int | None", When(STREAM, Int(32, signed=False))]


@dataclass_transform(kw_only_default=True)
def _logical(type: str, version: int = 1) -> Callable[[M], M]:
    return message(type, sender=Sender.BACKEND, framing=Framing.PAYLOAD, limit=LARGE,
                   section="Logical Replication Message Formats", since=f"logical protocol {version}")


@_logical("B")
class Begin(Message):
    """A transaction begins (B); `final_lsn` is where its commit is."""

    final_lsn: Lsn
    committed_at: Microseconds
    xid: UInt32


@_logical("M")
class LogicalMessage(Message):
    """What pg_logical_emit_message wrote (B): `flags` 1 as part of a transaction, 0 at once.

    The manual's name is Message.
    """

    xid: StreamXid = None
    flags: Int8
    lsn: Lsn
    prefix: String
    content: SizedBytes


@_logical("C")
class Commit(Message):
    """The transaction is complete (B); `end_lsn` is the position after it."""

    flags: Int8 = 0
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: Microseconds


@_logical("O")
class Origin(Message):
    """The transaction was made elsewhere, under this name (B)."""

    commit_lsn: Lsn
    name: String


@dataclass(slots=True, kw_only=True)
class RelationColumn:
    """A column of a relation; `flags` 1 is a part of the replica identity."""

    flags: Int8 = 0
    name: String
    type_oid: Oid
    type_modifier: Int32 = -1


@_logical("R")
class Relation(Message):
    """What the rows of a table look like from here on (B).

    `namespace` "" is pg_catalog; `replica_identity` is pg_class.relreplident: d default, n nothing, f full, i index.
    """

    xid: StreamXid = None
    oid: Oid
    namespace: String
    name: String
    replica_identity: Byte1
    columns: Annotated[list[RelationColumn], Counted(
        INT16, Record(RelationColumn, declared_fields(RelationColumn)), least=10)]


@_logical("Y")
class Type(Message):
    """A type that is not built in (B); a domain has its base type's name."""

    xid: StreamXid = None
    oid: Oid
    namespace: String
    name: String


@_logical("I")
class Insert(Message):
    """A row was inserted (B)."""

    xid: StreamXid = None
    relation: Oid
    new: New


@_logical("U")
class Update(Message):
    """A row was updated (B).

    `old` is there when the replica identity is full, or when the key changed.
    """

    xid: StreamXid = None
    relation: Oid
    old: OldIfThere = None
    new: New


@_logical("D")
class Delete(Message):
    """A row was deleted (B)."""

    xid: StreamXid = None
    relation: Oid
    old: Old


@_logical("T")
class Truncate(Message):
    """Tables were emptied (B).  From servers of version 11 on."""

    xid: StreamXid = None
    tables: Tables


@_logical("S", 2)
class StreamStart(Message):
    """A block of a transaction in progress begins (B); `first` 1 for its first block."""

    xid: UInt32
    first: Int8


@_logical("E", 2)
class StreamStop(Message):
    """The block is over (B)."""


@_logical("c", 2)
class StreamCommit(Message):
    """The streamed transaction was committed (B)."""

    xid: UInt32
    flags: Int8 = 0
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: Microseconds


@_logical("A", 2)
class StreamAbort(Message):
    """The streamed transaction, or one subtransaction of it, was rolled back (B).

    `subtransaction` equal to `xid` is all of it.  Position and time are there from version 4 on, when streaming =
    parallel was asked for.
    """

    xid: UInt32
    subtransaction: UInt32
    aborted_lsn: Annotated[int | None, When(PARALLEL, Int(64, signed=False))] = None
    aborted_at: Annotated[int | None, When(PARALLEL, INT64)] = None


@_logical("b", 3)
class BeginPrepare(Message):
    """A transaction begins that was prepared (B)."""

    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: Microseconds
    xid: UInt32
    gid: String


@_logical("P", 3)
class Prepare(Message):
    """The transaction was prepared (B)."""

    flags: Int8 = 0
    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: Microseconds
    xid: UInt32
    gid: String


@_logical("K", 3)
class CommitPrepared(Message):
    """A prepared transaction was committed (B)."""

    flags: Int8 = 0
    commit_lsn: Lsn
    end_lsn: Lsn
    committed_at: Microseconds
    xid: UInt32
    gid: String


@_logical("r", 3)
class RollbackPrepared(Message):
    """A prepared transaction was rolled back (B)."""

    flags: Int8 = 0
    prepare_end_lsn: Lsn
    rollback_end_lsn: Lsn
    prepared_at: Microseconds
    rolled_back_at: Microseconds
    xid: UInt32
    gid: String


@_logical("p", 3)
class StreamPrepare(Message):
    """The streamed transaction was prepared (B)."""

    flags: Int8 = 0
    prepare_lsn: Lsn
    end_lsn: Lsn
    prepared_at: Microseconds
    xid: UInt32
    gid: String


LOGICAL = by_byte(
    Begin, LogicalMessage, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, StreamStart, StreamStop,
    StreamCommit, StreamAbort, BeginPrepare, Prepare, CommitPrepared, RollbackPrepared, StreamPrepare)
"""All of them by type byte."""

_SINCE = {byte: int(cls.since.rpartition(" ")[2]) for byte, cls in LOGICAL.items()}


class LogicalReader:
    """Reads the messages of one stream, in order.

    `streaming` is the option of that name: `off`, `on` or `parallel`.  `in_stream` says whether a stream block is open.
    """

    def __init__(self, version: int = 1, *, streaming: str = "off") -> None:
        self.version = version
        self.in_stream = False
        parallel = (PARALLEL,) if streaming == PARALLEL and version >= 4 else ()
        self._when = {False: frozenset(parallel), True: frozenset((STREAM, *parallel))}

    def read(self, data: bytes, pos: int = 0, end: int | None = None) -> Message:
        """The message in `data[pos:end]`.

        Errors: RemoteProtocolError for what is malformed, has a later version, or opens or ends a block wrongly.
        """
        stop = len(data) if end is None else end
        if pos >= stop:
            raise RemoteProtocolError("an empty message of logical replication")
        cls = LOGICAL.get(data[pos])
        if cls is None or _SINCE[data[pos]] > self.version:
            raise RemoteProtocolError(f'invalid logical replication message type "{chr(data[pos])}" of protocol '
                                      f"version {self.version}")
        found = cls.decode(data, pos + 1, stop, self._when[self.in_stream])
        self.follow(cls)
        return found

    def follow(self, cls: type[Message]) -> None:
        """Note that a message of this class came, or is being sent.

        Errors: RemoteProtocolError for a block within a block, or the end of none.
        """
        if cls is StreamStart or cls is StreamStop:
            if self.in_stream is (cls is StreamStart):
                raise RemoteProtocolError(f"unexpected {cls.__name__}")
            self.in_stream = cls is StreamStart


__all__ = [
    "LOGICAL", "PARALLEL", "STREAM", "VERSIONS", "Begin", "BeginPrepare", "Commit", "CommitPrepared", "Delete",
    "Insert", "LogicalMessage", "LogicalReader", "Origin", "Prepare", "Relation", "RelationColumn", "RollbackPrepared",
    "StreamAbort", "StreamCommit", "StreamPrepare", "StreamStart", "StreamStop", "Truncate", "Type", "Update"]
