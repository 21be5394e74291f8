"""Statements that a session recalls instead of understanding them anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from febe.engines.duckdb import DuckDBEngine, DuckDBSession
from febe.server import EngineError
from febe.types import oids


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    made = DuckDBEngine()
    yield made
    made.close()


def opened(engine: DuckDBEngine) -> DuckDBSession:
    return engine.open(user="demo", database="demo", parameters={})


def do(session: DuckDBSession, sql: str) -> Any:
    return session.prepare(sql, ()).execute(())


def types(session: DuckDBSession, sql: str) -> list[int]:
    return [column.type_oid for column in session.prepare(sql, ()).columns or ()]


def test_the_same_again(engine: DuckDBEngine) -> None:
    session = opened(engine)
    assert session.recall("select 1", ()) is None
    first = session.prepare("select 1", ())
    assert session.recall("select 1", ()) is first
    assert session.recall("select 1", (23,)) is None


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_not_after_the_catalog_has_changed(engine: DuckDBEngine, own: bool, in_transaction: bool) -> None:
    session = opened(engine)
    other = session if own else opened(engine)
    do(session, "create table t (a int)")
    assert types(session, "select * from t") == [oids.INT4]
    if in_transaction:
        other.begin()
    do(other, "alter table t alter a type varchar")
    if in_transaction:
        assert types(session, "select * from t") == [oids.TEXT if own else oids.INT4]
        other.commit()
    assert types(session, "select * from t") == [oids.TEXT]


def test_not_after_it_was_rolled_back(engine: DuckDBEngine) -> None:
    session = opened(engine)
    do(session, "create table t (a int)")
    session.begin()
    do(session, "alter table t alter a type varchar")
    assert types(session, "select * from t") == [oids.TEXT]
    session.rollback()
    assert types(session, "select * from t") == [oids.INT4]


def test_a_snapshot_of_before_is_not_kept(engine: DuckDBEngine) -> None:
    session, other = opened(engine), opened(engine)
    do(other, "create table t (a int)")
    session.begin()
    assert types(session, "select * from t") == [oids.INT4]
    do(other, "drop table t")
    do(other, "create table t (a varchar)")
    session.prepare("select * from t", ())
    session.commit()
    assert types(session, "select * from t") == [oids.TEXT]


def test_not_on_another_search_path(engine: DuckDBEngine) -> None:
    session = opened(engine)
    do(session, "create schema s")
    do(session, "create table main.t (a int)")
    do(session, "create table s.t (a varchar)")
    session.change("search_path", "main")
    assert types(session, "select * from t") == [oids.INT4]
    session.change("search_path", "s, main")
    assert types(session, "select * from t") == [oids.TEXT]


def test_a_plan_that_has_changed_is_refused(engine: DuckDBEngine) -> None:
    session = opened(engine)
    do(session, "create table t (a int)")
    prepared = session.prepare("select * from t", ())
    do(opened(engine), "alter table t alter a type varchar")
    with pytest.raises(EngineError, match="cached plan must not change result type") as caught:
        prepared.execute(())
    assert (caught.value.sqlstate, caught.value.routine) == ("0A000", "RevalidateCachedQuery")


def test_what_is_recalled_is_bounded_in_size(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("febe.engines.duckdb.session._RECALLED_SIZE", 1000)
    session = opened(engine)
    texts = [f"select {number} as {'a' * 300}" for number in range(4)]
    for text in texts[:3]:
        session.prepare(text, ())
    assert all(session.recall(text, ()) for text in texts[:3])
    session.prepare(texts[3], ())
    assert [session.recall(text, ()) is not None for text in texts] == [False, False, False, True]
    long = f"select 1 as {'a' * 1000}"
    assert session.prepare(long, ()) and session.recall(long, ()) is None


def test_a_statement_understood_anew_counts_once(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("febe.engines.duckdb.session._RECALLED_SIZE", 1000)
    session = opened(engine)
    text = f"select 1 as {'a' * 300}"
    for _ in range(5):
        session.prepare(text, ())
        session.prepare("select 2", ())
        do(session, "create or replace table t (a int)")
    session.prepare("select 2", ())
    session.prepare(text, ())
    assert session.recall("select 2", ()) and session.recall(text, ())
