"""PostgreSQL 18 behind `febe serve`: other people's programs see PostgreSQL 18."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

import febe
from tests.conftest import installed
from tests.peers import febe_server
from tests.peers.febe_server import FebeServer
from tests.peers.postgres import Postgres

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def relay(pg18: Postgres) -> Iterator[FebeServer]:
    with febe_server.running(pg18.dsn()) as server:
        yield server


@pytest.fixture
def connection(relay: FebeServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(relay.dsn(), autocommit=True) as connection:
        yield connection


def test_it_is_the_server(relay: FebeServer, pg18: Postgres, connection: psycopg.Connection) -> None:
    assert connection.execute("show server_version").fetchone() == (connection.info.parameter_status("server_version"),)
    assert (connection.execute("select version()").fetchone() or ("",))[0].startswith("PostgreSQL 18")
    assert connection.info.backend_pid != connection.execute("select pg_backend_pid()").fetchone()


def test_the_clients_settings_go_along(relay: FebeServer) -> None:
    with psycopg.connect(relay.dsn(), application_name="mine", options="-c statement_timeout=54321",
                         autocommit=True) as connection:
        assert connection.execute("select current_setting('application_name'), current_setting('statement_timeout')"
                                  ).fetchone() == ("mine", "54321ms")
    with pytest.raises(psycopg.OperationalError, match='unrecognized configuration parameter "nosuch"'):
        psycopg.connect(relay.dsn(), options="-c nosuch=1")


def test_errors_and_blocks(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable) as error:
        connection.execute("select * from nosuch")
    assert (error.value.diag.statement_position, error.value.diag.source_function) == ("15", "parserOpenTable")
    with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
        connection.execute("select 1/0")
    with connection.transaction():
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("select %s::int / 0", [1])
        assert connection.execute("select 5").fetchone() == (5,)


def test_pipeline_with_an_error(connection: psycopg.Connection) -> None:
    with connection.pipeline() as pipeline:
        first = connection.execute("select %s::int", [1])
        pipeline.sync()
        with pytest.raises(psycopg.errors.DivisionByZero):  # errors do not wait for Sync
            connection.execute("select %s::int / 0", [1])
            connection.execute("select 3")
            pipeline.sync()
        with contextlib.suppress(psycopg.errors.DivisionByZero, psycopg.errors.PipelineAborted):
            pipeline.sync()
        last = connection.execute("select 4")
    assert (first.fetchone(), last.fetchone()) == ((1,), (4,))


def test_flush_without_sync(relay: FebeServer) -> None:
    """What PQsendFlushRequest asks for is answered before a Sync comes."""
    connection = psycopg.connect(relay.dsn(), autocommit=True)
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(b"select $1::int + 1", [b"41"])
    pgconn.send_flush_request()
    pgconn.flush()
    result = pgconn.get_result()
    assert result is not None
    assert result.get_value(0, 0) == b"42"
    connection.close()


def test_copy(connection: psycopg.Connection) -> None:
    connection.execute("create temporary table t (a int, b text)")
    with connection.cursor() as cursor:
        with cursor.copy("copy t from stdin") as copy:
            for number in range(50_000):
                copy.write_row((number, f"row {number}"))
        assert cursor.rowcount == 50_000
        with cursor.copy("copy (select * from t order by a) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            assert list(copy.rows())[-1] == (49_999, "row 49999")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as error, cursor.copy("copy t from stdin") as copy:
            copy.write("x\ty\n" * 100_000)
        assert error.value.diag.context == 'COPY t, line 1, column a: "x"'
        with pytest.raises(ValueError, match="mine"), cursor.copy("copy t from stdin") as copy:
            raise ValueError("mine")
    assert connection.execute("select count(*) from t").fetchone() == (50_000,)


def test_large_messages_both_ways(connection: psycopg.Connection) -> None:
    text = "é" * 10_000_000
    assert connection.execute("select %s::text || '!'", [text]).fetchone() == (text + "!",)


def test_notify_and_notices(relay: FebeServer, connection: psycopg.Connection) -> None:
    heard: list[str] = []
    connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    connection.execute("do $$ begin raise notice 'seen'; end $$")
    assert heard == ["seen"]
    connection.execute("listen ch")
    with psycopg.connect(relay.dsn(), autocommit=True) as other:
        other.execute("notify ch, 'word'")
    assert [notification.payload for notification in connection.notifies(timeout=20, stop_after=1)] == ["word"]


def test_cancel(connection: psycopg.Connection) -> None:
    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("select pg_sleep(60)")
    timer.join()
    assert connection.execute("select 1").fetchone() == (1,)


def test_large_objects_by_function_call(relay: FebeServer, libpq: Path) -> None:
    lib = ctypes.CDLL(str(libpq))
    lib.PQconnectdb.restype = ctypes.c_void_p
    for name in ("PQexec", "lo_creat", "lo_open", "lo_write", "lo_lseek", "lo_read", "PQfinish"):
        getattr(lib, name).argtypes = [ctypes.c_void_p] + [ctypes.c_char_p if name == "PQexec" else ctypes.c_int] * (
            name in ("PQexec", "lo_creat"))
    conn = ctypes.c_void_p(lib.PQconnectdb(relay.dsn().encode()))
    lib.PQexec(conn, b"begin")
    number = lib.lo_creat(conn, 0x60000)
    descriptor = lib.lo_open(conn, ctypes.c_uint(number), ctypes.c_int(0x60000))
    assert lib.lo_write(conn, ctypes.c_int(descriptor), b"large object", ctypes.c_size_t(12)) == 12
    lib.lo_lseek(conn, ctypes.c_int(descriptor), ctypes.c_int(6), ctypes.c_int(0))
    buffer = ctypes.create_string_buffer(20)
    assert lib.lo_read(conn, ctypes.c_int(descriptor), buffer, ctypes.c_size_t(20)) == 6
    assert buffer.value == b"object"
    lib.PQexec(conn, b"rollback")
    lib.PQfinish(conn)


def test_asyncpg(relay: FebeServer) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(relay.dsn())
        try:
            await connection.execute("create temporary table t (a int[], b jsonb)")
            for _ in range(10):  # asyncpg does not wait for CopyInResponse
                await connection.copy_records_to_table("t", records=[([1, 2], '{"k": 1}')] * 100)
            async with connection.transaction():
                rows = [row async for row in connection.cursor("select * from t", prefetch=7)]
            assert (len(rows), rows[0]["a"]) == (1000, [1, 2])
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.executemany("insert into pg_temp.u values ($1)", [(1,)]) if await connection.execute(
                    "create temporary table u (a int primary key); insert into u values (1)") else None
        finally:
            await connection.close()

    asyncio.run(main())


def test_febe_itself(relay: FebeServer) -> None:
    with febe.connect(relay.dsn()) as connection:
        assert connection.fetchval("select sum(g) from generate_series(1, $1::int) g", 200_000) == 20_000_100_000
        assert len(connection.fetch("select g, 'text ' || g from generate_series(1, 300000) g")) == 300_000


def test_psql_and_pgbench(relay: FebeServer, pg18: Postgres, psql18: Path) -> None:
    through = subprocess.run([psql18, relay.dsn(), "-XAt", "-c", r"\d pg_class", "-c", r"\dT+ int4"],
                             capture_output=True, text=True, check=True).stdout
    direct = subprocess.run([psql18, pg18.dsn(), "-XAt", "-c", r"\d pg_class", "-c", r"\dT+ int4"],
                            capture_output=True, text=True, check=True).stdout
    assert through == direct
    pgbench = installed(18).program("pgbench")
    subprocess.run([pgbench, "-i", "-q", "-s", "1", relay.dsn()], check=True, capture_output=True)
    for mode in ("simple", "extended", "prepared"):
        done = subprocess.run([pgbench, "-n", "-M", mode, "-c", "4", "-t", "50", relay.dsn()], capture_output=True,
                              text=True, check=True)
        assert "number of transactions actually processed: 200/200" in done.stdout
        assert "number of failed transactions: 0" in done.stdout


def test_the_server_ends_a_session(relay: FebeServer, pg18: Postgres) -> None:
    with psycopg.connect(relay.dsn(), autocommit=True) as connection, \
            psycopg.connect(pg18.dsn(), autocommit=True) as other:
        number = (connection.execute("select pg_backend_pid()").fetchone() or (0,))[0]
        other.execute("select pg_terminate_backend(%s, 20000)", [number])
        with pytest.raises(psycopg.OperationalError) as error:
            connection.execute("select 1")
        assert error.value.sqlstate in ("57P01", None)
        assert "terminating connection" in str(error.value) or "closed the connection" in str(error.value)


def test_a_client_that_vanishes_leaves_nothing(relay: FebeServer, pg18: Postgres) -> None:
    connection = psycopg.connect(relay.dsn(), autocommit=True, application_name="vanishing")
    os.close(os.dup(connection.fileno()))
    connection.pgconn.finish()
    with psycopg.connect(pg18.dsn(), autocommit=True) as other:
        for _ in range(400):
            row = other.execute("select count(*) from pg_stat_activity where application_name = 'vanishing'").fetchone()
            if row == (0,):
                return
            other.execute("select pg_sleep(0.05)")
    raise AssertionError("the session upstream is still there")


def test_nobody_upstream() -> None:
    with febe_server.running("postgresql://somebody@127.0.0.1:9/db") as server, \
            pytest.raises(psycopg.OperationalError, match="upstream"):
        psycopg.connect(server.dsn())
