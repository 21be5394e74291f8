"""Cursors: parameters, results, streams."""

from __future__ import annotations

import pickle
from decimal import Decimal
from uuid import UUID

import pytest

from febe import dbapi
from febe.client.dbapi.placeholders import bound
from febe.errors import EncodeError, PostgresError, UndefinedTable, UniqueViolation
from tests.peers.postgres import Postgres


@pytest.mark.parametrize(("sql", "parameters", "expected"), [
    ("a %s b %s", (1, 2), ("a $1 b $2", (1, 2))),
    ("%(x)s %(y)s %(x)s", {"x": 1, "y": 2, "z": 3}, ("$1 $2 $1", (1, 2))),
    ("'%%' like %s", [5], ("'%' like $1", (5,))),
    ("%b %t", (1, 2), ("$1 $2", (1, 2))),
    ("nothing", (), ("nothing", ())), ("nothing", {}, ("nothing", ()))])
def test_parameters(sql: str, parameters: object, expected: object) -> None:
    assert bound(sql, parameters) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(("sql", "parameters"), [
    ("%d", (1,)), ("50%", (1,)), ("%s %(x)s", (1,)), ("%s", (1, 2)), ("%s", ()), ("%(x)s", {}), ("%(x)s", (1,)),
    ("%s", {"x": 1}), ("%s", "x"), ("none", (1,))])
def test_parameters_that_do_not_fit(sql: str, parameters: object) -> None:
    with pytest.raises(dbapi.ProgrammingError):
        bound(sql, parameters)  # type: ignore[arg-type]


def test_rows_one_by_one_and_together(connection: dbapi.Connection) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("select n as a, n * %s as b from generate_series(1, 7) n", (10,)).fetchone().b == 10
        cursor.arraysize = 2
        assert cursor.fetchmany() == [(2, 20), (3, 30)]
        assert (cursor.rownumber, cursor.rowcount, cursor.statusmessage) == (3, 7, "SELECT 7")
        cursor.scroll(-2)
        assert cursor.fetchone() == (2, 20)
        cursor.scroll(5, "absolute")
        assert list(cursor) == [(6, 60), (7, 70)]
        assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])
        for place, mode in ((9, "relative"), (-1, "absolute")):
            with pytest.raises(IndexError):
                cursor.scroll(place, mode)
        with pytest.raises(dbapi.ProgrammingError):
            cursor.scroll(0, "sideways")
    with pytest.raises(dbapi.InterfaceError):
        cursor.fetchone()


def test_columns_are_described(connection: dbapi.Connection) -> None:
    cursor = connection.execute("select 1.5::numeric(7, 2) as n, 1.5::numeric(3, -2), 'x'::varchar(5), 'y'::char(3), "
                                "1::int4, 'z'::text, now(), '\\x'::bytea, 1::oid, 1::numeric")
    assert cursor.description is not None
    assert [column[1:6] for column in cursor.description] == [
        (1700, None, None, 7, 2), (1700, None, None, 3, -2), (1043, 5, None, None, None), (1042, 3, None, None, None),
        (23, None, 4, None, None), (25, None, None, None, None), (1184, None, 8, None, None),
        (17, None, None, None, None), (26, None, 4, None, None), (1700, None, None, None, None)]
    codes = [column.type_code for column in cursor.description]
    for kind, expected in ((dbapi.NUMBER, {0, 1, 4, 9}), (dbapi.STRING, {2, 3, 5}), (dbapi.DATETIME, {6}),
                           (dbapi.BINARY, {7}), (dbapi.ROWID, {8})):
        assert {place for place, code in enumerate(codes) if code == kind} == expected
        assert kind != "text" and repr(kind).isupper()


def test_several_results(connection: dbapi.Connection) -> None:
    cursor = connection.execute("create temp table t (a int4); insert into t values (1), (2); select a from t")
    assert (cursor.statusmessage, cursor.rowcount, cursor.description) == ("CREATE TABLE", -1, None)
    assert cursor.nextset() and cursor.rowcount == 2
    assert cursor.nextset() and cursor.fetchall() == [(1,), (2,)]
    assert cursor.nextset() is None
    assert cursor.execute("").description is None


def test_many(connection: dbapi.Connection) -> None:
    cursor = connection.execute("create temp table t (a int4 primary key, b numeric)")
    cursor.executemany("insert into t values (%s, %s)", ((n, Decimal(n) / 4) for n in range(12000)))
    assert cursor.rowcount == 12000
    assert cursor.executemany("update t set b = 0 where a < %(x)s", [{"x": 5}, {"x": 3}]).rowcount == 8
    assert cursor.executemany("delete from t where a = %s", []).rowcount == 0
    assert connection.execute("select count(*), sum(b) from t").fetchone() == (12000, Decimal("17998497.5"))


def test_errors_are_in_families(connection: dbapi.Connection) -> None:
    connection.execute("create temp table t (a int4 primary key); insert into t values (1)")
    connection.commit()
    for sql, parameters, family in (
            ("insert into t values (%s)", (1,), dbapi.IntegrityError), ("select * from nowhere", (), UndefinedTable),
            ("select 1 / %s::int4", (0,), dbapi.DataError), ("selec", (), dbapi.ProgrammingError),
            ("select %s::int4", ("x",), EncodeError), ("select %s::int4", ("x",), dbapi.DataError),
            ("savepoint a; rollback to savepoint b", None, dbapi.InternalError),
            ("set transaction isolation level serializable; set local statement_timeout = 1; select pg_sleep(9)", None,
             dbapi.OperationalError), ("copy t to stdout", None, dbapi.NotSupportedError)):
        with pytest.raises(family) as caught:
            connection.execute(sql, parameters)
        connection.rollback()
        assert isinstance(caught.value, dbapi.Error)
    with pytest.raises(UniqueViolation) as duplicate:
        connection.execute("insert into t values (1)")
    again = pickle.loads(pickle.dumps(duplicate.value))
    assert (type(again), again.constraint_name, str(again)) == (UniqueViolation, "t_pkey", str(duplicate.value))


def test_functions_are_called(connection: dbapi.Connection) -> None:
    connection.execute('create function pg_temp."Twice"(n int4) returns int4 return n * 2')
    cursor = connection.cursor()
    assert cursor.callproc("pg_temp.Twice", [21]) == [21]
    assert cursor.fetchall() == [(42,)]
    assert cursor.callproc("version") == () and "PostgreSQL" in cursor.fetchone()[0]
    with pytest.raises(dbapi.ProgrammingError):
        cursor.callproc('lower"(); drop table t; --')


def test_a_stream(connection: dbapi.Connection) -> None:
    with connection.cursor(size=3) as cursor:
        cursor.execute("select generate_series(1, %s::int4)", (10,))
        assert cursor.description is not None and cursor.server_side
        assert cursor.fetchmany(5) == [(1,), (2,), (3,), (4,), (5,)]
        assert connection.execute("select 'beside'").fetchone() == ("beside",)
        assert (cursor.fetchone(), cursor.rownumber) == ((6,), 6)
        assert cursor.fetchall() == [(7,), (8,), (9,), (10,)]
        assert (cursor.fetchone(), cursor.fetchmany(2)) == (None, [])
        cursor.execute("select generate_series(1, 100)")
        assert cursor.fetchone() == (1,)
        for refused in (lambda: cursor.scroll(1), lambda: cursor.executemany("select %s", [(1,)])):
            with pytest.raises(dbapi.ProgrammingError):
                refused()
    assert connection.execute("select count(*) from pg_cursors").fetchone() == (0,)


def test_a_stream_begins_one_transaction(pg18: Postgres) -> None:
    notices: list[PostgresError] = []
    with dbapi.connect(pg18.dsn(), on_notice=notices.append) as connection:
        for _ in range(3):
            with connection.cursor(size=2) as cursor:
                assert len(cursor.execute("select generate_series(1, 5)").fetchall()) == 5
            connection.rollback()
    assert notices == []


def test_a_stream_that_fails(connection: dbapi.Connection) -> None:
    cursor = connection.cursor(size=2)
    with pytest.raises(dbapi.DataError):
        cursor.execute("select 1 / (3 - n) from generate_series(1, 5) n").fetchall()
    cursor.close()
    connection.rollback()
    connection.autocommit = True
    with connection.cursor(size=2) as outside:
        assert outside.execute("select generate_series(1, 5)").fetchmany(3) == [(1,), (2,), (3,)]
    assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("cache", [100, 0])
def test_a_parameter_that_stands_alone_has_its_values_type(pg18: Postgres, cache: int) -> None:
    with dbapi.connect(pg18.dsn(), statement_cache_size=cache) as connection:
        for values in ((5, "x", True), (5, "x", None), ("5", "y", False), (Decimal("1.5"), "z", UUID(int=7))):
            assert connection.execute("select %s, %s, %s", values).fetchone() == values
        connection.execute("create temp table t (a text)")
        connection.execute("insert into t values (%s)", (5,))
        assert connection.execute("select a from t").fetchone() == ("5",)
        with pytest.raises(dbapi.ProgrammingError):
            connection.execute("select 1 from t where a = %s", (5,))
        connection.rollback()
        with pytest.raises(EncodeError):
            connection.execute("select %s", (object(),))
        with pytest.raises(EncodeError):
            connection.execute("select %s::int4", ("x",))
