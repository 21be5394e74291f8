"""A DuckDB database as a publisher: what its sessions commit becomes logical changes, in the order of the commits.

Triggers write changes down inside the transaction that makes them (`capture`).  Commits follow one another: after each,
what it has written down moves to the publisher's store, where subscriptions find it.  A crash in between is made good
when the database is opened again: what was moved already is known by the numbers of its statements.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from febe.engines.duckdb import _driver, capture
from febe.engines.duckdb.capture import SCHEMA, Shape
from febe.engines.duckdb.sources import literal, quoted
from febe.engines.duckdb.types import announced, batch_rows
from febe.protocol import logical
from febe.protocol.tuples import OldTuple, TruncatedTables
from febe.publish.publication import Chosen, Publication
from febe.publish.publisher import Publisher
from febe.publish.snapshot import Snapshot
from febe.publish.store import Slot
from febe.publish.table import Table, as_tuple
from febe.server.engine import EngineError, Prepared, Result
from febe.server.sql import tokens, verb
from febe.types import arrow, oids
from febe.types.copy import ArrowCopyEncoder, CopyFormat, Framing, plan_to_send
from febe.types.registry import TYPES

if TYPE_CHECKING:
    from febe.engines.duckdb.engine import DuckDBEngine
    from febe.engines.duckdb.session import DuckDBSession

_log = logging.getLogger("febe.engines.duckdb")

ROWS = 10_000
"""How many changes are moved at a time."""
_ALONE = frozenset({"VACUUM", "ANALYZE", "CHECKPOINT"})
"""What changes no rows, and some of which DuckDB refuses in a transaction."""
_SHAPES = f"""
select t.schema_name, t.table_name,
  list(c.column_name order by c.column_index), list(c.data_type order by c.column_index),
  (select first(k.constraint_column_names) from duckdb_constraints() k where k.database_name = t.database_name
   and k.table_oid = t.table_oid and k.constraint_type = 'PRIMARY KEY')
from duckdb_tables() t join duckdb_columns() c on c.database_name = t.database_name and c.table_oid = t.table_oid
where t.database_name = current_database() and not t.internal and not t.temporary and t.schema_name <> '{SCHEMA}'
group by all order by all"""


class DuckDBPublisher(Publisher):
    """Publishes the tables of an engine that serves one database file; `path` is the store's file.

    Errors: ValueError for an engine whose changes cannot be published, or a store that belongs to another database.
    """

    def __init__(self, engine: DuckDBEngine, path: str | Path, publications: Iterable[Publication]) -> None:
        if engine.read_only or not engine.is_file:
            raise ValueError("only the changes of a DuckDB database file, alone and not read-only, can be published")
        super().__init__(path)
        self.publications = {one.name: one for one in publications}
        self._engine = engine
        self._commits = threading.RLock()
        self._behind = True
        self._count = 0
        self._changed: dict[int, int] = {}
        """Which commit has last changed a relation."""
        self._since: weakref.WeakKeyDictionary[DuckDBSession, int] = weakref.WeakKeyDictionary()
        self._merged: weakref.WeakKeyDictionary[DuckDBSession, set[int]] = weakref.WeakKeyDictionary()
        self._current: list[Table] = []
        try:
            with contextlib.closing(engine.connection()) as con:
                con.execute(capture.TABLES)
                self._check_pair(con)
                con.execute("begin")
                self.hook(con)
                con.execute("commit")
            with self._commits:
                self._forget_moved()
                self._move()
                self._renew()
        except BaseException:
            super().close()
            raise
        engine.publishing = self

    def _check_pair(self, con: _driver.Connection) -> None:
        """See that the store is this database's."""
        ((identity,),) = con.execute(f"select id::varchar from {SCHEMA}.identity").fetchall()
        kept = self.store.note("database")
        if not kept:
            self.store.keep({"database": identity})
        elif kept != identity:
            raise ValueError("the file of slots belongs to another database")

    def close(self) -> None:
        """Close the store.  Without a slot nobody needs to know what is changed from here on, and nothing captures it.
        """
        self._engine.publishing = None
        try:
            if not self.store.is_needed:
                with contextlib.closing(self._engine.connection()) as con:
                    for shape in _shapes(con):
                        self.unhook(con, (shape.schema, shape.name))
                    con.execute(f"drop schema {SCHEMA} cascade")
                self.store.keep({"database": "", "moved": "[]"})
        except (duckdb.Error, EngineError):
            _log.exception("changes are still captured")
        finally:
            super().close()

    # What a publisher is asked

    def current(self) -> list[Table]:
        """The tables as they are."""
        return self._current

    def create(self, slot: Slot) -> Snapshot:
        """Keep a slot that begins now, and all rows as they are now."""
        with self._commits:
            self._move()
            self.store.create(slot).close()
            return self._freeze()

    def snapshot(self) -> Snapshot:
        """All rows as they are now."""
        with self._commits:
            return self._freeze()

    def _freeze(self) -> Snapshot:
        con = self._engine.connection()
        con.execute("begin transaction read only")
        # a transaction sees what was committed when it first looks
        relations = {relation: shape for shape, relation in _relations(con).items()}
        con.execute(f"select count(*) from {SCHEMA}.changes").fetchall()
        return _Frozen(con, relations)

    # Capturing

    def prepare(self, session: DuckDBSession, kind: str, sql: str, make: Callable[[], Prepared]) -> Prepared:
        """Prepare a statement so that its changes are captured.  Errors: EngineError."""
        if kind != "SELECT" and any(token.value == SCHEMA for token in tokens(sql)):
            raise EngineError(f"permission denied for schema {SCHEMA}", sqlstate="42501")
        merges = capture.is_merge(kind, sql)
        made = self._bound(session, sql, make) if merges else make()
        if not made.writes or verb(sql) in _ALONE:
            return made
        if merges:
            return _Merged(self, session, kind, sql, made)
        if verb(sql) == "TRUNCATE":
            return _Emptied(self, session, kind, sql, made)
        if kind in ("INSERT", "UPDATE", "DELETE", "SELECT", "EXPLAIN"):
            return _Captured(self, session, kind, sql, made)
        return _Defined(self, session, kind, sql, made)

    def _bound(self, session: DuckDBSession, sql: str, make: Callable[[], Prepared]) -> Prepared:
        """DuckDB does not even bind a MERGE where there are triggers."""
        con = session.connection
        session.free()
        with session.translated(""):
            if session.in_transaction:
                self.unhook(con, capture.target(sql))
                try:
                    return make()
                finally:
                    self.hook(con)
            con.execute("begin")
            try:
                self.unhook(con, capture.target(sql))
                return make()
            finally:
                con.execute("rollback")

    def hook(self, con: _driver.Connection, *, fresh: bool = False) -> None:
        """Have the changes of every table captured, in the transaction that is open; `fresh`: also the rows that a
        table was created with."""
        known = _relations(con)
        hooked: dict[tuple[str, str], set[str]] = {}
        for schema, table, name in con.execute(
                "select schema_name, table_name, trigger_name from duckdb_triggers() where database_name = "
                f"current_database() and starts_with(trigger_name, '{SCHEMA}_')").fetchall():
            hooked.setdefault((schema, table), set()).add(name)
        for shape in _shapes(con):
            relation = known.get(shape)
            if relation is None:
                ((relation,),) = con.execute(f"select nextval('{SCHEMA}.relation')").fetchall()
                con.execute(f"insert into {SCHEMA}.relations values (?, ?, ?, ?, ?, ?)", [
                    relation, shape.schema, shape.name, list(shape.columns), list(shape.types), list(shape.key)])
            there = hooked.get((shape.schema, shape.name), set())
            if there != {capture.trigger(relation, event) for event in ("insert", "update", "delete")}:
                for name in there:
                    con.execute(f"drop trigger {quoted(name)} on {shape.full_name}")
                for sql in capture.hooks(shape, relation):
                    con.execute(sql)
                if fresh and not there:
                    if any((one.schema, one.name) == (shape.schema, shape.name) for one in known):
                        con.execute(capture.truncated(relation))  # it takes another one's place
                    con.execute(capture.existing(shape, relation))

    def unhook(self, con: _driver.Connection, name: Sequence[str]) -> tuple[int, Shape] | None:
        """Let go of a table of that name, up to the next `hook`; None where it is not published."""
        found = self.find(con, name)
        if found is not None:
            relation, shape = found
            for event in ("insert", "update", "delete"):
                con.execute(f"drop trigger {quoted(capture.trigger(relation, event))} on {shape.full_name}")
        return found

    def find(self, con: _driver.Connection, name: Sequence[str]) -> tuple[int, Shape] | None:
        """The table that a statement means by a name."""
        if not name:
            return None
        place = f"lower(table_name) = lower({literal(name[-1])})"
        if len(name) > 1:
            place += f" and lower(schema_name) = lower({literal(name[-2])})"
        found = con.execute(
            f"select temporary, schema_name, table_name from duckdb_tables() where {place} and (temporary or "
            "database_name = current_database()) order by temporary desc, list_position(current_schemas(true), "
            "schema_name) nulls last limit 1").fetchone()
        if found is None or found[0]:
            return None
        return next(((relation, shape) for shape, relation in _relations(con).items()
                     if (shape.schema, shape.name) == found[1:] and shape in _shapes(con)), None)

    def began(self, session: DuckDBSession) -> None:
        """A transaction begins, and sees no commit after this one."""
        self._since[session] = self._count
        self._merged.pop(session, None)

    def merged(self, session: DuckDBSession, relation: int) -> None:
        """A table was compared with what it was, which is right as long as nobody else has changed it meanwhile."""
        self._merged.setdefault(session, set()).add(relation)

    def _check(self, session: DuckDBSession) -> None:
        """Errors: EngineError (40001) for a transaction that has merged into what others have changed since."""
        since = self._since.get(session, 0)
        if any(self._changed.get(relation, 0) > since for relation in self._merged.pop(session, ())):
            raise EngineError("could not serialize access due to concurrent update", sqlstate="40001")

    @contextlib.contextmanager
    def committing(self, session: DuckDBSession) -> Iterator[None]:
        """The commit inside is the only one; what it wrote down goes to the store.  Errors: EngineError (58030) when
        what was committed before cannot be moved there: this transaction is not committed."""
        catalog = session.changes_catalog
        with self._commits:
            try:
                self._check(session)
                if self._behind:
                    self._move()
            except Exception as error:
                session.connection.execute("rollback")
                if isinstance(error, EngineError):
                    raise
                _log.exception("changes cannot be published")
                raise EngineError("changes cannot be published: the server's log says why", sqlstate="58030") from error
            yield
            try:
                self._behind = True
                self._move()
                if catalog:
                    self._renew()
            except Exception:
                # It is committed; the next commit, or the next start, tries again.
                _log.exception("changes that are committed could not be published yet")

    # Moving changes to the store

    def _move(self) -> None:
        """Move what is written down, as one transaction."""
        with contextlib.closing(self._engine.connection()) as con:
            con.execute("begin")
            found = con.execute(f"select statement, rank, relation, before, after from {SCHEMA}.changes "
                                "order by statement, rank")
            rows = found.fetchmany(ROWS)
            if rows:
                self._count += 1
                statements: set[int] = set()
                with self.transaction() as change:
                    while rows:
                        for statement, rank, relation, before, after in rows:
                            statements.add(statement)
                            self._changed[relation] = self._count
                            if relation not in self.tables:
                                with contextlib.closing(con.cursor()) as other:
                                    self._add_tables(other)
                            change.log(self.tables[relation], _change(rank, relation, before, after))
                        rows = found.fetchmany(ROWS)
                    change.notes["moved"] = json.dumps(_runs(statements))
                con.execute(f"delete from {SCHEMA}.changes")
            con.execute("commit")
        self._behind = False

    def _forget_moved(self) -> None:
        """Remove what was moved just before a crash."""
        moved = json.loads(self.store.note("moved") or "[]")
        with contextlib.closing(self._engine.connection()) as con:
            for first, last in moved:
                con.execute(f"delete from {SCHEMA}.changes where statement between {first} and {last}")

    def _renew(self) -> None:
        """Note which tables there are now."""
        with contextlib.closing(self._engine.connection()) as con:
            self._add_tables(con)
            relations = _relations(con)
            self._current = [self.tables[relations[shape]] for shape in _shapes(con) if shape in relations]

    def _add_tables(self, con: _driver.Connection) -> None:
        """Know every table as it is, and as it was when something was logged of it."""
        for shape, relation in _relations(con).items():
            if relation not in self.tables:
                self.tables[relation] = Table(
                    f"{'public' if shape.schema == 'main' else shape.schema}.{shape.name}",
                    {name: TYPES.by_oid(announced(kind).type_oid).name
                     for name, kind in zip(shape.columns, shape.types, strict=True)},
                    shape.key, oid=relation, kept=False)


def _change(rank: int, relation: int, before: list[str | None] | None, after: list[str | None] | None,
            ) -> logical.Insert | logical.Update | logical.Delete | logical.Truncate:
    if rank == capture.TRUNCATE:
        return logical.Truncate(tables=TruncatedTables(0, [relation]))
    if rank == capture.DELETE:
        return logical.Delete(relation=relation, old=OldTuple("K", as_tuple(_cells(before))))
    if rank == capture.INSERT:
        return logical.Insert(relation=relation, new=as_tuple(_cells(after)))
    return logical.Update(relation=relation, old=None, new=as_tuple(_cells(after)))


def _cells(texts: list[str | None] | None) -> list[bytes | None]:
    return [None if text is None else text.encode() for text in texts or ()]


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as first and last of those that follow one another."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def _shapes(con: _driver.Connection) -> list[Shape]:
    return [Shape(schema=schema, name=name, columns=tuple(columns), types=tuple(types), key=tuple(key or ()))
            for schema, name, columns, types, key in con.execute(_SHAPES).fetchall()]


def _relations(con: _driver.Connection) -> dict[Shape, int]:
    return {Shape(schema=schema, name=name, columns=tuple(columns), types=tuple(types), key=tuple(key)): relation
            for relation, schema, name, columns, types, key in con.execute(f"from {SCHEMA}.relations").fetchall()}


class _Captured(Prepared):
    """A statement whose changes the triggers see; it runs in a transaction, so that its commit is one of ours."""

    together = True

    def __init__(self, publisher: DuckDBPublisher, session: DuckDBSession, kind: str, sql: str,
                 inner: Prepared) -> None:
        self._publisher, self._session, self._kind, self._sql, self._inner = publisher, session, kind, sql, inner
        self.parameters, self.columns, self.writes = inner.parameters, inner.columns, inner.writes

    def execute(self, values: Sequence[Any]) -> Result:
        """Run it."""
        session = self._session
        if session.in_transaction:
            return self._run(values)
        session.begin()
        try:
            result = self._run(values)
        except BaseException:
            session.rollback()
            raise
        session.commit()
        return result

    def _run(self, values: Sequence[Any]) -> Result:
        return self._inner.execute(values)

    def close(self) -> None:
        """Forget the statement."""
        self._inner.close()

    @contextlib.contextmanager
    def _own(self) -> Iterator[_driver.Connection]:
        """The session's connection for statements of ours."""
        self._session.free()
        with self._session.translated(""):
            yield self._session.connection


class _Defined(_Captured):
    """A statement that makes tables what they were not."""

    def _run(self, values: Sequence[Any]) -> Result:
        if self._kind == "ALTER" and self._sql.split(None, 2)[1].upper() == "TABLE":
            with self._own() as con:
                self._publisher.unhook(con, capture.target(self._sql))
        result = self._inner.execute(values)
        with self._own() as con:
            self._publisher.hook(con, fresh=self._kind == "CREATE")
        return result


class _Emptied(_Captured):
    """TRUNCATE."""

    def _run(self, values: Sequence[Any]) -> Result:
        with self._own() as con:
            found = self._publisher.unhook(con, capture.target(self._sql))
        result = self._inner.execute(values)
        if found is not None:
            with self._own() as con:
                con.execute(capture.truncated(found[0]))
                self._publisher.hook(con)
        return result


class _Merged(_Captured):
    """A statement that DuckDB does not run where there are triggers: the table is compared with what it was."""

    def _run(self, values: Sequence[Any]) -> Result:
        with self._own() as con:
            found = self._publisher.unhook(con, capture.target(self._sql))
            if found is not None:
                relation, shape = found
                if not shape.key:
                    raise EngineError(capture.no_identity("update", shape.name), sqlstate="55000")
                con.execute(f"create temp table febe_before as from {shape.full_name}")
        result = self._inner.execute(values)
        if found is not None:
            with self._own() as con:
                for sql in capture.differing(shape, relation, "temp.febe_before"):
                    con.execute(sql)
                con.execute("drop table temp.febe_before")
                self._publisher.merged(self._session, relation)
                self._publisher.hook(con)
        return result


class _Frozen:
    """The tables as they were."""

    def __init__(self, con: _driver.Connection, relations: dict[int, Shape]) -> None:
        self._con, self._relations = con, relations

    def pieces(self, table: Table, places: Sequence[int], binary: bool,
               chosen: Chosen) -> Iterator[tuple[bytes | bytearray, int]]:
        """The rows, from DuckDB's Arrow batches by the kernel."""
        shape = self._relations[table.oid]
        listed, types = [], list[int]()
        for place in places:
            name, kind = quoted(shape.columns[place]), shape.types[place]
            told = announced(kind)
            # an array's text is made where the others are encoded without a look
            as_text = not binary and kind.endswith("]") and told.type_oid != oids.TEXT
            types.append(oids.TEXT if as_text else told.type_oid)
            listed.append(capture.text_of(name, kind) if as_text else
                          told.expression.format(name) if told.expression else name)
        sql = f"select {', '.join(listed)} from {shape.full_name}"
        with arrow.read_stream(_driver.stream(self._con, sql, {}, batch_rows(types))) as reader:
            plans = [plan_to_send(field, TYPES.by_oid(oid), TYPES, binary) or oid
                     for field, oid in zip(reader.schema, types, strict=True)]
            encoder = ArrowCopyEncoder(CopyFormat(format="binary" if binary else "text"), reader.schema, plans,
                                       Framing.ROWS)
            before = 0
            for batch in reader:
                with batch:
                    for data in encoder.encode(batch):
                        yield data, encoder.rows - before
                        before = encoder.rows
            yield encoder.finish(), 0

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(duckdb.Error):
            self._con.close()


__all__ = ["DuckDBPublisher"]
