"""Bulk fetch of kinds of values that cost something: numerics, arrays, long byteas, a scan of the catalog."""

from __future__ import annotations

from .fetch import CONTENDERS
from .harness import Measurement, Row

PEERS = ("asyncpg", "psycopg binary", "psycopg2", "pg8000")
_CONTENDERS = {name: CONTENDERS[name] for name in ("febe", *PEERS)}

# Words, table, columns, rows.
SHAPES = (
    ("3 numeric columns", "numerics", 3, 500_000),
    ("int4[100]", "arrays", 1, 20_000),
    ("text[100]", "words", 1, 20_000),
    ("1 kB bytea", "blobs", 1, 100_000),
    ("12 columns of pg_type", "types", 12, 100_000),
)

TABLES = {
    "numerics": "select (i * 1.01)::numeric(20,2) as a, (i * 7.123456)::numeric(20,6) as b, i * 12345678.9 as c"
                " from generate_series(1, {rows}) as i",
    "arrays": "select (select array_agg(j * (i % 1000)) from generate_series(1, 100) as j) as a"
              " from generate_series(1, {rows}) as i",
    "words": "select (select array_agg('word ' || j) from generate_series(1, 100) as j) as a"
             " from generate_series(1, {rows}) as i",
    "blobs": "select convert_to(repeat('x', 1024), 'UTF8') as a from generate_series(1, {rows}) as i",
    "types": "select typname, typnamespace, typowner, typlen, typbyval, typcategory, typispreferred, typisdefined,"
             " typdelim, typrelid, typelem, typarray from pg_type, generate_series(1, 1000) limit {rows}",
}


def _measurement(shape: str, table: str, columns: int, rows: int) -> Measurement:
    name = f"fetch {shape} x {rows:,}"
    wanted = dict.fromkeys(PEERS, 1.0)
    return Measurement(
        name=name, contenders=_CONTENDERS,
        settings={"table": table, "columns": columns, "rows": rows, "sql": f"select * from {table}"},
        rows=[Row(name=name, ours="febe", against=wanted, figure="wall", unit="s"),
              Row(name=f"{name}, client CPU", ours="febe", against=wanted, figure="cpu per row", unit="ns/row")])


MEASUREMENTS = [_measurement(*shape) for shape in SHAPES]
