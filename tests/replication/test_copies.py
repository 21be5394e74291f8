"""Copies that outlive the program: DuckDB, Parquet and JSON lines, by the library and by `febe replicate`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

import febe
from febe.replication import Commit, Delete, Insert, Relation, Update, subscribe
from febe.replication.arrow import arrow_changes
from febe.replication.changes import UNCHANGED, Begin, Column, Event, Truncate
from febe.replication.copies import DuckDBCopy, ParquetCopy, follow
from febe.replication.errors import TableChanged
from febe.types.texts import Texts
from tests.peers.postgres import Postgres
from tests.replication.test_subscription import drop_slots

TABLES = """drop publication if exists shop; drop table if exists stock, log;
create table stock (item text primary key, number int, price numeric(8,2), body text, at timestamptz);
alter table stock alter body set storage external;
create table log (said text, n float8); alter table log replica identity full;
insert into stock values ('apple', 3, 1.50, 'x', '2024-01-01 12:00+00'), ('pear', 5, null, null, null);
insert into log values ('a', 1), ('a', 1), ('b', null);
create publication shop for table stock, log"""
CHANGES = (
    "update stock set number = 2 where item = 'apple'",
    "insert into stock values ('fig', 1, 0.25, repeat('0123456789', 1000), now())",
    "update stock set item = 'figs', number = 7 where item = 'fig'",
    "update stock set price = 9.99 where item = 'figs'",
    "delete from stock where item = 'pear'",
    "delete from log where ctid = (select min(ctid) from log where said = 'a')",
    "update log set n = 2 where said = 'b'", "insert into log values ('c', 'NaN')")


@pytest.fixture
def client(newest: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(newest.dsn()) as connection:
        connection.execute("set synchronous_commit = on")
        connection.execute(TABLES)
        yield connection
        drop_slots(connection)


def here(client: febe.Connection) -> str:
    return str(client.fetchval("select pg_current_wal_lsn()::text"))


def contents(client: febe.Connection) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in client.fetch(sql)] for sql in (
        "select item, number, price::text, md5(body), extract(epoch from at)::text from stock order by item",
        "select said, n::text from log order by said, n")]


def kept(path: Path) -> list[list[tuple[Any, ...]]]:
    with duckdb.connect(str(path), read_only=True) as db:
        return [db.execute(sql).fetchall() for sql in (
            "select item, number, price::varchar, md5(body), printf('%.6f', epoch(stock.at)) from stock order by item",
            "select said, case when isnan(n) then 'NaN' else n::int::varchar end from log order by said, n")]


def replicate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "febe.cli", "replicate", *arguments], capture_output=True, text=True,
                          timeout=60)


def test_a_duckdb_file_is_kept_in_step(client: febe.Connection, newest: Postgres, tmp_path: Path) -> None:
    path = tmp_path / "copy.duckdb"
    where = ("--slot", "kept", "--publication", "shop", "-o", path, "--until")
    done = replicate(newest.dsn(), *where, here(client))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "5 changes in 1 transactions" in done.stderr
    for sql in CHANGES[:4]:
        client.execute(sql)
    assert replicate(newest.dsn(), *where, here(client), "--quiet").stderr == ""
    for sql in CHANGES[4:]:
        client.execute(sql)
    assert replicate(newest.dsn(), *where, here(client)).returncode == 0
    found = kept(path)
    expected = contents(client)
    assert found[0] == expected[0]
    assert found[1] == [("a", "1"), ("b", "2"), ("c", "NaN")] == expected[1]
    client.execute("truncate stock; alter table stock add more int default 3; insert into stock values ('kiwi')")
    done = replicate(newest.dsn(), *where, here(client))
    assert "public.stock has a new column more" in done.stderr
    with duckdb.connect(str(path)) as db:
        assert db.execute("select item, more from stock").fetchall() == [("kiwi", 3)]
    client.execute("alter table stock drop body; insert into stock values ('lime')")
    done = replicate(newest.dsn(), *where, here(client))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: public.stock has no column body any more") or \
        "public.stock has no column body any more" in done.stderr


def test_a_copy_that_was_killed_while_it_copied_begins_anew(client: febe.Connection, newest: Postgres,
                                                            tmp_path: Path) -> None:
    copy = DuckDBCopy(tmp_path / "copy.duckdb", slot="kept")
    copy.start_copying()
    client.execute("select pg_create_logical_replication_slot('kept', 'pgoutput')")
    copy.close()
    client.execute("insert into stock values ('between')")
    copy = DuckDBCopy(tmp_path / "copy.duckdb", slot="kept")
    assert copy.copying
    follow(copy, newest.dsn(), slot="kept", publication="shop", until=here(client))
    assert [row[0] for row in kept(tmp_path / "copy.duckdb")[0]] == ["apple", "between", "pear"]


def test_parquet_files_have_every_change(client: febe.Connection, newest: Postgres, tmp_path: Path) -> None:
    place = tmp_path / "changes"
    for group in (("select 1",), CHANGES[:3], CHANGES[3:]):
        for sql in group:
            client.execute(sql)
        done = replicate(newest.dsn(), "--slot", "feed", "--publication", "shop", "-o", place, "--until", here(client),
                         "--every", "0")
        assert done.returncode == 0, done.stderr
    found = duckdb.execute(f"select _op, item, _unchanged from '{place}/public.stock/*.parquet' "
                           "order by _lsn, _number").fetchall()
    assert found == [("insert", "apple", None), ("insert", "pear", None), ("update", "apple", None),
                     ("insert", "fig", None), ("delete", "fig", None), ("insert", "figs", "body"),
                     ("update", "figs", "body"), ("delete", "pear", None)]
    (place / "public.stock" / "7FFFFFFFFFFFFFFF.0.parquet").touch()
    ParquetCopy(place, slot="feed")
    assert not (place / "public.stock" / "7FFFFFFFFFFFFFFF.0.parquet").exists()
    with pytest.raises(ValueError, match="is the copy of slot feed"):
        ParquetCopy(place, slot="other")


def test_json_lines_on_standard_output_and_in_a_file(client: febe.Connection, newest: Postgres, tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    slots = ("--slot", "lines", "--publication", "shop")
    assert replicate(newest.dsn(), *slots, "-o", path, "--until", here(client)).returncode == 0
    for sql in CHANGES:
        client.execute(sql)
    client.execute("select pg_logical_emit_message(true, 'note', 'well')")
    with path.open("a") as file:
        file.write('{"change": "begin", "kind": "transaction"}\n{"change": "insert", "ta')  # a crash
    done = replicate(newest.dsn(), *slots, "-o", path, "--until", here(client), "--messages")
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["change"] for one in said if one["change"] not in ("begin", "commit", "table")] == [
        *["insert"] * 5, "update", "insert", "update", "update", "delete", "delete", "update", "insert", "message"]
    assert said[0]["kind"] == "snapshot"
    stock = next(one for one in said if one["change"] == "table" and one["table"] == "public.stock")
    assert (stock["columns"]["price"], stock["key"]) == ("numeric", ["item"])
    updates = [one for one in said if one["change"] == "update"]
    assert updates[0]["new"] == {"item": "apple", "number": 2, "price": 1.50, "body": "x",
                                 "at": "2024-01-01 12:00:00+00"}
    assert updates[1]["old"] == {"item": "fig"}
    assert updates[2]["unchanged"] == ["body"]
    assert updates[3]["old"] == {"said": "b", "n": None}
    assert said[-1]["change"] == "commit"
    done = replicate(newest.dsn(), *slots, "--until", here(client), "--quiet")
    assert (done.returncode, done.stdout) == (0, "")


def test_changes_as_arrow_tables(client: febe.Connection, newest: Postgres) -> None:
    client.execute("select pg_create_logical_replication_slot('arrow', 'pgoutput')")
    for sql in CHANGES:
        client.execute(sql)
    found: list[tuple[Any, ...]] = []
    for changes in arrow_changes(subscribe(newest.dsn(), slot="arrow", publication="shop", types=Texts())):
        if changes.relation.name == "stock":
            with duckdb.connect() as db:
                db.register("arrived", changes.table)
                found += db.execute("select _op, item, price from arrived").fetchall()
        if len(found) >= 6 and changes.end_lsn:
            break
    assert [row[:2] for row in found] == [("update", "apple"), ("insert", "fig"), ("delete", "fig"),
                                          ("insert", "figs"), ("update", "figs"), ("delete", "pear")]
    assert str(found[4][2]) == "9.99"


RELATION = Relation(oid=1, schema="public", name="r", replica_identity="d", columns=(
    Column(name="k", type_oid=23, type_modifier=-1, type_name="int4", is_key=True),
    Column(name="v", type_oid=25, type_modifier=-1, type_name="text", is_key=False),
    Column(name="w", type_oid=25, type_modifier=-1, type_name="text", is_key=False)))


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_what_changes_come_to_does_not_depend_on_how_they_are_written(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    events: list[Event] = [
        Insert(RELATION, ("1", "one", "w1")), Insert(RELATION, ("2", "two", "w2")),  # type: ignore[arg-type]
        Update(RELATION, ("1", None, None), ("3", UNCHANGED, "w3"), "K"),  # type: ignore[arg-type]
        Update(RELATION, None, ("3", UNCHANGED, UNCHANGED), None),  # type: ignore[arg-type]
        Insert(RELATION, ("1", "again", "w")), Delete(RELATION, ("2", None, None), "K"),  # type: ignore[arg-type]
        Insert(RELATION, ("2", "new", None)),  # type: ignore[arg-type]
        Update(RELATION, ("3", None, None), ("4", "four", UNCHANGED), "K")]  # type: ignore[arg-type]
    copy = DuckDBCopy(tmp_path / "c.duckdb", slot="s")
    copy.apply([RELATION])
    for place, event in enumerate(events):
        copy.apply([event])
        if place in cuts:
            copy.apply([Commit(1, place + 1, place + 2, 0)])
    copy.apply([Commit(1, 100, 101, 0)])
    assert copy.position == 101
    copy.apply([Truncate((RELATION,), False, False), Insert(RELATION, ("9", "nine", None))])  # type: ignore[arg-type]
    copy.close()
    with duckdb.connect(str(tmp_path / "c.duckdb")) as db:
        assert db.execute("from r order by k").fetchall() == [(1, "again", "w"), (2, "new", None), (4, "four", "w3")]
    copy = DuckDBCopy(tmp_path / "c.duckdb", slot="s")
    changed = Relation(oid=1, schema="public", name="r", replica_identity="d", columns=(
        Column(name="k", type_oid=20, type_modifier=-1, type_name="int8", is_key=True), *RELATION.columns[1:]))
    with pytest.raises(TableChanged, match=r"column k of public\.r is BIGINT now"):
        copy.apply([Begin("transaction", 1, 102, 0), changed])
    with pytest.raises(ValueError, match="cannot follow with two_phase"):
        follow(copy, slot="s", publication="p", two_phase=True)


@pytest.mark.parametrize("page", ["cdc-duckdb", "cdc-parquet"])
def test_the_pages_examples(publishers: Callable[[int], Postgres], tmp_path: Path, page: str) -> None:
    text = (Path(__file__).parents[2] / f"docs/{page}.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (expected,) = re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path,
                          env=os.environ | {"DSN": publishers(17).dsn()}, timeout=60)
    assert (done.stdout, done.stderr) == (expected, "")
