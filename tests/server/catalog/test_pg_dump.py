"""pg_dump 18 of a served database, restored into a real PostgreSQL: its dump is the same text."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")

from tests.peers.postgres import Postgres  # noqa: E402

from .conftest import Place  # noqa: E402

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow


def run(program: Path, *arguments: str, text: str | None = None) -> str:
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def dumped(pg18: Postgres, place: Place, *options: str) -> str:
    """The dump without what two runs differ in."""
    text = run(pg18.bin / "pg_dump", "-d", place.dsn, *options)
    return re.sub(r"^(\\(un)?restrict .*|-- Dumped .*)$", "", text, flags=re.MULTILINE)


@pytest.fixture
def restored(pg18: Postgres) -> Place:
    """An empty database."""
    pg18.psql("drop database if exists restored")
    pg18.psql("create database restored template template0")
    return Place(host=pg18.host, port=pg18.port, database="restored")


@pytest.mark.parametrize("options", [(), ("--schema-only", "--no-owner"),
                                     ("--table=main.parent", "--table=main.child", "--clean", "--if-exists")],
                         ids=lambda options: " ".join(options) or "plain")
def test_the_dump_is_what_postgresql_dumps(options: tuple[str, ...], pg18: Postgres, served: Place,
                                           beside: Place) -> None:
    # the peer's database has a search_path and no extension of its own
    assert dumped(pg18, served, *options) == dumped(pg18, beside, *options)


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_a_restored_dump_dumps_the_same(form: str, pg18: Postgres, served: Place, restored: Place,
                                        tmp_path: Path) -> None:
    if form == "plain":
        run(pg18.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", restored.dsn,
            text=run(pg18.bin / "pg_dump", "-d", served.dsn))
    else:
        run(pg18.bin / "pg_dump", "-Fc", "-f", str(tmp_path / "dump"), "-d", served.dsn)
        run(pg18.bin / "pg_restore", "--exit-on-error", "-d", restored.dsn, str(tmp_path / "dump"))
    assert dumped(pg18, restored) == dumped(pg18, served)
    with psycopg.connect(restored.dsn) as con:
        assert con.execute("select main.plus_one(41), main.area(6, 7)").fetchone() == (42, 42)


def test_a_schema_or_table_that_is_not_there(pg18: Postgres, served: Place) -> None:
    done = subprocess.run([pg18.bin / "pg_dump", "-d", served.dsn, "-t", "nothing_here"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1
    assert "no matching tables were found" in done.stderr
