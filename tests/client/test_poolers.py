"""The core of the client behind PgBouncer, in each of its modes, with default settings on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import febe
import febe.aio
from febe.errors import EncodeError, PostgresError
from tests.client.faces import FACES, run
from tests.conftest import missing_peer
from tests.peers import pgbouncer
from tests.peers.installation import Missing
from tests.peers.postgres import Postgres

MODES = ("session", "transaction", "statement")


@pytest.fixture(scope="module", params=MODES)
def bouncer(request: pytest.FixtureRequest, pg18: Postgres) -> Iterator[tuple[str, str]]:
    """A pool mode, and the conninfo of a PgBouncer in that mode."""
    try:
        with pgbouncer.running(pg18, request.param, 10 if request.param == "session" else 3) as port:
            yield request.param, f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    except Missing as why:
        missing_peer(why)


@pytest.mark.parametrize("face", FACES)
def test_the_core(bouncer: tuple[str, str], face: str) -> None:
    mode, conninfo = bouncer

    async def main(connect: Any) -> None:
        connection, others = await connect(conninfo), [await connect(conninfo) for _ in range(4)]
        for number in range(10):
            for one in (connection, *others):  # whose transactions go to any of three servers
                assert await one.fetchval("select $1::int4 + 1", number) == number + 1
                assert await one.fetch("select $1::text as a, $2::timestamptz as b", str(number), None) == [
                    (str(number), None)]
        with pytest.raises(PostgresError, match="zero"):
            await connection.fetch("select 1 / $1::int4", 0)
        with pytest.raises(EncodeError):
            await connection.fetch("select $1::int4", "x")
        async with await connection.prepare("select $1::int8") as statement:
            for number in range(5):
                assert await statement.fetchval(number) == number
                await others[0].fetchval("select 1")
        assert await connection.fetchmany("select $1::int4", [(1,), (2,)]) == [(1,), (2,)]
        async with connection.pipeline() as pipeline:
            replies = [pipeline.fetchval("select $1::int4", number) for number in range(5)]
        assert [reply.result() for reply in replies] == [0, 1, 2, 3, 4]
        async with connection.stream("select generate_series(1, 5)", size=2) as stream:
            assert [len(batch) async for batch in stream] == [2, 2, 1]
        async with connection.copy_out_bytes("copy (select 1) to stdout") as out:
            assert [piece async for pieces in out for piece in pieces] == [b"1\n"]
        async with connection.pipeline() as pipeline:
            backends = [pipeline.fetchval("select pg_backend_pid()")]
            await others[0].fetchval("select 1")
            async with pipeline.stream("select generate_series(1, $1::int4)", 5, size=2) as stream:
                assert [len(batch) async for batch in stream] == [2, 2, 1]
            async with pipeline.copy_out_bytes("copy (select 1) to stdout") as out:
                assert [piece async for pieces in out for piece in pieces] == [b"1\n"]
            pipeline.execute("create temp table piped (a int4) on commit drop")
            assert await pipeline.copy_in("piped", [(n,) for n in range(2000)]) == "COPY 2000"
            copied = pipeline.fetchval("select count(*) from piped")
            backends.append(pipeline.fetchval("select pg_backend_pid()"))
        assert copied.result() == 2000 and len({one.result() for one in backends}) == 1
        if mode != "statement":  # which refuses transaction blocks
            async with connection.transaction():
                one = await connection.fetchval("select pg_backend_pid()")
                await others[0].fetchval("select 1")
                assert await connection.fetchval("select pg_backend_pid()") == one
        for one in (connection, *others):
            await one.close()

    run(face, main)


def test_many_tasks(bouncer: tuple[str, str]) -> None:
    _, conninfo = bouncer

    async def main() -> None:
        connections = [await febe.aio.connect(conninfo) for _ in range(3)]
        found = await asyncio.gather(*(connections[number % 3].fetchval("select $1::int4", number)
                                       for number in range(300)))
        assert found == list(range(300))
        for connection in connections:
            await connection.close()

    asyncio.run(main())


def test_nothing_is_left_at_a_server_behind_a_pooler(bouncer: tuple[str, str], pg18: Postgres) -> None:
    _, conninfo = bouncer
    with febe.connect(conninfo) as connection:
        for number in range(20):
            connection.fetchval(f"select {number} + $1::int4", number)
        assert connection.fetchval("select count(*) from pg_prepared_statements") == 0
    with febe.connect(pg18.dsn()) as direct:
        direct.fetchval("select $1::int4", 1)
        assert direct.fetchval("select count(*) from pg_prepared_statements") > 0
