"""A DuckDB file with a publication's tables, in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from febe.protocol.replication_commands import quote_name as quoted
from febe.replication.arrow import RowsToArrow
from febe.replication.changes import Begin, Delete, Event, Insert, Relation, Truncate, Update, end_of
from febe.replication.copies.base import Copy
from febe.replication.copies.pending import Keyed, Whole
from febe.replication.errors import TableChanged

if TYPE_CHECKING:
    import duckdb

ROWS = 100_000
"""So many changes are held before they are written, in a transaction that stays open up to the end of theirs."""
_POSITIONS = """
create schema if not exists febe;
create table if not exists febe.replication (slot varchar primary key, position ubigint, copying boolean)"""


class DuckDBCopy(Copy):
    """Tables of the schema public are in main, others in schemas of their names.

    Changes and position are committed together.  `warn` is told what a copy cannot know.
    """

    def __init__(self, path: str | Path, *, slot: str, warn: Callable[[str], object] | None = None) -> None:
        import duckdb

        self._db: duckdb.DuckDBPyConnection = duckdb.connect(str(path))
        self._db.execute(_POSITIONS)
        self._slot, self._warn = slot, warn or (lambda text: None)
        kept = self._db.execute("select position, copying from febe.replication where slot = ?", [slot]).fetchone()
        self.position, self.copying = kept if kept is not None else (0, False)
        self._tables: dict[int, _Table] = {}
        self._open = self._snapshot = False
        self._held = 0

    def start_copying(self) -> None:
        self.position, self.copying = 0, True
        self._db.execute("insert or replace into febe.replication values (?, 0, true)", [self._slot])

    def apply(self, batch: Sequence[Event]) -> None:
        last = next((place for place in reversed(range(len(batch))) if end_of(batch[place])), -1)
        for place, event in enumerate(batch):
            self._take(event)
            if place == last:
                self._commit(end_of(event))
        if self._held > ROWS:
            self._write()

    def rest(self, position: int) -> None:
        if position > self.position and not self._held and not self._open:
            self._commit(position)

    def close(self) -> None:
        if self._open:
            self._db.execute("rollback")
        self._db.close()

    # Inside

    def _take(self, event: Event) -> None:
        if isinstance(event, Insert):
            self._tables[event.relation.oid].pending.insert(event.new)
            self._held += 1
        elif isinstance(event, Update):
            self._tables[event.relation.oid].pending.update(event.old, event.new)
            self._held += 1
        elif isinstance(event, Delete):
            self._tables[event.relation.oid].pending.delete(event.old)
            self._held += 1
        elif isinstance(event, Truncate):
            for relation in event.relations:
                self._tables[relation.oid].pending.truncate()
        elif isinstance(event, Relation):
            self._describe(event)
        elif isinstance(event, Begin) and event.kind == "snapshot":
            self._snapshot = True
            self._tables.clear()
            self._held = 0
            if self._open:
                self._db.execute("rollback")
                self._open = False

    def _commit(self, position: int) -> None:
        self._write()
        self._begin()
        position = max(position, self.position)
        self._db.execute("insert or replace into febe.replication values (?, ?, false)", [self._slot, position])
        self._db.execute("commit")
        self._open = self._snapshot = self.copying = False
        self.position = position

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("begin")
            self._open = True

    def _write(self) -> None:
        for table in self._tables.values():
            if not table.pending.is_empty:
                self._begin()
                table.pending.write(self._db, table)
        self._held = 0

    def _describe(self, relation: Relation) -> None:
        known = self._tables.get(relation.oid)
        if known is not None and not known.pending.is_empty:
            self._begin()
            known.pending.write(self._db, known)
        self._begin()
        self._tables[relation.oid] = table = _Table(relation)
        if self._snapshot:
            self._db.execute(f"drop table if exists {table.name}")
        table.prepare(self._db, self._warn)


class _Table:
    """One table of the copy."""

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        schema = "main" if relation.schema == "public" else relation.schema
        self.schema, self.name = schema, f"{quoted(schema)}.{quoted(relation.name)}"
        self.rows = RowsToArrow(relation)
        self.pending: Keyed | Whole = Whole() if relation.replica_identity == "f" or not relation.key \
            else Keyed(relation.key)

    def prepare(self, db: duckdb.DuckDBPyConnection, warn: Callable[[str], object]) -> None:
        """Make it, or see that it fits.  Errors: TableChanged."""
        wanted = self._columns(db, self.rows.table([]))
        db.execute(f"create schema if not exists {quoted(self.schema)}")
        listed = ", ".join(f"{quoted(name)} {kind}" for name, kind in wanted.items())
        db.execute(f"create table if not exists {self.name} ({listed})")
        found = {row[0]: row[1] for row in db.execute(f"describe {self.name}").fetchall()}
        for name, kind in wanted.items():
            if name not in found:
                db.execute(f"alter table {self.name} add column {quoted(name)} {kind}")
                warn(f"{self.relation.full_name} has a new column {name}: rows that are there have NULL in it, "
                     "whatever its default is")
            elif found[name] != kind:
                raise TableChanged(f"column {name} of {self.relation.full_name} is {kind} now, where the copy has "
                                   f"{found[name]}: the copy has to be made anew")
        gone = found.keys() - wanted.keys()
        if gone:
            raise TableChanged(f"{self.relation.full_name} has no column {min(gone)} any more: the copy has to be made "
                               "anew")

    @staticmethod
    def _columns(db: duckdb.DuckDBPyConnection, rows: Any) -> dict[str, str]:
        db.register("febe_rows", rows)
        return {row[0]: row[1] for row in db.execute("describe from febe_rows").fetchall()}


__all__ = ["DuckDBCopy"]
