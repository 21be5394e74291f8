"""Types of the server's own and codecs of the program's, the same from a snapshot and from the stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

import febe
from febe.replication import Commit, Insert, subscribe
from febe.types import TYPES, Codec, Range, Registry
from tests.peers.postgres import Postgres
from tests.replication.test_subscription import drop_slots

MADE = """
create type mood as enum ('sad', 'ok');
create domain positive as int2;
create type address as (street text, number positive, moods mood[]);
create type span as range (subtype = mood);
create table person (id int4 primary key, m mood, p positive, ps positive[], a address, many address[], s span);
create publication people for table person;
"""
DROPPED = """
set client_min_messages = warning;
drop publication if exists people; drop table if exists person;
drop type if exists span, address, positive, mood cascade;
"""
INSERT = ("insert into person values ({}, 'ok', 5, array[5, 6], ('Main', 7, array['sad']::mood[]), "
          "array[('B', 8, null)::address, null], '[sad,ok]')")
ROW: tuple[Any, ...] = ("ok", 5, [5, 6], ("Main", 7, ["sad"]), [("B", 8, None), None], Range("sad", "ok", "[]"))


@pytest.fixture
def server(publishers: Any) -> Postgres:
    made: Postgres = publishers(18)
    return made


@pytest.fixture
def client(server: Postgres) -> Iterator[febe.Connection]:
    with febe.connect(server.dsn()) as connection:
        connection.execute(DROPPED + MADE)
        yield connection
        drop_slots(connection)
        connection.execute(DROPPED)


def rows(client: febe.Connection, server: Postgres, *inserts: str, **options: Any) -> list[tuple[Any, ...]]:
    """The rows of the first transaction, and of one for each of `inserts`, which follow it."""
    found = []
    left = list(inserts)
    with subscribe(server.dsn(), slot="typed", publication="people", **options) as subscription:
        for event in subscription:
            if isinstance(event, Insert):
                found.append(event.new)
            elif isinstance(event, Commit):
                if not left:
                    return found
                client.execute(left.pop(0))
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("binary", [False, True])
def test_a_snapshot_and_a_stream_give_the_same(client: febe.Connection, server: Postgres, binary: bool) -> None:
    client.execute(INSERT.format(1))
    found = rows(client, server, INSERT.format(2), snapshot=True, binary=binary)
    assert [row[0] for row in found] == [1, 2]
    for row in found:
        assert tuple(row)[1:] == ROW
        assert row[4].street == "Main"


class Mood(Enum):
    SAD = "sad"
    OK = "ok"


@dataclass
class Address:
    street: str
    number: int
    moods: list[Mood] | None


def own() -> Registry:
    types = TYPES.copy()
    types.register_class("mood", Mood)
    types.register_class("address", Address)
    types.register(Codec(oid=21, name="int2", decode_text=lambda data: -int(data), encode_text=None,
                         decode_binary=lambda data: -int.from_bytes(data, "big"), encode_binary=None))
    return types


@pytest.mark.parametrize("binary", [False, True])
def test_codecs_of_the_program(client: febe.Connection, server: Postgres, binary: bool) -> None:
    client.execute(INSERT.format(1))
    for row in rows(client, server, INSERT.format(2), snapshot=True, binary=binary, types=own()):
        assert tuple(row)[1:] == (
            Mood.OK, -5, [-5, -6], Address("Main", -7, [Mood.SAD]), [Address("B", -8, None), None],
            Range(Mood.SAD, Mood.OK, "[]"))


@pytest.mark.parametrize(("binary", "kind"), [(False, str), (True, bytes)])
def test_the_past_of_a_type(client: febe.Connection, server: Postgres, binary: bool, kind: type) -> None:
    """A stream that lags behind has values of before a change of their type."""
    client.execute("select slot_name from pg_create_logical_replication_slot('typed', 'pgoutput')")
    client.execute(INSERT.format(1))
    client.execute("alter type address add attribute city text")
    after = "insert into person (id, a) values (2, ('Main', 7, '{sad}', 'Oslo'))"
    first, second = rows(client, server, after, binary=binary)
    assert type(first[4]) is kind
    assert second[4] == ("Main", 7, ["sad"], "Oslo")
