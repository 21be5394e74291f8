"""What a connection does beyond one statement, by each face, against PostgreSQL."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow
import pytest

import febe
import febe.aio
import febe.trio
from febe.errors import EncodeError, Error, NotSupported, PostgresError, Skipped, TransactionRolledBack
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres

Test = Callable[..., Any]


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Person:
    name: str
    age: int


def on_each_face(test: Test) -> Test:
    """Run a coroutine that takes a connection."""
    def wrapper(face: str, postgres: Postgres) -> None:
        async def main(connect: Any) -> None:
            connection = await connect(postgres.dsn())
            try:
                await test(connection)
            finally:
                await connection.close()

        run(face, main)

    wrapper.__name__ = test.__name__
    return wrapper


# Rows

@on_each_face
async def test_rows_are_made_into_what_is_asked_for(connection: Any) -> None:
    sql = "select 'Ann' as name, 30 as age union all select 'Bob', 40 order by 1"
    assert await connection.into(dict).fetch(sql) == [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}]
    assert await connection.into(Person).fetch(sql) == [Person("Ann", 30), Person("Bob", 40)]
    assert await connection.into(Person).fetchrow(sql) == Person("Ann", 30)
    assert await connection.into(Person).fetchrow("select 1 where false") is None
    assert await connection.into(febe.scalar).fetch(sql) == ["Ann", "Bob"]
    assert type((await connection.into(tuple).fetch(sql))[0]) is tuple


@on_each_face
async def test_execute_keeps_rows_and_every_result(connection: Any) -> None:
    done = await connection.execute("create temp table t (a int4); insert into t values (1), (2) returning a; "
                                    "select a, a::text as b from t; ;")
    assert [(str(one), one.rows) for one in done.results[:3]] == [
        ("CREATE TABLE", []), ("INSERT 0 2", [(1,), (2,)]), ("SELECT 2", [(1, "1"), (2, "2")])]
    assert [one.rowcount for one in done.results] == [None, 2, 2]
    with_parameters = await connection.execute("delete from t where a > $1 returning a", 1)
    assert (with_parameters, with_parameters.rows, with_parameters.columns[0].name) == ("DELETE 1", [(2,)], "a")


# Many sets of parameters

@on_each_face
async def test_executemany(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, b text)")
    await connection.executemany("insert into t values ($1, $2)", [])
    await connection.executemany("insert into t values ($1, $2)", ((n, str(n)) for n in range(12345)))
    assert await connection.fetchrow("select count(*), sum(a), count(distinct b) from t") == (12345, 76193340, 12345)
    rows = await connection.fetchmany("insert into t values ($1, 'x') returning a, b", [(1,), (2,)])
    assert rows == [(1, "x"), (2, "x")]


@on_each_face
async def test_executemany_is_all_or_nothing(connection: Any) -> None:
    await connection.execute("create temp table t (a int4 primary key)")
    sql = "insert into t values ($1)"
    with pytest.raises(PostgresError, match="duplicate") as caught:
        await connection.executemany(sql, [(n % 11900,) for n in range(12000)])
    assert "set 11900 " in caught.value.__notes__[0]
    with pytest.raises(EncodeError, match="int4") as refused:
        await connection.executemany(sql, [(n if n != 10700 else "x",) for n in range(12000)])
    assert "set 10700 " in refused.value.__notes__[0]

    def broken() -> Any:
        for number in range(10800):
            yield (number,)
        raise LookupError("no more")

    with pytest.raises(LookupError):
        await connection.executemany(sql, broken())
    assert await connection.fetchval("select count(*) from t") == 0
    assert connection.transaction_status == "I"


# Pipelines

@on_each_face
async def test_a_pipeline_has_one_fate(connection: Any) -> None:
    await connection.execute("create temp table t (a int4 primary key)")
    async with connection.pipeline() as pipeline:
        replies = [pipeline.execute("insert into t values ($1)", n) for n in range(3)]
        total = pipeline.fetchval("select sum(a) from t")
        with pytest.raises(Error, match="not ended"):
            total.result()
    assert [reply.result() for reply in replies] == ["INSERT 0 1"] * 3
    assert total.result() == 3
    with pytest.raises(PostgresError, match="duplicate"):
        async with connection.pipeline() as pipeline:
            before = pipeline.execute("insert into t values ($1)", 10)
            failing = pipeline.execute("insert into t values ($1)", 1)
            after = pipeline.fetch("select a from t")
    assert before.result() == "INSERT 0 1"
    with pytest.raises(PostgresError, match="duplicate"):
        failing.result()
    with pytest.raises(Skipped):
        after.result()
    with pytest.raises(EncodeError):
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values ($1)", 11)
            pipeline.execute("insert into t values ($1)", "eleven")
    with pytest.raises(PostgresError, match="syntax"):
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values ($1)", 12)
            pipeline.execute("nonsense")
    assert await connection.fetch("select a from t order by a") == [(0,), (1,), (2,)]


@on_each_face
async def test_what_a_pipeline_makes_is_there_for_the_rest_of_it(connection: Any) -> None:
    async with connection.pipeline() as pipeline:
        pipeline.execute("create temp table made (a int4)")
        pipeline.execute("insert into made values ($1)", 5)
        reply = pipeline.fetch("select a from made")
    assert reply.result() == [(5,)]


# Streams

@pytest.mark.parametrize("in_block", [False, True], ids=["alone", "in a block"])
def test_a_stream_is_bounded(face: str, postgres: Postgres, in_block: bool) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(postgres.dsn())
        if in_block:
            await connection.execute("begin")
        async with connection.stream("select n from generate_series(1, $1::int4) n", 2500, size=1000) as stream:
            sizes, total = [], 0
            async for batch in stream:
                sizes.append(len(batch))
                total += sum(row.n for row in batch)
                if in_block:
                    assert await connection.fetchval("select 1") == 1
                elif len(batch) == 1000:
                    with pytest.raises(Error, match="in the middle of a stream"):
                        await connection.fetchval("select 1")
        assert (sizes, total) == ([1000, 1000, 500], 2500 * 2501 // 2)
        async with connection.stream("select n from generate_series(1, 100000) n") as stream:
            async for _batch in stream:
                break
        assert await connection.fetchval("select 7") == 7
        assert connection.transaction_status == ("T" if in_block else "I")
        async with connection.stream("select 1 / (3 - n) from generate_series(1, 5) n", size=2) as stream:
            with pytest.raises(PostgresError, match="zero"):
                async for _batch in stream:
                    pass
        assert connection.transaction_status == ("E" if in_block else "I")
        await connection.close()

    run(face, main)


@on_each_face
async def test_what_is_asked_first_is_told_the_server_once(connection: Any) -> None:
    sql = "select n from generate_series(1, 3) n"
    for _ in range(3):
        async with connection.stream(sql) as stream:
            assert [len(batch) async for batch in stream] == [3]
        assert len(await connection.fetch(sql)) == 3


@on_each_face
async def test_what_a_failed_pipeline_was_to_tell_is_told_again(connection: Any) -> None:
    for sql in ("select 1 as a", "select 2 as a"):
        await connection.describe(sql)
        with pytest.raises(PostgresError, match="zero"):
            async with connection.pipeline() as pipeline:
                pipeline.fetch("select 1 / $1::int4", 0)
                pipeline.fetch(sql)
        async with connection.transaction():
            assert len(await connection.fetch(sql)) == 1


# Arrow

@on_each_face
async def test_results_as_arrow(connection: Any) -> None:
    sql = ("select n, n::text as t, case when n % 2 = 0 then n * 1.5 end::float8 as f "
           "from generate_series(1, $1::int4) n")
    for _ in range(2):
        table = pyarrow.table(await connection.fetch_arrow(sql, 5))
        assert table.to_pydict() == {"n": [1, 2, 3, 4, 5], "t": ["1", "2", "3", "4", "5"],
                                     "f": [None, 3.0, None, 6.0, None]}
    assert pyarrow.table(await connection.fetch_arrow(sql, 0)).num_rows == 0
    async with connection.stream_arrow(sql, 2500, size=1000) as stream:
        tables = [pyarrow.table(table) async for table in stream]
    assert [table.num_rows for table in tables] == [1000, 1000, 500]
    assert sum(tables[2].column("n").to_pylist()) == sum(range(2001, 2501))


# Transactions

@on_each_face
async def test_transactions_nest(connection: Any) -> None:
    await connection.execute("create temp table t (a int4)")
    async with connection.transaction():
        await connection.execute("insert into t values (1)")
        with pytest.raises(LookupError):
            async with connection.transaction():
                await connection.execute("insert into t values (2)")
                raise LookupError
        async with connection.transaction():
            await connection.execute("insert into t values (3)")
    with pytest.raises(LookupError):
        async with connection.transaction():
            await connection.execute("insert into t values (4)")
            raise LookupError
    async with connection.transaction() as transaction:
        await connection.execute("insert into t values (5)")
        await transaction.rollback()
    assert await connection.fetch("select a from t") == [(1,), (3,)]


@on_each_face
async def test_properties_of_transactions(connection: Any) -> None:
    show = "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), " \
           "current_setting('transaction_deferrable')"
    async with connection.transaction(isolation="serializable", read_only=True, deferrable=True):
        assert await connection.fetchrow(show) == ("serializable", "on", "on")
        with pytest.raises(Error, match="outermost"):
            async with connection.transaction(read_only=False):
                pass
    with pytest.raises(ValueError, match="no isolation level"):
        connection.transaction(isolation="serializable; drop table t")


@on_each_face
async def test_a_commit_that_was_none_is_told(connection: Any) -> None:
    with pytest.raises(TransactionRolledBack):
        async with connection.transaction():
            with pytest.raises(PostgresError):
                await connection.fetch("select 1 / 0")
    assert connection.transaction_status == "I"


def test_two_phase_commit(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn())
        if await connection.fetchval("show max_prepared_transactions") == "0":
            with pytest.raises(PostgresError, match="prepared transactions are disabled"):
                async with connection.transaction() as transaction:
                    await transaction.prepare("it's")
            await connection.execute("rollback")
        await connection.close()

    run(face, main)


RETRY: dict[str, Any] = {"asyncio": febe.aio.retry, "trio": febe.trio.retry}


def test_a_transaction_is_run_again_when_the_server_asks_for_it(face: str, pg18: Postgres) -> None:
    failing = "do $$ begin raise exception 'again' using errcode = '{}'; end $$"

    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn())
        await connection.execute("create temp table t (a int4)")
        if face == "blocking":
            states = ["40001", "40P01"]

            def plain(one: febe.Connection[Any]) -> int:
                one.execute("insert into t values (1)")
                if states:
                    one.execute(failing.format(states.pop()))
                return 5

            assert febe.retry(connection.real, plain, isolation="serializable") == 5
        else:
            states = ["40001", "40P01"]

            async def work(one: Any) -> int:
                await one.execute("insert into t values (1)")
                if states:
                    await one.execute(failing.format(states.pop()))
                return 5

            assert await RETRY[face](connection, work, isolation="serializable") == 5
            states += ["22012"]
            with pytest.raises(PostgresError, match="again"):
                await RETRY[face](connection, work)
            states += ["40001"] * 3
            with pytest.raises(PostgresError, match="again"):
                await RETRY[face](connection, work, attempts=2)
        assert await connection.fetchval("select count(*) from t") == 1
        await connection.close()

    run(face, main)


# COPY

@on_each_face
async def test_records_are_copied_in_and_out(connection: Any) -> None:
    await connection.execute('create temp table "Odd ""name" (a int4, b text, c timestamptz)')
    seen: list[tuple[int, int]] = []
    done = await connection.copy_in('Odd "name', ((n, None if n % 2 else "\t\\x") for n in range(30000)),
                                    columns=["a", "b"], progress=lambda rows, size: seen.append((rows, size)))
    assert (done, done.rowcount, seen[-1][0]) == ("COPY 30000", 30000, 30000)
    copied = []
    async with connection.copy_out('Odd "name', columns=["b", "a"]) as out:
        async for rows in out:
            copied += rows
    assert copied == [(None if n % 2 else "\t\\x", n) for n in range(30000)]
    assert copied[1].a == 1
    assert out.result == "COPY 30000"
    await connection.copy_in('Odd "name', [(1, "x", None)], format="csv", header=True)
    assert await connection.fetchval('select count(*) from "Odd ""name"') == 30001


@on_each_face
async def test_bytes_and_files_are_copied(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, b text)")
    for source in (b"1\tx\n", io.BytesIO(b"2\ty\n"), io.StringIO("3\tz\n"), [b"4\t", b"w\n", "5\tv\n"]):
        await connection.copy_in_bytes("copy t from stdin", source)
    async with connection.copy_out_bytes("copy (select * from t order by a) to stdout (format csv)") as out:
        assert b"".join([piece async for pieces in out for piece in pieces]) == b"1,x\n2,y\n3,z\n4,w\n5,v\n"


@on_each_face
async def test_a_copy_that_fails_leaves_nothing_and_the_connection_goes_on(connection: Any) -> None:
    await connection.execute("create temp table t (a int4 primary key)")
    with pytest.raises(EncodeError, match="row 3, column 'a'"):
        await connection.copy_in("t", [(1,), (2,), (3,), ("four",)])
    with pytest.raises(PostgresError, match="duplicate") as caught:
        await connection.copy_in("t", [(1,), (1,)])
    assert "COPY t, line 2" in caught.value.where

    def broken() -> Any:
        yield (1,)
        raise LookupError

    with pytest.raises(LookupError):
        await connection.copy_in("t", broken())
    with pytest.raises(NotSupported, match="no COPY FROM STDIN"):
        await connection.copy_in_bytes("select 1", b"")
    with pytest.raises(NotSupported, match="no COPY FROM STDIN"):
        await connection.copy_in_bytes("copy t to stdout", b"")
    async with connection.copy_out_bytes("copy (select generate_series(1, 1000000)) to stdout") as out:
        async for _ in out:
            break
    assert await connection.fetchval("select count(*) from t") == 0


# Notifications

@on_each_face
async def test_notifications_are_taken_one_by_one(connection: Any) -> None:
    async with connection.listen("news", 'Odd "name') as news:
        await connection.execute("notify news, 'one'; notify \"Odd \"\"name\"; select pg_notify('news', 'three'); "
                                 "notify others")
        found = [await news.__anext__() for _ in range(3)]
    assert [(one.channel, one.payload) for one in found] == [("news", "one"), ('Odd "name', ""), ("news", "three")]
    assert await connection.fetch("select pg_listening_channels()") == []
