"""The client's examples run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.postgres import Postgres

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("name", "printed"), [
    ("client.py", ["Row(a=1, b=\"it's safe\") 1 it's safe", "42", "[0, 6, 12, 18, 24]",
                   '42P01 relation "nowhere" does not exist']),
    ("values.py", ["interval '1 month 2 days' -> Interval(months=1, days=2)", "32 days, 0:00:00",
                   "timestamptz 'infinity' -> FarTimestamp('infinity')", "-> Array([5, 6], (0,))",
                   "Parcel(label='tea', size=<Size.SMALL: 'small'>, weights=[1, 2])"]),
    ("report_builder.py", ["[Row(city='Bergen', people=291000), Row(city='Oslo', people=717000)]\n[]\n42703 column ",
                           "Rome\n", "[Row(city='Bergen'), Row(city='Oslo')] [Row(city='Rome')] Row(city='Bergen')"]),
    ("large_objects.py", ["True bytes where", "['part 0.txt', 'part 1.txt', 'part 2.txt'] b'this is part 1\\n'",
                          "the source broke off\nstill an archive: True"]),
    ("client_asyncio.py", ["[500500, 5000050000]", "[1, 3, 6, 10, 15]"]),
    ("bulk_load.py", ["COPY 5000", "COPY 100000 in several pieces up to row 100000", "row 1, column 'celsius'",
                      "105000"]),
    ("job_queue.py", ["30 jobs done, each once: True"]),
    ("transfer_with_retry.py", ["[Row(id=1, balance=60), Row(id=2, balance=140)]"]),
    ("web_handlers.py", ["50 page 49: 49 words 10 at most 4 connections"]),
    ("two_phase_commit.py", ["both committed: [Row(id=1, balance=60)] [Row(id=1, balance=140)]",
                             "left over by a crash: ['debit'], rolled back"]),
    ("observed.py", ["WARNING\nWARNING\nWARNING\n", "CONNECT None", "SELECT select ?", "1 query messages on the wire",
                     "SELECT pg_class select relname from pg_class where"]),
    ("sqlalchemy_objects.py", ["Ada ['Volume 1', 'Volume 2', 'Volume 3'] 600"]),
    ("to_parquet.py", ["100000 ['id', 'name', 'half'] 50000.0"]),
    ("vectors.py", ["COPY 500", "nearest to a neighbour of 42: 42", "the same as before: True"]),
    ("copy_between_servers.py", ["COPY 50000 in many pieces", "COPY 100"]),
    ("bulk_upsert.py", ["{'insert': 10000}", "{'insert': 2000, 'update': 2500}", "refused: price_amount_check",
                        "1.0 as before"]),
    ("staged_load.py", ["(29300, 700)", "nothing of it: reading_celsius_check", "29300 readings"]),
    ("duckdb_join.py", ["1000 sales", "COPY 5", "shop 4 "]),
    ("arrow_table.py", ["['i', 'half', 'name'] 1000 row 1000", "250250.0 250.25", "[(1000, 'row 999')]",
                        "float64 250250.0", "COPY 1000 250250.0"]),
    ("data_frames.py", ["COPY 2", "['Oslo', 'Rome'] [Decimal('28.50'), Decimal('61.25')]", "3   4  Bern     NaN",
                        "row 2, column 'pieces': 40000 is out of range for type int2", "4 rows, as before"]),
])
def test_example(name: str, printed: list[str], pg18: Postgres, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, EXAMPLES / name, pg18.dsn(), tmp_path / "file"], env=os.environ,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in printed:
        assert line in done.stdout
