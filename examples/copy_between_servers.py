"""A table from one server to another while it is being read, with progress:
`TARGET=CONNINFO python copy_between_servers.py CONNINFO`."""

from __future__ import annotations

import asyncio
import os
import sys

import febe


async def main(source: str, target: str) -> None:
    async with await febe.aio.connect(source) as here, await febe.aio.connect(target) as there:
        await here.execute("create temp table reading (id int8, at timestamptz, value numeric(12, 4), note text)")
        await here.execute("insert into reading select n, timestamptz '2026-01-01' + n * interval '1 s', n / 7.0, "
                           "case when n % 3 = 0 then 'note ' || n end from generate_series(1, 50000) n")
        await there.execute("create temp table reading_copy (id int8, at timestamptz, value numeric(12, 4), note text)")

        steps: list[int] = []

        async def pieces(out: febe.aio.CopyOut):
            async for some in out:
                for piece in some:
                    yield piece

        # The bytes go through as they come; neither side waits for the other to end.
        async with here.copy_out_bytes("copy reading to stdout (format binary)") as out:
            done = await there.copy_in_bytes("copy reading_copy from stdin (format binary)", pieces(out),
                                             progress=lambda rows, size: steps.append(size))
        print(done, "in", "many pieces" if len(steps) > 10 else "few pieces")

        # As Arrow, where the columns are to be others on their way
        async with here.stream_arrow("select id + 1000000 as id, upper(note) as note from reading where id <= 100",
                                     size=40) as tables:
            print(await there.copy_in("reading_copy", tables))
        checks = "select count(*), sum(id) filter (where id <= 50000), max(note) from {}"
        print(await here.fetchrow(checks.format("reading")), await there.fetchrow(checks.format("reading_copy")))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], os.environ.get("TARGET", sys.argv[1])))
