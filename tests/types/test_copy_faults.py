"""Data right and wrong: febe takes what PostgreSQL takes and refuses the rest in its words, with its CONTEXT."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from febe.types.copy import DEFAULT, CopyColumn, CopyDecoder, CopyError, CopyFormat
from febe.types.registry import TYPES
from tests.peers.postgres import Postgres

psycopg = pytest.importorskip("psycopg")

from .copy_oracle import columns, connected, decode, load, table  # noqa: E402

SEEDS = range(4)
CASES = 250


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Iterator[Any]:
    with connected(pg18) as connection:
        yield connection


def same(connection: Any, form: CopyFormat, types: tuple[str, ...], data: bytes, dice: random.Random) -> None:
    theirs = load(connection, form.sql(), data)
    ours = decode(form, columns(*types), data, dice)
    assert ours == theirs, (form, data)


TEXTS = [
    b"", b"\n", b"\n\n", b"a\tb\n", b"a\tb", b"a\tb\r\n", b"a\tb\r\n\\N\t\\\\N\r\n", b"a\tb\rc\td\r", b"a\tb\rc\td\n",
    b"a\tb\nc\td\r\n", b"a\tb\r\nc\td\n", b"a\tb\r\nc\td\re\tf\r\n", b"a\n", b"a\tb\tc\n", b"a\t\\\n", b"a\t\\",
    b"a\tb\\\nc\n", b"\\.\n", b"a\tb\n\\.\nx", b"a\tb\n\\.\r\n", b"a\tb\n\\.", b"a\tb\n\\.x\n", b"a\tb\r\n\\.\r\n",
    b"a\tb\r\n\\.\n", b"a\tb\r\n\\.\r", b"a\tb\r\n\\.x", b"a\tb\r\\.\r", b"a\tb\r\\.\n", b"a\\.\tb\n", b"a\tb\\.\n",
    b"a\\.\n", b"\\141\\x62\\x\t\\8\\1\\01\\011\n", b"\\xff\ta\n", b"\\377\ta\n", b"\\xc3\\xa9\ta\n", b"\\0\ta\n",
    b"\\400\ta\n", b"\\x6\t\\xg\n", b"\xff\ta\n", b"\xc3\xa9\ta\n", b"ab\0c\td\n", b"\\b\\f\\n\\r\\t\\v\\z\t\\\\\n",
    b"\xc3\ta\n", b"a\tb\n\xe2\x82\ta\n", b"a\\\r\n\tb\n", b"a\tb\\", b"a\t\\N", b"\\N\t\\N\\\n", b"a\tb\nc\n",
    b"a\t" + b"x" * 120 + b"\tc\n", b"a\t" + b"x" * 99 + "é".encode() + b"\tc\n", b"\r", b"\r\r", b"\r\n\r\n", b"\\",
    b"a\tb\n\r",
]  # fmt: skip


@pytest.mark.parametrize("types", [("text", "text"), ("text",), ()], ids=len)
def test_text(connection: Any, types: tuple[str, ...]) -> None:
    table(connection, *types)
    for data in TEXTS:
        same(connection, CopyFormat(), types, data, random.Random(0))


CSVS = [
    b"", b"\n", b"a,b\n", b"a,b", b'"a",b\n', b'"a\n', b'a"b"c,d\n', b'"a""b",c\n', b'"a\nb",c\nd\n', b'"a\rb",c\nd\n',
    b'"a\r\nb",c\r\nd\r\n', b"a,b\r\nc,d\n", b"a,b\nc,d\r\n", b"a,b\rc,d\n", b"\\.\n", b"a,b\n\\.\n", b"\\.,\\.\n",
    b'"",\n', b",\n", b",", b'"\xff",a\n', b'a,"b\\"\n', b'a,"b\\""\n', b"a,b,c\n", b'a,b,"c\n', b'a,"b"\r', b'"a\r',
    b'x\n"\n\n', b'"a\n\n",b\n"c",d,e\n', b"a,b\n\nc,d\n",
]  # fmt: skip


@pytest.mark.parametrize("types", [("text", "text"), ("text",), ()], ids=len)
@pytest.mark.parametrize(
    "form",
    [CopyFormat(format="csv"), CopyFormat(format="csv", escape="\\"), CopyFormat(format="csv", quote="a", escape="b"),
     CopyFormat(format="csv", header=True), CopyFormat(format="csv", null="\\.", quote="'")],
    ids=lambda form: form.sql(),
)  # fmt: skip
def test_csv(connection: Any, types: tuple[str, ...], form: CopyFormat) -> None:
    table(connection, *types)
    for data in CSVS:
        same(connection, form, types, data, random.Random(0))


HEADERS = [b"", b"a,b\n", b"a,b", b"a,b\n1,2\n", b"b,a\n1,2\n", b"a\n1,2\n", b"a,b,c\n", b"a,\n", b'a,"b"\n1,2',
           b'"a\n",b\n', b'"a,b\n', b"a\tb\n1\t2\n", b"a\t\\N\n", b"A\tb\n", b"\n1,2\n", b"\\.\n"]  # fmt: skip


@pytest.mark.parametrize("choice", [True, "match"], ids=str)
@pytest.mark.parametrize("name", ["csv", "text"])
@pytest.mark.parametrize("types", [("text", "int4"), ("int4",)], ids=len)
def test_header(connection: Any, choice: Any, name: str, types: tuple[str, ...]) -> None:
    table(connection, *types)
    for data in HEADERS:
        same(connection, CopyFormat(format=name, header=choice), types, data, random.Random(0))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_text(connection: Any, seed: int) -> None:
    dice = random.Random(seed)
    table(connection, "text", "text")
    forms = [CopyFormat(), CopyFormat(delimiter="|", null="x"), CopyFormat(header=True), CopyFormat(null="")]
    alphabet = [b"\t", b"|", b"\n", b"\n", b"\r\n", b"\r", b"\\", b"\\N", b".", b"\\.", b"a", b"x", b"7", b"\xc3\xa9"]
    for _ in range(CASES):
        style = dice.choice(([b"\r", b"\r\n"], [b"\n", b"\r"], [b"\n", b"\r\n"], []))
        chosen = [one for one in alphabet if one not in style]
        data = b"".join(dice.choices(chosen, k=dice.randrange(30)))
        same(connection, dice.choice(forms), ("text", "text"), data, dice)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_csv(connection: Any, seed: int) -> None:
    dice = random.Random(seed)
    table(connection, "text", "text")
    forms = [CopyFormat(format="csv"), CopyFormat(format="csv", escape="\\"), CopyFormat(format="csv", header=True),
             CopyFormat(format="csv", quote="x", escape="a", force_null=["a"], force_not_null=["b"]),
             CopyFormat(format="csv", force_null="*", force_not_null="*", null="7")]  # fmt: skip
    alphabet = [b",", b",", b"\n", b"\n", b"\r\n", b"\r", b"\\", b'"', b'"', b"\\.", b"a", b"x", b"7", b"\xc3\xa9"]
    for _ in range(CASES):
        style = dice.choice(([b"\r", b"\r\n"], [b"\n", b"\r"], [b"\n", b"\r\n"], []))
        chosen = [one for one in alphabet if one not in style]
        data = b"".join(dice.choices(chosen, k=dice.randrange(30)))
        same(connection, dice.choice(forms), ("text", "text"), data, dice)


SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW = b"\0\2\0\0\0\1a\xff\xff\xff\xff"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"P", SIGNATURE[:-1], SIGNATURE[:14], SIGNATURE[:11], b"X" + SIGNATURE[1:], SIGNATURE, SIGNATURE + ROW,
        SIGNATURE + ROW + b"\xff\xff", SIGNATURE + ROW + b"\xff\xffx", SIGNATURE + b"\xff\xff", SIGNATURE + ROW[:-1],
        SIGNATURE + ROW + ROW[:6], SIGNATURE + ROW + ROW[:2], SIGNATURE + b"\0\1\0\0\0\0", SIGNATURE + b"\0\3",
        SIGNATURE + b"\xff\xfe", SIGNATURE + b"\0\2\xff\xff\xff\xfe", SIGNATURE[:11] + b"\0\1\0\0\0\0\0\0",
        SIGNATURE[:11] + b"\0\2\0\0\0\0\0\0", SIGNATURE[:11] + b"\0\0\x12\x34\0\0\0\0" + ROW,
        SIGNATURE[:11] + b"\0\0\0\0\0\0\0\3abc" + ROW + b"\xff\xff", SIGNATURE[:11] + b"\0\0\0\0\0\0\0\3ab",
        SIGNATURE[:11] + b"\0\0\0\0\xff\xff\xff\xff",
    ],
)  # fmt: skip
def test_binary(connection: Any, data: bytes) -> None:
    table(connection, "text", "text")
    same(connection, CopyFormat(format="binary"), ("text", "text"), data, random.Random(0))


def test_a_stray_byte_is_refused() -> None:
    """PostgreSQL takes one byte more at the end for an end of file."""
    decoder = CopyDecoder(CopyFormat(format="binary"), columns("text", "text"))
    decoder.feed(SIGNATURE + ROW + b"\0")
    with pytest.raises(CopyError, match="unexpected EOF in COPY data"):
        decoder.finish()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int4", "x"), ("int4", ""), ("int4", "99999999999"), ("int2", "40000"), ("int8", "1e9"), ("bool", "maybe"),
     ("uuid", "12"), ("numeric", "1.2.3"), ("float8", "one"), ("date", "soon"), ("timestamp", "soon"),
     ("timestamptz", "soon"), ("time", "soon")],
)  # fmt: skip
def test_values(connection: Any, kind: str, value: str) -> None:
    table(connection, "text", kind)
    for form, line in ((CopyFormat(), f"1\t{value}\n"), (CopyFormat(format="csv"), f'1,"{value}"\n')):
        same(connection, form, ("text", kind), b"ok\t\\N\n" * (not form.csv) + line.encode(), random.Random(0))


def test_default_marker(connection: Any) -> None:
    table(connection, "text", "int4", defaults={"b": "42"})
    form = CopyFormat(default="\\D")
    decoder = CopyDecoder(form, columns("text", "int4", defaults="b"))
    assert decoder.feed(b"x\t\\D\n\\\\D\t1\n") == [("x", DEFAULT), ("\\D", 1)]
    assert load(connection, form.sql(), b"x\t\\D\n\\\\D\t1\n") == ("rows", [("x", 42), ("\\D", 1)])
    same(connection, form, ("text", "int4"), b"\\D\t1\n", random.Random(0))
    same(connection, CopyFormat(format="csv", default="D"), ("text", "int4"), b"1,2\nD,1\n", random.Random(0))


def test_rows_with_wrong_values_are_left_out(connection: Any) -> None:
    form = CopyFormat(format="csv", on_error="ignore")
    data = b"1,2\nx,3\n4,5\n6,y\n7,\n"
    table(connection, "int4", "int4")
    errors: list[CopyError] = []
    decoder = CopyDecoder(form, columns("int4", "int4"), skip=errors.append)
    rows = decoder.feed(data) + decoder.finish()
    assert ("rows", rows) == load(connection, form.sql(), data) == ("rows", [(1, 2), (4, 5), (7, None)])
    assert decoder.skipped == 2
    assert [(error.line, error.column, error.value) for error in errors] == [(2, "a", "x"), (4, "b", "y")]
    same(connection, CopyFormat(format="csv", on_error="ignore", reject_limit=1), ("int4", "int4"), data,
         random.Random(0))  # fmt: skip
    same(connection, CopyFormat(format="csv", on_error="ignore", reject_limit=2), ("int4", "int4"), data,
         random.Random(0))  # fmt: skip


def test_type_without_binary_format() -> None:
    column = CopyColumn(name="a", codec=TYPES.by_oid(99_999_999))
    with pytest.raises(CopyError, match="no binary input function") as error:
        CopyDecoder(CopyFormat(format="binary"), [column])
    assert error.value.sqlstate == "42883"


@pytest.mark.parametrize("form", [CopyFormat(), CopyFormat(format="csv"), CopyFormat(format="binary")],
                         ids=lambda form: form.format)  # fmt: skip
def test_limits_are_kept_before_memory_is_taken(form: CopyFormat) -> None:
    decoder = CopyDecoder(form, columns("text"), limit=100)
    with pytest.raises(CopyError, match="too long") as error:
        if form.binary:
            decoder.feed(SIGNATURE + b"\0\1\0\0\0\x65")
        else:
            for _ in range(20):
                decoder.feed(b"xxxxxx")
    assert error.value.sqlstate == "54000"


def test_after_the_end() -> None:
    decoder = CopyDecoder(CopyFormat(), columns("text"))
    assert decoder.feed(b"a\n\\.\n") == [("a",)]
    assert decoder.feed(b"b\n") == []
    assert decoder.finish() == decoder.finish() == []
    with pytest.raises(ValueError, match="has been finished"):
        decoder.feed(b"c\n")
