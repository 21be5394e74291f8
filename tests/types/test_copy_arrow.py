"""Arrow to COPY: the same bytes as from Python rows, which PostgreSQL has checked, and PostgreSQL loads them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from febe.types.arrow import ArrowError, ArrowValueError, read_stream
from febe.types.copy import ArrowCopyEncoder, CopyEncoder, CopyError, CopyFormat, Framing
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

from .copy_oracle import columns, connected, dump, load, table

pa = pytest.importorskip("pyarrow")

FORMS = [
    CopyFormat(), CopyFormat(delimiter="|", null="nothing", header=True), CopyFormat(format="csv"),
    CopyFormat(format="csv", header=True, delimiter=";", quote="'", escape="\\", null="x"),
    CopyFormat(format="csv", force_quote=["a", "c"]), CopyFormat(format="csv", force_quote="*", quote="a", escape="b"),
    CopyFormat(format="binary"),
]  # fmt: skip
IDS = [form.sql() for form in FORMS]
NAMES = ("int4", "int8", "text", "bool", "float8", "numeric", "date", "timestamp", "timestamptz", "bytea")
LETTERS = ["\t", "\n", "\r", "\\", "\\N", "\\.", ",", '"', "'", "|", "x", "a", "", "é", "€", "😀", "\b\f\v", "\1"]


def some_rows(count: int) -> list[tuple[Any, ...]]:
    dice = random.Random(count)

    def row() -> tuple[Any, ...]:
        values = (
            dice.randrange(-(2**31), 2**31), dice.randrange(-(2**63), 2**63),
            "".join(dice.choices(LETTERS, k=dice.randrange(6))), dice.random() < 0.5, dice.uniform(-1e9, 1e9),
            Decimal(dice.randrange(-(10**12), 10**12)).scaleb(-4), date.fromordinal(dice.randrange(1, 3652060)),
            datetime.fromtimestamp(dice.randrange(2**32), UTC).replace(tzinfo=None),
            datetime.fromtimestamp(dice.randrange(2**32), UTC), dice.randbytes(dice.randrange(6)),
        )  # fmt: skip
        return tuple(None if dice.random() < 0.15 else value for value in values)

    return [row() for _ in range(count)]


def to_arrow(rows: list[tuple[Any, ...]]) -> Any:
    kinds = [pa.int32(), pa.int64(), pa.string(), pa.bool_(), pa.float64(), pa.decimal128(20, 4), pa.date32(),
             pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.binary()]  # fmt: skip
    made = [pa.array([row[k] for row in rows], kind) for k, kind in enumerate(kinds)]
    return pa.table(made, names=list("abcdefghij"))


def encoded(form: CopyFormat, source: Any, framing: Framing, most: int = 1 << 20) -> bytes:
    with read_stream(source) as reader:
        encoder = ArrowCopyEncoder(form, reader.schema, [TYPES.by_name(name).oid for name in NAMES], framing)
    return b"".join(encoder.encode_all(source, most))


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with connected(pg18) as connection:
        yield connection


@pytest.mark.parametrize("form", FORMS, ids=IDS)
@pytest.mark.parametrize("count", [0, 1, 300])
def test_same_as_rows(connection: Any, form: CopyFormat, count: int) -> None:
    rows = some_rows(count)
    source = to_arrow(rows)
    for framing in (Framing.BARE, Framing.ROWS):
        want = CopyEncoder(form, columns(*NAMES), framing)
        whole = want.encode(rows) + want.finish()
        assert encoded(form, source, framing) == whole
        assert encoded(form, source, framing, most=500) == whole
    pieces = encoded(form, source, Framing.MESSAGES, most=5000)
    bare = b""
    while pieces:
        assert pieces[:1] == b"d"
        size = int.from_bytes(pieces[1:5], "big")
        bare += pieces[5 : 1 + size]
        pieces = pieces[1 + size :]
    assert bare == encoded(form, source, Framing.BARE)
    table(connection, *NAMES)
    given = CopyFormat(**{**{n: getattr(form, n) for n in form.__slots__}, "force_quote": None})
    if form.null != "x" and form.null != "nothing":
        assert load(connection, given.sql(), bare) == ("rows", rows)
        assert dump(connection, form.sql()) == bare


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_one_column(form: CopyFormat) -> None:
    values = [None, "\\.", *LETTERS, "nothing"]
    if form.force_quote == ["a", "c"]:
        form = CopyFormat(format="csv", force_quote=["a"])
    source = pa.table({"a": values})
    encoder = ArrowCopyEncoder(form, read_stream(source).schema, [25], Framing.BARE)
    want = CopyEncoder(form, columns("text"), Framing.BARE)
    assert b"".join(encoder.encode_all(source)) == want.encode([(one,) for one in values]) + want.finish()
    assert encoder.rows == len(values)


def test_values_and_types_that_do_not_fit() -> None:
    source = pa.table({"a": pa.array([1, 2**62], pa.int64()).view(pa.timestamp("s"))})
    for name in ("text", "csv", "binary"):
        encoder = ArrowCopyEncoder(CopyFormat(format=name), read_stream(source).schema, [1114])
        with pytest.raises(ArrowValueError, match="out of range") as error:
            list(encoder.encode_all(source))
        assert (error.value.row, error.value.name) == (1, "a")
    with pytest.raises(ArrowError, match="cannot be sent as type 23"):
        ArrowCopyEncoder(CopyFormat(format="binary"), read_stream(source).schema, [23])
    with pytest.raises(CopyError, match="is not supported"):
        ArrowCopyEncoder(CopyFormat(encoding="LATIN1"), read_stream(source).schema, [1114])


@pytest.mark.parametrize("library", ["polars", "pandas", "duckdb", "nanoarrow"])
def test_fed_by(connection: Any, library: str) -> None:
    """Each gives its rows through the same interface."""
    module = pytest.importorskip(library)
    plain = pa.table({"a": pa.array([1, None, 3], pa.int32()), "b": ["x", None, "ä\t"]})
    if library == "polars":
        source = module.DataFrame(plain)
    elif library == "pandas":
        source = module.DataFrame({"a": module.array([1, None, 3], dtype="Int32"), "b": ["x", None, "ä\t"]})
    elif library == "duckdb":
        source = module.sql("select a, b from plain")
    else:
        source = module.ArrayStream(plain)
    table(connection, "int4", "text")
    form = CopyFormat(format="binary")
    with read_stream(pa.table(plain) if library == "nanoarrow" else source) as reader:
        encoder = ArrowCopyEncoder(form, reader.schema, [23, 25], Framing.BARE)
    if library == "duckdb":
        source = module.sql("select a, b from plain")
    data = b"".join(encoder.encode_all(source))
    assert load(connection, form.sql(), data) == ("rows", [(1, "x"), (None, None), (3, "ä\t")])
