"""Python's drivers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import decimal
import io
import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.conformance.compatibility.features import ENDLESS, PASSWORD, Client
from tests.conformance.test_clients import again_and_again

UTC = datetime.UTC
NUMBERS = (-32768, 2147483647, -9223372036854775808, 0.1, decimal.Decimal("12345.6789"))
NUMBERS_SQL = ("select (-32768)::int2 a, 2147483647::int4 b, (-9223372036854775808)::int8 c, 0.1::float8 d, "
               "12345.6789::decimal(12, 4) e")
TEXTS = ("Größe 😀", b"\x00\x01\xff")
TEXTS_SQL = r"select 'Größe 😀' a, '\x00\x01\xFF'::blob b"
TIMES = (datetime.date(2024, 2, 29), datetime.datetime(1999, 12, 31, 23, 59, 59, 999999),
         datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC))
TIMES_SQL = ("select date '2024-02-29' a, timestamp '1999-12-31 23:59:59.999999' b, "
             "timestamptz '2024-01-02 03:04:05+00' c")
UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
OTHERS_SQL = f"""select true a, '{UUID}'::uuid b, '{{"a": [1]}}'::json c"""
ARRAYS = ([1, None, 3], ["a", "it's, \"so\""])
ARRAYS_SQL = """select [1, null, 3] a, ['a', 'it''s, "so"'] b"""
PORTIONS_SQL = "select i::int4 i from generate_series(1, 10000) t(i)"


class Dbapi(Client):
    """What DB-API drivers have in common."""

    mark = "%s"
    error: type[Exception] = Exception

    def open(self, **options: Any) -> Any:
        """A connection in autocommit."""
        raise NotImplementedError

    @contextlib.contextmanager
    def connection(self, **options: Any) -> Iterator[Any]:
        with contextlib.closing(self.open(**options)) as found:
            yield found

    def rows(self, connection: Any, sql: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        if values:
            cursor.execute(sql.replace("?", self.mark), values)
        else:
            cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]

    def one(self, sql: str, *values: object) -> Any:
        with self.connection() as connection:
            (row,) = self.rows(connection, sql, *values)
            return row

    def do(self, connection: Any, *statements: str) -> None:
        for sql in statements:
            connection.cursor().execute(sql)

    def password(self) -> None:
        assert self.one("select 1") == (1,)

    def parameters(self) -> None:
        assert self.one("select ?::int + 1, ?::varchar, ?::date", 41, "it's", datetime.date(2024, 2, 29)
                        ) == (42, "it's", datetime.date(2024, 2, 29))

    def prepared(self) -> None:
        with self.connection() as connection:
            for number in range(12):
                assert self.rows(connection, "select ?::bigint * 2", number) == [(number * 2,)]

    def numbers(self) -> None:
        assert self.one(NUMBERS_SQL) == NUMBERS

    def texts(self) -> None:
        text, data = self.one(TEXTS_SQL)
        assert (text, bytes(data)) == TEXTS

    def times(self) -> None:
        assert self.one(TIMES_SQL) == TIMES

    def others(self) -> None:
        yes, found, document = self.one(OTHERS_SQL)
        assert (yes, uuid.UUID(str(found))) == (True, UUID)
        assert (json.loads(document) if isinstance(document, str) else document) == {"a": [1]}

    def arrays(self) -> None:
        assert self.one(ARRAYS_SQL) == ARRAYS

    def nulls(self) -> None:
        assert self.one("select null, null::int, null::text, null::timestamp, ?::int", None) == (None,) * 5

    def transactions(self) -> None:
        table = self.place.table
        with self.connection() as connection:
            self.do(connection, f"create table {table} (a int)")
            self.set_autocommit(connection, False)
            self.do(connection, f"insert into {table} values (1)")
            connection.rollback()
            self.do(connection, f"insert into {table} values (2)")
            connection.commit()
            self.set_autocommit(connection, True)
            assert self.rows(connection, f"select a from {table}") == [(2,)]

    def savepoints(self) -> None:
        with self.connection() as connection:
            self.set_autocommit(connection, False)
            self.do(connection, "savepoint a")
            with pytest.raises(self.error):
                self.do(connection, "select * from no_such_table")
            self.do(connection, "rollback to savepoint a")
            assert self.rows(connection, "select 1") == [(1,)]
            connection.commit()

    def set_autocommit(self, connection: Any, value: bool) -> None:
        connection.autocommit = value

    def sqlstate(self, error: Any) -> str:
        return str(error.sqlstate)

    def errors(self) -> None:
        with self.connection() as connection:
            for sql, sqlstate in (("select * from no_such_table", "42P01"), ("selec 1", "42601"),
                                  ("select 'x'::int", "22P02")):
                with pytest.raises(self.error) as raised:
                    self.rows(connection, sql)
                assert self.sqlstate(raised.value) == sqlstate
            assert self.rows(connection, "select 1") == [(1,)]

    def batch(self) -> None:
        table = self.place.table
        with self.connection() as connection:
            self.do(connection, f"create table {table} (a int, b varchar)")
            connection.cursor().executemany(f"insert into {table} values ({self.mark}, {self.mark})",
                                            [(number, str(number)) for number in range(100)])
            assert self.rows(connection, f"select count(*), sum(a) from {table}") == [(100, 4950)]

    def several(self) -> None:
        with self.connection() as connection:
            table = self.place.table
            self.do(connection, f"create table {table} (a int); insert into {table} values (1); "
                                f"insert into {table} values (2)")
            assert self.rows(connection, f"select a from {table} order by a") == [(1,), (2,)]


class Psycopg(Dbapi):
    name = "psycopg 3"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import psycopg

        self.error = psycopg.Error

    def open(self, **options: Any) -> Any:
        import psycopg

        return psycopg.connect(self.place.dsn(**options), autocommit=True)

    def tls(self) -> None:
        with self.connection(sslmode="verify-full", sslrootcert=self.place.authority) as connection:
            assert connection.pgconn.ssl_in_use
            assert self.rows(connection, "select 1") == [(1,)]

    def portions(self) -> None:
        with self.connection() as connection, connection.transaction(), connection.cursor("c") as cursor:
            cursor.execute(PORTIONS_SQL)
            assert [len(cursor.fetchmany(4000)) for _ in range(4)] == [4000, 4000, 2000, 0]
            cursor.scroll(0, mode="absolute")
            assert cursor.fetchone() == (1,)

    def pipeline(self) -> None:
        with self.connection() as connection, connection.pipeline():
            cursors = [connection.execute("select %s::int", (number,)) for number in range(100)]
            assert [cursor.fetchone()[0] for cursor in cursors] == list(range(100))

    def copy_in(self) -> None:
        table = self.place.table
        with self.connection() as connection:
            self.do(connection, f"create table {table} (a int, b varchar)")
            for form in ("", "(format binary)"):
                with connection.cursor().copy(f"copy {table} from stdin {form}") as copy:
                    copy.set_types(["int4", "varchar"])
                    for number in range(100):
                        copy.write_row((number, None if number % 2 else str(number)))
            assert self.rows(connection, f"select count(*), count(b) from {table}") == [(200, 100)]

    def copy_out(self) -> None:
        with self.connection() as connection:
            query = "select 1::int, 'a' union all select 2, null order by 1"
            for form in ("", "(format binary)"):
                with connection.cursor().copy(f"copy ({query}) to stdout {form}") as copy:
                    copy.set_types(["int4", "text"])
                    assert list(copy.rows()) == [(1, "a"), (2, None)]

    def notify(self) -> None:
        with self.connection() as listener, self.connection() as other:
            self.do(listener, "listen news")
            self.do(other, "notify news, 'hello'")
            (found,) = listener.notifies(timeout=20, stop_after=1)
            assert (found.channel, found.payload) == ("news", "hello")

    def cancel(self) -> None:
        with self.connection() as connection:
            with again_and_again(connection.cancel_safe), pytest.raises(self.error) as raised:
                self.do(connection, ENDLESS)
            assert self.sqlstate(raised.value) == "57014"


class PsycopgBinary(Psycopg):
    name = "psycopg 3, binary"

    def rows(self, connection: Any, sql: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = connection.cursor(binary=True)
        return [tuple(row) for row in cursor.execute(sql.replace("?", "%b"), values or None, prepare=True).fetchall()]


class Psycopg2(Dbapi):
    name = "psycopg 2"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import psycopg2

        self.error = psycopg2.Error

    def open(self, **options: Any) -> Any:
        import psycopg2

        connection = psycopg2.connect(self.place.dsn(**options))
        connection.autocommit = True
        return connection

    def sqlstate(self, error: Any) -> str:
        return str(error.pgcode)

    def tls(self) -> None:
        with self.connection(sslmode="verify-full", sslrootcert=self.place.authority) as connection:
            assert connection.info.ssl_in_use
            assert self.rows(connection, "select 1") == [(1,)]

    def portions(self) -> None:
        with self.connection() as connection:
            connection.autocommit = False
            cursor = connection.cursor("c")
            cursor.execute(PORTIONS_SQL)
            assert [len(cursor.fetchmany(4000)) for _ in range(4)] == [4000, 4000, 2000, 0]

    def copy_in(self) -> None:
        with self.connection() as connection:
            self.do(connection, f"create table {self.place.table} (a int, b varchar)")
            connection.cursor().copy_from(io.StringIO("1\tx\n2\t\\N\n"), self.place.table)
            assert self.rows(connection, f"select * from {self.place.table} order by a") == [(1, "x"), (2, None)]

    def copy_out(self) -> None:
        with self.connection() as connection:
            written = io.StringIO()
            connection.cursor().copy_expert("copy (select 1, 'a,b') to stdout (format csv, header)", written)
            assert written.getvalue().endswith('\n1,"a,b"\n')

    def notify(self) -> None:
        with self.connection() as listener, self.connection() as other:
            self.do(listener, "listen news")
            self.do(other, "notify news, 'hello'")
            while not listener.notifies:
                listener.poll()
            assert (listener.notifies[0].channel, listener.notifies[0].payload) == ("news", "hello")

    def large_objects(self) -> None:
        with self.connection() as connection:
            connection.autocommit = False
            made = connection.lobject(0, "wb")
            made.write(b"hello")
            made.close()
            assert connection.lobject(made.oid, "rb").read() == b"hello"
            connection.lobject(made.oid).unlink()
            connection.commit()

    def cancel(self) -> None:
        with self.connection() as connection:
            with again_and_again(connection.cancel), pytest.raises(self.error) as raised:
                self.do(connection, ENDLESS)
            assert self.sqlstate(raised.value) == "57014"


class Pg8000(Dbapi):
    name = "pg8000"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import pg8000.dbapi

        self.error = pg8000.dbapi.Error

    def open(self, **options: Any) -> Any:
        import pg8000.dbapi

        connection = pg8000.dbapi.connect(user="demo", password=PASSWORD, host=self.place.host, port=self.place.port,
                                          database="demo", **options)
        connection.autocommit = True
        return connection

    def sqlstate(self, error: Any) -> str:
        return str(error.args[0]["C"])

    def tls(self) -> None:
        import ssl

        with self.connection(ssl_context=ssl.create_default_context(cafile=self.place.authority)) as connection:
            assert self.rows(connection, "select 1") == [(1,)]

    def copy_in(self) -> None:
        with self.connection() as connection:
            self.do(connection, f"create table {self.place.table} (a int, b varchar)")
            connection.cursor().execute(f"copy {self.place.table} from stdin (format csv)",
                                        stream=io.BytesIO(b"1,x\n2,\n"))
            assert self.rows(connection, f"select * from {self.place.table} order by a") == [(1, "x"), (2, None)]

    def copy_out(self) -> None:
        with self.connection() as connection:
            written = io.BytesIO()
            connection.cursor().execute("copy (select 1, 'a,b') to stdout (format csv)", stream=written)
            assert written.getvalue() == b'1,"a,b"\n'

    def notify(self) -> None:
        with self.connection() as listener, self.connection() as other:
            self.do(listener, "listen news")
            self.do(other, "notify news, 'hello'")
            while not listener.notifications:
                self.rows(listener, "select 1")
            assert listener.notifications[0][1:] == ("news", "hello")


class Odbc(Dbapi):
    name = "psqlODBC"
    mark = "?"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import pyodbc

        self.error = pyodbc.Error

    def open(self, **options: Any) -> Any:
        from tests.peers import odbc

        return odbc.connect(server=self.place.host, port=self.place.port, uid="demo", pwd=f"{{{PASSWORD}}}",
                            database="demo", **options)

    def sqlstate(self, error: Any) -> str:
        return str(error.args[0])

    def tls(self) -> None:
        with self.connection(sslmode="require") as connection:
            assert self.rows(connection, "select 1") == [(1,)]

    def times(self) -> None:
        """ODBC's timestamps have no zone: they come in the session's, which is UTC."""
        date, plain, zoned = self.one(TIMES_SQL)
        assert (date, plain, zoned.replace(tzinfo=UTC)) == TIMES

    def others(self) -> None:
        yes, found, document = self.one(OTHERS_SQL)
        assert (str(yes), uuid.UUID(str(found)), json.loads(document)) in (("1", UUID, {"a": [1]}),
                                                                           ("True", UUID, {"a": [1]}))

    def arrays(self) -> None:
        """ODBC has none: they come as text."""
        assert self.one(ARRAYS_SQL) == ("{1,NULL,3}", '{a,"it\'s, \\"so\\""}')

    def nulls(self) -> None:
        assert self.one("select null, null::int, null::text, null::timestamp") == (None,) * 4

    def portions(self) -> None:
        with self.connection(useDeclareFetch=1, fetch=1000, autocommit=False) as connection:
            cursor = connection.cursor().execute(PORTIONS_SQL)
            assert [len(cursor.fetchmany(4000)) for _ in range(4)] == [4000, 4000, 2000, 0]

    def metadata(self) -> None:
        with self.connection() as connection:
            self.do(connection, f"create table {self.place.table} (a int not null, b varchar)")
            assert self.place.table in [row.table_name for row in connection.cursor().tables()]
            assert [(row.column_name, row.type_name) for row in connection.cursor().columns(self.place.table)] == [
                ("a", "int4"), ("b", "text")]

    def cancel(self) -> None:
        with self.connection() as connection:
            cursor = connection.cursor()
            with again_and_again(cursor.cancel), pytest.raises(self.error):
                cursor.execute(ENDLESS)
            assert self.rows(connection, "select 1") == [(1,)]


class Asyncpg(Client):
    name = "asyncpg"

    def run(self, *checks: Any, **options: Any) -> None:
        import asyncpg

        async def main() -> None:
            connections = [await asyncpg.connect(self.place.dsn(), **options) for _ in range(2)]
            try:
                for check in checks:
                    await check(*connections)
            finally:
                for one in connections:
                    await one.close(timeout=10)

        asyncio.run(main())

    def gives(self, sql: str, expected: Sequence[object], *values: object, **options: Any) -> None:
        async def check(connection: Any, _: Any) -> None:
            assert tuple(await connection.fetchrow(sql, *values)) == tuple(expected)

        self.run(check, **options)

    def password(self) -> None:
        self.gives("select 1", [1])

    def tls(self) -> None:
        import ssl

        self.gives("select 1", [1], ssl=ssl.create_default_context(cafile=self.place.authority))

    def parameters(self) -> None:
        self.gives("select $1::int + 1, $2::varchar, $3::date", [42, "it's", TIMES[0]], 41, "it's", TIMES[0])

    def prepared(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            statement = await connection.prepare("select $1::bigint * 2")
            for number in range(12):
                assert await statement.fetchval(number) == number * 2

        self.run(check)

    def numbers(self) -> None:
        self.gives(NUMBERS_SQL, NUMBERS)

    def texts(self) -> None:
        self.gives(TEXTS_SQL, TEXTS)

    def times(self) -> None:
        self.gives(TIMES_SQL, TIMES)

    def others(self) -> None:
        self.gives(OTHERS_SQL, [True, UUID, '{"a": [1]}'])

    def arrays(self) -> None:
        self.gives(ARRAYS_SQL, ARRAYS)
        self.gives("select list_sum($1::int[]), $2::text[]", [6, ["a", "b"]], [1, 2, 3], ["a", "b"])

    def nulls(self) -> None:
        self.gives("select null, null::int, null::timestamp, $1::int", [None] * 4, None)

    def transactions(self) -> None:
        async def check(connection: Any, other: Any) -> None:
            await connection.execute(f"create table {self.place.table} (a int)")
            with pytest.raises(ZeroDivisionError):
                async with connection.transaction():
                    await connection.execute(f"insert into {self.place.table} values (1)")
                    raise ZeroDivisionError
            assert await other.fetchval(f"select count(*) from {self.place.table}") == 0

        self.run(check)

    def savepoints(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            import asyncpg

            async with connection.transaction():
                with pytest.raises(asyncpg.UndefinedTableError):
                    async with connection.transaction():
                        await connection.execute("select * from no_such_table")
                assert await connection.fetchval("select 1") == 1

        self.run(check)

    def errors(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            import asyncpg

            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetch("select * from no_such_table")
            with pytest.raises(asyncpg.InvalidTextRepresentationError):
                await connection.fetch("select 'x'::int")

        self.run(check)

    def portions(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            async with connection.transaction():
                cursor = await connection.cursor(PORTIONS_SQL)
                assert [len(await cursor.fetch(4000)) for _ in range(4)] == [4000, 4000, 2000, 0]

        self.run(check)

    def batch(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            await connection.execute(f"create table {self.place.table} (a int, b varchar)")
            await connection.executemany(f"insert into {self.place.table} values ($1, $2)",
                                         [(number, str(number)) for number in range(100)])
            assert await connection.fetchval(f"select sum(a)::int from {self.place.table}") == 4950

        self.run(check)

    def several(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            table = self.place.table
            await connection.execute(f"create table {table} (a int); insert into {table} values (1)")
            assert await connection.fetchval(f"select a from {table}") == 1

        self.run(check)

    def copy_in(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            await connection.execute(f"create table {self.place.table} (a int, b varchar, c timestamptz)")
            await connection.copy_records_to_table(self.place.table, records=[(1, "x", TIMES[2]), (2, None, None)])
            assert [tuple(row) for row in await connection.fetch(f"select * from {self.place.table} order by a")] == [
                (1, "x", TIMES[2]), (2, None, None)]

        self.run(check)

    def copy_out(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            written = io.BytesIO()
            await connection.copy_from_query("select 1, 'a,b'", output=written, format="csv")
            assert written.getvalue() == b'1,"a,b"\n'

        self.run(check)

    def notify(self) -> None:
        async def check(connection: Any, other: Any) -> None:
            told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
            await connection.add_listener("news", lambda *found: told.put_nowait(found[2:]))
            await other.execute("notify news, 'hello'")
            assert await asyncio.wait_for(told.get(), 20) == ("news", "hello")

        self.run(check)

    def cancel(self) -> None:
        async def check(connection: Any, _: Any) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await connection.fetch(ENDLESS, timeout=0.2)
            assert await connection.fetchval("select 1") == 1

        self.run(check)
