"""febe.server with an engine that answers every statement with the constant 1, in as many processes as asked for."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from febe.server import Column, Engine, EngineSession, Prepared, Result, run, run_workers
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
    processes = True                                   # and keeps nothing

    def open(self, *, user: str, database: str, parameters: Mapping[str, str]) -> EngineSession:
        return Session()


def ready(listener: Any) -> None:
    print("port", listener.port, flush=True)


if len(sys.argv) > 1:
    run_workers(Constant, int(sys.argv[1]), port=0, ready=ready)
else:
    run(Constant(), port=0, ready=ready)
