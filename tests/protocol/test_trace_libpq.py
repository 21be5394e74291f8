"""libpq's own trace of a conversation and febe's, line by line."""

from __future__ import annotations

import ctypes
import io
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from febe.protocol.fields import Hide
from febe.protocol.message import Sender
from febe.protocol.observer import Observer
from febe.protocol.startup import Terminate
from febe.protocol.states import State
from febe.protocol.trace import Tracer
from tests.peers.postgres import USERS, Postgres
from tests.protocol import relay as relays
from tests.protocol.relay import Relay

pq = pytest.importorskip("psycopg.pq")

SENDERS = {"F": Sender.FRONTEND, "B": Sender.BACKEND}
VOLATILE = {"as it is": Hide(0), "regress": Hide.VOLATILE}


@pytest.fixture
def relay(pg18: Postgres, tmp_path: Path) -> Iterator[Relay]:
    with relays.running(pg18.host, pg18.port, tmp_path / "relayed") as relay:
        yield relay


def febe_trace(relay: Relay, hide: Hide, connection: int = 0) -> str:
    """What febe says of the bytes that passed."""
    out = io.StringIO()
    observer = Observer(trace=Tracer(out, hide=hide))
    for number, who, data in relay.pieces():
        if number == connection and data:
            observer.receive(SENDERS[who], data)
            while observer.next_event(SENDERS[who]) is not None:
                pass
    # libpq shows neither
    text = re.sub(r"^B\t8\tAuthenticationOk\n", "", out.getvalue(), flags=re.M)
    return re.sub(r"^(B\t12\tAuthenticationMD5Password)\t .*$", r"\1", text, flags=re.M)


def wait(relay: Relay, ended: int) -> None:
    """Until both sides of so many connections are closed, and so all bytes are written down."""
    deadline = time.monotonic() + 10
    while sum(not data for _, _, data in relay.pieces()) < 2 * ended:
        assert time.monotonic() < deadline, "a connection was not closed"
        select.select([], [], [], 0.005)


class Libpq:
    """A connection of libpq through the relay, with its trace."""

    def __init__(self, relay: Relay, path: Path, hide: Hide, user: str = "postgres", **options: str) -> None:
        settings = {"host": "127.0.0.1", "port": str(relay.port), "user": user, "dbname": "postgres",
                    "sslmode": "disable", "gssencmode": "disable", "password": USERS[user] or ""} | options
        flags = pq.Trace.SUPPRESS_TIMESTAMPS if hide is not Hide.SECRETS else pq.Trace(0)
        if Hide.VOLATILE in hide:
            flags |= pq.Trace.REGRESS_MODE
        self.relay, self.path = relay, path
        self.conn = pq.PGconn.connect_start(
            b" ".join(f"{name}='{value}'".encode() for name, value in settings.items() if value))
        self.conn.trace(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        self.conn.set_trace_flags(flags)
        status = pq.PollingStatus.WRITING
        while status not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
            reading = [self.conn.socket] if status == pq.PollingStatus.READING else []
            select.select(reading, [] if reading else [self.conn.socket], [])
            status = self.conn.connect_poll()

    def results(self) -> None:
        while self.conn.get_result() is not None:
            pass

    def finish(self) -> str:
        if self.conn.status != pq.ConnStatus.OK:
            self.conn.untrace()  # what was traced of a failed start-up is written now
        self.conn.finish()
        wait(self.relay, 1)
        # libpq complains of the salt that it does not print
        return re.sub("^mismatched message length: consumed 8, expected 12\n", "",
                      self.path.read_text(errors="surrogateescape"), flags=re.M)


def simple(libpq: Libpq) -> None:
    c = libpq.conn
    for sql in ("select 1 as a, null as b, 'caf\u00e9\x01\"\n' as \"x y\"; select 2", "", ";;",
                "select oid from pg_class limit 3",
                "begin", "selekt", "rollback", "select 1; select 1/0; select 3", "set application_name to 'x'",
                "do $$begin raise notice 'a % notice', 'odd' using hint = 'h', detail = 'two\nlines'; end$$",
                "create temp table t (a int primary key, b text check (b <> ''))", "insert into t values (1, 'x')",
                "insert into t values (1, 'y')", "insert into t values (2, '')", "update t set b = repeat('z', 300)",
                "listen it", "notify it, 'a payload'", "table t"):
        c.send_query(sql.encode())
        libpq.results()


def extended(libpq: Libpq) -> None:
    c = libpq.conn
    c.send_query_params(b"select $1::int4, $2::text, $3::bytea", [b"\0\0\0\1", None, b"\0ab\xff'\\"], [23, 0, 17],
                        [1, 0, 1], 1)
    libpq.results()
    c.send_query_params(b"select $1 || $2", [b"a", b"\xc3\xa9"])
    libpq.results()
    c.send_prepare(b"s", b"select relname, oid, reltuples from pg_class where relname = $1")
    libpq.results()
    c.send_describe_prepared(b"s")
    libpq.results()
    c.send_query_prepared(b"s", [b"pg_class"], result_format=1)
    libpq.results()
    for sql in (b"begin", b"declare cur cursor for select 1"):
        c.send_query(sql)
        libpq.results()
    c.send_describe_portal(b"cur")
    libpq.results()
    c.send_close_portal(b"cur")
    libpq.results()
    c.send_close_prepared(b"s")
    libpq.results()
    c.send_describe_prepared(b"gone")
    libpq.results()
    c.send_query(b"rollback")
    libpq.results()
    c.send_query_params(b"", None)
    libpq.results()
    c.send_query_params(b"select $1", [b"x" * 70_000])
    libpq.results()


def pipeline(libpq: Libpq) -> None:
    c = libpq.conn
    c.enter_pipeline_mode()
    for queries in ((b"select 1", b"select 1/0", b"select 3"), (b"select 4", b"select 5")):
        for sql in queries:
            c.send_query_params(sql, None)
            c.send_flush_request()
        c.pipeline_sync()                                     # sends it all
        while (result := c.get_result()) is None or result.status != pq.ExecStatus.PIPELINE_SYNC:
            pass
    c.exit_pipeline_mode()


def copy(libpq: Libpq) -> None:
    c = libpq.conn
    c.send_query(b"create temp table t (a int, b text)")
    libpq.results()
    for end in (None, b"never mind"):
        c.send_query(b"copy t from stdin")
        c.get_result()
        c.put_copy_data(b"1\tx\n2\t\\N\n")
        c.put_copy_data(b"3\ty\n")
        c.put_copy_end(end)
        libpq.results()
    for sql in (b"copy t to stdout", b"copy t to stdout (format binary)",
                b"copy (select 1, 1/(2-g) from generate_series(1, 3) g) to stdout"):
        c.send_query(sql)
        c.get_result()
        while c.get_copy_data(0)[0] > 0:
            pass
        libpq.results()
    c.send_query_params(b"copy t from stdin", None)
    c.get_result()
    c.put_copy_data(b"4\tz\n")
    c.put_copy_end()
    libpq.results()
    c.send_query(b"copy t from stdin (format binary)")
    c.get_result()
    c.put_copy_data(b"no signature")
    c.put_copy_end()
    libpq.results()


CONVERSATIONS: list[Callable[[Libpq], None]] = [simple, extended, pipeline, copy]
STARTUPS = [
    *((user, {}) for user in ("postgres", "password", "md5", "scram", "reject")),
    ("scram", {"password": "wrong"}),
    ("postgres", {"dbname": "nowhere"}),
    ("scram", {"max_protocol_version": "latest"}),
    ("postgres", {"sslmode": "prefer", "options": "-c work_mem=1MB", "application_name": "a b",
                  "client_encoding": "utf8"}),
]


@pytest.mark.parametrize("hide", VOLATILE.values(), ids=list(VOLATILE))
@pytest.mark.parametrize("talk", CONVERSATIONS)
def test_the_traces_agree(talk: Callable[[Libpq], None], hide: Hide, relay: Relay, tmp_path: Path) -> None:
    libpq = Libpq(relay, tmp_path / "trace", hide)
    talk(libpq)
    theirs = libpq.finish()
    assert theirs.count("\n") > 20
    assert febe_trace(relay, hide).splitlines() == theirs.splitlines()


@pytest.mark.parametrize("hide", VOLATILE.values(), ids=list(VOLATILE))
@pytest.mark.parametrize(("user", "options"), STARTUPS, ids=[f"{user}-{'-'.join(more)}" for user, more in STARTUPS])
def test_the_traces_of_start_up_agree(user: str, options: dict[str, str], hide: Hide, relay: Relay,
                                      tmp_path: Path) -> None:
    theirs = Libpq(relay, tmp_path / "trace", hide, user, **options).finish()
    assert "StartupMessage" in theirs
    assert febe_trace(relay, hide).splitlines() == theirs.splitlines()


def test_the_traces_of_a_replication_stream_agree(relay: Relay, tmp_path: Path) -> None:
    libpq = Libpq(relay, tmp_path / "trace", Hide(0), replication="database")
    c = libpq.conn
    c.send_query(b"IDENTIFY_SYSTEM")
    libpq.results()
    c.send_query(b"CREATE_REPLICATION_SLOT tr TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')")
    libpq.results()
    c.send_query(b"START_REPLICATION SLOT tr LOGICAL 0/0 (proto_version '1', publication_names 'none')")
    assert c.get_result().status == pq.ExecStatus.COPY_BOTH
    c.get_copy_data(0)
    c.put_copy_end()
    while c.get_copy_data(0)[0] > 0:
        pass
    libpq.results()
    theirs, ours = libpq.finish().splitlines(), febe_trace(relay, Hide(0)).splitlines()
    assert [line for line in ours if "CopyBothResponse" in line] == ["B\t7\tCopyBothResponse\t \\x00 0"]
    # the two streams cross, so only the order within each is sure
    for sender in "FB":
        assert [line for line in ours if line[0] == sender] == [line for line in theirs if line[0] == sender]


def test_a_base_backup_can_be_followed(relay: Relay, tmp_path: Path) -> None:
    """Its copy-out is followed by a result set without a CommandComplete between them."""
    libpq = Libpq(relay, tmp_path / "trace", Hide(0), replication="true")
    libpq.conn.untrace()
    libpq.conn.send_query(b"BASE_BACKUP (CHECKPOINT 'fast', MANIFEST 'no')")
    while (result := libpq.conn.get_result()) is not None:
        assert result.status != pq.ExecStatus.FATAL_ERROR
        while result.status == pq.ExecStatus.COPY_OUT and libpq.conn.get_copy_data(0)[0] > 0:
            pass
    libpq.finish()
    observer = Observer()
    seen: list[str] = []
    for _, who, data in relay.pieces():
        observer.receive(SENDERS[who], data)
        while (event := observer.next_event(SENDERS[who])) is not None:
            if seen[-1:] != [name := type(event).__name__]:
                seen.append(name)
    after_copy = seen[seen.index("CopyOutResponse"):]
    assert [name for name in after_copy if name != "NoticeResponse"] == [
        "CopyOutResponse", "CopyDataRun", "CopyDone", "RowDescription", "DataRowRun", "CommandComplete",
        "ReadyForQuery", "Terminate"]
    assert observer.state is State.TERMINATED


def test_timestamps_have_the_same_form(relay: Relay, tmp_path: Path) -> None:
    theirs = Libpq(relay, tmp_path / "trace", Hide.SECRETS).finish()
    out = io.StringIO()
    Tracer(out, clock=lambda: datetime(2026, 1, 2, 3, 4, 5, 67))(Sender.FRONTEND, Terminate, b"X\0\0\0\4")
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\tF\t\d+\t[A-Z]"
    assert re.match(form, theirs)
    assert re.match(form, out.getvalue())
    assert out.getvalue() == "2026-01-02 03:04:05.000067\tF\t4\tTerminate\n"


class Direct:
    """libpq by ctypes, for what psycopg does not bind: large objects, that is function calls, and traced cancels."""

    def __init__(self, path: Path) -> None:
        self.lib = ctypes.CDLL(str(path))
        self.libc = ctypes.CDLL(None)
        for name in ("PQconnectStart", "PQcancelCreate", "PQexec"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.libc.fdopen.restype = ctypes.c_void_p

    def trace(self, conn: ctypes.c_void_p, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.lib.PQtrace(conn, ctypes.c_void_p(self.libc.fdopen(fd, b"w")))
        self.lib.PQsetTraceFlags(conn, 1)

    def connect(self, relay: Relay, path: Path, more: str = "") -> ctypes.c_void_p:
        conn = ctypes.c_void_p(self.lib.PQconnectStart(
            f"host=127.0.0.1 port={relay.port} user=postgres dbname=postgres sslmode=disable gssencmode=disable "
            f"{more}".encode()))
        self.trace(conn, path)
        status = 2
        while status not in (3, 0):
            fd = self.lib.PQsocket(conn)
            select.select([fd] if status == 1 else [], [fd] if status == 2 else [], [])
            status = self.lib.PQconnectPoll(conn)
        assert status == 3
        return conn


def test_the_traces_of_function_calls_agree(relay: Relay, tmp_path: Path, libpq: Path) -> None:
    direct = Direct(libpq)
    lib, path = direct.lib, tmp_path / "trace"
    conn = direct.connect(relay, path)
    lib.PQexec(conn, b"begin")
    oid = lib.lo_creat(conn, 0x60000)
    assert oid > 0
    opened = lib.lo_open(conn, oid, 0x60000)
    assert lib.lo_write(conn, opened, b"abc\0\xff", ctypes.c_size_t(5)) == 5
    lib.lo_lseek(conn, opened, 0, 0)
    assert lib.lo_read(conn, opened, ctypes.create_string_buffer(10), ctypes.c_size_t(10)) == 5
    assert lib.lo_unlink(conn, 1) == -1                       # an error
    lib.PQexec(conn, b"rollback")
    lib.PQfinish(conn)
    wait(relay, 1)
    theirs = path.read_text(errors="surrogateescape").splitlines()
    assert sum("FunctionCallResponse" in line for line in theirs) == 5
    assert febe_trace(relay, Hide(0)).splitlines() == theirs


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_the_traces_of_a_cancel_agree(version: str, relay: Relay, tmp_path: Path, libpq: Path) -> None:
    direct = Direct(libpq)
    lib = direct.lib
    conn = direct.connect(relay, tmp_path / "session", f"max_protocol_version={version}")
    cancel = ctypes.c_void_p(lib.PQcancelCreate(conn))
    direct.trace(cancel, tmp_path / "trace")
    assert lib.PQcancelBlocking(cancel) == 1
    lib.PQcancelFinish(cancel)
    lib.PQfinish(conn)
    wait(relay, 2)
    assert febe_trace(relay, Hide(0)).splitlines() == (tmp_path / "session").read_text().splitlines()
    theirs = (tmp_path / "trace").read_text().splitlines()
    assert len(theirs) == 1
    assert febe_trace(relay, Hide(0), connection=1).splitlines() == theirs
