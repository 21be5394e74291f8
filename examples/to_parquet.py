"""A query's rows to a Parquet file, batch by batch and without a Python object for a value:
`python to_parquet.py CONNINFO FILE`."""

from __future__ import annotations

import sys

import pyarrow
import pyarrow.parquet

import febe

SQL = "select n as id, n::text as name, n * 0.5::float8 as half from generate_series(1, $1::int4) n"


def main(conninfo: str, path: str) -> None:
    with febe.connect(conninfo) as connection, connection.stream_arrow(SQL, 100_000, size=20_000) as tables:
        writer = None
        for table in map(pyarrow.table, tables):
            writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()
    found = pyarrow.parquet.read_table(path)
    print(found.num_rows, found.column_names, found.column("half")[99_999])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
