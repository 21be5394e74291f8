"""What is made on drivers: SQLAlchemy, pandas, Polars, ADBC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.compatibility.drivers import (
    ARRAYS,
    ARRAYS_SQL,
    NUMBERS,
    NUMBERS_SQL,
    PORTIONS_SQL,
    TEXTS,
    TEXTS_SQL,
    TIMES,
    TIMES_SQL,
)
from tests.conformance.compatibility.features import Client


class SQLAlchemy(Client):
    name = "SQLAlchemy"

    @contextlib.contextmanager
    def engine(self, **options: str) -> Iterator[Any]:
        import sqlalchemy

        engine = sqlalchemy.create_engine(self.place.dsn(**options).replace("postgresql:", "postgresql+psycopg:"))
        try:
            yield engine
        finally:
            engine.dispose()

    def one(self, sql: str, **values: object) -> tuple[Any, ...]:
        import sqlalchemy

        with self.engine() as engine, engine.connect() as connection:
            return tuple(connection.execute(sqlalchemy.text(sql.replace(":", "\\:").replace("@", ":")), values).one())

    def password(self) -> None:
        assert self.one("select 1") == (1,)

    def tls(self) -> None:
        with self.engine(sslmode="verify-full", sslrootcert=self.place.authority) as engine, engine.connect() as one:
            assert one.connection.pgconn.ssl_in_use

    def parameters(self) -> None:
        assert self.one("select @a::int + 1, @b::varchar", a=41, b="it's") == (42, "it's")

    def numbers(self) -> None:
        assert self.one(NUMBERS_SQL) == NUMBERS

    def texts(self) -> None:
        assert self.one(TEXTS_SQL) == TEXTS

    def times(self) -> None:
        assert self.one(TIMES_SQL) == TIMES

    def arrays(self) -> None:
        assert self.one(ARRAYS_SQL) == ARRAYS

    def nulls(self) -> None:
        assert self.one("select null::int, @a::int", a=None) == (None, None)

    def table(self) -> Any:
        import sqlalchemy

        return sqlalchemy.Table(self.place.table, sqlalchemy.MetaData(),
                                sqlalchemy.Column("a", sqlalchemy.Integer, primary_key=True, autoincrement=False),
                                sqlalchemy.Column("b", sqlalchemy.Text))

    def transactions(self) -> None:
        import sqlalchemy

        table = self.table()
        with self.engine() as engine:
            table.create(engine)
            with pytest.raises(ZeroDivisionError), engine.begin() as connection:
                connection.execute(table.insert(), {"a": 1, "b": "x"})
                raise ZeroDivisionError
            with engine.begin() as connection:
                found = connection.execute(table.insert().returning(table.c.b), {"a": 2, "b": "y"}).scalar_one()
                assert found == "y"
            with engine.connect() as connection:
                assert connection.execute(sqlalchemy.select(table.c.a)).scalars().all() == [2]

    def savepoints(self) -> None:
        import sqlalchemy

        with self.engine() as engine, engine.begin() as connection:
            with pytest.raises(sqlalchemy.exc.ProgrammingError), connection.begin_nested():
                connection.execute(sqlalchemy.text("select * from no_such_table"))
            assert connection.execute(sqlalchemy.text("select 1")).scalar_one() == 1

    def errors(self) -> None:
        import sqlalchemy

        with self.engine() as engine, engine.connect() as connection:
            with pytest.raises(sqlalchemy.exc.ProgrammingError) as raised:
                connection.execute(sqlalchemy.text("select * from no_such_table"))
            assert raised.value.orig.sqlstate == "42P01"

    def portions(self) -> None:
        import sqlalchemy

        sql = sqlalchemy.text(PORTIONS_SQL.replace(":", "\\:"))
        with self.engine() as engine, engine.connect() as connection:
            rows = connection.execution_options(stream_results=True, max_row_buffer=500).execute(sql)
            assert [row.i for row in rows] == list(range(1, 10001))

    def batch(self) -> None:
        import sqlalchemy

        table = self.table()
        with self.engine() as engine, engine.begin() as connection:
            table.create(connection)
            connection.execute(table.insert(), [{"a": number, "b": str(number)} for number in range(100)])
            assert connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)).scalar_one() == 100

    def metadata(self) -> None:
        import sqlalchemy

        with self.engine() as engine:
            self.table().create(engine)
            found = sqlalchemy.inspect(engine)
            assert self.place.table in found.get_table_names()
            columns = found.get_columns(self.place.table)
            assert [(one["name"], str(one["type"]), one["nullable"]) for one in columns] == [
                ("a", "INTEGER", False), ("b", "TEXT", True)]
            assert found.get_pk_constraint(self.place.table)["constrained_columns"] == ["a"]


class Pandas(SQLAlchemy):
    name = "pandas"

    # read by SQLAlchemy's connections
    transactions = savepoints = None  # type: ignore[assignment]

    def one(self, sql: str, **values: object) -> tuple[Any, ...]:
        import pandas
        import sqlalchemy

        text = sqlalchemy.text(sql.replace(":", "\\:").replace("@", ":"))
        with self.engine() as engine:
            frame = pandas.read_sql(text, engine, params=values)
        (row,) = frame.astype(object).itertuples(index=False)
        return tuple(row)

    def numbers(self) -> None:
        """pandas makes floats of numerics."""
        assert self.one(NUMBERS_SQL) == (*NUMBERS[:4], float(NUMBERS[4]))

    def times(self) -> None:
        date, plain, zoned = self.one(TIMES_SQL)
        assert (date, plain.to_pydatetime(), zoned.to_pydatetime()) == TIMES

    def nulls(self) -> None:
        import pandas

        assert all(map(pandas.isna, self.one("select null::int, null::text, null::timestamp")))

    def errors(self) -> None:
        import pandas

        with self.engine() as engine, pytest.raises(pandas.errors.DatabaseError, match="UndefinedTable"):
            pandas.read_sql("select * from no_such_table", engine)

    def portions(self) -> None:
        import pandas

        with self.engine() as engine, engine.connect().execution_options(stream_results=True) as connection:
            assert [len(one) for one in pandas.read_sql("select range as r from range(10000)", connection,
                                                        chunksize=4000)] == [4000, 4000, 2000]

    def batch(self) -> None:
        import pandas

        frame = pandas.DataFrame({"a": range(1000), "b": map(str, range(1000))})
        with self.engine() as engine:
            for method in (None, "multi"):
                frame.to_sql(self.place.table, engine, index=False, if_exists="replace", method=method)
                assert pandas.read_sql_table(self.place.table, engine).equals(
                    frame.astype(pandas.read_sql_table(self.place.table, engine).dtypes))

    def metadata(self) -> None:
        import pandas

        with self.engine() as engine:
            self.table().create(engine)
            assert list(pandas.read_sql_table(self.place.table, engine).columns) == ["a", "b"]


class Polars(Client):
    """Polars, by one of the two packages it reads through."""

    engine = ""

    def frame(self, sql: str, **options: str) -> Any:
        import polars

        return polars.read_database_uri(sql, self.place.dsn(**options), engine=self.engine)  # type: ignore[arg-type]

    def password(self) -> None:
        assert self.frame("select 1::int as a").rows() == [(1,)]

    def tls(self) -> None:
        assert self.frame("select 1::int as a", sslmode="require", sslrootcert=self.place.authority).rows() == [(1,)]

    def numbers(self) -> None:
        (row,) = self.frame(NUMBERS_SQL).rows()
        assert (*row[:4], float(row[4])) == (*NUMBERS[:4], float(NUMBERS[4]))

    def texts(self) -> None:
        assert self.frame(TEXTS_SQL).rows() == [TEXTS]

    def times(self) -> None:
        assert self.frame(TIMES_SQL).rows() == [TIMES]

    def arrays(self) -> None:
        assert self.frame(ARRAYS_SQL).rows() == [ARRAYS]

    def nulls(self) -> None:
        assert self.frame("select null::int as a, null::text as b, null::timestamp as c").rows() == [(None,) * 3]

    def portions(self) -> None:
        assert self.frame(PORTIONS_SQL)["i"].sum() == 50005000


class PolarsConnectorx(Polars):
    name = "Polars, ConnectorX"
    engine = "connectorx"


class PolarsAdbc(Polars):
    name = "Polars, ADBC"
    engine = "adbc"

    def batch(self) -> None:
        import polars

        frame = polars.DataFrame({"a": range(1000), "b": [str(number) for number in range(1000)]})
        frame.write_database(self.place.table, self.place.dsn(), engine="adbc")
        assert self.frame(f"select * from {self.place.table} order by a").rows() == frame.rows()


class Adbc(Client):
    name = "ADBC"

    @contextlib.contextmanager
    def cursor(self, **options: str) -> Iterator[Any]:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.place.dsn(**options), autocommit=True) as connection, connection.cursor() as cursor:
            yield cursor

    def gives(self, sql: str, expected: tuple[object, ...], *values: object) -> None:
        with self.cursor() as cursor:
            cursor.execute(sql, values or None)
            assert cursor.fetchall() == [expected]

    def password(self) -> None:
        self.gives("select 1", (1,))

    def tls(self) -> None:
        with self.cursor(sslmode="verify-full", sslrootcert=self.place.authority) as cursor:
            cursor.execute("select 1")
            assert cursor.fetchall() == [(1,)]

    def parameters(self) -> None:
        self.gives("select $1::bigint + 1, $2::varchar", (42, "it's"), 41, "it's")

    def numbers(self) -> None:
        """numeric comes as text."""
        self.gives(NUMBERS_SQL, (*NUMBERS[:4], str(NUMBERS[4])))

    def texts(self) -> None:
        self.gives(TEXTS_SQL, TEXTS)

    def times(self) -> None:
        self.gives(TIMES_SQL, TIMES)

    def arrays(self) -> None:
        self.gives(ARRAYS_SQL, ARRAYS)

    def nulls(self) -> None:
        self.gives("select null::int, null::text", (None, None))

    def transactions(self) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"create table {self.place.table} (a int)")
            for statement in ("begin", f"insert into {self.place.table} values (1)", "rollback"):
                cursor.execute(statement)
            cursor.execute(f"select count(*) from {self.place.table}")
            assert cursor.fetchall() == [(0,)]

    def errors(self) -> None:
        from adbc_driver_postgresql import dbapi

        with self.cursor() as cursor, pytest.raises(dbapi.Error) as raised:
            cursor.execute("select * from no_such_table")
        assert raised.value.sqlstate == "42P01"

    def batch(self) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"create table {self.place.table} (a bigint, b varchar)")
            cursor.executemany(f"insert into {self.place.table} values ($1, $2)",
                               [(number, str(number)) for number in range(100)])
            cursor.execute(f"select sum(a)::bigint from {self.place.table}")
            assert cursor.fetchall() == [(4950,)]

    def copy_in(self) -> None:
        """`adbc_ingest` is a binary COPY."""
        import polars

        frame = polars.DataFrame({"a": range(1000), "b": [str(number) for number in range(1000)]})
        with self.cursor() as cursor:
            assert cursor.adbc_ingest(self.place.table, frame.to_arrow(), mode="create") == 1000

    def copy_out(self) -> None:
        """Every query is one, binary."""
        with self.cursor() as cursor:
            cursor.execute(PORTIONS_SQL)
            assert cursor.fetch_arrow_table().num_rows == 10000
