"""A publication: tables, transactions on them, and who listens."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any, Self

from febe._kernel.row import Row
from febe.protocol import logical
from febe.protocol.lsn import from_unix
from febe.protocol.tuples import OldTuple, TruncatedTables
from febe.publish.store import Store
from febe.publish.table import Cells, Table, as_tuple
from febe.server import Listener
from febe.server import serve as serve_engine
from febe.walsender.no_engine import NoEngine

FIRST_OID = 16384
_HEAD = Struct("!cicqqq").pack


class PublishError(Exception):
    """A change that makes no sense: a row that is there already, or is not there."""


class Publisher:
    """Tables and their changes, kept in a file; any thread may write."""

    def __init__(self, path: str | Path, *, publication: str) -> None:
        self.publication = publication
        self.store = Store(path)
        self.tables: dict[int, Table] = {}
        self.busy: set[str] = set()
        self._lock = threading.RLock()
        self._listening: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def table(self, name: str, columns: Mapping[str, str], *, key: Sequence[str],
              rows: Iterable[Sequence[object]] | None = None, where: Callable[[Row], bool] | None = None) -> Table:
        """Publish a table: its columns' types by name, its key.

        Tables have to be declared in the same order whenever the file is opened.  `rows` is what a table begins with;
        it is not read when the file holds rows already.  `where` chooses the rows that are published, as a row filter
        does: a row that an update brings in is inserted, one that it takes out is deleted.

        Errors: ValueError, ValueEncodeError.
        """
        made = Table(name, columns, key, oid=FIRST_OID + len(self.tables), where=where)
        if not made.key:
            raise ValueError("a published table needs a key: updates and deletes could not be applied")
        if rows is not None and not self.store.rows(made.oid):
            chosen = map(made.cells, filter(made.admits, rows))
            self.store.fill(made.oid, ((made.key_of(cells), cells) for cells in chosen))
        self.tables[made.oid] = made
        return made

    def transaction(self) -> Transaction:
        """A block whose changes are committed together at its end, and not at all when it raises."""
        return Transaction(self)

    async def serve(self, *, host: str | None = "127.0.0.1", port: int = 5432, **options: Any) -> Listener:
        """Listen for subscriptions; `options` are those of `febe.server.serve`.

        Other clients are refused, unless an `engine` is given for them.
        """
        from febe.publish.session import PublisherSession

        publisher = self

        class Session(PublisherSession):
            @property
            def publisher(self) -> Publisher:
                return publisher

        engine = options.pop("engine", None) or NoEngine(
            "this server publishes changes to subscriptions, and answers nothing else")
        return await serve_engine(engine, host=host, port=port, replication=Session, **options)

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    # For sessions

    def listen(self, event: asyncio.Event) -> None:
        """Have an event set when something is committed."""
        self._listening[event] = asyncio.get_running_loop()

    def leave(self, event: asyncio.Event) -> None:
        """No longer."""
        self._listening.pop(event, None)

    def _committed(self) -> None:
        for event, loop in list(self._listening.items()):
            loop.call_soon_threadsafe(event.set)


class Transaction:
    """Changes that are committed together."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._changes: list[bytes] = []
        self._rows: dict[tuple[int, str], Cells | None] = {}
        self._emptied: set[int] = set()
        self._relations: set[int] = set()

    def __enter__(self) -> Self:
        self._publisher._lock.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            if error is None and self._changes:
                at = from_unix(time.time())
                self._publisher.store.commit(
                    [_frame(change, at) for change in self._changes], self._relations,
                    ((oid, key, cells) for (oid, key), cells in self._rows.items()), self._emptied, at)
                self._publisher._committed()
        finally:
            self._publisher._lock.release()

    def _note(self, change: logical.Insert | logical.Update | logical.Delete) -> None:
        self._relations.add(change.relation)
        self._changes.append(change.encode())

    def _current(self, table: Table, key: str) -> Cells | None:
        if (table.oid, key) in self._rows:
            return self._rows[table.oid, key]
        return None if table.oid in self._emptied else self._publisher.store.cells(table.oid, key)

    def insert(self, table: Table, row: Sequence[object]) -> None:
        """Insert a row.  Errors: PublishError when its key is there."""
        if not table.admits(row):
            return
        cells = table.cells(row)
        key = table.key_of(cells)
        if self._current(table, key) is not None:
            raise PublishError(f"{table.schema}.{table.name} has a row of key {key}")
        self._rows[table.oid, key] = cells
        self._note(logical.Insert(relation=table.oid, new=as_tuple(cells)))

    def update(self, table: Table, row: Sequence[object], *, old: Sequence[object] | None = None) -> None:
        """Put a row in the place of that with its key, or of `old`, a row with the key it had.

        Errors: PublishError.
        """
        cells = table.cells(row)
        before = cells if old is None else table.cells(old)
        key, old_key = table.key_of(cells), table.key_of(before)
        there = self._current(table, old_key) is not None
        if not table.admits(row):
            if there:
                self.delete(table, row if old is None else old)
            return
        if not there and table.where is not None:
            self.insert(table, row)
            return
        if not there:
            raise PublishError(f"{table.schema}.{table.name} has no row of key {old_key}")
        moved = key != old_key
        if moved:
            if self._current(table, key) is not None:
                raise PublishError(f"{table.schema}.{table.name} has a row of key {key}")
            self._rows[table.oid, old_key] = None
        self._rows[table.oid, key] = cells
        self._note(logical.Update(
            relation=table.oid, old=OldTuple("K", as_tuple(table.only_key(before))) if moved else None,
            new=as_tuple(cells)))

    def delete(self, table: Table, row: Sequence[object]) -> None:
        """Delete the row with the key that `row` has; its other columns do not matter.  Errors: PublishError."""
        cells = table.cells(row)
        key = table.key_of(cells)
        if self._current(table, key) is None:
            if table.where is not None:
                return
            raise PublishError(f"{table.schema}.{table.name} has no row of key {key}")
        self._rows[table.oid, key] = None
        self._note(logical.Delete(relation=table.oid, old=OldTuple("K", as_tuple(table.only_key(cells)))))

    def truncate(self, *tables: Table, cascade: bool = False, restart_identity: bool = False) -> None:
        """Empty tables."""
        for table in tables:
            self._emptied.add(table.oid)
            self._relations.add(table.oid)
            self._rows = {place: cells for place, cells in self._rows.items() if place[0] != table.oid}
        self._changes.append(logical.Truncate(tables=TruncatedTables(
            cascade + 2 * restart_identity, [table.oid for table in tables])).encode())


def _frame(change: bytes, at: int) -> bytes:
    """A change as the stream carries it: an XLogData whose positions are 0, as all but a record's last are."""
    return _HEAD(b"d", len(change) + 29, b"w", 0, 0, at) + change


__all__ = ["PublishError", "Publisher", "Transaction"]
