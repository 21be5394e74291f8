"""COPY on each face: what goes in and what comes out, in every format and from every kind of source."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import nanoarrow
import pandas
import polars
import pyarrow
import pytest

from febe.errors import EncodeError, PostgresError
from febe.types.arrow import ArrowError
from febe.types.copy import CopyError
from tests.peers.postgres import Postgres

from .faces import FACES, Main, run


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> Any:
    """Each face in turn."""
    return request.param


def on_each_face(test: Main) -> Callable[..., None]:
    """Run a test that awaits on each face, with a connection to PostgreSQL 18."""

    def wrapper(face: str, pg18: Postgres) -> None:
        async def main(connect: Any) -> None:
            async with await connect(pg18.dsn()) as connection:
                await test(connection)

        run(face, main)

    wrapper.__doc__ = test.__doc__
    return wrapper


ROWS = [(n, f"row {n}\t\\,\"" if n % 3 else None, Decimal(n) / 4) for n in range(500)]


@on_each_face
async def test_rows_in_each_format(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, b text, c numeric)")
    for options in ({}, {"format": "text", "delimiter": "|"}, {"format": "csv", "header": True, "force_quote": "*"},
                    {"format": "binary"}):
        await connection.execute("truncate t")
        given = {name: value for name, value in options.items() if name != "force_quote"}
        await connection.copy_in("t", ROWS, **given)
        seen: list[int] = []
        async with connection.copy_out("t", progress=lambda *so_far, to=seen: to.extend(so_far), **options) as out:
            rows = [row async for piece in out for row in piece]
        assert rows == ROWS
        assert rows[7].c == Decimal("1.75")
        assert seen[-2] == 500 and seen[-1] > 5000
    with pytest.raises(CopyError, match="cannot specify DELIMITER in BINARY mode"):
        await connection.copy_in("t", ROWS, format="binary", delimiter="|")


@on_each_face
async def test_types_without_a_binary_format_go_as_text(connection: Any) -> None:
    await connection.execute("create temp table t (a aclitem, b int4)")
    await connection.copy_in("t", [("=r/postgres", 1)])
    async with connection.copy_out("t") as out:
        assert [row async for rows in out for row in rows] == [("=r/postgres", 1)]


@on_each_face
async def test_files(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, b text)")
    await connection.copy_in("t", [(n, "x" * 100) for n in range(5000)])
    whole, seen = io.BytesIO(), []
    done = await connection.copy_out_file("copy t to stdout (format csv)", whole,
                                          progress=lambda rows, size: seen.append((rows, size)))
    assert (done, whole.getvalue().count(b"\n"), seen[-1][0]) == ("COPY 5000", 5000, 0)
    assert seen[-1][1] == len(whole.getvalue()) + 5 * 5000  # each row is a message
    whole.seek(0)
    steps: list[tuple[int, int]] = []
    assert await connection.copy_in_bytes("copy t from stdin (format csv)", whole,
                                          progress=lambda rows, size: steps.append((rows, size))) == "COPY 5000"
    assert len(steps) > 1 and steps[-1][1] > len(whole.getvalue())

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await connection.copy_out_file("copy t to stdout", Full())
    assert await connection.fetchval("select count(*) from t") == 10000


@pytest.mark.parametrize("face", ["asyncio", "trio"])
def test_asynchronous_files_and_iterables(face: str, pg18: Postgres, tmp_path: Path) -> None:
    class File:
        """What aiofiles and trio make of a file."""

        def __init__(self, real: Any) -> None:
            self.real = real

        async def read(self, size: int) -> bytes:
            return bytes(self.real.read(size))

        async def write(self, data: bytes) -> int:
            return int(self.real.write(data))

    async def rows() -> AsyncIterator[tuple[int, str]]:
        for n in range(2500):
            yield n, str(n)

    async def none() -> AsyncIterator[tuple[int, str]]:
        for _ in ():
            yield 0, ""

    async def pieces() -> AsyncIterator[bytes | str]:
        yield b"1\t"
        yield "one\n"

    async def main(connect: Any) -> None:
        async with await connect(pg18.dsn()) as connection:
            await connection.execute("create temp table t (a int4, b text)")
            assert await connection.copy_in("t", rows()) == "COPY 2500"
            assert await connection.copy_in("t", none()) == "COPY 0"
            assert await connection.copy_in_bytes("copy t from stdin", pieces()) == "COPY 1"
            with open(tmp_path / "t", "w+b") as real:
                await connection.copy_out_file("copy t to stdout", File(real))
                real.seek(0)
                assert await connection.copy_in_bytes("copy t from stdin", File(real)) == "COPY 2501"
            async with await connect(pg18.dsn()) as other, connection.stream_arrow("select * from t", size=999) as some:
                await other.execute("create temp table t (a int4, b text)")
                assert await other.copy_in("t", some) == "COPY 5002"

    run(face, main)


# Arrow

COLUMNS = ("i int4, s int2, big int8, f float8, t text, b bool, d date, at timestamptz, u uuid, e humour, "
           "n numeric(9,3), p positive, c varchar(20), x bytea")
BEGIN = datetime(2024, 2, 29, 12, tzinfo=UTC)


def wide(count: int) -> pyarrow.Table:
    """A column for each kind; those of a data frame are often wider than the table's."""
    numbers = range(count)
    return pyarrow.table({
        "t": [f"text {n}" if n % 5 else None for n in numbers],
        "i": pyarrow.array(numbers, pyarrow.int64()),
        "s": pyarrow.array([n % 100 for n in numbers], pyarrow.int64()),
        "big": pyarrow.array([n * 10**12 for n in numbers], pyarrow.int64()),
        "f": [n / 8 for n in numbers],
        "b": [n % 2 == 0 for n in numbers],
        "d": pyarrow.array([date.fromordinal(738000 + n) for n in numbers], pyarrow.date32()),
        "at": pyarrow.array([BEGIN] * count, pyarrow.timestamp("us", "UTC")),
        "u": [str(UUID(int=n)) for n in numbers],
        "e": pyarrow.array([("sad", "ok")[n % 2] for n in numbers]).dictionary_encode(),
        "n": pyarrow.array([Decimal(n) / 1000 for n in numbers], pyarrow.decimal128(9, 3)),
        "p": pyarrow.array([n + 1 for n in numbers], pyarrow.int32()),
        "c": [f"c{n}" for n in numbers],
        "x": [bytes([n % 256, 0]) for n in numbers],
    })


@pytest.fixture(scope="module", autouse=True)
def kinds(pg18: Postgres) -> Iterator[None]:
    import febe

    with febe.connect(pg18.dsn()) as connection:
        connection.execute("create type humour as enum ('sad', 'ok'); create domain positive as int4 check (value > 0)")
        yield
        connection.execute("drop type humour; drop domain positive")


@pytest.mark.parametrize("form", [{}, {"format": "text"}, {"format": "csv", "null": "-"}], ids=str)
def test_arrow_in(face: str, pg18: Postgres, form: dict[str, Any]) -> None:
    async def main(connect: Any) -> None:
        async with await connect(pg18.dsn()) as connection:
            await connection.execute(f"create temp table t ({COLUMNS})")
            seen: list[tuple[int, int]] = []
            done = await connection.copy_in("t", wide(3000), progress=lambda *so_far: seen.append(so_far), **form)
            assert (done, seen[-1][0]) == ("COPY 3000", 3000)
            assert await connection.fetchrow("select * from t where i = 1999") == (
                1999, 99, 1999 * 10**12, 249.875, "text 1999", False, date.fromordinal(739999), BEGIN, UUID(int=1999),
                "ok", Decimal("1.999"), 2000, "c1999", bytes([207, 0]))
            assert await connection.fetchval("select count(*) from t where t is null") == 600

    run(face, main)


def sources() -> dict[str, Callable[[], Any]]:
    table = pyarrow.table({"b": ["x", None, "ä\t"], "a": pyarrow.array([1, None, 3], pyarrow.int64())})
    return {
        "pyarrow": lambda: table,
        "pyarrow batch": lambda: table.to_batches()[0],
        "pyarrow reader": lambda: pyarrow.RecordBatchReader.from_batches(table.schema, iter(table.to_batches())),
        "polars": lambda: polars.DataFrame(table),
        "pandas": lambda: pandas.DataFrame({"b": ["x", None, "ä\t"], "a": pandas.array([1, None, 3], dtype="Int64")}),
        "duckdb": lambda: duckdb.sql("select b, a::int8 as a from (values ('x', 1), (null, null), ('ä\t', 3)) v(b, a)"),
        "nanoarrow": lambda: nanoarrow.ArrayStream(table),
        "several": lambda: [table.slice(0, 1), polars.DataFrame(table).to_arrow().cast(table.schema).slice(1)],
    }


@pytest.mark.parametrize("source", sources())
def test_arrow_of_everybody(face: str, pg18: Postgres, source: str) -> None:
    async def main(connect: Any) -> None:
        async with await connect(pg18.dsn()) as connection:
            await connection.execute("create temp table t (z int4 default 5, a int4, b text)")
            assert await connection.copy_in("t", sources()[source]()) == "COPY 3"
            assert await connection.fetch("select * from t") == [(5, 1, "x"), (5, None, None), (5, 3, "ä\t")]

    run(face, main)


@on_each_face
async def test_arrow_that_has_to_be_text(connection: Any) -> None:
    """Types that Arrow has no binary values of are read by the server from text, as those of a file are."""
    await connection.execute("create temp table t (a inet, b int4[], c interval, d numeric, e float4)")
    table = pyarrow.table({"a": ["10.0.0.1/8"], "b": ["{1,NULL,3}"], "c": ["1 mon"], "d": [1.25],
                           "e": pyarrow.array([7], pyarrow.int64())})
    await connection.copy_in("t", table)
    assert await connection.fetchval("select t::text from t") == '(10.0.0.1/8,"{1,NULL,3}","1 mon",1.25,7)'
    with pytest.raises(ArrowError, match='column "a" of Arrow format u cannot be sent as type inet in binary'):
        await connection.copy_in("t", table, format="binary")


@on_each_face
async def test_arrow_that_does_not_fit(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, b timestamp)")
    table = pyarrow.table({"a": pyarrow.array([*range(5000), 2**31], pyarrow.int64())})
    with pytest.raises(EncodeError, match=r"row 7501, column 'a': 2147483648 is out of range for type int4"):
        await connection.copy_in("t", [table.slice(0, 2500), table.slice(0, 1), table])
    with pytest.raises(ArrowError, match="the next stream has other columns"):
        await connection.copy_in("t", [table.slice(0, 1), pyarrow.table({"a": [1]}).cast(
            pyarrow.schema({"a": pyarrow.int16()}))])
    zoned = pyarrow.table({"b": pyarrow.array([BEGIN], pyarrow.timestamp("us", "UTC"))})
    with pytest.raises(ArrowError, match='"b" of Arrow format tsu:UTC cannot be sent as type timestamp'):
        await connection.copy_in("t", zoned)
    with pytest.raises(PostgresError, match='column "b2" does not exist'):
        await connection.copy_in("t", zoned.rename_columns(["b2"]))
    with pytest.raises(ArrowError, match="1 columns of Arrow for 2 of the table"):
        await connection.copy_in("t", zoned, columns=["a", "b"])
    with pytest.raises(PostgresError, match="invalid input syntax for type integer") as caught:
        await connection.copy_in("t", pyarrow.table({"a": ["1", "two"]}))
    assert "COPY t, line 2, column a" in caught.value.where
    assert await connection.fetchval("select count(*) from t") == 0
    assert connection.transaction_status == "I"
    assert await connection.copy_in("t", pyarrow.table({"n": [1.0, None]}), columns=["a"], format="csv") == "COPY 2"


@on_each_face
async def test_a_producer_that_fails_fails_the_copy(connection: Any) -> None:
    await connection.execute("create temp table t (n int8)")

    def batches() -> Iterator[Any]:
        yield pyarrow.record_batch({"n": [1]})
        raise LookupError("no more")

    schema = pyarrow.schema({"n": pyarrow.int64()})
    with pytest.raises(ArrowError, match="no more"):
        await connection.copy_in("t", pyarrow.RecordBatchReader.from_batches(schema, batches()))
    assert await connection.fetchval("select count(*) from t") == 0


@on_each_face
async def test_arrow_out(connection: Any) -> None:
    await connection.execute("create temp table t (a int4, n numeric(8,2), tags text[])")
    await connection.execute("insert into t select i, i / 4.0, array['x', i::text] from generate_series(1, 2500) i")
    seen: list[int] = []
    async with connection.copy_out_arrow("t", columns=["n", "a", "tags"], size=1000,
                                         progress=lambda rows, size: seen.append(rows)) as out:
        tables = [pyarrow.table(table) async for table in out]
    whole = pyarrow.concat_tables(tables)
    assert (out.result, seen[-1], whole.column_names) == ("COPY 2500", 2500, ["n", "a", "tags"])
    assert whole.schema.field("n").type == pyarrow.decimal128(8, 2)
    assert whole.slice(2499).to_pylist() == [{"n": Decimal("625.00"), "a": 2500, "tags": ["x", "2500"]}]
    assert max(len(batch) for table in tables for batch in table.to_batches()) == 1000


@on_each_face
async def test_columns_as_numpy_arrays(connection: Any) -> None:
    found = await connection.fetch_numpy("select i, i / 2.0::float8 as half, case when i > 1 then i::text end as name "
                                         "from generate_series(1, $1::int4) i", 1000)
    assert (found["i"].sum(), found["half"].dtype, found["half"][999]) == (500500, "float64", 500.0)
    assert (found["name"].mask.sum(), found["name"][-1]) == (1, "1000")
    assert (await connection.fetch_numpy("select 1 as i where false"))["i"].shape == (0,)
    with pytest.raises(TypeError, match='column "a"'):
        await connection.fetch_numpy("select array[1] as a")
    assert await connection.fetchval("select 1") == 1
