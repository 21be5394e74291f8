"""PostgreSQL's own programs through febe in front of a PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import febe
from febe.errors import PostgresError
from febe.replication import Insert, subscribe
from febe.walsender import relay
from tests.peers.postgres import Postgres
from tests.walsender.front import run, started


@pytest.fixture
def port(newest: Postgres) -> Iterator[int]:
    """Where febe listens in front of PostgreSQL 18."""
    with started(relay(newest.dsn())) as found:
        yield found


@pytest.fixture
def client(newest: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(newest.dsn()) as connection:
        connection.execute("set synchronous_commit = on")
        yield connection


def verify(server: Postgres, directory: Path, *options: str) -> None:
    done = subprocess.run([server.bin / "pg_verifybackup", *options, directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [
    (), ("--wal-method=fetch", "--manifest-checksums=SHA256"), ("--wal-method=stream", "--progress", "--label=x"),
    ("--compress=server-gzip:1",)], ids=" ".join)
def test_pg_basebackup_makes_plain_backups(newest: Postgres, port: int, place: Path, options: tuple[str, ...]) -> None:
    said = run(newest, "pg_basebackup", "-D", place / "data", "-c", "fast", "--no-sync", *options, port=port)
    assert ("100%" in said) == ("--progress" in options)
    verify(newest, place / "data")


def test_pg_basebackup_makes_tar_files(newest: Postgres, port: int, place: Path) -> None:
    run(newest, "pg_basebackup", "-D", place / "tar", "-Ft", "-c", "fast", "--no-sync", port=port)
    with tarfile.open(place / "tar" / "base.tar") as base, tarfile.open(place / "tar" / "pg_wal.tar") as log:
        assert "PG_VERSION" in base.getnames()
        assert log.getnames()


def test_pg_basebackup_makes_incremental_backups(newest: Postgres, port: int, client: febe.Connection,
                                                 place: Path) -> None:
    client.execute("alter system set summarize_wal = on")
    client.execute("select pg_reload_conf()")
    try:
        run(newest, "pg_basebackup", "-D", place / "full", "-c", "fast", "--no-sync", port=port)
        client.execute("create table if not exists more as select g from generate_series(1, 1000) g")
        run(newest, "pg_basebackup", "-D", place / "more", "-c", "fast", "--no-sync",
            f"--incremental={place / 'full' / 'backup_manifest'}", port=port)
        verify(newest, place / "more")
    finally:
        client.execute("alter system reset summarize_wal")
        client.execute("select pg_reload_conf()")


def test_the_rate_is_limited(newest: Postgres, port: int, place: Path) -> None:
    size = sum(path.stat().st_size for path in place.rglob("*"))
    start = time.monotonic()
    run(newest, "pg_basebackup", "-D", place / "data", "-c", "fast", "--no-sync", "-X", "none", "--max-rate=20M",
        port=port)
    size = sum(path.stat().st_size for path in (place / "data").rglob("*") if path.is_file())
    assert size / (time.monotonic() - start) < 25 << 20


def test_pg_receivewal_receives_the_log(newest: Postgres, port: int, client: febe.Connection, place: Path) -> None:
    run(newest, "pg_receivewal", "--create-slot", "--slot=through", port=port)
    try:
        client.execute("select pg_logical_emit_message(true, 'wal', 'through'); select pg_switch_wal()")
        until = client.fetchval("select pg_current_wal_lsn()::text")
        run(newest, "pg_receivewal", "-D", place, "--slot=through", f"--endpos={until}", "--no-loop", "--synchronous",
            "--status-interval=1", port=port)
        assert {path.stat().st_size for path in place.iterdir()} == {16 << 20}
        assert client.fetchval(f"select restart_lsn >= '{until}' from pg_replication_slots where slot_name = 'through'")
    finally:
        run(newest, "pg_receivewal", "--drop-slot", "--slot=through", port=port)


def test_pg_recvlogical_receives_changes(newest: Postgres, port: int, client: febe.Connection, place: Path) -> None:
    client.execute("drop table if exists told; create table told (a int)")
    run(newest, "pg_recvlogical", "-d", "postgres", "--slot=told", "--create-slot", "--plugin=test_decoding", port=port)
    try:
        client.execute("insert into told values (42)")
        until = client.fetchval("select pg_current_wal_lsn()::text")
        run(newest, "pg_recvlogical", "-d", "postgres", "--slot=told", "--start", f"--endpos={until}", "--no-loop",
            "-f", place / "changes", port=port)
        assert "INSERT: a[integer]:42" in (place / "changes").read_text()
    finally:
        run(newest, "pg_recvlogical", "-d", "postgres", "--slot=told", "--drop-slot", port=port)


def test_febe_s_own_consumer_and_a_snapshot(newest: Postgres, port: int, client: febe.Connection) -> None:
    client.execute("drop publication if exists p; drop table if exists t; create table t (a int primary key)")
    client.execute("create publication p for table t")
    where = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    try:
        with subscribe(where, slot="own", publication="p", create=True) as changes:
            for _ in range(500):
                if client.fetchval("select active from pg_replication_slots where slot_name = 'own'"):
                    break
                client.execute("select pg_sleep(0.02)")
            client.execute("insert into t values (7)")
            assert next(event.new.a for event in changes if isinstance(event, Insert)) == 7
    finally:
        client.execute("select pg_drop_replication_slot('own')")


def test_errors_are_passed_on(newest: Postgres, port: int, place: Path, client: febe.Connection) -> None:
    said = run(newest, "pg_receivewal", "-D", place, "--slot=nowhere", "--no-loop", port=port, wrong=True)
    assert 'replication slot "nowhere" does not exist' in said
    where = f"host=127.0.0.1 port={port} user=postgres replication=database dbname=postgres"
    with pytest.raises(PostgresError) as error, febe.connect(where) as through:
        through.fetch("select $1::int4", 1)
    assert error.value.sqlstate == "08P01"


def test_a_walsender_that_is_ended_is_told(newest: Postgres, port: int, client: febe.Connection, place: Path) -> None:
    receiving = subprocess.Popen(
        [newest.bin / "pg_receivewal", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-D", place, "--no-loop"],
        stderr=subprocess.PIPE, text=True)
    for _ in range(1000):
        if client.fetchval("select count(pg_terminate_backend(pid)) from pg_stat_replication where "
                           "application_name = 'pg_receivewal' and state in ('streaming', 'catchup')"):
            break
        client.execute("select pg_sleep(0.02)")
    _, said = receiving.communicate(timeout=30)
    assert receiving.returncode == 1
    assert "terminating connection due to administrator command" in said


def test_what_is_behind_may_be_gone(newest: Postgres, place: Path) -> None:
    with started(relay("host=127.0.0.1 port=1 user=nobody")) as port:
        said = run(newest, "pg_receivewal", "-D", place, "--no-loop", port=port, wrong=True)
        assert "the server behind this one cannot be reached" in said


def test_the_page_s_example(newest: Postgres, place: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/walsender.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | {
        "DSN": newest.dsn(), "PLACE": str(place), "BIN": str(newest.bin)})
    assert (done.stdout, done.stderr) == ("0\n", "")
    verify(newest, place / "data")
