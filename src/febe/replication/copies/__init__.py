"""Copies of a publication's tables that outlive the program: what was applied and the position it was applied up to
are kept together, so that a program that is killed goes on without a loss or a duplicate.

    copy = DuckDBCopy("copy.duckdb", slot="copy")
    follow(copy, dsn, slot="copy", publication="shop")
"""

from febe.replication.copies.base import Copy, follow
from febe.replication.copies.duckdb import DuckDBCopy
from febe.replication.copies.parquet import ParquetCopy

__all__ = ["Copy", "DuckDBCopy", "ParquetCopy", "follow"]
