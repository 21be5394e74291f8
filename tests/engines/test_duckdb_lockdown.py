"""What clients cannot do: read and write files, reach the network, load code, change the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.server.engine import EngineError
from tests.engines.conftest import Run, runner

SECRET = "the secret"
# {d}: a directory with secret.csv, and served.parquet, which is served as a view
CLOSED = """
from '{d}/secret.csv'
select * from read_csv('{d}/secret.csv')
select * from read_csv_auto('{d}/secret.csv')
select * from read_text('{d}/secret.csv')
select * from read_blob('{d}/secret.csv')
select * from read_json('{d}/secret.csv')
select * from read_ndjson_objects('{d}/secret.csv')
select * from read_parquet('{d}/other.parquet')
select * from parquet_metadata('{d}/other.parquet')
select * from glob('{d}/*')
select * from sniff_csv('{d}/secret.csv')
select * from read_csv('/dev/stdin')
select (select content from read_text('{d}/secret.csv'))
with x as (from read_text('{d}/secret.csv')) from x
from query('from read_text(''{d}/secret.csv'')')
from query('from read_' || 'text(''{d}/secret.csv'')')
from query_table('{d}/secret.csv')
create table x as from '{d}/secret.csv'
create view x as from '{d}/secret.csv'
create macro m() as table from read_text('{d}/secret.csv')
from json_execute_serialized_sql(json_serialize_sql('from read_text(''{d}/secret.csv'')'))
from 'http://127.0.0.1:9/x.parquet'
from read_csv('https://127.0.0.1:9/x.csv')
from read_parquet('s3://bucket/x.parquet')
from local
from local_frame
copy t to '{d}/out.csv'
copy (select 1) to '{d}/out.parquet' (format parquet)
copy t to '{d}/served.parquet' (format parquet)
copy t from '{d}/secret.csv'
copy t to '/dev/stdout'
explain analyze copy t to '{d}/out.csv'
explain copy t to '{d}/out.csv'
explain (analyze) copy t to '{d}/out.csv'
explain (format json) copy t to '{d}/out.csv'
explain attach '{d}/out.db'
prepare p as copy t to '{d}/out.csv'
execute p
export database '{d}/export'
import database '{d}/export'
pragma import_database('{d}')
call import_database('{d}')
attach '{d}/out.db'
attach '{d}/served.parquet' as x
attach ':memory:' as x
detach memory
copy from database memory to x
load '{d}/x.duckdb_extension'
load httpfs
install httpfs
force install httpfs from '{d}'
update extensions
select install('x')
set threads = 1
set enable_external_access = true
set allowed_paths = ['/']
set lock_configuration = false
set global lock_configuration = false
reset lock_configuration
reset all
use x
set variable x = 1
pragma threads = 1
pragma enable_profiling
pragma enable_profiling = 'json'
pragma profiling_output = '{d}/profile'
pragma disable_optimizer
pragma enable_verification
pragma log_query_path = '{d}/log'
pragma memory_limit = '1GB'
pragma temp_directory = '{d}'
call enable_logging()
call enable_logging(storage := 'file', storage_path := '{d}/log')
from enable_logging()
call disable_logging()
call truncate_duckdb_logs()
call copy_database('a', 'b')
create secret s (type s3, key_id 'x')
create persistent secret s (type http)
drop secret s
alter database memory set threads = 1
call python_map_function(1)
from python_map_function(1)
from arrow_scan(1, 2, 3)
from pandas_scan(1)
select 1::pointer
begin; copy t to '{d}/out.csv'
select 1; copy t to '{d}/out.csv'
""".strip().splitlines()

ALLOWED = {"42501", "0A000", "42P01", "42601", "42883", "42704", "26000", "3D000", "42804", "42000"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "secret.csv").write_text(f"a\n{SECRET}\n")
    for name in ("served", "other"):
        duckdb.sql(f"copy (select 1 as a) to '{tmp_path / name}.parquet'")
    return tmp_path


@pytest.fixture
def closed(place: Path) -> Iterator[Run]:
    engine = DuckDBEngine(place / "served.parquet", threads=1)
    session = engine.open(user="demo", database="demo", parameters={})
    run = runner(session)
    run("create table t(a varchar)")
    yield run
    session.close()
    engine.close()


@pytest.mark.parametrize("sql", CLOSED)
def test_closed(closed: Run, place: Path, sql: str) -> None:
    local = local_frame = duckdb.sql("select 1 as a")  # noqa: F841 - what a replacement scan would find
    before = sorted(place.iterdir()), (place / "served.parquet").read_bytes()
    with pytest.raises(EngineError) as caught:
        closed(sql.replace("{d}", str(place)))
    assert caught.value.sqlstate in ALLOWED, caught.value
    assert SECRET not in str(caught.value)
    assert (sorted(place.iterdir()), (place / "served.parquet").read_bytes()) == before
    assert closed("select a from served").rows == [(1,)]


@pytest.mark.parametrize("sql", [
    "select * from read_csv('{d}/secret.csv')", "from glob('{d}/*')", "copy t to '{d}/out.csv'", "load httpfs",
    "attach '{d}/x.db'", "install httpfs", "call enable_logging()", "from 'http://127.0.0.1:9/x.parquet'",
    "create secret s (type s3)", "pragma threads = 1", "explain copy t to '{d}/out.csv'",
])
def test_refusals_are_permissions_and_tell_no_path(closed: Run, place: Path, sql: str) -> None:
    with pytest.raises(EngineError) as caught:
        closed(sql.replace("{d}", str(place)))
    assert caught.value.sqlstate == "42501"
    assert str(place) not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


def test_what_is_served_is_open(closed: Run, place: Path) -> None:
    assert closed("from served").rows == [(1,)]
    assert closed(f"from read_parquet('{place}/served.parquet')").rows == [(1,)]


def test_nothing_extends_itself(closed: Run) -> None:
    settings = dict(closed("select name, value from duckdb_settings() where name like 'auto%known_extensions' "
                           "or name in ('lock_configuration', 'enable_external_access')").rows or ())
    assert settings == {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
                        "lock_configuration": "true", "enable_external_access": "false"}


@pytest.mark.parametrize("sql", [
    "insert into t values (1)", "update t set a = 1", "delete from t", "create table x(a int)", "drop table t",
    "alter table t add column b int", "truncate t", "create view v as select 1", "checkpoint", "select nextval('s')",
    "explain analyze insert into t values (1)", "create temp table x(a int)", "insert into t values ($1) returning a",
    "merge into t using t as s on t.a = s.a when matched then delete", "vacuum", "comment on table t is 'x'",
])
def test_read_only(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "data.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute("create table t(a int); create sequence s")
    engine = DuckDBEngine(path, read_only=True)
    run = runner(engine.open(user="demo", database="demo", parameters={}))
    with pytest.raises(EngineError) as caught:
        run(sql, [1] if "$1" in sql else [])
    assert caught.value.sqlstate == "25006"
    assert run("select count(*) from t").rows == [(0,)]
    engine.close()


def test_read_only_of_files(place: Path) -> None:
    engine = DuckDBEngine(place / "secret.csv", read_only=True)
    run = runner(engine.open(user="demo", database="demo", parameters={}))
    assert run("from secret").rows == [(SECRET,)]
    with pytest.raises(EngineError) as caught:
        run("delete from secret")
    assert caught.value.sqlstate == "25006"
    engine.close()
