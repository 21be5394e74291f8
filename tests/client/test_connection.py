"""Both faces of the client against real servers."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import febe
from febe.errors import (
    AuthenticationError,
    ConnectionLost,
    ConnectTimeout,
    DecodeError,
    EncodeError,
    EncryptionError,
    Error,
    NotSupported,
    PostgresError,
)
from febe.types.registry import TYPES
from tests.client.conftest import Client, Face
from tests.peers import postgres as servers
from tests.peers.postgres import USERS, Postgres

Connect = Callable[..., Client]


# Connecting

@pytest.mark.parametrize("user", [user for user in USERS if user != "reject"])
def test_every_authentication_method(connect: Connect, user: str) -> None:
    assert connect(user).fetchval("select session_user") == user


@pytest.mark.parametrize("user", ["password", "md5", "scram"])
def test_a_wrong_password(face: Face, postgres: Postgres, user: str) -> None:
    with pytest.raises(PostgresError) as caught:
        face.connect(postgres.dsn(user, password="wrong"))
    assert caught.value.sqlstate == "28P01"


@pytest.mark.parametrize("user", ["password", "md5", "scram"])
def test_no_password(face: Face, postgres: Postgres, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(AuthenticationError, match="none was given"):
        face.connect(f"host={postgres.host} port={postgres.port} user={user} dbname=postgres")


def test_a_user_who_is_not_let_in(face: Face, postgres: Postgres) -> None:
    with pytest.raises(PostgresError) as caught:
        face.connect(postgres.dsn("reject"))
    assert caught.value.sqlstate == "28000"


def test_unix_socket(face: Face, postgres: Postgres) -> None:
    client = face.connect(postgres.dsn("scram", unix=True))
    assert client.fetchval("select inet_client_addr()::text") is None
    client.close()


def test_what_the_server_tells(connection: Client, postgres: Postgres) -> None:
    assert connection.server_version.startswith(f"{postgres.major}.")
    assert connection.parameters["client_encoding"] == "UTF8"
    assert connection.process_id == connection.fetchval("select pg_backend_pid()")
    assert (connection.transaction_status, connection.protocol_version) == ("I", "3.0")
    connection.execute("begin")
    assert connection.transaction_status == "T"
    with pytest.raises(PostgresError):
        connection.execute("nonsense")
    assert connection.transaction_status == "E"
    connection.execute("rollback")
    connection.execute("set time zone 'Europe/Berlin'")
    assert connection.parameters["TimeZone"] == "Europe/Berlin"


def test_startup_settings(connect: Connect) -> None:
    client = connect(application_name="näme", options="-c work_mem=1234kB", settings={"search_path": "a, b"})
    assert client.fetchval("show application_name") in ("näme", "n\\xc3\\xa4me", "n??me")
    assert client.fetchval("show work_mem") == "1234kB"
    assert client.fetchval("show search_path") == "a, b"


def test_protocol_versions(connect: Connect, postgres: Postgres) -> None:
    newest = connect(max_protocol_version="latest")
    if postgres.major >= 18:
        assert newest.protocol_version == "3.2"
        assert len(newest.real._session.secret_key) == 32
        assert connect(min_protocol_version="3.2").fetchval("select 1") == 1
    else:
        assert newest.protocol_version == "3.0"
        with pytest.raises(Error, match=r"only supports protocol version 3\.0"):
            connect(min_protocol_version="3.2")
    assert connect().protocol_version == "3.0"


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_tls_that_is_asked_for_is_never_left_out(face: Face, postgres: Postgres, sslmode: str,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EncryptionError, match="server does not support SSL, but SSL was required"):
        face.connect(postgres.dsn(), sslmode=sslmode)
    monkeypatch.setenv("PGSSLMODE", sslmode)
    with pytest.raises(EncryptionError, match="server does not support SSL, but SSL was required"):
        face.connect(postgres.dsn())


def test_nobody_listens(face: Face) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionLost, match="refused") as caught:
            face.connect(f"host=127.0.0.1 port={taken.getsockname()[1]} user=u")
    assert caught.value.retry_is_safe


def test_a_server_that_says_nothing(face: Face) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ConnectTimeout) as caught:
        face.connect(f"host=127.0.0.1 port={silent.getsockname()[1]} user=u connect_timeout=0.05")
    assert caught.value.retry_is_safe


def test_closing_twice_and_using_what_is_closed(connect: Connect) -> None:
    client = connect()
    client.close()
    client.close()
    assert client.is_closed
    with pytest.raises(ConnectionLost, match="close"):
        client.fetch("select 1")


# Results

CASES: list[tuple[str, object]] = [
    ("bool", True), ("int2", -32768), ("int4", 2147483647), ("int8", -(1 << 63)), ("oid", 4294967295),
    ("float4", 0.5), ("float8", 0.1), ("float8", math.inf), ("text", "snow ☃ 'quoted' \\ \n"), ("varchar", ""),
    ("bytea", bytes(range(256))), ("date", datetime.date(2024, 2, 29)),
    ("timestamp", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
    ("numeric", decimal.Decimal("-12345678901234567890.000100")),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
]


@pytest.mark.parametrize(("type_name", "value"), CASES)
def test_values_go_and_come_back(connection: Client, type_name: str, value: object) -> None:
    back = connection.fetchval(f"select $1::{type_name}", value)
    assert (back, type(back)) == (value, type(value))
    assert connection.fetchval(f"select $1::{type_name}", None) is None


def test_results_are_those_of_psycopg(connection: Client, postgres: Postgres) -> None:
    sql = """
        select i::int2, i::int4 * 70000, i::int8 << 40, i / 7.0::float8, (i / 7.0)::float4, (i / 7.0)::numeric(12, 4),
               'text ' || i, nullif(i % 3, 0) = 1, date '2000-01-01' + i, timestamp '2000-01-01' + i * interval '1.5 h',
               timestamptz '2000-01-01' - i * interval '1.5 h', decode(md5(i::text), 'hex'), md5(i::text)::uuid,
               json_build_object('i', i), jsonb_build_array(i, null), null, i::oid, 'name'::name, 'c'::"char"
        from generate_series(-500, 500) i"""
    sql = sql.replace("i::oid", "(i + 500)::oid")
    with psycopg.connect(**postgres.parameters()) as peer:  # type: ignore[arg-type]
        expected = peer.execute(sql).fetchall()
    got = connection.fetch(sql)
    json_columns = (13, 14)
    assert len(got) == len(expected) == 1001
    for row, other in zip(got, expected, strict=True):
        for place, (value, theirs) in enumerate(zip(row, other, strict=True)):
            if place in json_columns:
                continue
            if place == 4:  # psycopg widens float4
                assert value == pytest.approx(theirs, rel=1e-6)
            else:
                assert (value, type(value)) == (theirs, type(theirs)), place


def test_rows_know_their_columns(connection: Client) -> None:
    row = connection.fetchrow("select 1 as one, 'b' as two, 3 as one, 4 as count")
    assert row == (1, "b", 3, 4)
    assert (row.one, row["two"], row["count"], row.count(1)) == (1, "b", 4, 1)
    assert connection.fetchrow("select where false") is None
    assert connection.fetchval("select 1 where false") is None
    assert connection.fetch("select from generate_series(1, 3)") == [(), (), ()]


def test_many_rows_and_large_values(connection: Client) -> None:
    rows = connection.fetch("select i, repeat('x', i % 1000) from generate_series(1, 20000) i")
    assert len(rows) == 20000
    assert all(len(text) == i % 1000 for i, text in rows)
    large = connection.fetchval("select repeat('ab', 5000000)")
    assert (len(large), large[:4]) == (10_000_000, "abab")


def test_a_large_parameter_while_a_large_answer_comes(connection: Client) -> None:
    # More than all buffers hold, both ways: who only sends, or only reads, stands still.
    text = "x" * 8_000_000
    assert connection.fetchval("select $1::text || $1::text", text) == text + text


def test_many_parameters(connection: Client) -> None:
    # up to 65,535 by the protocol, an unsigned count
    places = ", ".join(f"${n}::int4" for n in range(1, 65536))
    row = connection.fetchval(f"select array_length(array[{places}], 1)", *range(65535))
    assert row == 65535


def test_command_tags(connection: Client) -> None:
    assert connection.execute("create temp table t (a int4)") == "CREATE TABLE"
    assert connection.execute("insert into t values (1); insert into t values (2), (3)") == "INSERT 0 2"
    assert connection.execute("update t set a = a + $1", 1) == "UPDATE 3"
    assert connection.execute("") == ""
    assert connection.fetch("delete from t where a = $1 returning a", 2) == [(2,)]
    assert connection.fetch("delete from t") == []
    assert connection.execute("select * from t where a = $1", 1) == "SELECT 0"


# Errors

def test_errors_have_all_that_the_server_says(connection: Client) -> None:
    connection.execute("create temp table u (a int4 constraint positive check (a > 0))")
    with pytest.raises(PostgresError) as caught:
        connection.fetch("insert into u values ($1)", -1)
    failed = caught.value
    assert (failed.sqlstate, failed.condition, failed.constraint_name) == ("23514", "check_violation", "positive")
    assert (type(failed).__name__, failed.table_name, failed.severity) == ("CheckViolation", "u", "ERROR")
    with pytest.raises(PostgresError) as caught:
        connection.fetch("select nothing")
    assert (caught.value.sqlstate, caught.value.position) == ("42703", 8)
    assert connection.fetchval("select 1") == 1


def test_an_error_in_the_middle_of_rows(connection: Client) -> None:
    with pytest.raises(PostgresError, match="division by zero"):
        connection.fetch("select 1 / (5000 - i) from generate_series(1, 10000) i")
    assert connection.fetchval("select 1") == 1


@pytest.mark.parametrize(("sql", "args", "words"), [
    ("select $1::int4", (1 << 31,), r"parameter \$1 \(int4\)"),
    ("select $1::text, $2::int8", ("x", "y"), r"parameter \$2 \(int8\)"),
    ("select $1::date", (5,), r"parameter \$1 \(date\)"),
    ("select $1::text", ("nul \0",), r"parameter \$1 \(text\)"),
    ("select $1::int4", (), "takes 1 parameter, 0 given"),
    ("select 1", (1,), "takes no parameters, 1 given"),
])
def test_parameters_that_do_not_fit(connection: Client, sql: str, args: tuple[object, ...], words: str) -> None:
    with pytest.raises(EncodeError, match=words):
        connection.fetch(sql, *args)
    assert connection.fetchval("select 1") == 1


def test_a_value_that_cannot_be_decoded(connect: Connect) -> None:
    def refuse(data: bytes) -> object:
        raise ValueError("nobody reads circles")

    types = TYPES.copy()
    types.register(dataclasses.replace(types.by_name("circle"), decode_text=refuse, decode_binary=None))
    client = connect(types=types)
    with pytest.raises(DecodeError, match=r'column "c" \(circle\), row 1: nobody reads circles') as caught:
        client.fetch("select i, case when i > 1 then circle '<(1,2),3>' end as c from generate_series(1, 50000) i")
    assert caught.value.data == b"<(1,2),3>"
    assert client.fetch("select 1, null::circle") == [(1, None)]


def test_copy_is_refused_and_the_connection_goes_on(connection: Client) -> None:
    connection.execute("create temp table c as select i from generate_series(1, 100000) i")
    for sql in ("copy c from stdin", "copy c to stdout"):
        with pytest.raises(NotSupported, match="COPY"):
            connection.execute(sql)
        with pytest.raises(NotSupported, match="COPY"):
            connection.fetch(sql)
        assert connection.fetchval("select count(*) from c") == 100000


def test_notices_and_notifications(connect: Connect) -> None:
    notices: list[PostgresError] = []
    news: list[Any] = []
    client = connect(on_notice=notices.append, on_notification=news.append)
    client.execute("do $$ begin raise warning 'one %', 1 using hint = 'h'; end $$; listen channel")
    client.fetch("select pg_notify('channel', 'payload')")
    client.fetch("select 1")
    assert [(notice.severity, notice.message, notice.hint) for notice in notices] == [("WARNING", "one 1", "h")]
    assert [(one.channel, one.payload, one.process_id) for one in news] == [("channel", "payload", client.process_id)]


# Prepared statements

def test_prepared_statement(connection: Client) -> None:
    statement = connection.prepare("select $1::int4 + $2::int8 as sum, $3::text as text")
    assert statement.parameters == ("int4", "int8", "text")
    assert [(column.name, column.type_oid) for column in statement.columns] == [("sum", 20), ("text", 25)]
    assert statement.fetch(1, 2, "x") == [(3, "x")]
    assert statement.fetchrow(3, 4, "y") == (7, "y")
    assert statement.fetchval(5, 6, None) == 11
    assert statement.execute(5, 6, None) == "SELECT 1"
    statement.close()
    assert statement.fetchval(7, 8, None) == 15
    named = "select count(*) from pg_prepared_statements where statement like '%$3::text as text'"
    assert connection.fetchval(named) == 1
    del statement
    connection.fetchval("select 1")
    assert connection.fetchval(named) == 0


def test_the_cache_is_bounded(connect: Connect) -> None:
    client = connect(statement_cache_size=3)
    for number in range(10):
        assert client.fetchval(f"select {number}") == number
    assert client.fetchval("select count(*) from pg_prepared_statements") == 3
    none = connect(statement_cache_size=0)
    assert [none.fetchval("select $1::int4", number) for number in range(3)] == [0, 1, 2]
    assert none.fetchval("select count(*) from pg_prepared_statements") == 0
    with pytest.raises(PostgresError):
        none.fetch("nonsense")
    with pytest.raises(EncodeError):
        none.fetch("select $1::int4", "x")
    assert (none.fetchval("select 1"), none.transaction_status) == (1, "I")


@pytest.mark.parametrize("change", ["alter table h alter a type text", "alter table h add b int4", "discard all",
                                    "deallocate all", "drop table h; create table h (z float8)"])
@pytest.mark.parametrize("kept", [False, True], ids=["cached", "prepared"])
def test_healing(connection: Client, change: str, kept: bool) -> None:
    connection.execute("drop table if exists h; create table h (a int4)")
    sql = "select * from h"
    statement = connection.prepare(sql) if kept else None
    run = statement.fetch if statement else lambda: connection.fetch(sql)
    run()
    connection.execute(change)
    if "drop" not in change:
        connection.execute("insert into h values (1)")
    for _ in range(2):
        assert len(run()) == ("drop" not in change)
    if "text" in change:
        assert run() == [("1",)]


def test_no_healing_inside_a_transaction(connect: Connect) -> None:
    connection, other = connect(), connect()
    connection.execute("drop table if exists i; create table i (a int4)")
    connection.fetch("select * from i")
    connection.execute("begin")
    other.execute("alter table i add b int4")
    with pytest.raises(PostgresError, match="cached plan") as caught:
        connection.fetch("select * from i")
    assert "prepared anew" in caught.value.__notes__[0]
    connection.execute("rollback; insert into i values (1, 2)")
    assert connection.fetch("select * from i") == [(1, 2)]


def test_its_own_changes_need_no_healing(connection: Client) -> None:
    connection.execute("create temp table j (a int4)")
    connection.fetch("select * from j")
    connection.execute("begin; alter table j add b int4; insert into j values (1, 2)")
    assert connection.fetch("select * from j") == [(1, 2)]


# Ends

def test_a_backend_that_is_terminated(connect: Connect) -> None:
    client, other = connect(), connect()
    assert other.fetchval("select pg_terminate_backend($1, 10000)", client.process_id) is True
    with pytest.raises(PostgresError) as caught:
        client.fetch("select 1")
    assert caught.value.sqlstate == "57P01"
    with pytest.raises(ConnectionLost, match="is closed") as lost:
        client.fetch("select 1")
    assert lost.value.retry_is_safe
    assert client.is_closed


def test_a_backend_that_ends_itself(connection: Client) -> None:
    with pytest.raises(PostgresError) as caught:
        connection.fetch("select pg_terminate_backend(pg_backend_pid())")
    assert caught.value.sqlstate == "57P01"
    assert connection.is_closed


def test_a_server_that_is_killed(face: Face, pg18: Postgres) -> None:
    with servers.running(pg18.installation) as server:
        client = face.connect(server.dsn())
        server.process.kill()
        server.process.wait()
        # The backend notices that its postmaster is gone; whether we see an error or the end first is the system's.
        with pytest.raises((ConnectionLost, PostgresError)):
            client.fetch("select pg_sleep(60)")
        assert client.is_closed
        client.close()


def test_context_manager(face: Face, postgres: Postgres) -> None:
    client = face.connect(postgres.dsn())
    if face.name == "blocking":
        with client.real as connection, connection.prepare("select 1") as statement:
            assert statement.fetchval() == 1
    else:
        async def use() -> None:
            async with client.real as connection, await connection.prepare("select 1") as statement:
                assert await statement.fetchval() == 1

        face(use())
    assert client.is_closed


def test_import_needs_the_standard_library_only() -> None:
    code = ("import sys; import febe; febe.connect; febe.aio.connect\n"
            "loaded = {name.partition('.')[0] for name in sys.modules if 'cython' not in name.lower()}\n"
            "print(sorted(loaded - sys.stdlib_module_names - {'__main__', 'febe'} - set(sys.argv[1].split())))")
    before = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"  # what .pth files load
    there = subprocess.run([sys.executable, "-c", before], env=os.environ, capture_output=True, text=True, check=True)
    done = subprocess.run([sys.executable, "-c", code, there.stdout], env=os.environ, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[]"


def test_a_callback_cannot_use_its_own_connection(pg18: Postgres) -> None:
    raised: list[Exception] = []

    def nested(_: PostgresError) -> None:
        try:
            connection.execute("select")
        except Exception as error:
            raised.append(error)

    with febe.connect(pg18.dsn(), on_notice=nested) as connection:
        connection.execute("do $$ begin raise warning 'now'; end $$")
    assert "busy" in str(raised[0])


def test_threads_take_turns(postgres: Postgres) -> None:
    with febe.connect(postgres.dsn()) as connection:
        wrong: list[object] = []

        def work(mine: int) -> None:
            rows = [connection.fetchrow("select $1::int4, $2::int4", mine, number) for number in range(200)]
            wrong.extend(row for number, row in enumerate(rows) if row != (mine, number))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
