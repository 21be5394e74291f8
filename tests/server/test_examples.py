"""The engines in `examples/` run."""

from __future__ import annotations

import datetime
import importlib.util
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from febe.server.testing import check, findings
from tests.peers import febe_server as febe_servers
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


def test_catalog() -> None:
    """The described table is found, with its key and comments, by name and through the information schema."""
    psycopg = pytest.importorskip("psycopg")
    example = _loaded("engine_catalog")
    with listening(example.Catalog(example.Thermometer())) as listener, \
            psycopg.connect(f"host=127.0.0.1 port={listener.port} user=me", autocommit=True) as connection:
        assert connection.execute(
            "select column_name, data_type, is_nullable from information_schema.columns where table_name = 'readings'"
        ).fetchall() == [("at", "timestamp with time zone", "NO"), ("celsius", "double precision", "YES")]
        assert connection.execute("select conname, obj_description('readings'::regclass) from pg_constraint where "
                                  "conrelid = 'readings'::regclass and contype = 'p'").fetchall() == [
            ("readings_pkey", "what the thermometer said")]
        assert len(connection.execute("select * from readings").fetchall()) == 3


def test_access(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "access.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "ada INSERT 0 1", '28P01 password authentication failed for user "ada"',
        '28000 pg_hba.conf rejects connection for host "127.0.0.1", user "eve", database "logbook", no encryption',
        '28000 pg_hba.conf rejects connection for host "127.0.0.1", user "ada", database "elsewhere", no encryption']


def test_oauth(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "oauth_tokens.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    asked = "a token of https://login.example for logbook"
    assert done.stdout.splitlines() == [
        asked, "ada INSERT 0 1", asked, '28000 OAuth bearer authentication failed for user "eve"']


def test_server_metrics() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "server_metrics.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "slow: add 'hello' by ada gave 0 rows", "slow: log by ada gave 1 rows",
        'febe_statements_total{kind="Query"} 2.0', "febe_rows_total 1.0", "febe_places_taken 1.0",
        "{'status': 'ok', 'sessions': 1}"]


def _connected(port: int) -> Any:
    psycopg = pytest.importorskip("psycopg")
    return psycopg.connect(f"host=127.0.0.1 port={port} user=me", autocommit=True)


@pytest.mark.parametrize("binary", [False, True])
def test_frames(binary: bool) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"n": [1, None, 3], "text": ["a", None, "c"], "day": [datetime.date(2024, 2, 29)] * 3,
                              "kind": polars.Series(["x", "y", "x"], dtype=polars.Categorical)})
    with listening(_loaded("engine_frames").Frames(t=frame)) as listener, _connected(listener.port) as connection:
        cursor = connection.cursor(binary=binary)
        assert cursor.execute("select * from t order by n nulls last").fetchall() == [
            (1, "a", datetime.date(2024, 2, 29), "x"), (3, "c", datetime.date(2024, 2, 29), "x"),
            (None, None, datetime.date(2024, 2, 29), "y")]
        with pytest.raises(Exception, match="selec"):
            cursor.execute("selec")
    check(_loaded("engine_frames").Frames(), queries=["select * from towns"], wrong=["selec", "select * from nowhere"])


def test_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Posts(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'[{"id": 1, "title": "one"}, {"id": 2}]'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    rest = _loaded("engine_rest").Rest()
    with ThreadingHTTPServer(("127.0.0.1", 0), Posts) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("REST", f"http://127.0.0.1:{server.server_port}")
        with listening(rest) as listener, _connected(listener.port) as connection:
            assert connection.execute("select * from posts").fetchall() == [(1, "one"), (2, None)]
        check(rest, queries=["select * from posts"], wrong=["select 1"])
        server.shutdown()


def test_primes() -> None:
    primes = _loaded("engine_primes").Primes()
    with listening(primes) as listener, _connected(listener.port) as connection, connection.transaction(), \
            connection.cursor("c") as cursor:
        cursor.execute("primes")
        assert [row[0] for row in cursor.fetchmany(6)] == [2, 3, 5, 7, 11, 13]
    assert not findings(primes, queries=[], wrong=["select 1"], endless="primes")


def test_served_by_name() -> None:
    with febe_servers.running("examples.engine_primes:Primes") as server, _connected(server.port) as connection:
        cursor = connection.cursor("c")
        with connection.transaction():
            assert cursor.execute("primes").fetchone() == (2,)
    for name, why in (("examples.engine_primes:primes", "makes none"), ("no_such_module:engine", "No module named")):
        with pytest.raises(febe_servers.StartFailed, match=why), febe_servers.running(name):
            pass


@pytest.mark.parametrize("name", ["engine_frames", "engine_rest", "engine_primes"])
def test_they_are_short(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text().partition('"""\n\n')[2].splitlines()
    assert len([line for line in lines if line.strip()]) < 30
