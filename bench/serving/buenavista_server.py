"""buenavista on a DuckDB database: its own example server, on a free port."""

import sys

import duckdb
from buenavista.examples.duckdb_postgres import create

server = create(duckdb.connect(sys.argv[1], read_only=True), ("127.0.0.1", 0))
print("port", server.server_address[1], flush=True)
server.serve_forever()
