"""What a web service does: many requests at once share a pool, and one handler asks several things at once:
`python web_handlers.py CONNINFO`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import trio

import febe.trio


@dataclass
class Page:
    number: int
    title: str


async def handle(pool: febe.trio.Pool, number: int, answers: dict[int, str]) -> None:
    """One request: two questions travel together on one connection."""
    async with pool.acquire() as connection, connection.pipeline() as pipeline:
        title = pipeline.fetchval("select 'page ' || $1::int4", number)
        words = pipeline.fetchval("select length($1::text)", "x" * number)
    page = Page(number, title.result())
    answers[number] = f"{page.title}: {words.result()} words"


async def main(conninfo: str) -> None:
    answers: dict[int, str] = {}
    async with febe.trio.Pool(conninfo, max_size=4) as pool:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(handle, pool, number, answers)
        found = await pool.fetchval("select count(*) from generate_series(1, 10)")
        print(len(answers), answers[49], found, "at most", pool.metrics()["size"], "connections")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
