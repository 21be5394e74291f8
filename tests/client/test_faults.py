"""A network that does harm at every message of every operation: each ends, in a result or in one clear error."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from febe.errors import ConnectionLost, Error, ProtocolError
from tests.client.faces import FACES, run
from tests.client.fault_proxy import FaultProxy, proxy
from tests.peers.postgres import Postgres

Operation = Callable[[Any], Coroutine[Any, Any, Any]]


async def _fetch(connection: Any) -> Any:
    return await connection.fetch("select $1::int4 as a", 5)


async def _script(connection: Any) -> Any:
    return [one.rows for one in (await connection.execute("select 1; select 2")).results]


async def _executemany(connection: Any) -> Any:
    return await connection.fetchmany("select $1::int4", [(1,), (2,)])


async def _pipeline(connection: Any) -> Any:
    async with connection.pipeline() as pipeline:
        replies = [pipeline.fetchval("select $1::int4", number) for number in range(2)]
    return [reply.result() for reply in replies]


async def _stream(connection: Any) -> Any:
    async with connection.stream("select generate_series(1, 4)", size=2) as stream:
        return [len(batch) async for batch in stream]


async def _pipeline_copies(connection: Any) -> Any:
    async with connection.pipeline() as pipeline:
        pipeline.execute("create temp table t (a int4)")
        await pipeline.copy_in("t", [(1,), (2,)])
        async with pipeline.stream("select a from t", size=1) as stream:
            sizes = [len(batch) async for batch in stream]
        async with pipeline.copy_out("t") as out:
            rows = [row async for rows in out for row in rows]
    return sizes, rows


async def _transaction(connection: Any) -> Any:
    async with connection.transaction():
        return await connection.fetchval("select 1")


async def _copy_in(connection: Any) -> Any:
    await connection.execute("create temp table t (a int4)")
    return await connection.copy_in("t", [(1,), (2,)])


async def _copy_out(connection: Any) -> Any:
    async with connection.copy_out_bytes("copy (select generate_series(1, 3)) to stdout") as out:
        return b"".join([piece async for pieces in out for piece in pieces])  # as many at a time as have arrived


async def _listen(connection: Any) -> Any:
    async with connection.listen("channel") as news:
        await connection.execute("notify channel, 'x'")
        return (await news.__anext__()).payload


async def _prepare(connection: Any) -> Any:
    async with await connection.prepare("select $1::text") as statement:
        return await statement.fetchval("x")


async def _call(connection: Any) -> Any:
    return await connection.call("int4pl", 2, 3)


async def _large_object(connection: Any) -> Any:
    oid = await connection.create_large_object()
    async with connection.large_object(oid, "w+") as file:
        await file.write(b"some bytes")
        await file.seek(5)
        return await file.read()


async def _cursor(connection: Any) -> Any:
    async with connection.cursor("select generate_series(1, 4)", hold=True) as cursor:
        return [len(await cursor.fetch(3)), len(await cursor.fetch())]


OPERATIONS: dict[str, Operation] = {name[1:]: made for name, made in list(globals().items())
                                    if name.startswith("_") and callable(made) and not name.startswith("__")}


@pytest.fixture(scope="module")
def faulty(pg18: Postgres) -> Any:
    with proxy(pg18.host, pg18.port) as made:
        yield made


def _attempt(face: str, server: Postgres, faulty: FaultProxy, operation: Operation, mode: str | None, at: int) -> Any:
    """What an operation gives, or the error it ends in; the connection is used afterwards if it says that it can be."""
    async def main(connect: Any) -> Any:
        connection = await connect(server.dsn(), port=faulty.port)
        faulty.arm(mode, at)
        try:
            outcome: Any = await operation(connection)
        except Error as error:
            outcome = error
        faulty.disarm()
        if not connection.is_closed:
            try:
                assert await connection.fetchval("select 7") == 7
            except Error:  # the harm was done behind the last thing that was read
                assert connection.is_closed
        await connection.close()
        return outcome

    return run(face, main)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_ends_whatever_the_network_does(face: str, name: str, pg18: Postgres, faulty: FaultProxy
                                                        ) -> None:
    operation = OPERATIONS[name]
    expected = _attempt(face, pg18, faulty, operation, None, -1)
    assert not isinstance(expected, Error)
    count = faulty.seen
    assert count >= 3
    assert faulty.settled()
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for at in range(count):
        for mode in ("cut", "half", "kind", "length", *(["split"] if at == 0 else [])):
            outcome = _attempt(face, pg18, faulty, operation, mode, at)
            if mode == "split":
                assert outcome == expected, (mode, at)
            elif isinstance(outcome, ConnectionLost):
                assert "unknown" in str(outcome) or outcome.retry_is_safe, (mode, at, outcome)
            else:
                assert outcome == expected or isinstance(outcome, ProtocolError), (mode, at, outcome)
    assert faulty.settled()
    assert not faulty.hung
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors
