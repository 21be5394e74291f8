"""What a connection tells its program: each operation, by every face, with its times and its error."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest

import febe
from febe.errors import ConnectionLost, EncodeError, PostgresError
from febe.events import Event, Log, watch_everything
from febe.server.redact import redacted, summary
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


async def everything(connect: Any, server: Postgres, seen: list[Event]) -> None:
    """One operation of each kind; `seen` gets what is told of it."""
    parameters = server.parameters()
    async with await connect(**parameters, on_event=seen.append) as connection:
        await connection.execute("create temp table t (a int, b text)")
        await connection.fetch("select * from generate_series(1, $1::int4)", 3)
        await connection.fetchval("select 7")
        prepared = await connection.prepare("select $1::text")
        await prepared.fetchrow("x")
        await connection.executemany("insert into t values ($1, $2)", [(n, "x") for n in range(5)])
        async with connection.pipeline() as pipeline:
            pipeline.execute("insert into t values (10, 'y')")
            pipeline.fetch("select 1")
        await connection.copy_in("t", [(n, "z") for n in range(4)])
        async with connection.copy_out("t") as out:
            async for _ in out:
                pass
        async with connection.stream("select * from generate_series(1, 25)", size=10) as stream:
            async for _ in stream:
                pass
        await connection.fetch_arrow("select * from generate_series(1, 70000)")
        async with connection.stream_arrow("select * from generate_series(1, 25)", size=10) as stream:
            async for _ in stream:
                pass
        with pytest.raises(PostgresError):
            await connection.fetch("select 1 / $1::int4", 0)
        with pytest.raises(PostgresError):
            await connection.execute("no sql")


def test_each_operation(face: str, pg18: Postgres) -> None:
    seen: list[Event] = []
    before = time.time_ns()
    run(face, everything, pg18, seen)
    after = time.time_ns()
    told = [(event.kind, event.text, event.size, event.rows) for event in seen]
    assert told == [
        ("connect", None, 1, None),
        ("query", "create temp table t (a int, b text)", 1, 0),
        ("query", "select * from generate_series(1, $1::int4)", 1, 3),
        ("query", "select 7", 1, 1),
        ("query", "select $1::text", 1, 1),
        ("query", "insert into t values ($1, $2)", 5, 5),
        ("pipeline", None, 2, None),
        ("copy", "COPY \"t\" (\"a\", \"b\") FROM STDIN (FORMAT 'binary')", 1, 4),
        ("copy", "COPY \"t\" (\"a\", \"b\") TO STDOUT (FORMAT 'binary')", 1, 10),
        ("query", "select * from generate_series(1, 25)", 1, 25),
        ("query", "select * from generate_series(1, 70000)", 1, 70000),
        ("query", "select * from generate_series(1, 25)", 1, 25),
        ("query", "select 1 / $1::int4", 1, None),
        ("query", "no sql", 1, None)]
    for event in seen:
        assert before <= event.began <= after
        assert 0 < event.seconds < (after - before) / 1e9
        server = event.server
        assert (server.host, server.port, server.user, server.database) == (
            "127.0.0.1", pg18.port, "postgres", "postgres")
        assert server.process_id
    codes = [getattr(event.error, "sqlstate", None) for event in seen]
    assert codes == [None] * 12 + ["22012", "42601"]
    assert [event.has_values for event in seen if event.kind == "query"] == [
        True, False, True, False, False, True, True, True, False, True]
    assert (seen[1].tag, seen[7].tag) == ("CREATE TABLE", "COPY 4")
    assert (seen[7].bytes or 0) > 50 and (seen[8].bytes or 0) > 50


def test_a_stream_that_fails(face: str, pg18: Postgres) -> None:
    seen: list[Event] = []

    async def main(connect: Any) -> None:
        async with await connect(**pg18.parameters(), on_event=seen.append) as connection:
            for sql, args, kind in (("select 1 / (3 - g) from generate_series(1, $1::int4) g", (9,), PostgresError),
                                    ("select $1::int4", ("no number",), EncodeError),
                                    ("no sql", (), PostgresError)):
                with pytest.raises(kind):
                    async with connection.stream(sql, *args, size=1) as stream:
                        async for _ in stream:
                            pass
            async with connection.stream("select * from generate_series(1, 9)", size=2) as stream:
                async for _ in stream:
                    break

    run(face, main)
    assert [(type(event.error).__name__, event.rows) for event in seen if event.kind == "query"] == [
        ("DivisionByZero", 2), ("EncodeError", 0), ("SyntaxError", 0), ("NoneType", 2)]


def test_a_connection_that_fails(face: str, pg18: Postgres) -> None:
    seen: list[Event] = []

    async def main(connect: Any) -> None:
        with pytest.raises(PostgresError):
            await connect(**pg18.parameters("scram", password="wrong"), on_event=seen.append)
        with pytest.raises(ConnectionLost):
            await connect(host="127.0.0.1", port=1, user="u", on_event=seen.append)

    run(face, main)
    assert [(event.kind, getattr(event.error, "sqlstate", None), event.server.port) for event in seen] == [
        ("connect", "28P01", pg18.port), ("connect", None, 1)]
    assert isinstance(seen[1].error, ConnectionLost)


def test_a_server_that_goes_away(face: str, pg18: Postgres) -> None:
    """While nothing is asked, and in the middle of something."""
    seen: list[Event] = []

    async def main(connect: Any) -> None:
        async with await connect(**pg18.parameters(), on_event=seen.append) as connection:
            pg18.psql(f"select pg_terminate_backend({connection.process_id}, 5000)")
            with pytest.raises((ConnectionLost, PostgresError)):
                await connection.fetch("select 1")
        async with await connect(**pg18.parameters(), on_event=seen.append) as connection:
            with pytest.raises((ConnectionLost, PostgresError)):
                await connection.fetch("select pg_terminate_backend(pg_backend_pid())")

    run(face, main)
    assert [event.kind for event in seen if event.error is not None] in (
        ["error", "query", "query"], ["query", "query"])  # the news of the first may come with its request


def test_a_hook_that_fails_does_no_harm(face: str, pg18: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: Event) -> None:
        raise KeyError(event.kind)

    async def main(connect: Any) -> Any:
        async with await connect(**pg18.parameters(), on_event=hook) as connection:
            return await connection.fetchval("select 7")

    assert run(face, main) == 7
    assert "KeyError: 'query'" in caplog.text


def test_for_all_connections(pg18: Postgres) -> None:
    seen: list[Event] = []
    own: list[Event] = []
    assert watch_everything(seen.append) is None
    try:
        with febe.connect(pg18.dsn()) as connection:
            connection.fetchval("select 1")
        with febe.connect(pg18.dsn(), on_event=own.append) as connection:
            connection.fetchval("select 2")
    finally:
        watch_everything(None)
    with febe.connect(pg18.dsn()) as connection:
        connection.fetchval("select 3")
    assert [event.text for event in seen] == [None, "select 1"]
    assert [event.text for event in own] == [None, "select 2"]


class TestLog:
    def test_what_is_logged(self, pg18: Postgres, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG, "febe.client"), febe.connect(pg18.dsn(), on_event=Log()) as connection:
            connection.execute("create role somebody password 'geheim'; drop role somebody")
            connection.fetch("select $1::text as x, 42", "auch geheim")
            with pytest.raises(PostgresError):
                connection.execute("select 'ganz geheim'::int4")
        assert "geheim" not in caplog.text and "42" not in re.sub(r"pid=\d+|\d+\.\d+ ms|:\d+", "", caplog.text)
        lines = [(record.levelno, record.getMessage()) for record in caplog.records]
        assert lines[0][0] == logging.DEBUG and lines[0][1].startswith("connect ")
        assert lines[1][1].endswith("create role somebody password ?; drop role somebody")
        assert "rows=1 select $1::text as x, ?" in lines[2][1]
        assert lines[3][0] == logging.WARNING and "error=22P02 select ?::int4" in lines[3][1]

    def test_slow_ones_are_warnings(self, pg18: Postgres, caplog: pytest.LogCaptureFixture) -> None:
        with febe.connect(pg18.dsn(), on_event=Log("app", slow=0.0)) as connection:
            connection.fetchval("select 1")
        assert [record.levelno for record in caplog.records if record.name == "app"] == [logging.WARNING] * 2


class TestTraceFile:
    def test_lines_as_libpq_writes_them(self, face: str, pg18: Postgres, tmp_path: Path) -> None:
        path = tmp_path / "trace"

        async def main(connect: Any) -> None:
            for _ in range(2):
                async with await connect(**pg18.parameters("scram"), trace=path) as connection:
                    await connection.fetchval("select $1::text", "caf\u00e9")

        run(face, main)
        lines = path.read_text().splitlines()
        for line in lines:
            assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\t[FB]\t\d+\t[A-Za-z]+", line), line
        names = [line.split("\t")[3] for line in lines]
        assert names[0] == "SSLRequest" and names.count("ReadyForQuery") >= 4 and names[-1] == "Terminate"
        assert names.count("StartupMessage") == 2
        secret = [line for line in lines if "SASL" in line and "mechanism" not in line]
        assert secret and not any("r=" in line or "p=" in line for line in secret)
        assert any("caf\\xc3\\xa9" in line for line in lines)


class TestText:
    @pytest.mark.parametrize("sql, shown", [
        ("select 'a''b', 1.5e3, $1, \"x1\"  -- secret\nfrom t /* s /* e */ c */ where a1 = 0x1F",
         'select ?, ?, $1, "x1" from t where a1 = ?x1F'),
        ("select E'a\\'b' || $$x$$ || $a$ $$ $a$", "select ? || ? || ?"),
        ("alter role r password 'unterminated", "alter role r password ?"),
        ("/* open", ""), ("", ""), ("select\t1 ;", "select ? ;")])
    def test_without_values(self, sql: str, shown: str) -> None:
        assert redacted(sql) == shown

    @pytest.mark.parametrize("sql, said", [
        ("select * from flights f join airlines using (carrier)", "SELECT flights airlines"),
        ("SELECT 1", "SELECT"), ("insert into s.\"T\" values (1)", 'INSERT s."T"'),
        ("update only t set a = 1", "UPDATE t"),
        ("with x as (select 1) select * from x", "WITH x"), ("(select 1)", "SELECT"), ("", ""),
        ("create table if not exists t (a int)", "CREATE t"), ("delete from a.b.c", "DELETE a.b.c"),
        ("copy t from stdin", "COPY t stdin"), ("select * from (select 1) x", "SELECT"),
        ("select extract(year from d) from t", "SELECT d t"), ("vacuum", "VACUUM")])
    def test_in_few_words(self, sql: str, said: str) -> None:
        assert summary(sql) == said

    def test_at_any_length(self) -> None:
        assert len(summary("select * from " + ", ".join(f"t{n}, from_{n} join u{n}" for n in range(999)))) <= 255
