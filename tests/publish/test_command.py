"""`febe publish`, and the JSON lines that it takes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

import febe
from febe.cli.commands import febe as command
from febe.publish import Publisher
from febe.publish.feed import Feed, FeedError
from tests.peers.postgres import Postgres
from tests.publish.running import wait_until
from tests.publish.test_publications import cleaned, fetched

STOCK = '{"change": "table", "table": "public.stock", "columns": {"item": "text", "n": "int4"}, "key": ["item"]}'


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    made = Publisher(tmp_path / "state", publication="p")
    yield made
    made.close()


def take(publisher: Publisher, *lines: str) -> Feed:
    feed = Feed(publisher)
    for line in lines:
        feed.take(line.encode() + b"\n")
    return feed


def stock(publisher: Publisher) -> list[tuple[object, ...]]:
    (table,) = [table for table in publisher.current() if table.name == "stock"]
    return sorted(tuple(table.values(cells)) for cells in publisher.store.rows(table.oid))


def insert(item: str, n: str = "1") -> str:
    return f'{{"change": "insert", "table": "public.stock", "new": {{"item": "{item}", "n": {n}}}}}'


def test_lines_are_changes(publisher: Publisher) -> None:
    take(publisher, STOCK, insert("fig"), insert("kiwi", "null"), "",
         '{"change": "update", "table": "public.stock", "new": {"item": "fig", "n": 2}}',
         '{"change": "update", "table": "public.stock", "old": {"item": "fig"}, "new": {"item": "plum"}, '
         '"unchanged": ["n"]}', '{"change": "delete", "table": "public.stock", "old": {"item": "kiwi"}}')
    assert stock(publisher) == [("plum", 2)]
    take(publisher, '{"change": "truncate", "tables": ["public.stock"]}', '{"change": "message", "prefix": "x"}')
    assert stock(publisher) == []


def test_the_page_s_lines(publisher: Publisher) -> None:
    publisher.table("other", {"id": "int4"}, key=["id"], rows=[(1,)])
    page = (Path(__file__).parents[2] / "docs/publish-command.md").read_text()
    (lines,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    take(publisher, *lines.splitlines())
    assert stock(publisher) == [("fig", 2)]


def test_a_block_is_a_transaction_and_is_taken_once(publisher: Publisher) -> None:
    begin, commit = '{"change": "begin", "kind": "plain"}', '{"change": "commit", "end": "0/%s"}'
    take(publisher, STOCK, begin, insert("fig"), insert("kiwi"))
    assert stock(publisher) == []  # no commit, no change
    for _ in range(2):
        take(publisher, STOCK, begin, insert("fig"), commit % "10", begin, insert("kiwi"), commit % "20")
        assert stock(publisher) == [("fig", 1), ("kiwi", 1)]
    with pytest.raises(FeedError, match=r"line 3: .*has a row of key"):
        take(publisher, begin, insert("fig"), commit % "30")
    # a snapshot that is made anew takes the place of what there was
    take(publisher, '{"change": "begin", "kind": "snapshot"}', insert("plum"), commit % "40")
    assert stock(publisher) == [("plum", 1)]


def test_values_are_the_texts_that_postgresql_reads(publisher: Publisher) -> None:
    columns = {"id": "int8", "j": "jsonb", "a": "text[]", "m": "int4[]", "d": "date", "b": "bytea", "f": "float8",
               "n": "numeric", "t": "bool", "e": "a_type_of_its_own"}
    new = {"id": 9007199254740993, "j": {"x": [1.10, None, "é"]}, "a": ['q"', None, "\\", ""], "m": [[1, 2], [3, 4]],
           "d": "2026-01-02", "b": "\\x00ff", "f": "NaN", "t": True, "e": "happy"}
    line = json.dumps({"change": "insert", "table": "v", "new": new})
    take(publisher, json.dumps({"change": "table", "table": "v", "columns": columns, "key": ["id"]}),
         line.replace('"t": true', '"n": 1.100, "t": true'))
    (table,) = publisher.current()
    assert publisher.store.rows(table.oid) == [[
        b"9007199254740993", '{"x": [1.1, null, "é"]}'.encode(), b'{"q\\"",NULL,"\\\\",""}', b'{{"1","2"},{"3","4"}}',
        b"2026-01-02", b"\\x00ff", b"NaN", b"1.100", b"t", b"happy"]]


@pytest.mark.parametrize(("line", "said"), [
    ("x", "Expecting value"), ("[]", "list"), ('{"change": "merge"}', "no such change: merge"),
    ('{"table": "x"}', "there is no 'change'"), ('{"change": "insert", "table": "x", "new": {}}', "no table x"),
    (insert("a").replace('"n"', '"m"'), "has no column m"),
    ('{"change": "delete", "table": "public.stock", "old": {"n": 1}}', "key's column item is not there"),
    ('{"change": "delete", "table": "public.stock", "old": {"item": "gone"}}', "no row of key"),
    (STOCK.replace('"n"', '"m"'), "has other columns"), ('{"change": "commit", "end": "zz"}', "line 2"),
    (insert("a", '{"x": 1}'), "is no value of type int4"), (insert("a", '"zwei"'), "is no int4 for n"),
    (insert("a", "12345678901"), "is no int4 for n"), (insert("\\u0000"), "a zero byte"),
    (insert("\\ud800"), "surrogates")])
def test_a_line_that_makes_no_sense_is_told_by_its_number(publisher: Publisher, line: str, said: str) -> None:
    with pytest.raises(FeedError, match="line 2") as error:
        take(publisher, STOCK, line)
    assert said in str(error.value)


@contextlib.contextmanager
def publishing(*arguments: str | Path, stdin: int | None = subprocess.DEVNULL) -> Iterator[tuple[subprocess.Popen[str],
                                                                                                 str]]:
    """The command, and the CREATE SUBSCRIPTION that it prints."""
    process = subprocess.Popen([sys.executable, "-m", "febe.cli", "publish", *map(str, arguments), "--port", "0",
                                "--quiet"], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("febe: ready: CREATE SUBSCRIPTION "), line + process.stdout.read()
        yield process, line.removeprefix("febe: ready: ").strip()
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        finally:
            process.kill()


def quietly(statement: str, port: int | None = None) -> str:
    statement = statement.replace("dbname=", "sslmode=disable dbname=")
    return statement if port is None else re.sub(r"port=\d+", f"port={port}", statement)


def test_files_and_a_file_of_changes_that_grows(newest: Postgres, tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item,n\napple,3\npear,5\n")
    duckdb.sql("select 1 as id, 'a' as v").write_parquet(str(tmp_path / "p.parquet"))
    changes = tmp_path / "changes.jsonl"
    changes.write_text(insert("fig") + "\n")
    arguments = [tmp_path / "stock.csv", tmp_path / "p.parquet", "--key", "stock=item", "--key", "p=id", "--changes",
                 changes, "--state", tmp_path / "state"]
    with febe.connect(newest.dsn()) as client, cleaned(client, "stock", "p"):
        client.execute("create table stock (item text primary key, n int); create table p (id int primary key, v text)")
        with publishing(*arguments) as (_, statement):
            client.execute(quietly(statement))
            wait_until(client, "select count(*) = 3 from stock")
            wait_until(client, "select count(*) = 1 from p")
            assert fetched(client, "select * from p") == [(1, "a")]
            with changes.open("a") as file:
                file.write(insert("kiwi")[:20])
                file.flush()
                file.write(insert("kiwi")[20:] + "\n")
            wait_until(client, "select count(*) = 4 from stock")
            complete = changes.stat().st_size
            with changes.open("a") as file:
                file.write('{"change": "begin"}\n' + insert("lost") + "\n" + insert("cut")[:5])
                file.flush()
                os.truncate(changes, complete)
            with changes.open("a") as file:
                file.write(insert("lime") + "\n")
            wait_until(client, "select exists (select from stock where item = 'lime')")
            wait_until(client, "select bool_and(srsubstate = 'r') from pg_subscription_rel")
        with changes.open("a") as file:
            file.write('{"change": "delete", "table": "public.stock", "old": {"item": "apple"}}\n')
        with publishing(*arguments) as (_, statement):  # it goes on where it was
            conninfo = re.findall(r"CONNECTION ('.*?')", quietly(statement))[0]
            client.execute(f"alter subscription febe connection {conninfo}")
            wait_until(client, "select not exists (select from stock where item = 'apple')")
            assert [row[0] for row in fetched(client, "select * from stock order by 1")] == ["fig", "kiwi", "lime",
                                                                                             "pear"]
            client.execute("drop subscription febe")


def test_what_febe_replicate_writes_is_published_again(newest: Postgres, tmp_path: Path,
                                                       publishers: Callable[[int], Postgres]) -> None:
    """From a PostgreSQL through a pipe to another."""
    source = publishers(17)
    with (febe.connect(source.dsn()) as origin, febe.connect(newest.dsn()) as client,
          cleaned(client, "item", "spare")):
        origin.execute("drop table if exists item; create table item (id int primary key, at timestamptz, "
                       "tags text[], price numeric, doc jsonb)")
        origin.execute("insert into item select i, now(), array['a', null, '\"'], i / 7.0, '{\"a\": [1.50]}' "
                       "from generate_series(1, 500) i")
        origin.execute("drop publication if exists piped; create publication piped for table item")
        client.execute("create table item (id int primary key, at timestamptz, tags text[], price numeric, doc jsonb)")
        replicate = subprocess.Popen([sys.executable, "-m", "febe.cli", "replicate", source.dsn(), "--slot", "piped",
                                      "--publication", "piped", "--quiet"], stdout=subprocess.PIPE)
        assert replicate.stdout is not None
        try:
            with publishing("--changes", "-", "--state", tmp_path / "state", "--publication", "relayed",
                            stdin=replicate.stdout.fileno()) as (_, statement):
                state = f"file:{tmp_path / 'state'}?mode=ro"
                wait_for_rows(state, 500)
                client.execute(quietly(statement))
                wait_until(client, "select count(*) = 500 from item")
                origin.execute("update item set id = id + 1000, price = null where id <= 10")
                origin.execute("delete from item where id between 20 and 30")
                origin.execute("insert into item values (0)")
                wait_until(client, "select exists (select from item where id = 0)")
                assert fetched(client, "select * from item order by id") == fetched(
                    origin, "select * from item order by id")
                client.execute("drop subscription relayed")
        finally:
            replicate.send_signal(signal.SIGINT)
            replicate.wait(20)
            replicate.stdout.close()
            wait_until(origin, "select bool_and(not active) from pg_replication_slots where slot_name = 'piped'")
            origin.execute("select pg_drop_replication_slot('piped')")
            origin.execute("drop publication piped; drop table item")


def wait_for_rows(state: str, count: int) -> None:
    """Wait until a state has so many rows, as another process writes it."""
    deadline = time.monotonic() + 60
    with contextlib.closing(sqlite3.connect(state, uri=True)) as db:
        while db.execute("select count(*) from rows").fetchone()[0] < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # nothing tells


def refused(*arguments: str | Path) -> str:
    done = CliRunner().invoke(command, ["publish", *map(str, arguments)])
    assert done.exit_code in (1, 2), done.output
    return " ".join(done.output.split())


def test_what_cannot_be_published_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item,n\napple,3\n")
    with duckdb.connect(str(tmp_path / "d.duckdb")) as db:
        db.execute("create table t (a int)")
    state = ("--state", tmp_path / "state")
    assert "Missing option '--state'" in refused(tmp_path / "stock.csv")
    assert "give --key stock=COLUMN" in refused(tmp_path / "stock.csv", *state)
    assert "no such column: x" in refused(tmp_path / "stock.csv", *state, "--key", "stock=x")
    assert "there is no table public.x" in refused(*state, "--key", "x=y")
    assert "has to be TABLE=COLUMN" in refused(*state, "--key", "x")
    assert "no such file" in refused(*state, tmp_path / "none.csv")
    assert "is published alone" in refused(*state, tmp_path / "d.duckdb", tmp_path / "stock.csv")
    assert "have to authenticate" in refused(*state, "--host", "0.0.0.0")
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    done = subprocess.run([sys.executable, "-m", "febe.cli", "publish", *map(str, state), "--changes",
                           str(tmp_path / "bad.jsonl"), "--port", "0"], capture_output=True, text=True)
    assert (done.returncode, "line 1: Expecting value" in done.stderr) == (1, True)
