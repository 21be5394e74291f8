"""Load, check and take over in one flight, without a transaction block: COPY, statements and a stream of what was
refused share one fate.

`python staged_load.py CONNINFO`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

import febe.aio


async def load(connection: febe.aio.Connection[febe.Row], readings: Iterable[tuple[int, float]]) -> tuple[int, int]:
    """Take over what can be true; tells how many readings were taken and how many were not."""
    refused = 0
    async with connection.pipeline() as pipeline:
        pipeline.execute("create temp table staged (sensor int4, celsius float8) on commit drop")
        await pipeline.copy_in("staged", readings)
        taken = pipeline.execute("insert into reading select * from staged where celsius > $1", -273.15)
        async with pipeline.stream("select sensor from staged where celsius <= $1", -273.15, size=500) as batches:
            async for batch in batches:  # in bounded memory, however much it is
                refused += len(batch)
    return taken.result().rowcount or 0, refused


async def main(conninfo: str) -> None:
    async with await febe.aio.connect(conninfo) as connection:
        await connection.execute("create temp table reading (sensor int4, celsius float8 check (celsius < 1000))")
        print(await load(connection, ((n, n % 300 - 280.0) for n in range(30_000))))
        try:
            await load(connection, [(1, 20.0), (2, 5000.0)])
        except febe.errors.CheckViolation as error:
            print("nothing of it:", error.constraint_name)
        print(await connection.fetchval("select count(*) from reading"), "readings")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
