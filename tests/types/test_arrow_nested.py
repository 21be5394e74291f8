"""Lists and structs of Arrow to arrays and composites: what PostgreSQL makes of them is what they were."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from struct import pack
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import polars
import pyarrow as pa
import pytest

import febe
from febe._kernel import assembly
from febe._kernel.plan import Plan
from febe.errors import EncodeError
from febe.types.arrow import ArrowColumn, ArrowEncoder, ArrowError, ArrowValueError
from tests.peers.postgres import Postgres


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[febe.Connection[Any]]:
    with febe.connect(pg18.dsn()) as connection:
        connection.execute("create type colour as enum ('red', 'green'); "
                           "create domain positive as int4 check (value > 0); "
                           "create type point3 as (x float8, name text, tags colour[]); "
                           "create type line2 as (a point3, b positive)")
        yield connection
        connection.execute("drop table if exists pg_temp.nested; drop type line2; drop type point3; "
                           " drop type colour; drop domain positive")


def through(connection: Any, kind: str, array: pa.Array) -> list[Any]:
    """What a column of type `kind` holds that the array was copied into."""
    connection.execute(f"drop table if exists pg_temp.nested; create temp table nested (i int4, v {kind})")
    connection.copy_in("nested", pa.table({"v": array, "i": pa.array(range(len(array)), pa.int32())}), format="binary")
    return [row.v for row in connection.fetch("select v from nested order by i")]


WORDS = ["", "a", 'q"u', "{,}", "NULL", "\\", "ä€😀", None]
DICE = random.Random(20261121)


def some(values: list[Any], rows: int = 300) -> list[Any]:
    return [None if DICE.random() < 0.1 else [DICE.choice(values) for _ in range(DICE.randrange(5))]
            for _ in range(rows)]


ARRAYS = [
    ("int4[]", pa.int32(), [1, -7, None, 2**31 - 1]), ("int8[]", pa.int64(), [2**62, None, -1]),
    ("int2[]", pa.int64(), [1, None, -(2**15)]), ("text[]", pa.string(), WORDS), ("text[]", pa.large_string(), WORDS),
    ("varchar[]", pa.string_view(), [*WORDS, "longer than twelve bytes"]), ("float8[]", pa.float64(), [0.1, None]),
    ("float4[]", pa.float32(), [0.5, None]), ("bool[]", pa.bool_(), [True, False, None]),
    ("numeric[]", pa.decimal128(12, 3), [Decimal("1.500"), None, Decimal("-99.001")]),
    ("date[]", pa.date32(), [date(2024, 2, 29), None]), ("bytea[]", pa.binary(), [b"", b"\0\xff", None]),
    ("uuid[]", pa.binary(16), [UUID(int=5).bytes, None]), ("colour[]", pa.string(), ["red", None, "green"]),
    ("positive[]", pa.int32(), [1, 7]), ("jsonb[]", pa.string(), ["1", None]),
]


@pytest.mark.parametrize("layout", ["list_", "large_list"])
@pytest.mark.parametrize(("kind", "element", "values"), ARRAYS, ids=str)
def test_arrays(connection: Any, kind: str, element: Any, values: list[Any], layout: str) -> None:
    rows = some(values)
    array = pa.array(rows, getattr(pa, layout)(element))
    want = {"uuid[]": lambda one: UUID(bytes=one), "jsonb[]": int}.get(kind, lambda one: one)
    wanted = [None if row is None else [None if one is None else want(one) for one in row] for row in rows]
    assert through(connection, kind, array) == wanted
    assert through(connection, kind, array.slice(7, 101)) == wanted[7:108]


def test_arrays_of_one_size(connection: Any) -> None:
    rows = [[1.5, None, float(n)] if n % 4 else None for n in range(100)]
    array = pa.array(rows, pa.list_(pa.float64(), 3))
    assert through(connection, "float8[]", array) == rows
    assert through(connection, "float8[]", array.slice(3, 40)) == rows[3:43]
    words = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), pa.array(["x", "y", "x"]).dictionary_encode())
    assert through(connection, "text[]", words) == [["x", "y"], ["x"]]
    assert through(connection, "int4[]", pa.array([[None], []], pa.list_(pa.null()))) == [[None], []]


def test_composites(connection: Any) -> None:
    rows = [{"name": f"n{n}", "x": n / 2, "tags": [None, "red"][: n % 3]} if n % 5 else None for n in range(50)]
    kind = pa.struct({"name": pa.string(), "x": pa.float64(), "tags": pa.list_(pa.string())})
    wanted = [None if row is None else (row["x"], row["name"], row["tags"]) for row in rows]
    assert through(connection, "point3", pa.array(rows, kind)) == wanted
    assert through(connection, "point3", pa.array(rows, kind).slice(9, 20)) == wanted[9:29]
    lines = [{"b": n + 1, "a": row} for n, row in enumerate(rows)]
    assert through(connection, "line2", pa.array(lines, pa.struct({"b": pa.int64(), "a": kind}))) == [
        (row, n + 1) for n, row in enumerate(wanted)]
    many = [[rows[1], None], None, [], [rows[2]]]
    assert through(connection, "point3[]", pa.array(many, pa.list_(kind))) == [
        [wanted[1], None], None, [], [wanted[2]]]
    whole = pa.StructArray.from_arrays([pa.array([1.0, 2.0]), pa.array(["a", "b"]), pa.array([None, ["red"]],
                                       pa.list_(pa.string()))], ["x", "name", "tags"])
    assert through(connection, "point3", whole.slice(1)) == [(2.0, "b", ["red"])]


def test_polars_gives_lists_and_structs(connection: Any) -> None:
    connection.execute("drop table if exists pg_temp.nested; create temp table nested (l int8[], p point3)")
    frame = polars.DataFrame({"p": [{"x": 1.0, "name": "a", "tags": ["green"]}, None], "l": [[1, None], []]})
    connection.copy_in("nested", frame)
    assert connection.fetch("select l, p from nested") == [([1, None], (1.0, "a", ["green"])), ([], None)]
    assert polars.DataFrame(connection.fetch_arrow("select p, l from nested")).to_dicts() == frame.to_dicts()


def test_many_elements_go_in_pieces(connection: Any) -> None:
    rows = [list(range(n, n + 3000)) for n in range(400)]
    assert through(connection, "int4[]", pa.array(rows, pa.list_(pa.int32()))) == rows
    assert through(connection, "int4[]", pa.array(rows, pa.list_(pa.int32(), 3000))) == rows


@pytest.mark.parametrize(("kind", "array", "reason"), [
    ("int4[]", pa.array([[[1]]]), "cannot be sent as type _int4"),
    ("int4[]", pa.array([["1"]]), "cannot be sent as type _int4"),
    ("text", pa.array([[1]]), "cannot be sent as type text"),
    ("point3", pa.array([{"x": 1.0}]), "cannot be sent as type point3"),
    ("int2vector", pa.array([[1]]), "cannot be sent as type int2vector"),
    ("int4[]", pa.array([[[("a", 1)]]], pa.list_(pa.map_(pa.string(), pa.int32()))), "cannot be sent as type _int4"),
])  # fmt: skip
def test_what_has_no_place(connection: Any, kind: str, array: Any, reason: str) -> None:
    with pytest.raises(ArrowError, match=reason):
        through(connection, kind, array)


def test_a_wrong_element_is_named_by_its_row(connection: Any) -> None:
    rows = [[], [1, 2], None, [], [3, 2**40], [5]]
    with pytest.raises(EncodeError, match="row 4, column 'v': 1099511627776 is out of range for type int4"):
        through(connection, "int4[]", pa.array(rows, pa.list_(pa.int64())))
    parts = [{"x": 1.0, "name": "a", "tags": []}, {"x": 1.0, "name": "a\0", "tags": []}]
    with pytest.raises(EncodeError, match="row 1, column 'v': a string with a NUL"):
        through(connection, "point3", pa.array(parts, pa.struct({"x": pa.float64(), "name": pa.string(),
                                                                 "tags": pa.list_(pa.string())})))


@pytest.mark.parametrize("offsets", [[0, 2, 1], [0, 1, 9], [-1, 0, 1], [2, 2, 9]], ids=str)
@pytest.mark.parametrize("code", ["i", "q"])
def test_offsets_that_lie(offsets: list[int], code: str) -> None:
    """pyarrow does not hand such out: the columns are made by hand."""

    def column(data: bytes, length: int, *children: ArrowColumn) -> ArrowColumn:
        return ArrowColumn(length=length, offset=0, null_count=0, buffers=[None, memoryview(data)],
                           children=list(children), dictionary=None)

    whole = column(pack(f"=3{code}", *offsets), 2, column(pack("=3i", 1, 2, 3), 3))
    inner = Plan(name="v", layout="words", code="i", form="fixed", width=4)
    encoder = ArrowEncoder([Plan(name="v", layout="list", code=code, form=assembly.COPY, values=inner, element=23)])
    with pytest.raises(ArrowValueError, match="offsets that run backwards"):
        encoder.encode(SimpleNamespace(length=2, columns=[whole]), 0, 2)


def test_interpreted_the_same(pg18: Postgres) -> None:
    """The interpreted kernel makes the same of lists and structs."""
    names = ["test_arrays_of_one_size", "test_composites", "test_a_wrong_element_is_named_by_its_row"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           *[f"{__file__}::{name}" for name in names]], env=os.environ | {"FEBE_KERNEL": "python"},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
