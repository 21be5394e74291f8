"""An engine that tells what it has, so that psql's \\d, DBeaver and SQLAlchemy can look around.

    python examples/engine_catalog.py
    psql "host=127.0.0.1 port=5499 user=me" -c "\\d readings" -c "select * from readings"

Every query is answered with the readings: understanding SQL is not this example's business.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import febe.server
from febe.server import Column, Engine, EngineSession, Prepared, Result
from febe.server.catalog import Catalog
from febe.server.catalog.description import Attribute, Constraint, Database, Relation, Schema, Type
from febe.types import oids

READINGS = Relation(
    name="readings", comment="what the thermometer said",
    columns=[Attribute(name="at", type=Type(oid=oids.TIMESTAMPTZ), not_null=True),
             Attribute(name="celsius", type=Type(oid=oids.FLOAT8), comment="on the north side")],
    constraints=[Constraint(name="readings_pkey", kind="p", columns=["at"])])
NOON = datetime.datetime(2024, 6, 1, 12, tzinfo=datetime.UTC)


class Thermometer(Engine):
    """One table."""

    blocking = False

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return Session()


class Session(EngineSession):
    """A client's; `describe` is what the catalogs are filled from."""

    def describe(self) -> Database:
        return Database(schemas=[Schema(name="public", relations=[READINGS])], search_path=["public"], writable=False)

    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        return Readings()


class Readings(Prepared):
    """The rows."""

    columns = tuple(Column(name=one.name, type_oid=one.type.oid) for one in READINGS.columns)

    def execute(self, values: Sequence[Any]) -> Result:
        hours = [NOON + datetime.timedelta(hours=hour) for hour in range(3)]
        return Result(rows=[[(hour, 20.0 + i) for i, hour in enumerate(hours)]])


if __name__ == "__main__":
    febe.server.run(Catalog(Thermometer()), port=5499)
