"""pg-mimic: `constant` answers 1 to everything; `duckdb FILE` answers from a DuckDB database."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pg_mimic


class Constant(pg_mimic.Session):
    async def describe(self, sql: str, param_oids: Any) -> list[pg_mimic.ResultColumn]:
        return [pg_mimic.ResultColumn("?column?", pg_mimic.INT4)]

    async def query(self, sql: str, params: Any) -> list[tuple[int]]:
        return [(1,)]


def duckdb_session(path: str) -> type[pg_mimic.Session]:
    import duckdb

    database = duckdb.connect(path, read_only=True)
    oids = {"INTEGER": pg_mimic.INT4, "VARCHAR": pg_mimic.TEXT}

    class Duck(pg_mimic.Session):
        def __init__(self) -> None:
            super().__init__()
            self.cursor = database.cursor()

        async def describe(self, sql: str, param_oids: Any) -> list[pg_mimic.ResultColumn]:
            relation = self.cursor.sql(sql)
            return [pg_mimic.ResultColumn(name, oids[str(kind)])
                    for name, kind in zip(relation.columns, relation.types, strict=True)]

        async def query(self, sql: str, params: Any) -> Iterator[tuple[Any, ...]]:
            self.cursor.execute(sql)
            return (row for batch in iter(lambda: self.cursor.fetchmany(10_000), []) for row in batch)

    return Duck


async def main() -> None:
    session = Constant if sys.argv[1] == "constant" else duckdb_session(sys.argv[2])
    server = pg_mimic.PgServer(session_factory=session)
    await server.start_server(host="127.0.0.1", port=0)
    print("port", server.sockets()[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
