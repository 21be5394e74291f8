"""The tables of a publication as they were when a slot was created: what comes before the first change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from febe._kernel.row import Row
from febe.protocol.replication_commands import quote_name, quote_text
from febe.replication.changes import Column, Insert, Relation

if TYPE_CHECKING:
    from febe.client.asynchronous import Connection

ROWS = 2000
"""Rows fetched at a time."""

_TABLES = """
select c.oid::int8, n.nspname::text, c.relname::text, c.relreplident::text, p.attnames::text[]{columns}
from pg_catalog.pg_publication_tables p join pg_catalog.pg_namespace n on n.nspname = p.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
where p.pubname = any (string_to_array({names}, ',')) order by 2, 3"""
_NAMES = """
select a.attname::text, a.atttypid::int8, a.atttypmod, t.typname::text, coalesce(a.attnum = any (i.indkey), false)
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_index i on i.indexrelid = pg_get_replica_identity_index({oid}::oid)
where a.attrelid = {oid}::oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum"""


class Table:
    """One table to copy, and the rows of it that are published."""

    def __init__(self, relation: Relation, condition: str | None) -> None:
        self.relation = relation
        self.condition = condition

    @property
    def query(self) -> str:
        """The rows."""
        columns = ", ".join(map(quote_name, self.relation.names))
        where = f" where {self.condition}" if self.condition else ""
        return (f"select {columns} from {quote_name(self.relation.schema)}.{quote_name(self.relation.name)}{where}")


async def tables(connection: Connection[Row], publications: Sequence[str], major: int) -> list[Table]:
    """What is published, with column lists and row filters where the server has them (15)."""
    found: dict[int, Table] = {}
    names = quote_text(",".join(publications))
    sql = _TABLES.format(names=names, columns=", p.rowfilter" if major >= 15 else "")
    if major < 15:
        sql = sql.replace("p.attnames::text[]", "null::text")
    # numbers and booleans are texts where the program wants all values so
    for told, schema, name, identity, listed, *condition in await connection.fetch(sql):
        oid = int(told)
        if oid in found:
            # published twice: a row that either condition admits is published
            earlier = found[oid].condition
            found[oid].condition = f"({earlier}) or {condition[0]}" if earlier and condition and condition[0] else None
            continue
        chosen = None if listed is None else set(_names(listed))
        columns = tuple(
            Column(name=column, type_oid=int(type_oid), type_modifier=int(modifier), type_name=type_name,
                   is_key=key in (True, "t") or identity == "f")
            for column, type_oid, modifier, type_name, key in await connection.fetch(_NAMES.format(oid=oid))
            if chosen is None or column in chosen)
        found[oid] = Table(Relation(oid=oid, schema=schema, name=name, replica_identity=identity, columns=columns),
                           condition[0] if condition else None)
    return list(found.values())


def _names(listed: object) -> Sequence[str]:
    if isinstance(listed, str):  # an array in text, where arrays are not decoded
        return [name.strip('"') for name in listed.strip("{}").split(",")]
    assert isinstance(listed, list | tuple)
    return listed


async def rows(connection: Connection[Row], table: Table) -> AsyncIterator[list[Insert]]:
    """The rows, some at a time."""
    # A name for each table: the client keeps statements by their text, and FETCH is described once.
    cursor = f"febe_snapshot_{table.relation.oid}"
    await connection.execute(f"declare {cursor} no scroll cursor for {table.query}")
    while found := await connection.fetch(f"fetch forward {ROWS} from {cursor}"):
        yield [Insert(table.relation, row, None) for row in found]
    await connection.execute(f"close {cursor}")


__all__ = ["Table", "rows", "tables"]
