"""febe.server with an engine that answers every statement with the constant 1."""

from collections.abc import Mapping, Sequence
from typing import Any

from febe.server import Column, Engine, EngineSession, Prepared, Result, run
from febe.types.oids import INT4


class One(Prepared):
    columns = (Column(name="?column?", type_oid=INT4),)

    def execute(self, values: Sequence[Any]) -> Result:
        return Result(rows=[[(1,)]])


class Session(EngineSession):
    def prepare(self, sql: str, parameter_types: Sequence[int]) -> Prepared:
        return One()


class Constant(Engine):
    blocking = False                                   # it answers at once, so no thread is needed

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return Session()


run(Constant(), port=0, ready=lambda listener: print("port", listener.port, flush=True))
