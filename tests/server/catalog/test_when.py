"""When the catalogs are made: not before they are asked for, and each of PostgreSQL's own tables at its first use."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from febe.engines.duckdb import DuckDBEngine
from febe.server.catalog import Catalog, builtin

session = Catalog(DuckDBEngine()).open(user="me", database="db", parameters={})

def rows(sql):
    return [row for batch in session.prepare(sql, ()).execute(()).rows or () for row in batch]

session.prepare("create table flights (id integer primary key)", ()).execute(())
session.prepare("select 1", ()).execute(())
assert not builtin.store.cache_info().currsize
assert rows("select relname, relkind from pg_catalog.pg_class where relname = 'flights'") == [("flights", "r")]
waiting = set(builtin.store()._waiting)
assert "pg_class" not in waiting and {"pg_proc", "pg_operator", "febe_definition"} <= waiting
assert rows("select count(*) from pg_proc where proname = 'upper'")[0][0] == 3
assert "pg_proc" not in builtin.store()._waiting
"""


def test_nothing_is_made_before_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
