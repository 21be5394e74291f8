"""The asyncio client: two connections at work at the same time.

    python examples/client_asyncio.py [postgresql://user@host:port/database]
"""

import asyncio
import sys

import febe.aio


async def count(connection: febe.aio.Connection, limit: int) -> int:
    total: int = await connection.fetchval("select sum(n)::int8 from generate_series(1, $1::int4) as t(n)", limit)
    return total


async def main(conninfo: str) -> None:
    async with await febe.aio.connect(conninfo) as one, await febe.aio.connect(conninfo) as two:
        print(await asyncio.gather(count(one, 1000), count(two, 100_000)))
        # Requests of several tasks on one connection take turns.
        print(await asyncio.gather(*(count(one, n) for n in range(1, 6))))


if __name__ == "__main__":
    # uvloop's loop where it is installed
    febe.aio.run(main(*sys.argv[1:2] or ["postgresql://demo@127.0.0.1:5433/demo"]))
