"""The dialects beyond SQLAlchemy's own suite: types, errors, streams, what is gone, data frames' way in."""

from __future__ import annotations

import asyncio
import datetime
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects import registry
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import febe
from febe.types import Interval
from tests.peers.postgres import Postgres

registry.register("postgresql.febe", "febe.client.sqlalchemy", "Dialect")
registry.register("postgresql.febe_async", "febe.client.sqlalchemy", "AsyncDialect")


def url(server: Postgres) -> sa.URL:
    found = server.parameters()
    return sa.URL.create("postgresql+febe", username=found["user"], host=found["host"], port=int(found["port"]),
                         database=found["dbname"])


@pytest.fixture
def engine(pg18: Postgres) -> Any:
    made = sa.create_engine(url(pg18))
    yield made
    made.dispose()


def test_the_entry_points_are_the_dialects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    for name, place in project["entry-points"]["sqlalchemy.dialects"].items():
        module, _, attribute = place.partition(":")
        assert registry.load(name) is getattr(__import__(module, fromlist=["_"]), attribute)


@pytest.mark.parametrize(("made", "value"), [
    (pg.INTERVAL(), datetime.timedelta(days=40, seconds=5)), (sa.Interval(), datetime.timedelta(seconds=-1.5)),
    (pg.INTERVAL(), Interval(months=1)), (pg.INT4RANGE(), pg.Range(1, 5)), (pg.INT4RANGE(), pg.Range(empty=True)),
    (pg.NUMRANGE(), pg.Range(Decimal("1.5"), None, bounds="()")),
    (pg.INT4MULTIRANGE(), pg.ranges.MultiRange([pg.Range(1, 2), pg.Range(5, 9)])),
    (pg.JSONB(), {"a": [1, 2.5, None, "ä"]}), (pg.JSON(), "text"), (pg.ARRAY(sa.Integer), [1, None, 3]),
    (pg.ARRAY(sa.Text, dimensions=2), [["a", "b"], ["c", None]]), (pg.ARRAY(pg.JSONB), [{"a": 1}, [2]]),
    (sa.Numeric(10, 2), Decimal("12.50")), (sa.Numeric(asdecimal=False), 12.5), (sa.Float(), 0.1),
    (sa.Float(asdecimal=True), Decimal("0.25")), (sa.LargeBinary(), b"\0\xff"), (pg.TSVECTOR(), "'a':1 'b':2"),
    (pg.MONEY(), "$12.50"), (pg.MACADDR(), "08:00:2b:01:02:03"), (sa.Boolean(), True), (sa.CHAR(3), "abc"),
    (sa.Date(), datetime.date(2024, 2, 29)), (sa.Time(), datetime.time(23, 59, 59, 999999)),
    (sa.DateTime(timezone=True), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
    (sa.Enum("x", "y", name="an_enum", create_type=False), None)])
def test_values_go_and_come_back(engine: sa.Engine, made: Any, value: Any) -> None:
    table = sa.Table("values_back", sa.MetaData(), sa.Column("a", made), prefixes=["TEMPORARY"])
    with engine.connect() as connection:
        if isinstance(made, sa.Enum):
            connection.execute(sa.text("create type pg_temp.an_enum as enum ('x', 'y')"))
            table.c.a.type = sa.Enum("x", "y", name="an_enum", schema="pg_temp", create_type=False)
            value = "y"
        table.create(connection)
        connection.execute(table.insert(), [{"a": value}, {"a": None}])
        assert connection.scalars(sa.select(table.c.a)).all() == [value, None]
        assert connection.scalar(sa.select(sa.literal(value, table.c.a.type))) == value


def test_a_cast_of_a_number_does_not_round(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        price = sa.Numeric(10, 2)
        assert connection.scalar(sa.select(sa.literal(Decimal("1.005"), price))) == Decimal("1.005")


def test_text_needs_no_casts(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(sa.text("select :a, :b"), {"a": 5, "b": "x"}).one() == (5, "x")


def test_errors_are_sqlalchemys(engine: sa.Engine, pg18: Postgres) -> None:
    with engine.connect() as connection:
        connection.execute(sa.text("create temp table t (a int primary key)"))
        connection.execute(sa.text("insert into t values (1)"))
        with pytest.raises(sa.exc.IntegrityError) as caught:
            connection.execute(sa.text("insert into t values (:a)"), {"a": 1})
        assert isinstance(caught.value.orig, febe.errors.UniqueViolation)
        assert caught.value.orig.constraint_name == "t_pkey"
        connection.rollback()
        for sql, family in (("selec", sa.exc.ProgrammingError), ("select 1 / 0", sa.exc.DataError)):
            with pytest.raises(family):
                connection.execute(sa.text(sql))
            connection.rollback()
        with febe.connect(pg18.dsn()) as other:
            other.execute("select pg_terminate_backend($1)", connection.scalar(sa.text("select pg_backend_pid()")))
        with pytest.raises(sa.exc.DBAPIError) as lost:
            connection.execute(sa.text("select 1"))
        assert lost.value.connection_invalidated
        connection.rollback()
        assert connection.scalar(sa.text("select 1")) == 1


def test_a_pool_asks_for_a_sign_of_life(pg18: Postgres) -> None:
    engine = sa.create_engine(url(pg18), pool_pre_ping=True)
    with engine.connect() as connection:
        process = connection.scalar(sa.text("select pg_backend_pid()"))
    with febe.connect(pg18.dsn()) as other:
        other.execute("select pg_terminate_backend($1)", process)
        while other.fetchval("select count(*) from pg_stat_activity where pid = $1", process):
            pass
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select pg_backend_pid()")) != process
    engine.dispose()


def test_rows_are_streamed(engine: sa.Engine) -> None:
    with engine.connect().execution_options(stream_results=True) as connection:
        result = connection.execute(sa.text("select generate_series(1, 2500)"))
        assert result.cursor is not None and result.cursor.server_side  # type: ignore[attr-defined]
        assert [len(part) for part in result.partitions(300)] == [300] * 8 + [100]


def test_properties_of_transactions(engine: sa.Engine) -> None:
    sql = sa.text("select current_setting('transaction_isolation') || current_setting('transaction_read_only')")
    with engine.connect() as plain:
        assert plain.scalar(sql) == "read committedoff"
        assert plain.get_isolation_level() == plain.default_isolation_level == "READ COMMITTED"
    options = {"isolation_level": "SERIALIZABLE", "postgresql_readonly": True, "postgresql_deferrable": True}
    with engine.connect().execution_options(**options) as connection:
        assert connection.scalar(sql) == "serializableon"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as automatic:
        automatic.execute(sa.text("vacuum pg_class"))


def test_the_url_has_any_option(pg18: Postgres) -> None:
    found = url(pg18).update_query_dict({"application_name": "by url", "statement_cache_size": "0",
                                         "host": f"127.0.0.1:{pg18.parameters()['port']}"})
    engine = sa.create_engine(found.set(host=None, port=None), native_inet_types=False)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("show application_name")) == "by url"
        assert connection.scalar(sa.text("select inet '10.0.0.1'")) == "10.0.0.1"
        assert connection.connection.dbapi_connection.session.statement_cache_size == 0  # type: ignore[union-attr]
    engine.dispose()


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "febe_thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(pg.JSONB)


def test_objects_in_bulk(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    try:
        with Session(engine) as session:
            session.add_all(Thing(name=f"thing {n}", facts={"n": n}) for n in range(3000))
            session.commit()
            found = session.scalars(sa.select(Thing).where(Thing.facts["n"].as_integer() > 2997).order_by(Thing.id))
            assert [thing.name for thing in found] == ["thing 2998", "thing 2999"]
            done: Any = session.execute(sa.update(Thing).where(Thing.id < 11).values(name="new"))
            assert done.rowcount == 10
            session.rollback()
    finally:
        Base.metadata.drop_all(engine)


def test_asyncio(pg18: Postgres) -> None:
    async def main() -> None:
        engine = create_async_engine(url(pg18), pool_size=3)
        async with engine.connect() as connection:
            assert await connection.scalar(sa.text("select 41 + 1")) == 42
            streamed = await connection.stream(sa.text("select generate_series(1, 2500)"))
            assert sum([row[0] async for row in streamed]) == 3126250
            raw = await connection.get_raw_connection()
            assert await raw.driver_connection.fetchval("select $1::int4", 7) == 7  # type: ignore[union-attr]

        async def ask(number: int) -> Any:
            async with engine.begin() as connection:
                return await connection.scalar(sa.select(sa.literal(number)))

        assert await asyncio.gather(*(ask(number) for number in range(20))) == list(range(20))
        with pytest.raises(sa.exc.ProgrammingError):
            await ask_wrongly(engine)
        await engine.dispose()

        made: list[Any] = []

        async def creator(*args: Any, **options: Any) -> Any:
            made.append(await febe.aio.connect(pg18.dsn()))
            return made[0]

        own = create_async_engine(
            "postgresql+febe://", connect_args={"async_creator_fn": creator})
        async with own.connect() as connection:
            assert await connection.scalar(sa.text("select 1")) == 1
        await own.dispose()
        assert made[0].is_closed

    async def ask_wrongly(engine: Any) -> None:
        async with engine.connect() as connection:
            await connection.execute(sa.text("selec"))

    asyncio.run(main())
