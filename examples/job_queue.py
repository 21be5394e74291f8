"""A job queue: workers take jobs with SKIP LOCKED, and are woken by notifications: `python job_queue.py CONNINFO`."""

from __future__ import annotations

import asyncio
import sys

import febe.aio

TAKE = """
    update febe_jobs set taken = true
    where id = (select id from febe_jobs where not taken order by id for update skip locked limit 1)
    returning id, task
"""


async def worker(pool: febe.aio.Pool, done: list[str], wanted: int) -> None:
    async with pool.acquire() as connection, connection.listen("febe_jobs") as news:
        while len(done) < wanted:
            job = await connection.fetchrow(TAKE)
            if job is not None:
                done.append(job.task)
                await connection.execute("notify febe_jobs")
            elif len(done) < wanted:
                await anext(aiter(news))


async def main(conninfo: str) -> None:
    async with febe.aio.Pool(conninfo, max_size=5) as pool:
        await pool.execute("drop table if exists febe_jobs; create table febe_jobs "
                           "(id int8 generated always as identity, task text, taken bool default false)")
        done: list[str] = []
        workers = [asyncio.create_task(worker(pool, done, 30)) for _ in range(3)]
        async with pool.acquire() as connection:
            for number in range(30):
                async with connection.pipeline() as pipeline:
                    pipeline.execute("insert into febe_jobs (task) values ($1)", f"job {number:02}")
                    pipeline.execute("notify febe_jobs")
        await asyncio.gather(*workers)
        print(len(done), "jobs done, each once:", sorted(done) == [f"job {number:02}" for number in range(30)])
        await pool.execute("drop table febe_jobs")


if __name__ == "__main__":
    febe.aio.run(main(sys.argv[1]))
