"""From what a walsender sends to what a program is handed: no I/O, no clock.

Transactions that the server streams while they are in progress are put together (`live=False`) or handed on block by
block.  After a reconnection the server sends again what it does not know to be safe; `restart` makes that what was
handed out already is not handed out twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeAlias

from febe._kernel.changes import ChangeDecoder, Shape
from febe._kernel.errors import MalformedRow, ValueDecodeError
from febe.flows.errors import DecodeError
from febe.protocol import logical
from febe.protocol.errors import RemoteProtocolError
from febe.protocol.message import Sender
from febe.protocol.replication import STREAMING, PrimaryKeepalive, XLogData, read_payload
from febe.replication import changes
from febe.replication.changes import UNCHANGED, Event
from febe.replication.shapes import relation_of, shape_of
from febe.replication.spool import Spool
from febe.types.registry import Registry

_LENGTH = Struct("!i").unpack_from
_PAYLOAD = 30
_STREAM_ABORT = ord("A")
"""Where the plugin's message begins in a CopyData message."""
_WAL, _KEEPALIVE = ord("w"), ord("k")

Replay: TypeAlias = "Iterator[list[Event] | Wanted]"


@dataclass(slots=True)
class Wanted:
    """Types whose description the rows that follow need; where nobody gives it, they are text."""

    oids: list[int]


class Assembler:
    """Puts one subscription's stream together."""

    def __init__(self, types: Registry, *, version: int, streaming: str = "off", live: bool = False,
                 raw: bool = False) -> None:
        self.types = types
        self.received = 0
        """The furthest position that the server has told."""
        self.handed = 0
        """What confirms everything that was handed out so far."""
        self.reply_wanted = False
        self._version, self._streaming, self._live, self._raw = version, streaming, live, raw
        self._decoder = ChangeDecoder(changes.Insert, changes.Update, changes.Delete, UNCHANGED)
        self._known: dict[int, changes.Relation] = {}
        self._names: dict[int, str] = {}
        self._last = 0  # where the last thing that was handed out whole lies: positions of commits only rise
        self._resume: tuple[int, int] | None = None
        self._begin_stream()

    def _begin_stream(self) -> None:
        self._reader = logical.LogicalReader(self._version, streaming=self._streaming)
        self._shapes: dict[int, Shape] = {}
        self._overlays: dict[int, dict[int, Shape]] = {}
        self._current = self._shapes
        self._block = 0
        self._spools: dict[int, Spool] = {}
        self._spool: Spool | None = None
        self._open = 0  # position of the transaction being handed out
        self._count = 0
        self._dropping = 0
        self._discarding = False
        self._held: list[Event] = []
        self._xid = 0

    def know(self, relations: Iterable[changes.Relation]) -> None:
        """Take relations for described that were handed out otherwise."""
        self._known.update((relation.oid, relation) for relation in relations)

    @property
    def is_between(self) -> bool:
        """Whether no transaction is half handed out."""
        return not self._open

    def restart(self) -> list[Event]:
        """The connection was lost: everything after the confirmed position comes again.  What is void is told."""
        void: list[Event] = [changes.Abort(xid, xid) for xid in self._overlays]
        resume = self._resume
        if self._open and not self._discarding and not self._held:
            resume = self._open, self._count + self._dropping
        for spool in self._spools.values():
            spool.close()
        self._begin_stream()
        self._resume = resume
        return void

    def feed(self, data: bytes, pos: int, end: int) -> Iterator[list[Event] | Wanted]:
        """Hand out what lies in a run of CopyData messages, some at a time.

        Who takes it looks up the types that are wanted between two times.  Errors: RemoteProtocolError, DecodeError.
        """
        out, self._held = self._held, []
        while pos < end:
            if self._spool is None and not self._raw:
                pos = self._changes(data, pos, end, out)
                if pos >= end:
                    break
            after = pos + 1 + _LENGTH(data, pos + 1)[0]
            if data[pos + 5:pos + 6] != b"w":
                self._keepalive(data, pos, after)
            elif self._raw:
                self._take_raw(data, pos, after, out)
            elif self._is_void(data, pos + _PAYLOAD, after):
                self._received(data, pos)
            elif self._spool is not None and data[pos + _PAYLOAD:pos + _PAYLOAD + 1] != b"E":
                self._spool.add(data[pos:after])
                self._received(data, pos)
            else:
                self._received(data, pos)
                message = self._reader.read(data, pos + _PAYLOAD, after)
                if (wanted := self._wanted(message)) is not None:
                    yield wanted
                replayed = _HANDLERS[type(message)](self, message, out)
                if replayed is not None:
                    yield from replayed
            pos = after
        if out and type(out[-1]) is changes.Begin:
            self._held = [out.pop()]  # its origin may follow
        if out:
            yield out

    # Rows

    def _changes(self, data: bytes, pos: int, end: int, out: list[Event], *, in_stream: bool | None = None) -> int:
        before = len(out)
        try:
            pos = self._decoder.decode(self._current, data, pos, end,
                                       self._reader.in_stream if in_stream is None else in_stream, out)
        except MalformedRow as error:
            raise RemoteProtocolError(f"invalid logical replication message: {error}") from error
        except ValueDecodeError as error:
            raise self._undecodable(error, data) from error
        if len(out) > before:
            self._settle(out, before)
        return pos

    def _undecodable(self, error: ValueDecodeError, data: bytes) -> DecodeError:
        return DecodeError(f"column {error.column} of a change cannot be decoded: {error.reason}: {error.data[:80]!r}",
                           row=error.row, column=str(error.column), type_name="", data=error.data)

    def _settle(self, out: list[Event], before: int) -> None:
        """Drop what was handed out before the connection was lost, count what is handed out now."""
        if self._discarding:
            del out[before:]
        elif self._dropping:
            again = min(self._dropping, len(out) - before)
            del out[before:before + again]
            self._dropping -= again
            self._count += again
        self._count += len(out) - before

    # Everything else

    def _received(self, data: bytes, pos: int) -> None:
        position = int.from_bytes(data[pos + 6:pos + 14], "big")
        if position > self.received:
            self.received = position

    def _is_void(self, data: bytes, pos: int, after: int) -> bool:
        """Whether it is one of the messages that servers send by mistake.

        PostgreSQL 13 announces an origin before it finds that it was dropped, and leaves the message empty.
        PostgreSQL 18 to 18.6 tells that a subtransaction was undone to who has not asked for streaming (bug 19616).
        """
        return pos == after or (data[pos] == _STREAM_ABORT and self._streaming == "off")

    def _keepalive(self, data: bytes, pos: int, after: int) -> None:
        message = read_payload(STREAMING[Sender.BACKEND], data[pos + 5:after])
        if isinstance(message, PrimaryKeepalive):
            self.received = max(self.received, message.end_lsn)
            self.reply_wanted = self.reply_wanted or bool(message.reply_requested)

    def _take_raw(self, data: bytes, pos: int, after: int, out: list[Event]) -> None:
        message = read_payload(STREAMING[Sender.BACKEND], data[pos + 5:after])
        assert isinstance(message, XLogData)
        self.received = max(self.received, message.start_lsn)
        if message.start_lsn:
            self.handed = max(self.handed, message.start_lsn)
        out.append(changes.Raw(message.start_lsn, message.data))

    def _wanted(self, message: object) -> Wanted | None:
        if type(message) is logical.Relation:
            oids = self.types.unknown([column.type_oid for column in message.columns])
            return Wanted(oids) if oids else None
        return None

    def _relation(self, message: logical.Relation, out: list[Event]) -> None:
        relation = relation_of(message, self.types, self._names)
        known = self._known.get(message.oid)
        if relation.same_as(known):
            assert known is not None
            relation = known
        else:
            self._known[message.oid] = relation
            if not self._discarding:
                out.append(relation)
        self._current[message.oid] = shape_of(relation, self.types)
        if self._block and self._block in self._overlays:
            self._overlays[self._block][message.oid] = self._current[message.oid]

    def _type(self, message: logical.Type, out: list[Event]) -> None:
        self._names[message.oid] = message.name if message.namespace in ("", "pg_catalog") else \
            f"{message.namespace}.{message.name}"

    def _unknown(self, message: Any, out: list[Event]) -> None:
        raise RemoteProtocolError(f"a change of relation {message.relation}, which was not described")

    def _truncate(self, message: logical.Truncate, out: list[Event]) -> None:
        relations = tuple(self._known[oid] for oid in message.tables.oids if oid in self._known)
        if len(relations) != len(message.tables.oids):
            raise RemoteProtocolError("a truncate of a relation that was not described")
        out.append(changes.Truncate(relations, bool(message.tables.flags & 1), bool(message.tables.flags & 2),
                                    message.xid))
        self._settle(out, len(out) - 1)

    def _message(self, message: logical.LogicalMessage, out: list[Event]) -> None:
        transactional = bool(message.flags & 1)
        made = changes.Message(transactional, message.lsn, message.prefix, message.content, message.xid)
        if transactional:
            out.append(made)
            self._settle(out, len(out) - 1)
        elif message.lsn > self._last:
            self._last = message.lsn
            self.handed = max(self.handed, made.end_lsn)
            out.append(made)

    def _origin(self, message: logical.Origin, out: list[Event]) -> None:
        if out and isinstance(out[-1], changes.Begin):
            out[-1] = out[-1]._replace(origin=message.name)

    def _start(self, begin: changes.Begin, out: list[Event]) -> None:
        """A transaction begins to be handed out, unless it was handed out before."""
        if self._open:
            raise RemoteProtocolError("a transaction begins within another")
        self._open, self._count = begin.lsn, 0
        self._discarding = begin.lsn <= self._last
        if self._discarding:
            return
        if self._resume is not None and self._resume[0] == begin.lsn:
            self._dropping = self._resume[1]
        else:
            out.append(begin)
        self._resume = None

    def _end(self, event: Event, lsn: int, end_lsn: int, out: list[Event]) -> None:
        if not self._discarding:
            out.append(event)
            self._last = lsn
            self.handed = max(self.handed, end_lsn)
        self._open, self._discarding, self._dropping = 0, False, 0

    def _on_begin(self, message: logical.Begin, out: list[Event]) -> None:
        self._start(changes.Begin("transaction", message.xid, message.final_lsn, message.committed_at), out)
        self._xid = message.xid

    def _on_commit(self, message: logical.Commit, out: list[Event]) -> None:
        if message.commit_lsn != self._open:
            raise RemoteProtocolError("a commit that ends no transaction")
        self._end(changes.Commit(self._xid, message.commit_lsn, message.end_lsn, message.committed_at),
                  message.commit_lsn, message.end_lsn, out)

    def _on_begin_prepare(self, message: logical.BeginPrepare, out: list[Event]) -> None:
        self._start(changes.Begin("prepared", message.xid, message.prepare_lsn, message.prepared_at, message.gid), out)

    def _on_prepare(self, message: logical.Prepare, out: list[Event]) -> None:
        if message.prepare_lsn != self._open:
            raise RemoteProtocolError("a prepare that ends no transaction")
        self._end(changes.Prepare(message.xid, message.gid, message.prepare_lsn, message.end_lsn, message.prepared_at),
                  message.prepare_lsn, message.end_lsn, out)

    def _on_commit_prepared(self, message: logical.CommitPrepared, out: list[Event]) -> None:
        self._single(changes.CommitPrepared(message.xid, message.gid, message.commit_lsn, message.end_lsn,
                                            message.committed_at), message.commit_lsn, message.end_lsn, out)

    def _on_rollback_prepared(self, message: logical.RollbackPrepared, out: list[Event]) -> None:
        self._single(changes.RollbackPrepared(message.xid, message.gid, message.rollback_end_lsn,
                                              message.rolled_back_at),
                     message.rollback_end_lsn - 1, message.rollback_end_lsn, out)

    def _single(self, event: Event, lsn: int, end_lsn: int, out: list[Event]) -> None:
        if lsn > self._last:
            out.append(event)
            self._last = lsn
            self.handed = max(self.handed, end_lsn)

    # Transactions in progress

    def _on_stream_start(self, message: logical.StreamStart, out: list[Event]) -> None:
        self._block = message.xid
        if self._live:
            overlay = self._overlays.setdefault(message.xid, {})
            self._current = self._shapes | overlay
            out.append(changes.Block(message.xid, bool(message.first)))
        else:
            if message.first or message.xid not in self._spools:
                self._spools[message.xid] = Spool()
            self._spool = self._spools[message.xid]

    def _on_stream_stop(self, message: logical.StreamStop, out: list[Event]) -> None:
        if self._live:
            out.append(changes.BlockEnd(self._block))
            self._current = self._shapes
        self._spool, self._block = None, 0

    def _on_stream_commit(self, message: logical.StreamCommit, out: list[Event]) -> Replay | None:
        commit = changes.Commit(message.xid, message.commit_lsn, message.end_lsn, message.committed_at)
        begin = changes.Begin("transaction", message.xid, message.commit_lsn, message.committed_at)
        return self._streamed(message.xid, begin, commit, message.commit_lsn, message.end_lsn, out)

    def _on_stream_prepare(self, message: logical.StreamPrepare, out: list[Event]) -> Replay | None:
        begin = changes.Begin("prepared", message.xid, message.prepare_lsn, message.prepared_at, message.gid)
        prepare = changes.Prepare(message.xid, message.gid, message.prepare_lsn, message.end_lsn, message.prepared_at)
        return self._streamed(message.xid, begin, prepare, message.prepare_lsn, message.end_lsn, out)

    def _streamed(self, xid: int, begin: changes.Begin, end: Event, lsn: int, end_lsn: int,
                  out: list[Event]) -> Replay | None:
        if self._live:
            self._shapes.update(self._overlays.pop(xid, {}))
            self._single(end, lsn, end_lsn, out)
            return None
        spool = self._spools.pop(xid, None)
        if spool is None:
            raise RemoteProtocolError(f"transaction {xid} ends and was not streamed")
        return self._replay(spool, begin, end, lsn, end_lsn, out)

    def _replay(self, spool: Spool, begin: changes.Begin, end: Event, lsn: int, end_lsn: int,
                out: list[Event]) -> Replay:
        try:
            self._start(begin, out)
            self._reader.in_stream = True
            for data in spool.pieces():
                if out:
                    yield out[:]
                    out.clear()
                pos = 0
                while pos < len(data):
                    pos = self._changes(data, pos, len(data), out, in_stream=True)
                    if pos < len(data):
                        after = pos + 1 + _LENGTH(data, pos + 1)[0]
                        message = self._reader.read(data, pos + _PAYLOAD, after)
                        if (wanted := self._wanted(message)) is not None:
                            yield wanted
                        _HANDLERS[type(message)](self, message, out)
                        pos = after
            self._reader.in_stream = False
            self._end(end, lsn, end_lsn, out)
        finally:
            spool.close()

    def _on_stream_abort(self, message: logical.StreamAbort, out: list[Event]) -> None:
        if self._live:
            if message.xid == message.subtransaction:
                self._overlays.pop(message.xid, None)
            out.append(changes.Abort(message.xid, message.subtransaction))
            return
        spool = self._spools.get(message.xid)
        if spool is None:
            return  # its blocks came before a reconnection, or held nothing for us
        if message.xid == message.subtransaction:
            self._spools.pop(message.xid).close()
        else:
            spool.aborted.add(message.subtransaction)


_HANDLERS: dict[type[Any], Callable[[Assembler, Any, list[Event]], Replay | None]] = {
    logical.Begin: Assembler._on_begin, logical.Commit: Assembler._on_commit, logical.Origin: Assembler._origin,
    logical.Relation: Assembler._relation, logical.Type: Assembler._type,
    logical.LogicalMessage: Assembler._message, logical.Truncate: Assembler._truncate,
    **dict.fromkeys((logical.Insert, logical.Update, logical.Delete), Assembler._unknown),
    logical.StreamStart: Assembler._on_stream_start, logical.StreamStop: Assembler._on_stream_stop,
    logical.StreamCommit: Assembler._on_stream_commit, logical.StreamAbort: Assembler._on_stream_abort,
    logical.StreamPrepare: Assembler._on_stream_prepare, logical.BeginPrepare: Assembler._on_begin_prepare,
    logical.Prepare: Assembler._on_prepare, logical.CommitPrepared: Assembler._on_commit_prepared,
    logical.RollbackPrepared: Assembler._on_rollback_prepared}

__all__ = ["Assembler", "Wanted"]
