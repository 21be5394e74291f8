"""What Spark's current catalog holds, told for PostgreSQL's catalogs: its databases are the schemas."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException

from febe.engines.spark.types import announced
from febe.server.catalog.description import Attribute, Database, Relation, Schema, Type

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_log = logging.getLogger("febe.spark")

_AT_ONCE = 8
"""Requests under way: what a table's columns are is asked table by table."""


def describe(spark: SparkSession) -> Database:
    """Every table and view of the current catalog.

    A view that Spark cannot analyse any more is left out, with a line in the log.
    """
    catalog: Any = spark.catalog
    here = catalog.currentCatalog()
    found: list[tuple[str, Any]] = [(database.name, table) for database in catalog.listDatabases()
                                    for table in catalog.listTables(database.name)]
    current = catalog.currentDatabase()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        relations = list(pool.map(lambda one: _relation(spark, *one), found))
    schemas: dict[str, dict[str, Relation]] = {database.name: {} for database in catalog.listDatabases()}
    for (database, table), relation in zip(found, relations, strict=True):
        if relation is not None:
            # a temporary view is in no database, and listed with each
            schemas[current if table.isTemporary else database][relation.name] = relation
    comments = {database.name: database.description for database in catalog.listDatabases()}
    return Database(
        schemas=[Schema(name=name, relations=list(there.values()), comment=comments[name] or None)
                 for name, there in schemas.items()],
        search_path=[current], others=[one.name for one in catalog.listCatalogs() if one.name != here])


def _relation(spark: SparkSession, database: str, table: Any) -> Relation | None:
    name = _quoted(table.name) if table.isTemporary else f"{_quoted(database)}.{_quoted(table.name)}"
    try:
        fields = spark.table(name).schema.fields
    except PySparkException as error:
        _log.warning("%s is left out of the catalog: %s", name, str(error).partition("\n")[0])
        return None
    columns = [Attribute(name=field.name, type=_type(field.dataType), not_null=not field.nullable,
                         comment=field.metadata.get("comment")) for field in fields]
    kind = "v" if table.isTemporary or "VIEW" in table.tableType else "r"
    return Relation(name=table.name, columns=columns, kind=kind, temporary=table.isTemporary,
                    comment=table.description or None)


def _type(kind: Any) -> Type:
    told = announced(kind)
    return Type(oid=told.type_oid, modifier=told.type_modifier)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
