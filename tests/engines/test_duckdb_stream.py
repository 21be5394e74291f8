"""Streaming: bounded memory, suspended results beside other statements, cancel."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from febe.engines.duckdb import DuckDBEngine, DuckDBSession
from febe.server.engine import EngineError
from tests.engines.conftest import Run, reader, rows_of, runner

_ROWS = 300_000


def test_a_result_is_read_in_batches(session: DuckDBSession) -> None:
    batches = reader(session.prepare(f"select i, i::varchar from range({_ROWS}) r(i)", []).execute([]))
    first = batches.read_next_batch()
    assert 0 < first.num_rows < _ROWS / 4
    assert first.num_rows + sum(batch.num_rows for batch in batches) == _ROWS


def test_another_statement_beside_a_suspended_result(session: DuckDBSession, run: Run) -> None:
    batches = reader(session.prepare(f"select i, -i::decimal(9,1), date '2000-01-01' + i::int, null, 'x' || i "
                                     f"from range({_ROWS}) r(i) order by i desc", []).execute([]))
    rows = rows_of([batches.read_next_batch()])
    assert run("select 42").rows == [(42,)]
    rows += rows_of([batches.read_next_batch()])
    run("create table other as select 1 as a")
    rows += rows_of(batches)
    assert [row[0] for row in rows] == list(range(_ROWS - 1, -1, -1))
    assert all(row[4] == f"x{row[0]}" and -row[1] == row[0] for row in rows)


def test_suspended_results_of_a_transaction_see_its_earlier_changes_only(session: DuckDBSession, run: Run) -> None:
    run("create table t(i bigint)")
    session.begin()
    run(f"insert into t select * from range({_ROWS})")
    suspended = [reader(session.prepare("select i from t", []).execute([])) for _ in range(3)]
    counts = [batches.read_next_batch().num_rows for batches in suspended]
    assert run("delete from t").tag == f"DELETE {_ROWS}"
    for index, batches in enumerate(suspended):
        counts[index] += sum(batch.num_rows for batch in batches)
    assert counts == [_ROWS] * 3
    assert run("select count(*) from t").rows == [(0,)]
    session.rollback()
    assert run("select count(*) from t").rows == [(0,)]


def test_a_result_that_was_not_begun_moves_too(session: DuckDBSession, run: Run) -> None:
    result = session.prepare("select i from range(5) r(i)", []).execute([])
    assert run("select 1").rows == [(1,)]
    assert rows_of(reader(result)) == [(0,), (1,), (2,), (3,), (4,)]


def test_temporary_tables_are_seen_beside_a_suspended_result(session: DuckDBSession, run: Run) -> None:
    run(f"create temp table t as select * from range({_ROWS}) r(i)")
    batches = reader(session.prepare("select * from t", []).execute([]))
    count = batches.read_next_batch().num_rows
    assert run("select count(*) from t").rows == [(_ROWS,)]
    assert count + sum(batch.num_rows for batch in batches) == _ROWS


def test_reading_on_after_the_transaction_is_an_error_not_an_early_end(session: DuckDBSession) -> None:
    session.begin()
    result = session.prepare(f"select * from range({_ROWS})", []).execute([])
    batches = reader(result)
    batches.read_next_batch()
    session.commit()
    with pytest.raises(OSError) as caught:
        rows_of(batches)
    assert result.failure is not None
    assert result.failure(str(caught.value)).sqlstate == "25P01"


def test_a_result_dropped_unread_frees_the_connection(session: DuckDBSession, run: Run) -> None:
    session.prepare(f"select * from range({_ROWS})", []).execute([])
    batches = reader(session.prepare(f"select * from range({_ROWS})", []).execute([]))
    batches.read_next_batch()
    del batches
    gc.collect()
    assert run("select 1").rows == [(1,)]


def test_an_error_in_mid_stream_is_told_with_its_sqlstate(session: DuckDBSession, run: Run) -> None:
    sql = f"select ('x' || i)[case when i < {_ROWS - 5} then 2 else 1 end:]::int from range({_ROWS}) r(i)"
    result = session.prepare(sql, []).execute([])
    batches = reader(result)
    with pytest.raises(Exception) as caught:
        rows_of(batches)
    assert result.failure is not None
    error = result.failure(str(caught.value))
    assert error.sqlstate == "22P02"
    assert "LINE" not in str(error)
    assert run("select 1").rows == [(1,)]


def test_an_error_while_moving_is_told_to_the_reader(session: DuckDBSession, run: Run) -> None:
    rows = 20 * _ROWS  # the error is far beyond what DuckDB's threads work ahead
    sql = f"select ('x' || i)[case when i < {rows - 5} then 2 else 1 end:]::int from range({rows}) r(i)"
    result = session.prepare(sql, []).execute([])
    batches = reader(result)
    batches.read_next_batch()
    assert run("select 1").rows == [(1,)]
    with pytest.raises(OSError) as caught:
        rows_of(batches)
    assert result.failure is not None
    assert result.failure(str(caught.value)).sqlstate == "22P02"


def test_cancel_from_another_thread(session: DuckDBSession, run: Run) -> None:
    prepared = session.prepare("select count(*) from range(100000000000) a(i) where i % 3 = 7", [])
    stop = threading.Event()

    def cancel() -> None:
        while not stop.wait(0.05):
            session.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with pytest.raises(EngineError) as caught:
            result = prepared.execute([])
            try:
                rows_of(reader(result))
            except (OSError, KeyboardInterrupt) as error:
                assert result.failure is not None
                raise result.failure(str(error)) from error
    finally:
        stop.set()
        thread.join()
    assert caught.value.sqlstate == "57014"
    assert str(caught.value) == "canceling statement due to user request"
    assert run("select 1").rows == [(1,)]


def test_cancel_of_what_changes_data(session: DuckDBSession, run: Run) -> None:
    run("create table t(i bigint)")
    prepared = session.prepare("insert into t select i from range(100000000000) r(i) where i % 3 = 7", [])
    threading.Timer(0.3, session.cancel).start()
    with pytest.raises(EngineError) as caught:
        prepared.execute([])
    assert caught.value.sqlstate == "57014"
    assert run("select count(*) from t").rows == [(0,)]


def test_cancel_of_nothing_does_not_hurt_the_next_statement(session: DuckDBSession, run: Run) -> None:
    session.cancel()
    assert run("select 1").rows == [(1,)]


def test_sessions_run_beside_each_other(engine: DuckDBEngine, session: DuckDBSession) -> None:
    other = engine.open(user="demo", database="demo", parameters={})
    batches = reader(session.prepare(f"select * from range({_ROWS})", []).execute([]))
    batches.read_next_batch()
    assert runner(other)("select 1").rows == [(1,)]
    other.close()


_GROWTH = """
import gc, resource, sys
import pyarrow as pa
from febe.engines.duckdb import DuckDBEngine
session = DuckDBEngine(threads=2).open(user="demo", database="demo", parameters={})

def run(rows):
    prepared = session.prepare(sys.argv[1].replace("ROWS", str(rows)), [])
    return sum(batch.num_rows for batch in pa.RecordBatchReader.from_stream(prepared.execute([]).arrow))

run(500_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert run(int(sys.argv[2])) == int(sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource")
@pytest.mark.parametrize(("sql", "rows"), [
    ("select i::int a, i::int b, i::varchar c, i::varchar d, i::double e from range(ROWS) r(i)", 10_000_000),
    ("select i, [i, i + 1] as list, i::hugeint h from range(ROWS) r(i)", 3_000_000),
    ("select repeat(i::varchar, 200) from range(ROWS) r(i)", 1_500_000),
])
def test_memory_does_not_grow_with_the_result(sql: str, rows: int) -> None:
    done = subprocess.run([sys.executable, "-c", _GROWTH, sql, str(rows)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64
