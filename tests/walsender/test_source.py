"""PostgreSQL's own programs, and a standby, against a source that a user wrote: the example of an archive."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

import febe
from febe.client.options import resolve
from febe.client.run_blocking import open_session, runner
from febe.errors import PostgresError
from febe.flows import replicate
from febe.flows.close import close
from febe.protocol.lsn import format_lsn
from febe.replication import base_backup, receive_wal
from febe.walsender import Backup, Directory, File, Source, System, Tablespace, walsender
from tests.peers import postgres as servers
from tests.peers.installation import scratch, server_user
from tests.peers.postgres import Postgres
from tests.replication.conftest import SETTINGS
from tests.walsender.front import run, started
from tests.walsender.test_relay import verify

EXAMPLE = Path(__file__).parents[2] / "examples" / "wal_archive.py"


@pytest.fixture(scope="module")
def archive(publishers: Callable[[int], Postgres]) -> Iterator[Path]:
    """A backup, and a log in which a table is made after it."""
    newest = publishers(18)
    with scratch("archive") as place, febe.connect(newest.dsn()) as client:
        made = base_backup(newest.dsn(), place / "data", wal="none", sync=False)
        client.execute("drop table if exists after_backup; create table after_backup as select 42 as a")
        client.execute("select pg_switch_wal()")
        until = client.fetchval("select pg_current_wal_lsn()::text")
        receive_wal(newest.dsn(), place / "log", start=made.start_lsn, until=until)
        yield place


@pytest.fixture
def source(archive: Path) -> Source:
    spec = importlib.util.spec_from_file_location("wal_archive", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Source = module.Archive(archive / "data", archive / "log")
    return found


@pytest.fixture
def port(source: Source) -> Iterator[int]:
    with started(walsender(source)) as found:
        yield found


@pytest.mark.parametrize("options", [
    (), ("-X", "fetch", "--manifest-checksums=SHA512"), ("--progress", "--label=x", "--manifest-checksums=NONE")],
    ids=" ".join)
def test_pg_basebackup_makes_plain_backups(newest: Postgres, port: int, place: Path, options: tuple[str, ...]) -> None:
    said = run(newest, "pg_basebackup", "-D", place / "data", "-c", "fast", "--no-sync", *options, port=port)
    assert ("100%" in said) == ("--progress" in options)
    verify(newest, place / "data")


def test_pg_basebackup_makes_tar_files(newest: Postgres, port: int, place: Path) -> None:
    run(newest, "pg_basebackup", "-D", place / "tar", "-Ft", "--no-sync", "--gzip", port=port)
    with tarfile.open(place / "tar" / "base.tar.gz") as base, tarfile.open(place / "tar" / "pg_wal.tar.gz") as log:
        assert "PG_VERSION" in base.getnames()
        assert log.getnames()


def test_the_rate_is_limited(newest: Postgres, port: int, place: Path) -> None:
    start = time.monotonic()
    run(newest, "pg_basebackup", "-D", place / "data", "--no-sync", "-X", "none", "--max-rate=30M", port=port)
    size = sum(path.stat().st_size for path in (place / "data").rglob("*") if path.is_file())
    assert size / (time.monotonic() - start) < 32 << 20


def test_febe_takes_a_backup_too(newest: Postgres, port: int, place: Path) -> None:
    base_backup(f"host=127.0.0.1 port={port} user=u", place / "data", sync=False)
    verify(newest, place / "data")
    for path in (place / "data").rglob("*"):
        if path.is_file() and path.parent.name != "pg_wal" and path.name == "PG_VERSION":
            assert path.read_text() == "18\n"


def test_pg_receivewal_receives_the_log(newest: Postgres, archive: Path, source: Source, port: int,
                                        place: Path) -> None:
    run(newest, "pg_receivewal", "--create-slot", "--slot=kept", port=port)
    segments = sorted(path.name for path in (archive / "log").iterdir())
    first, end = (int(name[8:16], 16) << 32 | int(name[16:24], 16) << 24 for name in (segments[0], segments[-1]))
    source.slots["kept"].position = first
    until = format_lsn(end + 100)
    run(newest, "pg_receivewal", "-D", place, "--slot=kept", f"--endpos={until}", "--no-loop", "--synchronous",
        "--status-interval=1", port=port)
    received = sorted(place.iterdir())
    assert received
    assert received[0].read_bytes() == (archive / "log" / received[0].name.removesuffix(".partial")).read_bytes()[
        :received[0].stat().st_size]
    assert source.slots["kept"].position > first
    run(newest, "pg_receivewal", "--drop-slot", "--slot=kept", port=port)
    assert source.slots == {}


def test_a_standby_starts_from_it_and_follows(newest: Postgres, port: int, place: Path) -> None:
    run(newest, "pg_basebackup", "-D", place / "data", "--no-sync", "-R", port=port)
    if user := server_user():
        shutil.chown(place / "data", user)
        for path in (place / "data").rglob("*"):
            shutil.chown(path, user)
    with (servers.on(newest.installation, place, place / "data", **SETTINGS) as standby,
          febe.connect(standby.dsn()) as client):
        assert client.fetchval("select pg_is_in_recovery()")
        for _ in range(500):
            if client.fetchval("select to_regclass('after_backup') is not null"):
                break
            client.execute("select pg_sleep(0.02)")
        assert client.fetchval("select a from after_backup") == 42


class Small(Source):
    """Two timelines of a few bytes, and a backup with a tablespace."""

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        self.size = size

    async def system(self) -> System:
        return System(identifier=7, timeline=2, position=300)

    async def log(self, timeline: int, position: int) -> AsyncIterator[bytes]:
        end = 200 if timeline == 1 else 300
        if position < end:
            yield bytes([timeline]) * (end - position)

    async def next_timeline(self, timeline: int) -> tuple[int, int] | None:
        return (2, 200) if timeline == 1 else None

    async def history(self, timeline: int) -> bytes:
        return b"1\t0/C8\tno reason\n" if timeline == 2 else await super().history(timeline)

    async def backup(self, label: str, fast: bool) -> Backup:
        return Backup(start=0x100, end=0x110, timeline=2, tablespaces=[
            Tablespace(entries=[Directory(path="pg_tblspc"), File(path="one", size=self.size, pieces=[b"12", b"345"])],
                       size=5),
            Tablespace(entries=[File(path="far", size=3, pieces=[b"far"])], size=3, oid=16999, location="/far/away")])


def ask(port: int, sql: str, *, replication: str = "true") -> list[tuple[object, ...]]:
    session = open_session(resolve(f"host=127.0.0.1 port={port} user=u", {"settings": {"replication": replication}}))
    run_flow = runner(session)
    try:
        return [tuple(row) for row in run_flow(replicate.ask(session, sql)).rows]
    finally:
        run_flow(close(session))


def test_commands_are_answered() -> None:
    with started(walsender(Small())) as port:
        assert ask(port, "IDENTIFY_SYSTEM") == [(b"7", b"2", b"0/12C", None)]
        assert ask(port, "SHOW wal_segment_size") == [(b"16MB",)]
        assert ask(port, "TIMELINE_HISTORY 2") == [(b"00000002.history", b"1\t0/C8\tno reason\n")]
        assert ask(port, "READ_REPLICATION_SLOT none") == [(None, None, None)]
        assert ask(port, "CREATE_REPLICATION_SLOT t TEMPORARY PHYSICAL") == [(b"t", b"0/0", None, None)]
        assert ask(port, "READ_REPLICATION_SLOT t") == [(None, None, None)]  # it went with its connection
        assert ask(port, "CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL)") == [(b"s", b"0/12C", None, None)]
        assert ask(port, "READ_REPLICATION_SLOT s") == [(b"physical", b"0/12C", b"2")]
        assert ask(port, "START_REPLICATION PHYSICAL 0/C8 TIMELINE 1") == [(b"2", b"0/C8")]
        assert ask(port, "SELECT pg_catalog.set_config('search_path', '', false);", replication="database") == [(b"",)]


@pytest.mark.parametrize(("sql", "sqlstate"), [
    ("CREATE_REPLICATION_SLOT s LOGICAL pgoutput", "0A000"),
    ("CREATE_REPLICATION_SLOT s PHYSICAL (COLOUR 'x')", "42601"),
    ("DROP_REPLICATION_SLOT none", "42704"), ("START_REPLICATION SLOT none PHYSICAL 0/0", "42704"),
    ("START_REPLICATION SLOT s LOGICAL 0/0", "0A000"), ("START_REPLICATION 0/FFFF", "22023"),
    ("START_REPLICATION 0/FF TIMELINE 1", "22023"), ("START_REPLICATION 0/0 TIMELINE 3", "22023"),
    ("TIMELINE_HISTORY 7", "58P01"), ("SHOW nothing", "42704"), ("UPLOAD_MANIFEST", "0A000"), ("SELECT 1", "0A000"),
    ("ALTER_REPLICATION_SLOT s (FAILOVER)", "0A000"), ("BASE_BACKUP (TARGET 'server')", "0A000"),
    ("BASE_BACKUP (INCREMENTAL)", "0A000"), ("BASE_BACKUP (COLOUR 'x')", "42601"),
    ("BASE_BACKUP (MAX_RATE 5)", "22003"),
    ("BASE_BACKUP (MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')", "0A000"), ("IDENTIFY_SYSTEM x", "42601")])
def test_what_there_is_not_is_refused(sql: str, sqlstate: str) -> None:
    with started(walsender(Small())) as port:
        with pytest.raises(PostgresError) as error:
            ask(port, sql)
        assert error.value.sqlstate == sqlstate


def test_timelines_are_followed(tmp_path: Path) -> None:
    with started(walsender(Small())) as port:
        end = receive_wal(f"host=127.0.0.1 port={port} user=u", tmp_path)
    assert (end.timeline, end.position) == (2, 300)
    assert (tmp_path / "00000002.history").read_bytes() == b"1\t0/C8\tno reason\n"
    assert (tmp_path / "000000020000000000000000.partial").read_bytes() == b"\2" * 300


def test_a_tablespace_is_an_archive_of_its_own(tmp_path: Path) -> None:
    with started(walsender(Small())) as port:
        where = f"host=127.0.0.1 port={port} user=u"
        made = base_backup(where, tmp_path / "tar", format="tar", wal="none")
        assert (made.start_lsn, made.end_lsn, made.timeline) == (0x100, 0x110, 2)
        with tarfile.open(tmp_path / "tar" / "base.tar") as base:
            assert base.getnames() == ["pg_tblspc", "one", "tablespace_map"]
        manifest = (tmp_path / "tar" / "backup_manifest").read_text()
        assert re.findall('"Path": "(.*?)"', manifest) == ["pg_tblspc/16999/far", "one", "tablespace_map"]
        base_backup(where, tmp_path / "plain", wal="none", tablespaces={"/far/away": str(tmp_path / "near")})
        assert (tmp_path / "plain" / "pg_tblspc" / "16999" / "far").read_bytes() == b"far"


@pytest.mark.parametrize("size", [4, 6])
def test_a_file_that_is_not_as_large_as_it_was_said_ends_the_backup(tmp_path: Path, size: int) -> None:
    with (started(walsender(Small(size))) as port, pytest.raises(PostgresError, match=f"has not {size} bytes")):
        base_backup(f"host=127.0.0.1 port={port} user=u", tmp_path / "data", wal="none",
                    tablespaces={"/far/away": str(tmp_path / "near")})
    assert list((tmp_path / "data").iterdir()) == []
    assert asyncio.run(Small(size).system()).identifier == 7
