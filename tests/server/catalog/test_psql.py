"""psql's \\d family: the rows that PostgreSQL 18 gives for the same schema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import Place

COMMANDS = Path(__file__).with_name("commands.txt").read_text().splitlines()

# What PostgreSQL says of itself, and not of the schema.
ITS_OWN = {
    "\\l": "a cluster's template databases", "\\l+": "a cluster's template databases and sizes",
    "\\dt+": "sizes on disk", "\\di+": "sizes on disk", "\\d+": "sizes on disk", "\\db+": "sizes on disk",
    "\\dt *.*": "TOAST tables", "\\drds": "the search_path that the test sets",
    "\\dconfig server_version_num": "18.0 is announced, the peer is a later 18",
}


def said(psql: Path, place: Place, command: str) -> str:
    """What psql prints, errors included."""
    where = place.parameters()
    done = subprocess.run([psql, "-XA", "-h", where["host"], "-p", where["port"], "-U", where["user"],
                           where["dbname"], "-c", command], capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_psql_18_prints_the_same(command: str, psql18: Path, served: Place, beside: Place) -> None:
    answer = said(psql18, served, command)
    assert "ERROR" not in answer
    if command not in ITS_OWN:
        assert answer == said(psql18, beside, command)


@pytest.mark.parametrize("command", COMMANDS)
def test_psql_15_prints_the_same(command: str, psql15: Path, served: Place, beside: Place) -> None:
    answer = said(psql15, served, command)
    expected = said(psql15, beside, command)
    # an old psql asks for columns that a newer server does not have
    assert ("ERROR" in answer) == ("ERROR" in expected)
    if command not in ITS_OWN and "ERROR" not in expected:
        assert answer == expected
