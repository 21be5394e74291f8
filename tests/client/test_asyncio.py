"""What only the asyncio face has: tasks, cancellation, event loops."""

from __future__ import annotations

import asyncio

import pytest

import febe.aio
from tests.peers.postgres import Postgres


def test_tasks_take_turns(pg18: Postgres) -> None:
    async def main() -> list[int]:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            return list(await asyncio.gather(*(connection.fetchval("select $1::int4", n) for n in range(200))))

    assert febe.aio.run(main()) == list(range(200))


ACTIVE = "select count(*) from pg_stat_activity where pid = $1 and state = 'active'"


def test_a_cancelled_request_is_cancelled_at_the_server(pg18: Postgres) -> None:
    async def main() -> None:
        async with await febe.aio.connect(pg18.dsn()) as connection, await febe.aio.connect(pg18.dsn()) as other:
            task = asyncio.create_task(connection.fetch("select pg_sleep(600)"))
            while not await other.fetchval(ACTIVE, connection.process_id):
                await asyncio.sleep(0)
            waiting = asyncio.create_task(connection.fetchval("select 1"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await waiting == 1
            assert await connection.fetchval("select 2") == 2

    febe.aio.run(main())


def test_cancelled_while_waiting_for_its_turn(pg18: Postgres) -> None:
    async def main() -> int:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            first = asyncio.create_task(connection.fetchval("select 1 from pg_sleep(0.01)"))
            second = asyncio.create_task(connection.fetchval("select 2"))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert await first == 1
            return await connection.fetchval("select 3")  # type: ignore[no-any-return]

    assert febe.aio.run(main()) == 3


def test_a_timeout_around_a_request(pg18: Postgres) -> None:
    async def main() -> int:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.fetch("select pg_sleep(600)")
            return await connection.fetchval("select 3")  # type: ignore[no-any-return]

    assert febe.aio.run(main()) == 3


def test_a_transaction_that_is_interrupted_while_it_begins(pg18: Postgres) -> None:
    async def main() -> None:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            for _ in range(5):
                task = asyncio.create_task(connection.transaction().__aenter__())
                await asyncio.sleep(0)  # BEGIN is sent
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await connection.fetchval("select 1") == 1
                assert connection.transaction_status == "I"

    asyncio.run(main())
