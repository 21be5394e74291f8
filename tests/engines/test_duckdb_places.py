"""Databases by name, users who only read, a directory that is open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from febe.engines.duckdb import DuckDBEngine, SourceError
from febe.server.engine import EngineError
from tests.engines.conftest import Run, runner
from tests.peers import febe_server as febe_servers

psycopg = pytest.importorskip("psycopg")


@contextlib.contextmanager
def running(engine: DuckDBEngine, *, user: str = "demo", database: str = "memory") -> Iterator[Run]:
    session = engine.open(user=user, database=database, parameters={})
    try:
        yield runner(session)
    finally:
        session.close()


@pytest.fixture
def shops(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.duckdb" for name in ("shop", "other")]
    for path in paths:
        with duckdb.connect(str(path)) as made:
            made.execute(f"create table items as select '{path.stem}' as place; create schema more; "
                         f"create table more.things as select '{path.stem} more' as place")
    return paths


def test_each_is_reached_by_its_name(shops: list[Path]) -> None:
    with contextlib.closing(DuckDBEngine(*shops)) as engine:
        for path in shops:
            with running(engine, database=path.stem) as run:
                assert run("select place from items").rows == [(path.stem,)]
                assert run("select current_database()").rows == [(path.stem,)]
                assert run("select place from other.main.items").rows == [("other",)]
        with running(engine) as run, pytest.raises(EngineError) as caught:
            run("select place from items")
        assert caught.value.sqlstate == "42P01"


def test_the_search_path_stays_within_it(shops: list[Path]) -> None:
    with contextlib.closing(DuckDBEngine(*shops)) as engine:
        session = engine.open(user="demo", database="shop", parameters={})
        run = runner(session)
        session.change("search_path", "more")
        assert run("select place from things").rows == [("shop more",)]
        session.change("search_path", '"$user", public')
        assert run("select place from items").rows == [("shop",)]
        session.close()


def test_clients_and_the_catalog(shops: list[Path]) -> None:
    with febe_servers.running(*shops) as server, psycopg.connect(server.dsn(), dbname="shop") as connection:
        assert connection.execute("select place from items").fetchone() == ("shop",)
        assert connection.execute("select current_database()").fetchone() == ("shop",)
        names = [name for (name,) in connection.execute("select datname from pg_database")]
        assert {"shop", "other"} <= set(names)
        assert connection.execute("select table_name from information_schema.tables where table_schema = 'more'"
                                  ).fetchall() == [("things",)]


def test_users_who_only_read() -> None:
    with contextlib.closing(DuckDBEngine(readers=["guest"])) as engine:
        with running(engine) as run:
            run("create table t as select 1 as a")
        with running(engine, user="guest") as run:
            assert run("select a from t").rows == [(1,)]
            for sql in ("insert into t values (2)", "drop table t", "create table u (a int)", "delete from t",
                        "create temp table s (a int)"):
                with pytest.raises(EngineError) as caught:
                    run(sql)
                assert caught.value.sqlstate == "25006"
        session = engine.open(user="guest", database="demo", parameters={})
        with pytest.raises(EngineError) as caught:
            session.copy_into("t", [], "")
        assert caught.value.sqlstate == "25006"
        session.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Path, Run]]:
    (tmp_path / "open" / "deep").mkdir(parents=True)
    (tmp_path / "open-too").mkdir()
    for place in ("open", "open/deep", "open-too", "."):
        (tmp_path / place / "x.csv").write_text("a\n1\n")
    with contextlib.closing(DuckDBEngine(allow_files=tmp_path / "open")) as engine, running(engine) as run:
        yield tmp_path, run


@pytest.mark.parametrize("sql", ["from '{}/open/x.csv'", "from read_csv('{}/open/deep/x.csv')",
                                 "from read_csv('{}/open/*.csv')", "from read_csv('{}/open/deep/../x.csv')"])
def test_files_of_an_open_directory(opened: tuple[Path, Run], sql: str) -> None:
    place, run = opened
    assert run(sql.format(place)).rows == [(1,)]


@pytest.mark.parametrize("sql", [
    "from '{}/x.csv'", "from read_csv('{}/open/../x.csv')", "from read_text('{}/open-too/x.csv')",
    "from read_csv('{}/open/deep/../../x.csv')", "from glob('{}/*')", "from read_text('/etc/passwd')",
    "copy (select 1) to '{}/open/new.csv'", "attach '{}/open/new.duckdb'", "export database '{}/open/new'",
    "copy t from '{}/open/x.csv'"])
def test_no_others_and_none_is_written(opened: tuple[Path, Run], sql: str) -> None:
    place, run = opened
    run("create table t (a int)")
    with pytest.raises(EngineError) as caught:
        run(sql.format(place))
    assert caught.value.sqlstate == "42501"
    assert sorted(one.name for one in (place / "open").iterdir()) == ["deep", "x.csv"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such directory"):
        DuckDBEngine(allow_files=tmp_path / "nothing")


def test_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    options = ["--allow-files", str(tmp_path), "--reader", "guest"]
    with febe_servers.running(options=options) as server, psycopg.connect(server.dsn("guest")) as connection:
        assert connection.execute(f"from '{tmp_path}/x.csv'").fetchone() == (1,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create table t (a int)")
