"""A real Spark behind `febe serve`: psql and drivers before it."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import asyncpg
import psycopg
import pytest
import sqlalchemy

from tests.conftest import missing_peer
from tests.peers import febe_server, spark
from tests.peers.febe_server import FebeServer
from tests.peers.installation import Missing
from tests.peers.spark import SparkConnect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[SparkConnect]:
    """A Spark Connect server."""
    try:
        with spark.running() as server:
            yield server
    except Missing as missing:
        missing_peer(missing)


@pytest.fixture(scope="module")
def served(cluster: SparkConnect) -> Iterator[FebeServer]:
    with febe_server.running(cluster.url) as server:
        yield server


@pytest.fixture
def connection(served: FebeServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        yield connection


EVERY_TYPE = """select true as b, cast(1 as tinyint) as t, cast(2 as smallint) as s, 3 as i, 4L as l,
    cast(1.5 as float) as f, 2.5D as d, cast(1.50 as decimal(10,2)) as n, 'é' as str, binary('x') as bin,
    date'2020-02-29' as dat, timestamp'2020-01-01 10:00:00+00' as ts, timestamp_ntz'2020-01-01 10:00:00' as ntz,
    array(1, null) as arr, map('k', 1) as m, named_struct('x', 1) as st,
    null as nothing, interval '1-2' year to month as ym"""


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_every_type(connection: psycopg.Connection, binary: bool) -> None:
    row = connection.execute(EVERY_TYPE, binary=binary).fetchone()
    utc = dt.timezone.utc  # noqa: UP017
    assert row == (True, 1, 2, 3, 4, 1.5, 2.5, Decimal("1.50"), "é", b"x", dt.date(2020, 2, 29),
                   dt.datetime(2020, 1, 1, 10, tzinfo=utc), dt.datetime(2020, 1, 1, 10),
                   [1, None], {"k": 1}, {"x": 1}, None, "INTERVAL '1-2' YEAR TO MONTH")


def test_interval(connection: psycopg.Connection) -> None:
    row = connection.execute("select interval '1 02:00:00' day to second").fetchone()
    assert row == (dt.timedelta(days=1, hours=2),)


def test_psql(served: FebeServer, psql18: Path) -> None:
    done = subprocess.run([psql18, served.dsn(), "-XAt", "-c", "select id, id * 2 from range(3)", "-c", "show tables"],
                          capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:3] == ["0|0", "1|2", "2|4"]


def test_parameters(connection: psycopg.Connection) -> None:
    for value in (5, 2**40, 1.5, Decimal("12.345"), "it's", True, None, b"\0\1", dt.date(2020, 1, 1),
                  dt.datetime(2020, 1, 1, 1, 2, 3, 4), Decimal("-1e20")):
        found, = connection.execute("select %s as x", [value]).fetchone() or ()
        assert found == value
    rows = connection.execute("select id from range(100) where id > %s and id < %s order by id limit %s",
                              [10, 90, 3]).fetchall()
    assert rows == [(11,), (12,), (13,)]


async def _asyncpg(dsn: str) -> list[object]:
    connection = await asyncpg.connect(dsn)
    try:
        statement = await connection.prepare("select $1::int + 1 as x, $2 as y")
        assert [parameter.name for parameter in statement.get_parameters()] == ["int4", "text"]
        return list(await statement.fetchrow(41, "text"))
    finally:
        await connection.close()


def test_a_driver_that_asks_for_types(served: FebeServer) -> None:
    import asyncio

    assert asyncio.run(_asyncpg(served.dsn())) == [42, "text"]


@pytest.mark.parametrize(("sql", "sqlstate", "at"), [
    ("select * from nosuch", "42P01", "nosuch"), ("select nocol from range(3)", "42703", "nocol"),
    ("select 1 1 1", "42601", None), ("select 1/0", "22012", "1/0"),
    ("select cast('abc' as int)", "22P02", "cast"),
    ("select * from nosuch.t", "42P01", "nosuch"), ("load data inpath 'x' into table t", "42501", None)])
def test_errors(connection: psycopg.Connection, sql: str, sqlstate: str, at: str | None) -> None:
    with pytest.raises(psycopg.Error) as error:
        connection.execute(sql)
    assert error.value.sqlstate == sqlstate
    assert "JVM" not in str(error.value.diag.message_detail) + str(error.value)
    if at is not None:
        assert error.value.diag.statement_position == str(sql.index(at) + 1)
    assert connection.execute("select 1").fetchone() == (1,)


def test_describe_does_not_write(connection: psycopg.Connection) -> None:
    connection.execute("create table if not exists described (a int) using parquet")
    described = connection.pgconn.prepare(b"s", b"insert into described values (1)")
    assert described.error_message == b""
    assert connection.pgconn.describe_prepared(b"s").nfields == 0
    assert connection.execute("select count(*) from described").fetchone() == (0,)
    connection.pgconn.exec_prepared(b"s", [])
    assert connection.execute("select count(*) from described").fetchone() == (1,)
    connection.execute("drop table described")


def test_blocks_are_honest(served: FebeServer) -> None:
    with psycopg.connect(served.dsn()) as connection:
        heard: list[str] = []
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        connection.execute("create table if not exists kept (a int) using parquet")
        connection.execute("insert into kept values (1)")
        connection.rollback()
        assert connection.execute("select * from kept").fetchall() == [(1,)]
        assert heard == ["Spark has no transactions: what is written stays, also after ROLLBACK"]
        with pytest.raises(psycopg.Error) as error:
            connection.execute("select nosuch")
        assert error.value.sqlstate == "42703"
        connection.rollback()
        connection.execute("drop table kept")


def test_ten_million_rows_in_bounded_memory(served: FebeServer) -> None:
    def resident() -> int:
        status = Path(f"/proc/{served.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        connection.execute("select id from range(1000)").fetchall()
        before = resident()
        total = rows = 0
        with connection.cursor(binary=True) as cursor:
            for (number,) in cursor.stream("select id from range(0, 10000000, 1, 4)", size=10_000):
                total += number
                rows += 1
        assert (rows, total) == (10_000_000, sum(range(10_000_000)))
        assert resident() - before < 150_000


def test_cancel(connection: psycopg.Connection) -> None:
    timer = threading.Timer(2, connection.cancel)
    timer.start()
    try:
        with pytest.raises(psycopg.Error) as error:
            connection.execute("select count(*) from range(100000000000) a where sqrt(a.id) < 0")
        assert error.value.sqlstate == "57014"
    finally:
        timer.cancel()
    assert connection.execute("select 1").fetchone() == (1,)


def test_sessions_are_apart(served: FebeServer, connection: psycopg.Connection) -> None:
    connection.execute("create temporary view mine as select 1 as x")
    with psycopg.connect(served.dsn(), autocommit=True) as other, pytest.raises(psycopg.Error) as error:
        other.execute("select * from mine")
    assert error.value.sqlstate == "42P01"


def test_the_catalog_is_browsed(served: FebeServer, connection: psycopg.Connection, psql18: Path) -> None:
    """psql, SQLAlchemy and the information schema see Spark's databases as schemas, also what others made."""
    for statement in ("create database sales comment 'what is sold'",
                      "create table sales.orders (id bigint not null comment 'its number', at timestamp, "
                      "price decimal(10,2), tags array<string>) using parquet comment 'every order'",
                      "create view sales.big as select id, price from sales.orders where price > 100",
                      "create temporary view mine as select 1 as one"):
        connection.execute(statement)
    try:
        done = subprocess.run([psql18, served.dsn(), "-XA", "-c", "\\dt+ sales.*", "-c", "\\d+ sales.orders", "-c",
                               "\\dv sales.*", "-c", "\\dn+ sales"], capture_output=True, text=True, check=True)
        for line in ("sales|orders|table|demo|permanent|heap||every order", "id|bigint||||plain|||its number",
                     "price|numeric(10,2)||||main|||", "tags|json||||extended|||", "sales|big|view|demo"):
            assert line in re.sub("postgres", "demo", done.stdout)
        assert "what is sold" in done.stdout
        found = connection.execute("select column_name, data_type from information_schema.columns where "
                                   "table_schema = 'sales' and table_name = 'big' order by ordinal_position").fetchall()
        assert found == [("id", "bigint"), ("price", "numeric")]
        assert connection.execute("select relname from pg_class where relname = 'mine'").fetchall() == [("mine",)]
        engine = sqlalchemy.create_engine(served.dsn().replace("postgresql:", "postgresql+psycopg:"))
        inspector = sqlalchemy.inspect(engine)
        assert "sales" in inspector.get_schema_names()
        assert inspector.get_table_names("sales") == ["orders"]
        assert [column["name"] for column in inspector.get_columns("orders", schema="sales")] == [
            "id", "at", "price", "tags"]
        # a temporary view is its session's alone
        with psycopg.connect(served.dsn(), autocommit=True) as other:
            assert other.execute("select count(*) from pg_class where relname = 'mine'").fetchone() == (0,)
        engine.dispose()
    finally:
        connection.execute("drop database sales cascade")


def test_json_is_sparks_own(connection: psycopg.Connection) -> None:
    row = connection.execute("select array(named_struct('a', 1.5, 'b', array('x'))) as v").fetchone()
    assert json.dumps(row and row[0]) == '[{"a": 1.5, "b": ["x"]}]'


def test_spark_is_restarted_under_an_open_connection(cluster: SparkConnect, served: FebeServer) -> None:
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        connection.execute("create temporary view lost as select 1 as x")
        cluster.stop()
        with pytest.raises(psycopg.Error) as error:
            connection.execute("select 1")
        assert error.value.sqlstate == "08006"
        cluster.start()
        while True:  # its port is open a moment before it answers
            try:
                assert connection.execute("select 7").fetchone() == (7,)
                break
            except psycopg.OperationalError as failure:
                assert failure.sqlstate == "08006"
        with pytest.raises(psycopg.Error) as gone:
            connection.execute("select * from lost")
        assert gone.value.sqlstate == "42P01"


def test_nobody_there(psql18: Path) -> None:
    with pytest.raises(febe_server.StartFailed, match="no Spark Connect server answers"), \
            febe_server.running("sc://127.0.0.1:9"):
        pass
