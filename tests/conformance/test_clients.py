"""One suite, run by other people's clients against `febe serve`, and by febe's own against PostgreSQL too."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import decimal
import re
import signal
import subprocess
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

import febe
from tests.peers.febe_server import FebeServer

SECONDS = 60

# One value of each type, with what every client makes of it.
VALUES: dict[str, tuple[str, Any]] = {
    "bool": ("true", True),
    "int2": ("(-32768)::smallint", -32768),
    "int4": ("2147483647::int", 2147483647),
    "int8": ("(-9223372036854775808)::bigint", -9223372036854775808),
    "float8": ("0.1::float8", 0.1),
    "text": ("'Größe 😀'", "Größe 😀"),
    "numeric": ("12345.6789::decimal(12, 4)", decimal.Decimal("12345.6789")),
    "date": ("date '2024-02-29'", datetime.date(2024, 2, 29)),
    "timestamp": ("timestamp '1999-12-31 23:59:59.999999'", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)),
    "timestamptz": ("timestamptz '2024-01-02 03:04:05+00'",
                    datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
    "uuid": ("uuid '12345678-1234-5678-1234-567812345678'", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    "null": ("null::int", None),
}


ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range = 7"


@contextlib.contextmanager
def again_and_again(stop: Callable[[], object]) -> Iterator[None]:
    """Cancel until it is over: a request that comes before the query runs has no effect."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            stop()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Client(Protocol):
    """What the suite needs of a driver.  `?` stands for a parameter, whatever the driver writes."""

    def fetch(self, sql: str, *values: object) -> Sequence[Sequence[Any]]: ...

    def do(self, sql: str) -> None: ...

    def sqlstate(self, sql: str) -> str: ...

    def stop(self) -> Callable[[], object]: ...


class Dbapi:
    """psycopg, psycopg2 and pg8000, in autocommit."""

    def __init__(self, connection: Any, error: type[Exception], **cursor: Any) -> None:
        self.connection, self.error, self.cursor = connection, error, cursor
        self.execute: dict[str, Any] = {}

    def fetch(self, sql: str, *values: object) -> Sequence[Sequence[Any]]:
        cursor = self.connection.cursor(**self.cursor)
        cursor.execute(sql.replace("%", "%%").replace("?", "%s") if values else sql, values, **self.execute)
        return list(cursor.fetchall())

    def do(self, sql: str) -> None:
        self.connection.cursor(**self.cursor).execute(sql)

    def sqlstate(self, sql: str) -> str:
        with pytest.raises(self.error) as raised:
            self.do(sql)
        error: Any = raised.value
        return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or error.args[0]["C"])

    def stop(self) -> Callable[[], object]:
        return self.connection.cancel  # type: ignore[no-any-return]


class Asyncpg:
    """asyncpg on a loop of its own."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self.runner, self.connection = runner, connection

    def run(self, call: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await call

        return self.runner.run(wait())

    def fetch(self, sql: str, *values: object) -> Sequence[Sequence[Any]]:
        numbers = iter(range(1, 1 + len(values)))
        rows = self.run(self.connection.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", sql), *values))
        return [tuple(row) for row in rows]

    def do(self, sql: str) -> None:
        self.run(self.connection.execute(sql))

    def sqlstate(self, sql: str) -> str:
        import asyncpg

        with pytest.raises(asyncpg.PostgresError) as raised:
            self.do(sql)
        return str(raised.value.sqlstate)

    def stop(self) -> Callable[[], object]:
        raise NotImplementedError("asyncpg cancels when its task is: see TestAsyncpg.test_timeout")


class Febe:
    """febe's own two faces; what asyncio gives is waited for."""

    def __init__(self, connection: Any, run: Callable[[Any], Any]) -> None:
        self.connection, self.run = connection, run

    def fetch(self, sql: str, *values: object) -> Sequence[Sequence[Any]]:
        numbers = iter(range(1, 1 + len(values)))
        rows: Sequence[Sequence[Any]] = self.run(
            self.connection.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", sql), *values))
        return rows

    def do(self, sql: str) -> None:
        self.run(self.connection.execute(sql))

    def sqlstate(self, sql: str) -> str:
        with pytest.raises(febe.PostgresError) as raised:
            self.do(sql)
        return raised.value.sqlstate

    def stop(self) -> Callable[[], object]:
        raise NotImplementedError("febe's client cannot cancel yet")


class Server(Protocol):
    """Where a client connects."""

    def dsn(self) -> str: ...


def _febe(server: Server) -> Iterator[Febe]:
    with febe.connect(server.dsn()) as connection:
        yield Febe(connection, lambda result: result)


def _febe_asyncio(server: Server) -> Iterator[Febe]:
    with asyncio.Runner() as runner:

        async def wait(call: Awaitable[Any]) -> Any:
            return await call

        def run(call: Awaitable[Any]) -> Any:
            return runner.run(wait(call))

        connection = run(febe.aio.connect(server.dsn()))
        yield Febe(connection, run)
        run(connection.close())


def _psycopg(server: FebeServer, *, binary: bool = False, prepare: bool = False) -> Iterator[Dbapi]:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        client = Dbapi(connection, psycopg.Error, binary=binary)
        if prepare:
            client.execute = {"prepare": True}
        yield client


def _psycopg2(server: FebeServer) -> Iterator[Dbapi]:
    psycopg2 = pytest.importorskip("psycopg2")
    extras = pytest.importorskip("psycopg2.extras")
    with contextlib.closing(psycopg2.connect(server.dsn())) as connection:
        connection.autocommit = True
        extras.register_uuid(conn_or_curs=connection)
        yield Dbapi(connection, psycopg2.Error)


def _pg8000(server: FebeServer) -> Iterator[Dbapi]:
    pg8000 = pytest.importorskip("pg8000.dbapi")
    where = {"user": "demo", "host": server.host, "port": server.port, "database": "demo"}
    with contextlib.closing(pg8000.connect(**where)) as connection:
        connection.autocommit = True
        yield Dbapi(connection, pg8000.Error)


def _asyncpg(server: FebeServer) -> Iterator[Asyncpg]:
    asyncpg = pytest.importorskip("asyncpg")
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(server.dsn()))
        try:
            yield Asyncpg(runner, connection)
        finally:
            runner.run(connection.close())


CLIENTS: dict[str, Callable[[Any], Iterator[Client]]] = {
    "psycopg text": _psycopg,
    "psycopg binary": lambda server: _psycopg(server, binary=True),
    "psycopg prepared": lambda server: _psycopg(server, prepare=True),
    "psycopg prepared binary": lambda server: _psycopg(server, binary=True, prepare=True),
    "psycopg2": _psycopg2,
    "pg8000": _pg8000,
    "asyncpg": _asyncpg,
    "febe": _febe,
    "febe asyncio": _febe_asyncio,
}
OTHERS = [name for name in CLIENTS if not name.startswith("febe")]
# "client" runs against febe serve, "client, fixture" against another server
EVERY = [*CLIENTS, *(f"{name}, {server}" for name in ("febe", "febe asyncio") for server in ("pg18", "pg15"))]


@pytest.fixture(params=EVERY)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    name, _, server = request.param.partition(", ")
    yield from CLIENTS[name](request.getfixturevalue(server or "febe_server"))


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    client.do(f"create table {name} (a int primary key, b varchar)")
    yield name
    client.do(f"drop table {name}")


class TestEvery:
    @pytest.mark.parametrize("kind", VALUES)
    def test_values(self, client: Client, kind: str) -> None:
        sql, value = VALUES[kind]
        ((found,),) = client.fetch(f"select {sql} as v")
        assert found == value
        assert isinstance(found, type(value))

    def test_parameters(self, client: Client) -> None:
        assert [tuple(row) for row in client.fetch("select ?::int + 1, ?::varchar", 41, "it's")] == [(42, "it's")]

    def test_the_same_many_times(self, client: Client) -> None:
        """Drivers prepare what comes again and switch to binary results."""
        for number in range(12):
            assert client.fetch("select ?::bigint * 2 as twice", number)[0][0] == number * 2

    def test_many_rows(self, client: Client) -> None:
        rows = client.fetch("select i::bigint, 'row ' || i from generate_series(0, 19999) t(i)")
        assert len(rows) == 20000
        assert tuple(rows[-1]) == (19999, "row 19999")

    def test_changes(self, client: Client, table: str) -> None:
        client.do(f"insert into {table} values (1, 'a'), (2, null)")
        assert [tuple(row) for row in client.fetch(f"select * from {table} order by a")] == [(1, "a"), (2, None)]
        client.do(f"update {table} set b = 'c' where a = 2")
        assert client.fetch(f"select b from {table} where a = 2")[0][0] == "c"

    def test_transactions(self, client: Client, table: str) -> None:
        client.do("begin")
        client.do(f"insert into {table} values (1, 'x')")
        client.do("rollback")
        assert client.fetch(f"select count(*) from {table}")[0][0] == 0

    def test_failed_transactions(self, client: Client) -> None:
        client.do("begin")
        assert client.sqlstate("select * from no_such_table") == "42P01"
        assert client.sqlstate("select 1") == "25P02"
        client.do("rollback")
        assert client.fetch("select 1")[0][0] == 1

    @pytest.mark.parametrize(("sql", "sqlstate"), [
        ("select * from no_such_table", "42P01"), ("select no_such_column", "42703"), ("selec 1", "42601"),
        ("select 'x'::int", "22P02"), ("set no_such_parameter = 1", "42704")])
    def test_errors(self, client: Client, sql: str, sqlstate: str) -> None:
        assert client.sqlstate(sql) == sqlstate
        assert client.fetch("select 1")[0][0] == 1

    def test_savepoints(self, client: Client) -> None:
        for sql in ("begin", "savepoint a"):
            client.do(sql)
        assert client.sqlstate("select * from no_such_table") == "42P01"
        client.do("rollback to savepoint a")
        assert client.fetch("select 1")[0][0] == 1
        client.do("commit")

    def test_duplicate_keys(self, client: Client, table: str) -> None:
        client.do(f"insert into {table} values (1, 'a')")
        assert client.sqlstate(f"insert into {table} values (1, 'b')") == "23505"

    @pytest.mark.parametrize("client", ["psycopg text", "psycopg2"], indirect=True)
    def test_cancel(self, client: Client) -> None:
        stop = client.stop()
        with again_and_again(stop):
            assert client.sqlstate(ENDLESS) == "57014"
        assert client.fetch("select 1")[0][0] == 1


class TestPsycopg:
    def test_pipeline(self, febe_server: FebeServer) -> None:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(febe_server.dsn(), autocommit=True) as connection, connection.pipeline() as pipeline:
            cursors = [connection.execute("select %s::int", (number,)) for number in range(100)]
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(100))
            with pytest.raises(psycopg.errors.UndefinedColumn):
                connection.execute("select nothing")
                pipeline.sync()
            assert connection.execute("select 1").fetchone() == (1,)

    def test_a_pipeline_is_one_transaction(self, febe_server: FebeServer) -> None:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(febe_server.dsn(), autocommit=True) as connection:
            connection.execute("create table piped (a int)")
            with pytest.raises(psycopg.errors.UndefinedTable), connection.pipeline():
                connection.execute("insert into piped values (1)")
                connection.execute("insert into piped values (2)")
                connection.execute("select * from no_such_table")
            assert connection.execute("select count(*) from piped").fetchone() == (0,)
            connection.execute("drop table piped")

    def test_transactions_of_the_driver(self, febe_server: FebeServer) -> None:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(febe_server.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
            connection.commit()
            connection.read_only = True
            with pytest.raises(psycopg.Error) as raised:
                connection.execute("create table never (a int)")
            assert raised.value.sqlstate == "25006"
            assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR

    def test_streaming(self, febe_server: FebeServer) -> None:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(febe_server.dsn()) as connection, connection.cursor() as cursor:
            assert sum(row[0] for row in cursor.stream("select range from range(10000)")) == 49995000


class TestAsyncpg:
    def test_cursors_and_transactions(self, febe_server: FebeServer) -> None:
        asyncpg = pytest.importorskip("asyncpg")

        async def main() -> None:
            connection = await asyncpg.connect(febe_server.dsn())
            async with connection.transaction():
                cursor = await connection.cursor("select range::int as n from range(100)")
                assert [row["n"] for row in await cursor.fetch(10)] == list(range(10))
                assert await connection.fetchval("select 7") == 7
                assert [row["n"] for row in await cursor.fetch(100)] == list(range(10, 100))
            await connection.execute("create table asyncpg_many (a int, b varchar)")
            await connection.executemany("insert into asyncpg_many values ($1, $2)",
                                         [(number, str(number)) for number in range(100)])
            assert await connection.fetchval("select sum(a) from asyncpg_many") == 4950
            await connection.execute("drop table asyncpg_many")
            await connection.close()

        asyncio.run(main())

    def test_pool(self, febe_server: FebeServer) -> None:
        """The pool resets a connection before it lends it again."""
        asyncpg = pytest.importorskip("asyncpg")

        async def main() -> None:
            async with asyncpg.create_pool(febe_server.dsn(), min_size=1, max_size=2) as pool:
                assert await asyncio.gather(*(pool.fetchval("select $1::int", number) for number in range(20))
                                            ) == list(range(20))

        asyncio.run(main())

    def test_timeout(self, febe_server: FebeServer) -> None:
        asyncpg = pytest.importorskip("asyncpg")

        async def main() -> None:
            connection = await asyncpg.connect(febe_server.dsn())
            with pytest.raises(asyncio.TimeoutError):
                await connection.fetch(ENDLESS, timeout=0.3)
            assert await connection.fetchval("select 1") == 1
            await connection.close()

        asyncio.run(main())


def _psql(program: Path, server: FebeServer, *commands: str, options: str = "") -> str:
    asked = [part for command in commands for part in ("-c", command)]
    done = subprocess.run([program, "-XAt", f"{server.dsn()}{options}", *asked], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    return done.stdout + done.stderr


@pytest.fixture(params=[15, 18])
def psql(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(f"psql{request.param}")
    return found


class TestPsql:
    def test_queries(self, psql: Path, febe_server: FebeServer) -> None:
        assert _psql(psql, febe_server, "select 1, 'a'", "select 2; select 3", "select nothing") == (
            "1|a\n2\n3\nERROR:  Referenced column \"nothing\" was not found because the FROM clause is missing\n"
            "LINE 1: select nothing\n               ^\n")

    def test_fetch_count(self, psql: Path, febe_server: FebeServer) -> None:
        assert _psql(psql, febe_server, "select count(*) from range(1000)") == "1000\n"

    def test_ctrl_c(self, psql: Path, febe_server: FebeServer) -> None:
        assert "ERROR:  " in _interrupted(psql, febe_server.dsn())


class TestLibpq18:
    def test_protocol_3_2(self, psql18: Path, febe_server: FebeServer) -> None:
        found = _psql(psql18, febe_server, "\\conninfo", options="?max_protocol_version=latest")
        assert re.search(r"Protocol Version\|3\.2\b", found)

    def test_protocol_3_0(self, psql18: Path, febe_server: FebeServer) -> None:
        assert re.search(r"Protocol Version\|3\.0\b", _psql(psql18, febe_server, "\\conninfo"))

    def test_a_long_cancel_key(self, psql18: Path, febe_server: FebeServer) -> None:
        assert "ERROR:  " in _interrupted(psql18, febe_server.dsn(max_protocol_version="3.2"))


def _interrupted(program: Path, dsn: str) -> str:
    """What psql prints when Ctrl-C is pressed while a query runs."""
    process = subprocess.Popen([program, "-XAt", dsn, "-c", "select 'here'", "-c", ENDLESS], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"  # from here on Ctrl-C cancels and does not end psql
    told: list[str] = []

    def press() -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)

    with again_and_again(press):
        told += process.communicate(timeout=SECONDS)
    return told[1]
