"""`febe top`: what it reads from febe's servers and from PostgreSQL, and what it shows."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from rich.console import Console

from febe import connect
from febe.cli.top import Screen
from febe.tools.activity import APPLICATION, Activity, Sample, read_activity
from tests.peers.febe_server import FebeServer, running
from tests.peers.postgres import Postgres

SECONDS = 30.0
ENDLESS = "select count(*) from range(100000000000) a(i) where i % 7 = 3"


@pytest.fixture(scope="module")
def server() -> Iterator[FebeServer]:
    with running() as made:
        yield made


@contextlib.contextmanager
def working(dsn: str, sql: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A session that is at a statement for as long as this takes."""
    with psycopg.connect(dsn, autocommit=True, **options) as busy:
        def work() -> None:
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                busy.execute(sql)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield busy
        finally:
            while thread.is_alive():
                busy.cancel_safe(timeout=SECONDS)
                thread.join(0.1)


def read(dsn: str, until: Any) -> Sample:
    """What is seen once it is as expected."""
    end = time.monotonic() + SECONDS
    with connect(dsn, application_name=APPLICATION) as watcher:
        while True:
            sample = read_activity(watcher)
            if until(sample):
                return sample
            assert time.monotonic() < end, sample


def lines(sample: Sample, width: int = 140, **options: Any) -> list[str]:
    with open(os.devnull, "w") as nowhere:
        console = Console(width=width, record=True, file=nowhere, force_terminal=True)
        console.print(Screen(sample=sample, **options))
        return console.export_text().splitlines()


def test_a_server_of_febes(server: FebeServer) -> None:
    with psycopg.connect(server.dsn("ada"), application_name="report") as other, \
            working(server.dsn(), ENDLESS, application_name="busy") as busy:
        other.execute("select 'seen'")
        process_id = busy.info.backend_pid
        sample = read(server.dsn(), lambda seen: seen.sessions and seen.sessions[0].progress)
    first, second = sample.sessions
    assert (first.process_id, first.state, first.query) == (process_id, "active", ENDLESS)
    assert first.progress is not None and 0 < first.progress < 1
    assert first.rows == 0
    assert first.statement is not None and first.statement > timedelta()
    assert (second.user, second.database, second.application) == ("ada", "demo", "report")
    assert (second.state, second.query, second.client) == ("idle in transaction", "select 'seen'", "127.0.0.1")
    assert sample.server == f"127.0.0.1:{server.port}"
    text = "\n".join(lines(sample))
    assert "2 sessions  1 active  1 idle in transaction" in text
    assert "busy" in text and "in transaction" in text and "%" in text


def test_postgresql(pg18: Postgres) -> None:
    """Who waits for a lock is told, and how far a command has come that reports it."""
    dsn = pg18.dsn()
    with psycopg.connect(dsn) as holder:
        holder.execute("create table febe_top as select 1 as n")
        holder.commit()
        try:
            holder.execute("lock febe_top")
            with working(dsn, "select * from febe_top", application_name="waiting"), \
                    working(dsn, "copy (select pg_sleep(0.01) from generate_series(1, 100000)) to '/dev/null'"):
                sample = read(dsn, lambda seen: sum(one.runs for one in seen.sessions) == 2
                              and any(one.waits_for.startswith("Lock") for one in seen.sessions))
            waiting = next(one for one in sample.sessions if one.application == "waiting")
            assert waiting.waits_for == "Lock:relation"
            assert "1 waiting for a lock" in "\n".join(lines(sample))
            assert "Lock:relation" in "\n".join(lines(sample))
        finally:
            holder.rollback()
            holder.execute("drop table febe_top")
            holder.commit()


def test_the_command_looks_once(server: FebeServer) -> None:
    with psycopg.connect(server.dsn(), application_name="somebody"):
        done = subprocess.run([sys.executable, "-m", "febe.cli", "top", server.dsn()], capture_output=True, text=True,
                              env=os.environ | {"COLUMNS": "120"})
    assert done.returncode == 0, done.stderr
    assert "somebody" in done.stdout
    assert APPLICATION not in done.stdout.partition("\n")[2]
    done = subprocess.run([sys.executable, "-m", "febe.cli", "top", "host=127.0.0.1 port=1"], capture_output=True,
                          text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "refused" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_on_a_terminal(server: FebeServer) -> None:
    """The keys: i hides those that are idle, q ends it, and the terminal is as it was."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 140, 0, 0))
    before = termios.tcgetattr(theirs)
    shown = b""

    def until(words: bytes) -> None:
        nonlocal shown
        end = time.monotonic() + SECONDS
        while words not in shown:
            assert select.select([ours], [], [], max(end - time.monotonic(), 0))[0], shown[-2000:]
            shown += os.read(ours, 65536)
        shown = shown.partition(words)[2]

    with psycopg.connect(server.dsn(), application_name="somebody"):
        process = subprocess.Popen([sys.executable, "-m", "febe.cli", "top", "--interval", "0.2", server.dsn()],
                                   stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"})
        try:
            until(b"somebody")
            os.write(ours, b"i")
            until(b"nobody is at work")
            os.write(ours, b"i")
            until(b"somebody")
            os.write(ours, b"q")
            until(b"\x1b[?1049l")  # back from the alternate screen
            assert process.wait(SECONDS) == 0
            assert termios.tcgetattr(theirs) == before
        finally:
            process.kill()
            process.wait()
            os.close(ours)
            os.close(theirs)


def sample_of(*sessions: Activity) -> Sample:
    return Sample(server="db:5432", version="18.1", moment=datetime(2026, 1, 1, 12, tzinfo=UTC), sessions=[*sessions])


BUSY = Activity(process_id=7, user="ada", database="shop", application="psql", client="10.0.0.1", state="active",
                query="select " + "x, " * 200, statement=timedelta(seconds=3.25), transaction=timedelta(hours=30),
                rows=1234567, progress=0.5)
FAILED = Activity(process_id=8, user="bob", database="shop", state="idle in transaction (aborted)", query="nope",
                  statement=timedelta(minutes=2, seconds=5), transaction=timedelta(hours=2, minutes=3))
IDLE = Activity(process_id=9, user="eve", state="idle", query="done", statement=timedelta(seconds=42))


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_is_longer_than_the_screen(width: int) -> None:
    shown = lines(sample_of(BUSY, FAILED, IDLE), width)
    assert all(len(line) <= width for line in shown)
    table = [line for line in shown if line.lstrip().startswith(("7", "8", "9"))]
    assert len(table) == 3
    assert all(word in table[0] for word in ("active", "select"))


def test_what_a_sample_looks_like() -> None:
    shown = lines(sample_of(BUSY, FAILED, IDLE), 170)
    assert shown[:2] == [
        "febe top  db:5432  server 18.1  12:00:00",
        "3 sessions  1 active  1 idle in transaction  1 of them failed  longest statement 3.2s  oldest transaction "
        "1d06h"]
    assert shown[3].split() == ["PID", "USER", "DATABASE", "APPLICATION", "CLIENT", "STATE", "XACT", "TIME", "ROWS",
                                "PROGRESS", "QUERY"]
    assert shown[4].split()[:10] == ["7", "ada", "shop", "psql", "10.0.0.1", "active", "1d06h", "3.2s", "1,234,567",
                                     "━━━━━╺━━━━"]
    assert shown[5].split() == ["8", "bob", "shop", "failed", "2h03m", "2m05s", "nope"]
    assert shown[6].split() == ["9", "eve", "idle", "42s", "done"]
    assert [line for line in lines(sample_of(BUSY, IDLE), idle=False) if line.lstrip().startswith("9")] == []
    assert "nobody is connected" in "\n".join(lines(sample_of()))
    assert "the connection is lost" in "\n".join(lines(sample_of(IDLE), trouble="the connection is lost"))


def test_what_clients_choose_does_nothing_to_the_terminal(server: FebeServer) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[bold]"
    with psycopg.connect(server.dsn(), application_name="x\x1b[31m", autocommit=True) as client:
        client.execute(f"select '{evil}'")
        sample = read(server.dsn(), lambda seen: any("owned" in one.query for one in seen.sessions))
    with open(os.devnull, "w") as nowhere:
        console = Console(width=200, record=True, file=nowhere, force_terminal=False, color_system=None)
        console.print(Screen(sample=sample))
        text = console.export_text()
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert "[bold]" in text  # nor is it taken for markup
