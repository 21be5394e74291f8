"""Queries that gave few rows when they last ran: their rows are fetched as Python values and not as Arrow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from febe.engines.duckdb import DuckDBEngine, DuckDBSession, prepared
from febe.engines.duckdb.types import is_simple
from febe.server import EngineError
from febe.server.engine import Prepared, Result
from febe.server.results import source_of
from febe.types import oids


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they take here."""
    monkeypatch.setattr(prepared, "SOON", float("inf"))


@pytest.fixture
def session() -> Iterator[DuckDBSession]:
    engine = DuckDBEngine()
    yield engine.open(user="demo", database="demo", parameters={})
    engine.close()


def sent(statement: Prepared, values: tuple[object, ...] = (), form: int = 0) -> tuple[Result, bytes, int]:
    """What executing gives, its rows as they are sent, and how many."""
    columns = statement.columns or ()
    result = statement.execute(values)
    source = source_of(result, columns, (form,) * len(columns))
    assert source is not None
    data, rows, more = b"", 0, 1
    while more and not source.ended:
        piece, more = source.pull(0)
        data, rows = data + piece, rows + more
    source.close()
    return result, data, rows


VALUES: dict[str, list[str]] = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["-128", "127"], "UTINYINT": ["0", "255"], "SMALLINT": ["-32768", "32767"], "USMALLINT": ["65535"],
    "INTEGER": ["-2147483648", "2147483647"], "UINTEGER": ["4294967295"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807"], "UBIGINT": ["0", "18446744073709551615"],
    "HUGEINT": ["-170141183460469231731687303715884105728", "170141183460469231731687303715884105727", "10000"],
    "FLOAT": ["0.1", "-0.0", "3.4028235e38", "1e-45", "16777216", "1e10", "'nan'", "'inf'", "'-inf'", "0.3333333"],
    "DOUBLE": ["0.1", "-0.0", "1.7976931348623157e308", "5e-324", "1e15", "1e16", "100000", "'nan'", "'inf'", "'-inf'"],
    "DECIMAL(4,1)": ["-999.9", "0", "0.5"], "DECIMAL(9,9)": ["0.000000001", "-0.5"], "DECIMAL(18,0)": ["1000000", "0"],
    "DECIMAL(38,10)": ["9999999999999999999999999999.9999999999", "0.0000000001", "-1.5", "20000"],
    "VARCHAR": ["''", "'a b'", "'ä€😀'", "repeat('x', 10000)", "'NULL'"],
    "BLOB": ["''", r"'\x00\xff\x5Ca'", "'abc'"],
    "DATE": ["'0001-01-02'", "'9999-12-30'", "'2000-02-29'", "'1970-01-01'", "'1582-10-10'"],
    "TIMESTAMP": ["'0001-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999998'", "'1969-12-31 23:59:59.5'",
                  "'2020-01-01'", "'2020-06-30 12:34:56.789012'"],
    "TIME": ["'00:00:00'", "'23:59:59.999999'", "'12:34:56.7'"],
    "UUID": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
}


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize("kind", VALUES)
def test_every_simple_type_is_sent_as_from_arrow(session: DuckDBSession, kind: str, form: int) -> None:
    listed = ", ".join(f"(CAST({value} AS {kind}))" for value in VALUES[kind])
    statement = session.prepare(f"SELECT x, [x] IS NULL AS n FROM (VALUES {listed}, (NULL)) AS t(x)", ())
    first, second = sent(statement, form=form), sent(statement, form=form)
    assert first[0].arrow is not None and second[0].rows is not None
    assert second[1:] == first[1:] and first[2] == len(VALUES[kind]) + 1


def test_every_simple_type_is_tested() -> None:
    from febe.engines.duckdb.types import _SIMPLE

    assert {kind for kind in VALUES if "(" not in kind} == _SIMPLE
    assert is_simple("DECIMAL(18,3)") and not is_simple("DECIMAL(18,3)[]")


@pytest.mark.parametrize("value", ["timestamptz '2020-01-01 00:00:00+00'", "[1]", "{'a': 1}", "'a'::enum('a')",
                                   "interval 1 day", "'{}'::json", "1::uhugeint", "timestamp_s '2020-01-01'"])
def test_others_stay_arrow(session: DuckDBSession, value: str) -> None:
    statement = session.prepare(f"SELECT 1, {value}", ())
    for _ in range(3):
        assert sent(statement)[0].arrow is not None


@pytest.mark.parametrize(("kind", "value"), [
    ("DATE", "infinity"), ("DATE", "-infinity"), ("DATE", "0001-01-01"), ("DATE", "9999-12-31"),
    ("DATE", "10000-01-01"), ("DATE", "0001-01-01 (BC)"),
    ("TIMESTAMP", "infinity"), ("TIMESTAMP", "-infinity"), ("TIMESTAMP", "10000-01-01"),
    ("TIMESTAMP", "9999-12-31 23:59:59.999999"), ("TIMESTAMP", "0001-01-01 (BC) 00:00:00"), ("TIME", "24:00:00"),
])
@pytest.mark.parametrize("form", [0, 1])
def test_what_python_has_no_value_for_goes_by_arrow(session: DuckDBSession, kind: str, value: str, form: int) -> None:
    told = sent(session.prepare(f"SELECT 1 AS a, CAST('{value}' AS {kind}) AS x", ()), form=form)
    statement = session.prepare(f"SELECT 1 AS a, CAST(CAST($1 AS VARCHAR) AS {kind}) AS x", ())
    for usual in ("12:00" if kind == "TIME" else "2020-01-01", None):
        sent(statement, (usual,), form)
        assert sent(statement, (usual,), form)[0].rows is not None
    result, data, rows = sent(statement, (value,), form)
    assert result.arrow is not None and (data, rows) == told[1:]


@pytest.mark.parametrize("kind", ["VARCHAR", "BLOB"])
def test_long_values_go_by_arrow(session: DuckDBSession, kind: str) -> None:
    statement = session.prepare(f"SELECT CAST(repeat('x', $1::int) AS {kind}) AS x", ())
    sent(statement, (1,))
    assert sent(statement, (1 << 16,))[0].rows is not None
    result, data, rows = sent(statement, ((1 << 16) + 1,), 1)
    assert result.arrow is not None and rows == 1 and data.endswith(b"x" * ((1 << 16) + 1))


def test_many_after_few_are_all_there(session: DuckDBSession) -> None:
    statement = session.prepare("SELECT i, 'n' || i AS t FROM range($1) AS r(i)", ())
    arrow = [sent(session.prepare(f"SELECT i, 'n' || i AS t FROM range({n}) AS r(i)", ()))[1:]
             for n in (3, 64, 65, 9000)]
    assert sent(statement, (3,))[1:] == arrow[0]
    few, data, rows = sent(statement, (64,))
    assert few.rows is not None and (data, rows) == arrow[1]
    many, data, rows = sent(statement, (65,))
    assert many.arrow is not None and (data, rows) == arrow[2]
    assert sent(statement, (9000,))[1:] == arrow[3]
    # once was enough to know better
    assert sent(statement, (3,))[0].arrow is not None and sent(statement, (3,))[0].arrow is not None


@pytest.mark.parametrize("block", [False, True])
def test_many_after_few_in_a_transaction(session: DuckDBSession, block: bool) -> None:
    session.prepare("CREATE TABLE t (a int)", ()).execute(())
    statement = session.prepare("SELECT a FROM t", ())
    sent(statement)
    if block:
        session.begin()
    session.prepare("INSERT INTO t SELECT range FROM range(5000)", ()).execute(())
    assert sent(statement)[2] == 5000
    if block:
        session.commit()
    assert sent(statement)[2] == 5000


def test_none(session: DuckDBSession) -> None:
    statement = session.prepare("SELECT 1 AS a WHERE false", ())
    assert sent(statement)[1:] == sent(statement)[1:] == (b"", 0)
    assert statement.execute(()).rows == []


def test_what_changes_something_runs_once(session: DuckDBSession) -> None:
    session.prepare("CREATE SEQUENCE s", ()).execute(())
    statement = session.prepare("SELECT nextval('s')", ())
    for number in range(1, 4):
        result, data, _ = sent(statement)
        assert result.arrow is not None and data.endswith(str(number).encode())


def test_an_error_is_told_as_from_arrow(session: DuckDBSession) -> None:
    statement = session.prepare("SELECT CAST(substr('12x', $1::int, 1) AS int) AS a", ())
    told: list[Any] = []
    for values in ((3,), (1,), (3,)):
        try:
            told.append(sent(statement, values)[0].rows)
        except EngineError as error:
            told.append((str(error), error.sqlstate, error.position))
    assert told[0] == told[2] and told[0][1:] == ("22P02", 8)
    assert sent(statement, (2,))[0].rows == [[(2,)]]


def test_the_announcement_holds(session: DuckDBSession) -> None:
    session.prepare("CREATE TABLE t (a int)", ()).execute(())
    session.prepare("INSERT INTO t VALUES (1)", ()).execute(())
    statement = session.prepare("SELECT a FROM t", ())
    sent(statement), sent(statement)
    session.prepare("ALTER TABLE t ALTER a TYPE bigint", ()).execute(())
    with pytest.raises(EngineError, match="cached plan must not change result type"):
        statement.execute(())
    assert [column.type_oid for column in session.prepare("SELECT a FROM t", ()).columns or ()] == [oids.INT8]


def test_types_that_change_unseen_go_by_arrow(tmp_path: Any) -> None:
    """A file's columns are what its bytes are now."""
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    engine = DuckDBEngine(allow_files=tmp_path)
    session = engine.open(user="demo", database="demo", parameters={})
    statement = session.prepare(f"SELECT a FROM read_csv('{path}')", ())
    sent(statement)
    assert sent(statement)[0].rows == [[(1,)]]
    path.write_text("a\nxyz\n")
    with pytest.raises(OSError, match="cannot be sent as type 20 in binary"):
        sent(statement, form=1)
    engine.close()


@pytest.mark.parametrize("rows", ["count(*)", "i"], ids=["few", "many"])
def test_cancel(session: DuckDBSession, rows: str) -> None:
    """Where the rows are fetched, and where it turned out that they are many."""
    statement = session.prepare(f"SELECT {rows} FROM range($1) AS r(i) WHERE i % 3 = 0 OR i > 900", ())
    sent(statement, (9,))
    assert sent(statement, (9,))[0].rows is not None
    stop = threading.Event()

    def cancel() -> None:
        while not stop.wait(0.05):
            session.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with pytest.raises(EngineError) as caught:
            result = statement.execute((100_000_000_000,))
            source = source_of(result, statement.columns or (), (0,))
            assert source is not None
            while source.pull(0)[1]:
                pass
    finally:
        stop.set()
        thread.join()
    assert (caught.value.sqlstate, str(caught.value)) == ("57014", "canceling statement due to user request")
    assert sent(session.prepare("SELECT 1", ()))[2] == 1
