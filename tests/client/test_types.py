"""Types of the server's own making: looked up once, rebuilt when they change, and with the program's classes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest

import febe
from febe.flows import introspect
from febe.types import TYPES, Array, Codec, Multirange, Range, Row
from tests.client.conftest import Client, Face
from tests.peers.postgres import Postgres

MADE = """
create schema {0};
create type {0}.mood as enum ('sad', 'ok', 'very happy');
create domain {0}.positive as int4 check (value > 0);
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


def test_a_composite_that_changed(connection: Client, schema: str) -> None:
    sql = "select c from customers"
    assert connection.fetchval(sql).name == "Ada"
    ask = "select $1::customer"
    assert connection.fetchval(ask, ("Ada", None, None)).name == "Ada"
    connection.execute("alter type customer add attribute age int4 cascade")
    with pytest.raises(febe.errors.DecodeError, match="4 fields, where 3 were described"):
        connection.fetchval(sql)
    assert connection.fetchval(sql).age is None
    assert connection.fetchval("select 1") == 1
    assert connection.fetchval(ask, ("Ada", None, None, 7)).age == 7
    connection.execute("alter type customer drop attribute name")
    with pytest.raises(febe.errors.PostgresError):
        connection.fetchval(ask, ("Ada", None, None, 7))
    assert connection.fetchval(ask, (None, None, 7)).age == 7


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
