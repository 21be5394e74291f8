"""What febe encodes PostgreSQL loads, what PostgreSQL dumps febe decodes, and encodes again to the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from struct import unpack_from
from typing import Any
from uuid import UUID

import pytest

from febe._kernel.errors import MalformedRow
from febe.types.copy import CopyColumn, CopyDecoder, CopyEncodeError, CopyEncoder, CopyError, CopyFormat, Framing
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

psycopg = pytest.importorskip("psycopg")

from .copy_oracle import columns, connected, decode, dump, load, table  # noqa: E402

TYPES_USED = ("int2", "int4", "int8", "float4", "float8", "bool", "text", "bytea", "numeric", "date", "timestamp",
              "timestamptz", "time", "uuid", "varchar")  # fmt: skip
LETTERS = ["\t", "\n", "\r", "\\", "\\N", "\\.", ",", '"', "'", "|", "x", "a", "", "é", "€", "😀", "\b\f\v", "\1", " "]

FORMS = [
    CopyFormat(), CopyFormat(delimiter="|", null="nothing"), CopyFormat(delimiter="\1", null=""),
    CopyFormat(header=True), CopyFormat(delimiter=" "), CopyFormat(format="csv"),
    CopyFormat(format="csv", header=True, delimiter=";", quote="'", escape="\\"), CopyFormat(format="csv", null="a"),
    CopyFormat(format="csv", delimiter="\t", quote="x", escape="y"), CopyFormat(format="binary"),
]  # fmt: skip
IDS = [form.sql() for form in FORMS]


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with connected(pg18) as connection:
        yield connection


def some_rows(dice: random.Random, count: int) -> list[tuple[Any, ...]]:
    def text() -> str:
        return "".join(dice.choices(LETTERS, k=dice.randrange(8)))

    def moment(zone: Any) -> datetime:
        return datetime(1, 1, 1, tzinfo=zone) + timedelta(microseconds=dice.randrange(315537897600 * 10**6))

    def row() -> tuple[Any, ...]:
        values = (
            dice.randrange(-(2**15), 2**15), dice.randrange(-(2**31), 2**31), dice.randrange(-(2**63), 2**63),
            dice.randrange(-(2**20), 2**20) / 8, dice.uniform(-1e9, 1e9), dice.random() < 0.5, text(),
            dice.randbytes(dice.randrange(9)), Decimal(dice.randrange(-(10**20), 10**20)).scaleb(-dice.randrange(20)),
            date.fromordinal(dice.randrange(1, 3652060)), moment(None), moment(UTC),
            (datetime(1, 1, 1) + timedelta(microseconds=dice.randrange(86400 * 10**6))).time(),
            UUID(int=dice.getrandbits(128)), text(),
        )  # fmt: skip
        return tuple(None if dice.random() < 0.15 else value for value in values)

    return [row() for _ in range(count)]


def read_back(form: CopyFormat, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In text format a value that looks like NULL's marker is NULL afterwards, in PostgreSQL as here."""
    lost = form.null if form.format == "text" else None
    return [tuple(None if isinstance(value, str) and value == lost else value for value in row) for row in rows]


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_both_ways(connection: Any, form: CopyFormat) -> None:
    dice = random.Random(form.sql())
    rows = some_rows(dice, 300)
    table(connection, *TYPES_USED)
    described = columns(*TYPES_USED)
    encoder = CopyEncoder(form, described, Framing.BARE)
    data = encoder.encode(rows[:100]) + encoder.encode(rows[100:]) + encoder.finish()
    assert encoder.rows == 300
    verdict, loaded = load(connection, form.sql(), data)
    assert verdict == "rows", loaded
    assert loaded == read_back(form, rows)
    theirs = dump(connection, form.sql())
    assert theirs == data
    assert decode(form, described, theirs, dice) == ("rows", loaded)


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_one_column(connection: Any, form: CopyFormat) -> None:
    """Csv quotes a backslash and a period that are alone on their line."""
    rows = [("".join(pair),) for pair in ((a, b) for a in LETTERS for b in LETTERS)] + [(None,), ("nothing",)]
    table(connection, "text")
    encoder = CopyEncoder(form, columns("text"), Framing.BARE)
    data = encoder.encode(rows) + encoder.finish()
    assert load(connection, form.sql(), data) == ("rows", read_back(form, rows))
    assert dump(connection, form.sql()) == data
    assert decode(form, columns("text"), data, random.Random(0)) == ("rows", read_back(form, rows))


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_no_columns_and_no_rows(connection: Any, form: CopyFormat) -> None:
    table(connection)
    connection.execute("insert into t default values")
    for rows in ([], [(), ()]):
        encoder = CopyEncoder(form, [], Framing.BARE)
        data = encoder.encode(rows) + encoder.finish()
        assert load(connection, form.sql(), data) == ("rows", rows)
        assert dump(connection, form.sql()) == data
        assert decode(form, [], data, random.Random(0)) == ("rows", rows)


@pytest.mark.parametrize("force", [["b"], ["a", "b"], "*"], ids=str)
def test_force_quote(connection: Any, force: Any) -> None:
    rows = [("a", 1), (None, None), ("", 2), ('"', -3)]
    table(connection, "text", "int4")
    form = CopyFormat(format="csv", force_quote=force, header=True)
    encoder = CopyEncoder(form, columns("text", "int4"), Framing.BARE)
    data = encoder.encode(rows)
    assert load(connection, CopyFormat(format="csv", header=True).sql(), data) == ("rows", rows)
    assert dump(connection, form.sql()) == data


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1251", "SJIS", "EUC_JP", "GB18030", "BIG5", "UHC", "KOI8R"])
@pytest.mark.parametrize("name", ["text", "csv"])
def test_encodings(connection: Any, encoding: str, name: str) -> None:
    """Also those where a character's second byte is a backslash or a delimiter."""
    words = {"LATIN1": "äöü", "WIN1251": "жук", "KOI8R": "жук", "SJIS": "表ソ能", "EUC_JP": "表ソ能",
             "GB18030": "表能ä€", "BIG5": "功許", "UHC": "한국똠"}[encoding]  # fmt: skip
    rows = [(words, 1), (f"{words}\\,\t{words}", 2), (f'"{words}\n', 3), (None, 4)]
    form = CopyFormat(format=name, encoding=encoding, header=True)
    encoder = CopyEncoder(form, columns("text", "int4"), Framing.BARE)
    data = encoder.encode(rows)
    table(connection, "text", "int4")
    assert load(connection, form.sql(), data) == ("rows", rows)
    assert dump(connection, form.sql()) == data
    assert decode(form, columns("text", "int4"), data, random.Random(1)) == ("rows", rows)


def test_bytes_and_characters_that_an_encoding_has_not(connection: Any) -> None:
    form = CopyFormat(encoding="EUC_JP")
    table(connection, "text")
    data = "表\n".encode("euc_jp") + b"a\n\xff\n"
    theirs = load(connection, form.sql(), data)
    ours = decode(form, columns("text"), data, random.Random(0))
    assert ours[0] == theirs[0] == "error"
    assert ours[1][0] == theirs[1][0] == "22021"
    assert ours[1][4] == "COPY t, line 3"
    encoder = CopyEncoder(CopyFormat(encoding="LATIN1"), columns("text"))
    with pytest.raises(CopyEncodeError, match="row 1"):
        encoder.encode([("a",), ("€",)])


def messages(data: bytes) -> list[bytes]:
    found = []
    while data:
        assert data[:1] == b"d"
        size = unpack_from("!i", data, 1)[0]
        found.append(data[5 : 1 + size])
        data = data[1 + size :]
    return found


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_messages(connection: Any, form: CopyFormat) -> None:
    """A backend's messages are one for each row; the binary header is in that of the first row (copyto.c)."""
    rows = some_rows(random.Random(7), 20)
    described = columns(*TYPES_USED)
    table(connection, *TYPES_USED)
    load(connection, form.sql(), (bare := CopyEncoder(form, described, Framing.BARE)).encode(rows) + bare.finish())
    with connection.cursor().copy(f"copy t to stdout {form.sql()}") as copy:
        theirs = [bytes(piece) for piece in copy]
    encoder = CopyEncoder(form, described, Framing.ROWS)
    waiting = iter(rows)
    parts = []
    while part := encoder.encode_some(waiting, 300):
        parts.append(part)
    assert len(parts) > 3
    framed = b"".join(parts) + encoder.finish()
    assert messages(framed) == theirs
    large = CopyEncoder(form, described)
    joined = messages(large.encode(rows) + large.finish())
    assert len(joined) <= 3
    assert b"".join(joined) == b"".join(theirs)
    decoder = CopyDecoder(form, described)
    got = decoder.feed_run(b"xx" + framed + b"c", 2, 2 + len(framed)) + decoder.finish()
    assert got == read_back(form, rows)


@pytest.mark.parametrize("data", [b"d\0\0\0\3", b"d\0\0\0\5", b"x\0\0\0\4", b"d\0\0"])
def test_runs_that_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="CopyData"):
        CopyDecoder(CopyFormat(), columns("text")).feed_run(data, 0, len(data))


@pytest.mark.parametrize("name", ["text", "csv", "binary"])
def test_values_that_do_not_fit(name: str) -> None:
    encoder = CopyEncoder(CopyFormat(format=name), columns("int4", "text"))
    encoder.encode([(1, "a")])
    with pytest.raises(CopyEncodeError, match='row 2, column 0: "a": integer out of range') as error:
        encoder.encode([(1, "a"), (2**40, "b")])
    assert (error.value.row, error.value.column, error.value.name, error.value.value) == (2, 0, "a", 2**40)
    with pytest.raises(MalformedRow, match="after 1 rows: row 0 has 1 values, not 2"):
        encoder.encode([(1,)])


def test_user_codecs(connection: Any) -> None:
    """A codec of callables, as any type of the registry may have."""
    kind = TYPES.by_name("time")
    column = CopyColumn(name="a", codec=kind)
    table(connection, "time")
    for name in ("text", "csv", "binary"):
        form = CopyFormat(format=name)
        encoder = CopyEncoder(form, [column], Framing.BARE)
        data = encoder.encode([(time(1, 2, 3),), (None,)]) + encoder.finish()
        assert load(connection, form.sql(), data) == ("rows", [(time(1, 2, 3),), (None,)])
    odd = CopyColumn(name="a", codec=TYPES.by_oid(99_999_999))
    with pytest.raises(CopyError, match="no binary output function"):
        CopyEncoder(CopyFormat(format="binary"), [odd])
