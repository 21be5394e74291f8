"""What a subscription asks a publisher in SQL, and the answers (subscriptioncmds.c, tablesync.c)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from febe.protocol.copy import CopyData, CopyDone, CopyOutResponse
from febe.protocol.lsn import format_lsn
from febe.protocol.simple import CommandComplete
from febe.publish.publication import Chosen, names_in
from febe.publish.table import Table
from febe.server.engine import EngineError

if TYPE_CHECKING:
    from febe.publish.session import PublisherSession

_NAME = r'("(?:[^"]|"")*"|\w+)'
_COPY = re.compile(rf"COPY {_NAME}\.{_NAME}(?: \((.*?)\))? TO STDOUT( WITH \(FORMAT binary\))?$", re.DOTALL)
_IN = re.compile(r"pubname IN \(((?:[^')]|'(?:[^']|'')*')*)\)")
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_RELID = re.compile(r"(?:attrelid|gpt\.relid) = (\d+)")


class Queries:
    """The queries of one connection; it remembers which publications it was asked about last."""

    def __init__(self, session: PublisherSession) -> None:
        self._session = session
        self._names: list[str] | None = None

    async def answer(self, sql: str) -> None:
        """Answer one.  Errors: EngineError."""
        session = self._session
        self._remember(sql)
        for start, answer in _ANSWERS.items():
            if sql.startswith(start):
                answer(self, sql)
                return
        if "pg_catalog.set_config(" in sql:
            session.rows(("set_config",), [("",)])
        elif "pg_is_in_recovery()" in sql and "pg_replication_slots" not in sql:
            session.rows(("pg_is_in_recovery",), [("f",)])
        elif sql.startswith("COPY "):
            await self._copy(sql)
        else:
            raise EngineError("this publisher answers what a subscription asks, and nothing else", sqlstate="0A000")

    def _remember(self, sql: str) -> None:
        listed = _IN.search(sql)
        if listed is not None:
            self._names = [name.replace("''", "'") for name in _LITERAL.findall(listed[1])]

    @property
    def _chosen(self) -> Chosen:
        """Those asked about, as far as they are there: a subscription only warns of one that is not."""
        publisher = self._session.publisher
        names = publisher.publications if self._names is None else self._names
        return publisher.chosen([name for name in names if name in publisher.publications])

    def _published(self) -> list[Table]:
        chosen = self._chosen
        return [table for table in self._session.publisher.current() if chosen.has(table.oid)]

    def _asked(self, sql: str) -> Table | None:
        match = _RELID.search(sql)
        return self._session.publisher.tables.get(int(match[1])) if match else None

    # The answers

    def _begin(self, sql: str) -> None:
        self._session.in_block = True
        self._session.say(CommandComplete(tag="BEGIN"))

    def _end(self, sql: str) -> None:
        self._session.in_block = False
        self._session.thaw()
        self._session.say(CommandComplete(tag=sql))

    def _publications(self, sql: str) -> None:
        there = self._session.publisher.publications
        self._session.rows(("pubname",), [(name,) for name in self._names or () if name in there])

    def _nothing(self, sql: str) -> None:
        self._session.rows(("pubname",), [])  # nothing here came from elsewhere

    def _tables(self, sql: str) -> None:
        chosen = self._chosen
        self._session.rows(("nspname", "relname", "attrs"), [
            (table.schema, table.name, _attributes(chosen.columns(table.oid) or range(len(table.columns))))
            for table in self._published()])

    def _relation(self, sql: str) -> None:
        self._session.rows(("oid", "relreplident", "relkind"), [
            (str(table.oid), table.identity, "r") for table in self._session.publisher.current()
            if f"n.nspname = {_literal(table.schema)} " in sql and sql.endswith(f"c.relname = {_literal(table.name)}")])

    def _list(self, sql: str) -> None:
        table, chosen = self._asked(sql), self._chosen
        if table is None or not chosen.has(table.oid):
            self._session.rows(("attrs",), [])
            return
        places = chosen.columns(table.oid)
        self._session.rows(("attrs",), [(None if places is None else _attributes(places),)])

    def _columns(self, sql: str) -> None:
        table = self._asked(sql)
        generated = ("f",) if "a.attgenerated != ''" in sql else ()
        self._session.rows(("attnum", "attname", "atttypid", "key", *("generated" for _ in generated)), [
            (str(place + 1), column, str(table.types[place]), "t" if place in table.key else "f", *generated)
            for place, column in enumerate(table.columns)] if table else [])

    def _slot(self, sql: str) -> None:
        name = _LITERAL.search(sql)
        slot = self._session.publisher.store.slot(name[1].replace("''", "'")) if name else None
        self._session.rows(("confirmed_flush_lsn", "wal_status"),
                           [] if slot is None else [(format_lsn(slot.confirmed), "reserved")])

    def _filter(self, sql: str) -> None:
        # conditions are not SQL here: rows are left out on this side
        self._session.rows(("pg_get_expr",), [(None,)])

    async def _copy(self, sql: str) -> None:
        session = self._session
        match = _COPY.match(sql)
        table = None if match is None else next(
            (table for table in self._published() if [table.schema, table.name] == names_in(f"{match[1]},{match[2]}")),
            None)
        if match is None or table is None:
            raise EngineError("no such table is published", sqlstate="42P01")
        try:
            places = [table.columns.index(name) for name in names_in(match[3])] if match[3] is not None \
                else list(range(len(table.columns)))
        except ValueError:
            raise EngineError(f'a column of "{table.full_name}" does not exist', sqlstate="42703") from None
        binary = match[4] is not None
        held = session.frozen
        snapshot = held if held is not None else await asyncio.to_thread(session.publisher.snapshot)
        try:
            pieces = snapshot.pieces(table, places, binary, self._chosen)
            session.say(CopyOutResponse(format=int(binary), column_formats=[int(binary)] * len(places)))
            count = 0
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                data, rows = piece
                count += rows
                if data:
                    session.conversation.say_run(CopyData, data)
                await session.conversation.deliver()
        finally:
            if held is None:
                snapshot.close()
        session.say(CopyDone(), CommandComplete(tag=f"COPY {count}"))


_ANSWERS: dict[str, Callable[[Queries, str], None]] = {
    "BEGIN": Queries._begin, "START TRANSACTION": Queries._begin, "COMMIT": Queries._end, "ROLLBACK": Queries._end,
    "SELECT t.pubname FROM": Queries._publications, "SELECT DISTINCT P.pubname AS pubname": Queries._nothing,
    "SELECT DISTINCT n.nspname, c.relname, gpt.attrs": Queries._tables,
    "SELECT c.oid, c.relreplident, c.relkind": Queries._relation,
    "SELECT DISTINCT  (CASE WHEN (array_length(gpt.attrs": Queries._list, "SELECT a.attnum,": Queries._columns,
    "SELECT DISTINCT pg_get_expr(gpt.qual": Queries._filter,
    # febe.replication's own
    "SELECT confirmed_flush_lsn, wal_status": Queries._slot}


def _attributes(places: range | tuple[int, ...]) -> str:
    """Attribute numbers, as int2vector has them."""
    return " ".join(str(place + 1) for place in places)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


__all__ = ["Queries"]
