"""pandas and Polars read by febe's DB-API connections, and pgvector's types through what data people use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy
import pandas
import polars
import pytest
import sqlalchemy

import febe
import febe.dbapi
from tests.peers.postgres import Postgres

SQL = ("select n, n::text as name, case when n > 1 then n / 4.0 end::float8 as quarter, "
       "(n * 1.25)::numeric(6, 2) as price, "
       "timestamptz '2024-02-29 12:00Z' + n * interval '1 day' as at, array[n, n + 1] as pair "
       "from generate_series(1, {}) n")


@pytest.fixture
def connection(pg18: Postgres) -> Iterator[Any]:
    made = febe.dbapi.connect(pg18.dsn())
    yield made
    made.close()


def test_pandas_reads(connection: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pandas only supports SQLAlchemy", UserWarning)
        frame = pandas.read_sql(SQL.format(3), connection, index_col="n")
        assert frame.index.tolist() == [1, 2, 3]
        assert (frame.loc[2, "name"], frame.loc[2, "quarter"], frame.loc[2, "price"]) == ("2", 0.5, Decimal("2.50"))
        assert frame["at"].tolist()[0] == datetime(2024, 3, 1, 12, tzinfo=UTC)
        assert pandas.isna(frame.loc[1, "quarter"])
        few = pandas.read_sql("select %(low)s::int4 + n as m from generate_series(1, 5) n where n > %(low)s",
                              connection, params={"low": 3})
        assert few["m"].tolist() == [7, 8]
        pieces = list(pandas.read_sql(SQL.format(5), connection, chunksize=2))
        assert [len(piece) for piece in pieces] == [2, 2, 1]


@pytest.fixture
def engine(pg18: Postgres) -> Iterator[sqlalchemy.Engine]:
    made = sqlalchemy.create_engine(pg18.dsn().replace("postgresql://", "postgresql+febe://"))
    yield made
    made.dispose()


def test_pandas_both_ways_by_sqlalchemy(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("set search_path = pg_temp"))
        frame = pandas.DataFrame({
            "n": [1, 2, 3], "name": ["a", None, "ä%s:x"], "half": [0.5, None, 1.5], "yes": [True, False, True],
            "at": pandas.to_datetime(["2024-02-29 12:00", "2025-01-01 00:00", None], utc=True)})
        frame.to_sql("frame", connection, index=False, chunksize=2)
        frame.to_sql("frame", connection, index=False, if_exists="append", method="multi")
        back = pandas.read_sql("select * from frame", connection)
        assert back["n"].tolist() == [1, 2, 3] * 2 and back["yes"].tolist() == frame["yes"].tolist() * 2
        assert back["name"].fillna("").tolist() == ["a", "", "ä%s:x"] * 2
        assert back["at"].tolist()[:2] == frame["at"].tolist()[:2] and pandas.isna(back["at"][2])
        few = pandas.read_sql(sqlalchemy.text("select n from frame where n > :low order by n"), connection,
                              params={"low": 1})
        assert few["n"].tolist() == [2, 2, 3, 3]
        connection.execute(sqlalchemy.text("create schema frames"))  # rolled back in the end
        frame.to_sql("kept", connection, schema="frames", index_label="place")
        assert pandas.read_sql_table("kept", connection, schema="frames", index_col="place")["half"].count() == 2
        pieces = [len(one) for one in pandas.read_sql("select * from frame", connection, chunksize=4)]
        assert pieces == [4, 2]


def test_polars_both_ways_by_sqlalchemy(engine: sqlalchemy.Engine) -> None:
    frame = polars.DataFrame({"n": [1, 2], "name": ["a", None], "day": [date(2024, 2, 29), None]})
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("set search_path = pg_temp"))
        frame.write_database("frame", connection, engine="sqlalchemy")
        back = polars.read_database("select * from frame order by n", connection)
        assert back.to_dicts() == frame.to_dicts()


def test_polars_reads(connection: Any) -> None:
    frame = polars.read_database(SQL.format(3), connection)
    assert frame["price"].to_list() == [Decimal("1.25"), Decimal("2.50"), Decimal("3.75")]
    assert frame["pair"].to_list() == [[1, 2], [2, 3], [3, 4]]
    assert frame["quarter"].to_list() == [None, 0.5, 0.75]
    pieces = list(polars.read_database(SQL.format(5), connection.cursor(), iter_batches=True, batch_size=2))
    assert [piece.height for piece in pieces] == [2, 2, 1]
    few = polars.read_database("select n from generate_series(1, 9) n where n > %s", connection,
                               execute_options={"parameters": [7]})
    assert few["n"].to_list() == [8, 9]


def test_rows_and_arrow_are_the_same_frame(pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as connection:
        frame = polars.DataFrame(connection.fetch_arrow(SQL.format(50)))
        assert frame.rows() == [tuple(row) for row in connection.fetch(SQL.format(50))]
        assert pandas.DataFrame.from_arrow(connection.fetch_arrow(SQL.format(50)))["pair"].tolist()[49].tolist() == [
            50, 51]


def test_pgvector(pg18: Postgres) -> None:
    with febe.connect(pg18.dsn()) as connection:
        connection.execute("create extension if not exists vector schema public; create temp table item "
                           "(id int4, v vector(3), h halfvec(3), s sparsevec(5))")
        given = numpy.arange(12, dtype=numpy.float32).reshape(4, 3) / 4
        connection.copy_in("item", [(n, row, row.tolist(), None) for n, row in enumerate(given)])
        connection.executemany("insert into item values ($1, $2, $3, $4)",
                               [(9, numpy.array([1, 2, 3.5]), [0.5, 1, 2], febe.types.SparseVector(5, {1: 2.5}))])
        rows = connection.fetch("select v, h, s from item order by id")
        assert numpy.array_equal(numpy.stack([row.v for row in rows[:4]]), given)
        assert (list(rows[4].v), list(rows[4].h), rows[4].s) == (
            [1, 2, 3.5], [0.5, 1, 2], febe.types.SparseVector(5, {1: 2.5}))
        near = "select id from item order by v <-> $1::vector limit 1"
        assert connection.fetchval(near, given[2] + numpy.float32(0.01)) == 2
        assert polars.DataFrame(connection.fetch_arrow("select v from item where id = 1"))["v"].to_list() == [
            "[0.75,1,1.25]"]
        with pytest.raises(febe.PostgresError, match="expected 3 dimensions, not 2"):
            connection.execute("insert into item (v) values ($1)", [1.0, 2.0])
