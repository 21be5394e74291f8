"""A query's result from PostgreSQL as the DataRow messages that carried it."""

from __future__ import annotations

from struct import pack
from typing import Any

from febe.types._codec import Codec, Registry
from febe.types._shapes import ArrayOf, CompositeOf, EnumOf
from febe.types.arrow_rows import ArrowBuilder, ArrowOptions, ArrowSource, ArrowTable
from febe.types.registry import TYPES


def known(connection: Any) -> Registry:
    """The registry, with what the catalog says of types that users made."""
    registry = TYPES.copy()
    for oid, name, labels in connection.execute(
        "select enumtypid::int8, typname, array_agg(enumlabel order by enumsortorder) from pg_enum"
        " join pg_type t on t.oid = enumtypid group by 1, 2"
    ):
        registry.register(Codec(oid=oid, name=name, shape=EnumOf(tuple(labels))))
    for oid, name, fields in connection.execute(
        "select t.oid::int8, typname, array_agg(attname || ' ' || atttypid::int8 order by attnum) from pg_type t"
        " join pg_attribute on attrelid = typrelid where typtype = 'c' and attnum > 0 and t.oid > 16384 group by 1, 2"
    ):
        parts = tuple((one.split()[0], int(one.split()[1])) for one in fields)
        registry.register(Codec(oid=oid, name=name, shape=CompositeOf(parts)))
    for oid, name, element in connection.execute(
        "select oid::int8, typname, typelem::int8 from pg_type where typcategory = 'A' and typelem <> 0"
    ):
        if getattr(registry.by_oid(oid), "shape", None) is None:
            registry.register(Codec(oid=oid, name=name, shape=ArrayOf(element)))
    return registry


def result(connection: Any, sql: str, binary: bool = True) -> tuple[bytes, list[ArrowSource], Registry]:
    """Run a query; gives the messages and the columns."""
    found = connection.pgconn.exec_params(sql.encode(), [], None, None, int(binary))
    assert found.error_message == b"", found.error_message
    registry = known(connection)
    sources = [
        ArrowSource(name=found.fname(k).decode(), codec=registry.by_oid(found.ftype(k)), typmod=found.fmod(k),
                    binary=binary)
        for k in range(found.nfields)
    ]  # fmt: skip
    data = bytearray()
    for row in range(found.ntuples):
        body = pack("!H", found.nfields)
        for k in range(found.nfields):
            value = found.get_value(row, k)
            body += b"\xff\xff\xff\xff" if value is None else pack("!i", len(value)) + value
        data += b"D" + pack("!i", len(body) + 4) + body
    return bytes(data), sources, registry


def arrow(
    connection: Any, sql: str, options: ArrowOptions | None = None, *, binary: bool = True, rows: int = 1 << 16,
    size: int = 1 << 24,
) -> ArrowTable:  # fmt: skip
    """Run a query and bring its rows to Arrow."""
    data, sources, registry = result(connection, sql, binary)
    builder = ArrowBuilder(sources, registry, options, rows=rows, size=size)
    batches = builder.feed(data, 0, len(data))
    last = builder.finish()
    return ArrowTable(builder.schema, [*batches, last] if last else batches)
