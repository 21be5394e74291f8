"""`febe serve` in several processes: `--workers` and `--process-per-session`."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from febe import connect
from febe.cli.commands import febe
from febe.errors import ConnectionLost, PostgresError
from febe.protocol.startup import VERSION_3_2, BackendKeyData, CancelRequest
from tests.peers.febe_server import FebeServer, running
from tests.peers.installation import scratch, server_user
from tests.peers.postgres import Postgres
from tests.server.listening import Raw, fatal

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

ENDLESS = "select count(*) from range(100000000000) a(i) where i % 7 = 3"
ENGINES = '''
from febe.server import Answer, AnswerEngine, Column
from febe.types import oids

class Alone(AnswerEngine):
    def answer(self, sql):
        return Answer([Column(name="n", type_oid=oids.INT4)], lambda: [(1,)])

class Many(Alone):
    processes = True
    blocking = False
'''


def apart() -> list[str]:
    """The options for a process for each session, whoever runs the tests."""
    user = server_user()
    return ["--process-per-session", *(("--session-user", user) if user else ())]


WAYS = {"workers": lambda: ["--workers", "2"], "processes": apart}


@contextlib.contextmanager
def serving(way: str, *options: str) -> Iterator[FebeServer]:
    """A server of one table."""
    with scratch("processes") as folder:
        (folder / "cities.csv").write_text("name,people\nOslo,700000\nBergen,290000\n")
        (folder / "cities.csv").chmod(0o644)
        folder.chmod(0o755)
        with running(folder / "cities.csv", options=["--read-only", *WAYS[way](), *options],
                     socket_dir=folder) as server:
            yield server


@pytest.fixture(scope="module", params=WAYS)
def server(request: pytest.FixtureRequest) -> Iterator[FebeServer]:
    with serving(request.param, "--max-connections", "4") as made:
        yield made


@pytest.fixture(scope="module")
def confined() -> Iterator[FebeServer]:
    with serving("processes", "--session-cpu", "3600", "--session-memory", "64GB") as made:
        yield made


def where(server: FebeServer, **more: Any) -> dict[str, Any]:
    return {"host": server.host, "port": server.port, "user": "demo"} | more


def children(server: FebeServer) -> list[int]:
    found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(one) for one in found.split()]


def status(process: int, what: str) -> str:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{what}:"))


# What sessions have of each other, whatever process they are in


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_cancel_keys_are_routed(server: FebeServer, version: str) -> None:
    with psycopg.connect(server.dsn(), max_protocol_version=version) as client, connect(**where(server)) as other:
        stopped = threading.Event()

        def stop() -> None:
            while not stopped.wait(0.1):  # one that comes before the statement has no effect, as everywhere
                client.cancel_safe(timeout=30)

        thread = threading.Thread(target=stop)
        thread.start()
        try:
            with pytest.raises(psycopg.errors.QueryCanceled):
                client.execute(ENDLESS)
        finally:
            stopped.set()
            thread.join()
        client.rollback()
        assert client.execute("select 1").fetchone() == (1,)
        assert other.fetchval("select 2") == 2


def test_a_wrong_key_stops_nothing(server: FebeServer) -> None:
    with Raw(server) as client, Raw(server) as other, Raw(server) as third:  # type: ignore[arg-type]
        (key,) = [one for one in client.log_in(VERSION_3_2) if isinstance(one, BackendKeyData)]
        other.say(CancelRequest(process_id=key.process_id, secret_key=bytes(32)))
        assert other.rest() == b""
        third.say(CancelRequest(process_id=key.process_id ^ 1, secret_key=key.secret_key))
        assert third.rest() == b""
        assert "SELECT 1" in str(client.query("select 1"))


def test_places_are_counted_over_all(server: FebeServer) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(**where(server))) for _ in range(4)]
        with pytest.raises(PostgresError, match="too many clients") as refused:
            connect(**where(server))
        assert refused.value.sqlstate == "53300"
        clients[0].close()
        while True:  # until it is noticed
            with contextlib.suppress(PostgresError):
                stack.enter_context(connect(**where(server)))
                break
        assert clients[1].fetchval("select sum(people) from cities") == 990000


def test_notifications(server: FebeServer) -> None:
    """Each listener has what each sender said, all in the same order; a session's own come before its answer."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(server.dsn(), autocommit=True)) for _ in range(3)]
        first, second, third = clients
        first.execute("listen news")
        second.execute("listen news")
        for number in range(50):
            with third.transaction():
                third.execute(f"notify news, 'from three {number}'".encode())
                third.execute("notify other, 'unheard'")
            first.execute(f"notify news, 'from one {number}'".encode())
        heard = [[one.payload for one in client.notifies(timeout=20, stop_after=100)] for client in (first, second)]
        assert heard[0] == heard[1]
        assert sorted(heard[0]) == sorted(f"from {who} {number}" for who in ("one", "three") for number in range(50))
        second.execute("unlisten *")
        third.execute("notify news, 'again'")
        assert [one.payload for one in first.notifies(timeout=20, stop_after=1)] == ["again"]
        with Raw(server) as raw:  # type: ignore[arg-type]
            raw.log_in()
            raw.query("listen mine")
            names = [type(one).__name__ for one in raw.query("notify mine")]
            assert names == ["CommandComplete", "NotificationResponse", "ReadyForQuery"]


def test_who_is_there(server: FebeServer) -> None:
    with connect(**where(server, application_name="one")) as one, connect(**where(server)) as two, \
            psycopg.connect(server.dsn(), autocommit=True) as busy:
        def work() -> None:
            with contextlib.suppress(psycopg.errors.QueryCanceled):
                busy.execute(ENDLESS)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            seen: dict[int, Any] = {}
            while not seen.get(busy.info.backend_pid, (0, 0))[1]:  # progress is there after a while
                rows = two.fetch("select pid, query, progress, application_name from pg_stat_activity")
                seen = {pid: (query, progress, name) for pid, query, progress, name in rows}
            assert seen[busy.info.backend_pid][0] == ENDLESS
            assert 0 < seen[busy.info.backend_pid][1] < 1
            assert seen[one.process_id][2] == "one"
            assert set(seen) == {one.process_id, two.process_id, busy.info.backend_pid}
            assert two.fetchval(f"select pg_cancel_backend({busy.info.backend_pid})") is True
        finally:
            thread.join()
        assert two.fetchval(f"select pg_terminate_backend({one.process_id}, 20000)") is True
        with pytest.raises((PostgresError, ConnectionLost), match="administrator command"):
            one.fetchval("select 1")
        assert two.fetchval("select pg_cancel_backend(1)") is False


@pytest.mark.parametrize("sql", ["select pg_advisory_lock(1)", "select lo_create(0)"])
def test_what_is_not_shared_is_refused(server: FebeServer, sql: str) -> None:
    with connect(**where(server)) as client:
        with pytest.raises(PostgresError, match="several processes") as refused:
            client.execute(sql)
        assert refused.value.sqlstate == "0A000"
        assert client.fetchval("select 1") == 1


# Workers


def test_workers_have_as_many_clients_each() -> None:
    with serving("workers") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(**where(server))) for _ in range(8)]
        sockets = [sum("socket" in os.readlink(file) for file in Path(f"/proc/{process}/fd").iterdir())
                   for process in children(server)]
        assert len(sockets) == 2
        assert sockets[0] == sockets[1]
        # who comes by the Unix socket is a client like others
        with psycopg.connect(host=str(server.socket_dir), port=server.port, user="demo", dbname="demo") as local:
            assert local.execute("select count(*) from pg_stat_activity").fetchone() == (9,)
        assert clients[0].fetchval("select 1") == 1


def test_a_worker_that_dies_is_replaced() -> None:
    with serving("workers", "--max-connections", "3") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(**where(server))) for _ in range(3)]
        before = children(server)
        os.kill(before[0], signal.SIGKILL)
        lost = 0
        for client in clients:
            try:
                assert client.fetchval("select 1") == 1
            except ConnectionLost:
                lost += 1
        assert lost in (1, 2)
        while True:  # until its places are free
            with contextlib.suppress(PostgresError, ConnectionLost):
                again = [stack.enter_context(connect(**where(server))) for _ in range(lost)]
                break
        assert [one.fetchval("select 2") for one in again] == [2] * lost
        assert len(children(server)) == 2
        assert len(set(children(server)) & set(before)) == 1
        assert any("was terminated by signal 9" in line for line in server.printed)


def test_without_its_postmaster_a_worker_ends() -> None:
    with serving("workers") as server, connect(**where(server)) as client:
        assert client.fetchval("select 1") == 1
        server.process.kill()
        with pytest.raises((ConnectionLost, PostgresError)):
            while True:
                client.fetchval("select 1")


@pytest.mark.parametrize(("name", "words"), [("engines:Alone", "share what they write"), ("engines:Nobody", "Nobody")])
def test_engines_that_cannot(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "engines.py").write_text(ENGINES)
    done = subprocess.run([sys.executable, "-m", "febe.cli", "serve", "--port", "0", "--workers", "2", name],
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_an_engine_of_ones_own(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    with scratch("engines") as folder:
        (folder / "engines_of_many.py").write_text(ENGINES)
        folder.chmod(0o755)
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        with running("engines_of_many:Many", options=WAYS[way]()) as server, \
                connect(**where(server)) as one, connect(**where(server)) as two:
            assert (one.fetchval("anything"), two.fetchval("else")) == (1, 1)


def test_a_postgresql_behind_workers(pg18: Postgres) -> None:
    """Who is where is the server's to say; cancel requests find their way through whichever worker they come to."""
    with running(pg18.dsn(), options=["--workers", "2"]) as server, contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(psycopg.connect(server.dsn(), autocommit=True)) for _ in range(2))
        for client in (first, second):
            assert client.execute("select pg_backend_pid()").fetchone() == (client.info.backend_pid,)
        first.execute("listen news")
        second.execute("notify news, 'hello'")
        assert [one.payload for one in first.notifies(timeout=20, stop_after=1)] == ["hello"]
        for client in (first, second):
            timer = threading.Timer(1, client.cancel_safe)
            timer.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                client.execute("select pg_sleep(60)")
            timer.join()


# A process for each session


def test_each_has_its_own(confined: FebeServer) -> None:
    with connect(**where(confined)) as a, connect(**where(confined)) as b:
        assert a.process_id != b.process_id
        for client in (a, b):
            assert status(client.process_id, "PPid") == str(confined.process.pid)
            assert client.fetchval("select sum(people) from cities") == 990000
            user = pwd.getpwnam(server_user() or pwd.getpwuid(os.geteuid()).pw_name)
            assert status(client.process_id, "Uid").split() == [str(user.pw_uid)] * 4
            assert status(client.process_id, "Gid").split() == [str(user.pw_gid)] * 4
            limits = Path(f"/proc/{client.process_id}/limits").read_text()
            assert "64000000000" in next(line for line in limits.splitlines() if line.startswith("Max address space"))
            assert "3600" in next(line for line in limits.splitlines() if line.startswith("Max cpu time"))


def test_the_end_of_one_is_nobody_elses(confined: FebeServer) -> None:
    with connect(**where(confined)) as one, connect(**where(confined)) as other:
        os.kill(one.process_id, signal.SIGKILL)
        with pytest.raises(ConnectionLost):
            one.fetchval("select 1")
        assert other.fetchval("select 1") == 1


@pytest.mark.slow
def test_processor_time_is_bounded() -> None:
    with serving("processes", "--session-cpu", "2") as server, connect(**where(server)) as other:
        with connect(**where(server)) as client, pytest.raises(ConnectionLost):
            client.fetchval(ENDLESS)
        assert other.fetchval("select 1") == 1


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    with serving("processes", "--session-memory", "3GB") as server, connect(**where(server)) as other:
        with connect(**where(server)) as client, pytest.raises((PostgresError, ConnectionLost)):
            client.fetchval("select length(string_agg(repeat('x', 1000000), '')) from range(100000)")
        assert other.fetchval("select 1") == 1


# The end


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("number", "kind", "severity"), [
    (signal.SIGTERM, b"E", "FATAL"), (signal.SIGQUIT, b"N", "WARNING")])
def test_the_end(way: str, number: signal.Signals, kind: bytes, severity: str) -> None:
    with serving(way) as server:
        with Raw(server) as idle, Raw(server) as busy:  # type: ignore[arg-type]
            idle.log_in()
            busy.log_in()
            busy.send(b"Q" + (len(ENDLESS) + 5).to_bytes(4, "big") + ENDLESS.encode() + b"\0")
            assert server.stop(number) == 0
            last = idle.rest()
            assert last[:1] == kind
            found = fatal(b"E" + last[1:])
            assert (found["S"], found["C"]) == (severity, "57P01")
        assert server.socket_dir is not None
        assert not list(server.socket_dir.glob(".s.PGSQL*"))
    assert not any("Traceback" in line for line in server.printed)


@pytest.mark.parametrize("way", WAYS)
def test_with_a_time_of_grace_sessions_go_on(way: str) -> None:
    with serving(way, "--grace", "300") as server:
        client = psycopg.connect(server.dsn(), autocommit=True)
        other = psycopg.connect(server.dsn(), autocommit=True)
        server.process.send_signal(signal.SIGTERM)
        while True:  # until the signal has arrived
            try:
                psycopg.connect(server.dsn()).close()
            except psycopg.OperationalError as error:
                if "the database system is shutting down" in str(error):
                    break
                assert "administrator command" in str(error)  # it was on its way in
        assert client.execute("select sum(people) from cities").fetchone() == (990000,)
        client.close()
        assert other.execute("select 1").fetchone() == (1,)
        other.close()
        assert server.process.wait(60) == 0


# What makes no sense


@pytest.mark.parametrize(("options", "words"), [
    (["--session-memory", "1GB"], "are for --process-per-session"),
    (["--process-per-session", "--session-user", "nobody-at-all"], "there is no system user"),
    (["--process-per-session", "--session-user", "nobody", "--session-memory", "much"], "is no size"),
    (["--workers", "0"], "0 is not in the range"),
    (["--workers", "2", *apart()], "choose one"),
])
def test_options_that_make_no_sense(options: list[str], words: str) -> None:
    said = CliRunner().invoke(febe, ["serve", "--read-only", *options])
    assert said.exit_code == 2
    assert words in " ".join(said.output.split())


@pytest.mark.parametrize("way", WAYS)
def test_an_engine_that_writes_is_refused(way: str) -> None:
    done = subprocess.run([sys.executable, "-m", "febe.cli", "serve", "--port", "0", *WAYS[way]()],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert "share what they write" in " ".join(done.stderr.split())


def test_root_has_to_say_whom_they_run_as() -> None:
    if os.geteuid() != 0:
        done = CliRunner().invoke(febe, ["serve", "--process-per-session", "--session-user", "nobody", "--read-only"])
        words = "only when the server is started by root"
    else:
        done = CliRunner().invoke(febe, ["serve", "--process-per-session", "--read-only"])
        words = "has to be told whom its sessions run as"
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
