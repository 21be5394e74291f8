"""`febe backup`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from febe.cli.commands import febe
from tests.peers.postgres import Postgres


def backup(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "febe.cli", "backup", *arguments], capture_output=True, text=True)


def test_a_backup_is_made_and_verified(pg18: Postgres, tmp_path: Path) -> None:
    done = backup(pg18.dsn(), tmp_path / "data", "--no-sync")
    assert done.returncode == 0, done.stderr
    assert "backup" in done.stderr  # the bar
    assert "on timeline 1" in done.stdout
    subprocess.run([pg18.bin / "pg_verifybackup", tmp_path / "data"], check=True, capture_output=True)
    again = backup(pg18.dsn(), tmp_path / "data", "--quiet")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"Error: {tmp_path / 'data'} is there and not empty\n"


def test_tar_files(pg18: Postgres, tmp_path: Path) -> None:
    done = backup(pg18.dsn(), tmp_path / "tar", "--format", "tar", "--max-rate", "1000000", "--quiet", "--no-sync")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "tar").iterdir()} == {"base.tar", "backup_manifest"}


def test_what_makes_no_sense_is_told(tmp_path: Path) -> None:
    run = CliRunner().invoke
    said = run(febe, ["backup", "host=127.0.0.1 port=1 user=u", str(tmp_path / "x"), "--quiet"])
    assert said.exit_code == 1
    assert said.output.startswith("Error: ")
    assert run(febe, ["backup", "", str(tmp_path), "--tablespace-mapping", "old"]).exit_code == 2
