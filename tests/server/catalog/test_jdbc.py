"""pgJDBC's DatabaseMetaData, which DBeaver, DataGrip, Metabase and Tableau browse with: as PostgreSQL 18 answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import missing_peer
from tests.peers import jdbc
from tests.peers.installation import Missing

from .conftest import Place

# what is tested is other programs on the catalogs, which are the same for either kernel
pytestmark = pytest.mark.slow

# Each: the method of DatabaseMetaData and its arguments; a list stands for a String[].
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("getCatalogs", ()),
    ("getSchemas", ()),
    ("getTableTypes", ()),
    ("getTables", (None, "main", "%", None)),
    ("getTables", (None, "main", "%", ["TABLE", "VIEW"])),
    ("getTables", (None, None, "p%", ["TABLE"])),
    ("getTables", (None, "pg\\_catalog", "pg\\_c%", ["SYSTEM TABLE"])),
    ("getColumns", (None, "main", "%", "%")),
    ("getColumns", (None, "main", "every", "%")),
    ("getColumns", (None, "other", "t2", None)),
    ("getPrimaryKeys", (None, "main", "child")),
    ("getPrimaryKeys", (None, "main", "parent")),
    ("getImportedKeys", (None, "main", "child")),
    ("getExportedKeys", (None, "main", "parent")),
    ("getCrossReference", (None, "main", "parent", None, "main", "child")),
    ("getIndexInfo", (None, "main", "parent", False, False)),
    ("getIndexInfo", (None, "main", "child", True, True)),
    ("getBestRowIdentifier", (None, "main", "parent", 2, False)),
    ("getVersionColumns", (None, "main", "parent")),
    ("getTablePrivileges", (None, "main", "parent")),
    ("getColumnPrivileges", (None, "main", "parent", "%")),
    ("getFunctions", (None, "main", "%")),
    ("getFunctionColumns", (None, "main", "area", "%")),
    ("getProcedures", (None, "main", "%")),
    ("getProcedureColumns", (None, "main", "area", "%")),
    ("getTypeInfo", ()),
    ("getUDTs", (None, "main", "%", None)),
    ("getClientInfoProperties", ()),
]
WORDS = ("getSQLKeywords", "getDatabaseProductName", "getMaxColumnNameLength", "getMaxColumnsInIndex",
         "getDefaultTransactionIsolation", "getUserName", "supportsTransactions")

# Columns that hold OIDs, or what only PostgreSQL knows: pages and rows of an index, other databases.
ITS_OWN = {"specific_name", "cardinality", "pages", "type_cat"}


@pytest.fixture(scope="module")
def both(served: Place, beside: Place) -> Iterator[tuple[Any, Any]]:
    try:
        connections = tuple(jdbc.connect(f"jdbc:postgresql://{place.host}:{place.port}/{place.database}",
                                         user="postgres", currentSchema="main") for place in (served, beside))
    except Missing as missing:
        missing_peer(missing)
    yield connections
    for one in connections:
        one.close()


def table(result: Any) -> tuple[list[tuple[str, str]], list[list[str | None]]]:
    """Columns with types, and rows in a fixed order."""
    meta = result.getMetaData()
    columns = [(meta.getColumnName(i), meta.getColumnTypeName(i)) for i in range(1, meta.getColumnCount() + 1)]
    kept = [i for i, (name, _) in enumerate(columns, 1) if name.lower() not in ITS_OWN]
    rows = []
    while result.next():
        values = [result.getString(i) for i in kept]
        rows.append([value if value is None else re.sub(r"_\d{4,}$", "_N", value) for value in values])
    return columns, sorted(rows, key=repr)


@pytest.mark.parametrize(("method", "arguments"), CALLS, ids=lambda value: value if isinstance(value, str) else None)
def test_metadata_is_the_same(method: str, arguments: tuple[Any, ...], both: tuple[Any, Any]) -> None:
    import jpype

    given = [jpype.JArray(jpype.JString)(one) if isinstance(one, list) else one for one in arguments]
    ours, theirs = (table(getattr(one.getMetaData(), method)(*given)) for one in both)
    if method == "getCatalogs":
        assert {tuple(row) for row in ours[1]} <= {tuple(row) for row in theirs[1]}
    else:
        assert ours == theirs


@pytest.mark.parametrize("method", WORDS)
def test_a_word_about_the_server(method: str, both: tuple[Any, Any]) -> None:
    ours, theirs = (getattr(one.getMetaData(), method)() for one in both)
    assert ours == theirs


def test_columns_of_a_result(both: tuple[Any, Any]) -> None:
    """ResultSetMetaData asks the catalogs for a column's table, nullability and whether it counts up."""
    found = []
    for one in both:
        statement = one.prepareStatement("select id, name, price from parent where id = ?")
        meta = statement.getMetaData()
        found.append([(meta.getColumnName(i), meta.getColumnTypeName(i), meta.getColumnClassName(i),
                       meta.getPrecision(i), meta.getScale(i)) for i in range(1, meta.getColumnCount() + 1)])
        parameters = statement.getParameterMetaData()
        found[-1].append((parameters.getParameterCount(), parameters.getParameterTypeName(1)))
        statement.close()
    assert found[0] == found[1]


def test_a_result_that_can_be_changed(both: tuple[Any, Any]) -> None:
    """An updatable result set finds its columns by RowDescription's table and number, and the key in the catalogs."""
    found = []
    for one in both:
        statement = one.createStatement(1004, 1008)  # TYPE_SCROLL_INSENSITIVE, CONCUR_UPDATABLE
        statement.execute("create table changing (id integer primary key, name text, n integer)")
        statement.execute("insert into changing values (1, 'a', 10), (2, 'b', 20)")
        rows = statement.executeQuery("select id, name, n from changing")
        meta = rows.getMetaData()
        told = [(meta.getColumnLabel(i), meta.getBaseColumnName(i), meta.getTableName(i), meta.getSchemaName(i),
                 meta.isNullable(i)) for i in (1, 2, 3)]
        while rows.next():
            rows.updateString("name", f"{rows.getString(2)} changed")
            rows.updateInt("n", rows.getInt("n") + 1)
            rows.updateRow()
        rows.moveToInsertRow()
        rows.updateInt(1, 3)
        rows.updateString(2, "new")
        rows.insertRow()
        rows.close()
        rows = statement.executeQuery("select id, name, n from changing order by id")
        found.append((told, [(rows.getInt(1), str(rows.getString(2)), rows.getInt(3)) for _ in range(3)
                             if rows.next()]))
        statement.execute("drop table changing")
        statement.close()
    assert found[0] == found[1]
    assert found[0][1] == [(1, "a changed", 11), (2, "b changed", 21), (3, "new", 0)]
