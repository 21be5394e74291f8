"""An engine with PostgreSQL's catalogs before it: catalog queries are answered here, all else by the engine inside."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from febe.server.catalog import builtin, origins
from febe.server.catalog.answer import Answer
from febe.server.catalog.description import Database
from febe.server.catalog.live import Live
from febe.server.catalog.lookups import LOOKED_UP
from febe.server.catalog.positions import locate
from febe.server.catalog.rewrite import LIVE, NotOurs, Rewritten, rewrite
from febe.server.catalog.rows import Oids
from febe.server.catalog.snapshot import Snapshot
from febe.server.catalog.words import might_concern
from febe.server.engine import (
    Client,
    CopyTarget,
    Engine,
    EngineError,
    EngineSession,
    Prepared,
    RelationFound,
    Result,
    SessionFacts,
)
from febe.server.parameters import SERVER_VERSION

if TYPE_CHECKING:
    import duckdb

    from febe.server.translation import Translation

_CHANGES = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*+(?:create|alter|drop|comment|attach|detach|use|rename|truncate|"
                      r"grant|revoke|refresh|cache|uncache|import|call|set|reset|load|execute|select\s+setval)\b",
                      re.IGNORECASE | re.DOTALL)
_FIRST_TRANSACTION = 3
"""transam.h, FirstNormalTransactionId."""
_KEPT_SNAPSHOTS = 4
_OID = re.compile(r"'(\d{4,10})'")
_STAND_IN = "42000000"
"""What the numbers begin with that stand for OIDs in a query."""


class Catalog(Engine):
    """Wraps an engine.  What the database holds is asked of `EngineSession.describe`.

    `refresh`: after how many seconds the engine is asked again although no statement changed anything, for an engine
    whose objects others can change too; None: never.  `translation`: what the engine is asked instead of what the
    client says.
    """

    def __init__(self, engine: Engine, *, refresh: float | None = None, translation: Translation | None = None) -> None:
        self.inner = engine
        self.blocking = engine.blocking
        self.processes = engine.processes
        self.refresh = refresh
        self.translation = translation
        self.started = datetime.now(UTC)
        self.oids = Oids()
        self.transactions = itertools.count(_FIRST_TRANSACTION)
        """Numbers for transactions that ask for theirs."""
        self.changes = 0
        """How many statements may have changed the objects."""
        self._lock = threading.Lock()
        self._snapshots: dict[tuple[object, ...], Snapshot] = {}

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> CatalogSession:
        """Open a session of the engine inside, with the catalogs before it."""
        inner = self.inner.open(user=user, database=database, parameters=parameters)
        return CatalogSession(self, inner, user=user, database=database)

    def admit(self, client: Client) -> CatalogSession:
        """The same, for an engine that looks at more of the client."""
        return CatalogSession(self, self.inner.admit(client), user=client.user, database=client.database)

    def close(self) -> None:
        """Close the engine inside."""
        self.inner.close()
        with self._lock:
            for snapshot in self._snapshots.values():
                snapshot.close()
            self._snapshots.clear()

    def snapshot(self, key: tuple[object, ...], described: Database, *, name: str, user: str,
                 path: list[str]) -> Snapshot:
        """The snapshot for a state; sessions that see the same share it."""
        with self._lock:
            found = self._snapshots.get(key)
            if found is None:
                found = Snapshot(self.oids, described, name=name, user=user, path=path)
                self._snapshots[key] = found
                for old in [one for one, kept in self._snapshots.items() if not kept.users and one != key]:
                    if len(self._snapshots) <= _KEPT_SNAPSHOTS:
                        break
                    self._snapshots.pop(old).close()
            found.users += 1
            return found

    def release(self, snapshot: Snapshot) -> None:
        """A session does not use it any more."""
        with self._lock:
            snapshot.users -= 1


class CatalogSession(EngineSession):
    """One client's session: the engine's, and a connection of the private database once it is needed."""

    def __init__(self, catalog: Catalog, inner: EngineSession, *, user: str, database: str) -> None:
        self.inner = inner
        self.user = user
        self.database = database
        self.oids = catalog.oids
        self._catalog = catalog
        self._con: duckdb.DuckDBPyConnection | None = None
        self._snapshot: Snapshot | None = None
        self._seen: tuple[object, ...] = ()
        self._asked = 0.0
        self._own = 0
        self._in_block = False
        self._changed_in_block = False
        self._number: int | None = None
        self._live = Live(self)

    # What the server calls

    def attach(self, facts: SessionFacts) -> None:
        """What the session knows of itself, for pg_settings and its like."""
        self._live.facts = facts
        self.inner.attach(facts)

    def savepoint(self, name: str) -> None:
        """As the engine does."""
        self.inner.savepoint(name)

    def release(self, name: str) -> None:
        """As the engine does."""
        self.inner.release(name)

    def rollback_to(self, name: str) -> None:
        """As the engine does; what was created since is gone."""
        self.inner.rollback_to(name)
        self.changed()

    def copy_into(self, table: str, columns: Sequence[str], where: str) -> CopyTarget:
        """As the engine does."""
        return self.inner.copy_into(table, columns, where)

    def change(self, name: str, value: str) -> None:
        """As the engine does; it may look for names elsewhere now."""
        self.inner.change(name, value)
        self._own += 1

    def discard_temporary(self) -> None:
        """As the engine does."""
        self.inner.discard_temporary()
        self.changed()

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        """Understand a statement: ours if it asks for the catalogs, the engine's otherwise."""
        if might_concern(sql):
            try:
                return Answer(self, _rewritten(sql), parameter_types)
            except NotOurs:
                pass
            except EngineError as error:
                locate(error, sql)
                raise
        if self._catalog.translation is None:
            return self._watched(sql, self._located(sql, self.inner.prepare(sql, parameter_types)))
        asked = self._catalog.translation(sql)
        try:
            return self._watched(sql, self._located(asked, self.inner.prepare(asked, parameter_types)))
        except EngineError as error:
            if asked != sql:
                error.position = None  # it counts in a text that the client has not written
            raise

    def recall(self, sql: str, parameter_types: Sequence[int]) -> Prepared | None:
        """As the engine does; a catalog query was never its."""
        translation = self._catalog.translation
        if translation is not None:
            if not translation.known(sql):
                return None
            sql = translation(sql)
        found = self.inner.recall(sql, parameter_types)
        return None if found is None else self._watched(sql, found)

    def _located(self, sql: str, prepared: Prepared) -> Prepared:
        """Tell of which table's columns the result's are, where they are."""
        columns = prepared.columns
        wanted = origins.plain(sql) if columns else None
        relation = self.inner.find_relation(wanted.relation) if wanted is not None else None
        if columns is None or wanted is None or relation is None:
            return prepared
        oid = self.oids.of("class", relation.schema, relation.name)
        found = origins.numbers(wanted, relation.columns, [column.name for column in columns])
        for column, number in zip(columns, found, strict=True):
            if number and not column.table_oid:
                column.table_oid, column.attribute_number = oid, number
        return prepared

    def find_relation(self, name: Sequence[str]) -> RelationFound | None:
        """As the engine says."""
        return self.inner.find_relation(name)

    def _watched(self, sql: str, prepared: Prepared) -> Prepared:
        return _Changing(self, prepared) if _CHANGES.match(sql) else prepared

    def begin(self, *, read_only: bool = False) -> None:
        """As the engine does."""
        self.inner.begin(read_only=read_only)
        self._in_block, self._changed_in_block = True, False

    def commit(self) -> None:
        """As the engine does."""
        try:
            self.inner.commit()
        finally:
            self._ended()

    def rollback(self) -> None:
        """As the engine does."""
        try:
            self.inner.rollback()
        finally:
            self._ended()

    def progress(self) -> float | None:
        """As the engine says."""
        return self.inner.progress()

    def cancel(self) -> None:
        """Stop what runs, here or there."""
        self.inner.cancel()
        if self._con is not None:
            self._con.interrupt()

    def close(self) -> None:
        """Let go."""
        try:
            self.inner.close()
        finally:
            if self._snapshot is not None:
                self._catalog.release(self._snapshot)
                self._snapshot = None
            if self._con is not None:
                self._con.close()

    def describe(self) -> Database | None:
        """What the engine inside tells."""
        return self.inner.describe()

    def __getattr__(self, name: str) -> Any:
        # what an engine offers beyond the interface is still there
        return getattr(self.inner, name)

    # What statements call

    @property
    def state(self) -> object:
        """Stays the same object as long as a catalog query has the same answer."""
        return self._snapshot

    def changed(self) -> None:
        """A statement that may have changed the objects has run."""
        if self._in_block:
            self._changed_in_block = True
            self._own += 1
        else:
            self._catalog.changes += 1

    def transaction_number(self) -> int:
        """The number of the transaction; a statement outside a block is one of its own."""
        number = self._number if self._number is not None else next(self._catalog.transactions)
        self._number = number if self._in_block else None
        return number

    def _ended(self) -> None:
        self._in_block, self._number = False, None
        if self._changed_in_block:
            self._changed_in_block = False
            self._catalog.changes += 1

    def connection(self, wanted: Rewritten) -> duckdb.DuckDBPyConnection:
        """The private database as this session sees it, with everything that a query reads."""
        store = builtin.store()
        if self._con is None:
            self._con = store.root.cursor()
        self._refresh()
        assert self._snapshot is not None
        names = set(wanted.relations)
        for view in wanted.views:
            names |= store.view(view)
        self._snapshot.ensure(names)
        for name in names & (LIVE | LOOKED_UP):
            self._live.fill(self._con, name)
        return self._con

    def require(self, names: Iterable[str]) -> None:
        """Have these catalogs ready too, for the query that is being answered."""
        assert self._snapshot is not None
        self._snapshot.ensure(names)

    def _refresh(self) -> None:
        """Take the snapshot of what the session sees now."""
        own = (id(self), self._own) if self._changed_in_block else ()
        path = self._live.search_path()
        refresh = self._catalog.refresh
        seen = (self._catalog.changes, own, self.database, path)
        stale = refresh is not None and time.monotonic() - self._asked > refresh
        if self._snapshot is not None and seen == self._seen and not stale:
            return
        described = self.inner.describe() or Database()
        self._asked = time.monotonic()
        effective = _path(described, path)
        key = (*seen, self.user, _told(described)) if refresh is not None else (*seen, self.user, "")
        snapshot = self._catalog.snapshot(key, described, name=self.database, user=self.user, path=effective)
        if self._snapshot is not None:
            self._catalog.release(self._snapshot)
        self._snapshot, self._seen = snapshot, seen
        assert self._con is not None
        self._con.execute(f"SET search_path = '{snapshot.schema},{builtin.SCHEMA},main'")
        for name, value in self._variables(snapshot, described, effective).items():
            self._con.execute(f"SET VARIABLE {name} = ?", [value])
        snapshot.ensure(["pg_authid"])
        for name, columns in (("febe_roles", "list(rolname), list(oid)"),
                              ("febe_role_names", "list(oid), list(rolname)")):
            self._con.execute(f"SET VARIABLE {name} = (SELECT map({columns}) FROM pg_authid)")

    def _variables(self, snapshot: Snapshot, described: Database, path: list[str]) -> dict[str, object]:
        return {
            "febe_user": self.user, "febe_database": self.database, "febe_database_oid": snapshot.database_oid,
            "febe_database_size": described.size or 0, "febe_writable": described.writable,
            "febe_path": path, "febe_path_all": ["pg_catalog", *path],
            "febe_version": f"PostgreSQL {SERVER_VERSION}", "febe_started": self._catalog.started,
            "febe_pid": self._live.process_id(),
        }


class _Changing(Prepared):
    """A statement after which the objects may be others."""

    def __init__(self, session: CatalogSession, prepared: Prepared) -> None:
        self._session = session
        self._prepared = prepared
        self.parameters = prepared.parameters
        self.columns = prepared.columns
        self.writes = prepared.writes
        self.together = prepared.together

    def execute(self, values: Sequence[Any]) -> Result:
        """Run it."""
        try:
            return self._prepared.execute(values)
        finally:
            self._session.changed()

    def close(self) -> None:
        """Forget it."""
        self._prepared.close()


def _rewritten(sql: str) -> Rewritten:
    """A query that differs from one before in the OIDs it names is rewritten as that one was."""
    numbers = list(dict.fromkeys(_OID.findall(sql)))
    if not numbers or _STAND_IN in sql:
        return _learned(sql)
    stand_ins = {number: f"{_STAND_IN}{i:02}" for i, number in enumerate(numbers[:100])}
    found = _learned(_OID.sub(lambda one: f"'{stand_ins.get(one[1], one[1])}'", sql))
    text = found.sql
    for number, stand_in in stand_ins.items():
        text = text.replace(stand_in, number)
    return replace(found, sql=text)


@lru_cache(512)
def _learned(sql: str) -> Rewritten:
    return rewrite(sql)


def _told(described: Database) -> str:
    return repr(described)


def _path(described: Database, wanted: tuple[str, ...] | None) -> list[str]:
    """The schemas looked through, of those that there are."""
    there = {schema.name for schema in described.schemas}
    if wanted is None:
        return [name for name in described.search_path if name in there]
    return [name for name in wanted if name in there and name != "pg_catalog"]

