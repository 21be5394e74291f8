"""What febe hands out is taken by Polars, pandas, pyarrow, DuckDB and nanoarrow, and given back by all of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from febe.types import _arrow_export
from febe.types.arrow import read_stream
from febe.types.arrow_rows import ArrowBatch, ArrowStream, ArrowTable
from tests.peers.postgres import Postgres

from .wire_rows import arrow

psycopg = pytest.importorskip("psycopg")

SQL = """select i::int4 a, case when i % 3 > 0 then 'text ä ' || i end b, i / 4.0::float8 c, i % 2 = 0 d,
    (i / 100.0)::numeric(12,2) e, '2000-01-01'::date + i f, timestamptz '2000-01-01 00:00:00Z' + i * interval '1 s' g,
    array_fill(i, array[i % 3]) h, (array['sad', 'ok'])[1 + i % 2]::humour j,
    ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid k, row(i, 'x')::point_of l
    from generate_series(1, 1000) i"""


def row(i: int) -> dict[str, Any]:
    return {
        "a": i, "b": f"text ä {i}" if i % 3 else None, "c": i / 4, "d": i % 2 == 0, "e": Decimal(i) / 100,
        "f": date.fromordinal(730120 + i), "g": datetime.fromtimestamp(946684800 + i, UTC), "h": [i] * (i % 3),
        "j": ("sad", "ok")[i % 2], "k": UUID(int=int(str(i), 16)), "l": {"p": i, "q": "x"},
    }  # fmt: skip


ROWS = [row(i) for i in range(1, 1001)]


@pytest.fixture(scope="module")
def table(pg18: Postgres) -> Iterator[ArrowTable]:
    with psycopg.connect(pg18.dsn(), autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("create type humour as enum ('sad', 'ok')")
        connection.execute("create type point_of as (p int4, q text)")
        yield arrow(connection, SQL, rows=300)
        connection.execute("drop type humour, point_of")


@pytest.fixture(autouse=True)
def all_given_back() -> Iterator[None]:
    """Nothing stays alive that nobody holds any more."""
    gc.collect()
    before = len(_arrow_export._live), len(_arrow_export._held)
    yield
    gc.collect()
    assert (len(_arrow_export._live), len(_arrow_export._held)) == before


def same(rows: list[dict[str, Any]], *, uuid: Any = lambda value: value) -> None:
    assert [{**one, "k": uuid(one["k"])} for one in rows] == ROWS


def test_pyarrow(table: ArrowTable) -> None:
    pa = pytest.importorskip("pyarrow")
    for source in (table, ArrowStream(table.schema, table)):
        told = pa.table(source)
        told.validate(full=True)
        assert told.column_names == table.names
        same(told.to_pylist())
    assert pa.schema(table) == told.schema
    batch = pa.record_batch(table.batches[1])
    batch.validate(full=True)
    assert batch.to_pylist() == ROWS[300:600]
    assert [len(one) for one in pa.RecordBatchReader.from_stream(table)] == [300, 300, 300, 100]


def test_parts_outlive_the_whole(table: ArrowTable) -> None:
    pa = pytest.importorskip("pyarrow")
    batch = pa.record_batch(table.batches[0])
    inner = batch.column("l").field("p")
    items = batch.column("h").values
    del batch
    gc.collect()
    assert inner.to_pylist() == list(range(1, 301))
    assert items.to_pylist() == [i for i in range(1, 301) for _ in range(i % 3)]


def test_polars(table: ArrowTable) -> None:
    pl = pytest.importorskip("polars")
    told = pl.DataFrame(table)
    assert told.schema["j"] == pl.Categorical or told.schema["j"] == pl.Enum(["sad", "ok"])
    same(told.to_dicts(), uuid=lambda value: UUID(bytes=value) if isinstance(value, bytes) else value)
    assert pl.DataFrame(table.batches[3]).height == 100


def test_pandas(table: ArrowTable) -> None:
    pd = pytest.importorskip("pandas")
    told = pd.DataFrame.from_arrow(table)
    assert told["a"].tolist() == [one["a"] for one in ROWS]
    assert told["g"].tolist() == [one["g"] for one in ROWS]
    assert told["e"].tolist() == [one["e"] for one in ROWS]
    assert told["j"].tolist() == [one["j"] for one in ROWS]


def test_duckdb(table: ArrowTable) -> None:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    source = table  # DuckDB finds it by this name
    assert source is not None
    # without a zone, for which DuckDB wants one more package
    found = connection.execute("select * replace (g::timestamp as g) from source")
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    same([{**one, "g": one["g"].replace(tzinfo=UTC)} for one in rows])
    stream = ArrowStream(table.schema, table)
    assert stream is not None
    assert connection.execute("select count(*), sum(a), min(b) from stream").fetchone() == (1000, 500500, "text ä 1")


def test_nanoarrow(table: ArrowTable) -> None:
    na = pytest.importorskip("nanoarrow")
    told = na.Array(table.batches[0])
    assert told.child(0).to_pylist() == list(range(1, 301))
    assert na.Schema(table).field(1).name == "b"
    assert len(na.ArrayStream(table).read_all()) == 1000


def test_febe_itself(table: ArrowTable) -> None:
    """The server's reader takes what the client's side makes."""
    simple = ["i", "u", "g", "b", "d:12,2", "tdD", "tsu:UTC"]
    with read_stream(table) as reader:
        assert [column.format for column in reader.schema][:7] == simple
        assert [column.name for column in reader.schema] == table.names
        assert reader.schema[8].dictionary is not None
        assert reader.schema[9].metadata == {b"ARROW:extension:name": b"arrow.uuid", b"ARROW:extension:metadata": b""}
        assert sum(batch.length for batch in reader) == 1000


def test_a_stream_that_fails(table: ArrowTable) -> None:
    """The reason is told; nothing passes through C, and nothing more is asked for."""
    pa = pytest.importorskip("pyarrow")
    closed = []

    def batches() -> Iterator[ArrowBatch]:
        yield table.batches[0]
        raise ValueError("the server went away")

    stream = ArrowStream(table.schema, batches(), lambda: closed.append(True))
    reader = pa.RecordBatchReader.from_stream(stream)
    assert len(reader.read_next_batch()) == 300
    for _ in range(2):
        with pytest.raises(Exception, match="ValueError: the server went away"):
            reader.read_next_batch()
    del reader
    gc.collect()
    assert closed == [True]
    with pytest.raises(ValueError, match="taken already"):
        stream.__arrow_c_stream__()


def test_capsules_nobody_takes(table: ArrowTable) -> None:
    capsules = [table.__arrow_c_stream__(), table.batches[0].__arrow_c_array__(), table.__arrow_c_schema__()]
    assert len(_arrow_export._held) >= 4
    del capsules
