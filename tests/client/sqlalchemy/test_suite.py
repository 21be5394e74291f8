"""SQLAlchemy's own suite for dialects, in pytests of its own: one for each dialect, at the same time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.postgres import Postgres

KIT = Path(__file__).parent / "kit"
SECONDS = 600


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_both_dialects_pass(pg18: Postgres, tmp_path: Path) -> None:
    running: dict[str, subprocess.Popen[str]] = {}
    found = pg18.parameters()
    try:
        for driver in ("febe", "febe_async"):
            kit, database = tmp_path / driver, f"sqlalchemy_{driver}"
            shutil.copytree(KIT, kit)
            pg18.psql(f"create database {database}")
            for schema in ("test_schema", "test_schema_2"):
                pg18.psql(f"create schema {schema}", dbname=database)
            url = f"postgresql+{driver}://{found['user']}@{found['host']}:{found['port']}/{database}"
            running[driver] = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-c", "setup.cfg", "suite.py", "--dburi", url], cwd=kit,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(kit), os.environ.get("PYTHONPATH", "")])},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for driver, process in running.items():
            said = process.communicate(timeout=SECONDS)[0]
            assert process.returncode == 0, said[-5000:]
            passed = re.search(r"(\d+) passed", said)
            assert passed is not None and int(passed[1]) > 1800, f"{driver}: {said[-500:]}"
    finally:
        for process in running.values():
            process.kill()
            process.wait()
        for driver in running:
            pg18.psql(f"drop database sqlalchemy_{driver} with (force)")
