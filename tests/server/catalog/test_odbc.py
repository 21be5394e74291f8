"""psqlODBC's catalog functions, which Excel, Power BI and Tableau browse with: as PostgreSQL 18 answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import missing_peer
from tests.peers import odbc
from tests.peers.installation import Missing

from .conftest import Place

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow

Question = Callable[[Any], Any]
QUESTIONS: dict[str, Question] = {
    "SQLTables": lambda its: its.tables(schema="main"),
    "SQLTables of a type": lambda its: its.tables(schema="main", tableType="VIEW"),
    "SQLTables by pattern": lambda its: its.tables(table="p%"),
    "SQLTables schemas": lambda its: its.tables(schema="%", catalog="", table=""),
    "SQLColumns": lambda its: its.columns(schema="main"),
    "SQLColumns of a table": lambda its: its.columns(table="every", schema="main"),
    "SQLColumns of a view": lambda its: its.columns(table="v", schema="main"),
    "SQLPrimaryKeys": lambda its: its.primaryKeys("child", schema="main"),
    "SQLForeignKeys": lambda its: its.foreignKeys(foreignTable="child", foreignSchema="main"),
    "SQLForeignKeys to": lambda its: its.foreignKeys(table="parent", schema="main"),
    "SQLStatistics": lambda its: its.statistics("parent", schema="main"),
    "SQLSpecialColumns": lambda its: its.rowIdColumns("parent", schema="main"),
    "SQLProcedures": lambda its: its.procedures(schema="main"),
    "SQLProcedureColumns": lambda its: its.procedureColumns(schema="main"),
    "SQLGetTypeInfo": lambda its: its.getTypeInfo(),
}
# What only PostgreSQL knows of an index, and OIDs.
ITS_OWN = {"cardinality", "pages", "table oid", "field_type"}


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    try:
        connections = tuple(odbc.connect(server=place.host, port=place.port, database=place.database, uid="postgres",
                                         sslmode="disable", ConnSettings="set search_path to main")
                            for place in (served, beside))
    except Missing as missing:
        missing_peer(missing)
    yield connections
    for one in connections:
        one.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_driver_says_the_same(question: str, both: tuple[Any, Any]) -> None:
    found = []
    for one in both:
        cursor = one.cursor()
        QUESTIONS[question](cursor)
        names = [column[0] for column in cursor.description]
        kept = [i for i, name in enumerate(names) if name.lower() not in ITS_OWN]
        found.append((names, sorted(([row[i] for i in kept] for row in cursor.fetchall()), key=repr)))
    assert found[0] == found[1]
