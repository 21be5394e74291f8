"""Lists of DuckDB's as arrays of PostgreSQL's, there and back."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest

from tests.peers.febe_server import FebeServer

psycopg = pytest.importorskip("psycopg")

VALUES: list[tuple[str, list[Any]]] = [
    ("smallint", [1, -2]), ("integer", [1, None, 3]), ("bigint", [2**62]), ("double", [0.5, float("inf")]),
    ("varchar", ["a", "", "NULL", 'it\'s "so", {\\}', None, " "]), ("boolean", [True, None, False]),
    ("date", [datetime.date(2024, 2, 29), None]), ("blob", [b"\x00\xff", b""]),
    ("timestamp", [datetime.datetime(2024, 2, 29, 1, 2, 3, 4)]),
    ("timestamptz", [datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC)]),
    ("decimal(6, 2)", [decimal.Decimal("1.50"), None]), ("integer", []),
]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("name", "value"), VALUES)
def test_there_and_back(febe_server: FebeServer, name: str, value: list[Any], binary: bool) -> None:
    with psycopg.connect(febe_server.dsn(), autocommit=True) as connection:
        connection.execute(f"create temp table lists (a integer, b {name}[], c json)")
        connection.execute("insert into lists values (1, %b, '{ \"kept\" : 1 }')" if binary else
                           "insert into lists values (1, %t, '{ \"kept\" : 1 }')", [value])
        form = "(format binary)" if binary else ""
        with connection.cursor().copy(f"copy (select a, b from lists) to stdout {form}") as copy:
            copied = b"".join(copy)
        with connection.cursor().copy(f"copy lists (a, b) from stdin {form}") as copy:
            copy.write(copied)
        connection.execute("insert into lists (a, b) values (2, null)")
        rows = connection.execute("select b, c::text from lists order by a", binary=binary).fetchall()
        assert rows == [(value, '{ "kept" : 1 }'), (value, None), (None, None)]
        with connection.transaction(), connection.cursor("c", binary=binary) as cursor:
            cursor.execute("select b from lists order by a")
            assert cursor.fetchall() == [(value,), (value,), (None,)]


def test_lists_of_lists_are_text(febe_server: FebeServer) -> None:
    with psycopg.connect(febe_server.dsn()) as connection:
        assert connection.execute("select [[1], [2, 3]], [{'a': 1}]").fetchone() == ("[[1], [2, 3]]", "[{'a': 1}]")
