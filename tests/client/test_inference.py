"""Types of parameters that only the value tells, by each face against PostgreSQL."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_interface, ip_network
from typing import Any
from uuid import UUID

import asyncpg
import numpy
import psycopg
import pytest

import febe
import febe.aio
from febe.errors import AmbiguousParameter, EncodeError, IndeterminateDatatype
from febe.types.interval import Interval
from febe.types.ranges import Multirange, Range
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres

Test = Callable[..., Any]


class Plain(enum.Enum):
    ONE = 1


class Mood(enum.Enum):
    SAD = "sad"
    OK = "ok"


@dataclass
class Address:
    street: str
    number: int


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on_each_face(test: Test) -> Test:
    """Run a coroutine that takes a connection."""
    def wrapper(face: str, pg18: Postgres) -> None:
        async def main(connect: Any) -> None:
            connection = await connect(pg18.dsn())
            try:
                await test(connection)
            finally:
                await connection.close()

        run(face, main)

    wrapper.__name__ = test.__name__
    return wrapper


VALUES: list[tuple[Any, str, Any]] = [
    (5, "bigint", 5), (-(1 << 63), "bigint", -(1 << 63)), (1 << 63, "numeric", Decimal(1 << 63)),
    (True, "boolean", True),
    (1.5, "double precision", 1.5), (Decimal("1.50"), "numeric", Decimal("1.50")), ("5", "text", "5"),
    (b"\0", "bytea", b"\0"), (date(2024, 2, 29), "date", date(2024, 2, 29)),
    (time(1, 2), "time without time zone", time(1, 2)),
    (time(1, tzinfo=UTC), "time with time zone", time(1, tzinfo=UTC)),
    (datetime(2024, 1, 2), "timestamp without time zone", datetime(2024, 1, 2)),
    (datetime(2024, 1, 2, tzinfo=UTC), "timestamp with time zone", datetime(2024, 1, 2, tzinfo=UTC)),
    (timedelta(days=1), "interval", Interval(days=1)), (UUID(int=7), "uuid", UUID(int=7)),
    ({"a": [1, None]}, "jsonb", {"a": [1, None]}), (ip_interface("10.0.0.1/8"), "inet", ip_interface("10.0.0.1/8")),
    (ip_network("10.0.0.0/8"), "cidr", ip_network("10.0.0.0/8")), (Plain.ONE, "bigint", 1), (Mood.OK, "text", "ok"),
    ([1, None, 2], "bigint[]", [1, None, 2]), ([[1, 2], [3, 4]], "bigint[]", [[1, 2], [3, 4]]),
    ((1, 2), "bigint[]", [1, 2]),
    ([1, 1 << 70], "numeric[]", [1, 1 << 70]), ([1, 0.5], "double precision[]", [1.0, 0.5]), ([], "text[]", []),
    (["a", None], "text[]", ["a", None]), ([{"a": 1}], "jsonb[]", [{"a": 1}]), (Range(1, 6), "int8range", Range(1, 6)),
    (Range(None, Decimal(1)), "numrange", Range(None, Decimal(1))),
    (Range(date(2024, 1, 1)), "daterange", Range(date(2024, 1, 1))),
    (Multirange([Range(1, 2)]), "int8multirange", Multirange([Range(1, 2)])),
    ([Range(1, 2)], "int8range[]", [Range(1, 2)]),
    (numpy.int16(5), "smallint", 5), (numpy.float32(0.1), "real", 0.1), (numpy.uint64(5), "numeric", Decimal(5)),
    (numpy.array([[1, 2]], "i4"), "integer[]", [[1, 2]]), (numpy.array(["a"]), "text[]", ["a"]),
    (numpy.datetime64("2024-02-29"), "date", date(2024, 2, 29)), (None, "text", None),
]  # fmt: skip


@on_each_face
async def test_the_class_of_a_value_is_its_type_where_nothing_else_tells_it(connection: Any) -> None:
    for value, name, expected in VALUES:
        # What stands alone is text to the server; of what may be anything it finds no type.
        for sql in ("select $1", "select $1, pg_typeof($1)::text"):
            for times in range(2):
                asked = connection._session.asked
                found = await connection.fetchrow(sql, value)
                assert found[0] == expected and type(found[0]) is type(expected), (value, found)
                assert len(found) == 1 or found[1] == name, value
                assert not times or connection._session.asked == asked + 1  # one flight, once it is known


@on_each_face
async def test_what_the_server_infers_counts(connection: Any) -> None:
    await connection.execute("create temp table t (i int2, b int8, n numeric, f float4, s text, v varchar(9), d date)")
    await connection.execute("insert into t values ($1, $2, $3, $4, $5, $6, $7)", 5, 5, 5, 5, "5", "5",
                             date(2024, 1, 1))
    assert await connection.fetchrow("select i, n from t where i = $1 and b = $2 and n = $3 and d < $4", 5, 5, 5,
                                     date(2025, 1, 1)) == (5, Decimal(5))
    assert await connection.fetchval("select $1 + 1", 5) == 6
    assert await connection.fetchval("select $1 || 'x'", "5") == "5x"
    async with connection.transaction():
        for sql, value in (("insert into t (s) values ($1)", 5), ("insert into t (s) values ($1)", b"5"),
                           ("insert into t (v) values ($1)", 5), ("insert into t (s) values ($1) returning s", 5),
                           ("update t set s = $1", {"a": 1}), ("select 1 from t where s = $1", 5),
                           ("select $1::text", 5), ("select lower($1)", 5), ("select $1 || 'x'", 5)):
            for _ in range(2):
                with pytest.raises(EncodeError, match=r"parameter \$1 \((text|varchar)\)"):
                    await connection.fetch(sql, value)
                assert connection.transaction_status == "T"  # nothing has failed it
        with pytest.raises(EncodeError, match="out of range"):
            await connection.fetch("select 1 from t where i = $1", 1 << 40)
    assert await connection.fetchval("select count(*) from t") == 1


@on_each_face
async def test_values_of_several_classes(connection: Any) -> None:
    sql = "select $1, $2, $3::int4, coalesce($4, $5)"
    for values in ((5, "x", 1, 2, 3), ("5", None, 1, None, 3.5), (None, 5, None, True, None), (b"5", 5, 1, "a", "b")):
        for _ in range(2):
            assert await connection.fetchrow(sql, *values) == (
                *values[:3], values[3] if values[3] is not None else values[4])
    for value in (object(), Range.EMPTY, [1, "a"], Address("x", 1)):
        with pytest.raises(EncodeError, match=r"parameter \$1 \(text\)"):
            await connection.fetchval("select $1", value)
    with pytest.raises(EncodeError, match="takes 5 parameters, 1 given"):
        await connection.fetch(sql, 5)


@on_each_face
async def test_parameters_that_may_be_anything(connection: Any) -> None:
    sql = "select jsonb_build_object($1, $2, 'n', $3), $1 is null"
    for values in (("a", 1, None), ("b", [1], "x"), ("c", {"d": True}, 1.5)):
        assert await connection.fetchrow(sql, *values) == ({values[0]: values[1], "n": values[2]}, False)
    with pytest.raises((IndeterminateDatatype, AmbiguousParameter)) as caught:
        async with connection.transaction():
            await connection.fetchval("select format('%s', $1)", 5)
    assert "$1::int8 would" in caught.value.__notes__[0]
    assert await connection.fetchval("select format('%s', $1)", 5) == "5"
    async with connection.transaction():
        assert await connection.fetchval("select format('%s', $1)", 6) == "6"
        assert await connection.fetchval("select $1", 6) == 6


@on_each_face
async def test_every_way_to_run_a_statement(connection: Any) -> None:
    async with await connection.prepare("select $1 as a") as statement:
        assert [await statement.fetchval(value) for value in (1, "a", 2, True)] == [1, "a", 2, True]
    async with connection.stream("select $1 from generate_series(1, $2::int4)", 5, 3, size=2) as stream:
        assert [list(batch) async for batch in stream] == [[(5,), (5,)], [(5,)]]
    async with connection.stream("select jsonb_build_array($1)", 5) as stream:
        assert [batch[0] async for batch in stream] == [([5],)]
    assert (await connection.fetch_numpy("select $1 as a", 5))["a"].tolist() == [5]
    for _ in range(2):
        async with connection.pipeline() as pipeline:
            pipeline.execute("create temp table made (s text) on commit drop")
            replies = [pipeline.fetchval("select $1 as fresh", value) for value in (1, "a", 2.5, None)]
            async with pipeline.stream("select $1 as more, $2::text", 5, "x") as stream:
                assert [batch[0][0] async for batch in stream] == [5]
        assert [reply.result() for reply in replies] == [1, "a", 2.5, None]
    for _ in range(2):
        assert await connection.fetchmany("select $1, jsonb_build_array($2)", [(n, n) for n in range(1200)]) == [
            (n, [n]) for n in range(1200)]
    with pytest.raises(EncodeError, match=r"parameter \$1 \(int8\)") as caught:
        await connection.fetchmany("select $1", [(1,), (2,), ("3",)])
    assert "set 2 " in caught.value.__notes__[0]
    with pytest.raises(EncodeError):
        async with connection.pipeline() as pipeline:
            pipeline.execute("create temp table made (s text)")
            pipeline.execute("insert into made values ($1)", 5)
    await connection.execute("create temp table made (s text)")
    assert await connection.fetchval("select $1 as fresh", 7) == 7  # described anew


@on_each_face
async def test_registered_classes_are_looked_up(connection: Any) -> None:
    await connection.execute("create schema inferring; "
                             "create type inferring.\"Odd address\" as (street text, number int4); "
                             "create type mood_of as enum ('sad', 'ok')")
    connection.types.register_class("inferring.Odd address", Address)
    connection.types.register_class("mood_of", Mood)
    home = Address("High Street", 5)
    for _ in range(2):
        assert await connection.fetchrow("select $1, $2, $3", home, Mood.OK, [home, None]) == (
            home, Mood.OK, [home, None])
    assert await connection.fetchval("select pg_typeof($1)::text", [Mood.SAD]) == "mood_of[]"
    await connection.execute("drop schema inferring cascade; drop type mood_of")


@pytest.mark.parametrize("face", FACES)
def test_without_a_cache(face: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn(), statement_cache_size=0)
        for _ in range(2):
            assert await connection.fetchrow("select $1, $2", 5, "x") == (5, "x")
            assert await connection.fetchval("select jsonb_build_array($1)", 5) == [5]
            async with connection.stream("select $1", 5) as stream:
                assert [batch[0] async for batch in stream] == [(5,)]
            async with connection.pipeline() as pipeline:
                reply = pipeline.fetchval("select $1", 5)
            assert reply.result() == 5
        assert await connection.fetchval("select count(*) from pg_prepared_statements") == 0
        await connection.close()

    run(face, main)


def test_a_cursor_and_tasks_at_once(pg18: Postgres) -> None:
    async def main() -> None:
        async with await febe.aio.connect(pg18.dsn()) as connection:
            values = [5, "x", 1.5, b"b", True, None] * 20
            assert await asyncio.gather(*[connection.fetchval("select $1", value) for value in values]) == values

    asyncio.run(main())


def test_beside_other_drivers(pg18: Postgres) -> None:
    """What docs/values.md says of them."""
    async def of_asyncpg(sql: str, value: Any) -> Any:
        connection = await asyncpg.connect(pg18.dsn())
        try:
            return await connection.fetchval(sql, value)
        finally:
            await connection.close()

    alone, anything, into = "select {}", "select jsonb_build_array({})", "insert into texts values ({}) returning a"
    with febe.connect(pg18.dsn()) as ours, psycopg.connect(pg18.dsn(), autocommit=True) as theirs:
        ours.execute("create table texts (a text)")
        try:
            for value in (5, 1.5, True, Decimal("1.5"), b"b", [1, 2]):
                for sql in (alone, anything) if not isinstance(value, bytes) else (alone,):
                    found = ours.fetchval(sql.format("$1"), value)
                    (expected,) = theirs.execute(sql.format("%s"), [value]).fetchone()  # type: ignore[misc, arg-type]
                    assert found == expected
                    with pytest.raises((asyncpg.DataError, asyncpg.IndeterminateDatatypeError)):
                        asyncio.run(of_asyncpg(sql.format("$1"), value))
            assert theirs.execute(into.format("%s"), [b"b"]).fetchone() == ("\\x62",)  # type: ignore[arg-type]
            for refuses in (lambda: ours.fetchval(into.format("$1"), b"b"), lambda: ours.fetchval(into.format("$1"), 5),
                            lambda: asyncio.run(of_asyncpg(into.format("$1"), 5))):
                with pytest.raises((EncodeError, asyncpg.DataError)):
                    refuses()
            with pytest.raises(psycopg.errors.UndefinedFunction):
                theirs.execute("select 1 from texts where a = %s", [5])
        finally:
            ours.execute("drop table texts")
