"""`febe serve --publish`: what clients change in DuckDB reaches real subscribers."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

import febe
from febe.engines.duckdb import DuckDBEngine
from febe.engines.duckdb.publishing import DuckDBPublisher
from febe.publish import Publication
from febe.publish.store import Slot
from febe.server.engine import EngineError
from tests.peers import febe_server
from tests.peers.febe_server import FebeServer
from tests.peers.postgres import Postgres
from tests.publish.running import wait_until
from tests.publish.test_publications import MAJORS, cleaned, fetched, subscribe
from tests.publish.test_publisher import SUBSCRIBERS

TYPES = {"smallint": "int2", "bigint": "int8", "hugeint": "numeric", "real": "float4", "double": "float8",
         "decimal(9, 3)": "numeric", "boolean": "bool", "blob": "bytea", "uuid": "uuid", "date": "date", "time": "time",
         "timestamp": "timestamp", "timestamp_ns": "timestamp", "timestamptz": "timestamptz", "interval": "interval",
         "json": "json", "text[]": "text[]", "integer[]": "int4[]",
         "integer[2]": "int4[]", "timestamp_s[]": "timestamp[]", "integer[][]": "text"}
VALUES = {
    "smallint": "-7", "bigint": "9007199254740993", "hugeint": "170141183460469231731687303715884105727",
    "real": "0.1", "double": "'-inf'", "decimal(9, 3)": "-1.500", "boolean": "true", "blob": "'\\x00\\xFFa'::blob",
    "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "date": "'0044-03-15 (BC)'", "time": "'23:59:59.999999'",
    "timestamp": "'infinity'", "timestamp_ns": "'2026-01-02 03:04:05.123456789'",
    "timestamptz": "'2026-01-02 03:04:05+05:30'", "interval": "'-1 year 2 days 03:04:05.5'",
    "json": "'{\"a\": [1, null]}'", "text[]": "['a\"b', 'c\\d', NULL, 'NULL', '', '{,}']", "integer[]": "[1, NULL, -3]",
    "integer[2]": "[1, NULL]", "timestamp_s[]": "['2026-01-02 03:04:05']", "integer[][]": "[[1], NULL]"}


def serving(path: Path, port: int = 0, publication: str = "febe") -> contextlib.AbstractContextManager[FebeServer]:
    duckdb.connect(str(path)).close()  # it is served when it is there
    more = ["--port", str(port)] if port else []
    return febe_server.running(path, options=["--quiet", "--publish", publication, *more])


def same(subscriber: febe.Connection, publisher: febe.Connection, sql: str) -> None:
    """Wait until a query gives the same on both sides."""
    for _ in range(1500):
        expected, found = fetched(publisher, sql), fetched(subscriber, sql)
        if found == expected:
            return
        subscriber.execute("select pg_sleep(0.02)")
    raise AssertionError(f"{set(found) - set(expected)} and not {set(expected) - set(found)}")


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("options", ["", " with (binary = true)"], ids=["text", "binary"])
def test_what_clients_do_reaches_the_subscriber(publishers: Callable[[int], Postgres], tmp_path: Path, major: int,
                                                options: str) -> None:
    with (serving(tmp_path / "shop.duckdb") as server, febe.connect(server.dsn()) as shop,
          febe.connect(publishers(major).dsn()) as client, cleaned(client, "stock", "log")):
        shop.execute("create table stock (id int primary key, item text, tags text[])")
        shop.execute("create table log (line text)")
        shop.execute("insert into stock select i, 'item ' || i, ['a', 'b'] from range(3000) t(i)")
        shop.execute("insert into log values ('first')")
        client.execute("create table stock (id int primary key, item text, tags text[])")
        client.execute("create table log (line text)")
        subscribe(client, "s", server.port, "febe", options)
        wait_until(client, "select bool_and(srsubstate = 'r') and count(*) = 2 from pg_subscription_rel")
        same(client, shop, "select * from stock order by id")
        shop.execute("begin")
        shop.execute("insert into stock values (5000, 'new', null)")
        shop.execute("update stock set item = upper(item) where id % 100 = 7")
        assert fetched(client, "select count(*) from stock") == [(3000,)]
        shop.execute("delete from stock where id between 10 and 20")
        shop.execute("update stock set id = -id where id between 30 and 40")
        shop.execute("commit")
        shop.execute("begin")
        shop.execute("delete from stock")
        shop.execute("rollback")
        shop.execute("insert into stock values (1, 'upserted', null), (6000, 'inserted', null) "
                     "on conflict do update set item = excluded.item")
        shop.execute("merge into stock using (values (2, 'merged'), (7000, 'merged')) as s(id, item) "
                     "on stock.id = s.id when matched then update set item = s.item "
                     "when not matched then insert (id, item) values (s.id, s.item)")
        assert [tuple(row) for row in shop.fetch("insert into stock values ($1, $2, $3) returning id", 8000,
                                                 'say "x"', ["\\", "", None])] == [(8000,)]
        shop.copy_in("stock", [(9000 + number, f"copied {number}", None) for number in range(100)])
        same(client, shop, "select * from stock order by id")
        with pytest.raises(febe.PostgresError, match="does not have a replica identity") as error:
            shop.execute("update log set line = 'x'")
        assert error.value.sqlstate == "55000"
        shop.execute("truncate log, stock")
        shop.execute("insert into log values ('last')")
        same(client, shop, "select * from log")
        same(client, shop, "select * from stock")
        client.execute("drop subscription s")


def test_every_type_arrives_as_it_is(publishers: Callable[[int], Postgres], tmp_path: Path) -> None:
    columns = ["number", "n", "o", *(f"c{place}" for place in range(len(TYPES) - 3))]
    with (serving(tmp_path / "types.duckdb") as server, febe.connect(server.dsn()) as shop,
          febe.connect(publishers(18).dsn()) as client, cleaned(client, "types")):
        listed = ", ".join(f"{name} {kind}" for name, kind in zip(columns, TYPES, strict=True))
        shop.execute(f"create table types (id int primary key, {listed})")
        listed = ", ".join(f"{name} {kind}" for name, kind in zip(columns, TYPES.values(), strict=True))
        client.execute(f"create table types (id int primary key, {listed})")
        row = ", ".join(VALUES[kind] for kind in TYPES)
        shop.execute(f"insert into types values (0, {row})")
        shop.execute("insert into types (id) values (1)")
        subscribe(client, "s", server.port, "febe")
        wait_until(client, "select count(*) = 2 from types")
        shop.execute(f"insert into types values (2, {row})")
        wait_until(client, "select count(*) = 3 from types")
        copied, empty, followed = fetched(client, "select * from types order by id")
        assert copied[1:] == followed[1:]
        assert set(empty[1:]) == {None}
        assert followed[1:] == fetched(shop, "select * from types where id = 2")[0][1:]
        client.execute("drop subscription s")


@pytest.mark.parametrize("major", MAJORS)
def test_tables_change_and_come_and_go(publishers: Callable[[int], Postgres], tmp_path: Path, major: int) -> None:
    with (serving(tmp_path / "shop.duckdb") as server, febe.connect(server.dsn()) as shop,
          febe.connect(publishers(major).dsn()) as client, cleaned(client, "a", "s.b")):
        shop.execute("create table a (id int primary key, old text)")
        shop.execute("insert into a values (1, 'one')")
        client.execute("create table a (id int primary key, old text)")
        subscribe(client, "s", server.port, "febe")
        wait_until(client, "select count(*) = 1 from a")
        wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
        shop.execute("update a set old = 'two'")
        same(client, shop, "select * from a")
        client.execute("alter table a rename old to new")
        client.execute("alter table a add more int")
        # a subscriber that has not got a published table stops, whoever publishes
        client.execute("create schema if not exists s")
        client.execute("create table s.b (id int)")
        shop.execute("begin")
        shop.execute("alter table a rename old to new")
        shop.execute("alter table a add more int")
        shop.execute("insert into a values (2, 'x', 3)")
        shop.execute("create schema s")
        shop.execute("create table s.b as select 1 as id")
        shop.execute("commit")
        same(client, shop, "select * from a order by id")
        client.execute("alter subscription s refresh publication")
        same(client, shop, "select * from s.b")
        wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
        shop.execute("create or replace table s.b as select 2 as id")
        same(client, shop, "select * from s.b")
        client.execute("drop subscription s")


def change(shop: febe.Connection, chosen: random.Random) -> None:
    """A random transaction."""
    key = chosen.randint(1, 200)
    one = chosen.choice([
        f"insert into t values ({key}, 'n{chosen.random()}') on conflict do update set v = excluded.v",
        f"insert into t select i, 'bulk' from range({key}, {key + 20}) r(i) where i not in (select id from t)",
        f"update t set v = v || '!' where id < {key}", f"delete from t where id between {key} and {key + 5}"])
    shop.execute(one)


def test_clients_that_write_at_the_same_time(newest: Postgres, tmp_path: Path) -> None:
    def write(number: int) -> None:
        chosen = random.Random(number)
        with febe.connect(server.dsn()) as shop:
            for _ in range(25):
                # 40001, 23505: others were quicker
                with contextlib.suppress(febe.PostgresError), shop.transaction():
                    change(shop, chosen)
                    change(shop, chosen)

    with (serving(tmp_path / "t.duckdb") as server, febe.connect(server.dsn()) as shop,
          febe.connect(newest.dsn()) as client, cleaned(client, "t")):
        shop.execute("create table t (id int primary key, v text)")
        client.execute("create table t (id int primary key, v text)")
        subscribe(client, "s", server.port, "febe")
        wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
        with ThreadPoolExecutor(4) as writers:
            for done in [writers.submit(write, number) for number in range(4)]:
                done.result()
        assert shop.fetchval("select count(*) from t")
        same(client, shop, "select * from t order by id")
        client.execute("drop subscription s")


@pytest.mark.slow
@pytest.mark.parametrize("major", SUBSCRIBERS)
def test_a_killed_server_loses_and_repeats_nothing(publishers: Callable[[int], Postgres], tmp_path: Path,
                                                   major: int) -> None:
    chosen, port = random.Random(major), 0
    path = tmp_path / "t.duckdb"
    with febe.connect(publishers(major).dsn()) as client, cleaned(client, "t"):
        for round in range(3):
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(serving(path, port))
                port = server.port
                shop = stack.enter_context(febe.connect(server.dsn()))
                if not round:
                    shop.execute("create table t (id int primary key, v text)")
                    client.execute("create table t (id int primary key, v text)")
                    subscribe(client, "s", port, "febe")
                    wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
                for _ in range(40):
                    change(shop, chosen)
                if round == 2:
                    same(client, shop, "select * from t order by id")
                    client.execute("drop subscription s")
                    break
                for _ in range(10):
                    change(shop, chosen)
                server.process.kill()
                server.process.wait()
                with contextlib.suppress(febe.Error):
                    shop.close()


@contextlib.contextmanager
def publishing(place: Path, name: str = "t.duckdb") -> Iterator[DuckDBPublisher]:
    duckdb.connect(str(place / name)).close()
    engine = DuckDBEngine(place / name)
    made = DuckDBPublisher(engine, place / "slots", [Publication("p", every=True)])
    try:
        yield made
    finally:
        made.close()
        engine.close()


def captured(path: Path) -> bool:
    with duckdb.connect(str(path)) as db:
        return bool(db.execute("select count(*) from duckdb_triggers()").fetchall()[0][0])


def test_changes_are_captured_as_long_as_a_slot_waits_for_them(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("create table t (id int primary key)")
    with publishing(tmp_path):
        pass
    assert not captured(path)
    with publishing(tmp_path) as publisher:
        publisher.create(Slot(name="s", confirmed=0)).close()
    assert captured(path)
    with duckdb.connect(str(path)) as db:
        db.execute("insert into t values (1), (2)")  # by another program, while nobody serves
    with publishing(tmp_path) as publisher:
        (entry,) = publisher.store.since(0)
        assert sum(part.count(b"N\0\1t") for part in publisher.store.changes(entry.xid, 0, entry.parts)) == 2
        slot = publisher.store.slot("s")
        assert slot is not None and slot.confirmed < entry.end
    with duckdb.connect(str(tmp_path / "other.duckdb")) as db:
        db.execute("create table t (id int primary key)")
    with pytest.raises(ValueError, match="belongs to another database"), publishing(tmp_path, "other.duckdb"):
        pass


def test_a_crash_between_moving_and_removing_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("create table t (id int primary key)")
    with publishing(tmp_path) as publisher:
        publisher.create(Slot(name="s", confirmed=0)).close()
    with duckdb.connect(str(path)) as db:
        db.execute("insert into t values (1)")
        kept = db.execute("from febe_publish.changes").fetchall()
    with publishing(tmp_path) as publisher:
        assert len(publisher.store.since(0)) == 1
    with duckdb.connect(str(path)) as db:
        db.executemany("insert into febe_publish.changes values (?, ?, ?, ?, ?)", kept)
        db.execute("insert into t values (2)")
    with publishing(tmp_path) as publisher:
        moved = publisher.store.since(0)
        assert [b"".join(publisher.store.changes(entry.xid, 0, entry.parts)).count(b"N\0\1t")
                for entry in moved] == [1, 1]


def test_nobody_touches_what_is_captured(tmp_path: Path) -> None:
    with publishing(tmp_path) as publisher:
        session = publisher._engine.open(user="u", database="d", parameters={})
        for sql in ("delete from febe_publish.changes", 'drop table "febe_publish".relations'):
            with pytest.raises(EngineError) as error:
                session.prepare(sql, ())
            assert error.value.sqlstate == "42501"
        session.close()


def refused(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "febe.cli", "serve", *arguments, "--port", "0"], capture_output=True,
                          text=True)
    assert done.returncode == 2
    return " ".join(done.stderr.split())


def test_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("create table t (id int primary key)")
    with febe_server.running(path, options=["--publish", "all", "--publish", "some=t"]) as server:
        line = next(line for line in server.printed if "CREATE SUBSCRIPTION" in line)
        assert re.fullmatch('febe: publishing: CREATE SUBSCRIPTION "all" CONNECTION \'host=127.0.0.1 port='
                            f'{server.port} user=demo dbname=demo\' PUBLICATION "all", "some"', line)
    assert (tmp_path / "shop.duckdb.slots").exists()
    assert "--slots is for --publish" in refused(str(path), "--slots", str(tmp_path / "x"))
    assert "one DuckDB database file" in refused("--publish", "p")
    assert "not with --workers" in refused(str(path), "--publish", "p", "--workers", "2")
    assert "there is no table public.x" in refused(str(path), "--publish", "p=x")


def test_the_page_s_example(newest: Postgres) -> None:
    with febe.connect(newest.dsn()) as client:
        client.execute("drop table if exists stock")
    page = (Path(__file__).parents[2] / "docs/publish-duckdb.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env=os.environ | {"DSN": newest.dsn()})
    assert (done.stdout, done.stderr) == ("[('apple', 2), ('fig', 1), ('pear', 4)]\n", "")
    with febe.connect(newest.dsn()) as client:
        client.execute("drop table stock")
