"""Every type that an engine can produce: other people's drivers read from febe what they read from PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

import febe
from febe.engines.duckdb import DuckDBEngine
from febe.server import Column, Engine, EngineSession, Listener, Prepared, Result
from febe.server.catalog import Catalog
from febe.types import TYPES
from tests.peers.postgres import Postgres
from tests.server.listening import listening
from tests.types.live import encode
from tests.types.samples import SAMPLES
from tests.types.test_postgres_values import spelled

NAMES = [name for name in SAMPLES if name != "xml"]  # the packaged PostgreSQL 18 has no libxml


TINY = Decimal("1E-400")


class Name(str):
    """A name that knows its number, as reg* types want for binary."""

    __slots__ = ("oid",)
    oid: int


class Values(Engine):
    """Gives the values of a type: `values TYPE`."""

    blocking = False

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return ValuesSession(self)


class ValuesSession(EngineSession):
    def __init__(self, engine: Values) -> None:
        self.engine = engine

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        return ValuesPrepared(self.engine, sql.split()[1])

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


class ValuesPrepared(Prepared):
    def __init__(self, engine: Values, name: str) -> None:
        self.engine, self.name = engine, name
        self.columns = (Column(name="v", type_oid=TYPES.by_name(name.removeprefix("one_")).oid),)

    def execute(self, values: Sequence[Any]) -> Result:
        return Result(rows=[[(value,) for value in self.engine.values[self.name]]])


Fetch = Callable[[str], list[Any]]
Place = dict[str, Any]


@contextlib.contextmanager
def by_psycopg(place: Place, binary: bool) -> Iterator[Fetch]:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(autocommit=True, **place) as connection:
        yield lambda sql: [value for (value,) in connection.cursor(binary=binary).execute(sql).fetchall()]


@contextlib.contextmanager
def by_asyncpg(place: Place, _: bool) -> Iterator[Fetch]:
    asyncpg = pytest.importorskip("asyncpg")
    where = {"database" if name == "dbname" else name: value for name, value in place.items()}
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(**where))

        async def fetch(sql: str) -> list[Any]:
            return [value for (value,) in await connection.fetch(sql)]

        try:
            yield lambda sql: runner.run(fetch(sql))
        finally:
            runner.run(connection.close())


@contextlib.contextmanager
def by_pg8000(place: Place, _: bool) -> Iterator[Fetch]:
    pg8000 = pytest.importorskip("pg8000.native")
    where = {"database" if name == "dbname" else name: value for name, value in place.items()}
    connection = pg8000.Connection(**where)
    try:
        yield lambda sql: [value for (value,) in connection.run(sql)]
    finally:
        connection.close()


CLIENTS = {"psycopg text": (by_psycopg, False), "psycopg binary": (by_psycopg, True), "asyncpg": (by_asyncpg, True),
           "pg8000": (by_pg8000, False)}


def shown(value: Any) -> str:
    text = repr(value)
    return text if " object at 0x" not in text else f"{type(value).__name__}({', '.join(map(shown, value))})"


class Reader:
    """A driver, connected to one server; anew after an error, which some drivers do not survive."""

    def __init__(self, client: str, place: Place) -> None:
        self.connect, self.binary = CLIENTS[client]
        self.place = place
        self.stack = contextlib.ExitStack()
        self.fetch: Fetch | None = None

    def read(self, sql: str) -> Any:
        """What the driver makes of it: values with their classes, or its error."""
        try:
            if self.fetch is None:
                self.fetch = self.stack.enter_context(self.connect(self.place, self.binary))
            return [(type(value).__name__, shown(value)) for value in self.fetch(sql)]
        except Exception as error:
            self.close()
            return type(error).__name__, str(error)

    def close(self) -> None:
        self.fetch = None
        with contextlib.suppress(Exception):
            self.stack.close()


@pytest.fixture(scope="module")
def read() -> Iterator[Callable[[str, Place, str], Any]]:
    made: dict[Any, Reader] = {}

    def read(client: str, place: Place, sql: str) -> Any:
        key = client, place["port"]
        if key not in made:
            made[key] = Reader(client, place)
        return made[key].read(sql)

    yield read
    for reader in made.values():
        reader.close()


def literal(text: bytes) -> str:
    return "'" + text.decode().replace("'", "''") + "'"


@pytest.fixture(scope="module")
def postgres(pg18: Postgres) -> Place:
    found = pg18.parameters()
    return found | {"port": int(found["port"])}


def place_of(listener: Listener) -> Place:
    return {"host": "127.0.0.1", "port": listener.port, "user": "demo", "dbname": "demo"}


@pytest.fixture(scope="module")
def engine(pg18: Postgres) -> Values:
    made = Values()
    with febe.connect(pg18.dsn()) as connection:
        for name in NAMES:
            sample = SAMPLES[name]
            # Not too long; no JSON null, which is None as NULL is; of jsonb what is the same in PostgreSQL's spelling.
            values = [value for value in sample.some(name, 8 if sample.same_text else 0)
                      if value is not None and len(repr(value)) < 3000 and (name, value) != ("jsonb", TINY)]
            if sample.names:
                values = [Name(value) for value in values]
                for value in values:
                    value.oid = connection.fetchval(f"select {literal(value.encode())}::{name}::oid")
            made.values[name] = values
            made.values[f"_{name}"] = [[*values, None], []]
    return made


@pytest.fixture(scope="module")
def listener(engine: Values) -> Iterator[Listener]:
    with listening(Catalog(engine)) as made:
        yield made


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_type(read: Any, listener: Listener, engine: Values, postgres: Place, name: str, client: str) -> None:
    for announced, suffix in ((name, ""), (f"_{name}", "[]")):
        declared = spelled(name) + SAMPLES[name].typmod + suffix
        if (announced, client) == ("_refcursor", "asyncpg"):
            continue  # its decoder gives a damaged list, with PostgreSQL too, and ends the process
        codec = TYPES.by_name(announced)
        values = engine.values[announced]
        rows = ", ".join(f"({literal(encode(codec, 0, value))}::{declared})" for value in values)
        theirs = read(client, postgres, f"select v from (values {rows}) as t(v)")
        assert read(client, place_of(listener), f"values {announced}") == theirs
        if isinstance(theirs, tuple) and not suffix:
            # Where a driver fails at one value it is seen what it makes of the others.
            for value in values:
                engine.values[f"one_{announced}"] = [value]
                row = f"{literal(encode(codec, 0, value))}::{declared}"
                theirs = read(client, postgres, f"select {row} as v")
                assert read(client, place_of(listener), f"values one_{announced}") == theirs, value


DUCKDB = [
    ("true", "true"), ("(-128)::tinyint", "(-128)::int2"), ("1::smallint", "1::int2"), ("1", "1"),
    ("(-9223372036854775808)::bigint", "(-9223372036854775808)::int8"),
    ("18446744073709551615::ubigint", "18446744073709551615::numeric"),
    ("170141183460469231731687303715884105727::hugeint", "170141183460469231731687303715884105727::numeric"),
    ("0.1::float", "0.1::float4"), ("'nan'::float", "'nan'::float4"), ("0.1::double", "0.1::float8"),
    ("'-inf'::double", "'-infinity'::float8"), ("1.50::decimal(4, 2)", "1.50::numeric(4,2)"),
    ("'Größe 😀'", "'Größe 😀'"), (r"'\x00\xff'::blob", r"'\x00ff'::bytea"),
    ("date '0044-03-15 (BC)'", "date '0044-03-15 BC'"), ("date 'infinity'", "date 'infinity'"),
    ("date '10000-01-01'", "date '10000-01-01'"), ("time '12:34:56.789'", "time '12:34:56.789'"),
    ("time '24:00:00'", "time '24:00'"), ("timestamp '-infinity'", "timestamp '-infinity'"),
    ("timestamp '2020-01-01 12:00:00.000001'", "timestamp '2020-01-01 12:00:00.000001'"),
    ("timestamptz '2020-01-01 12:00:00+02'", "timestamptz '2020-01-01 12:00:00+02'"),
    ("timestamptz 'infinity'", "timestamptz 'infinity'"),
    ("interval '1 month -2 days 3 seconds'", "interval '1 month -2 days 3 seconds'"),
    ("uuid '00000000-0000-0000-0000-000000000005'", "uuid '00000000-0000-0000-0000-000000000005'"),
    ("""'{"a": [1, null]}'::json""", """'{"a": [1, null]}'::json"""),
]


@pytest.fixture(scope="module")
def duckdb_listener() -> Iterator[Listener]:
    with listening(Catalog(DuckDBEngine())) as made:
        yield made


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("ours", "theirs"), DUCKDB, ids=[ours for ours, _ in DUCKDB])
def test_every_type_of_duckdb(read: Any, duckdb_listener: Listener, postgres: Place, ours: str, theirs: str,
                              client: str) -> None:
    assert read(client, place_of(duckdb_listener), f"select {ours} as v") == read(
        client, postgres, f"select {theirs} as v")
