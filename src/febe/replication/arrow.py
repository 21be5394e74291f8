"""Changes as Arrow record batches, one table at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from febe._kernel import kinds
from febe._kernel.rows import RowEncoder
from febe.replication.changes import (
    UNCHANGED,
    Begin,
    Delete,
    Event,
    Insert,
    Relation,
    Truncate,
    Update,
    end_of,
)
from febe.replication.subscription import Subscription
from febe.types import oids
from febe.types.arrow_rows import ArrowBuilder, ArrowOptions, ArrowSource, ArrowTable
from febe.types.registry import TYPES, Registry

ROWS = 50_000
CHANGE = (("_op", oids.TEXT), ("_lsn", oids.INT8), ("_number", oids.INT8), ("_unchanged", oids.TEXT))
"""The columns before a table's own: insert, update, delete or truncate; the position of the transaction's commit; which
change of the transaction it is; the names of columns that an update left as they were, with commas between."""


class RowsToArrow:
    """Makes tables of a relation's rows, whose values are PostgreSQL's text (`febe.types.texts.Texts`).

    `before` are more columns to begin with, names and types.
    """

    def __init__(self, relation: Relation, *, before: Sequence[tuple[str, int]] = (), types: Registry = TYPES,
                 options: ArrowOptions | None = None) -> None:
        sources = [ArrowSource(name=name, codec=types.by_oid(oid), binary=False) for name, oid in before]
        sources += [ArrowSource(name=column.name, codec=types.by_oid(column.type_oid), typmod=column.type_modifier,
                                binary=False) for column in relation.columns]
        self._encoder = RowEncoder([kinds.STRING_TEXT] * len(sources))
        self._builder = ArrowBuilder(sources, types, options)

    def table(self, rows: Sequence[Sequence[object]]) -> ArrowTable:
        """Some rows.  Errors: ValueDecodeError for a value that Arrow cannot hold."""
        data = self._encoder.encode(rows)
        batches = self._builder.feed(data, 0, len(data))
        last = self._builder.finish()
        return ArrowTable(self._builder.schema, batches if last is None else [*batches, last])


class Changes(NamedTuple):
    """What happened to one table, in order.

    `end_lsn` is on the last table of those that came together: it confirms all transactions that are complete.
    """

    relation: Relation
    table: ArrowTable
    end_lsn: int


class ChangesToArrow:
    """Collects events, and gives tables of the columns CHANGE and those of the relation.

    An update that changes the key is a delete and an insert.
    """

    def __init__(self, types: Registry = TYPES, options: ArrowOptions | None = None) -> None:
        self._types, self._options = types, options
        self._makers: dict[Relation, RowsToArrow] = {}
        self._rows: dict[Relation, list[tuple[Any, ...]]] = {}
        self._number = 0
        self.lsn = 0
        """Where the transaction's commit is that was collected last."""
        self.count = 0
        self.is_within = False
        """Whether a transaction is half collected."""

    def add(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, Insert):
            self._note(event.relation, "insert", event.new)
        elif isinstance(event, Update):
            old, new, key = event.old, tuple(event.new), event.relation.key
            if old is not None and any(old[place] != new[place] for place in key):
                self._note(event.relation, "delete", old)
                self._note(event.relation, "insert", new)
            else:
                self._note(event.relation, "update", new)
        elif isinstance(event, Delete):
            self._note(event.relation, "delete", event.old)
        elif isinstance(event, Truncate):
            for relation in event.relations:
                self._note(relation, "truncate", (None,) * len(relation.columns))
        elif isinstance(event, Begin):
            self.lsn, self._number, self.is_within = event.lsn, 0, True
        elif end_of(event):
            self.is_within = False

    def _note(self, relation: Relation, what: str, row: Sequence[Any]) -> None:
        unchanged = None
        if UNCHANGED in row:
            unchanged = ",".join(name for name, value in zip(relation.names, row, strict=True) if value is UNCHANGED)
            row = tuple(None if value is UNCHANGED else value for value in row)
        self._rows.setdefault(relation, []).append((what, str(self.lsn), str(self._number), unchanged, *row))
        self._number += 1
        self.count += 1

    def take(self) -> list[tuple[Relation, ArrowTable]]:
        """What has been collected."""
        taken = []
        for relation, rows in self._rows.items():
            if relation not in self._makers:
                self._makers[relation] = RowsToArrow(relation, before=CHANGE, types=self._types,
                                                     options=self._options)
            taken.append((relation, self._makers[relation].table(rows)))
        self._rows, self.count = {}, 0
        return taken


def arrow_changes(subscription: Subscription, *, rows: int = ROWS, options: ArrowOptions | None = None
                  ) -> Iterator[Changes]:
    """A subscription's changes as Arrow, as many at a time as have arrived, about `rows` at most.

    The subscription is made with `types=febe.types.texts.Texts()`.  Snapshots are inserts.  What was handed out is
    confirmed when the program goes on, as by `batches`.
    """
    collected = ChangesToArrow(options=options)
    end = 0
    for batch in subscription.batches():
        for event in batch:
            collected.add(event)
            end = end_of(event) or end
        taken = collected.take()
        for place, (relation, table) in enumerate(taken):
            yield Changes(relation, table, end if place == len(taken) - 1 else 0)


__all__ = ["CHANGE", "Changes", "ChangesToArrow", "RowsToArrow", "arrow_changes"]
