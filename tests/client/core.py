"""The core of the client as one coroutine, for servers of every kind and age."""

from __future__ import annotations

from typing import Any

import pytest

from febe.errors import EncodeError, PostgresError


async def core(connection: Any) -> None:
    """Ask for what every server can do."""
    for number in range(3):
        assert await connection.fetchval("select $1::int4 + 1", number) == number + 1
    assert await connection.fetch("select $1::text as a, $2::float8 as b", "x", None) == [("x", None)]
    assert [await connection.fetchval("select $1", value) for value in (5, "x", None, True)] == [5, "x", None, True]
    assert await connection.fetchrow("select 1 where 1 = 2") is None
    assert await connection.into(dict).fetch("select 1 as a") == [{"a": 1}]
    with pytest.raises(PostgresError):
        await connection.fetch("select * from nowhere_at_all")
    with pytest.raises(EncodeError):
        await connection.fetch("select $1::int4", "x")
    await connection.execute("create temp table core (a int4, b text)")
    await connection.executemany("insert into core values ($1, $2)", [(n, str(n)) for n in range(700)])
    assert await connection.fetchrow("select count(*), sum(a) from core") == (700, 244650)
    async with connection.pipeline() as pipeline:
        replies = [pipeline.fetchval("select $1::int4", number) for number in range(5)]
    assert [reply.result() for reply in replies] == [0, 1, 2, 3, 4]
    async with connection.pipeline() as pipeline:
        await pipeline.copy_in("core", [(n, "copied") for n in range(1000, 1300)])
        gone = pipeline.execute("delete from core where a >= $1", 1200)
        async with pipeline.stream("select a from core where b = $1", "copied", size=70) as stream:
            assert [len(batch) async for batch in stream] == [70, 70, 60]
        async with pipeline.copy_out_bytes("copy (select a from core where a >= 1198 order by a) to stdout") as out:
            assert b"".join([piece async for pieces in out for piece in pieces]) == b"1198\n1199\n"
        pipeline.execute("delete from core where b = 'copied'")
    assert gone.result().rowcount == 100
    with pytest.raises(PostgresError):
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("core", [(5000, "")])
            async with pipeline.stream("select * from nowhere_at_all"):
                pass
    with pytest.raises(LookupError):
        async with connection.transaction():
            await connection.execute("delete from core")
            raise LookupError
    async with connection.stream("select a from core order by a", size=300) as stream:
        assert [len(batch) async for batch in stream] == [300, 300, 100]
    async with await connection.prepare("select $1::int8") as statement:
        assert [await statement.fetchval(number) for number in range(3)] == [0, 1, 2]
    assert await connection.copy_in("core", [(1, "one"), (2, None)]) == "COPY 2"
    async with connection.copy_out_bytes("copy (select 1, 'x') to stdout") as out:
        assert b"".join([piece async for pieces in out for piece in pieces]) == b"1\tx\n"
    assert len(await connection.fetch_arrow("select a, b from core")) == 702
    assert connection.transaction_status == "I"


__all__ = ["core"]
