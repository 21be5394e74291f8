"""Changes of one table that are not written yet, brought down to what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from febe.protocol.replication_commands import quote_name as quoted
from febe.replication.arrow import RowsToArrow
from febe.replication.changes import UNCHANGED, Column, Relation
from febe.types import oids

if TYPE_CHECKING:
    import duckdb

    from febe.replication.copies.duckdb import _Table

Values: TypeAlias = "tuple[Any, ...]"


class Keyed:
    """A table whose rows have a key: the last state of each row that was touched."""

    def __init__(self, key: Sequence[int]) -> None:
        self._places = tuple(key)
        self._rows: dict[Values, tuple[Values, Values | None] | None] = {}
        self._emptied = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._rows and not self._emptied

    def _key(self, row: Sequence[Any]) -> Values:
        return tuple([row[place] for place in self._places])

    def insert(self, row: Sequence[Any]) -> None:
        """A row is there."""
        self._rows[self._key(row)] = tuple(row), None

    def update(self, old: Sequence[Any] | None, new: Sequence[Any]) -> None:
        """A row is another; values that were left as they were are in what is written, or in what is pending."""
        key = self._key(new)
        was = key if old is None else self._key(old)
        row, base = tuple(new), None
        if UNCHANGED in row:
            before = self._rows.get(was, ((), was))
            assert before is not None
            if before[0]:
                row = tuple(earlier if value is UNCHANGED else value
                            for value, earlier in zip(row, before[0], strict=True))
            if UNCHANGED in row:
                base = before[1]
        if was != key:
            self._rows[was] = None
        self._rows[key] = row, base

    def delete(self, old: Sequence[Any]) -> None:
        """A row is gone."""
        self._rows[self._key(old)] = None

    def truncate(self) -> None:
        """All rows are gone."""
        self._rows.clear()
        self._emptied = True

    def write(self, db: duckdb.DuckDBPyConnection, table: _Table) -> None:
        """Bring the table up to date."""
        name, relation = table.name, table.relation
        if self._emptied:
            db.execute(f"delete from {name}")
        whole = [found[0] for found in self._rows.values() if found is not None and found[1] is None]
        partial: dict[Values, list[Values]] = {}
        for found in self._rows.values():
            if found is not None and found[1] is not None:
                left = tuple(value is UNCHANGED for value in found[0])
                partial.setdefault(left, []).append((*found[1], *(None if value is UNCHANGED else value
                                                                  for value in found[0])))
        keys = [relation.columns[place] for place in self._places]
        listed = ", ".join(map(quoted, relation.names))
        if partial:
            db.execute(f"create or replace temp table febe_partial as from {name} limit 0")
        for left, rows in partial.items():
            base = [(f"febe_base_{place}", column.type_oid) for place, column in enumerate(keys)]
            db.register("febe_rows", RowsToArrow(relation, before=base).table(rows))
            chosen = ", ".join(f"{'t' if same else 'n'}.{quoted(column)}"
                               for same, column in zip(left, relation.names, strict=True))
            joined = " and ".join(f"t.{quoted(column.name)} = n.febe_base_{place}"
                                  for place, column in enumerate(keys))
            db.execute(f"insert into febe_partial ({listed}) select {chosen} from febe_rows n "
                       f"join {name} t on {joined}")
        if not self._emptied:
            db.register("febe_keys", RowsToArrow(_part(relation, keys)).table(list(self._rows)))
            joined = " and ".join(f"t.{quoted(column.name)} = k.{quoted(column.name)}" for column in keys)
            db.execute(f"delete from {name} t using febe_keys k where {joined}")
        if whole:
            db.register("febe_rows", table.rows.table(whole))
            db.execute(f"insert into {name} ({listed}) select {listed} from febe_rows")
        if partial:
            db.execute(f"insert into {name} ({listed}) select {listed} from febe_partial; drop table febe_partial")
        self._rows.clear()
        self._emptied = False


class Whole:
    """A table whose rows are known by all their values only: how many of each have come or gone."""

    def __init__(self) -> None:
        self._rows: Counter[Values] = Counter()
        self._emptied = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._rows and not self._emptied

    def insert(self, row: Sequence[Any]) -> None:
        """One more."""
        self._rows[tuple(row)] += 1

    def update(self, old: Sequence[Any] | None, new: Sequence[Any]) -> None:
        """One less of the one, one more of the other."""
        assert old is not None
        self._rows[tuple(old)] -= 1
        self._rows[tuple(new)] += 1

    def delete(self, old: Sequence[Any]) -> None:
        """One less."""
        self._rows[tuple(old)] -= 1

    def truncate(self) -> None:
        """None is left."""
        self._rows.clear()
        self._emptied = True

    def write(self, db: duckdb.DuckDBPyConnection, table: _Table) -> None:
        """Bring the table up to date."""
        name, relation = table.name, table.relation
        listed = ", ".join(map(quoted, relation.names))
        if self._emptied:
            db.execute(f"delete from {name}")
        gone = [(str(-count), *row) for row, count in self._rows.items() if count < 0]
        if gone:
            db.register("febe_rows", RowsToArrow(relation, before=[("febe_count", oids.INT8)]).table(gone))
            same = " and ".join(f"t.{quoted(column)} is not distinct from n.{quoted(column)}"
                                for column in relation.names)
            of_each = ", ".join(f"t.{quoted(column)}" for column in relation.names)
            db.execute(
                f"delete from {name} where rowid in (select place from (select t.rowid as place, n.febe_count as most, "
                f"row_number() over (partition by {of_each}) as number from {name} t join febe_rows n on {same}) "
                "where number <= most)")
        there = [row for row, count in self._rows.items() for _ in range(count)]
        if there:
            db.register("febe_rows", table.rows.table(there))
            db.execute(f"insert into {name} ({listed}) select {listed} from febe_rows")
        self._rows.clear()
        self._emptied = False


def _part(relation: Relation, columns: Sequence[Column]) -> Relation:
    return Relation(oid=relation.oid, schema=relation.schema, name=relation.name,
                    replica_identity=relation.replica_identity, columns=tuple(columns))


__all__ = ["Keyed", "Whole"]
