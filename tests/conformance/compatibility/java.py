"""pgJDBC, called from Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.conformance.compatibility.drivers import (
    ARRAYS_SQL,
    NUMBERS,
    NUMBERS_SQL,
    OTHERS_SQL,
    PORTIONS_SQL,
    TEXTS,
    TEXTS_SQL,
    TIMES_SQL,
    UUID,
)
from tests.conformance.compatibility.features import ENDLESS, PASSWORD, Client
from tests.conformance.test_clients import again_and_again
from tests.peers import jdbc


class Jdbc(Client):
    name = "pgJDBC"
    properties: dict[str, str] = {}  # noqa: RUF012

    @contextlib.contextmanager
    def connection(self, **properties: str) -> Iterator[Any]:
        connection = jdbc.connect(f"jdbc:postgresql://{self.place.host}:{self.place.port}/demo", user="demo",
                                  password=PASSWORD, **self.properties, **properties)
        try:
            yield connection
        finally:
            connection.close()

    def do(self, connection: Any, *statements: str) -> None:
        for sql in statements:
            statement = connection.createStatement()
            statement.execute(sql)
            statement.close()

    def row(self, connection: Any, sql: str) -> Any:
        """The result, on its first row."""
        results = connection.prepareStatement(sql).executeQuery()
        assert results.next()
        return results

    def password(self) -> None:
        with self.connection() as connection:
            assert self.row(connection, "select 1").getInt(1) == 1

    def tls(self) -> None:
        with self.connection(sslmode="verify-full", sslrootcert=self.place.authority) as connection:
            assert self.row(connection, "select 1").getInt(1) == 1

    def parameters(self) -> None:
        import jpype

        with self.connection() as connection:
            statement = connection.prepareStatement("select ?::int + 1, ?::varchar, ?::date")
            statement.setInt(1, 41)
            statement.setString(2, "it's")
            statement.setDate(3, jpype.JClass("java.sql.Date").valueOf("2024-02-29"))
            results = statement.executeQuery()
            assert results.next()
            assert (results.getInt(1), results.getString(2), str(results.getDate(3))) == (42, "it's", "2024-02-29")

    def prepared(self) -> None:
        """From the fifth time on it is prepared at the server, and asks for binary results."""
        with self.connection() as connection:
            statement = connection.prepareStatement("select ?::bigint * 2, ?::float8, now() > ?::timestamptz")
            for number in range(12):
                statement.setLong(1, number)
                statement.setDouble(2, number / 4)
                statement.setString(3, "2024-01-02 03:04:05+00")
                results = statement.executeQuery()
                assert results.next()
                assert (results.getLong(1), results.getDouble(2), results.getBoolean(3)) == (number * 2, number / 4,
                                                                                             True)

    def again(self, sql: str, check: Any) -> None:
        """In text and in binary."""
        for threshold in ("0", "-1"):
            with self.connection(prepareThreshold=threshold) as connection:
                check(self.row(connection, sql))

    def numbers(self) -> None:
        def check(row: Any) -> None:
            assert (row.getShort(1), row.getInt(2), row.getLong(3), row.getDouble(4)) == NUMBERS[:4]
            assert str(row.getBigDecimal(5)) == str(NUMBERS[4])

        self.again(NUMBERS_SQL, check)

    def texts(self) -> None:
        def check(row: Any) -> None:
            assert (row.getString(1), bytes(int(one) & 255 for one in row.getBytes(2))) == TEXTS

        self.again(TEXTS_SQL, check)

    def times(self) -> None:
        def check(row: Any) -> None:
            import jpype

            local = jpype.JClass("java.time.LocalDateTime")
            assert str(row.getDate(1)) == "2024-02-29"
            assert str(row.getObject(2, local)) == "1999-12-31T23:59:59.999999"
            assert row.getTimestamp(3).getTime() == 1704164645000

        self.again(TIMES_SQL, check)

    def others(self) -> None:
        def check(row: Any) -> None:
            assert (row.getBoolean(1), str(row.getObject(2)), row.getString(3)) == (True, str(UUID), '{"a": [1]}')

        self.again(OTHERS_SQL, check)

    def arrays(self) -> None:
        def check(row: Any) -> None:
            assert [None if one is None else int(one) for one in row.getArray(1).getArray()] == [1, None, 3]
            assert [str(one) for one in row.getArray(2).getArray()] == ["a", "it's, \"so\""]

        self.again(ARRAYS_SQL, check)

    def nulls(self) -> None:
        def check(row: Any) -> None:
            assert row.getInt(1) == 0
            assert row.wasNull()
            assert row.getString(2) is None

        self.again("select null::int, null::text", check)

    def transactions(self) -> None:
        table = self.place.table
        with self.connection() as connection:
            self.do(connection, f"create table {table} (a int)")
            connection.setAutoCommit(False)
            self.do(connection, f"insert into {table} values (1)")
            connection.rollback()
            self.do(connection, f"insert into {table} values (2)")
            connection.commit()
            assert self.row(connection, f"select sum(a) from {table}").getInt(1) == 2

    def savepoints(self) -> None:
        import jpype

        with self.connection() as connection:
            connection.setAutoCommit(False)
            savepoint = connection.setSavepoint()
            try:
                self.do(connection, "select * from no_such_table")
            except jpype.JException:
                connection.rollback(savepoint)
            assert self.row(connection, "select 1").getInt(1) == 1
            connection.commit()

    def sqlstate(self, connection: Any, sql: str) -> str | None:
        import jpype

        try:
            self.do(connection, sql)
        except jpype.JClass("java.sql.SQLException") as error:
            return str(error.getSQLState())
        return None

    def errors(self) -> None:
        with self.connection() as connection:
            assert self.sqlstate(connection, "select * from no_such_table") == "42P01"
            assert self.sqlstate(connection, "select 'x'::int") == "22P02"

    def portions(self) -> None:
        """A portal with a row limit."""
        with self.connection() as connection:
            connection.setAutoCommit(False)
            statement = connection.prepareStatement(PORTIONS_SQL)
            statement.setFetchSize(300)
            results = statement.executeQuery()
            rows = 0
            while results.next():
                rows += 1
                assert results.getInt(1) == rows
            assert rows == 10000
            connection.commit()

    def batch(self) -> None:
        table = self.place.table
        with self.connection() as connection:
            self.do(connection, f"create table {table} (a int, b varchar)")
            statement = connection.prepareStatement(f"insert into {table} values (?, ?)")
            for number in range(100):
                statement.setInt(1, number)
                statement.setString(2, str(number))
                statement.addBatch()
            assert list(statement.executeBatch()) == [1] * 100
            assert self.row(connection, f"select sum(a) from {table}").getInt(1) == 4950

    def several(self) -> None:
        with self.connection() as connection:
            statement = connection.createStatement()
            assert statement.execute("select 1; select 2")
            assert statement.getMoreResults()
            results = statement.getResultSet()
            assert results.next()
            assert results.getInt(1) == 2

    def copy_in(self) -> None:
        import jpype

        with self.connection() as connection:
            self.do(connection, f"create table {self.place.table} (a int, b varchar)")
            reader = jpype.JClass("java.io.StringReader")("1\tx\n2\t\\N\n")
            assert connection.getCopyAPI().copyIn(f"copy {self.place.table} from stdin", reader) == 2

    def copy_out(self) -> None:
        import jpype

        with self.connection() as connection:
            written = jpype.JClass("java.io.StringWriter")()
            connection.getCopyAPI().copyOut("copy (select 1, 'a,b') to stdout (format csv)", written)
            assert str(written.toString()) == '1,"a,b"\n'

    def notify(self) -> None:
        with self.connection() as listener, self.connection() as other:
            self.do(listener, "listen news")
            self.do(other, "notify news, 'hello'")
            (found,) = listener.getNotifications(20000)
            assert (found.getName(), found.getParameter()) == ("news", "hello")

    def large_objects(self) -> None:
        with self.connection() as connection:
            connection.setAutoCommit(False)
            manager = connection.getLargeObjectAPI()
            oid = manager.createLO()
            made = manager.open(oid)
            made.write(b"hello")
            made.close()
            made = manager.open(oid)
            assert bytes(made.read(5)) == b"hello"
            made.close()
            manager.delete(oid)
            connection.commit()

    def cancel(self) -> None:
        with self.connection() as connection:
            statement = connection.createStatement()
            import jpype

            with again_and_again(statement.cancel):
                try:
                    statement.execute(ENDLESS)
                except jpype.JClass("java.sql.SQLException") as error:
                    assert error.getSQLState() == "57014"
                else:
                    raise AssertionError("it was not cancelled")

    def metadata(self) -> None:
        with self.connection() as connection:
            self.do(connection, f"create table {self.place.table} (a int not null, b varchar)")
            found = connection.getMetaData()
            tables = found.getTables(None, None, self.place.table, None)
            assert tables.next()
            assert tables.getString("TABLE_TYPE") == "TABLE"
            columns = found.getColumns(None, None, self.place.table, None)
            names = []
            while columns.next():
                names.append((columns.getString("COLUMN_NAME"), columns.getString("TYPE_NAME")))
            assert names == [("a", "int4"), ("b", "text")]


class JdbcSimple(Jdbc):
    name = "pgJDBC, simple protocol"
    properties = {"preferQueryMode": "simple"}  # noqa: RUF012

    portions = None  # type: ignore[assignment]
