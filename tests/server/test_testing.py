"""The test kit for engines finds what it looks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.server import Answer, AnswerEngine, Column, EngineError, Prepared
from febe.server.testing import check, findings
from febe.types import oids


def test_duckdb_passes() -> None:
    check(DuckDBEngine(), queries=["select 1 as a", "select x from range(10000) t(x)", "select 1 as a where false"],
          wrong=["selec", "select * from nowhere"],
          endless="select count(*) from range(10000000) a, range(1000000) b")


class _Once(AnswerEngine):
    """Its rows can be read once only."""

    def answer(self, sql: str) -> Prepared:
        rows = iter([(1,), (2,)])
        return Answer([Column(name="a", type_oid=oids.INT4)], lambda: rows)


class _Wrong(AnswerEngine):
    """Says one type and gives another; takes everything for a query."""

    def answer(self, sql: str) -> Prepared:
        return Answer([Column(name="a", type_oid=oids.INT4)], lambda: [("no number",)])


class _Vague(AnswerEngine):
    """Refuses without saying why."""

    def answer(self, sql: str) -> Prepared:
        raise EngineError("no")


class _Deaf(AnswerEngine):
    """Cannot be cancelled in time: it ends by itself."""

    def answer(self, sql: str) -> Prepared:
        return Answer([Column(name="a", type_oid=oids.INT4)], lambda: [(1,)])


@pytest.mark.parametrize(("engine", "given", "text"), [
    (_Once(), {"queries": ["q"]}, "can be run again"),
    (_Wrong(), {"queries": ["q"]}, "in text and in binary"),
    (_Wrong(), {"queries": [], "wrong": ["q"]}, "it was accepted"),
    (_Vague(), {"queries": [], "wrong": ["q"]}, "SQLSTATE XX000"),
    (_Deaf(), {"queries": [], "endless": "q"}, "ended by itself"),
])
def test_it_finds(engine: AnswerEngine, given: dict[str, Any], text: str) -> None:
    found: Sequence[str] = findings(engine, **given)
    assert any(text in line for line in found), found
    with pytest.raises(AssertionError, match="does not keep"):
        check(engine, **given)
