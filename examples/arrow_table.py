"""A result as an Arrow table for whoever speaks Arrow, its columns as numpy arrays, and the table into COPY:
`python arrow_table.py CONNINFO`."""

from __future__ import annotations

import sys

import duckdb
import pandas
import polars
import pyarrow

import febe

SQL = "select i, i * 0.5::float8 as half, 'row ' || i as name from generate_series(1, $1::int4) as i"


def main(conninfo: str) -> None:
    with febe.connect(conninfo) as connection:
        result = connection.fetch_arrow(SQL, 1000)
        table = pyarrow.table(result)
        print(table.schema.names, table.num_rows, table["name"][-1])
        print(polars.DataFrame(result)["half"].sum(), pandas.DataFrame.from_arrow(result)["half"].mean())
        print(duckdb.sql("select count(*), max(name) from result").fetchall())

        columns = connection.fetch_numpy(SQL, 1000)
        print(columns["half"].dtype, columns["half"].sum())

        connection.execute("create temporary table halves (name text, i int4, half float8)")
        print(connection.copy_in("halves", table), connection.fetchval("select sum(half) from halves"))


if __name__ == "__main__":
    main(sys.argv[1])
