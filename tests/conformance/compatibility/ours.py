"""febe's own client."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

import febe
from tests.conformance.compatibility.drivers import (
    ARRAYS,
    ARRAYS_SQL,
    NUMBERS,
    NUMBERS_SQL,
    OTHERS_SQL,
    PORTIONS_SQL,
    TEXTS,
    TEXTS_SQL,
    TIMES,
    TIMES_SQL,
)
from tests.conformance.compatibility.features import Client


class Febe(Client):
    name = "febe"

    def open(self, **options: str) -> Any:
        return febe.connect(self.place.dsn(**options))

    def gives(self, sql: str, expected: Sequence[object], *values: object) -> None:
        with self.open() as connection:
            assert tuple(connection.fetchrow(sql, *values)) == tuple(expected)

    def password(self) -> None:
        self.gives("select 1", [1])

    def tls(self) -> None:
        with self.open(sslmode="verify-full", sslrootcert=self.place.authority) as connection:
            assert connection.fetchval("select 1") == 1

    def parameters(self) -> None:
        self.gives("select $1::int + 1, $2::varchar, $3::date", [42, "it's", TIMES[0]], 41, "it's", TIMES[0])

    def prepared(self) -> None:
        with self.open() as connection, connection.prepare("select $1::bigint * 2") as statement:
            assert [statement.fetchval(number) for number in range(12)] == [number * 2 for number in range(12)]

    def numbers(self) -> None:
        self.gives(NUMBERS_SQL, NUMBERS)

    def texts(self) -> None:
        self.gives(TEXTS_SQL, TEXTS)

    def times(self) -> None:
        self.gives(TIMES_SQL, TIMES)

    def others(self) -> None:
        self.gives(OTHERS_SQL, [True, uuid.UUID("12345678-1234-5678-1234-567812345678"), {"a": [1]}])

    def arrays(self) -> None:
        self.gives(ARRAYS_SQL, ARRAYS)

    def nulls(self) -> None:
        self.gives("select null, null::int, $1::int", [None] * 3, None)

    def transactions(self) -> None:
        with self.open() as connection:
            connection.execute(f"create table {self.place.table} (a int)")
            with pytest.raises(ZeroDivisionError), connection.transaction():
                connection.execute(f"insert into {self.place.table} values (1)")
                raise ZeroDivisionError
            assert connection.fetchval(f"select count(*) from {self.place.table}") == 0

    def savepoints(self) -> None:
        with self.open() as connection, connection.transaction():
            with pytest.raises(febe.PostgresError), connection.transaction():
                connection.execute("select * from no_such_table")
            assert connection.fetchval("select 1") == 1

    def errors(self) -> None:
        with self.open() as connection, pytest.raises(febe.errors.UndefinedTable):
            connection.fetch("select * from no_such_table")

    def portions(self) -> None:
        with self.open() as connection, connection.stream(PORTIONS_SQL, size=4000) as stream:
            assert [row.i for batch in stream for row in batch] == list(range(1, 10001))

    def batch(self) -> None:
        with self.open() as connection:
            connection.execute(f"create table {self.place.table} (a int, b varchar)")
            connection.executemany(f"insert into {self.place.table} values ($1, $2)",
                                   [(number, str(number)) for number in range(100)])
            assert connection.fetchval(f"select sum(a)::int from {self.place.table}") == 4950

    def several(self) -> None:
        with self.open() as connection:
            table = self.place.table
            connection.execute(f"create table {table} (a int); insert into {table} values (1)")
            assert connection.fetchval(f"select a from {table}") == 1

    def copy_in(self) -> None:
        with self.open() as connection:
            connection.execute(f"create table {self.place.table} (a int, b varchar)")
            connection.copy_in(self.place.table, [(1, "x"), (2, None)])
            assert [tuple(row) for row in connection.fetch(f"select * from {self.place.table} order by a")] == [
                (1, "x"), (2, None)]

    def copy_out(self) -> None:
        with self.open() as connection, connection.copy_out_bytes(
                "copy (select 1, 'a,b') to stdout (format csv)") as out:
            assert b"".join(piece for pieces in out for piece in pieces) == b'1,"a,b"\n'

    def notify(self) -> None:
        with self.open() as listener, self.open() as other, listener.listen("news") as heard:
            other.execute("notify news, 'hello'")
            found = next(heard)
            assert (found.channel, found.payload) == ("news", "hello")

    def large_objects(self) -> None:
        with self.open() as connection, connection.transaction():
            oid = connection.create_large_object()
            with connection.large_object(oid, "w+") as made:
                made.write(b"hello")
                made.seek(0)
                assert made.read(5) == b"hello"
            connection.unlink_large_object(oid)
