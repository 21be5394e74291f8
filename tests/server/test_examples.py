"""The engines in `examples/` run."""

from __future__ import annotations

import datetime
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.server.listening import listening

EXAMPLES = Path(__file__).parents[2] / "examples"


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("binary", [False, True])
def test_logbook(binary: bool) -> None:
    psycopg = pytest.importorskip("psycopg")
    with listening(_loaded("engine_logbook").Logbook()) as listener, \
            psycopg.connect(f"host=127.0.0.1 port={listener.port} user=me", autocommit=True) as connection:
        cursor = connection.cursor(binary=binary)
        cursor.execute("add 'one'")
        assert cursor.statusmessage == "INSERT 0 1"
        cursor.execute("add %s", ("two",))
        rows = cursor.execute("log").fetchall()
        assert [row[1:] for row in rows] == [("me", "one"), ("me", "two")]
        assert abs(rows[0][0] - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=1)
        with pytest.raises(psycopg.errors.SyntaxError):
            cursor.execute("burn")
        with pytest.raises(psycopg.errors.NullValueNotAllowed):
            cursor.execute("add %s", (None,))


def test_access(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "access.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ada INSERT 0 1", '28P01 password authentication failed for user "ada"',
        '28000 pg_hba.conf rejects connection for host "127.0.0.1", user "eve", database "logbook", no encryption',
        '28000 pg_hba.conf rejects connection for host "127.0.0.1", user "ada", database "elsewhere", no encryption']
