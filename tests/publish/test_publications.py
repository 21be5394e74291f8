"""Several publications, and tables that come from anywhere, to real subscribers."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import polars
import pyarrow
import pytest

import febe
from febe.engines.duckdb import DuckDBEngine
from febe.publish import EngineQuery, Publisher, Table
from febe.publish.publication import names_in
from febe.server.engine import EngineError
from tests.peers.postgres import Postgres
from tests.publish.running import Running, wait_until
from tests.publish.test_publisher import SUBSCRIBERS, opened

MAJORS = [pytest.param(major, marks=() if major == 18 else (pytest.mark.slow,)) for major in SUBSCRIBERS]


class Price(NamedTuple):
    item: str
    price: decimal.Decimal


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return opened(tmp_path)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    made = Publisher(tmp_path / "changes.db")
    yield made
    made.close()


def subscribe(client: febe.Connection, name: str, port: int, publications: str, options: str = "") -> None:
    client.execute(f"create subscription {name} connection 'host=127.0.0.1 port={port} user=u dbname=d "
                   f"sslmode=disable' publication {publications}{options}")


@contextlib.contextmanager
def cleaned(client: febe.Connection, *tables: str) -> Iterator[None]:
    """Whatever happens, neither subscriptions nor tables are left on a server that others use."""
    client.execute(f"drop table if exists {', '.join(tables)}")
    try:
        yield
    finally:
        for (name,) in client.fetch("select subname::text from pg_subscription"):
            client.execute(f"alter subscription {name} disable")
            client.execute(f"alter subscription {name} set (slot_name = none)")
            client.execute(f"drop subscription {name}")
        client.execute(f"drop table if exists {', '.join(tables)}")


def fetched(client: febe.Connection, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in client.fetch(sql)]


@pytest.mark.parametrize("major", MAJORS)
def test_a_publication_has_some_tables_columns_rows_and_operations(publishers: Callable[[int], Postgres],
                                                                   running: Running, major: int) -> None:
    with (running.started() as publisher, febe.connect(publishers(major).dsn()) as client,
          cleaned(client, "stock", "other")):
        stock = publisher.table("public.stock", {"id": "int4", "item": "text", "number": "int4"}, key=["id"],
                                rows=[(1, "apple", 10), (200, "pear", 20)])
        other = publisher.table("public.other", {"id": "int4"}, key=["id"], rows=[(1,)])
        publisher.publish("few", [stock], columns={stock: ["id", "item"]}, where={stock: lambda row: row.id < 100})
        publisher.publish("added", [stock, other], operations=["insert"])
        client.execute("create table stock (id int primary key, item text, number int)")
        client.execute("create table other (id int primary key)")
        subscribe(client, "few", running.port, "few")
        wait_until(client, "select bool_and(srsubstate = 'r') and count(*) = 1 from pg_subscription_rel")
        with publisher.transaction() as change:
            change.insert(stock, (2, "fig", 5))
            change.insert(stock, (300, "kiwi", 5))
            change.insert(other, (2,))
            change.update(stock, (1, "plum", 11))
            change.update(stock, (150, "pear", 20), old=(200, "pear", 20))  # neither is published
            change.update(stock, (3, "kiwi", 6), old=(300, "kiwi", 5))  # comes in
            change.update(stock, (400, "fig", 5), old=(2, "fig", 5))  # goes out
        wait_until(client, "select exists (select from stock where id = 3)")
        assert fetched(client, "select * from stock order by id") == [(1, "plum", None), (3, "kiwi", None)]
        assert fetched(client, "select * from other") == []
        with publisher.transaction() as change:
            change.delete(stock, (400, None, None))
            change.delete(stock, (1, None, None))
        wait_until(client, "select not exists (select from stock where id = 1)")
        client.execute("drop subscription few")
        client.execute("truncate stock")
        subscribe(client, "added", running.port, "added")
        wait_until(client, "select bool_and(srsubstate = 'r') and count(*) = 2 from pg_subscription_rel")
        assert fetched(client, "select * from other order by 1") == [(1,), (2,)]
        with publisher.transaction() as change:
            change.truncate(other)
            change.delete(stock, (150, None, None))
            change.insert(other, (5,))
        wait_until(client, "select exists (select from other where id = 5)")
        assert fetched(client, "select id from other order by 1") == [(1,), (2,), (5,)]
        assert fetched(client, "select id, number from stock order by 1") == [(3, 6), (150, 20)]
        client.execute("drop subscription added")


@pytest.mark.parametrize("major", MAJORS)
def test_publications_are_taken_together_and_changed(publishers: Callable[[int], Postgres], running: Running,
                                                     major: int) -> None:
    with running.started() as publisher, febe.connect(publishers(major).dsn()) as client, cleaned(client, "a", "b"):
        made = [publisher.table(f"public.{name}", {"id": "int4", "v": "text"}, key=["id"], rows=[(0, name)])
                for name in ("a", "b")]
        publisher.publish("low", [made[0]], where={made[0]: lambda row: row.id < 0})
        publisher.publish("high", [made[0]], where={made[0]: lambda row: row.id > 10})
        publisher.publish("it's", [made[1]])
        client.execute("create table a (id int primary key, v text); create table b (like a including all)")
        subscribe(client, "s", running.port, "low, high")
        wait_until(client, "select bool_and(srsubstate = 'r') and count(*) = 1 from pg_subscription_rel")
        with publisher.transaction() as change:
            for number in (-1, 5, 11):
                change.insert(made[0], (number, "x"))
            change.insert(made[1], (1, "y"))
        wait_until(client, "select exists (select from a where id = 11)")
        assert fetched(client, "select id from a order by 1") == [(-1,), (11,)]
        client.execute("alter subscription s add publication \"it's\"")
        wait_until(client, "select bool_and(srsubstate = 'r') and count(*) = 2 from pg_subscription_rel")
        with publisher.transaction() as change:
            change.insert(made[1], (2, "z"))
        wait_until(client, "select exists (select from b where id = 2)")
        assert fetched(client, "select * from b order by 1") == [(0, "b"), (1, "y"), (2, "z")]
        client.execute("drop subscription s")


def rows_of(publisher: Publisher, table: Table) -> list[tuple[object, ...]]:
    return sorted(tuple(table.values(cells)) for cells in publisher.store.rows(table.oid))


FRAME = {"id": [1, 2, 3], "name": ["a", None, "ü"], "at": [datetime.datetime(2026, 1, 1), None, None],
         "price": [decimal.Decimal("1.50"), None, decimal.Decimal("2.25")]}
EXPECTED = [(1, "a", datetime.datetime(2026, 1, 1), decimal.Decimal("1.50")), (2, None, None, None),
            (3, "ü", None, decimal.Decimal("2.25"))]


def duckdb_relation() -> object:
    frame = pyarrow.table(FRAME)  # noqa: F841
    return duckdb.connect().sql("from frame")


@pytest.mark.parametrize("made", [
    lambda: pyarrow.table(FRAME), lambda: pyarrow.table(FRAME).to_reader(max_chunksize=2),
    lambda: polars.DataFrame(FRAME), lambda: pyarrow.table(FRAME).to_pandas(types_mapper=None), duckdb_relation],
    ids=["arrow table", "arrow reader", "polars", "pandas", "duckdb"])
def test_a_table_from_anything_that_speaks_arrow(publisher: Publisher, made: Callable[[], object]) -> None:
    table = publisher.table("t", key=["id"], rows=made())
    assert [codec.name for codec in table.codecs] == ["int8", "text", "timestamp", "numeric"]
    assert rows_of(publisher, table) == EXPECTED
    some = publisher.table("some", {"price": "numeric", "id": "int4"}, key=["id"], rows=made(),
                           where=lambda row: row.price is not None and row.id > 1)
    assert rows_of(publisher, some) == [(decimal.Decimal("2.25"), 3)]


def test_a_table_of_an_engine_and_of_rows_with_names(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item,number\napple,3\npear,5\n")
    engine = DuckDBEngine(tmp_path / "stock.csv")
    stock = publisher.table("stock", key=["item"], rows=EngineQuery(engine, "from stock"))
    assert rows_of(publisher, stock) == [("apple", 3), ("pear", 5)]
    assert [codec.name for codec in stock.codecs] == ["text", "int8"]
    engine.close()
    prices = publisher.table("prices", key=["item"], rows=[Price("fig", decimal.Decimal(2))])
    assert rows_of(publisher, prices) == [("fig", decimal.Decimal(2))]
    key = uuid.uuid4()
    things = publisher.table("things", key=["id"], rows=[{"id": key, "note": None}, {"id": key, "note": "n"}][1:])
    assert rows_of(publisher, things) == [(key, "n")]


def test_rows_that_were_all_deleted_are_not_read_again(tmp_path: Path) -> None:
    for expected in (1, 0):
        publisher = Publisher(tmp_path / "changes.db", publication="p")
        table = publisher.table("t", {"id": "int4"}, key=["id"], rows=[(1,)])
        assert len(publisher.store.rows(table.oid)) == expected
        if expected:
            with publisher.transaction() as change:
                change.delete(table, (1,))
        publisher.close()


def test_what_cannot_be_published_is_refused(publisher: Publisher) -> None:
    table = publisher.table("t", {"id": "int4", "v": "text"}, key=["id"])
    with pytest.raises(ValueError, match="include its key"):
        publisher.publish("p", [table], columns={table: ["v"]})
    with pytest.raises(ValueError, match="no column x"):
        publisher.publish("p", [table], columns={table: ["x"]})
    with pytest.raises(ValueError, match="no such operation: merge"):
        publisher.publish("p", [table], operations=["merge"])
    with pytest.raises(ValueError, match="columns have to be declared"):
        publisher.table("none", key=["id"], rows=[])
    with pytest.raises(ValueError, match="column v has to be declared"):
        publisher.table("none", key=["id"], rows=[{"id": 1, "v": None}])
    with pytest.raises(ValueError, match="there is no column x"):
        publisher.table("none", {"x": "int4"}, key=["x"], rows=pyarrow.table({"id": [1]}))
    with pytest.raises(EngineError, match="cannot be served"):
        publisher.table("none", key=["id"], rows=pyarrow.table({"id": [1], "m": [{"a": 1}]}))
    publisher.publish("p", [table], columns={table: ["id"]}, operations=["insert"])
    publisher.publish("q", [table])
    with pytest.raises(ValueError, match="there is a publication q"):
        publisher.publish("q", [table])
    with pytest.raises(EngineError, match="different column lists") as error:
        publisher.chosen(["p", "q"]).columns(table.oid)
    assert error.value.sqlstate == "0A000"
    with pytest.raises(EngineError, match='publication "r" does not exist') as error:
        publisher.chosen(["r"])
    assert error.value.sqlstate == "42704"


def test_names_of_publications_are_read_as_identifiers() -> None:
    assert names_in('"a","B ""c""", d , E') == ["a", 'B "c"', "d", "e"]
