"""What this engine asks of the duckdb package, where its versions differ.

DuckDB 2's client binds any statement without running it and streams with parameters at a chosen batch size, through the
entry points its own relations use.  Where they are missing (1.x, or a later version that renames them), the public
relation API does the same for what it can, and the rest is told apart by the statement's type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

Connection = duckdb.DuckDBPyConnection
HAS_BIND = hasattr(Connection, "_bind")
HAS_SUBMIT = hasattr(Connection, "_submit")


@dataclass(slots=True, kw_only=True)
class Signature:
    """What the binder says about a statement: columns (None when it returns no rows) and parameters by number."""

    names: list[str] | None
    types: list[str] | None
    parameters: dict[int, str] = field(default_factory=dict)
    writes: bool = False


def kind(statement: duckdb.Statement) -> str:
    """The statement's type by name, such as SELECT or MERGE_INTO; "" for one the client package has no name for."""
    try:
        return str(statement.type.name)
    except ValueError:
        return ""


def bind(con: Connection, sql: str, values: Mapping[int, Any] | None = None) -> Signature | None:
    """The statement's signature, nothing executed; None where this version of DuckDB cannot say.

    With `values` the parameters have the types of these, else those that DuckDB infers.
    """
    if not HAS_BIND:
        return None
    named = _named(values) if values else None
    names, types, parameters, returns, _, writes = con._bind(sql, with_writes=True, values=named)
    found = {int(name): str(duckdb_type) for name, duckdb_type in parameters if name.isdigit()}
    if returns != "query_result":
        return Signature(names=None, types=None, parameters=found, writes=writes)
    return Signature(names=list(names), types=[str(t) for t in types], parameters=found, writes=writes)


def located(con: Connection, sql: str, text: str) -> tuple[str, str]:
    """The text of a binder's error with the place it points at, and the SQL it points into.

    `bind` leaves the place out; the commands that bind and do not run tell it.  The text is as it was where they do not
    say the same, as when an open result holds the connection.
    """
    for prefix in ("EXPLAIN ", "PREPARE febe_located AS "):
        try:
            con.execute(prefix + sql)
        except duckdb.Error as error:
            if str(error).startswith(text) and "\nLINE " in str(error):
                return str(error), prefix
    return text, ""


def bind_query(con: Connection, sql: str) -> Signature:
    """The signature of a SELECT without parameters; a relation over one is lazy in every version."""
    signature = bind(con, sql)
    if signature is not None:
        return signature
    relation = con.sql(sql)
    return Signature(names=list(relation.columns), types=[str(t) for t in relation.types])


def bind_without_help(con: Connection, kind: str, sql: str) -> Signature:
    """The signature of any statement without parameters, where `bind` cannot say.

    Of INSERT, UPDATE and DELETE with RETURNING the columns are those of a query of the same list over the table.  What
    CALL, PRAGMA and EXPLAIN return is known only by running them; the first two may only be such as read, and EXPLAIN
    returns two texts.
    """
    if kind == "SELECT":
        return bind_query(con, sql)
    if kind in ("CALL", "PRAGMA"):
        relation = con.sql(sql)
        if relation is None:
            return Signature(names=None, types=None)
        return Signature(names=list(relation.columns), types=[str(t) for t in relation.types])
    if kind == "EXPLAIN":
        return Signature(names=["explain_key", "explain_value"], types=["VARCHAR", "VARCHAR"])
    query = returning_query(sql) if kind in ("INSERT", "UPDATE", "DELETE") else None
    return bind_query(con, query) if query else Signature(names=None, types=None, writes=True)


def returning_query(sql: str) -> str | None:
    """A query with the columns of a statement's RETURNING; None when it has none."""
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    returning = tree.args.get("returning")
    if returning is None:
        return None
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return exp.select(*returning.expressions).from_(target.copy()).sql(dialect="duckdb")


def stream(con: Connection, sql: str, values: Mapping[int, Any], rows: int) -> object:
    """Start a query; the capsule of its Arrow stream (Arrow PyCapsule interface)."""
    if HAS_SUBMIT:
        return con._submit(sql, _named(values) or None, "stream", rows).arrow_capsule()
    if values:
        # with parameters a 1.x relation is computed at once; the result of execute() streams
        executed: Any = con.execute(sql, _named(values))
        return executed.fetch_record_batch(rows).__arrow_c_stream__()
    return con.sql(sql).fetch_arrow_reader(rows).__arrow_c_stream__()


def few(con: Connection, statement: duckdb.Statement, values: Mapping[int, Any], most: int,
        ) -> tuple[list[tuple[Any, ...]] | None, list[tuple[Any, ...]]]:
    """Run a query and give its rows as Python values, None when there are more than `most`; and its description.

    Without all rows the result is open: `let_go`.
    """
    con.execute(statement, _named(values) if values else None)
    description = con.description or []
    rows: list[tuple[Any, ...]] = con.fetchmany(most + 1)
    return rows if len(rows) <= most else None, description


def let_go(con: Connection) -> None:
    """Forget what is left of the result of `few`; 1.x does so by itself when the next statement runs."""
    if hasattr(con, "abort"):
        con.abort()


def relation(con: Connection, sql: str, values: Mapping[int, Any]) -> duckdb.DuckDBPyRelation:
    """Run a statement that is no query, to its end, and hold the rows it returns."""
    found = con.sql(sql, params=_named(values)) if values else con.sql(sql)
    assert found is not None
    return found


def count(con: Connection, sql: str, values: Mapping[int, Any]) -> int | None:
    """Run a statement without rows; the number of rows it changed, None for one that does not say."""
    con.execute(sql, _named(values) or None)
    row = con.fetchone() if con.description else None
    return row[0] if row and isinstance(row[0], int) and not isinstance(row[0], bool) else None


def _named(values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(number): value for number, value in values.items()}
