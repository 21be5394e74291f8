"""DuckDB as an engine: in memory, a database file, or Parquet, CSV, JSON and Arrow files as tables."""

from febe.engines.duckdb.engine import DuckDBEngine
from febe.engines.duckdb.session import DuckDBSession
from febe.engines.duckdb.sources import Source, SourceError

__all__ = ["DuckDBEngine", "DuckDBSession", "Source", "SourceError"]
