"""What `febe serve` adds to a query of DuckDB's: round trips of libpq beside the same query in the same process; and
how long a cancel request takes to stop one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.peers import febe_server

from .harness import Contender, Figures, Measurement, Round, Row, Settings

QUERIES = 2_000
ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range * b.range = 7"
_SQL = {"constant": "select 42", "one row of a table": "select name from things where id = 500"}


def _per_query(call: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def febe(settings: Settings) -> Iterator[Round]:
    import duckdb
    from psycopg import pq

    made = "create table things as select i as id, 'thing ' || i as name from range(1000) t(i)"
    sql = _SQL[settings["query"]]
    inside = duckdb.connect()
    inside.execute(made)
    with febe_server.running(options=["--quiet"]) as server:
        connection = pq.PGconn.connect(server.dsn().encode())
        connection.exec_(made.encode())
        if connection.prepare(b"s", sql.encode()).status != pq.ExecStatus.COMMAND_OK:
            raise RuntimeError("the statement could not be prepared")

        def served() -> None:
            result = (connection.exec_prepared(b"s", []) if settings["prepared"] else connection.exec_(sql.encode()))
            if result.status != pq.ExecStatus.TUPLES_OK or result.ntuples != 1:
                raise RuntimeError("not the row that was asked for")

        def run() -> Figures:
            count = settings["count"]
            added = _per_query(served, count) - _per_query(lambda: inside.execute(sql).fetchall(), count)
            return {"added": added * 1e6}

        yield run
        connection.finish()


def cancel(settings: Settings) -> Iterator[Round]:
    import psycopg

    with (febe_server.running(options=["--quiet"]) as server,
          psycopg.connect(server.dsn(), autocommit=True) as connection):

        def run() -> Figures:
            taken = 0.0
            for _ in range(5):
                stopped: list[float] = []

                def ask(stopped: list[float] = stopped) -> None:
                    try:
                        connection.execute(ENDLESS)
                    except psycopg.errors.QueryCanceled:
                        stopped.append(time.perf_counter())

                asking = threading.Thread(target=ask)
                asking.start()
                with psycopg.connect(server.dsn(), autocommit=True) as other:
                    while other.execute("select count(*) from pg_stat_activity where state = 'active' and query like "
                                        "'%10000000%' and pid <> pg_backend_pid()").fetchone() == (0,):
                        pass
                start = time.perf_counter()
                connection.cancel_safe()
                asking.join()
                taken = max(taken, stopped[0] - start)
            return {"taken": taken * 1e3}

        yield run


def _added(query: str, prepared: bool) -> Measurement:
    name = f"DuckDB, {query}, {'prepared' if prepared else 'simple'}: added to it"
    return Measurement(
        name=name, contenders={"febe": Contender(run=febe)},
        settings={"query": query, "prepared": prepared, "count": QUERIES},
        rows=[Row(name=name, ours="febe", figure="added", unit="us", against={}, at_most=120)])


MEASUREMENTS = [
    *(_added(query, prepared) for query in _SQL for prepared in (True, False)),
    Measurement(name="DuckDB, cancel", contenders={"febe": Contender(run=cancel)},
                rows=[Row(name="DuckDB, cancel", ours="febe", figure="taken", unit="ms", against={}, at_most=100)]),
]
