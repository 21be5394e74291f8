"""Types of the server's own making: looked up once, rebuilt when they change, and with the program's classes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest

import febe
from febe.flows import introspect
from febe.types import TYPES, Array, Codec, Multirange, Range, Row
from tests.client.conftest import Client, Face
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres

MADE = """
create schema {0};
create type {0}.mood as enum ('sad', 'ok', 'very happy');
create domain {0}.positive as int4 check (value <> 0);
create type {0}.address as (street text, number {0}.positive, moods {0}.mood[]);
create type {0}.customer as (name text, home {0}.address, others {0}.address[]);
create type {0}.span as range (subtype = {0}.mood, multirange_type_name = {0}.spans);
create table {0}.customers as select row('Ada', null, '{{}}')::{0}.customer as c;
"""


@pytest.fixture
def connection(face: Face, pg18: Postgres) -> Iterator[Client]:
    client = face.connect(pg18.dsn())
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def schema(connection: Client) -> Iterator[str]:
    name = f"made{random.getrandbits(40)}"
    connection.execute(MADE.format(name))
    connection.execute(f"set search_path = {name}, public")
    yield name
    connection.execute(f"set client_min_messages = warning; drop schema {name} cascade")


def test_containers(connection: Client, schema: str) -> None:
    home = ("Main, \"Street\"", 5, ["ok", None, "very happy"])
    ada = ("Ada", home, [home, None])
    row = connection.fetchval("select $1::customer", ada)
    assert row == ada
    assert isinstance(row, Row)
    assert (row.name, row.home.street, row["others"][0].number) == ("Ada", 'Main, "Street"', 5)
    assert connection.fetchval("select $1::customer[]", [ada, None]) == [ada, None]
    assert connection.fetchval("select $1::span", Range("sad", "ok")) == Range("sad", "ok")
    assert connection.fetchval("select $1::spans", Multirange([Range("sad", "ok")])) == Multirange([Range("sad", "ok")])
    assert connection.fetchval("select $1::positive[]", Array([3], (0,))) == Array([3], (0,))
    assert connection.fetchval("select row(1, 'a', $1::mood)", "sad") == (1, "a", "sad")
    assert connection.fetchval("select c from customers") == ("Ada", None, [])


def test_one_query_a_type(connection: Client, schema: str) -> None:
    connection.fetchval("select null::customer, null::customer[], null::mood")
    connection.fetchval("select null::customer, 1")
    (asked,) = connection.fetchrow("select count(*) from pg_prepared_statements where statement like 'with recursive%'")
    assert asked == 0
    with pytest.MonkeyPatch.context() as patch:
        def refuse(*_: Any) -> Any:
            raise AssertionError("asked again")

        patch.setattr(introspect, "_encode", refuse)
        assert connection.fetchval("select null::customer, null::address[], 2") is None


class Mood(Enum):
    SAD = "sad"
    OK = "ok"
    HAPPY = "very happy"


@dataclass
class Address:
    street: str
    number: int
    moods: list[Mood]


class Customer(NamedTuple):
    others: list[Address]
    name: str
    home: Address | None


def test_classes_of_the_program(connection: Client, schema: str) -> None:
    connection.types.register_class("mood", Mood)
    connection.types.register_class("address", Address)
    connection.types.register_class(f"{schema}.customer", Customer)
    home = Address("Main", 5, [Mood.OK, Mood.HAPPY])
    ada = Customer([home], "Ada", home)
    assert connection.fetchval("select $1::customer", ada) == ada
    assert connection.fetchval("select $1::mood[]", [Mood.SAD, "ok"]) == [Mood.SAD, Mood.OK]
    assert connection.types.by_class(Address).name == "address"
    assert TYPES.by_class(Address) is None
    with pytest.raises(febe.errors.EncodeError, match=r'parameter \$1 \(customer\): field "home": its keys'):
        connection.fetchval("select $1::customer", {"name": "Ada", "home": {"street": ""}, "others": None})


def test_enums_without_a_class(connection: Client, schema: str) -> None:
    assert connection.fetchval("select $1::mood", Mood.HAPPY) == "very happy"
    assert connection.fetchval("select $1::text", Mood.HAPPY) == "very happy"


def test_a_composite_that_changed(connection: Client, schema: str, pg18: Postgres) -> None:
    """Another connection changes it: values tell, in binary, in text and as parameters; then it is looked up again."""
    def change(what: str) -> None:
        with febe.connect(pg18.dsn()) as other:
            other.execute(f"alter type {schema}.customer {what} cascade")

    sql = "select c from customers"
    ask = "select $1::customer"
    assert connection.fetchval(sql).name == "Ada"
    assert connection.fetchval(ask, ("Ada", None, None)).name == "Ada"
    change("add attribute age int4")
    with pytest.raises(febe.errors.DecodeError, match="4 fields, where 3 were described"):
        connection.fetchval(sql)
    assert connection.fetchval(sql).age is None
    assert connection.fetchval("select 1") == 1
    assert connection.fetchval(ask, ("Ada", None, None, 7)).age == 7
    change("drop attribute name")
    with pytest.raises(febe.errors.PostgresError):
        connection.fetchval(ask, ("Ada", None, None, 7))
    assert connection.fetchval(ask, (None, None, 7)).age == 7
    assert connection.execute(sql).rows[0][0].age is None
    change("add attribute more text")
    with pytest.raises(febe.errors.DecodeError, match="4 fields, where 3 were described"):
        connection.execute(sql)
    assert connection.execute(sql).rows == [((None, [], None, None),)]


def test_a_field_of_another_name(connection: Client, schema: str) -> None:
    """The connection that changes a type knows of it at once: no value would tell."""
    sql = "select $1::address"
    home = ("Main", 5, None)
    assert connection.fetchval(sql, home)._fields == ("street", "number", "moods")
    connection.execute("alter type address rename attribute street to road")
    assert connection.fetchval(sql, home)._fields == ("road", "number", "moods")
    assert connection.execute("select row('Main', 5, null)::address").rows[0][0].road == "Main"


def test_a_query_string_knows_types_too(connection: Client, schema: str) -> None:
    """Types that turn up in a simple query for the first time are looked up after it, not given as text."""
    sql = ("create temp table h as select row('Main', 5, '{sad}')::address as a; "
           "select a, array[a] as b from h; select 1 as one; select 'sad'::mood as m, a from h where false; "
           "select a from h")
    results = connection.execute(sql).results
    home = ("Main", 5, ["sad"])
    assert [result.rows for result in results] == [[], [(home, [home])], [(1,)], [], [(home,)]]
    assert results[1].rows[0].a.street == "Main"
    connection.types.register_class("address", Other)
    connection.types.forget()
    with pytest.raises(febe.errors.DecodeError, match=r'column "a" \(address\), row 0: .*\'number\'') as caught:
        connection.execute(sql.partition(";")[2])
    assert caught.value.row == 0
    assert connection.execute("select 'mine' as x").rows == [("mine",)]


@dataclass
class Other:
    street: str


@pytest.mark.parametrize("name", FACES)
def test_a_pipeline_knows_types_too(name: str, schema: str, pg18: Postgres) -> None:
    async def main(connect: Any) -> None:
        connection = await connect(pg18.dsn())
        home = ("Main", 5, ["sad"])
        async with connection.pipeline() as pipeline:
            pipeline.execute(f"set local search_path = {schema}")
            pipeline.execute("create type fresh as (a mood, b address[])")
            replies = [pipeline.fetchval("select $1::address", home), pipeline.fetchval("select 'ok'::mood"),
                       pipeline.fetchval("select $1::fresh", ("sad", [home, None]))]
            pipeline.execute("drop type fresh")
        assert [reply.result() for reply in map(real, replies)] == [home, "ok", ("sad", [home, None])]
        assert await connection.fetchval("select 1") == 1
        await connection.close()

    def real(reply: Any) -> Any:
        return getattr(reply, "real", reply)

    run(name, main)


def test_a_new_label(connection: Client, schema: str) -> None:
    assert connection.fetchval("select 'sad'::mood") == "sad"
    connection.execute("alter type mood add value 'blue'")
    assert connection.fetchval("select $1::mood", "blue") == "blue"


def test_extensions(connection: Client, schema: str) -> None:
    connection.execute("create extension if not exists hstore schema public; "
                       "create extension if not exists vector schema public")
    assert connection.fetchval("select $1::hstore", {"a": None, "b": '"'}) == {"a": None, "b": '"'}
    assert connection.fetchval("select $1::hstore[]", [{"a": "1"}, None]) == [{"a": "1"}, None]
    assert list(connection.fetchval("select $1::vector", [1, 2.5])) == [1.0, 2.5]


def test_codecs_of_the_program(connection: Client, schema: str) -> None:
    """Text only and binary only, alone and inside arrays, composites and ranges."""
    cents = Codec(oid=1700, name="numeric", array_oid=1231, decode_text=lambda data: int(Decimal(data.decode()) * 100),
                  encode_text=lambda value: f"{value / 100:.2f}".encode(), encode_binary=None, decode_binary=None)
    connection.types.register(cents)
    connection.types.register(Codec(
        oid=0, name="positive", decode_text=None, decode_binary=lambda data: -int.from_bytes(data, "big"),
        encode_text=None, encode_binary=lambda value: (-value).to_bytes(4, "big")))
    assert connection.fetchval("select $1::numeric", 150) == 150
    assert connection.fetchval("select $1::numeric[]", [150, None]) == [150, None]
    assert connection.fetchval("select $1::numrange", Range(150, 250)) == Range(150, 250)
    assert connection.fetchval("select $1::positive[]", [-5]) == [-5]
    assert connection.fetchval("select $1::address", ("Main", -5, None)) == ("Main", -5, None)
    assert TYPES.by_name("numeric").decode_binary is not None


def test_codecs_of_the_program_in_copy(connection: Client, schema: str) -> None:
    connection.types.register_class("mood", Mood)
    connection.types.register_class("address", Address)
    connection.types.register(Codec(oid=23, name="int4", array_oid=1007, decode_text=lambda data: -int(data),
                                    encode_text=lambda value: str(-value).encode()))
    connection.execute("create table copied (n int4, ns int4[], a address, r int4range, m mood, kind regtype)")
    # A domain is what it is over: number is an int4, too.
    row = (5, [6, None], Address("Main", 7, [Mood.OK]), Range(3, 1), Mood.SAD, "integer")
    connection.copy_in("copied", [row, (None,) * 6])
    assert connection.fetch("select n::int8, number(a)::int8, lower(r)::int8 from copied where n is not null") == [
        (-5, -7, -3)]
    assert connection.fetch("select * from copied") == [row, (None,) * 6]


def test_a_codec_that_raises(connection: Client, schema: str) -> None:
    def refuse(data: bytes) -> Any:
        raise RuntimeError("not today")

    connection.types.register(Codec(oid=1082, name="date", decode_binary=refuse, encode_binary=None))
    with pytest.raises(febe.errors.DecodeError, match=r'column "d" \(date\), row 1: not today') as caught:
        connection.fetch("select x, case when x > 1 then date '2000-01-01' end as d from generate_series(1, 3) x")
    assert (caught.value.column, caught.value.type_name, caught.value.row) == ("d", "date", 1)
    assert caught.value.data == bytes(4)
    assert connection.fetch("select 7") == [(7,)]
    with pytest.raises(febe.errors.EncodeError, match=r"parameter \$2 \(int2\): integer out of range"):
        connection.fetch("select $1::int4, $2::int2", 1, 32768)
    assert connection.fetchval("select $1::int4", 8) == 8


def test_an_unknown_type_in_a_transaction(connection: Client, schema: str) -> None:
    connection.execute("begin")
    assert connection.fetchval("select 'ok'::mood") == "ok"
    assert connection.transaction_status == "T"
    connection.execute("commit")


def test_row_types_of_catalogs(connection: Client, schema: str) -> None:
    row = connection.fetchval("select t from pg_type t where typname = 'int4'")
    assert (row.oid, row.typname, row.typcategory) == (23, "int4", "N")


def test_sixty_five_thousand_parameters(connection: Client, schema: str) -> None:
    values = list(range(65535))
    sql = "select array[" + ",".join(f"${n}::int8" for n in range(1, 65536)) + "]"
    assert connection.fetchval(sql, *values) == values


def test_more_parameters_than_the_protocol_can_count(connection: Client, schema: str) -> None:
    sql = "select array[" + ",".join(f"${n}::int8" for n in range(1, 65537)) + "]"
    with pytest.raises(febe.errors.EncodeError, match="at most 65535 parameters, 65536 given"):
        connection.fetchval(sql, *range(65536))
    assert connection.fetchval("select 1") == 1


@pytest.mark.parametrize(("types", "values", "number", "words"), [
    ("int4 int2", (1, 40000), 2, "integer out of range -32768 to 32767"),
    ("int4", ("1",), 1, ""), ("int4", (1.5,), 1, ""), ("bool", (1,), 1, ""), ("text", (1,), 1, ""),
    ("text text", ("a", "a\0b"), 2, "NUL"), ("bytea", ("a",), 1, ""), ("uuid", ("no",), 1, ""),
    ("float4", (1e300,), 1, ""), ("numeric", ("1",), 1, ""), ("date", ("2024-01-01",), 1, ""),
    ("timestamptz", (datetime(2024, 1, 1),), 1, ""), ("timestamp", (datetime(2024, 1, 1, tzinfo=UTC),), 1, ""),
    ("interval", (5,), 1, ""), ("int4[]", ([1, [2]],), 1, ""), ("int4[]", ([1, 2**40],), 1, ""),
    ("int4range", (Range(1, 2**40),), 1, ""), ("mood", (5,), 1, ""), ("address", (("a",),), 1, ""),
    ("address", (("a", 2**40, None),), 1, 'field "number"'), ("inet", ("10.0.0",), 1, ""),
    ("jsonb", (object(),), 1, ""), ("json", ({1, 2},), 1, ""), ("bit(3)", (5,), 1, ""),
    ("money", (1.5,), 1, ""), ("point", ((1,),), 1, ""),
    ("hstore", ({"a": 1},), 1, ""), ("xid", (-1,), 1, ""), ("int8", (2**63,), 1, "out of range"),
])
def test_what_does_not_fit_is_not_sent(connection: Client, schema: str, types: str, values: tuple[Any, ...],
                                       number: int, words: str) -> None:
    connection.execute("create extension if not exists hstore schema public")
    names = types.split()
    sql = "select " + ", ".join(f"${n}::{name}" for n, name in enumerate(names, 1))
    session = connection.real._session
    with pytest.raises(febe.errors.EncodeError):
        connection.fetch(sql, *values)  # described
    asked = session.asked
    with pytest.raises(febe.errors.EncodeError, match=rf"^parameter \${number} \([^)]*\): .*{words}") as caught:
        connection.fetch(sql, *values)
    assert caught.value.parameter == number
    assert session.asked == asked
    assert connection.fetch("select 1") == [(1,)]


def test_a_parameter_that_has_to_be_text(connection: Client, schema: str) -> None:
    with pytest.raises(febe.errors.EncodeError, match=r"parameter \$1 \(text\)") as caught:
        connection.fetchval("select lower($1)", 5)
    assert caught.value.__notes__ == ["febe: the statement wants text here; $1::int8 would say otherwise"]


def test_numpy(connection: Client, schema: str) -> None:
    numpy = pytest.importorskip("numpy")
    assert connection.fetchval("select $1::int8", numpy.int64(5)) == 5
    assert connection.fetchval("select $1::float4", numpy.float32(0.1)) == 0.1
    assert connection.fetchval("select $1::bool", numpy.bool_(True)) is True
    assert connection.fetchval("select $1::text", numpy.str_("a")) == "a"
    assert connection.fetchval("select $1::numeric", numpy.float32(0.5)) == Decimal("0.5")
    assert connection.fetchval("select $1::date", numpy.datetime64("2024-02-29")) == date(2024, 2, 29)
    assert connection.fetchval("select $1::int4[]", numpy.arange(6).reshape(2, 3)) == [[0, 1, 2], [3, 4, 5]]
    assert connection.fetchval("select $1::float8[]", numpy.array([0.5, numpy.inf])) == [0.5, float("inf")]
    days = numpy.array(["2024-01-01", "2024-01-02"], "M8[D]")
    assert connection.fetchval("select $1::date[]", days) == [date(2024, 1, 1), date(2024, 1, 2)]
    exact = numpy.datetime64("2024-01-01T00:00:00.000001000", "ns")
    assert connection.fetchval("select $1::timestamp", exact).microsecond == 1
    with pytest.raises(febe.errors.EncodeError, match=r"parameter \$1"):
        connection.fetchval("select $1::timestamp", numpy.datetime64("2024-01-01T00:00:00.000000001", "ns"))
