"""SQL put together from parts: what is no SQL never becomes any."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import febe
from febe.errors import EncodeError
from febe.flows.compose import Query, composed, constant
from tests.client.faces import FACES
from tests.client.test_operations import on_each_face
from tests.peers.postgres import Postgres

HIDING = "':x' || E'\\':x' || \":x\" || $$:x$$ || $t$:x$$:x$t$ /* :x /* :x */ :x */ -- :x\n"
EVIL = "'; drop table students; --"


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("made", "text", "args"), [
    (febe.sql("select 1"), "select 1", ()),
    (febe.sql("select {}, {}", 1, EVIL), "select $1, $2", (1, EVIL)),
    (febe.sql("select {1}, {0}, {1}", "a", "b"), "select $1, $2, $3", ("b", "a", "b")),
    (febe.sql("select {a}, {b[k]}, {c.real}", a=1, b={"k": 2}, c=3), "select $1, $2, $3", (1, 2, 3)),
    (febe.sql("select '{{}}'"), "select '{}'", ()),
    (febe.sql("select {!r}", "x"), "select $1", ("'x'",)),
    (febe.sql("select {} from {}", febe.Name("a"), febe.Name("s", 't"')), 'select "a" from "s"."t"""', ()),
    (febe.sql("select {:i}, {:i}", 'x"; --', ("s", "t")), 'select "x""; --", "s"."t"', ()),
    (febe.sql("create user {:i} password {:l}", "u", EVIL),
     "create user \"u\" password '''; drop table students; --'", ()),
    (febe.sql("select {} where {}", 1, febe.sql("a = {} and b = {}", 2, 3)), "select $1 where a = $2 and b = $3",
     (1, 2, 3)),
    (febe.sql(" and ").join([febe.sql("a = {}", 1), febe.sql("b = {}", 2), febe.Name("c")]),
     'a = $1 and b = $2 and "c"', (1, 2)),
    (febe.sql(", ").join([]), "", ()),
    (febe.named("select :a, :b::int4, :a", a=1, b=2), "select $1, $2::int4, $1", (1, 2)),
    (febe.named("select :a", {"a": None}), "select $1", (None,)),
    (febe.named(f"select {HIDING}, a[1 : 2], :y", y=1), f"select {HIDING}, a[1 : 2], $1", (1,)),
    (febe.named("select 'it''s :x', a := 1, date':x', :ä_1", {"ä_1": 5}),
     "select 'it''s :x', a := 1, date':x', $1", (5,)),
    (febe.sql("select {}, {}", 0, febe.named(":a + :b + :a", a=1, b=2)), "select $1, $2 + $3 + $2", (0, 1, 2)),
])
def test_made(made: Query, text: str, args: tuple[object, ...]) -> None:
    assert (made.sql, made.args) == (text, args)


@pytest.mark.parametrize(("make", "error"), [
    (lambda: febe.sql("{}"), IndexError), (lambda: febe.sql("{a}"), KeyError), (lambda: febe.sql("{"), ValueError),
    (lambda: febe.sql("{:x}", 1), ValueError), (lambda: febe.sql("{:i}", febe.sql("a")), ValueError),
    (lambda: febe.sql("{:i}", ""), ValueError), (lambda: febe.Name("a\0"), ValueError),
    (lambda: febe.sql("{:l}", "a\0"), ValueError), (lambda: febe.sql("{:l}", object()), EncodeError),
    (lambda: febe.named("select :a"), TypeError), (lambda: febe.named("select 1", a=1), TypeError),
    (lambda: febe.named("select :a, $1", a=1), TypeError), (lambda: febe.named("select a[1:n]"), TypeError),
])
def test_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


class Colour(Enum):
    RED = "it's red"


CONSTANTS = [None, True, "it's", "back\\slash", EVIL, "", 5, -5, 2**40, 1.5, float("-inf"), Decimal("-1.50"), b"\0'\\",
             date(2024, 2, 29), {"a": ["'", None]}, Colour.RED]


@on_each_face
async def test_what_is_made_is_run(connection: Any) -> None:
    await connection.execute("create temp table \"odd \"\"name\" (a int4, b text)")
    table = febe.Name('odd "name')
    done = await connection.execute(febe.sql("insert into {} values ({}, {})", table, 1, EVIL))
    assert done == "INSERT 0 1"
    assert await connection.fetch(febe.sql("select * from {}", table)) == [(1, EVIL)]
    assert (await connection.execute(febe.sql("select * from {}; select 1", table))).results[0].rows == [(1, EVIL)]
    assert await connection.fetchval(febe.named("select b from \"odd \"\"name\" where a = :a", a=1)) == EVIL
    assert (await connection.fetchrow(febe.sql("select {:l} as x", EVIL))).x == EVIL
    async with connection.transaction(), connection.stream(febe.sql("select {}::int4", 7)) as stream:
        assert [batch async for batch in stream] == [[(7,)]]
    async with connection.pipeline() as pipeline:
        reply = pipeline.fetchval(febe.named("select :x::int4", x=8))
    assert (await reply.result() if hasattr(reply.result(), "__await__") else reply.result()) == 8
    assert (await connection.fetch_arrow(febe.sql("select {}::int4 as a", 9))).schema is not None
    with pytest.raises(TypeError, match="in it already"):
        await connection.fetch(febe.sql("select 1"), 2)
    with pytest.raises(TypeError, match="SQL is a str"):
        await connection.fetch(5)
    for value in CONSTANTS:
        wanted = value.value if isinstance(value, Enum) else value
        assert await connection.fetchval(f"select {constant(value)}") == wanted


@pytest.fixture(scope="module")
def connection(pg18: Postgres) -> Any:
    with febe.connect(pg18.dsn()) as made:
        yield made


NASTY = st.text(st.sampled_from("ab'\"\\$:;{}-/*\n E🐘"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=NASTY, name=NASTY.filter(bool), hidden=NASTY)
def test_nothing_gets_out(connection: febe.Connection, text: str, name: str, hidden: str) -> None:
    row = connection.fetchrow(febe.sql("select {}::text as {:i}, {:l} as x, {:l} as y", text, name, text, hidden))
    assert row is not None
    assert tuple(row) == (text, text, hidden)
    assert row._fields[0] == name
    # what a literal holds is no parameter's name, whatever it is
    query = febe.named(f"select {constant(hidden)} || :a::text", a=text)
    assert connection.fetchval(query) == hidden + text


# Template strings.  `string.templatelib` is there from Python 3.14 on; these have its interface.

@dataclass
class Interpolation:
    value: object
    expression: str = ""
    conversion: str | None = None
    format_spec: str = ""


@dataclass
class Template:
    strings: tuple[str, ...]
    interpolations: tuple[Interpolation, ...]


def test_template_strings_by_their_interface(connection: febe.Connection) -> None:
    inner = Template(("a = ", ""), (Interpolation(EVIL),))
    outer = Template(("select ", ", ", ", ", " as ", " where ", ""), (
        Interpolation(1), Interpolation("x", conversion="r"), Interpolation(5, format_spec="l"),
        Interpolation('n"', format_spec="i"), Interpolation(inner)))
    made = composed(outer)
    assert made.sql == "select $1, $2, '5'::pg_catalog.\"int8\" as \"n\"\"\" where a = $3"
    assert made.args == (1, "'x'", EVIL)
    assert connection.fetchval(Template(("select ", "::text"), (Interpolation(EVIL),))) == EVIL
    with pytest.raises(ValueError, match="is no form"):
        composed(Template(("", ""), (Interpolation(1, format_spec=">10"),)))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has template strings from 3.14 on")
def test_template_strings(connection: febe.Connection) -> None:
    scope = {"evil": EVIL, "name": 'n"'}
    template = eval("""t"select {evil}::text as {name:i}, {5:l} as x, {name!r}::text as y" """, scope)
    row = connection.fetchrow(template)
    assert row is not None
    assert (tuple(row), row._fields[0]) == ((EVIL, 5, repr('n"')), 'n"')
