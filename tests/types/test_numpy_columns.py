"""A result's columns as numpy arrays: the values are those that Arrow's own library reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from febe.types.arrow_rows import ArrowOptions, ArrowTable
from febe.types.numpy_columns import numpy_columns
from tests.peers.postgres import Postgres

from .wire_rows import arrow

np = pytest.importorskip("numpy")
psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with psycopg.connect(pg18.dsn(), autocommit=True) as connection:
        connection.execute("drop type if exists hue")
        connection.execute("create type hue as enum ('red', 'grün')")
        yield connection


SQL = """select i::int2 a, i::int4 b, i::int8 c, i::oid d, i / 4.0::float4 e, i / 4.0::float8 f, i % 3 = 0 g,
    '2000-01-01'::date + i h, '2000-01-01'::timestamp + i * interval '1 s' j, interval '1 mon 2 days 3 us' k,
    '00:00:01'::time + i * interval '1 s' l, ('00000000-0000-0000-0000-' || lpad(i::text, 12, '0'))::uuid m,
    repeat('ä€😀', i % 4) || i n, i * 1.5 o, case when i % 2 > 0 then i end p, case when i % 5 > 0 then 'ü' || i end q,
    (array['red', 'grün'])[1 + i % 2]::hue r, decode(lpad(to_hex(i), 4, '0') || '00', 'hex') s
    from generate_series(1, 1000) i"""


@pytest.mark.parametrize("rows", [1 << 16, 300])
def test_columns(connection: Any, rows: int) -> None:
    found = numpy_columns(arrow(connection, SQL, rows=rows))
    numbers = np.arange(1, 1001)
    for name, kind in (("a", "i2"), ("b", "i4"), ("c", "i8"), ("d", "u4")):
        assert found[name].dtype == kind
        assert (found[name] == numbers).all()
    assert (found["e"] == numbers / 4).all()
    assert (found["f"] == numbers / 4).all()
    assert (found["g"] == (numbers % 3 == 0)).all()
    assert found["g"].dtype == bool
    assert (found["h"] == np.datetime64("2000-01-01") + numbers).all()
    assert (found["j"] == np.datetime64("2000-01-01", "us") + numbers * np.timedelta64(1, "s")).all()
    assert found["k"][0].item() == (1, 2, 3000)
    assert (found["l"] == (numbers + 1) * np.timedelta64(1, "s")).all()
    assert found["l"].dtype == "m8[us]"
    assert UUID(bytes=found["m"][998].item()) == UUID(int=0x999)
    assert isinstance(found["n"].dtype, np.dtypes.StringDType)
    assert found["n"].tolist() == ["ä€😀" * (i % 4) + str(i) for i in range(1, 1001)]
    assert (found["o"].astype(float) == numbers * 1.5).all()
    assert found["p"].mask.tolist() == [i % 2 == 0 for i in range(1, 1001)]
    assert found["p"].compressed().tolist() == list(range(1, 1001, 2))
    assert found["q"].mask.tolist() == [i % 5 == 0 for i in range(1, 1001)]
    assert found["q"].data[0] == "ü1"
    assert found["r"].tolist() == [("red", "grün")[i % 2] for i in range(1, 1001)]
    assert found["s"].tolist() == [bytes([i >> 8, i & 255, 0]) for i in range(1, 1001)]


def test_numbers_are_not_copied(connection: Any) -> None:
    table = arrow(connection, "select i::int8 x from generate_series(1, 10) i")
    buffer = table.batches[0].columns[0].buffers[1]
    assert np.shares_memory(numpy_columns(table)["x"], np.frombuffer(buffer, "i8"))


def test_long_texts_take_little_room(connection: Any) -> None:
    sql = "select case i when 7 then repeat('x', 3000000) else 'a' end x from generate_series(1, 10) i"
    (column,) = numpy_columns(arrow(connection, sql)).values()
    assert [len(value) for value in column] == [1] * 6 + [3000000] + [1] * 3


def test_no_rows(connection: Any) -> None:
    table = arrow(connection, SQL + " limit 0")
    found = numpy_columns(table)
    assert {name: (column.dtype.kind, len(column)) for name, column in found.items() if name in "abn"} == {
        "a": ("i", 0), "b": ("i", 0), "n": ("T", 0)}  # fmt: skip
    with pytest.raises(ValueError, match="no batch"):
        numpy_columns([])


@pytest.mark.parametrize("sql", ["select 1.5::numeric(5,2) x", "select array[1] x"])
def test_what_numpy_has_not(connection: Any, sql: str) -> None:
    with pytest.raises(TypeError, match=r'column "x" of Arrow format .* has no numpy array'):
        numpy_columns(arrow(connection, sql))
    told = numpy_columns(arrow(connection, "select 1.5::numeric(5,2) x", ArrowOptions(numeric="text")))
    assert told["x"].tolist() == ["1.50"]


def test_of_batches(connection: Any) -> None:
    table = arrow(connection, "select i x from generate_series(1, 10) i", rows=4)
    assert numpy_columns(iter(table.batches))["x"].tolist() == list(range(1, 11))
    assert isinstance(table, ArrowTable)


def test_numpy_is_imported_when_asked_for() -> None:
    code = "import sys, febe.types.numpy_columns, febe.types.copy; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
