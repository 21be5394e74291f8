"""Money moves between accounts in serializable transactions, which are run again when they collide:
`python transfer_with_retry.py CONNINFO`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import febe.aio


async def main(conninfo: str) -> None:
    async with febe.aio.Pool(conninfo, max_size=4) as pool:
        await pool.execute("drop table if exists febe_accounts; create table febe_accounts (id int4, balance int8); "
                           "insert into febe_accounts values (1, 100), (2, 100)")

        async def move(connection: febe.aio.Connection[Any]) -> None:
            balance = await connection.fetchval("select balance from febe_accounts where id = 1")
            await connection.execute("update febe_accounts set balance = $1 where id = 1", balance - 5)
            await connection.execute("update febe_accounts set balance = balance + 5 where id = 2")

        async def client() -> None:
            async with pool.acquire() as connection:
                await febe.aio.retry(connection, move, isolation="serializable", attempts=100)

        await asyncio.gather(*(client() for _ in range(8)))
        print(await pool.fetch("select id, balance from febe_accounts order by id"))
        await pool.execute("drop table febe_accounts")


if __name__ == "__main__":
    febe.aio.run(main(sys.argv[1]))
