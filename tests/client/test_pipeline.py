"""Streams and COPY inside a pipeline, which share its fate, by each face against PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import polars
import pytest

import febe.aio
from febe.errors import EncodeError, Error, NotSupported, PostgresError, Skipped, UndefinedTable, UniqueViolation
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres

Test = Callable[..., Any]


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on_each_face(test: Test) -> Test:
    """Run a coroutine that takes a connection with an empty table `t`."""
    def wrapper(face: str, postgres: Postgres) -> None:
        async def main(connect: Any) -> None:
            connection = await connect(postgres.dsn())
            try:
                await connection.execute("create temp table t (a int4 primary key, b text)")
                await test(connection)
                assert connection.transaction_status == "I"
                assert await connection.fetchval("select 7") == 7
            finally:
                await connection.close()

        run(face, main)

    wrapper.__name__ = test.__name__
    return wrapper


async def count(connection: Any) -> Any:
    return await connection.fetchval("select count(*) from t")


@on_each_face
async def test_everything_in_one_flight(connection: Any) -> None:
    async with connection.pipeline() as pipeline:
        begun = pipeline.fetchval("select txid_current()")
        pipeline.execute("create temp table made (a int4, b text) on commit drop")  # gone, were there a Sync between
        assert await pipeline.copy_in("made", [(n, str(n)) for n in range(2500)]) == "COPY 2500"
        pipeline.execute("insert into t select * from made where a < $1", 2000)
        async with pipeline.stream("select a, b from t where a >= $1 order by a", 500, size=600) as stream:
            batches = [batch async for batch in stream]
            assert [len(batch) for batch in batches] == [600, 600, 300]
            assert stream.result == "SELECT 300"
        copied = []
        async with pipeline.copy_out("t", columns=["b"]) as out:
            async for rows in out:
                copied += rows
        assert len(copied) == 2000 and out.result == "COPY 2000"
        async with pipeline.copy_out_bytes("copy (select a from t where a < 2 order by a) to stdout") as out:
            assert b"".join([piece async for pieces in out for piece in pieces]) == b"0\n1\n"
        assert await pipeline.copy_in_bytes("copy t from stdin (format csv)", [b"5000,x\n", b"5001,\n"]) == "COPY 2"
        async with pipeline.stream_arrow("select a from t", size=1000) as stream:
            assert [polars.DataFrame(table).height async for table in stream] == [1000, 1000, 2]
        await pipeline.copy_in("t", polars.DataFrame({"a": [6000], "b": ["y"]}))
        async with pipeline.copy_out_arrow("t") as out:
            assert sum([polars.DataFrame(table).height async for table in out]) == 2003
        ended = pipeline.fetchval("select txid_current()")
    assert begun.result() == ended.result()
    assert await count(connection) == 2003


@on_each_face
async def test_what_fails_fails_all(connection: Any) -> None:
    with pytest.raises(UniqueViolation):
        async with connection.pipeline() as pipeline:
            before = pipeline.execute("insert into t values (1)")
            with pytest.raises(UniqueViolation, match="duplicate"):
                await pipeline.copy_in("t", [(2, ""), (1, "")])
            after = pipeline.execute("insert into t values (3)")
            with pytest.raises(Skipped):
                await pipeline.copy_in("t", [(4, "")])
    assert before.result() == "INSERT 0 1"
    with pytest.raises(Skipped):
        after.result()
    with pytest.raises(EncodeError, match="row 700, column 'a'"):
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values (5000)")
            await pipeline.copy_in("t", [(n if n != 700 else "x", "") for n in range(1000)])
    with pytest.raises(PostgresError, match="zero"):
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("t", [(1, "")])
            async with pipeline.stream("select 1 / (3 - n) from generate_series(1, 5) n", size=2) as stream:
                assert [len(batch) async for batch in stream] == []
    with pytest.raises(UndefinedTable):  # which was asked before, and is what the stream waits behind
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("t", [(1, "")])
            pipeline.execute("insert into nowhere values (1)")
            async with pipeline.stream("select a from t") as stream:
                pass
    with pytest.raises(PostgresError, match="duplicate"):
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("t", [(1, "")])
            pipeline.execute("insert into t values (1)")
    with pytest.raises(LookupError):
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("t", [(1, "")])
            raise LookupError
    with pytest.raises(NotSupported, match="no COPY FROM STDIN"):
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values (1)")
            await pipeline.copy_in_bytes("copy t to stdout", [b"x"])
    with pytest.raises(NotSupported, match="no COPY TO STDOUT"):
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values (1)")
            async with pipeline.copy_out_bytes("copy t from stdin"):
                pass
    assert await count(connection) == 0


@on_each_face
async def test_a_copy_among_requests_that_carry_no_data(connection: Any) -> None:
    with pytest.raises(NotSupported, match="COPY FROM STDIN"):
        async with connection.pipeline() as pipeline:
            first = pipeline.execute("insert into t values (1)")
            pipeline.execute("copy t from stdin")
            last = pipeline.fetchval("select 1")
    assert first.result() == "INSERT 0 1"
    with pytest.raises(Skipped):
        last.result()
    assert await count(connection) == 0


@on_each_face
async def test_what_is_left_early(connection: Any) -> None:
    await connection.execute("insert into t select n, n::text from generate_series(1, 5000) n")
    async with connection.pipeline() as pipeline:
        async with pipeline.stream("select a from t order by a", size=10) as first:
            assert (await first.__anext__())[0].a == 1
            async with pipeline.stream("select a from t order by a desc", size=10) as second:
                assert (await second.__anext__())[0].a == 5000
                pipeline.execute("delete from t where a > 4000")
                assert (await first.__anext__())[0].a == 11
        async with pipeline.copy_out("t") as out:
            async for _rows in out:
                break
        left = pipeline.fetchval("select count(*) from t")
    assert left.result() == 4000
    with pytest.raises(LookupError):
        async with connection.pipeline() as pipeline:
            pipeline.execute("delete from t")
            async with pipeline.copy_out_bytes("copy (select generate_series(1, 1000000000)) to stdout"):
                raise LookupError
    assert await count(connection) == 4000
    with pytest.raises(Error, match="has ended"):
        await pipeline.copy_in("t", [(1, "")])


@on_each_face
async def test_nothing_else_during_a_copy(connection: Any) -> None:
    """What can never be answered is refused; a dead-lock would be the alternative."""
    await connection.execute("insert into t values (1)")
    async with connection.pipeline() as pipeline:
        async with pipeline.copy_out("t") as out:
            with pytest.raises(Error, match="in the middle of a COPY"):
                async with pipeline.stream("select 1"):
                    pass
            with pytest.raises(Error, match="in the middle of a COPY"):
                await pipeline.copy_in("t", [(2, "")])
            with pytest.raises(Error, match="of this same"):
                await connection.fetchval("select 1")
            assert [rows async for rows in out] == [[(1, None)]]
        pipeline.execute("insert into t values (3)")
    assert await count(connection) == 2


@on_each_face
async def test_in_a_transaction_block(connection: Any) -> None:
    with pytest.raises(LookupError):
        async with connection.transaction():
            async with connection.pipeline() as pipeline:
                await pipeline.copy_in("t", [(1, ""), (2, "")])
                async with pipeline.stream("select a from t", size=1) as stream:
                    assert [len(batch) async for batch in stream][:2] == [1, 1]
            assert await count(connection) == 2
            raise LookupError
    async with connection.transaction():
        async with connection.transaction() as inner:
            with pytest.raises(UniqueViolation):
                async with connection.pipeline() as pipeline:
                    await pipeline.copy_in("t", [(1, ""), (1, "")])
            await inner.rollback()
        async with connection.pipeline() as pipeline:
            await pipeline.copy_in("t", [(3, "")])
    assert await count(connection) == 1


@on_each_face
async def test_much_both_ways(connection: Any) -> None:
    """More than any buffer holds, in requests, in data and in answers."""
    text = "x" * 200_000
    async with connection.pipeline() as pipeline:
        replies = [pipeline.fetchval("select $1::text", text) for _ in range(40)]
        await pipeline.copy_in("t", ((n, text) for n in range(40)))
        more = [pipeline.fetchval("select $1::text", text) for _ in range(40)]
        async with pipeline.stream("select b from t", size=7) as stream:
            assert sum([len(row.b) async for batch in stream for row in batch]) == 40 * len(text)
    assert all(reply.result() == text for reply in replies + more)


@pytest.mark.parametrize("queued", [False, True])
def test_a_copy_that_begins_when_nobody_waits_for_it(postgres: Postgres, queued: bool) -> None:
    """The end of the flight is said before the server is known to read COPY data, which it does in the end."""
    async def main() -> None:
        connection, other = [await febe.aio.connect(postgres.dsn()) for _ in range(2)]
        await other.execute("create table locked (a int4)")

        async def work() -> None:
            async with connection.pipeline() as pipeline:
                pipeline.execute("insert into pg_temp.t values (1)")
                if queued:
                    pipeline.execute("copy locked from stdin")
                else:
                    await pipeline.copy_in_bytes("copy locked from stdin", [b"1\n"])

        async def no_cancel() -> None:
            pass

        await connection.execute("create temp table t (a int4)")
        connection._session.cancel = no_cancel
        async with other.transaction():
            await other.execute("lock table locked")
            task = asyncio.create_task(work())
            while not await other.fetchval("select count(*) from pg_locks where not granted"):
                pass
            task.cancel()
            await asyncio.wait([task], timeout=0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await connection.fetchval("select count(*) from t") == 0
        assert await connection.fetchval("select count(*) from locked") == 0
        await other.execute("drop table locked")
        await connection.close()
        await other.close()

    asyncio.run(main())
