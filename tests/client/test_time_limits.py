"""Time limits for blocks of statements, by each face: the server stops, and the connection goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import febe
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres

Test = Callable[..., Any]
SLOW = "select pg_sleep(600)"
ACTIVE = "select count(*) from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep%'"


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on_each_face(test: Test) -> Test:
    """Run a coroutine that takes two connections."""
    def wrapper(face: str, pg18: Postgres) -> None:
        async def main(connect: Any) -> None:
            connection, other = await connect(pg18.dsn()), await connect(pg18.dsn())
            await test(connection, other)
            await connection.close()
            await other.close()

        run(face, main)

    wrapper.__name__ = test.__name__
    return wrapper


@on_each_face
async def test_the_server_stops_and_the_connection_goes_on(connection: Any, other: Any) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError, match="not done in the time allowed"):
            async with connection.timeout(0.05):
                await connection.fetch(SLOW)
        assert await connection.fetchval("select 7") == 7
        assert await other.fetchval(ACTIVE, connection.process_id) == 0
    async with connection.timeout(600):
        assert await connection.fetchval("select 8") == 8
    assert await connection.fetchval("select 9 from pg_sleep(0.1)") == 9  # long after


@on_each_face
async def test_blocks_within_blocks(connection: Any, other: Any) -> None:
    await connection.execute("create temp table t (a int4)")
    with pytest.raises(TimeoutError):
        async with connection.timeout(0.05), connection.timeout(600), connection.transaction():
            await connection.execute("insert into t values (1)")
            await connection.fetch(SLOW)
    async with connection.timeout(600):
        with pytest.raises(TimeoutError):
            async with connection.timeout(0.05):
                await connection.fetch(SLOW)
        assert await connection.fetchval("select count(*) from t") == 0
    assert connection.transaction_status == "I"


@on_each_face
async def test_every_operation(connection: Any, other: Any) -> None:
    await connection.execute("create temp table t (a int4)")

    async def stream() -> None:
        async with connection.stream(SLOW) as batches:
            await batches.__anext__()

    async def pipeline() -> None:
        async with connection.pipeline() as requests:
            await requests.copy_in("t", [(1,)])
            requests.fetch(SLOW)

    async def copy_out() -> None:
        async with connection.copy_out_bytes("copy (select pg_sleep(600)) to stdout") as out:
            await out.__anext__()

    async def executemany() -> None:
        await connection.executemany("insert into t select $1 from pg_sleep(600)", [(1,), (2,)])

    for operation in (stream, pipeline, copy_out, executemany):
        with pytest.raises(TimeoutError):
            async with connection.timeout(0.05):
                await operation()
        assert await connection.fetchval("select count(*) from t") == 0
    async with connection.listen("news") as news:
        with pytest.raises(TimeoutError):
            async with connection.timeout(0.05):
                await news.__anext__()
        await other.execute("notify news, 'kept'")
        assert (await news.__anext__()).payload == "kept"


@on_each_face
async def test_copy_data_that_nobody_takes(connection: Any, other: Any) -> None:
    """Who waits for room to send is within the limit too, and the server is not left waiting for a lock."""
    await other.execute("create table locked (a int4 primary key, b text)")
    try:
        assert await connection.fetch("select a, b from locked") == []
        await other.execute("begin; insert into locked values (0)")
        with pytest.raises(TimeoutError):
            async with connection.timeout(0.3):
                await connection.copy_in("locked", ((n, "x" * 20_000) for n in range(6000)))
        assert await connection.fetchval("select 1") == 1
        await other.execute("rollback")
        assert await connection.fetchval("select count(*) from locked") == 0
    finally:
        await other.execute("drop table locked")


def test_a_limit_is_its_threads_own(pg18: Postgres) -> None:
    """A thread that waits behind another one's request gives up alone."""
    with febe.connect(pg18.dsn()) as connection, febe.connect(pg18.dsn()) as other:
        found: list[Any] = []
        other.execute("select pg_advisory_lock(1907)")
        thread = threading.Thread(target=lambda: found.append(connection.fetchval("select pg_advisory_lock(1907), 5")))
        thread.start()
        while not other.fetchval("select count(*) from pg_locks where locktype = 'advisory' and not granted"):
            pass
        with pytest.raises(TimeoutError), connection.timeout(0.05):
            connection.fetchval("select 1")
        assert not found
        other.execute("select pg_advisory_unlock(1907)")
        thread.join()
        assert found == [None]
        assert connection.fetchval("select 2") == 2
        with pytest.raises(TimeoutError), connection.timeout(0.05):
            connection.fetch(SLOW)
