"""The pool, by each face, against PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import febe
import febe.aio
import febe.trio
from febe.errors import Error, PoolClosed, PoolTimeout
from tests.client.faces import FACES, Awaited, run
from tests.peers.postgres import Postgres

POOLS: dict[str, Any] = {"blocking": lambda *args, **options: Awaited(febe.Pool(*args, **options)),
                         "asyncio": febe.aio.Pool, "trio": febe.trio.Pool}


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_pool(face: str, server: Postgres, test: Any, **options: Any) -> None:
    async def main(_: Any) -> None:
        async with POOLS[face](server.dsn(), **options) as pool:
            await test(pool)

    run(face, main)


def test_connections_are_lent_and_used_again(face: str, pg18: Postgres) -> None:
    async def test(pool: Any) -> None:
        assert pool.metrics()["idle"] == 2
        async with pool.acquire() as one, pool.acquire() as other:
            first = {one.process_id, other.process_id}
            assert len(first) == 2
            with pytest.raises(PoolTimeout):
                async with pool.acquire(timeout=0.01):
                    pass
        async with pool.acquire() as again:
            assert again.process_id in first
        assert await pool.fetchval("select $1::int4", 5) == 5
        assert (await pool.fetch("select 1"), await pool.fetchrow("select 2")) == ([(1,)], (2,))
        assert await pool.execute("select 3") == "SELECT 1"
        found = pool.metrics()
        assert {name: found[name] for name in ("size", "connected", "timeouts", "waited", "lent")} == {
            "size": 2, "connected": 2, "timeouts": 1, "waited": 1, "lent": 7}

    with_pool(face, pg18, test, min_size=2, max_size=2)


def test_what_comes_back_is_as_new(face: str, pg18: Postgres) -> None:
    async def test(pool: Any) -> None:
        async with pool.acquire() as connection:
            who = connection.process_id
            await connection.execute("set application_name = 'changed'; create temp table t (); listen channel; begin")
            await connection.fetch("select pg_advisory_lock(1), set_config('work_mem', '1MB', false)")
        async with pool.acquire() as connection:
            assert (connection.process_id, connection.transaction_status) == (who, "T")  # the reset is on its way
            assert await connection.fetchval("select current_setting('application_name')") != "changed"
            assert connection.transaction_status == "I"
            assert await connection.fetch("select pg_listening_channels()") == []
            assert await connection.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0
            assert await connection.fetchval("select to_regclass('t')") is None
            assert await connection.fetchval("show work_mem") != "1MB"

    with_pool(face, pg18, test, max_size=1)


def test_a_cancelled_request_loses_no_connection(face: str, pg18: Postgres) -> None:
    async def test(pool: Any) -> None:
        await pool.execute("create table if not exists kept (a int4); truncate kept")
        for number in range(3):
            with pytest.raises(TimeoutError):
                async with pool.acquire() as connection, connection.timeout(0.05), connection.transaction():
                    await connection.execute("insert into kept values (1)")
                    await connection.fetch("select pg_sleep(600)")
            assert await pool.fetchval("select $1::int4", number) == number
        assert await pool.fetchval("select count(*) from kept") == 0
        await pool.execute("drop table kept")
        found = pool.metrics()
        assert (found["size"], found["connected"], found["replaced"]) == (1, 1, 0)

    with_pool(face, pg18, test, max_size=1)


def test_what_is_broken_is_replaced(face: str, pg18: Postgres) -> None:
    async def test(pool: Any) -> None:
        async with pool.acquire() as connection:
            first = connection.process_id
            with pytest.raises(Error):
                await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        async with pool.acquire() as connection:
            assert await connection.fetchval("select 1") == 1
            second = connection.process_id
            stream = connection.stream("select generate_series(1, 100)", size=1)
            await stream.__aenter__()
            await stream.__anext__()
        async with pool.acquire() as connection:
            assert await connection.fetchval("select 2") == 2
            third = connection.process_id
        assert len({first, second, third}) == 3
        async with await POOLS_CONNECT[face](pg18.dsn()) as other:
            await other.execute(f"select pg_terminate_backend({third}, 10000)")
        async with pool.acquire() as connection:  # idle for longer than check_after: a sign of life is asked for
            assert await connection.fetchval("select 3") == 3
        assert pool.metrics()["size"] == 1

    with_pool(face, pg18, test, max_size=1, check_after=0.0)


async def _blocking_connect(*args: Any) -> Any:
    return Awaited(febe.connect(*args))


POOLS_CONNECT: dict[str, Any] = {"blocking": _blocking_connect, "asyncio": febe.aio.connect, "trio": febe.trio.connect}


def test_old_connections_are_replaced(face: str, pg18: Postgres) -> None:
    async def test(pool: Any) -> None:
        seen = set()
        for _ in range(3):
            async with pool.acquire() as connection:
                seen.add(connection.process_id)
        assert len(seen) == 3

    with_pool(face, pg18, test, max_size=1, max_lifetime=0.0)


def test_a_pool_that_is_closed(face: str, pg18: Postgres) -> None:
    async def main(_: Any) -> None:
        pool = POOLS[face](pg18.dsn())
        async with pool.acquire() as connection:
            await pool.close()
            assert await connection.fetchval("select 1") == 1
        assert connection.is_closed
        with pytest.raises(PoolClosed):
            async with pool.acquire():
                pass

    run(face, main)


def test_waiters_are_served_in_order(pg18: Postgres) -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def work(number: int) -> None:
            async with pool.acquire() as connection:
                await connection.fetchval("select 1")
                order.append(number)

        async with febe.aio.Pool(pg18.dsn(), max_size=1) as pool:
            async with pool.acquire():
                tasks = [asyncio.create_task(work(number)) for number in range(10)]
                while pool.metrics()["waiting"] < 10:
                    await asyncio.sleep(0)
                tasks[3].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert pool.metrics()["waiting"] == 0
        return order

    assert asyncio.run(main()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_a_server_that_cannot_be_reached_leaves_no_slot_taken(face: str) -> None:
    async def main(_: Any) -> None:
        pool = POOLS[face]("host=127.0.0.1 port=1", max_size=1)
        for _ in range(3):
            with pytest.raises(Error):
                async with pool.acquire(timeout=1):
                    pass
        assert pool.metrics()["size"] == 0

    run(face, main)
