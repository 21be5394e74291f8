"""Large objects, function calls and cursors, by each face, against PostgreSQL and, where it has them, febe serve."""

from __future__ import annotations

import asyncio
import io
import random
import shutil
import zipfile
from typing import Any

import pytest

import febe
import febe.aio
from febe.errors import EncodeError, Error, PostgresError
from tests.client.faces import FACES, run
from tests.client.test_operations import on_each_face
from tests.peers.febe_server import FebeServer
from tests.peers.postgres import Postgres


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Large objects

async def check_a_large_object(connection: Any, far: int) -> None:
    oid = await connection.create_large_object()
    assert oid > 0
    data = random.Random(1).randbytes(2_500_000)  # more than goes into one call
    async with connection.large_object(oid, "w") as file:
        assert (file.oid, file.mode, file.closed) == (oid, "w", False)
        assert await file.write(data) == len(data)
        assert await file.write(b"") == 0
        assert await file.tell() == len(data)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        await file.tell()
    assert connection.transaction_status == "I"
    async with connection.large_object(oid) as file:
        assert await file.read(10) == data[:10]
        assert await file.read(0) == b""
        assert await file.read() == data[10:]
        assert await file.read() == b""
        assert await file.seek(-5, io.SEEK_END) == len(data) - 5
        assert await file.read(100) == data[-5:]
        assert await file.seek(7) == 7
        assert await file.seek(3, io.SEEK_CUR) == 10
        assert await file.read(1_500_000) == data[10:1_500_010]
    async with connection.large_object(oid, "r+b") as file:
        await file.seek(5)
        await file.write(bytearray(b"abc"))
        await file.write(memoryview(b"de"))
        assert await file.truncate() == 10
        assert await file.truncate(12) == 12
        await file.seek(0)
        assert await file.read() == data[:5] + b"abcde\0\0"
        # beyond the end there is nothing
        assert await file.seek(far) == far
        assert await file.tell() == far
        assert await file.read(1) == b""
    await connection.unlink_large_object(oid)
    with pytest.raises(PostgresError) as caught:
        await connection.unlink_large_object(oid)
    assert caught.value.sqlstate == "42704"


@on_each_face
async def test_a_large_object(connection: Any) -> None:
    await check_a_large_object(connection, 1 << 40)


@pytest.mark.parametrize("face", FACES)
def test_a_large_object_of_febe(face: str, febe_server: FebeServer) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(febe_server.dsn())
        try:
            await check_a_large_object(connection, 1 << 20)  # its large objects lie in memory
        finally:
            await connection.close()

    run(face, main)


@on_each_face
async def test_a_large_object_and_its_transaction(connection: Any) -> None:
    oid = await connection.create_large_object()

    async def content() -> bytes:
        async with connection.large_object(oid) as file:
            return bytes(await file.read())

    async with connection.large_object(oid, "w") as file:
        await file.write(b"kept")
    with pytest.raises(ZeroDivisionError):
        async with connection.large_object(oid, "w+") as file:
            await file.write(b"lost")
            raise ZeroDivisionError
    assert connection.transaction_status == "I"
    assert await content() == b"kept"
    # In a block it belongs to that, and what fails in it is the block's affair.
    async with connection.transaction():
        async with connection.large_object(oid, "r+") as file:
            await file.write(b"K")
        assert connection.transaction_status == "T"
        async with connection.large_object(oid) as one, connection.large_object(oid) as other:
            assert (await one.read(1), await other.read(2)) == (b"K", b"Ke")
    with pytest.raises(PostgresError):
        async with connection.transaction(), connection.large_object(oid, "r+") as file:
            await file.write(b"x")
            await connection.execute("select 1 / 0")
    assert await content() == b"Kept"
    # What the mode does not allow the server refuses.
    with pytest.raises(PostgresError):
        async with connection.large_object(oid, "r") as file:
            await file.write(b"x")
    assert await content() == b"Kept"
    with pytest.raises(PostgresError) as caught:
        async with connection.large_object(1):
            pass
    assert (caught.value.sqlstate, connection.transaction_status) == ("42704", "I")
    with pytest.raises(ValueError, match="the mode is one of"):
        connection.large_object(oid, "a")
    with pytest.raises(TypeError, match="bytes wanted"):
        async with connection.large_object(oid, "r+") as file:
            await file.write("text")
    await connection.unlink_large_object(oid)


def test_a_large_object_is_a_file_to_others(pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as connection:
        oid = connection.create_large_object()
        with connection.large_object(oid, "w+") as file:
            assert (file.readable(), file.writable(), file.seekable()) == (True, True, True)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.txt", "a" * 100_000)
                archive.writestr("b.txt", "b")
        copied = io.BytesIO()
        with connection.large_object(oid) as file:
            shutil.copyfileobj(file, copied)
        with zipfile.ZipFile(copied) as archive:
            assert archive.read("a.txt") == b"a" * 100_000
        with connection.large_object(oid) as file, zipfile.ZipFile(file) as archive:
            assert archive.namelist() == ["a.txt", "b.txt"]
        connection.unlink_large_object(oid)


# Function calls

@on_each_face
async def test_function_calls(connection: Any) -> None:
    assert await connection.call("pg_backend_pid") == connection.process_id
    assert await connection.call("quote_literal(text)", "it's ü") == "'it''s ü'"
    assert await connection.call("pg_catalog.int4pl", 2, None) is None
    assert await connection.call("int4pl", 2, 3) == 5
    assert await connection.call("pg_sleep", 0.0) is None
    with pytest.raises(PostgresError) as caught:
        await connection.call("int4div", 1, 0)
    assert caught.value.sqlstate == "22012"
    with pytest.raises(EncodeError, match=r"argument 2 of int4pl \(int4\): integer out of range"):
        await connection.call("int4pl", 2, 2**40)
    with pytest.raises(EncodeError, match="int4pl takes 2 arguments, 1 given"):
        await connection.call("int4pl", 2)
    for name in ("quote_literal", "nowhere", "upper(nothing)"):
        with pytest.raises((Error, PostgresError)):
            await connection.call(name, "a")
    assert await connection.fetchval("select 1") == 1
    await connection.execute("create type pg_temp.pair as (a int4, b text); create function pg_temp.swap(pg_temp.pair) "
                             "returns pg_temp.pair language sql as 'select row($1.a + 1, $1.b || ''!'')::pg_temp.pair'")
    assert await connection.call("pg_temp.swap", (1, "x")) == (2, "x!")
    async with connection.transaction():
        assert await connection.call("int4pl", 1, 1) == 2


def test_function_calls_of_many(pg18: Postgres) -> None:
    async def main() -> list[Any]:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            calls = [connection.call("int4pl", number, 1) if number % 2 else connection.fetchval(f"select {number} + 1")
                     for number in range(40)]
            return await asyncio.gather(*calls)

    assert asyncio.run(main()) == list(range(1, 41))


# Cursors

@on_each_face
async def test_cursors(connection: Any) -> None:
    sql = "select x, 'row ' || x as words from generate_series(1, $1::int4) x"
    async with connection.transaction(), connection.cursor(sql, 10, scroll=True) as cursor:
        assert [row.words for row in await cursor.fetch(2)] == ["row 1", "row 2"]
        assert (await cursor.fetchrow()).x == 3
        assert [row.x for row in await cursor.fetch(-2)] == [2, 1]
        assert (await cursor.absolute(-1)).x == 10
        assert (await cursor.relative(-4)).x == 6
        assert (await cursor.relative(0)).x == 6
        assert await cursor.absolute(11) is None
        assert await cursor.move(-3) == 3
        assert [row.x for row in await cursor.fetch()] == [9, 10]
        assert await cursor.fetch(5) == []
        assert await cursor.fetchrow() is None
        assert await cursor.absolute(0) is None
        assert await cursor.move() == 10
        async with connection.into(dict).cursor("select 1 as one") as other:
            assert await other.fetch() == [{"one": 1}]
    assert await connection.fetchval("select count(*) from pg_cursors where name <> ''") == 0


@on_each_face
async def test_cursors_that_are_held(connection: Any) -> None:
    with pytest.raises(PostgresError) as caught:
        async with connection.cursor("select 1"):
            pass
    assert caught.value.sqlstate == "25P01"
    async with connection.cursor("select x from generate_series(1, 5) x", hold=True, name='odd "name"') as cursor:
        assert cursor.name == 'odd "name"'
        assert await cursor.fetch(2) == [(1,), (2,)]
        assert await connection.fetchval("select is_holdable from pg_cursors where name <> ''") is True
        await connection.execute("begin; commit")
        assert await cursor.fetch() == [(3,), (4,), (5,)]
    # another cursor of the same name has other columns
    async with connection.cursor("select 'a', 'b'", hold=True, name='odd "name"') as cursor:
        assert await cursor.fetch(2) == [("a", "b")]
        await cursor.close()
        await cursor.close()
        with pytest.raises(PostgresError) as caught:
            await cursor.fetch()
        assert caught.value.sqlstate == "34000"
    async with connection.transaction():
        await connection.execute("create temp table t as select x from generate_series(1, 3) x")
        async with connection.cursor("select x from t for update", scroll=False) as cursor:
            await cursor.fetch(2)
            await connection.execute(febe.sql("delete from t where current of {}", febe.Name(cursor.name)))
            with pytest.raises(PostgresError) as caught:
                async with connection.transaction():
                    await cursor.fetch(-1)
            assert caught.value.sqlstate == "55000"
        assert await connection.fetch("select x from t") == [(1,), (3,)]
    # the transaction ends first, and its cursor with it
    with pytest.raises(PostgresError):
        async with connection.transaction(), connection.cursor("select 1"):
            await connection.execute("select 1 / 0")
    assert await connection.fetchval("select 1") == 1


@on_each_face
async def test_describe(connection: Any) -> None:
    found = await connection.describe("select $1::int4 + 1 as a, $2::text[] as b")
    assert found.parameters == ("int4", "_text")
    assert [(column.name, column.type_oid) for column in found.columns] == [("a", 23), ("b", 1009)]
    assert (await connection.describe("create table nowhere (a int4)")).columns == ()
    assert (await connection.describe(febe.sql("select {}::int4", 5))).parameters == ("int4",)
    assert await connection.fetchval("select count(*) from pg_prepared_statements "
                                     "where statement like '%as a%' and not statement like '%pg_prep%'") == 0
    with pytest.raises(PostgresError):
        await connection.describe("selec")
