"""Many callers on one connection: tasks of asyncio and trio, threads; and callers that are interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import febe
import febe.aio
import febe.trio
from febe.errors import ConnectionLost, Error, PostgresError
from tests.client.faces import run
from tests.peers.postgres import Postgres

Work = Callable[[Any, int], Awaitable[Any]]
ACTIVE = "select count(*) from pg_stat_activity where pid = $1 and state = 'active' and query like '%sleep(600)%'"


def with_asyncio(server: Postgres, work: Work, count: int) -> list[Any]:
    async def main() -> list[Any]:
        async with await febe.aio.connect(server.dsn()) as connection:
            return await asyncio.gather(*(work(connection, number) for number in range(count)))

    return asyncio.run(main())


def with_trio(server: Postgres, work: Work, count: int) -> list[Any]:
    found: list[Any] = [None] * count

    async def one(connection: Any, number: int) -> None:
        found[number] = await work(connection, number)

    async def main() -> None:
        async with await febe.trio.connect(server.dsn()) as connection, trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(one, connection, number)

    trio.run(main)
    return found


class _Calls:
    """A connection of the blocking face whose methods are awaited."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            return getattr(self.real, name)(*args)

        return call


def with_threads(server: Postgres, work: Work, count: int) -> list[Any]:
    found: list[Any] = [None] * count

    def one(connection: Any, number: int) -> None:
        try:
            work(_Calls(connection), number).__await__().__next__()
        except StopIteration as stop:
            found[number] = stop.value

    with febe.connect(server.dsn()) as connection:
        threads = [threading.Thread(target=one, args=(connection, number)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found


ways = pytest.mark.parametrize("together", [with_asyncio, with_trio, with_threads], ids=["asyncio", "trio", "threads"])


@ways
def test_one_failure_does_not_touch_another(pg18: Postgres, together: Any) -> None:
    async def work(connection: Any, number: int) -> Any:
        found = []
        for turn in range(5):
            try:
                found.append(await connection.fetchval("select 12 / $1::int4", (number + turn) % 4))
            except PostgresError as error:
                found.append(error.sqlstate)
        return found

    quotients = {0: "22012", 1: 12, 2: 6, 3: 4}
    assert together(pg18, work, 30) == [[quotients[(number + turn) % 4] for turn in range(5)] for number in range(30)]


@ways
def test_no_size_leads_to_a_dead_lock(pg18: Postgres, together: Any) -> None:
    async def work(connection: Any, number: int) -> Any:
        text = chr(97 + number) * 3_000_000
        return await connection.fetchval("select $1::text || $1::text", text) == text * 2

    assert together(pg18, work, 8) == [True] * 8


@ways
def test_streams_and_copies_wait_for_each_other(pg18: Postgres, together: Any) -> None:
    async def work(connection: Any, number: int) -> Any:
        if number % 3:
            return await connection.fetchval("select $1::int4", number)
        return str(await connection.executemany("select $1::int4", [(n,) for n in range(1200)]))

    assert together(pg18, work, 12) == [number if number % 3 else "1200" for number in range(12)]


def test_requests_travel_together(pg18: Postgres) -> None:
    async def main() -> int:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            await connection.fetchval("select $1::int4", 0)
            sent = 0
            port: Any = connection._session.port
            write = port._transport.write

            class Counting:
                def __getattr__(self, name: str) -> Any:
                    return getattr(transport, name)

                def write(self, data: bytes) -> None:
                    nonlocal sent
                    sent += 1
                    write(data)

            transport, port._transport = port._transport, Counting()
            assert await asyncio.gather(*(connection.fetchval("select $1::int4", n) for n in range(100))) == [
                *range(100)]
            return sent

    assert asyncio.run(main()) <= 3


def test_a_connection_that_ends_tells_everybody(pg18: Postgres) -> None:
    async def main() -> list[Any]:
        connection = await febe.aio.connect(pg18.dsn())
        async with await febe.aio.connect(pg18.dsn()) as other:
            tasks = [asyncio.create_task(connection.fetch("select pg_sleep(600)")) for _ in range(4)]
            while not await other.fetchval(ACTIVE, connection.process_id):
                await asyncio.sleep(0)
            await other.fetchval("select pg_terminate_backend($1)", connection.process_id)
            found = await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()
        return found

    for error in asyncio.run(main()):
        assert isinstance(error, ConnectionLost) or getattr(error, "sqlstate", None) == "57P01"


def test_a_cancelled_scope_of_trio(pg18: Postgres) -> None:
    async def main() -> Any:
        async with await febe.trio.connect(pg18.dsn()) as connection, await febe.trio.connect(pg18.dsn()) as other:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.fetch, "select pg_sleep(600)")
                while not await other.fetchval(ACTIVE, connection.process_id):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            return await connection.fetchval("select 1")

    assert trio.run(main) == 1


def _is_waiting() -> bool:
    """Whether the main thread has sent its query and waits for the answer: before that Ctrl-C ends the connection."""
    return sys._current_frames()[threading.main_thread().ident or 0].f_code.co_name == "wait"


@pytest.mark.skipif(os.name == "nt", reason="no signal can be sent to a thread")
def test_ctrl_c_cancels_the_query(pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as connection, febe.connect(pg18.dsn()) as other:
        def interrupt() -> None:
            while not (other.fetchval(ACTIVE, connection.process_id) and _is_waiting()):
                pass
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            connection.fetch("select pg_sleep(600)")
        thread.join()
        assert connection.fetchval("select 1") == 1


@pytest.mark.parametrize("operation", [
    "stream", "copy_out", "copy_in", "executemany", "pipeline", "transaction", "pipeline_stream", "pipeline_copy_in",
    "pipeline_copy_out", "pipeline_copy_that_waits"])
@pytest.mark.parametrize("face", ["asyncio", "trio"])
def test_operations_that_are_cancelled_leave_the_connection_usable(pg18: Postgres, operation: str, face: str) -> None:
    slow = "select pg_sleep(600)"

    async def rows() -> Any:
        yield (1,)
        await (asyncio.sleep(600) if face == "asyncio" else trio.sleep(600))

    async def work(connection: Any) -> None:
        if operation == "stream":
            async with connection.stream(slow) as stream:
                await stream.__anext__()
        elif operation == "copy_out":
            async with connection.copy_out_bytes("copy (select pg_sleep(600)) to stdout") as out:
                await out.__anext__()
        elif operation == "copy_in":
            await connection.copy_in("t", rows())
        elif operation == "executemany":
            await connection.executemany("insert into t select $1 from pg_sleep(600)", [(1,), (2,)])
        elif operation == "pipeline":
            async with connection.pipeline() as pipeline:
                pipeline.execute("insert into t values (1)")
                pipeline.fetch(slow)
        elif operation.startswith("pipeline"):
            async with connection.pipeline() as pipeline:
                pipeline.execute("insert into t values (1)")
                await pipeline.copy_in("t", [(2,), (3,)])
                if operation == "pipeline_stream":
                    async with pipeline.stream(slow) as stream:
                        await stream.__anext__()
                elif operation == "pipeline_copy_in":
                    await pipeline.copy_in("t", rows())
                elif operation == "pipeline_copy_out":
                    async with pipeline.copy_out_bytes("copy (select pg_sleep(600)) to stdout") as out:
                        await out.__anext__()
                else:  # for what comes before it, so that nobody knows whether the server reads its data already
                    pipeline.fetch(slow)
                    await pipeline.copy_in_bytes("copy t from stdin", [b"4\n"])
        else:
            async with connection.transaction():
                await connection.execute("insert into t values (1)")
                await connection.fetch(slow)

    async def main(connect: Any) -> Any:
        async with await connect(pg18.dsn()) as connection:
            await connection.execute("create temp table t (a int4)")
            if face == "trio":
                with trio.move_on_after(0.1) as scope:
                    await work(connection)
                assert scope.cancelled_caught
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await work(connection)
            assert await connection.fetchval("select count(*) from t") == 0
            return connection.transaction_status

    assert run(face, main) == "I"


def test_a_rollback_is_not_cancelled(pg18: Postgres) -> None:
    """The cancel request of the statement before it is the only one: one more might leave the transaction open."""
    cancelled = []

    async def main() -> None:
        async with await febe.trio.connect(pg18.dsn()) as connection:
            await connection.execute("create temp table t (a int4)")
            cancel = connection._session.cancel
            assert cancel is not None

            async def counted() -> None:
                cancelled.append(1)
                await cancel()

            connection._session.cancel = counted
            with pytest.raises(trio.TooSlowError):
                with trio.fail_after(600) as scope:
                    async with connection.transaction():
                        await connection.execute("insert into t values (1)")
                        scope.deadline = trio.current_time() + 0.05
                        await connection.fetch("select pg_sleep(600)")
            assert await connection.fetchval("select count(*) from t") == 0
            assert connection.transaction_status == "I"

    trio.run(main)
    assert cancelled == [1]


def test_a_transaction_of_another_task_is_not_mistaken_for_ones_own(pg18: Postgres) -> None:
    async def main() -> None:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            outer, inner = connection.transaction(), connection.transaction()
            await outer.__aenter__()
            await inner.__aenter__()
            with pytest.raises(Error, match="another transaction"):
                await outer.commit()
            await inner.rollback()
            await outer.rollback()

    asyncio.run(main())
