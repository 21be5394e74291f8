"""The log in segment files that pg_waldump reads."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import febe
from febe.replication import BackupError, receive_wal
from febe.replication.segments import Segments, history_name, resume_at, segment_name
from tests.peers import postgres as servers
from tests.peers.installation import scratch, server_user
from tests.peers.postgres import Postgres
from tests.replication.conftest import SETTINGS

SIZE = 16 << 20


@contextlib.contextmanager
def slot(client: febe.Connection, name: str) -> Iterator[str]:
    client.execute(f"select pg_create_physical_replication_slot('{name}', true)")
    try:
        yield name
    finally:
        client.execute(f"select pg_drop_replication_slot('{name}')")


def segments(directory: Path) -> list[str]:
    """The names of the whole segments; a server that writes something of its own meanwhile adds a part of the next."""
    whole = sorted(path.name for path in directory.iterdir() if not path.suffix)
    assert {len(name) for name in whole} == {24}
    assert [path.suffix for path in directory.iterdir() if path.suffix] in ([], [".partial"])
    return whole


def dumped(server: Postgres, directory: Path, first: str, last: str) -> str:
    done = subprocess.run([server.bin / "pg_waldump", "--path", directory, first, last], capture_output=True, text=True)
    assert done.returncode == 0 or "invalid record length" in done.stderr, done.stderr
    return done.stdout


def here(client: febe.Connection) -> str:
    return str(client.fetchval("select pg_current_wal_flush_lsn()::text"))


def emit(client: febe.Connection, text: str) -> str:
    client.execute(f"select pg_logical_emit_message(true, 'wal', '{text}')")
    client.execute("select pg_switch_wal()")
    return str(client.fetchval("select pg_current_wal_lsn()::text"))


def test_segments_are_received_and_dumped(newest: Postgres, tmp_path: Path) -> None:
    with febe.connect(newest.dsn()) as client, slot(client, "received"):
        seen = list[int]()
        until = emit(client, "first")
        end = receive_wal(newest.dsn(), tmp_path, slot="received", until=until, progress=seen.append)
        assert seen[-1] == end.position
        complete = segments(tmp_path)
        assert b"first".hex(" ").upper() in dumped(newest, tmp_path, complete[0], complete[-1])
        # It goes on where the files end, and the slot has heard of it.
        emit(client, "second")
        client.execute("set synchronous_commit = on")
        client.execute("select pg_logical_emit_message(true, 'wal', 'third')")
        until = here(client)
        receive_wal(newest.dsn(), tmp_path, slot="received", until=until, synchronous=True)
        assert len(segments(tmp_path)) == len(complete) + 1
        assert [path.suffix for path in tmp_path.iterdir()].count(".partial") == 1
        assert client.fetchval("select restart_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = 'received'"
                               .replace("%s", f"'{until}'"))
        receive_wal(newest.dsn(), tmp_path, slot="received", until=emit(client, "fourth"))
        names = segments(tmp_path)
        assert len(names) == len(complete) + 2
        found = dumped(newest, tmp_path, names[0], names[-1])
        for word in (b"first", b"second", b"third", b"fourth"):
            assert word.hex(" ").upper() in found


def test_every_version_s_log(publishers: Callable[[int], Postgres], tmp_path: Path) -> None:
    for major in (13, 14, 15, 16, 17):
        server, place = publishers(major), tmp_path / str(major)
        with febe.connect(server.dsn()) as client:
            receive_wal(server.dsn(), place, slot="received", create=True, start=here(client),
                        until=emit(client, "all"))
            client.execute("select pg_drop_replication_slot('received')")
        (name,) = segments(place)
        assert (place / name).stat().st_size == SIZE


def test_a_new_timeline_is_followed(newest: Postgres, tmp_path: Path) -> None:
    with scratch("timeline") as place:
        febe.replication.base_backup(newest.dsn(), place / "data")
        (place / "data" / "recovery.signal").touch()
        _give_away(place / "data")
        settings = SETTINGS | {"restore_command": "false", "recovery_target_action": "promote"}
        with servers.on(newest.installation, place, place / "data", **settings) as server:
            _until_promoted(server)
            with febe.connect(server.dsn()) as client:
                old = client.fetchval("select '0/' || substr(pg_walfile_name(pg_current_wal_lsn()), 23) || '000000'")
                until = emit(client, "after")
            end = receive_wal(server.dsn(), tmp_path, start=old, until=until)
            assert end.timeline == 2
            assert (tmp_path / history_name(2)).read_bytes().startswith(b"1\t")


def _give_away(place: Path) -> None:
    if user := server_user():
        shutil.chown(place, user)
        for path in place.rglob("*"):
            shutil.chown(path, user)


def _until_promoted(server: Postgres) -> None:
    with febe.connect(server.dsn()) as client:
        for _ in range(500):
            if not client.fetchval("select pg_is_in_recovery()"):
                return
            client.execute("select pg_sleep(0.02)")
    raise AssertionError("still in recovery")


def test_names_are_postgresql_s() -> None:
    assert segment_name(1, 0x102, SIZE) == "000000010000000100000002"
    assert segment_name(0xA, 0x1FF, 1 << 30) == "0000000A0000007F00000003"
    assert history_name(0x2B) == "0000002B.history"


def test_what_is_there_says_where_to_go_on(tmp_path: Path) -> None:
    assert resume_at(tmp_path, SIZE) is None
    (tmp_path / "000000010000000000000003.partial").touch()
    assert resume_at(tmp_path, SIZE) == (1, 3 * SIZE)
    with (tmp_path / "000000020000000000000004").open("wb") as out:
        os.ftruncate(out.fileno(), SIZE)
    assert resume_at(tmp_path, SIZE) == (2, 5 * SIZE)
    (tmp_path / "000000020000000000000005").touch()
    with pytest.raises(BackupError, match="0 bytes"):
        resume_at(tmp_path, SIZE)


def test_a_gap_in_the_log_is_noticed(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 1, SIZE, size=SIZE)
    segments.write(SIZE, b"x" * 100)
    with pytest.raises(BackupError, match="was expected"):
        segments.write(SIZE + 101, b"y")
    segments.write(SIZE + 100, b"y" * (SIZE + 5))
    segments.close()
    assert sorted((path.name, path.stat().st_size) for path in tmp_path.iterdir()) == [
        ("000000010000000000000001", SIZE), ("000000010000000000000002.partial", 105)]
    with pytest.raises(BackupError, match="beginning"):
        Segments(tmp_path, 1, SIZE + 1, size=SIZE)
