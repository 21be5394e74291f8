"""A subscription: a thread that reads, answers keepalives and reconnects, and the program's end of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, cast

from febe._kernel.row import Row
from febe.client.asynchronous import Connection
from febe.client.asynchronous import connect as connect_sql
from febe.client.options import Options, resolve
from febe.client.run_asyncio import open_session
from febe.flows import replicate
from febe.flows.close import close
from febe.flows.introspect import introspect
from febe.flows.session import Session
from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.connection import CopyDataRun
from febe.protocol.copy import CopyDone
from febe.protocol.errors import ConnectionLost, Error, PostgresError, postgres_error
from febe.protocol.lsn import from_unix, parse_lsn
from febe.protocol.replication import StandbyStatusUpdate
from febe.protocol.replication_commands import DropReplicationSlot, StartReplication, quote_name, quote_text
from febe.protocol.states import State
from febe.replication import slots, snapshot
from febe.replication.assembler import Assembler, Wanted
from febe.replication.changes import ENDS, Begin, Commit, Event, Relation, end_of
from febe.replication.handover import Handover
from febe.types.registry import TYPES, Registry

QUEUE_BYTES = 16 << 20
STATUS_SECONDS = 10.0
FAREWELL_SECONDS = 5.0
RECONNECT_SECONDS = 60.0
_ROW_BYTES = 200
"""What a row of the snapshot counts for in the queue."""
_SETTINGS = {"replication": "database", "datestyle": "ISO", "intervalstyle": "postgres", "extra_float_digits": "3"}
_TRANSIENT = ("08", "57P", "53300", "55006")
"""Beginnings of SQLSTATEs after which to try again; 55006: the slot's last walsender still holds it."""


class Subscription:
    """Changes of a database, as they are committed; `subscribe` makes it.

    `async for` and `for` both work.  What has been handed out is confirmed to the server when the program goes on to
    what follows the transaction's end, or, with `manual=True`, when it calls `confirm`.
    """

    def __init__(self, conninfo: str, options: Options, *, slot: str, publications: Sequence[str], plugin: str,
                 plugin_options: dict[str, str | None], create: bool, temporary: bool, snapshot: bool, renew: bool,
                 start: int, streaming: str | None, live: bool, two_phase: bool, binary: bool, messages: bool,
                 origin: str | None, version: int | None, manual: bool, advance: bool, queue_bytes: int,
                 status_seconds: float, reconnect_seconds: float, types: Registry | None) -> None:
        self._conninfo, self._options = conninfo, options
        self._slot, self._publications, self._plugin = slot, publications, plugin
        self._plugin_options = plugin_options
        self._create, self._temporary, self._snapshot = create or snapshot or renew, temporary, snapshot or renew
        self._streaming, self._live, self._two_phase, self._binary = streaming, live, two_phase, binary
        self._messages, self._origin, self._version = messages, origin, version
        self._manual, self._advances, self._asks = manual, advance, False
        self._status_seconds, self._reconnect_seconds = status_seconds, reconnect_seconds
        self._types = (TYPES if types is None else types).copy()
        self._queue: Handover[Event] = Handover(queue_bytes)
        self._assembler: Assembler | None = None
        self._session: Session | None = None
        self._start = start
        self._confirmed = start
        self._applied = start
        self._told = False
        self._taken = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._copying = renew
        self._closing = False
        self._entered = False
        self._report: asyncio.Event | None = None
        self._saying: asyncio.Task[None] | None = None

    # Positions

    @property
    def received(self) -> int:
        """The furthest position that the server has told."""
        return 0 if self._assembler is None else self._assembler.received

    @property
    def flushed(self) -> int:
        """What the program confirmed: the server sends it no more, and may forget it."""
        return self._confirmed

    @property
    def applied(self) -> int:
        """What the program said to have applied."""
        return self._applied

    @property
    def queued_bytes(self) -> int:
        """How much was read and not yet handed out."""
        return self._queue.size

    @property
    def idle_position(self) -> int:
        """Up to where there is nothing but what `batches` has handed out, asked when it has handed out nothing."""
        assembler = self._assembler
        if assembler is None or self._queue.size:
            return self._confirmed
        received = assembler.received  # before the look at what is pending: the reader goes on meanwhile
        if assembler.is_between and assembler.handed <= max(self._taken, self._confirmed):
            return max(received, self._confirmed)
        return self._confirmed

    def ask(self) -> None:
        """Have the server tell how far it is."""
        self._asks = True
        self._told = False
        self.confirm(0)

    def confirm(self, position: int | Event, *, applied: int | None = None) -> None:
        """Say that everything up to a position, or to the end of a transaction, is safe with the program."""
        lsn = position if isinstance(position, int) else int(getattr(position, "end_lsn", 0))
        if lsn > self._confirmed:
            self._confirmed = lsn
        self._applied = max(self._applied, lsn if applied is None else applied)
        if not self._told and self._loop is not None and self._report is not None:
            self._told = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._report.set)

    # The program's end

    def __iter__(self) -> Iterator[Event]:
        self._begin()
        try:
            while (batch := self._queue.get()) is not None:
                yield from self._events(batch)
        finally:
            if not self._entered:
                self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._begin()
        try:
            while (batch := await self._queue.aget()) is not None:
                for event in self._events(batch):
                    yield event
        finally:
            if not self._entered:
                await asyncio.shield(asyncio.to_thread(self.close))

    def batches(self, *, seconds: float | None = None) -> Iterator[list[Event]]:
        """The same, as many at a time as have arrived; a batch is confirmed when the next is asked for.

        When nothing has come for `seconds`, an empty batch is handed out.
        """
        self._begin()
        try:
            while (batch := self._queue.get(seconds)) is not None:
                end = next(filter(None, map(end_of, reversed(batch))), 0)
                self._taken = max(self._taken, end)
                yield batch
                if not self._manual:
                    self.confirm(end)
        finally:
            if not self._entered:
                self.close()

    def _events(self, batch: list[Event]) -> Iterator[Event]:
        if self._manual:
            yield from batch
            return
        for event in batch:
            yield event
            if event.__class__ in ENDS:
                self.confirm(event)

    def __enter__(self) -> Self:
        self._entered = True
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._entered = True
        self._begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Tell the server what is confirmed, and end; once is enough."""
        self._closing = True
        if self._thread is None or self._thread is threading.current_thread():
            return
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._leave)
        self._thread.join()

    def _leave(self) -> None:
        """Say good-bye where a stream is under way, and do not wait long for its end."""
        self._queue.abandon()
        if self._task is None:
            return
        session = self._session
        if session is None or session.is_closed or session.core.state is not State.COPY_BOTH:
            self._task.cancel()
            return
        assert self._loop is not None
        self._saying = self._loop.create_task(self._say_goodbye(session))
        self._loop.call_later(FAREWELL_SECONDS, self._task.cancel)

    async def _say_goodbye(self, session: Session) -> None:
        with contextlib.suppress(Error):
            await self._tell(session)
            await session.port.flush(session.core.send(CopyDone()))

    def _begin(self) -> None:
        if self._thread is None:
            ready = threading.Event()
            self._thread = threading.Thread(target=self._work, args=(ready,), name=f"febe {self._slot}", daemon=True)
            self._thread.start()
            ready.wait()

    # The reader's thread

    def _work(self, ready: threading.Event) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._supervise(ready))
        except asyncio.CancelledError:
            pass
        except BaseException as failure:
            error = failure
        finally:
            ready.set()
            self._queue.end(error)

    async def _supervise(self, ready: threading.Event) -> None:
        self._task = asyncio.current_task()
        self._report = asyncio.Event()
        ready.set()
        deadline: float | None = None
        pause = 0.05
        while not self._closing:
            try:
                await self._converse()
                return
            except (ConnectionLost, PostgresError) as error:
                if isinstance(error, PostgresError) and not error.sqlstate.startswith(_TRANSIENT):
                    raise
                if self._session is None and not isinstance(error, PostgresError):
                    raise  # a first connection that fails is the program's to know
                now = time.monotonic()
                if self._progressed:
                    deadline, pause = None, 0.05
                    self._progressed = False
                deadline = deadline or now + self._reconnect_seconds
                if now > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    _progressed = False

    async def _converse(self) -> None:
        session = self._session = await self._connect()
        try:
            interval = await self._prepare(session)
            reporter = asyncio.create_task(self._report_positions(session, interval))
            try:
                await self._read(session)
            finally:
                reporter.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionLost, Error):
                    await reporter
        finally:
            session.port.abort()

    async def _connect(self) -> Session:
        settings = {**self._options.get("settings", {}), **_SETTINGS}
        return await open_session(resolve(self._conninfo, {**self._options, "settings": settings}))

    async def _beside(self) -> Connection[Row]:
        """A connection for queries, with the same codecs."""
        options: Options = {**self._options, "types": self._types}
        return await connect_sql(self._conninfo, **options)

    async def _prepare(self, session: Session) -> float:
        """Everything up to the stream; the seconds between reports."""
        major = replicate.major_version(session)
        timeout = await slots.sender_timeout(session)
        first = self._assembler is None
        if first:
            version = self._version or (4 if major >= 16 else 3 if major >= 15 else 2 if major >= 14 else 1)
            if self._streaming is None:
                self._streaming = "on" if version >= 2 else "off"
            self._version = version
        confirmed = await slots.find_slot(session, self._slot)
        if confirmed is not None and self._copying:
            # A slot whose snapshot was not copied to its end is of no use.
            await replicate.command(session, DropReplicationSlot(slot=self._slot))
            confirmed = None
        copied: list[Relation] = []
        if confirmed is None and self._create and not self._confirmed:
            if self._snapshot:
                copied = await self._copy(session, major)
            else:
                made = await slots.create_slot(session, self._slot, self._plugin, temporary=self._temporary,
                                               two_phase=self._two_phase)
                self._confirmed = self._applied = self._start = made.lsn
        else:
            if first and self._snapshot:
                self._snapshot = False  # the slot goes on from where it is
            slots.check_position(self._slot, confirmed, self._confirmed)
            self._confirmed = self._confirmed or confirmed or 0
        if self._assembler is None:
            self._assembler = Assembler(self._types, version=self._version or 1, streaming=self._streaming or "off",
                                        live=self._live, raw=self._plugin != "pgoutput")
            self._assembler.handed = self._confirmed
            self._assembler.know(copied)
        else:
            void = self._assembler.restart()
            if void:
                await self._queue.put(void, 0)
        try:
            await replicate.start(session, StartReplication(slot=self._slot, lsn=self._confirmed,
                                                            options=self._start_options()))
        except PostgresError as error:
            lost = slots.as_lost(error, self._slot)
            if lost is not None:
                raise lost from error
            raise
        self._told = False
        return min(self._status_seconds, timeout / 3) if timeout else self._status_seconds

    def _start_options(self) -> dict[str, str | None]:
        if self._plugin != "pgoutput":
            return self._plugin_options
        found: dict[str, str | None] = {"proto_version": str(self._version),
                                        "publication_names": ",".join(map(quote_name, self._publications))}
        if self._streaming != "off":
            found["streaming"] = self._streaming
        if self._two_phase:
            found["two_phase"] = "on"
        if self._binary:
            found["binary"] = "true"
        if self._messages:
            found["messages"] = "true"
        if self._origin is not None:
            found["origin"] = self._origin
        return found | self._plugin_options

    async def _copy(self, session: Session, major: int) -> list[Relation]:
        """Create the slot and hand out what the tables held at that moment."""
        self._copying = True  # from here on the slot may be there although its snapshot is not copied
        made = await slots.create_slot(session, self._slot, self._plugin, temporary=self._temporary,
                                       two_phase=self._two_phase, snapshot="export")
        async with await self._beside() as connection:
            await connection.execute("begin isolation level repeatable read read only")
            try:
                await connection.execute(f"set transaction snapshot {quote_text(made.snapshot or '')}")
            except PostgresError as error:
                # It lives as long as the walsender's connection is idle, which may be cut like any other.
                raise ConnectionLost(f"the slot's snapshot is gone: {error.message}") from error
            await self._queue.put([Begin("snapshot", 0, made.lsn, from_unix(time.time()))], 0)
            found = await snapshot.tables(connection, self._publications, major)
            for table in found:
                await self._queue.put([table.relation], 0)
                async for rows in snapshot.rows(connection, table):
                    await self._queue.put(list[Event](rows), len(rows) * _ROW_BYTES)
            await connection.execute("commit")
            await self._queue.put([Commit(0, made.lsn, made.lsn, from_unix(time.time()))], 0)
        self._copying = False
        self._confirmed = self._applied = self._start = made.lsn
        return [table.relation for table in found]

    async def _read(self, session: Session) -> None:
        assembler = self._assembler
        assert assembler is not None
        while True:
            for event in await replicate.receive(session):
                if isinstance(event, CopyDataRun):
                    size = event.end - event.start
                    for batch in assembler.feed(event.data, event.start, event.end):
                        self._progressed = True
                        if isinstance(batch, Wanted):
                            await self._look_up(batch.oids)
                            continue
                        await self._queue.put(batch, size)
                    self._follow()
                elif isinstance(event, ErrorResponse):
                    error = postgres_error(event.fields_by_code)
                    lost = slots.as_lost(error, self._slot)
                    if lost is not None:
                        raise lost from error
                    raise error
                elif self._closing:
                    await replicate.finish_reply(session, replicate.Reply(), b"")
                    await close(session)
                    return
                else:
                    raise ConnectionLost("the server has ended the stream")
            if assembler.reply_wanted:
                assembler.reply_wanted = False
                await self._tell(session)

    async def _look_up(self, oids: list[int]) -> None:
        """Ask the catalog about types that are not built in, beside the stream, which carries no queries."""
        async with await self._beside() as connection:
            await introspect(connection._session, oids)
            self._types.learn(connection.types.learned())

    def _follow(self) -> None:
        """With nothing pending, what the server told is as good as confirmed: it holds nothing for us."""
        assembler = self._assembler
        assert assembler is not None
        if not self._advances:
            return
        if assembler.is_between and assembler.handed <= self._confirmed and assembler.received > self._confirmed:
            if self._applied == self._confirmed:
                self._applied = assembler.received
            self._confirmed = assembler.received
            assembler.handed = self._confirmed

    async def _report_positions(self, session: Session, interval: float) -> None:
        """Tell the positions from time to time, and soon after the program confirmed something.

        This goes on while the queue is full and nothing is read: a slow program must not be taken for a dead one.
        """
        assert self._report is not None
        while True:
            with contextlib.suppress(TimeoutError):
                # before Python 3.12 wait_for loses a cancellation that comes at the moment of what it waits for
                async with asyncio.timeout(interval):
                    await self._report.wait()
                await asyncio.sleep(min(0.1, interval))
            self._report.clear()
            self._told = False
            if session.core.state in (State.COPY_BOTH, State.COPY_BOTH_BACKEND_DONE):
                await self._tell(session)

    async def _tell(self, session: Session) -> None:
        confirmed, asks, self._asks = self._confirmed, self._asks, False
        written = max(self.received, confirmed)
        await replicate.send(session, StandbyStatusUpdate(
            written=written, flushed=confirmed, applied=min(self._applied, written), sent_at=from_unix(time.time()),
            reply_requested=int(asks)))


def subscribe(conninfo: str = "", *, slot: str, publication: str | Sequence[str] = (), plugin: str = "pgoutput",
              plugin_options: dict[str, str | None] | None = None, create: bool = False, temporary: bool = False,
              snapshot: bool = False, renew: bool = False, start: int | str = 0, streaming: str | None = None,
              live: bool = False, two_phase: bool = False, binary: bool = False, messages: bool = False,
              origin: str | None = None, proto_version: int | None = None, manual: bool = False,
              advance: bool = True, queue_bytes: int = QUEUE_BYTES, status_seconds: float = STATUS_SECONDS,
              reconnect_seconds: float = RECONNECT_SECONDS, types: Registry | None = None,
              **options: Any) -> Subscription:
    """Follow the changes of a publication by a replication slot.

    `create` makes the slot if it is not there; `snapshot` does so and first hands out what the tables hold, without a
    gap or a duplicate to the changes that follow; `renew` does it all anew, when a program was killed while it copied:
    a slot that is there is dropped.  `streaming` (`off`, `on`, `parallel`; on where the server can) has
    the server send large transactions while they are in progress: they are put together, in a file where they are
    large, or handed out block by block with `live`.  `two_phase` hands out prepared transactions when they are
    prepared.  `manual` leaves confirming to the program; `advance` False keeps the position where that is even when
    nothing is pending.  `start` is a position to go on from.  `plugin` other than
    pgoutput gives Raw payloads, with `plugin_options`.  `options` are those of `febe.connect`.

    Errors while iterating: SlotLost, PostgresError, ConnectionLost when no new connection is made within
    `reconnect_seconds`, DecodeError.
    """
    names = [publication] if isinstance(publication, str) else list(publication)
    if plugin == "pgoutput" and not names:
        raise ValueError("pgoutput needs a publication")
    return Subscription(
        conninfo, cast(Options, options), slot=slot, publications=names, plugin=plugin,
        plugin_options=plugin_options or {}, create=create, temporary=temporary, snapshot=snapshot, renew=renew,
        start=parse_lsn(start) if isinstance(start, str) else start,
        streaming=streaming, live=live, two_phase=two_phase, binary=binary, messages=messages, origin=origin,
        version=proto_version, manual=manual, advance=advance, queue_bytes=queue_bytes, status_seconds=status_seconds,
        reconnect_seconds=reconnect_seconds, types=types)


__all__ = ["Subscription", "subscribe"]
