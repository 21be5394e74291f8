"""Base backups that pg_verifybackup accepts and PostgreSQL starts from."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import febe
from febe.errors import PostgresError
from febe.flows.errors import NotSupported
from febe.replication import BackupError, base_backup
from febe.replication.unpack import Unpacker
from tests.peers import postgres as servers
from tests.peers.installation import scratch, server_user
from tests.peers.postgres import Postgres


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the server's user may have."""
    with scratch("backup") as found:
        yield found


def verified(server: Postgres, directory: Path, *options: str) -> str:
    done = subprocess.run([server.bin / "pg_verifybackup", *options, directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_backup_is_verified_and_a_server_starts_from_it(newest: Postgres, place: Path) -> None:
    with febe.connect(newest.dsn()) as client:
        client.execute("drop table if exists kept; create table kept as select g from generate_series(1, 10000) g")
    told: list[tuple[int, int]] = []
    made = base_backup(newest.dsn(), place / "data", progress=lambda done, total: told.append((done, total)))
    assert made.start_lsn < made.end_lsn
    assert made.bytes > 1 << 20
    assert told and told[-1][0] <= told[-1][1]
    assert "successfully verified" in verified(newest, place / "data")
    if user := server_user():
        shutil.chown(place / "data", user)
        for path in (place / "data").rglob("*"):
            shutil.chown(path, user)
    with servers.on(newest.installation, place, place / "data") as restored, febe.connect(restored.dsn()) as client:
        assert client.fetchval("select count(*) from kept") == 10000


@pytest.mark.parametrize("wal", ["fetch", "none"])
def test_the_log_can_come_otherwise(newest: Postgres, place: Path, wal: str) -> None:
    base_backup(newest.dsn(), place / "data", wal=wal, sync=False)
    assert any(len(path.name) == 24 for path in (place / "data" / "pg_wal").iterdir()) == (wal == "fetch")
    verified(newest, place / "data", *(["--no-parse-wal"] if wal == "none" else []))
    with pytest.raises(ValueError, match="plain only"):
        base_backup(newest.dsn(), place / "tar", format="tar", wal="stream")


def test_archives_are_kept_as_they_are(newest: Postgres, place: Path) -> None:
    base_backup(newest.dsn(), place / "tar", format="tar", max_rate=1 << 20, manifest_checksums="SHA256")
    assert {path.name for path in (place / "tar").iterdir()} == {"base.tar", "backup_manifest"}
    shutil.unpack_archive(place / "tar" / "base.tar", place / "unpacked", filter="data")
    (place / "tar" / "backup_manifest").rename(place / "unpacked" / "backup_manifest")
    verified(newest, place / "unpacked")


def test_a_damaged_backup_is_found_by_the_same_check(newest: Postgres, place: Path) -> None:
    base_backup(newest.dsn(), place / "data")
    with (place / "data" / "PG_VERSION").open("a") as out:
        out.write("x")
    assert subprocess.run([newest.bin / "pg_verifybackup", place / "data"], capture_output=True).returncode != 0


def test_tablespaces_get_new_directories(newest: Postgres, place: Path) -> None:
    old = place / "space"
    old.mkdir()
    if user := server_user():
        shutil.chown(old, user)
    with febe.connect(newest.dsn()) as client:
        client.execute(f"create tablespace elsewhere location '{old}'")
        try:
            client.execute("create table far (a int) tablespace elsewhere; insert into far values (1)")
            with pytest.raises(BackupError, match="needs a new directory"):
                base_backup(newest.dsn(), place / "data")
            assert list((place / "data").iterdir()) == []
            with pytest.raises(PostgresError):
                base_backup(newest.dsn(), place / "data", tablespaces={str(old): str(place / "new")},
                            manifest_checksums="CRC64")
            base_backup(newest.dsn(), place / "data", tablespaces={str(old): str(place / "new")})
            (link,) = (place / "data" / "pg_tblspc").iterdir()
            assert link.resolve() == (place / "new").resolve()
            verified(newest, place / "data")
        finally:
            client.execute("drop table if exists far")
            client.execute("drop tablespace elsewhere")


def test_what_cannot_be_done_is_told(publishers: Callable[[int], Postgres], newest: Postgres, place: Path) -> None:
    (place / "full").mkdir()
    (place / "full" / "file").touch()
    with pytest.raises(BackupError, match="not empty"):
        base_backup(newest.dsn(), place / "full")
    with pytest.raises(NotSupported):
        base_backup(publishers(14).dsn(), place / "old")
    with pytest.raises(PostgresError) as error:
        base_backup(newest.dsn(), place / "data", max_rate=1)
    assert error.value.sqlstate == "22003"
    assert list((place / "data").iterdir()) == []


def archive(*members: tuple[str, bytes, bytes]) -> bytes:
    """A tar file of members: name, type, content or what a link names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content.decode()
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def refuse(directory: str) -> Path:
    raise BackupError(directory)


@pytest.mark.parametrize("step", [1, 511, 512, 513, 1 << 20])
def test_archives_are_unpacked_however_they_are_cut(tmp_path: Path, step: int) -> None:
    data = archive(("a", tarfile.DIRTYPE, b""), ("a/one", tarfile.REGTYPE, b"x" * 1000),
                   ("a/none", tarfile.REGTYPE, b""), ("b", tarfile.REGTYPE, b"y" * 512))
    unpacker = Unpacker(tmp_path, refuse)
    for start in range(0, len(data), step):
        unpacker.feed(data[start:start + step])
    unpacker.finish()
    assert [(tmp_path / name).read_bytes() for name in ("a/one", "a/none", "b")] == [b"x" * 1000, b"", b"y" * 512]
    cut = Unpacker(tmp_path / "a", refuse)
    cut.feed(archive(("c", tarfile.REGTYPE, b"z" * 1000))[:700])
    with pytest.raises(BackupError, match="cut"):
        cut.finish()
    cut.abandon()


@pytest.mark.parametrize("member", [
    ("/etc/x", tarfile.REGTYPE, b"x"), ("../x", tarfile.REGTYPE, b"x"), ("a/../../x", tarfile.DIRTYPE, b""),
    ("link", tarfile.SYMTYPE, b"/etc"), ("pg_tblspc/1", tarfile.SYMTYPE, b"/etc"), ("hard", tarfile.LNKTYPE, b"a"),
    ("device", tarfile.CHRTYPE, b"")])
def test_what_must_not_be_unpacked_is_refused(tmp_path: Path, member: tuple[str, bytes, bytes]) -> None:
    with pytest.raises(BackupError):
        Unpacker(tmp_path, refuse).feed(archive(member))
    with pytest.raises(BackupError):
        Unpacker(tmp_path, refuse).feed(b"x" * 512)
    assert list(tmp_path.iterdir()) == []


def test_the_page_s_example(newest: Postgres, place: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/backup.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | {
        "DSN": newest.dsn(), "PLACE": str(place), "BIN": str(newest.bin)})
    assert (done.stdout, done.stderr) == ("timeline 1, True\n", "")
