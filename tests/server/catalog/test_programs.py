"""Other programs that look at the catalogs by themselves, run as their users run them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing_peer
from tests.peers.installation import Missing, once

from .conftest import Place

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow

DUCKDB = "1.5.5"
"""The last DuckDB whose extension for PostgreSQL is on PyPI; it reads from febe as a client in its own process."""

READ = """
import sys
import duckdb, duckdb_extension_postgres
from pathlib import Path
con = duckdb.connect(config={"allow_unsigned_extensions": True})
# it is loaded under the name that it was built with
extension = Path(sys.argv[1]) / "postgres_scanner.duckdb_extension"
if not extension.exists():
    extension.symlink_to(next(Path(duckdb_extension_postgres.__file__).parent.rglob("*.duckdb_extension")))
con.execute(f"LOAD '{extension}'")
con.execute(f"ATTACH '{sys.argv[2]}' AS pg (TYPE postgres, READ_ONLY)")
for query in sys.argv[3:]:
    print(con.execute(query).fetchall())
"""
QUERIES = [
    "select table_schema, table_name, column_name, data_type from information_schema.columns "
    "where table_catalog = 'pg' and table_schema in ('main', 'other') order by 1, 2, ordinal_position",
    "select * exclude (tz), tz::varchar from pg.main.every",
    "select id, name, m, price from pg.main.parent order by id",
    "select p.name, c.b from pg.main.parent p join pg.main.child c on c.pid = p.id",
    "select count(*), max(price) from pg.main.parent where score > 1",
]


def _install(target: Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", target, f"duckdb=={DUCKDB}",
                    f"duckdb-extension-postgres=={DUCKDB}"], check=True, stdout=subprocess.DEVNULL, timeout=300)


@pytest.fixture(scope="module")
def old_duckdb() -> Path:
    """A directory with DuckDB and its extension for PostgreSQL."""
    try:
        return once(f"duckdb-{DUCKDB}-postgres", _install)
    except subprocess.SubprocessError as error:
        missing_peer(Missing(f"DuckDB {DUCKDB} with its postgres extension cannot be installed: {error}"))


def test_duckdbs_postgres_extension(old_duckdb: Path, served: Place, beside: Place, tmp_path: Path) -> None:
    """It reads the catalogs at ATTACH, and tables by COPY in binary."""
    found = []
    for place in (served, beside):
        where = f"host={place.host} port={place.port} user=postgres dbname={place.database}"
        done = subprocess.run([sys.executable, "-c", READ, tmp_path, where, *QUERIES], capture_output=True, text=True,
                              timeout=120,
                              env={"PATH": os.environ["PATH"], "PYTHONPATH": str(old_duckdb)})
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1]


def test_adbc(served: Place, beside: Place) -> None:
    """ADBC's catalog calls, and the same tables as Arrow."""
    adbc = pytest.importorskip("adbc_driver_postgresql.dbapi")
    found = []
    for place in (served, beside):
        with adbc.connect(place.dsn) as con:
            objects = con.adbc_get_objects(catalog_filter=place.database, db_schema_filter="main").read_all()
            names = [(schema["db_schema_name"], sorted(table["table_name"] for table in schema["db_schema_tables"]))
                     for catalog in objects.to_pylist() for schema in catalog["catalog_db_schemas"]]
            schema = con.adbc_get_table_schema("every", db_schema_filter="main")
            with con.cursor() as cursor:
                cursor.execute("select id, name, score, price from main.parent order by id")
                rows = cursor.fetch_arrow_table().to_pylist()
        found.append((names, schema.names, [str(one) for one in schema.types], rows))
    assert found[0] == found[1]


COMMANDS = ("\\d main.parent", "\\dt main.*", "\\dv main.*", "\\di main.*", "\\dn", "\\dT main.*", "\\df main.*",
            "\\du", "\\ds other.*", "select name from main.parent order by id")


def test_pgcli(served: Place, beside: Place, tmp_path: Path) -> None:
    """pgcli's commands, and what it asks for its completion."""
    if importlib.util.find_spec("pgcli") is None:
        missing_peer(Missing("pgcli is not installed (pip install pgcli)"))
    (tmp_path / "config").write_text("[main]\nless_chatty = True\nkeyring = False\nenable_pager = False\n")
    found = []
    for place in (served, beside):
        done = subprocess.run([sys.executable, "-m", "pgcli.main", "--pgclirc", str(tmp_path / "config"), place.dsn],
                              input="\n".join((*COMMANDS, "\\q", "")), capture_output=True, text=True, timeout=120,
                              env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "dumb",
                                   "LC_ALL": "C.UTF-8", "PAGER": "cat"})
        assert done.returncode == 0, done.stderr
        # PostgreSQL has roles for tests of authentication
        found.append(re.sub(r"(Time: |Server: |Version: ).*|(?m:^\| (?:trust|password|md5|scram|scram_prepared|reject) "
                            r"+\|.*\n|^SELECT \d+$)", "", done.stdout))
    assert found[0] == found[1]


def test_pgcli_completion(served: Place, beside: Place) -> None:
    """The metadata that pgcli reads when it starts: schemas, tables, columns, keys, functions, types, databases."""
    if importlib.util.find_spec("pgcli") is None:
        missing_peer(Missing("pgcli is not installed (pip install pgcli)"))
    from pgcli.pgexecute import PGExecute

    found = []
    for place in (served, beside):
        executor = PGExecute(database=place.database, user="postgres", host=place.host, port=str(place.port))
        found.append({
            "schemata": [name for name in executor.schemata() if not re.match("pg_(toast_)?temp_", name)],
            "tables": sorted(executor.tables()), "views": sorted(executor.views()),
            "columns": sorted(executor.table_columns(), key=repr),
            "of views": sorted(executor.view_columns(), key=repr),
            "keys": sorted(map(str, executor.foreignkeys())), "types": sorted(executor.datatypes()),
            "functions": sorted(str(one) for one in executor.functions() if one.schema_name == "main"),
            "here": served.database in executor.databases(), "path": executor.search_path()})
        executor.conn.close()
    found[0]["path"] = found[1]["path"] = None
    assert found[0] == found[1]
