"""How changes of DuckDB's tables are captured: triggers write them into a table of the same database, in the same
transaction, so that they are committed with what they tell or not at all.

A change is a row of `febe_publish.changes`: the number of the statement that made it, its rank within that (deletes
before updates before inserts, as keys may have changed hands), the relation's number, and the row before and after as
the texts that PostgreSQL reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from febe.engines.duckdb.sources import literal, quoted
from febe.engines.duckdb.types import announced
from febe.server.sql import Token, TokenKind, tokens

SCHEMA = "febe_publish"
TABLES = f"""
create schema if not exists {SCHEMA};
create sequence if not exists {SCHEMA}.statement;
create sequence if not exists {SCHEMA}.relation start 16384;
create table if not exists {SCHEMA}.changes (statement bigint, rank tinyint, relation bigint, before varchar[],
                                             after varchar[]);
create table if not exists {SCHEMA}.relations (relation bigint, schema varchar, name varchar, columns varchar[],
                                               types varchar[], key varchar[]);
create table if not exists {SCHEMA}.identity as select uuid() as id"""
TRUNCATE, DELETE, UPDATE, INSERT = 0, 1, 2, 3
"""Ranks."""
_EVENTS = ("insert", "update", "delete")
_NUMBER = f"(select nextval('{SCHEMA}.statement') as number) as febe_statement"
_INTO = f"insert into {SCHEMA}.changes select febe_statement.number"
_INTO = f"insert into {SCHEMA}.changes select febe_statement.number"
_MOMENTS = ("DATE", "TIMESTAMP")


@dataclass(slots=True, frozen=True, kw_only=True)
class Shape:
    """A table as it is: names, DuckDB's types, and the columns of its primary key."""

    schema: str
    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def cells(self, row: str, chosen: Sequence[str] | None = None) -> str:
        """A row of this table as a list of texts, with NULL for columns that are not chosen."""
        return "[" + ", ".join(
            text_of(f"{row}.{quoted(column)}", kind) if chosen is None or column in chosen else "null"
            for column, kind in zip(self.columns, self.types, strict=True)) + "]::varchar[]"

    def same_key(self, one: str, other: str) -> str:
        """The condition that two rows have the same key."""
        return " and ".join(f"{one}.{quoted(column)} = {other}.{quoted(column)}" for column in self.key)


def text_of(value: str, kind: str) -> str:
    """A value of a DuckDB type as the text that PostgreSQL reads for the type that it is announced as."""
    if kind.endswith("]") and announced(kind).type_oid != announced("STRUCT").type_oid:
        element = kind[:kind.rindex("[")]
        inner = text_of("febe_element", element)
        escaped = f"replace(replace({inner}, '\\', '\\\\'), '\"', '\\\"')"
        texts = (f"list_transform(CAST({value} AS {element}[]), lambda febe_element: CASE WHEN febe_element IS NULL "
                 f"THEN 'NULL' ELSE '\"' || {escaped} || '\"' END)")
        return f"('{{' || array_to_string({texts}, ',') || '}}')"
    if kind == "BLOB":
        return f"('\\x' || lower(hex({value})))"
    if kind.startswith(_MOMENTS):
        wanted = announced(kind).expression
        return f"replace(CAST({wanted.format(value) if wanted else value} AS VARCHAR), '(BC)', 'BC')"
    return f"CAST({value} AS VARCHAR)"


def trigger(relation: int, event: str) -> str:
    """The name of a table's trigger."""
    return f"{SCHEMA}_{relation}_{event}"


def hooks(shape: Shape, relation: int) -> list[str]:
    """The statements that have a table's changes captured."""
    bodies = {"insert": f"{_INTO}, {INSERT}, {relation}, null, {shape.cells('febe_new')} from febe_new, {_NUMBER}"}
    if shape.key:
        bodies["update"] = compared(shape, relation, "febe_old", "febe_new")
        bodies["delete"] = (f"{_INTO}, {DELETE}, {relation}, {shape.cells('febe_old', shape.key)}, null "
                            f"from febe_old, {_NUMBER}")
    else:
        for event, doing in (("update", "update"), ("delete", "delete from")):
            bodies[event] = (f"{_INTO}, 0, 0, null, error({literal(no_identity(doing, shape.name))}) "
                             f"from (from febe_old limit 1) as febe_first, {_NUMBER}")
    new, old = "new table as febe_new", "old table as febe_old"
    seen = {"insert": new, "update": f"{new} {old}", "delete": old}
    return [f"create trigger {quoted(trigger(relation, event))} after {event} on {shape.full_name} "
            f"referencing {seen[event]} for each statement {body}" for event, body in bodies.items()]


def compared(shape: Shape, relation: int, before: str, after: str) -> str:
    """Write down what makes the rows `after` of `before`: rows are the same ones when their keys are."""
    first = quoted(shape.key[0])
    return (f"{_INTO}, case when febe_old.{first} is null then {INSERT} "
            f"when febe_new.{first} is null then {DELETE} else {UPDATE} end, {relation}, "
            f"case when febe_new.{first} is null then {shape.cells('febe_old', shape.key)} end, "
            f"case when febe_new.{first} is not null then {shape.cells('febe_new')} end "
            f"from {after} as febe_new full join {before} as febe_old on {shape.same_key('febe_new', 'febe_old')}, "
            f"{_NUMBER}")


def differing(shape: Shape, relation: int, before: str) -> list[str]:
    """Write down what makes a whole table of a copy of what it was: rows that are gone, then those that are new.

    A row that was updated is both.  It may look updated and be new: its transaction still sees the row of that key that
    another one has deleted meanwhile.
    """
    same = f"{shape.same_key('febe_new', 'febe_old')} and febe_new is not distinct from febe_old"
    return [f"{_INTO}, {DELETE}, {relation}, {shape.cells('febe_old', shape.key)}, null from {before} as febe_old "
            f"anti join {shape.full_name} as febe_new on {same}, {_NUMBER}",
            f"{_INTO}, {INSERT}, {relation}, null, {shape.cells('febe_new')} from {shape.full_name} as febe_new "
            f"anti join {before} as febe_old on {same}, {_NUMBER}"]


def existing(shape: Shape, relation: int) -> str:
    """Write down all rows of a table as new ones."""
    return (f"{_INTO}, {INSERT}, {relation}, null, {shape.cells('febe_new')} "
            f"from {shape.full_name} as febe_new, {_NUMBER}")


def truncated(relation: int) -> str:
    """Write down that a table was emptied."""
    return f"{_INTO}, {TRUNCATE}, {relation}, null, null from {_NUMBER}"


def no_identity(doing: str, name: str) -> str:
    """PostgreSQL's words (execReplication.c, CheckCmdReplicaIdentity)."""
    verb = {"update": "updates", "delete from": "deletes"}[doing]
    return f'cannot {doing} table "{name}" because it does not have a replica identity and publishes {verb}'


# Statements that DuckDB does not run on tables with triggers, or whose triggers would not tell what was done

def is_merge(kind: str, sql: str) -> bool:
    """Whether rows that are there may become others by an INSERT or MERGE (DuckDB: "not supported with triggers")."""
    if kind == "MERGE_INTO":
        return True
    if kind != "INSERT":
        return False
    found = tokens(sql)
    return any((one.is_word("OR") and other.is_word("REPLACE")) or (one.is_word("DO") and other.is_word("UPDATE"))
               for one, other in pairwise(found))


def target(sql: str) -> list[str]:
    """The name of the table that an INSERT, MERGE, TRUNCATE or ALTER TABLE is about, in its parts."""
    found = tokens(sql)
    first = found[0]
    if first.is_word("TRUNCATE"):
        start = 2 if found[1].is_word("TABLE") else 1
    elif first.is_word("ALTER"):
        start = 2
    else:
        start = _after_into(found)
    if len(found) > start + 1 and found[start].is_word("IF"):
        start += 2
    parts = list[str]()
    for place, token in enumerate(found[start:]):
        if place % 2:
            if token.text != ".":
                break
        elif token.kind in (TokenKind.WORD, TokenKind.QUOTED):
            parts.append(token.value)
    return parts


def _after_into(found: Sequence[Token]) -> int:
    depth = 0
    for place, token in enumerate(found):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if not depth and token.is_word("INTO"):
            return place + 1
    return len(found)


__all__ = ["DELETE", "INSERT", "SCHEMA", "TABLES", "TRUNCATE", "UPDATE", "Shape", "compared", "differing", "existing",
           "hooks", "is_merge", "no_identity", "target", "text_of", "trigger", "truncated"]
