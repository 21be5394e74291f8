"""A DuckDB engine in memory, a session of it, and a way to run a statement from text to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")

from febe.engines.duckdb import DuckDBEngine, DuckDBSession  # noqa: E402
from febe.server.engine import Prepared, Result  # noqa: E402


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a statement gave, all rows read."""

    prepared: Prepared
    result: Result
    rows: list[tuple[Any, ...]] | None

    @property
    def tag(self) -> str:
        return (self.result.tag or "SELECT {}").replace("{}", str(len(self.rows or ())))


Run = Callable[..., Answer]


def read(result: Result) -> list[tuple[Any, ...]]:
    """All rows of a result; an error on the way as the engine tells it."""
    if result.rows is not None:
        return [tuple(row) for batch in result.rows for row in batch]
    return rows_of(reader(result))


def reader(result: Result) -> Any:
    """The result's batches."""
    assert result.arrow is not None
    return pa.RecordBatchReader.from_stream(result.arrow)


def rows_of(batches: Any) -> list[tuple[Any, ...]]:
    """The rows of record batches as tuples."""
    rows: list[tuple[Any, ...]] = []
    for batch in batches:
        columns = [batch.column(i).to_pylist() for i in range(batch.num_columns)]
        rows += zip(*columns, strict=True)
    return rows


def runner(session: DuckDBSession) -> Run:
    def run(sql: str, values: Sequence[object] = (), types: Sequence[int] = ()) -> Answer:
        prepared = session.prepare(sql, types)
        result = prepared.execute(values)
        return Answer(prepared=prepared, result=result, rows=None if prepared.columns is None else read(result))
    return run


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(threads=2)
    yield made
    made.close()


@pytest.fixture
def session(engine: DuckDBEngine) -> Iterator[DuckDBSession]:
    made = engine.open(user="demo", database="demo", parameters={})
    yield made
    made.close()


@pytest.fixture
def run(session: DuckDBSession) -> Run:
    return runner(session)
