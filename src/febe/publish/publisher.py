"""A publication: tables, transactions on them, and who listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from febe._kernel.row import Row
from febe.protocol.lsn import from_unix, to_unix
from febe.publish.contents import contents
from febe.publish.entry import Entry
from febe.publish.publication import OPERATIONS, Chosen, Condition, Publication, chosen
from febe.publish.snapshot import KeptRows, Snapshot
from febe.publish.store import Slot, Store
from febe.publish.table import Table
from febe.publish.transaction import PublishError, Transaction
from febe.server import Limits, Listener, Session
from febe.server import serve as serve_engine
from febe.types.registry import TYPES
from febe.walsender.no_engine import NoEngine

WORK_MEM = 64 << 20
"""PostgreSQL's default."""
GID_SIZE = 200
"""Of a transaction's name with its last byte, which is zero (twophase.h)."""
FIRST_OID = 16384


class Prepared(NamedTuple):
    """A prepared transaction: its name, and when it was prepared."""

    gid: str
    prepared_at: datetime


class Publisher:
    """Tables and their changes, kept in a file; any thread may write.

    `publication` is one of all its tables; `publish` makes others.  A transaction whose changes take more memory than
    `logical_decoding_work_mem` bytes is written to the file, and sent to subscriptions that ask for `streaming`, before
    it is committed.  A subscription that says nothing for `wal_sender_timeout` seconds, or takes nothing, is lost; 0 is
    for ever.
    """

    def __init__(self, path: str | Path, *, publication: str | None = None,
                 logical_decoding_work_mem: int = WORK_MEM, wal_sender_timeout: float = 60.0) -> None:
        self.publications: dict[str, Publication] = {}
        if publication is not None:
            self.publications[publication] = Publication(publication, every=True)
        self.logical_decoding_work_mem = logical_decoding_work_mem
        self.wal_sender_timeout = wal_sender_timeout
        self.store = Store(path)
        self.tables: dict[int, Table] = {}
        self.busy: set[str] = set()
        self._lock = threading.RLock()
        self._writing = False
        self._listening: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def table(self, name: str, columns: Mapping[str, str] | None = None, *, key: Sequence[str], rows: Any = None,
              where: Callable[[Row], bool] | None = None) -> Table:
        """Publish a table: its columns' types by name, its key.

        Tables have to be declared whenever the file is opened, with the same columns.  `rows` is what a table begins
        with: anything that speaks Arrow, such as a data frame, an `EngineQuery`, or rows of Python; it is not read when
        the file holds rows already.  Without `columns` they are those of `rows`.  `where` chooses the rows that are
        published, as a row filter does: a row that an update brings in is inserted, one that it takes out is deleted.

        Errors: ValueError, ValueEncodeError.
        """
        given = contents(() if rows is None else rows, columns) if columns is None or rows is not None else None
        types = columns if given is None else {one: TYPES.by_oid(oid).name for one, oid in given.columns.items()}
        assert types is not None
        if not key:
            raise ValueError("a published table needs a key: updates and deletes could not be applied")
        made = Table(name, types, key, oid=0, where=where)
        made.oid = self.store.relation(made.full_name, json.dumps([types, list(key)]), FIRST_OID)
        if made.oid in self.tables:
            raise ValueError(f"{made.full_name} is published already")
        if given is not None and not self.store.has_rows(made.oid):
            self.store.fill(made.oid, ((made.key_of(cells), cells) for cells in given.cells(made)
                                       if where is None or made.admits(made.values(cells))))
        self.tables[made.oid] = made
        return made

    def publish(self, name: str, tables: Iterable[Table], *, operations: Iterable[str] = OPERATIONS,
                columns: Mapping[Table, Sequence[str]] | None = None,
                where: Mapping[Table, Condition] | None = None) -> None:
        """Make a publication of some tables, as CREATE PUBLICATION does.

        `operations` are those of insert, update, delete and truncate that are published.  `columns` are the lists of
        tables of which only some are.  `where` are row filters: what each gets of a row is its key, and all columns
        where neither updates nor deletes are published.
        Errors: ValueError.
        """
        if name in self.publications:
            raise ValueError(f"there is a publication {name}")
        made = Publication(name, operations=operations)
        for table in tables:
            made.add(table, (columns or {}).get(table), (where or {}).get(table))
        self.publications[name] = made

    @contextlib.contextmanager
    def transaction(self, *, prepare: str | None = None) -> Iterator[Transaction]:
        """A block whose changes are committed together at its end, and not at all when it raises.

        With `prepare`, a name, they are prepared: kept until `commit_prepared` or `rollback_prepared` is told the name,
        by this process or a later one.  Until then no other transaction may touch their rows.

        Errors: PublishError, ValueError.
        """
        if prepare is not None and not 0 < len(prepare.encode()) < GID_SIZE:
            raise ValueError(f"the name of a prepared transaction has 1 to {GID_SIZE - 1} bytes")
        with self._alone():
            if prepare in self.store.prepared:
                raise PublishError(f'there is a prepared transaction "{prepare}"')
            made = Transaction(self, prepare or "")
            try:
                yield made
                made._finish()
            except BaseException:
                made._undo()
                raise
            finally:
                self.announce()

    def commit_prepared(self, gid: str) -> None:
        """Commit a prepared transaction.  Errors: PublishError when there is none of this name."""
        self._end(gid, self.store.commit_prepared)

    def rollback_prepared(self, gid: str) -> None:
        """Roll a prepared transaction back.  Errors: PublishError when there is none of this name."""
        self._end(gid, self.store.rollback_prepared)

    @property
    def prepared_transactions(self) -> list[Prepared]:
        """The transactions that are prepared, and neither committed nor rolled back."""
        return [Prepared(progress.gid, datetime.fromtimestamp(to_unix(progress.prepared_at), UTC))
                for progress in list(self.store.prepared.values())]

    async def serve(self, *, host: str | None = "127.0.0.1", port: int = 5432, **options: Any) -> Listener:
        """Listen for subscriptions; `options` are those of `febe.server.serve`.

        Other clients are refused, unless an `engine` is given for them.
        """
        options.setdefault("limits", Limits(send_timeout=self.wal_sender_timeout or None))
        engine = options.pop("engine", None) or NoEngine(
            "this server publishes changes to subscriptions, and answers nothing else")
        return await serve_engine(engine, host=host, port=port, replication=self.session_class(), **options)

    def session_class(self) -> type[Session]:
        """What `febe.server.serve` takes as `replication`, to have subscriptions beside an engine's clients."""
        from febe.publish.session import PublisherSession

        publisher = self

        class Subscribing(PublisherSession):
            @property
            def publisher(self) -> Publisher:
                return publisher

        return Subscribing

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    # For sessions

    def current(self) -> list[Table]:
        """The tables as they are; `tables` may have some as they were when something was logged of them."""
        return list(self.tables.values())

    def chosen(self, names: Iterable[str]) -> Chosen:
        """What a subscription to some publications gets.  Errors: EngineError (42704) for one that is not there."""
        return chosen(self.publications, names, self.tables)

    def create(self, slot: Slot) -> Snapshot:
        """Keep a slot that begins now, and the rows as they are now."""
        return KeptRows(self.store.create(slot))

    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return KeptRows(self.store.frozen())

    def listen(self, event: asyncio.Event) -> None:
        """Have an event set when something is committed."""
        self._listening[event] = asyncio.get_running_loop()

    def leave(self, event: asyncio.Event) -> None:
        """No longer."""
        self._listening.pop(event, None)

    def announce(self) -> None:
        """Wake those who listen."""
        for event, loop in list(self._listening.items()):
            with contextlib.suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(event.set)

    def _end(self, gid: str, end: Callable[[str, int], Entry]) -> None:
        with self._alone():
            if gid not in self.store.prepared:
                raise PublishError(f'there is no prepared transaction "{gid}"')
            end(gid, from_unix(time.time()))
        self.announce()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One transaction at a time.  Errors: PublishError within another of this thread, which would wait for ever."""
        with self._lock:
            if self._writing:
                raise PublishError("a transaction is open in this thread")
            self._writing = True
            try:
                yield
            finally:
                self._writing = False


__all__ = ["Prepared", "Publisher"]
