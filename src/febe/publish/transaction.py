"""Changes that are committed together, or prepared to be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from febe.protocol import logical
from febe.protocol.lsn import from_unix
from febe.protocol.tuples import OldTuple, TruncatedTables
from febe.publish.entry import Progress
from febe.publish.frames import frame, streamed_frame
from febe.publish.store import ABSENT, Rows, Store
from febe.publish.table import Cells, Table, as_tuple

if TYPE_CHECKING:
    from febe.publish.publisher import Publisher

OVERHEAD = 600
"""About what a change takes in memory beside its bytes."""


class PublishError(Exception):
    """A change that makes no sense: a row that is there already, or is not there."""


class _Layer:
    """The transaction, or a subtransaction that has not ended: what it has made of rows."""

    __slots__ = ("children", "emptied", "rows", "runs", "xid")

    def __init__(self, xid: int, runs: int) -> None:
        self.xid = xid
        self.runs = runs
        """How many runs of changes there were when it began."""
        self.rows: dict[tuple[int, str], Cells | None] = {}
        self.emptied: set[int] = set()
        self.children: list[int] = []

    def items(self) -> Rows:
        """Its rows as the store takes them."""
        return ((oid, key, cells) for (oid, key), cells in self.rows.items())

    def empty(self, oid: int) -> None:
        """A table has no rows any more."""
        self.emptied.add(oid)
        self.rows = {place: cells for place, cells in self.rows.items() if place[0] != oid}


class Transaction:
    """A block of changes; `Publisher.transaction` makes it."""

    def __init__(self, publisher: Publisher, gid: str = "") -> None:
        self._store: Store = publisher.store
        self._limit = publisher.logical_decoding_work_mem
        self._announce: Callable[[], None] = publisher.announce
        xid = self._store.begin()
        self._progress = Progress(xid=xid, gid=gid)
        self._layers = [_Layer(xid, 0)]
        self._changes: list[bytes] = []
        self._runs: list[tuple[int, list[bytes]]] = [(xid, self._changes)]
        self._written: set[int] = set()
        """The subtransactions of which a change is in the store."""
        self._size = 0
        self.notes: dict[str, str] = {}
        """What the publisher keeps together with the changes, such as how far a source was read."""

    # The end

    def _finish(self) -> None:
        progress, store, at = self._progress, self._store, from_unix(time.time())
        if progress.streamed and any(changes for _xid, changes in self._runs):
            self._grow()
        changes = [frame(change, at) for _xid, changes in self._runs for change in changes]
        (layer,) = self._layers
        progress.emptied = layer.emptied
        if progress.gid:
            store.prepare(progress, changes, layer.items(), at, self.notes)
        elif changes or progress.streamed:
            store.commit(progress, changes, layer.items(), at, self.notes)
        elif self.notes:
            store.keep(self.notes)

    def _undo(self) -> None:
        if self._progress.streamed:
            self._store.abort(self._progress, from_unix(time.time()))

    # Changes

    def insert(self, table: Table, row: Sequence[object]) -> None:
        """Insert a row.  Errors: PublishError when its key is there."""
        if not table.admits(row):
            return
        cells = table.cells(row)
        key = table.key_of(cells)
        if self._current(table, key) is not None:
            raise PublishError(f"{table.schema}.{table.name} has a row of key {key}")
        self._layers[-1].rows[table.oid, key] = cells
        self._note(table, logical.Insert(relation=table.oid, new=as_tuple(cells)))

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
        rows = self._layers[-1].rows
        moved = key != old_key
        if moved:
            if self._current(table, key) is not None:
                raise PublishError(f"{table.schema}.{table.name} has a row of key {key}")
            rows[table.oid, old_key] = None
        rows[table.oid, key] = cells
        self._note(table, logical.Update(
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
        self._layers[-1].rows[table.oid, key] = None
        self._note(table, logical.Delete(relation=table.oid, old=OldTuple("K", as_tuple(table.only_key(cells)))))

    def truncate(self, *tables: Table, cascade: bool = False, restart_identity: bool = False) -> None:
        """Empty tables.  Errors: PublishError."""
        layer = self._layers[-1]
        for table in tables:
            if self._store.prepared:
                self._wait_for_nobody(table, None)
            layer.empty(table.oid)
            if self._progress.streamed:
                self._store.forget_pending(self._progress, len(self._layers) - 1, table.oid)
        self._note(tables, logical.Truncate(tables=TruncatedTables(
            cascade + 2 * restart_identity, [table.oid for table in tables])))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """A block within: what is done in it is undone when it raises, and the rest of the transaction goes on."""
        depth = len(self._layers)
        layer = _Layer(self._store.begin(), len(self._runs))
        self._layers.append(layer)
        self._run(layer.xid)
        try:
            yield
        except BaseException:
            self._layers.pop()
            del self._runs[layer.runs:]
            if self._progress.streamed:
                void = [xid for xid in (*layer.children, layer.xid) if xid in self._written]
                if self._store.undo(self._progress, depth, void, from_unix(time.time())) is not None:
                    self._announce()
            raise
        else:
            self._layers.pop()
            outer = self._layers[-1]
            outer.children += (*layer.children, layer.xid)
            if self._progress.streamed:
                self._store.merge(self._progress, depth, layer.emptied)
            for oid in layer.emptied:
                outer.empty(oid)
            outer.rows.update(layer.rows)
        finally:
            self._run(self._layers[-1].xid)

    # Inside

    def _current(self, table: Table, key: str) -> Cells | None:
        """The row of a key as this transaction sees it.  Errors: PublishError."""
        place = table.oid, key
        store = self._store
        if store.prepared:
            self._wait_for_nobody(table, key)
        for depth in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[depth]
            if place in layer.rows:
                return layer.rows[place]
            if self._progress.streamed:
                found = store.pending(self._progress.xid, depth, *place)
                if found != ABSENT:
                    return found
            if table.oid in layer.emptied:
                return None
        return store.cells(*place)

    def _wait_for_nobody(self, table: Table, key: str | None) -> None:
        """A prepared transaction holds its rows until its end, on the subscriber too, which would wait for ever."""
        gid = self._store.holder(table.oid, key)
        if gid is not None:
            which = "rows" if key is None else f"the row of key {key}"
            raise PublishError(f'{which} of {table.schema}.{table.name} wait for the prepared transaction "{gid}"')

    def _run(self, xid: int) -> None:
        """Changes from here on are of this subtransaction."""
        self._changes = []
        self._runs.append((xid, self._changes))

    def row(self, table: Table, row: Sequence[object]) -> Cells | None:
        """The row with the key that `row` has, as this transaction sees it; None where there is none."""
        return self._current(table, table.key_of(table.cells(row)))

    def log(self, table: Table, change: logical.Insert | logical.Update | logical.Delete | logical.Truncate) -> None:
        """Log a change as it is, of a table whose rows are kept elsewhere."""
        self._note(table, change)

    def _note(self, table: Table | Sequence[Table],
              change: logical.Insert | logical.Update | logical.Delete | logical.Truncate) -> None:
        if isinstance(table, Table):
            self._progress.relations.add(table.oid)
        else:
            self._progress.relations.update(one.oid for one in table)
        data = change.encode()
        self._changes.append(data)
        self._size += len(data) + OVERHEAD
        if self._size > self._limit:
            self._grow()

    def _grow(self) -> None:
        """Write what there is so far: who wants transactions in progress gets it, and memory is free again."""
        at = from_unix(time.time())
        self._store.grow(self._progress, [streamed_frame(change, at, xid) for xid, changes in self._runs
                                          for change in changes], [layer.items() for layer in self._layers], at)
        self._written.update(xid for xid, changes in self._runs if changes)
        self._runs.clear()
        for layer in self._layers:
            layer.rows.clear()
            layer.runs = 0
        self._run(self._layers[-1].xid)
        self._size = 0
        self._announce()


__all__ = ["PublishError", "Transaction"]
