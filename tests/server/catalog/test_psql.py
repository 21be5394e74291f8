"""psql's \\d family: the rows that PostgreSQL 18 gives for the same schema."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .conftest import Place

COMMANDS = Path(__file__).with_name("commands.txt").read_text().splitlines()

# What PostgreSQL says of itself, and not of the schema.
ITS_OWN = {
    "\\l": "a cluster's template databases", "\\l+": "a cluster's template databases and sizes",
    "\\dt+": "sizes on disk", "\\di+": "sizes on disk", "\\d+": "sizes on disk", "\\db+": "sizes on disk",
    "\\dt+ n*": "sizes on disk",
    "\\di+ ix": "sizes on disk", "\\db+ pg_default": "sizes on disk",
    "\\dt *.*": "TOAST tables", "\\dconfig": "its own settings", "\\dconfig+ enable_*": "its planner's settings",
    "\\drds": "the search_path that the test sets",
    "\\dconfig server_version_num": "18.0 is announced, the peer is a later 18",
}
# Roles that the peer is made with for tests of authentication
ROLES = re.compile(r"^(?:trust|password|md5|scram|scram_prepared|reject)\|.*\n", re.MULTILINE)
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
_MARK = "== the next command =="


def said(psql: Path, place: Place) -> dict[str, str]:
    """What psql prints for each command, errors included."""
    script = "".join(f"\\echo {_MARK}\n{command}\n" for command in COMMANDS)
    done = subprocess.run([psql, "-XA", place.dsn], input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120, env=ENVIRONMENT)
    return dict(zip(COMMANDS, ROLES.sub("", done.stdout).split(f"{_MARK}\n")[1:], strict=True))


@pytest.fixture(scope="module")
def answers18(psql18: Path, served: Place, beside: Place) -> tuple[dict[str, str], dict[str, str]]:
    return said(psql18, served), said(psql18, beside)


@pytest.fixture(scope="module")
def answers15(psql15: Path, served: Place, beside: Place) -> tuple[dict[str, str], dict[str, str]]:
    return said(psql15, served), said(psql15, beside)


@pytest.mark.parametrize("command", COMMANDS)
def test_psql_18_prints_the_same(command: str, answers18: tuple[dict[str, str], dict[str, str]]) -> None:
    answer, expected = (one[command] for one in answers18)
    assert ("ERROR" in answer) == ("ERROR" in expected)
    if command not in ITS_OWN:
        assert answer == expected


@pytest.mark.parametrize("command", COMMANDS)
def test_psql_15_prints_the_same(command: str, answers15: tuple[dict[str, str], dict[str, str]]) -> None:
    answer, expected = (one[command] for one in answers15)
    # an old psql asks for columns that a newer server does not have
    assert ("ERROR" in answer) == ("ERROR" in expected)
    if command not in ITS_OWN and "ERROR" not in expected:
        assert answer == expected


SCRIPTS = {
    "copy": r"""
create temp table t(a integer, b text);
\copy t from '{rows}' with (format csv, header)
\copy (select a, b from t order by a) to '{out}' with (format csv)
\! cat '{out}'
\copy t to stdout
""",
    "gdesc": r"""
select id, name, price, score from parent \gdesc
select oid, relname, relkind, relacl, reloptions from pg_class \gdesc
select 'parent'::regclass, current_user, now(), array_agg(attname) from pg_attribute group by 1 \gdesc
create temp table u(a integer) \gdesc
""",
    "watch": r"""
select count(*) from pg_enum \watch i=0.01 c=3
""",
    "gexec": r"""
select format('select %L as name, %s as columns', relname, relnatts)
  from pg_class where relname in ('parent', 'v') order by 1 \gexec
select min(conname) as first from pg_constraint where conrelid = 'parent'::regclass \gset
\echo :first
""",
    "variables": r"""
\set table parent
select relname from pg_class where oid = :'table'::regclass;
select relnatts from pg_class where relname = $1 \bind parent \g
select relkind, relname, relnatts from pg_class where relname in ('child', 'v') \crosstabview
""",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_psql_scripts_print_the_same(name: str, psql18: Path, served: Place, beside: Place, tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_text('a,b\n1,one\n2,"two, ""2"""\n3,\n')
    script = SCRIPTS[name].format(rows=rows, out=out)
    ours, theirs = (
        subprocess.run([psql18, "-XA", place.dsn], input=script, capture_output=True, text=True, timeout=60,
                       env=ENVIRONMENT) for place in (served, beside))
    # \watch prints the time
    stamped = re.compile(r"^.* \(every .*$", re.MULTILINE)
    assert stamped.sub("", ours.stdout) == stamped.sub("", theirs.stdout)
    assert ours.stderr == theirs.stderr == ""
